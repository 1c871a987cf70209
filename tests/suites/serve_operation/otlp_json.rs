//! OTLP/JSON, as browsers and scripts send it.

use faultline_load::Protocol;
use faultline_test_support::Signal;

use super::servers::http::{self, Answer};
use super::servers::{Faultline, Setup};
use super::{generator, sink};

fn post(faultline: &Faultline, path: &str, body: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    http::post(faultline.addresses().http, path, &headers, body.as_bytes()).expect("it answers")
}

/// Scenario: each signal comes as JSON while an incident is open.
/// Guarantees: it goes on as protobuf, marked, and the answer is JSON.
#[test]
fn telemetry_may_come_as_json() {
    let sink = sink();
    let faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
    faultline.open_incident("1", "checkout");
    let generator = generator();
    let bodies = [
        (Signal::Traces, serde_json::to_string(&generator.traces())),
        (Signal::Metrics, serde_json::to_string(&generator.metrics())),
        (Signal::Logs, serde_json::to_string(&generator.logs())),
    ];
    for (signal, body) in bodies {
        sink.reset();
        let answer = post(&faultline, Protocol::Http.path(signal), &body.expect("it can be written as JSON"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{signal:?}");
        let accepted = sink.counts().accepted;
        assert_eq!((accepted.requests, accepted.items), (1, 64), "{signal:?}");
        assert_eq!(accepted.marked > 0, signal != Signal::Metrics, "{signal:?}");
    }
}

/// Guarantees: what is no OTLP/JSON is refused for good, with a `Status` in JSON, and nothing is handed on.
#[test]
fn json_that_is_not_otlp_is_refused_for_good() {
    let sink = sink();
    let faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
    for body in ["[]", "{\"resourceSpans\": 1}", "{"] {
        let answer = post(&faultline, "/v1/traces", body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        let status: serde_json::Value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
        assert!(status["message"].as_str().is_some_and(|message| message.contains("OTLP/JSON")), "{status}");
    }
    assert_eq!(sink.counts().accepted.requests, 0);
}
