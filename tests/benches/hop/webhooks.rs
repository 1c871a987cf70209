//! A storm of webhooks: how soon they are acknowledged, and whether what was acknowledged is kept.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use faultline_load::{Code, Length, Load, Message, Messages, Pace, Protocol, Sink, SinkOptions};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::arguments::Effort;
use crate::case::Case;
use crate::client;
use crate::figures;
use crate::hop::{Hop, Program, TOKEN, WEBHOOKS};
use crate::report::{Quantiles, Storm};

/// Webhooks that open incidents and close them again, each incident another. So many are open at a time.
#[derive(Debug)]
pub(crate) struct Churn {
    open_at_a_time: u64,
    headers: HeaderMap,
    ended: Mutex<Ended>,
}

/// What came of webhooks, by the number of the incident.
#[derive(Clone, Debug, Default)]
struct Ended {
    opened: BTreeSet<u64>,
    closed: BTreeSet<u64>,
    /// Opened or closed, without an acknowledgement: either may be so.
    unknown: BTreeSet<u64>,
}

/// What one webhook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open(u64),
    Close(u64),
}

/// A tenth of what the plugin holds by default.
const OPEN_AT_A_TIME: u64 = 1000;
/// So many can be under way that a slow one keeps none waiting.
const CONNECTIONS: usize = 64;

/// Sends webhooks at a constant rate, and compares what was acknowledged with what the server then says is open.
pub(crate) fn run(effort: &Effort) -> anyhow::Result<Storm> {
    let [case, ..] = Case::all();
    let sink = Sink::start(SinkOptions::default())?;
    let hop = Program::Faultline.start(&case, &sink)?;
    let churn = Arc::new(Churn::new(OPEN_AT_A_TIME));
    let load = Load {
        connections: CONNECTIONS,
        in_flight: 1,
        pace: Pace::PerSecond(effort.webhooks as f64 / effort.webhook_seconds),
        length: Length::Requests(effort.webhooks),
        ..Load::to(hop.ports().webhooks)
    };
    let before = hop.process.cpu()?;
    let outcome = load.run(churn.clone())?;
    let cpu = hop.process.cpu()?.saturating_sub(before);
    let lost = churn.lost(&open_incidents(&hop)?);
    Ok(Storm {
        date: figures::today(),
        webhooks: outcome.requests,
        seconds: outcome.elapsed.as_secs_f64(),
        acknowledged: outcome.accepted_requests,
        lost,
        latency: Quantiles::of(&outcome.latency),
        cpu_seconds: cpu.as_secs_f64(),
        answers: outcome.answers.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
    })
}

/// Opens and closes incidents beside something else.
pub(crate) fn churn(webhooks: SocketAddr, per_second: f64, time: Duration) -> anyhow::Result<(u64, u64)> {
    let load =
        Load { connections: 1, pace: Pace::PerSecond(per_second), length: Length::Time(time), ..Load::to(webhooks) };
    let outcome = load.run(Arc::new(Churn::new(10)))?;
    Ok((outcome.requests, outcome.accepted_requests))
}

/// Ids of the incidents that the server says are open.
fn open_incidents(hop: &Hop) -> anyhow::Result<BTreeSet<String>> {
    let (status, answer) = client::request(hop.ports().admin, Method::GET, "/v1/incidents", TOKEN, "")?;
    anyhow::ensure!(status.is_success(), "GET /v1/incidents is answered {status}: {answer}");
    let answer: Value = serde_json::from_str(&answer)?;
    let list = answer.as_array().or_else(|| answer.get("incidents")?.as_array());
    let list = list.context("GET /v1/incidents does not answer with a list")?;
    let ids = list.iter().filter(|incident| incident.get("open").and_then(Value::as_bool) != Some(false));
    let ids = ids.map(|incident| incident.get("id").and_then(Value::as_str).map(str::to_owned));
    ids.collect::<Option<_>>().context("GET /v1/incidents lists an incident without id")
}

/// As the server calls it.
fn id(incident: u64) -> String {
    format!("manual:storm-{incident}")
}

// === impl Churn ===

impl Churn {
    fn new(open_at_a_time: u64) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The token is one word.
        if let Ok(token) = HeaderValue::from_str(&format!("Bearer {TOKEN}")) {
            headers.insert(header::AUTHORIZATION, token);
        }
        Self { open_at_a_time, headers, ended: Mutex::default() }
    }

    /// First only opening, then one new for each that ends: a close is due long after its open.
    fn step(&self, index: u64) -> Step {
        match index.checked_sub(self.open_at_a_time) {
            None => Step::Open(index),
            Some(behind) if behind.is_multiple_of(2) => Step::Open(self.open_at_a_time + behind / 2),
            Some(behind) => Step::Close(behind / 2),
        }
    }

    /// How many acknowledged webhooks are not in the state: incidents that should be open and are not, or the other way.
    fn lost(&self, open: &BTreeSet<String>) -> u64 {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ended.opened.union(&ended.closed).filter(|incident| !ended.unknown.contains(incident));
        let wrong = known.filter(|incident| {
            let should_be_open = !ended.closed.contains(incident);
            open.contains(&id(**incident)) != should_be_open
        });
        wrong.count() as u64
    }
}

impl Messages for Churn {
    fn protocol(&self) -> Protocol {
        Protocol::Http
    }

    fn message(&self, index: u64) -> Message {
        let body = match self.step(index) {
            Step::Open(incident) => json!({
                "action": "open",
                "id": format!("storm-{incident}"),
                "title": "One of very many",
                "severity": "high",
                "services": [format!("storm-service-{}", incident % 100)],
            }),
            Step::Close(incident) => json!({"action": "close", "id": format!("storm-{incident}")}),
        };
        Message {
            path: PathAndQuery::from_static(WEBHOOKS),
            headers: self.headers.clone(),
            body: Bytes::from(body.to_string()),
            items: 1,
        }
    }

    fn ended(&self, index: u64, code: Code) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.step(index), code.is_success()) {
            (Step::Open(incident), true) => _ = ended.opened.insert(incident),
            (Step::Close(incident), true) => _ = ended.closed.insert(incident),
            (Step::Open(incident) | Step::Close(incident), false) => _ = ended.unknown.insert(incident),
        }
    }
}
