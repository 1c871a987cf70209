//! Runs the subjects of a case in turn.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::builds::Builds;
use crate::case::Case;
use crate::guest_cost;
use crate::report::{Cell, Row};
use crate::subject::Name;

/// New subjects are made so many times: where their memory comes to lie makes a difference.
const INSTANCES: usize = 3;
/// So many that a median stays where it is when a round is disturbed.
const ROUNDS_EACH: usize = 15;
/// Decoding and encoding is slow, and needs fewer batches to be timed well.
const PROST_BATCHES: usize = 4;

/// Measures all subjects in one case.
pub(crate) fn run(builds: &Builds, case: &Case) -> anyhow::Result<Row> {
    let batches = case.batches();
    let names = Name::all();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); names.len()];
    for _ in 0..INSTANCES {
        run_instances(builds, case, &batches, &names, &mut times)?;
    }
    let cells = names.iter().zip(times).map(|(name, times)| Cell::of(name.labels(), times)).collect();
    Ok(Row {
        signal: case.signal_name().to_owned(),
        items: case.items,
        situation: case.situation.name().to_owned(),
        bytes: batches.iter().map(Vec::len).sum::<usize>() / batches.len(),
        cells,
        guest: guest_cost::measure(builds, case, &batches)?,
    })
}

fn run_instances(
    builds: &Builds,
    case: &Case,
    batches: &[Vec<u8>],
    names: &[Name],
    times: &mut [Vec<Duration>],
) -> anyhow::Result<()> {
    let subjects: anyhow::Result<Vec<_>> = names.iter().map(|name| name.subject(builds, case)).collect();
    let mut subjects = subjects?;
    let mut copy = Vec::new();
    for round in 0..=ROUNDS_EACH {
        // Another one begins each round, so that nobody always comes after the same.
        for index in (0..names.len()).cycle().skip(round).take(names.len()) {
            let (Some(name), Some(subject), Some(times)) =
                (names.get(index), subjects.get_mut(index), times.get_mut(index))
            else {
                continue;
            };
            // Each finds the caches as a copy of all batches leaves them, whoever came before: behind `prost` they are full
            // of its structures.
            for batch in batches {
                copy.clear();
                copy.extend_from_slice(batch);
                black_box(&copy);
            }
            let count = if *name == Name::Prost { batches.len().min(PROST_BATCHES) } else { batches.len() };
            let rotated = batches.iter().cycle().skip(round * count % batches.len()).take(count);
            let started = Instant::now();
            for batch in rotated {
                subject.run(batch);
            }
            let elapsed = started.elapsed() / u32::try_from(count)?;
            // The first round fills kept memory.
            if round > 0 {
                times.push(elapsed);
            }
        }
    }
    Ok(())
}
