//! The OpenTelemetry Collector with Faultline inside: built by the Collector's builder from `plugin/opentelemetry-collector`, with the
//! configurations of `deploy/collector_with_plugin`.
//!
//! What every scenario gives there is tested by the Go module itself, through its factories; here real OTLP and real webhooks
//! pass the real program.

#[path = "collector/generated.rs"]
mod generated;
#[path = "collector/scenario.rs"]
mod scenario;
mod servers;
mod support;

use std::collections::BTreeSet;
use std::fs;

use faultline::time::{SECOND, now};
use faultline_test_support::{Generator, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use scenario::RealScenario;
use serde_json::Value;
use servers::{Collector, Faultline, PagerDuty, Setup, eventually, file};

/// Takes webhooks, and keeps incidents on disk.
const COLLECTOR: &str = "deploy/collector_with_plugin/collector.yaml";
const TAIL_SAMPLING: &str = "deploy/collector_with_plugin/tail_sampling.yaml";
const SPOKE: &str = "deploy/collector_with_plugin/spoke.yaml";
const MINUTE: u64 = 60 * SECOND;
const PAGERDUTY_SECRET: &str = "pagerduty-secret-of-the-collector";
/// What the files ask for.
const SECRETS: [(&str, &str); 3] = [
    ("PAGERDUTY_SECRET", PAGERDUTY_SECRET),
    ("ALERTMANAGER_TOKEN", "alertmanager-token-of-the-collector"),
    ("FAULTLINE_SPOKE_TOKEN", "spoke-token"),
];

/// A Collector, and what was sent to it.
struct Pipeline {
    collector: Collector,
    pagerduty: PagerDuty,
    seed: u64,
}

// === impl Pipeline ===

impl Pipeline {
    fn start(configuration: &str, further: &[(&str, &str)]) -> Self {
        let collector = Collector::start_with_plugin(configuration, &[&SECRETS[..], further].concat());
        let pagerduty = PagerDuty { to: collector.webhooks(), secret: PAGERDUTY_SECRET, created: now() - 10 * MINUTE };
        Self { collector, pagerduty, seed: 0 }
    }

    /// A batch of one service whose items began in the last minute.
    fn batch(&mut self, service: &str) -> Generator {
        self.seed += 1;
        let services = vec![service.to_owned()];
        Generator { seed: self.seed, items: 32, services, from: now() - MINUTE, until: now(), ..Generator::default() }
    }

    /// Sends spans of a service, and tells how many of them came out with the mark of that incident.
    fn marked_spans(&mut self, service: &str) -> usize {
        let request = self.batch(service).traces();
        self.collector.send(Signal::Traces, &request.encode_to_vec());
        let sent = identities(spans_of(&request));
        let arrived = eventually("the spans in the file", || {
            let written = self.collector.written_spans();
            let arrived: Vec<_> = written.into_iter().filter(|span| sent.contains(&identity(span))).collect();
            (arrived.len() >= sent.len()).then_some(arrived)
        });
        assert_eq!(arrived.len(), sent.len(), "spans in = spans out");
        arrived.iter().filter(|span| has_mark(span)).count()
    }

    /// The same of log records.
    fn marked_records(&mut self, service: &str) -> usize {
        let before = records(&self.collector).len();
        let batch = self.batch(service);
        self.collector.send(Signal::Logs, &batch.bytes(Signal::Logs));
        let arrived = eventually("the log records in the file", || {
            let arrived = records(&self.collector);
            (arrived.len() >= before + batch.items).then_some(arrived)
        });
        assert_eq!(arrived.len(), before + batch.items, "records in = records out");
        arrived[before..].iter().filter(|record| record.to_string().contains(PagerDuty::INCIDENT)).count()
    }
}

fn identity(span: &Span) -> (Vec<u8>, Vec<u8>) {
    (span.trace_id.clone(), span.span_id.clone())
}

fn identities<'a>(spans: impl IntoIterator<Item = &'a Span>) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
    spans.into_iter().map(identity).collect()
}

fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

fn has_mark(span: &Span) -> bool {
    span.attributes.iter().any(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        attribute.key == "incident.id"
            && matches!(value, Some(any_value::Value::StringValue(id)) if id == PagerDuty::INCIDENT)
    })
}

/// All log records that it has written.
fn records(collector: &Collector) -> Vec<Value> {
    let requests = collector.written(Signal::Logs);
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let resources = requests.iter().flat_map(|request| list(request, "resourceLogs"));
    let scopes = resources.flat_map(|resource| list(&resource, "scopeLogs"));
    scopes.flat_map(|scope| list(&scope, "logRecords")).collect()
}

/// Scenario: an operator starts from any of the files.
/// Guarantees: the Collector takes it once its secrets are set, and names the key where one is missing.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_collector_accepts_each_of_its_configurations_in_deploy() {
    let mut checked = 0;
    for entry in fs::read_dir(file("deploy/collector_with_plugin")).expect("the folder can be read") {
        let path = entry.expect("its files can be listed").path();
        if path.ends_with("builder.yaml") {
            continue;
        }
        let path = path.to_str().expect("the path is a text");
        let output = Collector::run_with_plugin(&["validate", "--config", path], &SECRETS);
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        checked += 1;
    }
    assert!(checked >= 4, "{checked} configurations are there");
    let collector = file(COLLECTOR);
    let without = Collector::run_with_plugin(&["validate", "--config", collector.to_str().expect("a text")], &[]);
    let told = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && told.contains("sources::pagerduty::secrets"), "{told}");
}

/// Scenario: a webhook with a valid signature, one that is forged; the Collector is killed and started again; the incident
/// is resolved.
/// Guarantees: spans and log records of its service are marked from the answer on, until it is resolved, and after the
/// start without another webhook; the forged one is answered with 401 and does nothing.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn an_incident_of_pagerduty_marks_until_it_is_resolved_and_survives_a_kill() {
    let mut pipeline = Pipeline::start(COLLECTOR, &[]);
    let forged = PagerDuty { secret: "a-guess", ..pipeline.pagerduty };
    assert_eq!(forged.triggers().status, 401);
    assert_eq!(pipeline.marked_spans("checkout"), 0, "after the forged webhook");

    let answer = pipeline.pagerduty.triggers();
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(pipeline.marked_spans("checkout"), 32);
    assert_eq!(pipeline.marked_records("checkout"), 32);
    assert_eq!(pipeline.marked_spans("cart"), 0);
    assert_eq!(pipeline.collector.metric("otelcol_extension_faultline_incidents_active"), 1.0);
    assert_eq!(pipeline.collector.metric("otelcol_extension_faultline_items_marked"), 64.0);

    pipeline.collector.stop();
    pipeline.collector.start_again();
    assert_eq!(pipeline.marked_spans("checkout"), 32, "after the kill");

    // It ended six minutes ago, as its sender says: also its grace of five is over.
    let answer = pipeline.pagerduty.resolves(now() - 6 * MINUTE);
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(pipeline.marked_spans("checkout"), 0, "after it was resolved");
    assert_eq!(pipeline.marked_records("checkout"), 0, "after it was resolved");
}

/// Scenario: a sampler stands behind the processor; an incident of one of two services is open.
/// Guarantees: every trace of that service is kept, and few of the other.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn every_trace_of_an_incident_passes_the_sampler_behind() {
    let mut pipeline = Pipeline::start(TAIL_SAMPLING, &[("DECISION_WAIT", "1s")]);
    let answer = pipeline.pagerduty.triggers();
    assert_eq!(answer.status, 202, "{}", answer.text());
    let mut sent = Vec::new();
    for service in ["checkout", "cart"] {
        let batch = Generator { items: 2048, ..pipeline.batch(service) };
        pipeline.collector.send(Signal::Traces, &batch.traces().encode_to_vec());
        sent.push(batch.traces());
    }
    let wanted = identities(spans_of(&sent[0]));
    let kept = eventually("all spans of the incident's service behind the sampler", || {
        let kept = pipeline.collector.written_spans();
        identities(&kept).is_superset(&wanted).then_some(kept)
    });
    let others = identities(spans_of(&sent[1]));
    let kept_others = identities(&kept).intersection(&others).count();
    assert!(kept_others * 7 < others.len(), "{kept_others} of {} spans without a mark were kept", others.len());
}

/// Scenario: the Collector follows a hub, which is stopped, and later started again.
/// Guarantees: what the hub knows is marked here; after its time to live nothing is; then it is again.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn marks_end_with_the_hubs_time_to_live_and_come_back_with_it() {
    let discard = "127.0.0.1:9".parse().expect("it is an address");
    let spokes = Some("tokens: [spoke-token], time_to_live: 3s".to_owned());
    let mut hub = Faultline::start(&Setup { spokes, ..Setup::forwarding_to(discard, "grpc") });
    let address = hub.addresses().spokes.expect("it has the listener");
    let pagerduty =
        PagerDuty { to: hub.addresses().webhooks, secret: "pagerduty-secret", created: now() - 10 * MINUTE };
    assert_eq!(pagerduty.triggers().status, 202);
    let url = format!("http://{address}");
    let mut spoke = Pipeline::start(SPOKE, &[("FAULTLINE_HUB", url.as_str()), ("FAULTLINE_HUB_INTERVAL", "200ms")]);
    eventually("the marks", || (spoke.marked_spans("checkout") == 32).then_some(()));
    assert_eq!(spoke.marked_spans("cart"), 0);

    hub.kill();
    assert_eq!(spoke.marked_spans("checkout"), 32, "within the time to live");
    eventually("the end of the marks", || (spoke.marked_spans("checkout") == 0).then_some(()));
    assert!(spoke.collector.log().contains("nothing is marked until it is back"), "{}", spoke.collector.log());
    assert_eq!(spoke.collector.metric("otelcol_extension_faultline_hub_lapses"), 1.0);

    hub.start_again();
    eventually("the marks again", || (spoke.marked_spans("checkout") == 32).then_some(()));
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_main_scenario_ends_in_the_collector_as_with_the_component() {
    RealScenario::read("a_pagerduty_incident_marks_checkout_until_it_is_resolved").check();
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn two_incidents_of_a_service_end_in_the_collector_as_with_the_component() {
    RealScenario::read("two_overlapping_incidents_are_listed_most_severe_first").check();
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn incidents_of_one_team_end_in_the_collector_as_with_the_component() {
    RealScenario::read("only_incidents_of_the_matching_team_mark").check();
}
