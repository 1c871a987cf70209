//! Telemetry that was decoded, marked by positions and encoded again is the batch that the rewriter gives.

use std::collections::BTreeSet;

#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_annotator::otlp::{ItemMark, ItemMarks, Marking, Signal};
use faultline_test_support::{
    Generator,
    applier::{self, Mark},
    opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest,
    prost::Message,
};
use proptest::prelude::*;

use crate::{
    cases::with_cases,
    scene::{EVERYTHING, Scene, any_value, plain_signal},
    strategies::{generators, irregular, markings, scenes, signals},
    tree::{Node, encode},
};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[(Bug::WidenedLength, marks_put_on_by_prost_equal_the_rewritten_batch)];

/// The batch with the marks put on by `prost`; none where there are none.
fn applied(marks: &ItemMarks, signal: Signal, batch: &[u8]) -> Option<Vec<u8>> {
    let sets: Vec<_> =
        marks.sets.iter().map(|set| set.iter().map(|(key, value)| (key.clone(), any_value(value))).collect()).collect();
    let marked = marks.items.iter().map(|mark| {
        let ItemMark { resource, item, exemplar, attributes } = *mark;
        Mark { resource, item, exemplar, set: attributes }
    });
    let marked: Vec<Mark> = marked.collect();
    (!marked.is_empty()).then(|| applier::apply(plain_signal(signal), batch, &sets, &marked).expect("readable"))
}

fn check(scene: &Scene, signal: Signal, batch: &[u8], marking: &Marking) -> ItemMarks {
    let (marks, tally) = scene.item_marks(signal, batch, marking).unwrap();
    let (expected, expected_tally) = scene.rewrite(signal, batch, marking).unwrap();
    assert_eq!(tally, expected_tally);
    assert!(applied(&marks, signal, batch) == expected, "the bytes differ, for {signal:?} with {scene:?}");
    assert!(marks.items.is_sorted_by(|left, right| left < right), "items are in the order of the batch, each once");
    let used: BTreeSet<usize> = marks.items.iter().map(|mark| mark.attributes as usize).collect();
    assert!(used.into_iter().eq(0..marks.sets.len()), "every set is used, and there are no others");
    assert!(marks.sets.iter().all(|set| !set.is_empty()));
    for (index, set) in marks.sets.iter().enumerate() {
        assert!(!marks.sets[..index].contains(set), "sets differ");
    }
    marks
}

proptest! {
    #![proptest_config(with_cases(96))]

    #[test]
    fn marks_put_on_by_prost_equal_the_rewritten_batch(
        generator in generators(0..24_usize),
        signal in signals(),
        before in scenes(),
        scene in scenes(),
        marking in markings(),
    ) {
        let batch = irregular(&generator, signal);
        let marked = before.rewrite(signal, &batch, &EVERYTHING).unwrap().0;
        for batch in [Some(batch), marked].into_iter().flatten() {
            check(&scene, signal, &batch, &marking);
        }
    }
}

#[test]
fn what_many_items_get_is_one_set() {
    let scene = Scene::marking_all(&[("incident.id", "a"), ("incident.url", "b")]);
    for signal in [Signal::Traces, Signal::Logs] {
        let batch = Generator { items: 512, ..Generator::default() }.bytes(plain_signal(signal));
        let marks = check(&scene, signal, &batch, &EVERYTHING);
        assert_eq!((marks.sets.len(), marks.items.len()), (1, 512));
    }
    // Exemplars get the marker alone.
    let batch = Generator { items: 512, ..Generator::default() }.bytes(plain_signal(Signal::Metrics));
    let marks = check(&scene, Signal::Metrics, &batch, &EVERYTHING);
    assert_eq!(marks.sets.len(), 2);
    assert!(marks.items.iter().any(|mark| mark.exemplar.is_some()));
}

#[test]
fn resources_that_are_not_concerned_and_points_that_are_not_marked_are_counted_all_the_same() {
    let generator = Generator { items: 40, ..Generator::default() };
    let mut scene = Scene::marking_all(&[("incident.id", "a")]);
    scene.incidents[0].services = vec![generator.services[3].clone()];
    let batch = generator.bytes(plain_signal(Signal::Metrics));
    let marks = check(&scene, Signal::Metrics, &batch, &Marking { points: false, ..EVERYTHING });
    assert!(!marks.items.is_empty());
    assert!(marks.items.iter().all(|mark| mark.resource == 3 && mark.exemplar.is_some()));
    assert!(marks.items.iter().any(|mark| mark.item > 0));
}

/// Scenario: a metric with points of a gauge, and then a sum that takes their place.
/// Guarantees: the positions are those in what whoever decodes the batch has.
#[test]
fn points_that_nobody_has_who_decodes_the_batch_have_no_position() {
    let point = || Node::Message(1, vec![Node::Fixed64(3, 150)]);
    let gauge = Node::Message(5, vec![point(), point(), point()]);
    let sum = Node::Message(7, vec![point()]);
    let scope = Node::Message(2, vec![Node::Message(2, vec![gauge, sum])]);
    let batch = encode(&[Node::Message(1, vec![scope])]);
    let scene = Scene::marking_all(&[("incident.id", "a")]);
    let (marks, _) = scene.item_marks(Signal::Metrics, &batch, &EVERYTHING).unwrap();
    assert_eq!(marks.items, [ItemMark { resource: 0, item: 0, exemplar: None, attributes: 0 }]);
    let (rewritten, _) = scene.rewrite(Signal::Metrics, &batch, &EVERYTHING).unwrap();
    let decoded = |batch: &[u8]| ExportMetricsServiceRequest::decode(batch).unwrap();
    assert_eq!(decoded(&applied(&marks, Signal::Metrics, &batch).unwrap()), decoded(&rewritten.unwrap()));
}
