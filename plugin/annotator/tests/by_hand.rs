//! A manual source that `manages` acts on incidents of other sources; what these say themselves is never lost by it.

use faultline_annotator::Annotator;
use faultline_annotator::entry::Record;
use faultline_annotator::status::Status;
use faultline_annotator::time::{HOUR, MINUTE, Nanos, Rfc3339, SECOND};
use faultline_annotator::webhook::{Receipt, Webhook};

const NOW: Nanos = 1_772_359_200 * SECOND;

fn configured() -> Annotator {
    let mut annotator = Annotator::default();
    let config = r#"{"sources": {
        "desk": {"kind": "manual", "tokens": ["t"], "manages": true, "lease": "2h"},
        "am": {"kind": "alertmanager", "tokens": ["t"]},
        "watch": {"kind": "generic", "tokens": ["t"], "fields": {"id": "/id", "state": "/state", "time": "/time",
            "states": {"on": "triggered", "off": "resolved"}, "service": "/service"}}}}"#;
    annotator.configure(config, "test").unwrap();
    annotator
}

fn send(annotator: &mut Annotator, source: &str, body: &str, now: Nanos) -> Receipt {
    let webhook = Webhook {
        method: "POST".to_owned(),
        url: format!("/webhooks/{source}"),
        headers: vec![("Authorization".to_owned(), b"Bearer t".to_vec())],
        body: body.as_bytes().to_vec(),
    };
    let receipt = annotator.receive(source, &webhook, now);
    annotator.merge(&receipt.entries, now).unwrap();
    receipt
}

fn watch(annotator: &mut Annotator, state: &str, time: Nanos, now: Nanos) -> Receipt {
    let time = Rfc3339(time);
    send(annotator, "watch", &format!(r#"{{"id": "1", "state": "{state}", "time": "{time}", "service": "cart"}}"#), now)
}

fn desk(annotator: &mut Annotator, action: &str, more: &str, now: Nanos) -> Receipt {
    let body = format!(r#"{{"action": "{action}", "source": "watch", "id": "1"{more}}}"#);
    send(annotator, "desk", &body, now)
}

fn incident(annotator: &Annotator, now: Nanos) -> Status {
    annotator.find("watch:1", now).unwrap()
}

/// Scenario: somebody answers an incident while its end, which happened before the answer, is still on its way.
/// Guarantees: the end ends it.
#[test]
fn an_answer_by_hand_does_not_outlive_an_end_on_its_way() {
    for (action, more) in [("acknowledge", ""), ("update", r#", "title": "ours""#), ("open", "")] {
        let mut annotator = configured();
        watch(&mut annotator, "on", NOW, NOW);
        assert_eq!(desk(&mut annotator, action, more, NOW + 3 * MINUTE).status, 202, "{action}");
        assert!(incident(&annotator, NOW + 3 * MINUTE).view.is_open(), "{action}");
        watch(&mut annotator, "off", NOW + 2 * MINUTE, NOW + 4 * MINUTE);
        let view = incident(&annotator, NOW + 4 * MINUTE).view;
        assert_eq!((view.is_open(), view.ended), (false, Some(NOW + 2 * MINUTE)), "{action}");
    }
}

/// Scenario: a desk opens an incident of its own, and says later that somebody is at it, and no more.
/// Guarantees: it goes on marking the same service with the same severity.
#[test]
fn an_answer_to_an_own_incident_leaves_the_rest_as_it_was() {
    let mut annotator = configured();
    let open = r#"{"action": "open", "id": "7", "title": "lag", "severity": "high", "services": ["cart"]}"#;
    send(&mut annotator, "desk", open, NOW);
    send(&mut annotator, "desk", r#"{"action": "acknowledge", "id": "7"}"#, NOW + MINUTE);
    let status = annotator.find("desk:7", NOW + MINUTE).unwrap();
    assert_eq!((status.view.state_name(), status.view.severity().name()), ("acknowledged", "high"));
    assert_eq!(status.view.snapshot.title.as_deref(), Some("lag"));
    assert_eq!(status.view.snapshot.targets.as_ref().map(Vec::len), Some(1));
    assert_eq!(status.view.started, NOW);
}

#[test]
fn an_answer_and_an_update_show_and_leave_the_rest_as_it_was() {
    let mut annotator = configured();
    watch(&mut annotator, "on", NOW, NOW);
    desk(&mut annotator, "acknowledge", "", NOW + MINUTE);
    desk(&mut annotator, "update", r#", "title": "ours", "severity": "low""#, NOW + 2 * MINUTE);
    let status = incident(&annotator, NOW + 2 * MINUTE);
    assert_eq!((status.view.state_name(), status.view.severity().name()), ("acknowledged", "low"));
    assert_eq!((status.view.started, status.reach.services()), (NOW, vec!["cart".to_owned()]));
}

/// Scenario: the clock of the incident's source runs ahead, so that its beginning lies behind the closing by hand.
/// Guarantees: it is closed.
#[test]
fn closing_by_hand_ends_an_incident_of_a_clock_that_runs_ahead() {
    let mut annotator = configured();
    watch(&mut annotator, "on", NOW + 4 * MINUTE, NOW);
    desk(&mut annotator, "close", "", NOW + MINUTE);
    assert!(!incident(&annotator, NOW + MINUTE).view.is_open());
}

#[test]
fn closing_by_hand_moves_no_end_and_closes_nothing_that_nobody_knows() {
    let mut annotator = configured();
    let receipt = desk(&mut annotator, "close", "", NOW);
    assert_eq!((receipt.status, receipt.transitions[0].kind), (200, "ignored"));
    assert!(annotator.find("watch:1", NOW).is_err());
    watch(&mut annotator, "on", NOW, NOW);
    watch(&mut annotator, "off", NOW + MINUTE, NOW + MINUTE);
    let receipt = desk(&mut annotator, "close", "", NOW + HOUR);
    assert_eq!(receipt.transitions[0].reason, "the incident is over already");
    assert_eq!(incident(&annotator, NOW + HOUR).view.ended, Some(NOW + MINUTE));
}

/// Scenario: somebody closes an alert that goes on firing; Alertmanager repeats it.
/// Guarantees: it is open again, from the repeat on: by hand nobody silences what is so.
#[test]
fn an_alert_that_still_fires_is_open_again_after_it_was_closed_by_hand() {
    let mut annotator = configured();
    let alert = r#"{"alerts": [{"status": "firing", "labels": {"service": "cart"}, "startsAt": "2026-03-01T10:00:00Z",
        "fingerprint": "f1"}]}"#;
    send(&mut annotator, "am", alert, NOW);
    let close = r#"{"action": "close", "source": "am", "id": "f1"}"#;
    send(&mut annotator, "desk", close, NOW + 10 * MINUTE);
    let view = |annotator: &Annotator, now| annotator.find("am:f1", now).unwrap().view;
    assert!(!view(&annotator, NOW + 10 * MINUTE).is_open());
    let repeat = send(&mut annotator, "am", alert, NOW + 4 * HOUR);
    assert_eq!(repeat.transitions[0].kind, "reopened");
    assert_eq!(view(&annotator, NOW + 4 * HOUR).started, NOW + 4 * HOUR);
}

/// Guarantees: the incident's entry is its source's, with that source's lease; the delivery is the sender's.
#[test]
fn entries_are_of_the_source_whose_incident_it_is() {
    let mut annotator = configured();
    let receipt = desk(&mut annotator, "open", r#", "services": ["cart"], "delivery_id": "d1""#, NOW);
    assert_eq!(
        (receipt.transitions[0].source.as_str(), receipt.transitions[0].incident.as_str()),
        ("watch", "watch:1")
    );
    let Some(Record::Incident(record)) = receipt.entries[0].record() else { panic!("an incident comes first") };
    assert_eq!((record.incident.source.as_str(), record.lease_until), ("watch", NOW + 24 * HOUR));
    let Some(Record::Delivery(delivery)) = receipt.entries[1].record() else { panic!("the delivery comes last") };
    assert_eq!(delivery.source, "desk");
    let again = desk(&mut annotator, "open", r#", "delivery_id": "d1""#, NOW + MINUTE);
    assert_eq!((again.transitions[0].kind, again.transitions[0].incident.as_str()), ("duplicate", "watch:1"));
}
