//! Ours.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use faultline_load::Protocol;
use faultline_test_support::Generator;
use http::Method;
use serde_json::{Value, json};

use super::{Hop, Ports, compression_name, protocol_name};
use crate::case::Case;
use crate::client;

/// Of webhooks and of the admin listener.
pub(crate) const TOKEN: &str = "bench";
/// The path of the source.
pub(crate) const WEBHOOKS: &str = "/webhooks/manual";

/// Everything that is not named is as it comes.
pub(super) fn configuration(case: &Case, ports: &Ports, downstream: SocketAddr, folder: &Path) -> Value {
    let protocol = protocol_name(case.protocol);
    let other = match case.protocol {
        Protocol::Grpc => "http",
        Protocol::Http => "grpc",
    };
    json!({
        "sources": {"manual": {"kind": "manual", "tokens": [TOKEN]}},
        "serve": {
            "otlp": {protocol: {"listen": ports.otlp.to_string()}, other: null},
            "forward": [{
                "endpoint": format!("http://{downstream}"),
                "protocol": protocol,
                "compression": compression_name(case.encoding),
            }],
            "webhooks": {"listen": ports.webhooks.to_string()},
            "admin": {"listen": ports.admin.to_string(), "tokens": [TOKEN]},
            "telemetry": {"listen": ports.telemetry.to_string()},
            "journal": {"path": folder.join("journal.redb")},
        },
    })
}

/// Opens one incident on every service of the generator.
pub(super) fn open_incident(hop: &Hop) -> anyhow::Result<()> {
    let body = json!({
        "action": "open",
        "id": "Q2KZ4YBXW5HL0N",
        "severity": "critical",
        "url": "https://example.pagerduty.com/incidents/Q2KZ4YBXW5HL0N",
        "services": Generator::default().services,
    });
    let (status, answer) = client::request(hop.ports().webhooks, Method::POST, WEBHOOKS, TOKEN, &body.to_string())
        .with_context(|| format!("the webhook was not answered:\n{}", hop.log()))?;
    anyhow::ensure!(status.is_success(), "the webhook was answered {status}: {answer}");
    Ok(())
}
