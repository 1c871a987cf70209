//! What the hop adds to the time that a request takes, at a rate that leaves it idle most of the time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use faultline_load::{Batches, Latency, Length, Load, Pace, Sink, SinkOptions};

use crate::arguments::Effort;
use crate::case::Case;
use crate::figures;
use crate::hop::{Hop, Program};
use crate::report::{Added, Quantiles};

/// As a case among the others.
pub(crate) const NAME: &str = "latency";
const SPANS_PER_SECOND: u64 = 20_000;
/// So many can be under way that none waits for another.
const IN_FLIGHT: usize = 16;
const DRAIN: Duration = Duration::from_secs(60);

/// A program, or none, and how long requests took.
struct Lane<'a> {
    program: Option<&'a Program>,
    hop: Option<Hop>,
    latency: Latency,
}

/// Sends to the sink directly and through each program, in turn, at the same rate.
pub(crate) fn run(programs: &[Program], effort: &Effort) -> anyhow::Result<Added> {
    let case = Case::of_latency();
    let sink = Sink::start(SinkOptions::default())?;
    let direct = Lane { program: None, hop: None, latency: Latency::default() };
    let started = programs.iter().map(|program| {
        let hop = program.start(&case, &sink)?;
        Ok(Lane { program: Some(program), hop: Some(hop), latency: Latency::default() })
    });
    let mut lanes = std::iter::once(Ok(direct)).chain(started).collect::<anyhow::Result<Vec<_>>>()?;
    let batches = case.batches()?;
    for round in 0..=effort.latency_rounds {
        for lane in &mut lanes {
            // A short round before the others opens connections and fills caches.
            let time = if round == 0 { Duration::from_secs(2) } else { effort.latency_round };
            let measured = lane.round(&case, batches.clone(), &sink, time);
            let name = lane.program.map_or("direct", Program::name);
            let latency = measured.with_context(|| name)?;
            if round > 0 {
                lane.latency.add(&latency);
            }
        }
        lanes.rotate_left(1);
    }
    let quantiles = |wanted: fn(Option<&Program>) -> bool| {
        lanes.iter().find(|lane| wanted(lane.program)).map(|lane| Quantiles::of(&lane.latency))
    };
    Ok(Added {
        date: figures::today(),
        spans_per_second: SPANS_PER_SECOND,
        spans: case.spans,
        direct: quantiles(|program| program.is_none()).context("it is always measured")?,
        faultline: quantiles(|program| program == Some(&Program::Faultline)).context("it is always measured")?,
        collector: quantiles(|program| matches!(program, Some(Program::Collector(_)))),
    })
}

// === impl Lane ===

impl Lane<'_> {
    fn round(&self, case: &Case, batches: Arc<Batches>, sink: &Sink, time: Duration) -> anyhow::Result<Latency> {
        sink.reset();
        let target = self.hop.as_ref().map_or(sink.address(case.protocol), |hop| hop.ports().otlp);
        let load = Load {
            in_flight: IN_FLIGHT,
            pace: Pace::PerSecond(SPANS_PER_SECOND as f64 / case.spans as f64),
            length: Length::Time(time),
            ..Load::to(target)
        };
        let outcome = load.run(batches)?;
        anyhow::ensure!(outcome.is_clean(), "not everything was taken: {:?}", outcome.answers);
        let counts = sink.wait_for(DRAIN, |counts| counts.accepted.items >= outcome.accepted_items);
        let (sent, arrived) = (outcome.accepted_items, counts.accepted.items);
        anyhow::ensure!(sent == arrived, "{sent} spans were sent, and {arrived} arrived");
        Ok(outcome.latency)
    }
}
