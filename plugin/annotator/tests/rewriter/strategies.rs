//! What the properties hold for: incidents, what may be marked, and batches, also such as lack what most have.

use faultline_annotator::{
    annotation::Value,
    config::SpanMarking,
    limits,
    otlp::{Marking, Signal},
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

use crate::scene::{Scene, TestIncident};

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

/// Any of the three.
pub(crate) fn signals() -> impl Strategy<Value = Signal> {
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

/// One to four incidents.
pub(crate) fn scenes() -> impl Strategy<Value = Scene> {
    collection::vec(incidents(), 1..5).prop_map(|incidents| Scene { incidents })
}

/// What may be marked, in any combination.
pub(crate) fn markings() -> impl Strategy<Value = Marking> {
    let spans = sample::select(vec![SpanMarking::All, SpanMarking::EntryAndError, SpanMarking::Off]);
    (spans, prop::bool::weighted(0.9), any::<bool>(), any::<bool>()).prop_map(|(spans, logs, points, exemplars)| {
        Marking { spans, logs, points, exemplars, batch_bytes_max: limits::BATCH_BYTES_MAX }
    })
}

/// Batches of so many items, with and without an environment.
pub(crate) fn generators(items: impl Strategy<Value = usize>) -> impl Strategy<Value = Generator> {
    let environment = prop_oneof![Just(None), Just(Some("production".to_owned()))];
    (any::<u64>(), items, environment).prop_map(|(seed, items, environment)| Generator {
        seed,
        items,
        environment,
        ..Generator::default()
    })
}

/// A batch in which some items lack what most have: times, attributes, an end after the start, a resource.
pub(crate) fn irregular(generator: &Generator, signal: Signal) -> Vec<u8> {
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
            // Read long after it was written, so that another window counts.
            2 => record.observed_time_unix_nano += 30_000_000_000,
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
