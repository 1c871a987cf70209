//! Batches that were damaged on the way.

#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_annotator::otlp::{Rewriter, Signal, Tally};
use faultline_test_support::{
    Generator,
    opentelemetry_proto::tonic::collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    prost::Message,
};
use proptest::{
    collection,
    prelude::*,
    sample::{self, Index},
    test_runner::TestRunner,
};

use crate::{
    cases::with_cases,
    lists_of_edits::applied,
    scene::{EVERYTHING, Scene, plain_signal},
};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[
    (Bug::MarkerIgnored, a_damaged_batch_never_panics_and_is_refused_only_if_prost_refuses_it),
    (Bug::LastItemSkipped, a_damaged_batch_never_panics_and_is_refused_only_if_prost_refuses_it),
];

/// What damages a batch.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
    /// A stretch of the batch once more, at another place.
    Repeat(Index, Index, usize),
}

/// How many damaged batches a run of the suite tries.
const CASES: u32 = 6000;

fn mutations() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        1 => any::<Index>().prop_map(Mutation::Remove),
        1 => any::<Index>().prop_map(Mutation::Truncate),
        1 => (any::<Index>(), any::<Index>(), 1..40_usize).prop_map(|(from, to, length)| Mutation::Repeat(from, to, length)),
    ]
}

fn mutate(batch: &mut Vec<u8>, mutation: &Mutation) {
    if batch.is_empty() {
        return;
    }
    let length = batch.len();
    match mutation {
        Mutation::Flip(at, bits) => batch[at.index(length)] ^= bits,
        Mutation::Set(at, byte) => batch[at.index(length)] = *byte,
        Mutation::Insert(at, byte) => batch.insert(at.index(length), *byte),
        Mutation::Remove(at) => drop(batch.remove(at.index(length))),
        Mutation::Truncate(at) => batch.truncate(at.index(length)),
        Mutation::Repeat(from, to, count) => {
            let (from, to) = (from.index(length), to.index(length));
            let stretch = batch[from..length.min(from + count)].to_vec();
            batch.splice(to..to, stretch);
        }
    }
}

/// The request as values, `prost` willing.
fn decoded(signal: Signal, batch: &[u8]) -> Option<String> {
    Some(match signal {
        Signal::Traces => format!("{:?}", ExportTraceServiceRequest::decode(batch).ok()?),
        Signal::Metrics => format!("{:?}", ExportMetricsServiceRequest::decode(batch).ok()?),
        Signal::Logs => format!("{:?}", ExportLogsServiceRequest::decode(batch).ok()?),
    })
}

/// Scenario: any bytes at all arrive as a batch.
/// Guarantees: no panic; what `prost` can read is not refused and means the same afterwards as the oracle's result; what
/// is refused is not counted.
#[test]
fn a_damaged_batch_never_panics_and_is_refused_only_if_prost_refuses_it() {
    let scene = Scene::marking_all(&[("incident.id", "pagerduty:Q1"), ("http.route", "ours")]);
    let batches: Vec<(Signal, Vec<u8>)> = [Signal::Traces, Signal::Metrics, Signal::Logs]
        .into_iter()
        .flat_map(|signal| {
            (0..4).map(move |seed| {
                let generator = Generator { seed, items: 4, ..Generator::default() };
                (signal, generator.bytes(plain_signal(signal)))
            })
        })
        .collect();
    let config = with_cases(CASES);
    // The same cases in every run: a finding must not depend on who runs the suite.
    let generator = TestRunner::deterministic().new_rng();
    let mut runner = TestRunner::new_with_rng(config, generator);
    let cases = (sample::select(batches), collection::vec(mutations(), 1..4));
    let (mut readable, mut refused) = (0, 0);
    let counts = std::cell::RefCell::new((&mut readable, &mut refused));
    let run = runner.run(&cases, |((signal, mut batch), mutations)| {
        for mutation in &mutations {
            mutate(&mut batch, mutation);
        }
        let mut tally = Tally::default();
        let result = Rewriter::default().rewrite(signal, &batch, &EVERYTHING, &mut scene.marks(), &mut tally);
        if let Some((expected, expected_tally)) = scene.judge(signal, &batch, &EVERYTHING) {
            *counts.borrow_mut().0 += 1;
            let result = result.map_err(|refusal| TestCaseError::fail(format!("prost reads it, but {refusal}")))?;
            let ours = decoded(signal, result.as_deref().unwrap_or(&batch));
            prop_assert!(ours.is_some(), "the result is not readable");
            prop_assert_eq!(ours, decoded(signal, expected.as_deref().unwrap_or(&batch)));
            prop_assert_eq!(tally, expected_tally);
        } else if result.is_err() {
            *counts.borrow_mut().1 += 1;
            prop_assert_eq!(tally, Tally::default());
        }
        // The same walk with other sinks: they decide, count and refuse alike.
        let result = scene.rewrite(signal, &batch, &EVERYTHING);
        let edited = scene.edits(signal, &batch, &EVERYTHING).map(|(list, tally)| (applied(&list, &batch), tally));
        prop_assert_eq!(&edited, &result);
        let marked =
            scene.item_marks(signal, &batch, &EVERYTHING).map(|(marks, tally)| (!marks.items.is_empty(), tally));
        prop_assert_eq!(marked, result.map(|(bytes, tally)| (bytes.is_some(), tally)));
        Ok(())
    });
    run.unwrap();
    let enough = with_cases(CASES).cases / 10;
    assert!(readable > enough && refused > enough, "{readable} readable, {refused} refused: too few of one");
}

proptest! {
    #![proptest_config(with_cases(512))]

    #[test]
    fn random_bytes_never_panic(batch in collection::vec(any::<u8>(), 0..200)) {
        let scene = Scene::marking_all(&[("incident.id", "pagerduty:Q1")]);
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            let refused = scene.rewrite(signal, &batch, &EVERYTHING).is_err();
            prop_assert!(!(refused && decoded(signal, &batch).is_some()));
        }
    }
}

#[test]
fn a_batch_cut_off_anywhere_is_never_altered_beyond_the_oracle() {
    let scene = Scene::marking_all(&[("incident.id", "pagerduty:Q1")]);
    let batch = Generator { items: 2, ..Generator::default() }.bytes(plain_signal(Signal::Traces));
    for length in 0..batch.len() {
        let cut = &batch[..length];
        match scene.judge(Signal::Traces, cut, &EVERYTHING) {
            Some(expected) => assert_eq!(scene.rewrite(Signal::Traces, cut, &EVERYTHING), Ok(expected)),
            None => assert!(scene.rewrite(Signal::Traces, cut, &EVERYTHING).is_err(), "cut to {length} bytes"),
        }
    }
}
