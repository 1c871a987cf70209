//! On batches that a canonical writer made, the rewriter and the oracle give the same bytes and the same counts.

use faultline_annotator::{
    annotation::Value,
    config::SpanMarking,
    limits,
    otlp::{Marking, Signal, Tally},
};
use faultline_test_support::{
    Generator,
    opentelemetry_proto::tonic::collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    prost::Message,
};
use proptest::{collection, prelude::*, sample};

use crate::scene::{EVERYTHING, Scene, TestIncident, plain_signal};

/// Some that generated items have, so that groups are kept out, or added in part.
const KEYS: [&str; 10] = [
    "incident.id",
    "incident.ids",
    "incident.active",
    "incident.url",
    "deployment.id",
    "http.route",
    "thread.id",
    "session.id",
    "user.tier",
    "logger.name",
];

fn signals() -> impl Strategy<Value = Signal> {
    sample::select(vec![Signal::Traces, Signal::Metrics, Signal::Logs])
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,200}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Flag),
        collection::vec("[a-z:]{0,12}", 0..4).prop_map(Value::Texts),
    ]
}

/// Incidents of one or more services, or all, within or around the minute of the batch.
fn incidents() -> impl Strategy<Value = TestIncident> {
    let Generator { services, from, .. } = Generator::default();
    let window = (0..70_u64, 0..40_u64)
        .prop_map(move |(start, length)| (from + start * 1_000_000_000, from + (start + length) * 1_000_000_000));
    let services = sample::subsequence(services, 0..=4);
    let attributes = collection::vec((sample::select(KEYS.to_vec()), values()), 0..6);
    let environment = prop_oneof![Just(None), Just(Some("production".to_owned())), Just(Some("staging".to_owned()))];
    (services, environment, window, attributes).prop_map(|(services, environment, (from, until), attributes)| {
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        TestIncident { services, namespace: None, environment, from, until, attributes }
    })
}

fn scenes() -> impl Strategy<Value = Scene> {
    collection::vec(incidents(), 1..5).prop_map(|incidents| Scene { incidents })
}

fn markings() -> impl Strategy<Value = Marking> {
    let spans = sample::select(vec![SpanMarking::All, SpanMarking::EntryAndError, SpanMarking::Off]);
    (spans, prop::bool::weighted(0.9), any::<bool>(), any::<bool>()).prop_map(|(spans, logs, points, exemplars)| {
        Marking { spans, logs, points, exemplars, batch_bytes_max: limits::BATCH_BYTES_MAX }
    })
}

fn generators(items: impl Strategy<Value = usize>) -> impl Strategy<Value = Generator> {
    let environment = prop_oneof![Just(None), Just(Some("production".to_owned()))];
    (any::<u64>(), items, environment).prop_map(|(seed, items, environment)| Generator {
        seed,
        items,
        environment,
        ..Generator::default()
    })
}

/// A batch in which some items lack what most have: times, attributes, an end after the start, a resource.
fn irregular(generator: &Generator, signal: Signal) -> Vec<u8> {
    match signal {
        Signal::Traces => {
            let mut request = generator.traces();
            make_spans_irregular(&mut request);
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = generator.logs();
            make_logs_irregular(&mut request);
            request.encode_to_vec()
        }
        Signal::Metrics => {
            let mut request = generator.metrics();
            make_metrics_irregular(&mut request);
            request.encode_to_vec()
        }
    }
}

fn make_spans_irregular(request: &mut ExportTraceServiceRequest) {
    for group in request.resource_spans.iter_mut().skip(1).step_by(5) {
        group.resource = None;
    }
    let spans =
        request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans).flat_map(|scope| &mut scope.spans);
    for (index, span) in spans.enumerate() {
        match index % 11 {
            1 => span.start_time_unix_nano = 0,
            3 => span.end_time_unix_nano = 0,
            5 => (span.start_time_unix_nano, span.end_time_unix_nano) = (0, 0),
            7 => span.attributes.clear(),
            9 => std::mem::swap(&mut span.start_time_unix_nano, &mut span.end_time_unix_nano),
            10 => (span.attributes, span.status, span.flags) = (Vec::new(), None, 0),
            _ => {}
        }
    }
}

fn make_logs_irregular(request: &mut ExportLogsServiceRequest) {
    for group in request.resource_logs.iter_mut().skip(1).step_by(5) {
        group.resource = Some(Default::default());
    }
    let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
    for (index, record) in scopes.flat_map(|scope| &mut scope.log_records).enumerate() {
        match index % 7 {
            1 => (record.time_unix_nano, record.observed_time_unix_nano) = (0, 0),
            3 => record.attributes.clear(),
            5 => record.observed_time_unix_nano = 0,
            _ => {}
        }
    }
}

fn make_metrics_irregular(request: &mut ExportMetricsServiceRequest) {
    let scopes = request.resource_metrics.iter_mut().flat_map(|group| &mut group.scope_metrics);
    for (index, metric) in scopes.flat_map(|scope| &mut scope.metrics).enumerate() {
        if index % 9 == 8 {
            metric.data = None;
        }
    }
}

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
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

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
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

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
