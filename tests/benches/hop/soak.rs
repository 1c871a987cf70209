//! Telemetry and webhooks for minutes: does memory grow?

use std::thread;
use std::time::{Duration, Instant};

use faultline_load::{Length, Load, Pace, Sink, SinkOptions};

use crate::case::Case;
use crate::figures;
use crate::hop::Program;
use crate::report::Soak;
use crate::webhooks;

/// Half of it makes new incidents, of which the state keeps something for days: more than anybody has, little enough not to
/// hide a leak.
const WEBHOOKS_PER_SECOND: f64 = 1.0;
const SPANS_PER_SECOND: u64 = 20_000;
const SAMPLE: Duration = Duration::from_secs(1);
/// Pools, caches and the heap take their size in the beginning: that part of the samples does not count.
const WARM_UP: f64 = 0.1;
const DRAIN: Duration = Duration::from_secs(60);

/// Runs the server for so many minutes with everything marked, and fits a line through its memory.
pub(crate) fn run(minutes: u64) -> anyhow::Result<Soak> {
    let case = Case::of_latency();
    let sink = Sink::start(SinkOptions::default())?;
    let hop = Program::Faultline.start(&case, &sink)?;
    let time = Duration::from_secs(minutes * 60);
    let load = Load {
        pace: Pace::PerSecond(SPANS_PER_SECOND as f64 / case.spans as f64),
        length: Length::Time(time),
        ..Load::to(hop.ports().otlp)
    };
    let batches = case.batches()?;
    let (outcome, (sent, acknowledged), samples) = thread::scope(|scope| {
        let telemetry = scope.spawn(|| load.run(batches));
        let churn = scope.spawn(|| webhooks::churn(hop.ports().webhooks, WEBHOOKS_PER_SECOND, time));
        let started = Instant::now();
        let mut samples = Vec::new();
        while !(telemetry.is_finished() && churn.is_finished()) {
            thread::sleep(SAMPLE);
            samples.push((started.elapsed().as_secs_f64(), hop.process.memory()?.resident as f64));
        }
        let panicked = || anyhow::anyhow!("a load panicked");
        let outcome = telemetry.join().map_err(|_| panicked())??;
        let churned = churn.join().map_err(|_| panicked())??;
        anyhow::Ok((outcome, churned, samples))
    })?;
    let counts = sink.wait_for(DRAIN, |counts| counts.accepted.items >= outcome.accepted_items);
    let samples = samples.get((samples.len() as f64 * WARM_UP) as usize..).unwrap_or_default();
    let memory = |sample: Option<&(f64, f64)>| sample.map_or(0, |(_, bytes)| *bytes as u64);
    Ok(Soak {
        date: figures::today(),
        minutes,
        spans_in: outcome.requests * case.spans as u64,
        spans_out: counts.accepted.items,
        spans_marked: counts.accepted.marked,
        webhooks: sent,
        webhooks_acknowledged: acknowledged,
        first_bytes: memory(samples.first()),
        last_bytes: memory(samples.last()),
        bytes_per_hour: slope(samples) * 3600.0,
    })
}

/// Of the line with the least squares; NaN where there is none.
fn slope(samples: &[(f64, f64)]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let (mut across, mut along) = (0.0, 0.0);
    for sample in samples {
        across += (sample.0 - x) * (sample.1 - y);
        along += (sample.0 - x).powi(2);
    }
    across / along
}
