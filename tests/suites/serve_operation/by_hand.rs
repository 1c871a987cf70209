//! Incidents by hand: the admin listener, and `faultline incidents` as its client.

use faultline::time::{SECOND, now};
use faultline_load::Protocol;
use serde_json::{Value, json};

use super::servers::{Faultline, PagerDuty, Setup, http};
use super::{printed, send, sink};

fn start() -> Faultline {
    let nowhere = "127.0.0.1:9".parse().expect("it is an address");
    Faultline::start(&Setup::forwarding_to(nowhere, "grpc"))
}

/// Runs it, and holds that it went well. Answers with what it printed.
fn incidents(faultline: &Faultline, arguments: &[&str]) -> String {
    let output = faultline.incidents(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", printed(&output));
    printed(&output)
}

fn shown(faultline: &Faultline, name: &str) -> Value {
    serde_json::from_str(&incidents(faultline, &["show", name, "-o", "json"])).expect("it prints JSON")
}

/// Scenario: every path of the admin listener is asked without a token, with a wrong one, and with one of a source.
/// Guarantees: 401, and nothing has changed.
#[test]
fn nobody_is_let_in_without_a_token_of_the_admin_listener() {
    let faultline = start();
    faultline.open_incident("1", "checkout");
    let close = json!({ "action": "close", "source": "manual", "id": "1" }).to_string();
    let off = json!({ "marking": "off" }).to_string();
    let headers: [&[(&str, &str)]; 4] = [
        &[],
        &[("Authorization", "Bearer wrong")],
        &[("Authorization", "Bearer manual-token")],
        &[("Authorization", "admin-token")],
    ];
    let admin = faultline.addresses().admin;
    for headers in headers {
        for path in ["/v1/incidents", "/v1/incidents/manual:1", "/v1/gaps", "/v1/marking"] {
            assert_eq!(http::get_with(admin, path, headers).expect("it answers").status, 401, "GET {path}");
        }
        for (path, body) in [("/v1/incidents", &close), ("/v1/marking", &off)] {
            let answer = http::post(admin, path, headers, body.as_bytes()).expect("it answers");
            assert_eq!(answer.status, 401, "POST {path}");
        }
    }
    assert_eq!(faultline.open(), ["manual:1"]);
    assert_eq!(faultline.ready().text(), "ready\n");
    // The paths are there for whoever may.
    for path in ["/v1/incidents", "/v1/incidents/manual:1", "/v1/gaps", "/v1/marking"] {
        assert_eq!(faultline.admin(path).status, 200, "GET {path}");
    }
}

/// Scenario: somebody opens an incident, says more of it, and closes it, with `faultline incidents`.
/// Guarantees: each takes effect on telemetry at once, and shows in what the command lists.
#[test]
fn an_incident_is_opened_updated_and_closed_by_the_command() {
    let sink = sink();
    let faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
    let marked = || {
        sink.reset();
        send(&faultline, 4);
        sink.counts().accepted.marked
    };
    assert!(incidents(&faultline, &["list"]).contains("No incident is open"));
    incidents(&faultline, &["open", "db-7", "--service", "checkout", "--severity", "high", "--title", "replica lags"]);
    assert!(marked() > 0);
    let list = incidents(&faultline, &[]);
    for part in ["admin:db-7", "high", "triggered", "checkout", "replica lags"] {
        assert!(list.contains(part), "{part} is not in\n{list}");
    }
    incidents(&faultline, &["update", "db-7", "--severity", "critical"]);
    incidents(&faultline, &["acknowledge", "db-7"]);
    let record = shown(&faultline, "admin:db-7");
    assert_eq!((&record["severity"], &record["state"]), (&json!("critical"), &json!("acknowledged")), "{record}");
    assert!(marked() > 0);
    incidents(&faultline, &["close", "db-7"]);
    assert!(incidents(&faultline, &["list"]).contains("No incident is open"));
    let record = shown(&faultline, "db-7");
    assert_eq!((&record["open"], &record["state"]), (&json!(false), &json!("resolved")), "{record}");
}

/// Scenario: PagerDuty's word that an incident has ended never comes; somebody closes it here.
/// Guarantees: it is closed under its own name, and stays so when the server is started again.
#[test]
fn an_incident_of_pagerduty_is_closed_by_hand() {
    let mut faultline = start();
    let to = faultline.addresses().webhooks;
    let pagerduty = PagerDuty { to, secret: "pagerduty-secret", created: now() - 60 * SECOND };
    let answer = pagerduty.triggers();
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(faultline.open(), [PagerDuty::INCIDENT]);
    assert_eq!(shown(&faultline, "#1042")["id"], PagerDuty::INCIDENT);
    incidents(&faultline, &["close", PagerDuty::INCIDENT]);
    assert_eq!(faultline.open(), [""; 0]);
    faultline.kill();
    faultline.start_again();
    assert_eq!(faultline.open(), [""; 0]);
    assert_eq!(shown(&faultline, PagerDuty::INCIDENT)["state"], "resolved");
}

/// Scenario: it is acknowledged and closed by its id there, by what people call it, and by that without the `#`.
/// Guarantees: it is the incident of PagerDuty each time, none of our own; what was done is a sentence.
#[test]
fn an_incident_of_pagerduty_goes_by_each_of_its_names() {
    let (_, id) = PagerDuty::INCIDENT.split_once(':').expect("a source and an id");
    for name in [id, "#1042", "1042"] {
        let faultline = start();
        let to = faultline.addresses().webhooks;
        let pagerduty = PagerDuty { to, secret: "pagerduty-secret", created: now() - 60 * SECOND };
        assert_eq!(pagerduty.triggers().status, 202);
        incidents(&faultline, &["acknowledge", name]);
        assert_eq!(shown(&faultline, PagerDuty::INCIDENT)["state"], "acknowledged");
        let said = incidents(&faultline, &["close", name]);
        assert_eq!(said, format!("{} is resolved; it affects checkout.\n", PagerDuty::INCIDENT));
        assert_eq!(faultline.open(), [""; 0]);
        assert!(!faultline.incidents(&["show", &format!("admin:{name}")]).status.success(), "none of our own");
    }
}

/// Scenario: marking is stopped without a word about the type of the body, or with a wrong one; then by a body that says nothing.
/// Guarantees: it stops all the same; the last is refused in JSON, and changes nothing.
#[test]
fn marking_is_stopped_whatever_type_the_body_is_said_to_have() {
    let faultline = start();
    let admin = faultline.addresses().admin;
    let token = ("Authorization", "Bearer admin-token");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for headers in [&[token][..], &[token, form]] {
        for (marking, is_stopped) in [("off", true), ("on", false)] {
            let body = json!({ "marking": marking }).to_string();
            let answer = http::post(admin, "/v1/marking", headers, body.as_bytes()).expect("it answers");
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(faultline.ready().text().contains("stopped"), is_stopped);
        }
    }
    let answer = http::post(admin, "/v1/marking", &[token], b"{\"marking\": \"maybe\"}").expect("it answers");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let refusal: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert!(refusal["message"].as_str().is_some_and(|message| message.contains("maybe")), "{refusal}");
    assert_eq!(faultline.ready().text(), "ready\n");
}

/// Guarantees: what cannot be done is said, with status 1, and without the token.
#[test]
fn the_command_says_what_it_could_not_do() {
    let faultline = start();
    faultline.open_incident("QNEW1", "checkout");
    incidents(&faultline, &["open", "QNEW2"]);
    faultline.open_incident("QNEW2", "checkout");
    let hub = format!("http://{}", faultline.addresses().webhooks);
    let cases: [(&[&str], &str); 8] = [
        (&["show", "nobody:1"], "nobody:1"),
        (&["close", "nowhere:1"], "nowhere"),
        (&["close", "QNEW"], "manual:QNEW1"),
        (&["acknowledge", "QNEW"], "manual:QNEW1"),
        (&["update", "QNEW", "--severity", "low"], "manual:QNEW1"),
        (&["close", "QNEW2"], "ambiguous"),
        (&["open", "1", "--severity", "very"], "severity"),
        (&["list", "--hub", &hub], "404"),
    ];
    for (arguments, said) in cases {
        let output = faultline.incidents(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", printed(&output));
        assert!(printed(&output).contains(said), "{arguments:?}: {said} is not in\n{}", printed(&output));
        assert!(!printed(&output).contains("admin-token"), "{}", printed(&output));
    }
}
