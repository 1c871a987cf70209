//! What a section `serve` that reads well can still have wrong.

use std::collections::BTreeMap;

use faultline_annotator::config::Secret;
use faultline_annotator::document::{Fault, join, nearest};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{ClientTls, SECOND, SECTION, ServeConfig, ServerTls, SignalKind, Spokes};

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// Incidents opened by hand have this source; `admin:<id>` is their id.
pub const ADMIN_SOURCE: &str = "admin";

/// Headers that HTTP, gRPC or OTLP need for themselves.
const RESERVED: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "host",
    "te",
    "transfer-encoding",
];

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// `is_faulty` tells whether what stands at a place, or below it, was a fault already.
pub(super) fn check(config: &ServeConfig, document: &Value, is_faulty: &dyn Fn(&str) -> bool) -> Findings {
    let mut findings = Findings::default();
    let sources = document.get("sources").and_then(Value::as_object);
    if config.forward.is_empty() && !is_faulty(&at(&["forward"])) {
        let hint = "for example `forward: [{ endpoint: \"http://127.0.0.1:14317\" }]`";
        findings.error(&[], "there is no next hop: `forward` is empty", Some(hint));
    }
    for (index, forward) in config.forward.iter().enumerate() {
        let place = ["forward", &index.to_string()];
        let below = |key| [place[0], place[1], key];
        if !forward.endpoint.is_given() && !is_faulty(&at(&below("endpoint"))) {
            findings.error(&place, "the next hop has no `endpoint`", Some("for example `http://127.0.0.1:14317`"));
        }
        if forward.signals.is_empty() {
            findings.error(&below("signals"), "a next hop without signals gets nothing", Some("leave it out for all"));
        }
        if forward.timeout.nanos() == 0 {
            findings.error(&below("timeout"), "no time at all: no request would ever succeed", Some("10s is usual"));
        }
        headers(&below("headers"), &forward.headers, &mut findings);
        for name in &forward.pass_headers {
            if is_reserved(name) {
                let message = format!("`{}` belongs to the connection and cannot be handed on", shown(name));
                findings.error(&below("pass_headers"), &message, None);
            }
        }
        client_tls(&below("tls"), &forward.tls, &mut findings);
    }
    for (signal, name) in [(SignalKind::Traces, "traces"), (SignalKind::Metrics, "metrics"), (SignalKind::Logs, "logs")]
    {
        if !config.forward.is_empty() && config.forward.iter().all(|forward| !forward.signals.contains(&signal)) {
            let message = format!("no next hop takes {name}: they will be refused");
            findings.warn(&["forward"], &message, Some("name them in `signals` of one, if any are sent"));
        }
    }
    let listeners = [
        (["otlp", "grpc"].as_slice(), config.otlp.grpc.as_ref().and_then(|listener| listener.tls.as_ref())),
        (&["otlp", "http"], config.otlp.http.as_ref().and_then(|listener| listener.tls.as_ref())),
        (&["webhooks"], config.webhooks.tls.as_ref()),
        (&["admin"], config.admin.tls.as_ref()),
        (&["spokes"], config.spokes.as_ref().and_then(|spokes| spokes.tls.as_ref())),
    ];
    for (place, tls) in listeners {
        if let Some(tls) = tls {
            server_tls(place, tls, &mut findings);
        }
    }
    if config.otlp.grpc.is_none() && config.otlp.http.is_none() {
        findings.error(&["otlp"], "neither `grpc` nor `http`: no telemetry can come in", None);
    }
    if config.otlp.request_bytes > config.otlp.held_bytes {
        let message = "less than one request of `request_bytes` could be held";
        findings.error(&["otlp", "held_bytes"], message, Some("8 times `request_bytes` is usual"));
    }
    for (key, value) in [
        ("request_bytes", config.otlp.request_bytes),
        ("connections", config.otlp.connections),
        ("requests_per_connection", config.otlp.requests_per_connection),
    ] {
        if value == 0 {
            findings.error(&["otlp", key], "0 lets nothing in", None);
        }
    }
    if config.admin.tokens.is_empty() {
        let message = "no token: the admin listener stays closed, and nobody can stop marking by hand";
        findings.warn(&["admin"], message, Some("`tokens: [\"${env:FAULTLINE_TOKEN}\"]`"));
    }
    if config.admin.tokens.iter().any(|token| token.expose().trim().is_empty()) {
        findings.error(&["admin", "tokens"], "an empty token would let anybody in", None);
    }
    if let Some(spokes) = &config.spokes {
        self::spokes(spokes, is_faulty, &mut findings);
    }
    if sources.is_some_and(|sources| sources.contains_key(ADMIN_SOURCE)) && !config.admin.tokens.is_empty() {
        let message = format!("the source `{ADMIN_SOURCE}` is that of incidents opened through the admin listener");
        findings.errors.push(Fault {
            pointer: format!("/sources/{ADMIN_SOURCE}"),
            message,
            hint: Some("give it another name".to_owned()),
        });
    }
    for (index, reconcile) in config.reconcile.iter().enumerate() {
        let place = ["reconcile", &index.to_string()];
        let below = |key| [place[0], place[1], key];
        if !reconcile.url.is_given() && !is_faulty(&at(&below("url"))) {
            findings.error(&place, "there is no `url`", Some("for example `http://127.0.0.1:9093`"));
        }
        source(&below("source"), &reconcile.source, sources, &mut findings);
        headers(&below("headers"), &reconcile.headers, &mut findings);
        client_tls(&below("tls"), &reconcile.tls, &mut findings);
        if reconcile.interval.nanos() < 1_000_000_000 {
            findings.error(&below("interval"), "less than a second", Some("2m is usual"));
        }
    }
    if let Some(own) = &config.telemetry.otlp {
        if !own.endpoint.is_given() && !is_faulty(&at(&["telemetry", "otlp", "endpoint"])) {
            findings.error(&["telemetry", "otlp"], "there is no `endpoint`", None);
        }
        if own.interval.nanos() < 1_000_000_000 {
            findings.error(&["telemetry", "otlp", "interval"], "less than a second", Some("60s is usual"));
        }
        headers(&["telemetry", "otlp", "headers"], &own.headers, &mut findings);
        client_tls(&["telemetry", "otlp", "tls"], &own.tls, &mut findings);
    }
    if config.workers == Some(0) {
        findings.error(&["workers"], "at least 1 worker is needed", Some("leave it out for one a core"));
    }
    if config.plugin.batch_timeout.nanos() == 0 {
        findings.error(
            &["plugin", "batch_timeout"],
            "no time at all: no batch would ever be marked",
            Some("5s is usual"),
        );
    }
    findings
}

fn spokes(spokes: &Spokes, is_faulty: &dyn Fn(&str) -> bool, findings: &mut Findings) {
    if spokes.tokens.is_empty() && !is_faulty(&at(&["spokes", "tokens"])) {
        let message = "there are no `tokens`: anybody could read which incidents are open";
        findings.error(&["spokes"], message, Some("`tokens: [\"${env:FAULTLINE_SPOKE_TOKEN}\"]`"));
    }
    if spokes.tokens.iter().any(|token| token.expose().trim().is_empty()) {
        findings.error(&["spokes", "tokens"], "an empty token would let anybody in", None);
    }
    let place = ["spokes", "time_to_live"];
    match spokes.time_to_live.nanos() / SECOND {
        0 if is_faulty(&at(&place)) => {}
        0 => findings.error(&place, "less than a second: a spoke would never mark", Some("15m is usual")),
        1..DAY_SECONDS => {}
        _ => {
            let message = "a spoke that is cut off would mark for a day or longer by incidents that may have ended";
            findings.warn(&place, message, Some("15m is usual"));
        }
    }
}

fn source(place: &[&str], name: &str, sources: Option<&serde_json::Map<String, Value>>, findings: &mut Findings) {
    let known = sources.map(|sources| sources.keys().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default();
    let kind = sources.and_then(|sources| sources.get(name)?.get("kind")?.as_str());
    match kind {
        Some("alertmanager") => {}
        Some(_) => findings.error(place, &format!("source `{}` is no `alertmanager`", shown(name)), None),
        None => {
            let hint = nearest(name, known.into_iter()).map(|name| format!("did you mean `{name}`?"));
            findings.error(place, &format!("there is no source `{}`", shown(name)), hint.as_deref());
        }
    }
}

fn headers(place: &[&str], headers: &BTreeMap<String, Secret>, findings: &mut Findings) {
    for (name, value) in headers {
        if name.parse::<HeaderName>().is_err() {
            findings.error(place, &format!("`{}` is not the name of a header", shown(name)), None);
        } else if is_reserved(name) {
            findings.error(place, &format!("`{}` is set by the protocol", shown(name)), None);
        }
        if HeaderValue::from_str(value.expose()).is_err() {
            findings.error(place, &format!("the value of `{}` cannot be sent in a header", shown(name)), None);
        }
    }
}

fn server_tls(place: &[&str], tls: &ServerTls, findings: &mut Findings) {
    let mut below = place.to_vec();
    below.push("tls");
    for (key, path) in [("certificate", &tls.certificate), ("key", &tls.key)] {
        if !path.is_given() {
            findings.error(&below, &format!("there is no `{key}`"), Some("the path of a PEM file"));
        }
    }
}

fn client_tls(place: &[&str], tls: &ClientTls, findings: &mut Findings) {
    if tls.certificate.is_some() != tls.key.is_some() {
        findings.error(place, "`certificate` and `key` belong together", None);
    }
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

fn shown(name: &str) -> String {
    faultline_annotator::text::clean(name, 64)
}

fn at(place: &[&str]) -> String {
    place.iter().fold(format!("/{SECTION}"), |pointer, part| join(&pointer, part))
}

// === impl Findings ===

impl Findings {
    fn error(&mut self, place: &[&str], message: &str, hint: Option<&str>) {
        self.errors.push(Fault { pointer: at(place), message: message.to_owned(), hint: hint.map(str::to_owned) });
    }

    fn warn(&mut self, place: &[&str], message: &str, hint: Option<&str>) {
        self.warnings.push(Fault { pointer: at(place), message: message.to_owned(), hint: hint.map(str::to_owned) });
    }
}
