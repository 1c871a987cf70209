//! On batches that a canonical writer made, the rewriter and the oracle give the same bytes and the same counts.

#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_annotator::{
    annotation::Value,
    config::SpanMarking,
    otlp::{Marking, Signal, Tally},
};
use faultline_test_support::Generator;
use proptest::prelude::*;

use crate::{
    cases::with_cases,
    scene::{EVERYTHING, Scene, TestIncident, plain_signal},
    strategies::{generators, irregular, markings, scenes, signals},
};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[
    (Bug::WidenedLength, equals_the_oracle_on_batches_of_8192_with_overlapping_incidents),
    (Bug::MarkerIgnored, equals_the_oracle_on_batches_that_were_marked_before),
    (Bug::LastItemSkipped, equals_the_oracle_on_small_batches),
    (Bug::LastItemSkipped, equals_the_oracle_on_batches_of_512),
    (Bug::ObservedTimePreferred, equals_the_oracle_on_small_batches),
];

fn agree(scene: &Scene, signal: Signal, batch: &[u8], marking: &Marking) -> Tally {
    let (bytes, tally) = scene.rewrite(signal, batch, marking).expect("a canonical batch is readable");
    let (expected, expected_tally) = scene.judge(signal, batch, marking).expect("a canonical batch is readable");
    assert_eq!(tally, expected_tally);
    assert!(bytes == expected, "the bytes differ, for {signal:?} with {marking:?} and {scene:?}");
    let Tally {
        resources_seen: _,
        resources_without_service: _,
        resources_unaffected: _,
        items_seen,
        items_marked,
        items_already_marked,
        items_outside_window,
        items_without_time,
        items_not_entry_or_error,
        items_nothing_absent,
    } = tally;
    let judged = items_marked
        + items_already_marked
        + items_outside_window
        + items_without_time
        + items_not_entry_or_error
        + items_nothing_absent;
    assert_eq!(items_seen, judged, "each item is counted as one thing");
    tally
}

proptest! {
    #![proptest_config(with_cases(96))]

    #[test]
    fn equals_the_oracle_on_small_batches(
        generator in generators(0..24_usize),
        signal in signals(),
        scene in scenes(),
        marking in markings(),
    ) {
        agree(&scene, signal, &generator.bytes(plain_signal(signal)), &marking);
        agree(&scene, signal, &irregular(&generator, signal), &marking);
    }

    #[test]
    fn equals_the_oracle_on_batches_that_were_marked_before(
        generator in generators(1..24_usize),
        signal in signals(),
        before in scenes(),
        scene in scenes(),
    ) {
        let batch = generator.bytes(plain_signal(signal));
        let (marked, _) = before.rewrite(signal, &batch, &EVERYTHING).expect("readable");
        agree(&scene, signal, &marked.unwrap_or(batch), &EVERYTHING);
    }
}

proptest! {
    #![proptest_config(with_cases(6))]

    #[test]
    fn equals_the_oracle_on_batches_of_512(
        generator in generators(Just(512)),
        signal in signals(),
        scene in scenes(),
        marking in markings(),
    ) {
        agree(&scene, signal, &irregular(&generator, signal), &marking);
    }
}

#[test]
fn equals_the_oracle_on_batches_of_8192_with_overlapping_incidents() {
    let generator = Generator { items: 8192, ..Generator::default() };
    let second = 1_000_000_000;
    let mut scene = Scene { incidents: Vec::new() };
    for (number, service) in generator.services.iter().take(3).enumerate() {
        let mut incident = TestIncident::everywhere(&[("incident.id", "pagerduty:Q1"), ("incident.severity", "high")]);
        incident.attributes.push((format!("extra.{number}"), Value::Flag(true)));
        incident.services = vec![service.clone(), "checkout".to_owned()];
        incident.from = generator.from + 10 * number as u64 * second;
        incident.until = incident.from + 25 * second;
        scene.incidents.push(incident);
    }
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let tally = agree(&scene, signal, &irregular(&generator, signal), &EVERYTHING);
        assert!(tally.items_marked > 500, "{signal:?}: {tally:?}");
        assert!(tally.items_outside_window > 50, "{signal:?}: {tally:?}");
    }
}

/// Scenario: every outcome an item can have, in one run of the generators.
/// Guarantees: the properties above are not true for want of cases.
#[test]
fn the_generated_batches_reach_every_count() {
    let generator = Generator { items: 512, ..Generator::default() };
    let mut scene = Scene::marking_all(&[("incident.id", "a"), ("http.route", "b")]);
    scene.incidents[0].until = generator.from + 30_000_000_000;
    scene.incidents[0].services = generator.services[..5].to_vec();
    let marking = Marking { spans: SpanMarking::EntryAndError, ..EVERYTHING };
    let first = agree(&scene, Signal::Traces, &irregular(&generator, Signal::Traces), &marking);
    assert!(first.resources_without_service > 0 && first.resources_unaffected > 0, "{first:?}");
    assert!(first.items_marked > 0 && first.items_outside_window > 0, "{first:?}");
    assert!(first.items_without_time > 0 && first.items_not_entry_or_error > 0, "{first:?}");

    let (marked, _) =
        scene.rewrite(Signal::Traces, &generator.bytes(plain_signal(Signal::Traces)), &EVERYTHING).unwrap();
    let again = agree(&scene, Signal::Traces, &marked.unwrap(), &EVERYTHING);
    assert!(again.items_already_marked > 0, "{again:?}");

    // The marker is another group's key, and that group is kept out.
    let mut all_there = Scene::marking_all(&[("http.route", "a"), ("absent", "b")]);
    all_there.incidents.push(TestIncident::everywhere(&[("absent", "c"), ("url.path", "d")]));
    let nothing = agree(&all_there, Signal::Traces, &generator.bytes(plain_signal(Signal::Traces)), &EVERYTHING);
    assert_eq!(nothing.items_nothing_absent, 512, "{nothing:?}");
}
