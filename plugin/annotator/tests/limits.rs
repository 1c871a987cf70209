//! Every bound of the annotator is reached, and what happens there is what is documented. Bounds of single parsers and of
//! the state have their tests beside them.

use std::collections::BTreeSet;

use faultline_annotator::otlp::Signal;
use faultline_annotator::time::{HOUR, MINUTE, Nanos, Rfc3339, SECOND};
use faultline_annotator::webhook::{Receipt, Webhook};
use faultline_annotator::{Annotator, Outcome, Scope, limits};
use faultline_test_support::generator::Generator;
use faultline_test_support::opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use faultline_test_support::opentelemetry_proto::tonic::common::v1::KeyValue;
use faultline_test_support::opentelemetry_proto::tonic::common::v1::any_value::Value;
use faultline_test_support::prost::Message;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const NOW: Nanos = 1_772_359_200 * SECOND;

fn configured(more: &str) -> Annotator {
    let mut annotator = Annotator::default();
    let config = format!(r#"{{"sources": {{"m": {{"kind": "manual", "tokens": ["t"]}}}}{more}}}"#);
    annotator.configure(&config, "test").unwrap();
    annotator
}

fn post(body: &str) -> Webhook {
    Webhook {
        method: "POST".to_owned(),
        url: "/webhooks/m".to_owned(),
        headers: vec![("Authorization".to_owned(), b"Bearer t".to_vec())],
        body: body.as_bytes().to_vec(),
    }
}

fn receive(annotator: &mut Annotator, body: &str, now: Nanos) -> Receipt {
    let receipt = annotator.receive("m", &post(body), now);
    annotator.merge(&receipt.entries, now).unwrap();
    receipt
}

fn open(annotator: &mut Annotator, id: usize, service: &str) {
    let body = format!(r#"{{"action": "open", "id": "{id:04}", "services": ["{service}"], "severity": "high"}}"#);
    assert_eq!(receive(annotator, &body, NOW).status, 202);
}

fn spans(service: &str, items: usize) -> Vec<u8> {
    let generator = Generator {
        seed: 1,
        items,
        services: vec![service.to_owned()],
        from: NOW,
        until: NOW + MINUTE,
        environment: None,
        namespace: None,
    };
    generator.traces().encode_to_vec()
}

/// The attributes of the first span after processing.
fn first_span(annotator: &mut Annotator, batch: &[u8], now: Nanos) -> Vec<KeyValue> {
    let bytes = match annotator.process(Signal::Traces, batch, now) {
        Outcome::Replaced(bytes) => bytes,
        Outcome::Unchanged => batch.to_vec(),
        Outcome::Refused(reason) => panic!("{reason}"),
    };
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].attributes.clone()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == key).and_then(|attribute| {
        match attribute.value.clone()?.value? {
            Value::StringValue(text) => Some(text),
            Value::ArrayValue(list) => Some(format!("{} values", list.values.len())),
            other => Some(format!("{other:?}")),
        }
    })
}

#[test]
fn of_many_incidents_on_a_service_the_most_severe_are_kept_and_the_ids_listed_are_few() {
    let mut annotator = configured("");
    for id in 0..limits::INCIDENTS_PER_SERVICE_MAX + 10 {
        open(&mut annotator, id, "cart");
    }
    let body = r#"{"action": "open", "id": "worst", "services": ["cart"], "severity": "critical"}"#;
    receive(&mut annotator, body, NOW);
    let attributes = first_span(&mut annotator, &spans("cart", 1), NOW);
    assert_eq!(text(&attributes, "incident.id").as_deref(), Some("m:worst"));
    let listed = format!("{} values", limits::INCIDENT_IDS_PER_ITEM_MAX);
    assert_eq!(text(&attributes, "incident.ids"), Some(listed));
    let counted = annotator.counters().into_iter().find(|counter| counter.name == "resources.incidents_cut");
    assert!(counted.is_some_and(|counter| counter.value > 0));
}

#[test]
fn combinations_beyond_those_kept_are_still_marked() {
    let mut annotator = configured(r#", "window": {"keep_closed": "4h"}"#);
    // Incidents of three minutes, two minutes apart, with their margins: each two minutes have their own combination.
    let services: Vec<String> = (0..40).map(|service| format!("s{service}")).collect();
    for service in &services {
        for id in 0..30_u64 {
            let name = format!("{service}-{id}");
            let at = |minutes: u64| Rfc3339(NOW - 90 * MINUTE + minutes * MINUTE);
            let open =
                format!(r#"{{"action": "open", "id": "{name}", "services": ["{service}"], "at": "{}"}}"#, at(id * 2));
            let close = format!(r#"{{"action": "close", "id": "{name}", "at": "{}"}}"#, at(id * 2 + 3));
            receive(&mut annotator, &open, NOW);
            receive(&mut annotator, &close, NOW);
        }
    }
    let batch = Generator {
        seed: 3,
        items: 6000,
        services,
        from: NOW - 90 * MINUTE,
        until: NOW - 30 * MINUTE,
        environment: None,
        namespace: None,
    };
    let batch = batch.traces();
    let Outcome::Replaced(bytes) = annotator.process(Signal::Traces, &batch.encode_to_vec(), NOW) else {
        panic!("something is marked")
    };
    let marked = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    let mut combinations = BTreeSet::new();
    for resource in &marked.resource_spans {
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let at = span.start_time_unix_nano;
            let expected = at <= NOW - 90 * MINUTE + 63 * MINUTE + limits::GRACE;
            assert_eq!(text(&span.attributes, "incident.id").is_some(), expected, "{}", Rfc3339(at));
            combinations.insert(format!("{:?}", &span.attributes.iter().rev().take(5).collect::<Vec<_>>()));
        }
    }
    assert!(combinations.len() > limits::ANNOTATIONS_KEPT_MAX, "only {} combinations", combinations.len());
}

#[test]
fn services_that_no_rule_leads_to_are_noted_up_to_a_bound_and_then_counted() {
    let mut annotator = configured(r#", "services": [{"id": "P1", "to": [{"service": "known"}]}]"#);
    let services: Vec<String> = (0..limits::GAPS_MAX + 5).map(|service| format!("service-{service}")).collect();
    let mut generator = Generator {
        seed: 1,
        items: services.len() * 4,
        services,
        from: NOW,
        until: NOW + MINUTE,
        environment: None,
        namespace: None,
    };
    assert_eq!(annotator.process(Signal::Traces, &generator.traces().encode_to_vec(), NOW), Outcome::Unchanged);
    let gaps = annotator.gaps(NOW);
    assert_eq!(gaps.len(), limits::GAPS_MAX);
    let counters = annotator.counters();
    let not_noted = counters.iter().find(|counter| counter.name == "resources.service_not_noted").unwrap();
    assert!(not_noted.value >= 5, "{not_noted:?}");
    generator.services = vec!["known".to_owned()];
    let mut fresh = configured(r#", "services": [{"id": "P1", "to": [{"service": "known"}]}]"#);
    fresh.process(Signal::Traces, &generator.traces().encode_to_vec(), NOW);
    assert!(fresh.gaps(NOW).is_empty(), "a rule leads to it");
}

#[test]
fn a_batch_over_the_limit_is_refused_and_counted_and_the_next_one_is_marked() {
    let mut annotator = configured(r#", "limits": {"batch_bytes": 20000}"#);
    open(&mut annotator, 1, "cart");
    let Outcome::Refused(reason) = annotator.process(Signal::Traces, &spans("cart", 100), NOW) else {
        panic!("the batch is over the limit")
    };
    assert!(reason.contains("20000"), "{reason}");
    assert!(matches!(annotator.process(Signal::Traces, &spans("cart", 5), NOW), Outcome::Replaced(_)));
    let value = |name: &str| {
        let counters = annotator.counters();
        counters.iter().filter(|counter| counter.name == name).map(|counter| counter.value).sum::<u64>()
    };
    assert_eq!((value("batches.refused"), value("batches.replaced"), value("items.marked")), (1, 1, 5));
}

#[test]
fn a_webhook_over_the_limit_leaves_nothing() {
    let mut annotator = configured(r#", "limits": {"webhook_bytes": 100}"#);
    let body = format!(r#"{{"action": "open", "id": "1", "title": "{}"}}"#, "x".repeat(100));
    let receipt = annotator.receive("m", &post(&body), NOW);
    assert_eq!((receipt.status, receipt.entries.len()), (413, 0));
}

#[test]
fn services_beyond_the_limit_of_one_incident_are_cut() {
    let mut annotator = configured(r#", "limits": {"services_per_incident": 2}"#);
    let receipt = receive(&mut annotator, r#"{"action": "open", "id": "1", "services": ["a", "b", "c"]}"#, NOW);
    assert_eq!(receipt.transitions[0].services, ["a", "b"]);
    assert!(receipt.body.contains("1 services beyond `limits.services_per_incident` left out"), "{}", receipt.body);
}

#[test]
fn the_largest_incident_fits_into_one_entry() {
    let mut annotator = configured("");
    let quote = "\\\"".repeat(200);
    let services: Vec<String> = (0..64)
        .map(|n| format!(r#"{{"service": "{n}{quote}", "namespace": "{quote}", "environment": "{quote}"}}"#))
        .collect();
    let labels: Vec<String> = (0..100).map(|n| format!(r#""{n}{quote}": "{quote}""#)).collect();
    let body = format!(
        r#"{{"action": "open", "id": "1", "title": "{}", "services": [{}], "labels": {{{}}}}}"#,
        "\\\"".repeat(2000),
        services.join(","),
        labels.join(",")
    );
    let receipt = receive(&mut annotator, &body, NOW);
    assert_eq!(receipt.status, 202, "{}", receipt.body);
    let bytes = receipt.entries[0].bytes.len();
    assert!(bytes > 100_000 && bytes <= limits::ENTRY_BYTES_MAX, "{bytes}");
}

#[test]
fn interest_is_a_superset_of_what_changes_and_ends_with_the_window() {
    let mut annotator = configured(r#", "services": [{"id": "P1", "to": [{"service": "other"}]}]"#);
    assert_eq!(annotator.interest(Signal::Traces, NOW).marks, Scope::Nothing);
    open(&mut annotator, 1, "cart");
    assert_eq!(annotator.interest(Signal::Traces, NOW).marks, Scope::Services(vec!["cart".to_owned()]));
    assert_eq!(annotator.interest(Signal::Metrics, NOW).marks, Scope::Nothing, "metrics are not marked by default");
    receive(&mut annotator, r#"{"action": "close", "id": "0001"}"#, NOW + HOUR);
    let end = NOW + HOUR + limits::GRACE + limits::KEEP_CLOSED;
    assert_eq!(annotator.interest(Signal::Logs, end - 1).marks, Scope::Services(vec!["cart".to_owned()]));
    assert_eq!(annotator.interest(Signal::Logs, end).marks, Scope::Nothing);
    assert!(matches!(annotator.process(Signal::Traces, &spans("cart", 1), end - 1), Outcome::Replaced(_)));
    assert_eq!(annotator.process(Signal::Traces, &spans("cart", 1), end), Outcome::Unchanged);
}

#[test]
fn what_cannot_be_listed_for_a_host_that_compares_bytes_makes_it_pass_everything() {
    for more in [r#", "unmatched": "all""#, r#", "match_normalized_names": true"#] {
        let mut annotator = Annotator::default();
        let config = format!(r#"{{"sources": {{"pd": {{"kind": "pagerduty", "secrets": ["secret"]}}}}{more}}}"#);
        annotator.configure(&config, "test").unwrap();
        let body = r#"{"event": {"event_type": "incident.triggered", "occurred_at": "2026-03-01T10:00:00Z",
            "data": {"id": "Q1", "status": "triggered", "urgency": "high", "service": {"summary": "Cart_Service"}}}}"#;
        let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap().chain_update(body).finalize().into_bytes();
        let signature = format!("v1={}", faultline_annotator::digest::hexadecimal(&mac));
        let headers = vec![("X-PagerDuty-Signature".to_owned(), signature.into_bytes())];
        let receipt = annotator.receive("pd", &Webhook { headers, ..post(body) }, NOW);
        annotator.merge(&receipt.entries, NOW).unwrap();
        assert_eq!(annotator.interest(Signal::Traces, NOW).marks, Scope::Everything, "{more}");
        assert!(matches!(annotator.process(Signal::Traces, &spans("cart-service", 1), NOW), Outcome::Replaced(_)));
    }
}

#[test]
fn an_instance_that_is_not_configured_passes_telemetry_and_sends_webhooks_back() {
    let mut annotator = Annotator::default();
    assert_eq!(annotator.process(Signal::Traces, &spans("cart", 1), NOW), Outcome::Unchanged);
    let receipt = annotator.receive("m", &post("{}"), NOW);
    assert_eq!((receipt.status, receipt.retry_after_secs), (503, Some(limits::RETRY_AFTER_SECS)));
    assert!(annotator.configure("{}", "").is_err(), "an instance needs a name");
}

#[test]
fn a_faulty_configuration_leaves_the_one_before_in_force() {
    let mut annotator = configured("");
    open(&mut annotator, 1, "cart");
    assert!(annotator.configure(r#"{"marking": "maybe"}"#, "test").is_err());
    assert!(matches!(annotator.process(Signal::Traces, &spans("cart", 1), NOW), Outcome::Replaced(_)));
    annotator.configure(r#"{"marking": "off"}"#, "test").unwrap();
    assert_eq!(annotator.process(Signal::Traces, &spans("cart", 1), NOW), Outcome::Unchanged);
}

#[test]
fn a_repaired_service_map_heals_an_incident_that_is_open() {
    let mut annotator = configured("");
    let body = r#"{"action": "open", "id": "1", "labels": {"component": "cart"}}"#;
    assert!(receive(&mut annotator, body, NOW).transitions[0].services.is_empty());
    assert_eq!(annotator.process(Signal::Traces, &spans("cart", 1), NOW), Outcome::Unchanged);
    let repaired = r#"{"sources": {"m": {"kind": "manual", "tokens": ["t"]}}, "service_labels": ["component"]}"#;
    annotator.configure(repaired, "test").unwrap();
    assert!(matches!(annotator.process(Signal::Traces, &spans("cart", 1), NOW), Outcome::Replaced(_)));
}
