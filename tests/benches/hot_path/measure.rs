//! Runs the subjects of a case in turn.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::builds::Builds;
use crate::case::Case;
use crate::guest_cost;
use crate::report::{Cell, Row};
use crate::subject::{Name, Subject};

/// New subjects are made so many times: where their memory comes to lie makes a difference.
const INSTANCES: usize = 3;
/// So many that a median stays where it is when a round is disturbed.
const ROUNDS_EACH: usize = 15;
/// Decoding and encoding is slow, and needs fewer batches to be timed well.
const PROST_BATCHES: usize = 4;

/// A subject, and what its rounds took.
struct Runner {
    name: Name,
    subject: Box<dyn Subject>,
    times: Vec<Duration>,
}

/// Measures all subjects in one case.
pub(crate) fn run(builds: &Builds, case: &Case) -> anyhow::Result<Row> {
    let batches = case.batches();
    let names = Name::all();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); names.len()];
    for _ in 0..INSTANCES {
        for runner in run_instances(builds, case, &batches, &names)? {
            let place = names.iter().position(|name| *name == runner.name);
            place.and_then(|place| times.get_mut(place)).into_iter().for_each(|all| all.extend(&runner.times));
        }
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

fn run_instances(builds: &Builds, case: &Case, batches: &[Vec<u8>], names: &[Name]) -> anyhow::Result<Vec<Runner>> {
    let runner = |name: &Name| {
        Ok(Runner { name: *name, subject: name.subject(builds, case)?, times: Vec::with_capacity(ROUNDS_EACH) })
    };
    let mut runners = names.iter().map(runner).collect::<anyhow::Result<Vec<_>>>()?;
    let mut copy = Vec::new();
    for round in 0..=ROUNDS_EACH {
        for runner in &mut runners {
            // Each finds the caches as a copy of all batches leaves them, whoever came before: behind `prost` they are full
            // of its structures.
            for batch in batches {
                copy.clear();
                copy.extend_from_slice(batch);
                black_box(&copy);
            }
            let elapsed = runner.round(batches, round)?;
            // The first round fills kept memory.
            if round > 0 {
                runner.times.push(elapsed);
            }
        }
        // Another one begins each round.
        runners.rotate_left(1);
    }
    Ok(runners)
}

// === impl Runner ===

impl Runner {
    /// The time for a batch.
    fn round(&mut self, batches: &[Vec<u8>], round: usize) -> anyhow::Result<Duration> {
        let count = if self.name == Name::Prost { batches.len().min(PROST_BATCHES) } else { batches.len() };
        let rotated = batches.iter().cycle().skip(round * count % batches.len()).take(count);
        let started = Instant::now();
        for batch in rotated {
            self.subject.run(batch);
        }
        Ok(started.elapsed() / u32::try_from(count)?)
    }
}
