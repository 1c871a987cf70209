//! Prometheus Alertmanager webhook, version 4: many alerts a body, each with a status of its own.
//!
//! Source: Alertmanager documentation, "Webhook config". The group's status is not read: it says `firing` as long as any
//! alert fires. Repeats are no duplicates: they renew the lease.

use super::{Change, Event, Fault, Reading, kept};
use crate::config::Limits;
use crate::digest;
use crate::fields::{Field, parse};
use crate::incident::{IncidentKind, IncidentState, Severity, Snapshot};
use crate::limits;
use crate::text;
use crate::webhook::Webhook;

pub(super) fn read(webhook: &Webhook, limits: &Limits) -> Result<Reading, Fault> {
    let body = parse(&webhook.body)?;
    let body = Field::root(&body);
    let alerts = body.get("alerts").list()?;
    if alerts.len() > limits.alerts_per_webhook {
        return Err(Fault::TooLarge(format!(
            "alerts: {} alerts, at most {} are taken; set `max_alerts` in Alertmanager's webhook_config",
            alerts.len(),
            limits.alerts_per_webhook
        )));
    }
    let truncated = body.get("truncatedAlerts").count()?;
    let note = (truncated > 0)
        .then(|| format!("Alertmanager left out {truncated} alerts (`max_alerts`); what is left out is not resolved"));
    let events: Result<Vec<Event>, String> = alerts.iter().map(event).collect();
    let events: Vec<Event> = events?;
    if events.is_empty() {
        return Ok(Reading::Nothing { kind: "ignored", reason: "no alert in the body".to_owned() });
    }
    Ok(Reading::Events { delivery: None, events, unread: Vec::new(), note })
}

fn event(alert: &Field<'_>) -> Result<Event, String> {
    let labels = texts(&alert.get("labels"))?;
    let annotations = match alert.get("annotations").optional() {
        Some(annotations) => texts(&annotations)?,
        None => Vec::new(),
    };
    let (kind, state) = match alert.get("status").text()? {
        "firing" => ("triggered", IncidentState::Triggered),
        "resolved" => ("resolved", IncidentState::Resolved),
        _ => return Err(alert.get("status").expected("`firing` or `resolved`")),
    };
    let started = alert.get("startsAt").time()?;
    let ended = alert.get("endsAt").time()?;
    let id = match alert.get("fingerprint").optional() {
        Some(fingerprint) => fingerprint.id()?,
        None => fingerprint(&labels),
    };
    let name = find(&labels, "alertname");
    let title = find(&annotations, "summary").or(find(&annotations, "title")).or(name);
    let url = alert.get("generatorURL").optional_text()?.and_then(|url| text::link(url, limits::URL_BYTES_MAX));
    let snapshot = Snapshot {
        kind: Some(IncidentKind::Alert),
        severity: Some(find(&labels, "severity").map_or(Severity::Unknown, Severity::of_word)),
        title: title.map(|title| text::clean(title, limits::TITLE_BYTES_MAX)),
        url,
        display: name.map(|name| text::clean(name, limits::LABEL_BYTES_MAX)),
        started,
        labels: kept(&mut labels.iter().copied()),
        ..Snapshot::default()
    };
    // Alertmanager gives no time of the notification. A firing alert is as old as its start; a resolved one ended at
    // its end, which is Go's zero time in some versions: then the receipt counts.
    let time = if state.is_terminal() { ended } else { started };
    Ok(Event { id, source: None, kind, change: Change::To(state), time, snapshot })
}

/// Names and values, sorted by name as a document's members are.
type Texts<'a> = Vec<(&'a str, &'a str)>;

fn texts<'a>(object: &Field<'a>) -> Result<Texts<'a>, String> {
    let mut texts = Vec::new();
    for (name, value) in object.members()? {
        texts.push((name.as_str(), value.text()?));
    }
    Ok(texts)
}

fn find<'a>(texts: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    texts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What Alertmanager versions before 0.17 do not send: a digest of the label set.
fn fingerprint(labels: &[(&str, &str)]) -> String {
    let set: Vec<String> = labels.iter().map(|(name, value)| format!("{name}\u{0}{value}\u{0}")).collect();
    digest::short(set.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn try_read(body: &Value) -> Result<Reading, Fault> {
        let webhook = Webhook { body: body.to_string().into_bytes(), ..Webhook::default() };
        read(&webhook, &Limits { alerts_per_webhook: 3, ..Limits::default() })
    }

    fn events(body: &Value) -> Vec<Event> {
        match try_read(body).unwrap() {
            Reading::Events { events, .. } => events,
            Reading::Nothing { reason, .. } => panic!("{reason}"),
        }
    }

    fn alert(status: &str, name: &str) -> Value {
        json!({"status": status, "labels": {"alertname": name, "severity": "page"}, "annotations": {"summary": "it is slow"},
            "startsAt": "2026-03-01T10:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
            "fingerprint": "0123456789abcdef"})
    }

    #[test]
    fn each_alert_has_its_own_status_whatever_the_group_says() {
        let body = json!({"status": "firing", "alerts": [alert("firing", "A"), alert("resolved", "B")]});
        let changes: Vec<Change> = events(&body).into_iter().map(|event| event.change).collect();
        assert_eq!(changes, [Change::To(IncidentState::Triggered), Change::To(IncidentState::Resolved)]);
    }

    #[test]
    fn a_resolved_alert_without_end_has_no_time() {
        let body = json!({"alerts": [alert("resolved", "A"), alert("firing", "A")]});
        let times: Vec<Option<u64>> = events(&body).into_iter().map(|event| event.time).collect();
        assert_eq!(times, [None, Some(1_772_359_200_123_456_789)]);
    }

    #[test]
    fn without_fingerprint_the_label_set_is_the_identity() {
        let without = |name: &str| {
            let mut alert = alert("firing", name);
            alert.as_object_mut().unwrap().remove("fingerprint");
            alert
        };
        let events = events(&json!({"alerts": [without("A"), without("A"), without("B")]}));
        assert_eq!(events[0].id, events[1].id);
        assert_ne!(events[0].id, events[2].id);
    }

    #[test]
    fn an_old_numeric_group_key_and_unknown_fields_do_no_harm() {
        let body = json!({"version": "3", "groupKey": 9_007_199_254_740_993_u64, "notification_reason": "repeat",
            "alerts": [alert("firing", "A")]});
        assert_eq!(events(&body).len(), 1);
    }

    #[test]
    fn too_many_alerts_and_wrong_types_are_refused_by_path() {
        let many = json!({"alerts": vec![alert("firing", "A"); 4]});
        assert!(matches!(try_read(&many), Err(Fault::TooLarge(message)) if message.contains("max_alerts")));
        let wrong = json!({"alerts": [alert("firing", "A"), {"labels": {"a": 1}}]});
        let fault = try_read(&wrong).unwrap_err();
        assert_eq!(fault, Fault::Malformed("alerts[1].labels.a: expected a string, found a number".to_owned()));
    }

    #[test]
    fn no_alerts_is_nothing_and_left_out_ones_are_noted() {
        assert!(matches!(try_read(&json!({"alerts": []})), Ok(Reading::Nothing { .. })));
        let body = json!({"alerts": [alert("firing", "A")], "truncatedAlerts": 7});
        assert!(matches!(try_read(&body), Ok(Reading::Events { note: Some(note), .. }) if note.contains("7 alerts")));
    }
}
