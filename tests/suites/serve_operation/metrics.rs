//! `/metrics`, and the same by OTLP.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use faultline::serve::metrics::{Kind, Metrics};
use faultline_load::{Protocol, Refusal, Script};
use faultline_test_support::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message;

use super::servers::{Faultline, Setup, eventually, file, http};
use super::{send, send_to, sink};

/// One line with a value.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Families that alerts and dashboards are built on, as the page says that they are called.
const FAMILIES: [&str; 19] = [
    "faultline_build_info",
    "faultline_config_reloads_total",
    "faultline_exporter_send_failed_spans_total",
    "faultline_exporter_sent_spans_total",
    "faultline_gaps",
    "faultline_held_bytes",
    "faultline_held_capacity_bytes",
    "faultline_incident_transitions_total",
    "faultline_incidents_open",
    "faultline_marking_stopped",
    "faultline_plugin_duration_seconds",
    "faultline_plugin_restarts_total",
    "faultline_receiver_accepted_spans_total",
    "faultline_receiver_refused_spans_total",
    "faultline_request_duration_seconds",
    "faultline_unmarked_spans_total",
    "faultline_uptime_seconds",
    "faultline_webhook_duration_seconds",
    "faultline_webhooks_total",
];

/// Reads the text format of Prometheus, version 0.0.4, as strictly as it is specified. Answers with the types of families,
/// and all samples.
fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Sample>) {
    assert!(text.ends_with('\n'), "the last line must end");
    let mut types = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut samples = Vec::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("HELP has a name and a text");
            assert!(!help.trim().is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("TYPE has a name and a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            assert!(helped.contains(name), "no HELP before {line}");
            name.clone_into(&mut family);
        } else {
            let sample = sample(line);
            let ending = sample.name.strip_prefix(family.as_str()).expect("samples stand below their family");
            let endings: &[&str] = if types[&family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(endings.contains(&ending), "{line} is not of {family}");
            samples.push(sample);
        }
    }
    (types, samples)
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, rest) = series.split_at(series.find('{').unwrap_or(series.len()));
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_prefix('{').map_or(rest, |rest| rest.strip_suffix('}').expect("labels end"));
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(is_name(label), "{line}");
        let mut is_escaped = false;
        let end = behind.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        let end = end.unwrap_or_else(|| panic!("the value of {label} does not end: {line}"));
        assert!(labels.insert(label.to_owned(), behind[..end].to_owned()).is_none(), "{label} twice: {line}");
        rest = &behind[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Sample { name: name.to_owned(), labels, value }
}

/// A server to which everything happened that is counted.
fn eventful(setup: &Setup, sink: &faultline_load::Sink) -> Faultline {
    let faultline = Faultline::start(setup);
    faultline.open_incident("1", "checkout");
    send(&faultline, 4);
    sink.set_script(Script::once([Refusal::unavailable()]));
    send_to(faultline.addresses().grpc, Protocol::Grpc, 1);
    let forged = http::post(faultline.addresses().webhooks, "/webhooks/manual", &[], b"{}").expect("it answers");
    assert_eq!(forged.status, 401);
    faultline.hang_up();
    let reloads = || faultline.metric("faultline_config_reloads_total", &[]);
    eventually("the configuration to be read again", || (reloads() > 0.0).then_some(()));
    faultline
}

/// Guarantees: every line is as the format has it, names are said once, and buckets add up.
#[test]
fn metrics_are_in_the_format_of_prometheus() {
    let sink = sink();
    let faultline = eventful(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"), &sink);
    let text = http::get(faultline.addresses().telemetry, "/metrics").expect("it answers").text();
    let (types, samples) = parse(&text);
    for family in FAMILIES {
        assert!(types.contains_key(family), "{family} is not in\n{text}");
    }
    for (name, kind) in &types {
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert!(name.starts_with("faultline_"), "{name}");
    }
    let mut series = BTreeSet::new();
    for Sample { name, labels, value } in &samples {
        assert!(series.insert((name, labels)), "{name} {labels:?} is told twice");
        assert!(value.is_finite() && *value >= 0.0, "{name} {labels:?} {value}");
    }
    for name in types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
        let of = |ending| samples.iter().filter(move |sample| sample.name.strip_prefix(name.as_str()) == Some(ending));
        let buckets: Vec<f64> = of("_bucket").map(|sample| sample.value).collect();
        assert!(buckets.is_sorted(), "{name}: {buckets:?}");
        assert_eq!(of("_bucket").next_back().map(|sample| sample.labels["le"].as_str()), Some("+Inf"), "{name}");
        assert_eq!(of("_count").map(|sample| sample.value).next_back(), buckets.last().copied(), "{name}");
    }
    let webhooks = samples.iter().filter(|sample| sample.name == "faultline_webhooks_total");
    let statuses: BTreeSet<_> = webhooks.map(|sample| sample.labels["status"].as_str()).collect();
    assert_eq!(statuses, BTreeSet::from(["202", "401"]), "signature failures show by their status");
}

/// Guarantees: what the README and the page on deployment call a metric of the server is one, so that an alert that is
/// copied from them can fire.
#[test]
fn every_metric_that_is_written_about_is_there() {
    let sink = sink();
    let faultline = eventful(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"), &sink);
    let text = http::get(faultline.addresses().telemetry, "/metrics").expect("it answers").text();
    let mut known: BTreeSet<String> = parse(&text).0.into_keys().collect();
    // Also those that nothing has happened to yet.
    known.extend(Metrics::default().families().into_iter().map(|family| {
        let unit = if family.unit.is_empty() { String::new() } else { format!("_{}", family.unit) };
        let total = if family.kind == Kind::Counter { "_total" } else { "" };
        format!("faultline_{}{unit}{total}", family.name)
    }));
    let is_part_of_name = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    for page in ["README.md", "deploy/README.md", "docs/serve.md"] {
        let text = fs::read_to_string(file(page)).expect("the page can be read");
        let words = text.split(|letter| !is_part_of_name(letter));
        for word in words.filter(|word| word.starts_with("faultline_") && !word.ends_with('_')) {
            assert!(known.contains(word), "{page} writes of {word}, which is none of {known:#?}");
        }
    }
}

/// Scenario: own metrics are pushed to a next hop of their own.
/// Guarantees: they are OTLP that says whose they are, and count what `/metrics` counts.
#[test]
fn own_metrics_are_pushed_by_otlp() {
    for protocol in Protocol::ALL {
        let (sink, own) = (sink(), sink());
        let name = if protocol == Protocol::Grpc { "grpc" } else { "http" };
        let telemetry = format!(
            ", otlp: {{ endpoint: \"http://{}\", protocol: {name}, interval: 1s, headers: {{ x-tenant: ops }} }}",
            own.address(protocol)
        );
        let setup = Setup { telemetry, ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc") };
        let faultline = Faultline::start(&setup);
        let sent = send(&faultline, 4);
        let pushed = eventually("own metrics that count the spans", || {
            let request = own.requests().pop()?;
            assert_eq!(request.signal, Signal::Metrics);
            assert_eq!(request.headers.get("x-tenant").map(http_value), Some("ops"));
            let request = ExportMetricsServiceRequest::decode(request.message).expect("it is OTLP");
            (accepted_spans(&request) == i64::try_from(sent).ok()).then_some(request)
        });
        let resource = pushed.resource_metrics[0].resource.as_ref().expect("it says whose they are");
        let keys: Vec<_> = resource.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys, ["service.name", "service.version", "service.instance.id"]);
        assert_eq!(sink.counts().accepted.items, sent, "they do not go where telemetry goes");
    }
}

fn http_value(value: &::http::HeaderValue) -> &str {
    value.to_str().expect("the value is a text")
}

/// By gRPC, of the counter of that name.
fn accepted_spans(request: &ExportMetricsServiceRequest) -> Option<i64> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let mut metrics = scopes.flat_map(|scope| &scope.metrics);
    let counter = metrics.find(|metric| metric.name == "faultline.receiver_accepted_spans")?;
    let Some(metric::Data::Sum(sum)) = &counter.data else { panic!("it is a counter: {counter:?}") };
    assert!(sum.is_monotonic);
    let values = sum.data_points.iter().filter_map(|point| point.value);
    let values = values.map(|value| match value {
        number_data_point::Value::AsInt(value) => value,
        number_data_point::Value::AsDouble(value) => panic!("{value} is no count"),
    });
    Some(values.sum())
}
