//! PagerDuty webhooks V3: one event a body.
//!
//! Source: PagerDuty developer documentation, "V3 Webhooks overview". People's names are not read.

use std::collections::BTreeMap;

use super::{Change, Event, Fault, Reading, kept};
use crate::fields::{Field, parse};
use crate::incident::{IncidentKind, IncidentState, ServiceReference, Severity, Snapshot};
use crate::limits;
use crate::text;
use crate::time::Nanos;
use crate::webhook::Webhook;

/// The same on each attempt of one delivery.
const DELIVERY_ID: &str = "X-Webhook-Id";

pub(super) fn read(webhook: &Webhook) -> Result<Reading, Fault> {
    let body = parse(&webhook.body)?;
    let event = Field::root(&body).get("event");
    let event_type = event.get("event_type").text()?;
    let event_id = event.get("id").optional_text()?;
    let delivery = webhook.header_text(DELIVERY_ID).or(event_id).map(str::to_owned);
    if event_type == "pagey.ping" {
        return Ok(Reading::Nothing { kind: "ping", reason: "PagerDuty's test event".to_owned() });
    }
    let data = event.get("data");
    let event = match kind_of(event_type) {
        Some(kind) => match state(&data)? {
            Some(state) => whole(&event, &data, kind, state)?,
            // A 4xx would make PagerDuty switch the subscription off after the third.
            None => return Ok(unknown_status(data.get("status").text()?)),
        },
        None if data.clone().get("incident").optional().is_some() => {
            let id = data.get("incident").get("id").id()?;
            let time = event.get("occurred_at").time()?;
            Event { id, source: None, kind: "annotated", change: Change::Update, time, snapshot: Snapshot::default() }
        }
        None => return Ok(nothing(event_type)),
    };
    Ok(Reading::Events { delivery, events: vec![event], unread: Vec::new(), note: None })
}

/// PagerDuty adds event types without notice; those that are new are told apart, for somebody to look at.
fn nothing(event_type: &str) -> Reading {
    let name = text::clean(event_type, 64);
    if event_type.starts_with("service.") {
        return Reading::Nothing { kind: "ignored", reason: format!("event type `{name}` is not about an incident") };
    }
    Reading::Nothing { kind: "unknown", reason: format!("event type `{name}` is not known") }
}

fn unknown_status(status: &str) -> Reading {
    Reading::Nothing { kind: "unknown", reason: format!("status `{}` is not known", text::clean(status, 64)) }
}

/// The transition that an event type names. All of these carry the whole incident.
fn kind_of(event_type: &str) -> Option<&'static str> {
    Some(match event_type {
        "incident.triggered" => "triggered",
        "incident.acknowledged" => "acknowledged",
        "incident.unacknowledged" => "unacknowledged",
        "incident.escalated" => "escalated",
        "incident.delegated" => "delegated",
        "incident.reassigned" => "reassigned",
        "incident.reopened" => "reopened",
        "incident.resolved" => "resolved",
        "incident.priority_updated" => "priority-changed",
        "incident.service_updated" => "service-changed",
        "incident.incident_type.changed" => "updated",
        _ => return None,
    })
}

/// `None` for a status that we do not know.
fn state(data: &Field<'_>) -> Result<Option<IncidentState>, String> {
    Ok(match data.get("status").text()? {
        "triggered" => Some(IncidentState::Triggered),
        "acknowledged" => Some(IncidentState::Acknowledged),
        "resolved" => Some(IncidentState::Resolved),
        _ => None,
    })
}

fn whole(event: &Field<'_>, data: &Field<'_>, kind: &'static str, state: IncidentState) -> Result<Event, Fault> {
    let merged_into = match data.get("resolve_reason").optional() {
        Some(reason) if reason.get("type").optional_text()? == Some("merge_resolve_reason") => {
            reason.get("incident").get("id").optional().map(|id| id.id()).transpose()?
        }
        _ => None,
    };
    let merged = merged_into.is_some() && state.is_terminal();
    let state = if merged { IncidentState::Merged } else { state };
    let kind = if state == IncidentState::Merged { "merged" } else { kind };
    let snapshot = Snapshot {
        kind: Some(IncidentKind::Incident),
        severity: Some(severity(data)?),
        title: data.get("title").optional_text()?.map(|title| text::clean(title, limits::TITLE_BYTES_MAX)),
        url: data.get("html_url").optional_text()?.and_then(|url| text::link(url, limits::URL_BYTES_MAX)),
        display: data
            .get("number")
            .optional()
            .map(|number| number.id())
            .transpose()?
            .map(|number| format!("#{number}")),
        started: began_again(event, data, kind)?.or(data.get("created_at").time()?),
        services: Some(services(data)?),
        targets: None,
        labels: labels(data)?,
        merged_into,
        reopened: kind == "reopened",
        test: false,
    };
    let time = event.get("occurred_at").time()?;
    Ok(Event { id: data.get("id").id()?, source: None, kind, change: Change::To(state), time, snapshot })
}

/// When the incident was opened again: later events say it too, in accounts that send the field.
fn began_again(event: &Field<'_>, data: &Field<'_>, kind: &str) -> Result<Option<Nanos>, String> {
    match data.get("reopened_at").time()? {
        None if kind == "reopened" => event.get("occurred_at").time(),
        reopened_at => Ok(reopened_at),
    }
}

/// Priority before urgency: accounts that use priorities set urgency to high for nearly everything.
fn severity(data: &Field<'_>) -> Result<Severity, String> {
    if let Some(priority) = data.get("priority").optional() {
        return Ok(Severity::of_word(priority.get("summary").optional_text()?.unwrap_or_default()));
    }
    Ok(Severity::of_word(data.get("urgency").optional_text()?.unwrap_or_default()))
}

fn services(data: &Field<'_>) -> Result<Vec<ServiceReference>, String> {
    let Some(service) = data.get("service").optional() else { return Ok(Vec::new()) };
    let id = service.get("id").optional().map(|id| id.id()).transpose()?;
    let name = service.get("summary").optional_text()?.map(|name| text::clean(name, limits::LABEL_BYTES_MAX));
    Ok(vec![ServiceReference { id, name }])
}

/// What rules under `match` and `unless` may ask for.
fn labels(data: &Field<'_>) -> Result<BTreeMap<String, String>, String> {
    let team = match data.get("teams").optional() {
        Some(teams) => teams.list()?.first().map(|team| team.get("summary").optional_text()).transpose()?.flatten(),
        None => None,
    };
    let summary = |name: &str| data.get(name).optional().map(|field| field.get("summary").optional_text()).transpose();
    let named = [
        ("urgency", data.get("urgency").optional_text()?),
        ("priority", summary("priority")?.flatten()),
        ("escalation_policy", summary("escalation_policy")?.flatten()),
        ("incident_type", data.get("incident_type").get("name").optional_text()?),
        ("team", team),
    ];
    Ok(kept(&mut named.into_iter().filter_map(|(name, value)| Some((name, value?)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(event_type: &str, data: Value) -> Reading {
        try_body(event_type, data).unwrap()
    }

    fn try_body(event_type: &str, data: Value) -> Result<Reading, Fault> {
        let body = json!({"event": {"id": "01E", "event_type": event_type, "occurred_at": "2026-03-01T10:00:00Z",
            "agent": null, "client": null, "data": data}});
        read(&Webhook { body: body.to_string().into_bytes(), ..Webhook::default() })
    }

    fn only(reading: Reading) -> Event {
        match reading {
            Reading::Events { mut events, .. } => events.remove(0),
            Reading::Nothing { reason, .. } => panic!("{reason}"),
        }
    }

    fn incident() -> Value {
        json!({"id": "Q1", "type": "incident", "number": 42, "status": "acknowledged", "title": "down\u{7}",
            "html_url": "https://example.com/incidents/Q1", "created_at": "2026-03-01T09:58:00Z",
            "service": {"id": "P1", "summary": "Checkout"}, "urgency": "low", "priority": {"id": "PX", "summary": "P1"},
            "teams": [{"summary": "Shop"}], "assignees": [{"summary": "A Person"}], "escalation_policy": null})
    }

    #[test]
    fn the_status_decides_and_the_event_type_only_names_the_transition() {
        let event = only(body("incident.triggered", incident()));
        assert_eq!((event.kind, event.change), ("triggered", Change::To(IncidentState::Acknowledged)));
    }

    #[test]
    fn priority_comes_before_urgency() {
        assert_eq!(only(body("incident.triggered", incident())).snapshot.severity, Some(Severity::Critical));
        let mut without = incident();
        without["priority"] = Value::Null;
        assert_eq!(only(body("incident.triggered", without)).snapshot.severity, Some(Severity::Low));
    }

    #[test]
    fn fields_are_where_the_documentation_says() {
        let Snapshot { title, url, display, services, labels, .. } =
            only(body("incident.triggered", incident())).snapshot;
        assert_eq!(title.as_deref(), Some("down"));
        assert_eq!(url.as_deref(), Some("https://example.com/incidents/Q1"));
        assert_eq!(display.as_deref(), Some("#42"));
        let service = ServiceReference { id: Some("P1".to_owned()), name: Some("Checkout".to_owned()) };
        assert_eq!(services, Some(vec![service]));
        assert_eq!(labels.get("team").map(String::as_str), Some("Shop"));
        assert!(labels.values().all(|value| value != "A Person"));
    }

    #[test]
    fn an_incident_merged_into_another_is_over_and_says_where_it_goes_on() {
        let mut merged = incident();
        merged["status"] = json!("resolved");
        merged["resolve_reason"] = json!({"type": "merge_resolve_reason", "incident": {"id": "Q2"}});
        let event = only(body("incident.resolved", merged));
        assert_eq!((event.kind, event.change), ("merged", Change::To(IncidentState::Merged)));
        assert_eq!(event.snapshot.merged_into.as_deref(), Some("Q2"));
    }

    #[test]
    fn partial_and_unknown_events_create_nothing() {
        let note = body("incident.annotated", json!({"incident": {"id": "Q1", "summary": null}, "content": "looking"}));
        assert_eq!(only(note).change, Change::Update);
        let unknown = body("service.created", json!({"id": "P1", "type": "service"}));
        assert!(matches!(unknown, Reading::Nothing { kind: "ignored", .. }));
        let new = body("incident.teleported", json!({"id": "Q1"}));
        assert!(matches!(new, Reading::Nothing { kind: "unknown", .. }));
        assert!(matches!(body("pagey.ping", json!({})), Reading::Nothing { kind: "ping", .. }));
    }

    #[test]
    fn a_body_without_its_fields_is_refused_with_the_path() {
        let fault = try_body("incident.triggered", json!({"id": "Q1", "status": 7})).unwrap_err();
        assert_eq!(fault, Fault::Malformed("event.data.status: expected a string, found a number".to_owned()));
    }
}
