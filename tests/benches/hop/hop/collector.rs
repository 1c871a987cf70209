//! The OpenTelemetry Collector in the same place.

use std::net::SocketAddr;

use faultline_load::Protocol;
use serde_json::{Value, json};

use super::{Ports, compression_name, protocol_name};
use crate::case::Case;

/// Its pipeline of traces. Queue and retries are off: so it answers a sender when the next hop has answered, as we do, and
/// holds no more than what is under way. Its own metrics are off, which spares it some work.
pub(super) fn configuration(case: &Case, ports: &Ports, downstream: SocketAddr) -> Value {
    let exporter = match case.protocol {
        Protocol::Grpc => "otlp",
        Protocol::Http => "otlphttp",
    };
    let endpoint = match case.protocol {
        Protocol::Grpc => downstream.to_string(),
        Protocol::Http => format!("http://{downstream}"),
    };
    let insert = |key: &str, value: Value| json!({"key": key, "value": value, "action": "insert"});
    let processors: &[&str] = if case.marks { &["attributes"] } else { &[] };
    json!({
        "receivers": {"otlp": {"protocols": {protocol_name(case.protocol): {"endpoint": ports.otlp.to_string()}}}},
        "processors": {"attributes": {"actions": [
            insert("incident.id", "manual:Q2KZ4YBXW5HL0N".into()),
            insert("incident.active", true.into()),
            insert("incident.severity", "critical".into()),
            insert("incident.url", "https://example.pagerduty.com/incidents/Q2KZ4YBXW5HL0N".into()),
        ]}},
        "exporters": {exporter: {
            "endpoint": endpoint,
            "tls": {"insecure": true},
            "compression": compression_name(case.encoding),
            "sending_queue": {"enabled": false},
            "retry_on_failure": {"enabled": false},
        }},
        "service": {
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": processors, "exporters": [exporter]}},
        },
    })
}
