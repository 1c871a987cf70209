//! What it costs to begin: once for each process, and once for each instance.

use std::time::{Duration, Instant};

use faultline::guest::{Cache, EMBEDDED, GuestBuild, Limits};
use faultline::plugin::{Build, Plugin};

use crate::builds::Builds;
use crate::case::{Case, NOW, Situation};
use crate::report::Startup;

const ROUNDS: usize = 31;

/// Compiles the component once more, and makes instances that are configured and handle a small batch.
pub(crate) fn measure(builds: &Builds) -> anyhow::Result<Startup> {
    let started = Instant::now();
    GuestBuild::new(EMBEDDED, Limits::default(), Cache::Off)?;
    let compile_millis = started.elapsed().as_secs_f64() * 1000.0;
    Ok(Startup {
        compile_millis,
        component_micros: first_call(&builds.component)?,
        core_micros: first_call(&builds.core)?,
        component_bytes: EMBEDDED.len(),
        core_bytes: usize::try_from(std::fs::metadata(crate::core_host::file())?.len())?,
    })
}

/// The median time to instantiate, configure, and handle the first batch of 8 spans.
fn first_call(build: &dyn Build) -> anyhow::Result<f64> {
    let case = Case { signal: faultline::plugin::Signal::Traces, items: 8, situation: Situation::NoIncident };
    let batches = case.batches();
    let mut times: Vec<Duration> = Vec::new();
    for batch in batches.iter().cycle().take(ROUNDS) {
        let started = Instant::now();
        let mut plugin = build.instantiate()?;
        case.set_up(plugin.as_mut());
        plugin.process(case.signal, batch, NOW)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(ROUNDS / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6))
}
