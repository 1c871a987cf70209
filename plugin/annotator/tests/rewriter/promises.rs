//! What holds for every batch: nothing is overwritten, nothing of others is lost, twice is once.

#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_annotator::otlp::{Marking, Signal};
use faultline_test_support::{
    Generator,
    opentelemetry_proto::tonic::{
        collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
        trace::v1::Span,
    },
    prost::Message,
    wire::varint,
};
use proptest::prelude::*;

use crate::{
    cases::with_cases,
    scene::{EVERYTHING, Scene, plain_signal},
    tree::{Node, attribute, encode, text, unknown},
};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[
    (Bug::UnknownFieldDropped, unknown_fields_in_every_message_leave_as_they_came),
    (Bug::UnknownFieldDropped, unknown_fields_between_known_ones_leave_as_they_came),
    (Bug::MarkerIgnored, rewriting_twice_equals_rewriting_once),
];

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// Which fields of a message are messages, down to the items and their exemplars.
struct Shape(&'static [(u32, &'static Shape)]);

const LEAF: Shape = Shape(&[]);
const TRACES: Shape = Shape(&[(1, &Shape(&[(1, &LEAF), (2, &Shape(&[(1, &LEAF), (2, &LEAF)]))]))]);
const NUMBERS: Shape = Shape(&[(1, &Shape(&[(5, &LEAF)]))]);
const HISTOGRAM: Shape = Shape(&[(1, &Shape(&[(8, &LEAF)]))]);
const EXPONENTIAL_HISTOGRAM: Shape = Shape(&[(1, &Shape(&[(11, &LEAF)]))]);
const SUMMARY: Shape = Shape(&[(1, &LEAF)]);
const METRIC: Shape =
    Shape(&[(5, &NUMBERS), (7, &NUMBERS), (9, &HISTOGRAM), (10, &EXPONENTIAL_HISTOGRAM), (11, &SUMMARY)]);
const METRICS: Shape = Shape(&[(1, &Shape(&[(1, &LEAF), (2, &Shape(&[(1, &LEAF), (2, &METRIC)]))]))]);

/// `batch` with unknown fields at the end of every message of `shape`.
fn with_unknown_fields(batch: &[u8], shape: &Shape) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = batch;
    while !rest.is_empty() {
        let before = rest;
        let tag = read_varint(&mut rest);
        let skipped = match tag & 7 {
            0 => {
                read_varint(&mut rest);
                0
            }
            1 => 8,
            2 => read_varint(&mut rest) as usize,
            _ => 4,
        };
        let (content, behind) = rest.split_at(skipped);
        rest = behind;
        match shape.0.iter().find(|(number, _)| u64::from(*number) << 3 | 2 == tag) {
            Some((_, inner)) => {
                let content = with_unknown_fields(content, inner);
                result.extend([varint(tag, 1), varint(content.len() as u64, 1), content].concat());
            }
            None => result.extend(&before[..before.len() - rest.len()]),
        }
    }
    result.extend(encode(&unknown(5000)));
    result
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("canonical");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}

fn incident() -> Scene {
    Scene::marking_all(&[("incident.id", "pagerduty:Q1"), ("incident.severity", "critical"), ("http.route", "ours")])
}

fn spans(batch: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(batch).expect("readable");
    let scopes = request.resource_spans.into_iter().flat_map(|group| group.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

proptest! {
    #![proptest_config(with_cases(32))]

    #[test]
    fn rewriting_twice_equals_rewriting_once(seed: u64, items in 1..32_usize) {
        for signal in SIGNALS {
            let batch = Generator { seed, items, ..Generator::default() }.bytes(plain_signal(signal));
            let (once, first) = incident().rewrite(signal, &batch, &EVERYTHING).unwrap();
            let (twice, second) = incident().rewrite(signal, &once.unwrap(), &EVERYTHING).unwrap();
            prop_assert_eq!(twice, None);
            prop_assert_eq!(second.items_already_marked, first.items_marked);
        }
    }

    #[test]
    fn no_attribute_is_overwritten_reordered_or_removed(seed: u64, items in 1..32_usize) {
        let batch = Generator { seed, items, ..Generator::default() }.bytes(plain_signal(Signal::Traces));
        let (marked, _) = incident().rewrite(Signal::Traces, &batch, &EVERYTHING).unwrap();
        for (before, after) in spans(&batch).into_iter().zip(spans(&marked.unwrap())) {
            let (added, kept) = after.attributes.split_at(after.attributes.len() - before.attributes.len());
            prop_assert_eq!(kept, &before.attributes[..]);
            let added: Vec<_> = added.iter().map(|added| added.key.as_str()).collect();
            prop_assert_eq!(added, ["incident.id", "incident.severity"]);
            prop_assert_eq!(Span { attributes: before.attributes.clone(), ..after }, before);
        }
    }

    #[test]
    fn a_metric_series_keeps_its_identity_by_default(seed: u64, items in 1..32_usize) {
        let batch = Generator { seed, items, ..Generator::default() }.bytes(plain_signal(Signal::Metrics));
        let default = Marking { points: false, exemplars: false, ..EVERYTHING };
        prop_assert_eq!(incident().rewrite(Signal::Metrics, &batch, &default).unwrap().0, None);

        // With exemplars, the request is the same once their attributes are taken away.
        let exemplars = Marking { points: false, ..EVERYTHING };
        if let (Some(marked), _) = incident().rewrite(Signal::Metrics, &batch, &exemplars).unwrap() {
            prop_assert_ne!(&marked, &batch);
            prop_assert_eq!(without_exemplar_attributes(&marked), without_exemplar_attributes(&batch));
        }
    }

    #[test]
    fn unknown_fields_in_every_message_leave_as_they_came(seed: u64, items in 1..16_usize) {
        for (signal, shape) in [(Signal::Traces, &TRACES), (Signal::Logs, &TRACES), (Signal::Metrics, &METRICS)] {
            let batch = Generator { seed, items, ..Generator::default() }.bytes(plain_signal(signal));
            let (marked, _) = incident().rewrite(signal, &batch, &EVERYTHING).unwrap();
            let strange = with_unknown_fields(&batch, shape);
            prop_assert_ne!(&strange, &batch);
            let (strange_marked, _) = incident().rewrite(signal, &strange, &EVERYTHING).unwrap();
            prop_assert_eq!(strange_marked.unwrap(), with_unknown_fields(&marked.unwrap(), shape));
        }
    }
}

fn without_exemplar_attributes(batch: &[u8]) -> ExportMetricsServiceRequest {
    use faultline_test_support::opentelemetry_proto::tonic::metrics::v1::{Exemplar, metric::Data};
    let mut request = ExportMetricsServiceRequest::decode(batch).expect("readable");
    let scopes = request.resource_metrics.iter_mut().flat_map(|group| &mut group.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        let exemplars: Vec<&mut Exemplar> = match &mut metric.data {
            Some(Data::Gauge(data)) => data.data_points.iter_mut().flat_map(|point| &mut point.exemplars).collect(),
            Some(Data::Sum(data)) => data.data_points.iter_mut().flat_map(|point| &mut point.exemplars).collect(),
            Some(Data::Histogram(data)) => data.data_points.iter_mut().flat_map(|point| &mut point.exemplars).collect(),
            Some(Data::ExponentialHistogram(data)) => {
                data.data_points.iter_mut().flat_map(|point| &mut point.exemplars).collect()
            }
            Some(Data::Summary(_)) | None => Vec::new(),
        };
        for exemplar in exemplars {
            exemplar.filtered_attributes.clear();
        }
    }
    request
}

/// Scenario: unknown fields before, between and behind the known ones, in every message, attributes included.
/// Guarantees: the bytes of the result are those of the batch and ours, nothing else.
#[test]
fn unknown_fields_between_known_ones_leave_as_they_came() {
    let interleaved = |fields: Vec<Node>| {
        let mut all = unknown(700);
        for field in fields {
            all.push(field);
            all.extend(unknown(800));
        }
        all
    };
    let request = |ours: Vec<Node>| {
        let theirs =
            Node::Message(9, interleaved(vec![text(1, "k"), Node::Message(2, interleaved(vec![text(1, "v")]))]));
        // Ours go in front of the first field with a number behind that of attributes: an unknown one.
        let mut span = ours;
        span.extend(interleaved(vec![Node::Fixed64(7, 1), Node::Fixed64(8, 2)]));
        span.push(theirs);
        span.extend(interleaved(vec![text(10, "an unknown wire type for a known field")]));
        let resource = Node::Message(1, interleaved(vec![attribute(1, "service.name", "cart")]));
        let scope = Node::Message(2, interleaved(vec![Node::Message(2, span)]));
        encode(&interleaved(vec![Node::Message(1, interleaved(vec![resource, scope]))]))
    };
    let mut scene = Scene::marking_all(&[("incident.id", "a"), ("incident.url", "b")]);
    scene.incidents[0].services = vec!["cart".to_owned()];
    let (marked, _) = scene.rewrite(Signal::Traces, &request(Vec::new()), &EVERYTHING).unwrap();
    let expected = request(vec![attribute(9, "incident.id", "a"), attribute(9, "incident.url", "b")]);
    assert_eq!(marked, Some(expected));
}
