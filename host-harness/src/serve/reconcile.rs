//! Asks an Alertmanager what is open, so that a webhook that was lost does not matter for long.
//!
//! What it has and we have not heard of is received as if it had been sent; what we hold open and it has no more is ended,
//! if two answers in a row agree: an Alertmanager that was just started knows of nothing until Prometheus sends again.
//! A receiver that it does not have would have no alerts either: nothing is believed of one.
//! Source: Alertmanager API v2 (`api/v2/openapi.yaml`), `GET /alerts` and `GET /receivers`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use arc_swap::ArcSwap;
use axum::body::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{self, Connector};
use super::config::{Endpoint, Reconcile};
use super::hub::{Busy, Hub};
use super::metrics::Metrics;
use super::otlp::Pieces;
use crate::config_file::ConfigFile;
use crate::host::Delivery;
use crate::plugin::{Incident, Webhook};
use crate::signature;
use crate::time::{Rfc3339, now};

/// One alert, as far as it matters.
#[derive(Debug, Deserialize)]
struct Alert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Status {
    /// `active`, `suppressed` by a silence or an inhibition, `unprocessed`.
    state: String,
}

/// A receiver, as far as it matters.
#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
}

/// Who is asked, and what was heard.
struct Asker {
    reconcile: Reconcile,
    alerts: Uri,
    receivers: Uri,
    client: Client<Connector, Pieces>,
    file: Arc<ArcSwap<ConfigFile>>,
    /// Alerts that were missing in the last answer.
    missing: BTreeSet<String>,
}

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// More than 10,000 alerts come to.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Alerts in one webhook: a body stays below the plugin's limits.
const ALERTS_AT_ONCE: usize = 200;

/// Asks at once, and then again and again, until `stop` says so.
pub(super) async fn run(
    reconcile: Reconcile,
    file: Arc<ArcSwap<ConfigFile>>,
    hub: Hub,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let interval = Duration::from_nanos(reconcile.interval.nanos());
    let source = reconcile.source.clone();
    let mut asker = match Asker::new(reconcile, file) {
        Ok(asker) => asker,
        Err(error) => {
            tracing::error!(source, reason = format!("{error:#}"), "this Alertmanager cannot be asked");
            return;
        }
    };
    loop {
        let asked = asker.ask(&hub).await;
        metrics.reconciled(&source, asked.is_ok());
        match asked {
            Ok(0) => tracing::debug!(source, "Alertmanager agrees"),
            Ok(count) => tracing::info!(source, alerts = count, "Alertmanager told what webhooks had not"),
            Err(error) => {
                tracing::warn!(source, reason = format!("{error:#}"), "Alertmanager did not tell what is open")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = super::connection::stopped(&mut stop) => return,
        }
    }
}

// === impl Asker ===

impl Asker {
    fn new(reconcile: Reconcile, file: Arc<ArcSwap<ConfigFile>>) -> anyhow::Result<Self> {
        let alerts = alerts_uri(&reconcile.url, reconcile.receiver.as_deref())?;
        let receivers = reconcile.url.join("/api/v2/receivers");
        let client = client::new(&reconcile.tls, false)?;
        Ok(Self { reconcile, alerts, receivers, client, file, missing: BTreeSet::new() })
    }

    /// Asks once, and has received what differs. Answers with how many alerts that were.
    async fn ask(&mut self, hub: &Hub) -> anyhow::Result<usize> {
        let asked = async {
            self.check_receiver().await?;
            self.get::<Vec<Alert>>(&self.alerts).await
        };
        let alerts = timeout(TIMEOUT, asked).await.context("it did not answer in time")??;
        let busy = |Busy| anyhow::anyhow!("the hub has too much to do");
        let open = hub.ask(|core| core.host.open(now())).await.map_err(busy)??;
        let open: Vec<Incident> =
            open.into_iter().filter(|incident| incident.source == self.reconcile.source).collect();
        let (differing, missing) = differences(&alerts, &open, &self.missing, &Rfc3339(now()).to_string());
        self.missing = missing;
        // As it is in force now: a token may have been replaced.
        let file = self.file.load_full();
        for alerts in differing.chunks(ALERTS_AT_ONCE) {
            let body = json!({ "version": "4", "status": "firing", "alerts": alerts }).to_string().into_bytes();
            let headers = signature::sign(file.root(), &self.reconcile.source, None, &body)?;
            let headers = headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
            let url = format!("/webhooks/{}", self.reconcile.source);
            let webhook = Webhook { method: Method::POST.to_string(), url, headers, body };
            let received =
                hub.receive(Delivery { source: self.reconcile.source.clone(), webhook }).await.map_err(busy)?;
            ensure!(received.status < 300, "its alerts were not taken: {} {}", received.status, received.body);
            for alert in alerts.iter().filter(|alert| alert["status"] == "resolved") {
                let (alert, name) = (alert["fingerprint"].as_str(), alert["labels"]["alertname"].as_str());
                tracing::warn!(source = self.reconcile.source, alert, name, "ended: Alertmanager has it no more");
            }
        }
        Ok(differing.len())
    }

    /// Each time: its configuration may change, too.
    async fn check_receiver(&self) -> anyhow::Result<()> {
        let Some(wanted) = &self.reconcile.receiver else { return Ok(()) };
        let receivers: Vec<Receiver> = self.get(&self.receivers).await?;
        let names: Vec<String> = receivers.into_iter().map(|receiver| receiver.name).collect();
        let known = names.join(", ");
        ensure!(names.contains(wanted), "it has no receiver {wanted:?} (`serve.reconcile[].receiver`), only {known}");
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, uri: &Uri) -> anyhow::Result<T> {
        let mut request = Request::builder().uri(uri).header(header::USER_AGENT, client::USER_AGENT);
        for (name, value) in &self.reconcile.headers {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            request = request.header(HeaderName::from_str(name)?, value);
        }
        let response = self.client.request(request.body(Pieces::none())?).await;
        let response = response.map_err(|error| anyhow::anyhow!("GET {}: {}", uri, client::reason(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body: Bytes = body.map_err(|error| anyhow::anyhow!("GET {}: {error}", uri))?.to_bytes();
        if status != StatusCode::OK {
            bail!("GET {} answered {status}", uri);
        }
        serde_json::from_slice(&body).with_context(|| format!("GET {} did not answer as Alertmanager does", uri))
    }
}

fn alerts_uri(url: &Endpoint, receiver: Option<&str>) -> anyhow::Result<Uri> {
    let path = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true";
    let whole = match receiver {
        // A regular expression there.
        Some(receiver) => format!("{path}&receiver=%5E{}%24", client::percent_encode(&literal(receiver))),
        None => path.to_owned(),
    };
    let uri = url.join(&whole);
    ensure!(uri.authority().is_some(), "its address cannot be put together");
    Ok(uri)
}

/// A regular expression (RE2) that is this text and no other.
fn literal(text: &str) -> String {
    let is_special = |character| r"\.+*?()|[]{}^$".contains(character);
    let escaped = |character| is_special(character).then_some('\\').into_iter().chain([character]);
    text.chars().flat_map(escaped).collect()
}

/// What is to be received: alerts that are active and not open here, and those that are open here and missing there, twice
/// in a row. Also those that are missing now.
fn differences(
    alerts: &[Alert],
    open: &[Incident],
    missing_before: &BTreeSet<String>,
    now: &str,
) -> (Vec<serde_json::Value>, BTreeSet<String>) {
    let known: BTreeSet<&str> = open.iter().map(|incident| incident.external_id.as_str()).collect();
    let there: BTreeSet<&str> = alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
    // One that is silenced goes on if it is open, and does not begin: nobody would have been told of it.
    let begun =
        alerts.iter().filter(|alert| alert.status.state == "active" && !known.contains(alert.fingerprint.as_str()));
    let mut differing: Vec<serde_json::Value> = begun.map(firing).collect();
    let missing: BTreeSet<String> = known.difference(&there).map(|id| (*id).to_owned()).collect();
    for incident in open.iter().filter(|incident| missing.contains(&incident.external_id)) {
        if missing_before.contains(&incident.external_id) {
            differing.push(json!({
                "status": "resolved",
                "labels": { "alertname": incident.display, "severity": incident.severity },
                "annotations": { "summary": incident.title },
                "startsAt": Rfc3339(incident.started).to_string(),
                "endsAt": now,
                "generatorURL": incident.url,
                "fingerprint": incident.external_id,
            }));
        }
    }
    (differing, missing)
}

fn firing(alert: &Alert) -> serde_json::Value {
    json!({
        "status": "firing",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(fingerprint: &str, state: &str) -> Alert {
        Alert {
            labels: BTreeMap::from([("alertname".to_owned(), "A".to_owned())]),
            annotations: BTreeMap::new(),
            starts_at: "2026-03-01T10:00:00Z".to_owned(),
            generator_url: String::new(),
            fingerprint: fingerprint.to_owned(),
            status: Status { state: state.to_owned() },
        }
    }

    fn open(id: &str) -> Incident {
        Incident {
            id: format!("am:{id}"),
            source: "am".to_owned(),
            external_id: id.to_owned(),
            display: "A".to_owned(),
            kind: "alert".to_owned(),
            state: "triggered".to_owned(),
            open: true,
            severity: "high".to_owned(),
            title: String::new(),
            url: String::new(),
            started: 0,
            ended: None,
            lease_until: None,
            windows: Vec::new(),
            services: Vec::new(),
            reason: String::new(),
        }
    }

    fn told(differing: &[serde_json::Value]) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        differing.iter().map(|alert| (text(&alert["fingerprint"]), text(&alert["status"]))).collect()
    }

    #[test]
    fn an_alert_whose_webhook_was_lost_begins_unless_it_is_silenced() {
        let alerts = [alert("a", "active"), alert("b", "suppressed"), alert("c", "active")];
        let (differing, missing) = differences(&alerts, &[open("c"), open("b")], &BTreeSet::new(), "now");
        assert_eq!(told(&differing), [("a".to_owned(), "firing".to_owned())]);
        assert!(missing.is_empty());
    }

    #[test]
    fn an_alert_ends_when_it_is_missing_twice_in_a_row() {
        let (differing, missing) = differences(&[], &[open("a")], &BTreeSet::new(), "now");
        assert!(differing.is_empty());
        let (differing, _) = differences(&[], &[open("a")], &missing, "now");
        assert_eq!(told(&differing), [("a".to_owned(), "resolved".to_owned())]);
        let (_, missing) = differences(&[alert("a", "active")], &[open("a")], &missing, "now");
        assert!(missing.is_empty());
    }

    #[test]
    fn a_receiver_is_asked_for_by_its_whole_name() {
        let url = Endpoint("http://am:9093/x".parse().unwrap());
        let uri = alerts_uri(&url, Some("a&b")).unwrap();
        assert!(uri.to_string().starts_with("http://am:9093/x/api/v2/alerts?"), "{uri}");
        assert!(uri.to_string().ends_with("&receiver=%5Ea%26b%24"), "{uri}");
        assert_eq!(literal("a+b.c"), r"a\+b\.c");
    }
}
