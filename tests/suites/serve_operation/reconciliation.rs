//! An Alertmanager that is asked what is open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use serde_json::json;

use super::servers::{Faultline, Setup, eventually, http};

/// An Alertmanager without any alert, whose only receiver is `faultline`. It ends with the test.
fn alertmanager_without_alerts() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let asked = lines.next().unwrap_or_default();
            lines.for_each(drop);
            let body = if asked.contains("/api/v2/receivers") { r#"[{"name":"faultline"}]"# } else { "[]" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // Whoever has gone does not want it.
            let _ = reader.into_inner().write_all(answer.as_bytes());
        }
    });
    address
}

/// Starts a server that asks for that receiver every second, and has heard of one alert.
fn start(alertmanager: SocketAddr, receiver: &str) -> Faultline {
    let nowhere = "127.0.0.1:9".parse().expect("it is an address");
    let serve = format!(
        "  reconcile:\n    - {{ source: alertmanager, url: \"http://{alertmanager}\", interval: 1s, receiver: {receiver} }}\n"
    );
    let faultline = Faultline::start(&Setup { serve, ..Setup::forwarding_to(nowhere, "grpc") });
    let alert = json!({
        "status": "firing",
        "labels": { "alertname": "Slow", "severity": "critical", "service": "checkout" },
        "annotations": {},
        "startsAt": "2026-03-01T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "af1e2d3c4b5a6978",
    });
    let body = json!({ "version": "4", "status": "firing", "alerts": [alert] }).to_string();
    let headers = [("Authorization", "Bearer alertmanager-token")];
    let answer = http::post(faultline.addresses().webhooks, "/webhooks/alertmanager", &headers, body.as_bytes());
    let answer = answer.expect("it answers");
    assert_eq!(answer.status, 202, "{}", answer.text());
    faultline
}

/// Whether some line of the log is a warning with all of these.
fn warns(faultline: &Faultline, parts: &[&str]) -> bool {
    let log = faultline.log();
    log.lines().any(|line| line.contains("WARN") && parts.iter().all(|part| line.contains(part)))
}

/// Scenario: the configuration names a receiver that Alertmanager does not have, which has no alerts therefore.
/// Guarantees: no alert is ended; the log says which receivers there are.
#[test]
fn a_receiver_that_alertmanager_does_not_have_ends_no_alert() {
    let faultline = start(alertmanager_without_alerts(), "faultlin");
    let asked = || faultline.metric("faultline_reconciliations_total", &["source=\"alertmanager\""]);
    let before = asked();
    // Missing twice in a row would be the end.
    eventually("Alertmanager to be asked", || (asked() >= before + 3.0).then_some(()));
    assert_eq!(faultline.open(), ["alertmanager:af1e2d3c4b5a6978"]);
    assert!(warns(&faultline, &["no receiver", "faultlin", "only faultline"]), "{}", faultline.log());
}

/// Guarantees: an alert that Alertmanager has no more is ended, and that is a warning.
#[test]
fn an_alert_that_alertmanager_has_no_more_is_ended_with_a_warning() {
    let faultline = start(alertmanager_without_alerts(), "faultline");
    eventually("the alert to be ended", || faultline.open().is_empty().then_some(()));
    eventually("the warning", || warns(&faultline, &["af1e2d3c4b5a6978", "Slow", "no more"]).then_some(()));
}
