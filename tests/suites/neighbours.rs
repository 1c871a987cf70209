//! The programs that Faultline stands between, without it: what they do with the files in `deploy/`, so that what is seen
//! with it is its doing.

mod servers;

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use faultline_test_support::{Generator, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use servers::{Alertmanager, Collector, WebhookListener, eventually, file};

const BEHIND: &str = "deploy/collector/behind.yaml";
const TAIL_SAMPLING: &str = "deploy/collector/tail_sampling.yaml";

/// How the Collector in front reaches the next hop.
struct Way {
    exporter: &'static str,
    compression: &'static str,
}

const GRPC: Way = Way { exporter: "otlp_grpc/faultline", compression: "none" };
const HTTP_GZIP: Way = Way { exporter: "otlp_http/faultline", compression: "gzip" };

/// A Collector in front that sends to `next`, where Faultline would be.
fn in_front_of(next: &Collector, way: &Way) -> Collector {
    let settings = [
        ("FAULTLINE_GRPC_ENDPOINT", next.grpc().to_string()),
        ("FAULTLINE_HTTP_ENDPOINT", format!("http://{}", next.http())),
        ("FAULTLINE_INSECURE", "true".to_owned()),
        ("FAULTLINE_EXPORTER", way.exporter.to_owned()),
        ("FAULTLINE_COMPRESSION", way.compression.to_owned()),
    ];
    Collector::start(
        "deploy/collector/in_front.yaml",
        &settings.each_ref().map(|(name, value)| (*name, value.as_str())),
    )
}

fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

/// Sorted, a span that came twice twice.
fn identities<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<_> = spans.into_iter().map(|span| (span.trace_id.clone(), span.span_id.clone())).collect();
    found.sort();
    found
}

/// Waits until as many spans have arrived as were sent, and holds them to be the same.
fn check_arrived(behind: &Collector, sent: &[ExportTraceServiceRequest]) {
    let sent = identities(sent.iter().flat_map(spans_of));
    let arrived = eventually("all spans behind the second Collector", || {
        let arrived = behind.written_spans();
        (arrived.len() >= sent.len()).then_some(arrived)
    });
    assert!(identities(&arrived) == sent, "{} spans were sent, and {} or others arrived", sent.len(), arrived.len());
}

fn check_way(way: &Way) {
    let behind = Collector::start(BEHIND, &[]);
    let front = in_front_of(&behind, way);
    let requests: Vec<_> = (0..4).map(|seed| Generator { seed, ..Generator::default() }.traces()).collect();
    for request in &requests {
        front.send(Signal::Traces, &request.encode_to_vec());
    }
    check_arrived(&behind, &requests);
    let spans = requests.iter().flat_map(spans_of).count() as f64;
    eventually("its counter", || (front.metric("otelcol_exporter_sent_spans") == spans).then_some(()));
    assert_eq!(front.metric("otelcol_exporter_send_failed_spans"), 0.0);
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Scenario: the Collector that `install` built.
/// Guarantees: its program was made from builder.yaml as it is now.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_collector_has_the_parts_that_its_builder_file_names() {
    let listed = text(&Collector::run(&["components"]));
    let found: BTreeSet<_> = listed.lines().filter_map(|line| line.trim().strip_prefix("module: ")).collect();
    let description = fs::read_to_string(file("tests/servers/otelcol/builder.yaml")).expect("it can be read");
    let named: BTreeSet<_> = description.lines().filter_map(|line| line.trim().strip_prefix("- gomod: ")).collect();
    assert_eq!(found, named, "run tests/servers/otelcol/generate and tests/servers/install");
}

/// Scenario: an operator starts from any of the files.
/// Guarantees: the Collector takes it, with no variable set.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_collector_accepts_each_of_its_configurations_in_deploy() {
    let mut checked = 0;
    for entry in fs::read_dir(file("deploy/collector")).expect("the folder can be read") {
        let path = entry.expect("its files can be listed").path();
        let path = path.to_str().expect("the path is a text");
        let output = Collector::run(&["validate", "--config", path]);
        assert!(output.status.success(), "{path}: {}", text(&output));
        checked += 1;
    }
    assert!(checked >= 3, "{checked} configurations are there");
    let output = Collector::run(&["validate", "--config", "yaml:receivers: {nothing: {}}"]);
    assert!(!output.status.success(), "it accepts anything");
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn spans_pass_both_collectors_by_grpc_uncompressed() {
    check_way(&GRPC);
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn spans_pass_both_collectors_by_http_with_gzip() {
    check_way(&HTTP_GZIP);
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn log_records_and_data_points_pass_both_collectors() {
    let behind = Collector::start(BEHIND, &[]);
    let front = in_front_of(&behind, &GRPC);
    let generator = Generator { items: 64, ..Generator::default() };
    for (signal, items) in [(Signal::Logs, "logRecords"), (Signal::Metrics, "dataPoints")] {
        front.send(signal, &generator.bytes(signal));
        let what = format!("64 {items} behind the second Collector");
        eventually(&what, || (count(&Value::Array(behind.written(signal)), items) == 64).then_some(()));
    }
}

/// Elements of all lists of that name, at any depth.
fn count(value: &Value, list: &str) -> usize {
    match value {
        Value::Array(values) => values.iter().map(|value| count(value, list)).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::Array(elements) if name == list => elements.len(),
                other => count(other, list),
            })
            .sum(),
        _ => 0,
    }
}

/// Scenario: the next hop is killed, spans come meanwhile, and it is started again.
/// Guarantees: the sender has its answer at once, and every span arrives once: queue and retries of in_front.yaml work.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_is_sent_while_the_next_hop_is_down_arrives_when_it_is_back() {
    let mut behind = Collector::start(BEHIND, &[]);
    let front = in_front_of(&behind, &GRPC);
    let requests: Vec<_> = (0..3).map(|seed| Generator { seed, items: 64, ..Generator::default() }.traces()).collect();
    front.send(Signal::Traces, &requests[0].encode_to_vec());
    check_arrived(&behind, &requests[..1]);

    behind.stop();
    for request in &requests[1..] {
        front.send(Signal::Traces, &request.encode_to_vec());
    }
    // It has tried in vain.
    eventually("a retry", || front.log().contains("Will retry").then_some(()));
    behind.start_again();
    check_arrived(&behind, &requests);
}

/// Scenario: one trace in eight was marked, on one of its spans.
/// Guarantees: the sampler of the recipe keeps all spans of those, and about a twentieth of the others.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_sampler_keeps_every_trace_of_an_incident_and_few_others() {
    let sampler = Collector::start(TAIL_SAMPLING, &[("DECISION_WAIT", "1s")]);
    let mut request = Generator { items: 4096, ..Generator::default() }.traces();
    let traces: BTreeSet<_> = spans_of(&request).map(|span| span.trace_id.clone()).collect();
    let marked: BTreeSet<_> = traces.iter().step_by(8).cloned().collect();
    let mut unmarked = marked.clone();
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        if unmarked.remove(&span.trace_id) {
            span.attributes.push(incident_active());
        }
    }
    assert!(unmarked.is_empty() && marked.len() > 50, "{} traces are marked", marked.len());
    sampler.send(Signal::Traces, &request.encode_to_vec());

    let is_of = |traces: &BTreeSet<Vec<u8>>, span: &Span| traces.contains(&span.trace_id);
    let wanted = identities(spans_of(&request).filter(|span| is_of(&marked, span)));
    let kept = eventually("all spans of marked traces behind the sampler", || {
        let kept = sampler.written_spans();
        (kept.iter().filter(|span| is_of(&marked, span)).count() >= wanted.len()).then_some(kept)
    });
    assert!(identities(kept.iter().filter(|span| is_of(&marked, span))) == wanted);
    let kept_traces: BTreeSet<_> = kept.iter().map(|span| span.trace_id.clone()).collect();
    let others = kept_traces.difference(&marked).count();
    let all_others = traces.len() - marked.len();
    assert!(others * 7 < all_others, "{others} of {all_others} traces without a mark were kept");
}

fn incident_active() -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::BoolValue(true)) };
    KeyValue { key: "incident.active".to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Scenario: Prometheus tells of an alert, and later that it has ended.
/// Guarantees: Alertmanager sends a webhook of version 4 for each, to the path of the source and with its token.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn alertmanager_tells_of_an_alert_and_of_its_end() {
    let listener = WebhookListener::start();
    let url = listener.url("/webhooks/alertmanager");
    let alertmanager = Alertmanager::start("deploy/alertmanager/alertmanager.yaml", &url, "a-token-for-tests");
    let labels = json!({"alertname": "HighErrorRate", "service": "checkout", "severity": "critical"});

    alertmanager.tell(&json!([{"labels": labels, "startsAt": "2026-03-01T10:00:00Z"}]));
    let webhook = listener.next();
    assert_eq!((webhook.method.as_str(), webhook.path.as_str()), ("POST", "/webhooks/alertmanager"));
    assert_eq!(webhook.header("Authorization"), Some("Bearer a-token-for-tests"));
    let firing = body(&webhook.body);
    assert_eq!(firing["version"], "4");
    assert_eq!(firing["receiver"], "faultline");
    assert_eq!(firing["alerts"][0]["status"], "firing");
    assert_eq!(firing["alerts"][0]["labels"], labels);

    let end = json!([{"labels": labels, "startsAt": "2026-03-01T10:00:00Z", "endsAt": "2026-03-01T10:05:00Z"}]);
    alertmanager.tell(&end);
    let resolved = body(&listener.next().body);
    assert_eq!(resolved["alerts"][0]["status"], "resolved");
    assert_eq!(resolved["alerts"][0]["endsAt"], "2026-03-01T10:05:00Z");
    assert_eq!(resolved["alerts"][0]["fingerprint"], firing["alerts"][0]["fingerprint"]);
}

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the body is JSON")
}
