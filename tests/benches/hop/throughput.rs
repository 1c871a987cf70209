//! CPU time and memory under as much load as is taken.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use faultline_load::{Batches, Length, Load, Sink, SinkOptions};

use crate::arguments::Effort;
use crate::case::Case;
use crate::figures;
use crate::hop::{Hop, Program};
use crate::report::{Cost, Row, Throughput};

/// A program, and what its rounds took.
struct Lane<'a> {
    program: &'a Program,
    hop: Hop,
    rounds: Vec<Round>,
}

struct Round {
    cpu_seconds_per_million: f64,
    spans_per_second: f64,
    resident: u64,
}

/// Time for what is under way when the load ends.
const DRAIN: Duration = Duration::from_secs(60);

/// Measures the cases one after another, the programs in turn within each.
pub(crate) fn run(cases: &[Case], programs: &[Program], effort: &Effort) -> anyhow::Result<Throughput> {
    let mut rows = Vec::new();
    for case in cases {
        let row = run_case(case, programs, effort).with_context(|| case.name)?;
        println!("{}", row.text());
        rows.push(row);
    }
    Ok(Throughput { date: figures::today(), rounds: effort.rounds, round_seconds: effort.round.as_secs_f64(), rows })
}

fn run_case(case: &Case, programs: &[Program], effort: &Effort) -> anyhow::Result<Row> {
    let sink = Sink::start(SinkOptions::default())?;
    let start = |program| Ok(Lane { program, hop: Program::start(program, case, &sink)?, rounds: Vec::new() });
    let mut lanes = programs.iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
    let batches = case.batches()?;
    for round in 0..=effort.rounds {
        for lane in &mut lanes {
            let measured = lane.round(case, batches.clone(), &sink, effort.round);
            let measured = measured.with_context(|| format!("{}:\n{}", lane.program.name(), lane.hop.log()))?;
            // The first round fills caches, pools and windows.
            if round > 0 {
                lane.rounds.push(measured);
            }
        }
        // Another one begins each round.
        lanes.rotate_left(1);
    }
    let cost = |wanted: fn(&Program) -> bool| {
        let lane = lanes.iter().find(|lane| wanted(lane.program))?;
        Some(lane.cost())
    };
    Ok(Row {
        name: case.name.to_owned(),
        title: case.title.to_owned(),
        spans: case.spans,
        bytes: batches.bytes_each(),
        marks: case.marks,
        wanted: case.wanted,
        faultline: cost(|program| *program == Program::Faultline).context("it is always measured")??,
        collector: cost(|program| matches!(program, Program::Collector(_))).transpose()?,
    })
}

// === impl Lane ===

impl Lane<'_> {
    /// One time under load. An error is also what makes the figure worth nothing: spans lost, or not marked.
    fn round(&self, case: &Case, batches: Arc<Batches>, sink: &Sink, time: Duration) -> anyhow::Result<Round> {
        sink.reset();
        let before = self.hop.process.cpu()?;
        let load = Load { length: Length::Time(time), ..Load::to(self.hop.ports().otlp) };
        let outcome = load.run(batches)?;
        anyhow::ensure!(outcome.is_clean(), "not everything was taken: {:?}", outcome.answers);
        let counts = sink.wait_for(DRAIN, |counts| counts.accepted.items >= outcome.accepted_items);
        let cpu = self.hop.process.cpu()?.saturating_sub(before);
        let spans = outcome.accepted_items;
        let (arrived, marked) = (counts.accepted.items, counts.accepted.marked);
        anyhow::ensure!(arrived == spans, "{spans} spans were sent, and {arrived} arrived");
        let expected = if case.marks { spans } else { 0 };
        anyhow::ensure!(marked == expected, "{marked} of {spans} spans are marked instead of {expected}");
        Ok(Round {
            cpu_seconds_per_million: cpu.as_secs_f64() / spans as f64 * 1e6,
            spans_per_second: spans as f64 / outcome.elapsed.as_secs_f64(),
            resident: self.hop.process.memory()?.resident,
        })
    }

    fn cost(&self) -> anyhow::Result<Cost> {
        let cpu: Vec<f64> = self.rounds.iter().map(|round| round.cpu_seconds_per_million).collect();
        Ok(Cost {
            cpu_seconds_per_million: median(cpu.clone()),
            cpu_least: cpu.iter().copied().fold(f64::INFINITY, f64::min),
            cpu_most: cpu.iter().copied().fold(0.0, f64::max),
            spans_per_second: median(self.rounds.iter().map(|round| round.spans_per_second).collect()),
            resident_bytes: median(self.rounds.iter().map(|round| round.resident as f64).collect()) as u64,
            peak_bytes: self.hop.process.memory()?.peak,
        })
    }
}

/// The middle one; of an even number the mean of the two in the middle. NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(value)) => *value,
        _ => f64::NAN,
    }
}
