//! The server among the programs that it is made for: the OpenTelemetry SDK, stock Collectors and Alertmanager, with the files
//! in `deploy/`. See `neighbours` for what those do without it.

#[path = "serve_neighbours/application.rs"]
mod application;
mod servers;

use std::collections::BTreeSet;

use faultline::time::{Rfc3339, SECOND, now};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use application::Application;
use servers::{Alertmanager, Collector, DeployedFaultline, Faultline, PagerDuty, SOURCES, Setup, eventually};

/// Of a span: its trace, and its own id.
type Identity = (Vec<u8>, Vec<u8>);

/// What OTLP travels by, on every leg of the way.
#[derive(Clone, Copy)]
enum Way {
    Grpc,
    Http,
}

/// Application, Collector, Faultline, Collector, a file.
struct Pipeline {
    front: Collector,
    faultline: DeployedFaultline,
    behind: Collector,
    way: Way,
}

/// The port of discard, where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9/webhooks/alertmanager";
const MINUTE: u64 = 60 * SECOND;
/// Spans of one export.
const SPANS: usize = 100;

// === impl Way ===

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

// === impl Pipeline ===

impl Pipeline {
    fn start(way: Way) -> Self {
        let behind = Collector::start("deploy/collector/behind.yaml", &[]);
        let next = match way {
            Way::Grpc => behind.grpc(),
            Way::Http => behind.http(),
        };
        let faultline = DeployedFaultline::start(next, way.name());
        let settings = [
            ("FAULTLINE_GRPC_ENDPOINT", faultline.addresses().grpc.to_string()),
            ("FAULTLINE_HTTP_ENDPOINT", format!("http://{}", faultline.addresses().http)),
            ("FAULTLINE_INSECURE", "true".to_owned()),
            ("FAULTLINE_EXPORTER", format!("otlp_{}/faultline", way.name())),
            ("FAULTLINE_COMPRESSION", "gzip".to_owned()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let front = Collector::start("deploy/collector/in_front.yaml", &settings);
        Self { front, faultline, behind, way }
    }

    fn application(&self, service: &str) -> Application {
        let address = match self.way {
            Way::Grpc => self.front.grpc(),
            Way::Http => self.front.http(),
        };
        Application::new(service, address, self.way)
    }

    /// Waits until each of `sent` is in the file, and holds that each is there once and nothing else is. Tells which of
    /// them have the mark of `incident`.
    fn marked(&self, sent: &BTreeSet<Identity>, incident: &str) -> BTreeSet<Identity> {
        let arrived = eventually("all spans in the file", || {
            let arrived = self.behind.written_spans();
            (arrived.len() >= sent.len()).then_some(arrived)
        });
        assert_eq!(arrived.len(), sent.len(), "spans in = spans out");
        let found: BTreeSet<_> = arrived.iter().map(identity).collect();
        assert!(found == *sent, "other spans arrived than were sent");
        arrived.iter().filter(|span| incident_of(span) == Some(incident)).map(identity).collect()
    }
}

fn identity(span: &Span) -> Identity {
    (span.trace_id.clone(), span.span_id.clone())
}

fn incident_of(span: &Span) -> Option<&str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == "incident.id")?;
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn check_pagerduty(way: Way) {
    let pipeline = Pipeline::start(way);
    let checkout = pipeline.application("checkout");
    let cart = pipeline.application("cart");
    let began = now() - 10 * MINUTE;
    let to = pipeline.faultline.addresses().webhooks;
    let pagerduty = PagerDuty { to, secret: DeployedFaultline::PAGERDUTY_SECRET, created: began };
    let mut sent = BTreeSet::new();
    let mut expected = BTreeSet::new();

    sent.extend(checkout.records(SPANS, now()));
    assert_eq!(pipeline.marked(&sent, PagerDuty::INCIDENT), expected, "before the incident is known");

    let answer = pagerduty.triggers();
    assert_eq!(answer.status, 202, "{}", answer.text());
    expected.extend(checkout.records(SPANS, now()));
    sent.extend(expected.iter().cloned());
    sent.extend(cart.records(SPANS, now()));
    assert!(pipeline.marked(&sent, PagerDuty::INCIDENT) == expected, "while it is open");

    // It ended six minutes ago, as its sender says: also its grace of five is over.
    let answer = pagerduty.resolves(now() - 6 * MINUTE);
    assert_eq!(answer.status, 202, "{}", answer.text());
    sent.extend(checkout.records(SPANS, now()));
    assert!(pipeline.marked(&sent, PagerDuty::INCIDENT) == expected, "after it has ended");
    let late = checkout.records(SPANS, began + MINUTE);
    sent.extend(late.iter().cloned());
    expected.extend(late);
    assert!(pipeline.marked(&sent, PagerDuty::INCIDENT) == expected, "spans of its time that come late");
    assert_eq!(pipeline.front.metric("otelcol_exporter_send_failed_spans"), 0.0);
}

/// Scenario: an incident is open; the server is killed again and again while spans come, and each time starts anew.
/// Guarantees: the queue and the retries of the Collector in front keep what is sent while the server is away: every span arrives
/// once, and all are marked, since the incident is in the journal.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_a_collector_sends_while_the_server_is_killed_arrives_once_and_marked() {
    let mut pipeline = Pipeline::start(Way::Grpc);
    let checkout = pipeline.application("checkout");
    let to = pipeline.faultline.addresses().webhooks;
    let pagerduty = PagerDuty { to, secret: DeployedFaultline::PAGERDUTY_SECRET, created: now() - MINUTE };
    assert_eq!(pagerduty.triggers().status, 202);
    let mut sent = BTreeSet::new();
    for _ in 0..4 {
        sent.extend(checkout.records(SPANS, now()));
        // What is under way in a crash may arrive twice: OTLP has no more than at least once.
        assert!(pipeline.marked(&sent, PagerDuty::INCIDENT) == sent);
        pipeline.faultline.crashes(|| sent.extend(checkout.records(SPANS, now())));
    }
    assert!(pipeline.marked(&sent, PagerDuty::INCIDENT) == sent);
    assert!(pipeline.front.log().contains("Will retry"), "the server was away while something was sent");
}

/// Scenario: an SDK, a Collector in front and one behind; PagerDuty says that an incident has begun, and later that it ended.
/// Guarantees: every span arrives once; those of the incident's service and time are marked, from the answer to the
/// webhook on, and no others.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn spans_of_an_sdk_are_marked_while_a_pagerduty_incident_is_open_by_grpc_with_gzip() {
    check_pagerduty(Way::Grpc);
}

#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn spans_of_an_sdk_are_marked_while_a_pagerduty_incident_is_open_by_http_with_gzip() {
    check_pagerduty(Way::Http);
}

/// Scenario: Prometheus tells Alertmanager of an alert, and later that it has ended.
/// Guarantees: spans of its service are marked in between.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn spans_are_marked_while_an_alert_of_alertmanager_fires() {
    let pipeline = Pipeline::start(Way::Grpc);
    let checkout = pipeline.application("checkout");
    let url = format!("http://{}/webhooks/alertmanager", pipeline.faultline.addresses().webhooks);
    let token = DeployedFaultline::ALERTMANAGER_TOKEN;
    let alertmanager = Alertmanager::start("deploy/alertmanager/alertmanager.yaml", &url, token);
    let (began, ended) = (Rfc3339(now() - 10 * MINUTE).to_string(), Rfc3339(now() - 6 * MINUTE).to_string());
    let labels = json!({ "alertname": "HighErrorRate", "service": "checkout", "severity": "critical" });

    alertmanager.tell(&json!([{ "labels": labels, "startsAt": began }]));
    eventually("the alert to be open", || pipeline.faultline.has_open("alertmanager").then_some(()));
    let marked: BTreeSet<_> = checkout.records(SPANS, now()).into_iter().collect();
    let id = format!("alertmanager:{}", fingerprint(&alertmanager));
    assert!(pipeline.marked(&marked, &id) == marked, "while it fires");

    alertmanager.tell(&json!([{ "labels": labels, "startsAt": began, "endsAt": ended }]));
    eventually("the alert to be closed", || (!pipeline.faultline.has_open("alertmanager")).then_some(()));
    let mut sent = marked.clone();
    sent.extend(checkout.records(SPANS, now()));
    assert!(pipeline.marked(&sent, &id) == marked, "after its end");
}

/// Of the only alert that it has.
fn fingerprint(alertmanager: &Alertmanager) -> String {
    let answer = servers::http::get(alertmanager.address(), "/api/v2/alerts").expect("Alertmanager answers");
    let alerts: serde_json::Value = serde_json::from_slice(&answer.body).expect("its answer is JSON");
    alerts[0]["fingerprint"].as_str().expect("the alert has a fingerprint").to_owned()
}

/// Scenario: Alertmanager's webhooks reach nobody. An alert fires before the server starts, and ends while it runs.
/// Guarantees: the server asks, opens it at once, and closes it when it is missing in two answers in a row.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_webhooks_did_not_tell_alertmanager_is_asked_for() {
    let alertmanager = Alertmanager::start("deploy/alertmanager/alertmanager.yaml", NOWHERE, "a-token-for-tests");
    let labels = json!({ "alertname": "HighErrorRate", "service": "checkout", "severity": "critical" });
    let began = Rfc3339(now() - MINUTE).to_string();
    alertmanager.tell(&json!([{ "labels": labels, "startsAt": began }]));
    let id = format!("alertmanager:{}", fingerprint(&alertmanager));

    let faultline = Faultline::start(&asking(&alertmanager));
    eventually("the alert to be opened", || (faultline.open() == [id.as_str()]).then_some(()));

    // It goes on as long as Alertmanager has it, however often that is asked.
    let asked = || faultline.metric("faultline_reconciliations_total", &["answered"]);
    let before = asked();
    eventually("two more answers", || (asked() >= before + 2.0).then_some(()));
    assert_eq!(faultline.open(), [id.as_str()]);

    let before = asked();
    let ended = Rfc3339(now() - SECOND).to_string();
    alertmanager.tell(&json!([{ "labels": labels, "startsAt": began, "endsAt": ended }]));
    eventually("the alert to be closed", || faultline.open().is_empty().then_some(()));
    // The answer that closes it is counted after that.
    assert!(asked() > before, "one answer without it is not enough");
    assert_eq!(faultline.metric("faultline_webhooks_total", &[]), 0.0, "no webhook came");
}

/// Scenario: the token of the source is replaced while the server runs, and then an alert fires whose webhook is lost.
/// Guarantees: what the server asks for is still let in by itself.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn alertmanager_is_asked_also_after_the_token_of_its_source_was_replaced() {
    let alertmanager = Alertmanager::start("deploy/alertmanager/alertmanager.yaml", NOWHERE, "a-token-for-tests");
    let setup = asking(&alertmanager);
    let faultline = Faultline::start(&setup);
    let sources = SOURCES.replace("alertmanager-token", "its-new-token");
    faultline.rewrite(&Setup { rest: Some(sources), ..setup });
    faultline.hang_up();
    let reloads = || faultline.metric("faultline_config_reloads_total", &["in-force"]);
    eventually("the new token to be in force", || (reloads() > 0.0).then_some(()));
    let labels = json!({ "alertname": "HighErrorRate", "service": "checkout", "severity": "critical" });
    alertmanager.tell(&json!([{ "labels": labels, "startsAt": Rfc3339(now() - MINUTE).to_string() }]));
    let id = format!("alertmanager:{}", fingerprint(&alertmanager));
    eventually("the alert to be opened", || (faultline.open() == [id.as_str()]).then_some(()));
}

/// A server that asks this Alertmanager every second what is open.
fn asking(alertmanager: &Alertmanager) -> Setup {
    let reconcile = format!(
        "  reconcile:\n    - {{ source: alertmanager, url: \"http://{}\", interval: 1s, receiver: faultline }}\n",
        alertmanager.address()
    );
    let next = "127.0.0.1:9".parse().expect("it is an address");
    Setup { serve: reconcile, ..Setup::forwarding_to(next, "grpc") }
}

/// Scenario: an operator checks the configuration of `deploy/`, with its secrets set, and without.
/// Guarantees: it has no fault in the one case, and one for each secret in the other.
#[test]
fn the_configuration_in_deploy_is_fine_once_its_secrets_are_set() {
    let with = DeployedFaultline::check(true);
    assert!(with.status.success(), "{}", String::from_utf8_lossy(&with.stderr));
    let without = DeployedFaultline::check(false);
    assert!(!without.status.success());
    let told = String::from_utf8_lossy(&[without.stdout, without.stderr].concat()).into_owned();
    for name in ["PAGERDUTY_SECRET", "ALERTMANAGER_TOKEN", "FAULTLINE_TOKEN"] {
        assert!(told.contains(name), "{name} is not in\n{told}");
    }
}
