//! `faultline serve` as its users have it: a process, its ports, a load before it and a sink behind it.

mod servers;

use std::sync::Arc;

use faultline::time::{SECOND, now};
use faultline_load::{Batches, Encoding, Length, Load, Outcome, Protocol, Sink, SinkOptions};
use faultline_test_support::{Generator, Signal};
use serde_json::json;
use servers::{Faultline, Setup};

/// Items of the last minute: an incident that is opened now marks them, by its lookback.
fn generator() -> Generator {
    let until = now();
    Generator { items: 64, from: until - 60 * SECOND, until, ..Generator::default() }
}

fn sink() -> Sink {
    Sink::start(SinkOptions { counts_spans: true, keeps_requests: 4, ..SinkOptions::default() }).expect("a sink starts")
}

fn setup(sink: &Sink, protocol: Protocol) -> Setup {
    let name = if protocol == Protocol::Grpc { "grpc" } else { "http" };
    Setup::forwarding_to(sink.address(protocol), name)
}

fn near(faultline: &Faultline, protocol: Protocol) -> std::net::SocketAddr {
    match protocol {
        Protocol::Grpc => faultline.addresses().grpc,
        Protocol::Http => faultline.addresses().http,
    }
}

fn send(faultline: &Faultline, signal: Signal, protocol: Protocol, encoding: Encoding, requests: u64) -> Outcome {
    let batches = Batches::generate(&generator(), signal, 4, protocol, encoding).expect("batches can be made");
    let load = Load { length: Length::Requests(requests), ..Load::to(near(faultline, protocol)) };
    load.run(Arc::new(batches)).expect("the load runs")
}

fn check_passes(near: Protocol, far: Protocol, encoding: Encoding) {
    let sink = sink();
    let faultline = Faultline::start(&setup(&sink, far));
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        sink.reset();
        let outcome = send(&faultline, signal, near, encoding, 8);
        assert!(outcome.is_clean(), "{signal:?}: {outcome:?}");
        let counts = sink.counts();
        assert_eq!(counts.accepted.items, outcome.accepted_items, "{signal:?}");
        assert_eq!(counts.accepted.marked, 0, "{signal:?}");
    }
}

#[test]
fn what_comes_by_grpc_goes_on_by_grpc() {
    check_passes(Protocol::Grpc, Protocol::Grpc, Encoding::Identity);
}

#[test]
fn what_comes_by_http_with_gzip_goes_on_by_grpc() {
    check_passes(Protocol::Http, Protocol::Grpc, Encoding::Gzip);
}

#[test]
fn what_comes_by_grpc_with_zstd_goes_on_by_http() {
    check_passes(Protocol::Grpc, Protocol::Http, Encoding::Zstd);
}

/// Scenario: an incident is opened by webhook, and closed; spans of that time come before, between and after.
/// Guarantees: from the answer to the webhook on spans of its service are marked; after its end and its grace no new ones.
#[test]
fn spans_are_marked_from_the_answer_to_the_webhook_on() {
    let sink = sink();
    let faultline = Faultline::start(&setup(&sink, Protocol::Grpc));
    let marked = |requests| {
        sink.reset();
        let outcome = send(&faultline, Signal::Traces, Protocol::Grpc, Encoding::Identity, requests);
        assert!(outcome.is_clean(), "{outcome:?}");
        assert_eq!(sink.counts().accepted.items, outcome.accepted_items);
        sink.counts().accepted.marked
    };
    assert_eq!(marked(4), 0);
    faultline.open_incident("1", "checkout");
    assert!(marked(4) > 0);
    assert_eq!(faultline.open(), ["manual:1"]);
    assert!(faultline.log().contains("triggered"), "{}", faultline.log());
    let stop = faultline.tell_admin("/v1/marking", &json!({ "marking": "off", "reason": "a try" }));
    assert_eq!(stop.status, 200, "{}", stop.text());
    assert_eq!(marked(4), 0);
    assert!(faultline.ready().text().contains("a try"), "{}", faultline.ready().text());
    assert!(faultline.metric("faultline_marking_stopped", &["admin"]) > 0.0);
    faultline.tell_admin("/v1/marking", &json!({ "marking": "on" }));
    assert!(marked(4) > 0);
    faultline.close_incident("1");
    assert_eq!(faultline.open(), [""; 0]);
}

/// Scenario: telemetry of ten services, and rules for one.
/// Guarantees: the others are named, with a rule that would lead to each, though no incident is open and batches are not
/// passed to the plugin.
#[test]
fn services_without_a_rule_are_named() {
    let sink = sink();
    let faultline = Faultline::start(&setup(&sink, Protocol::Grpc));
    // One in 64 batches is looked at, by each of the workers.
    let outcome = send(&faultline, Signal::Traces, Protocol::Grpc, Encoding::Identity, 64 * 8);
    assert!(outcome.is_clean(), "{outcome:?}");
    let gaps = faultline.admin("/v1/gaps").text();
    assert!(gaps.contains("frontend") && gaps.contains("service-without-rule"), "{gaps}");
    assert!(faultline.metric("faultline_gaps", &["service-without-rule"]) >= 9.0);
}

/// Scenario: the only next hop takes traces, and logs are sent.
/// Guarantees: logs are refused for good, with the setting that is missing: what is taken is never dropped.
#[test]
fn what_no_next_hop_takes_is_refused_and_not_lost() {
    let sink = sink();
    let forward = format!("{{ endpoint: \"http://{}\", signals: [traces] }}", sink.address(Protocol::Grpc));
    let faultline = Faultline::start(&Setup { forward: vec![forward], ..Setup::default() });
    assert!(send(&faultline, Signal::Traces, Protocol::Http, Encoding::Identity, 2).is_clean());
    let outcome = send(&faultline, Signal::Logs, Protocol::Http, Encoding::Identity, 2);
    assert_eq!(outcome.accepted_requests, 0, "{outcome:?}");
    assert!(outcome.answers.keys().all(|code| !code.is_retryable(false)), "{outcome:?}");
    assert_eq!(sink.counts().accepted.requests, 2);
}
