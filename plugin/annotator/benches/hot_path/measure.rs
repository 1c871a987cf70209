//! Runs the subjects of a case in turn.

use std::hint::black_box;
use std::time::{Duration, Instant};

use faultline_annotator::Outcome;

use crate::case::{Case, NOW};
use crate::report::{Cell, Row};
use crate::subject;

/// So many that a median stays where it is when a round is disturbed.
const ROUNDS: usize = 41;

/// Measures the unit and those `subjects` in one case; none named means all.
pub(crate) fn run(case: &Case, subjects: &[String]) -> Row {
    let batches = case.batches();
    check(case, &batches);
    let is_wanted = |name| subjects.is_empty() || name == subject::NAMES[0] || subjects.iter().any(|word| word == name);
    let mut subjects: Vec<_> = subject::all(case).into_iter().filter(|subject| is_wanted(subject.name())).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); subjects.len()];
    let mut copy = Vec::new();
    for round in 0..=ROUNDS {
        for (subject, times) in subjects.iter_mut().zip(&mut times) {
            // Each finds the caches as a copy of all batches leaves them, whoever came before: behind `prost` they are full
            // of its structures.
            for batch in &batches {
                copy.clear();
                copy.extend_from_slice(batch);
                black_box(&copy);
            }
            let count = subject.batches_per_round(batches.len());
            let rotated = batches.iter().cycle().skip(round * count % batches.len()).take(count);
            let started = Instant::now();
            for batch in rotated {
                subject.run(batch);
            }
            let elapsed = started.elapsed() / u32::try_from(count).unwrap_or(u32::MAX);
            // The first round fills kept memory.
            if round > 0 {
                times.push(elapsed);
            }
        }
    }
    let bytes = batches.iter().map(Vec::len).sum::<usize>() / batches.len();
    let cells = subjects.iter().zip(times).map(|(subject, times)| Cell::of(subject.name(), times)).collect();
    Row { case: case.name(), bytes, cells }
}

/// A case that does not do what its name says would measure something else.
fn check(case: &Case, batches: &[Vec<u8>]) {
    let mut annotator = case.annotator();
    for batch in batches {
        let changes = matches!(annotator.process(case.signal, batch, NOW), Outcome::Replaced(_));
        assert_eq!(changes, case.situation.changes(), "{}", case.name());
    }
}
