//! Faultline's own format: open, acknowledge, update and close by hand or by script.
//!
//! ```json
//! {"action": "open", "id": "2026-031", "title": "Checkout is slow", "severity": "high", "services": ["checkout"]}
//! ```
//!
//! Unknown keys are errors here: whoever writes by hand wants to hear of a slip.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Change, Event, Fault, Reading};
use crate::config::Target;
use crate::fields::{Field, parse};
use crate::incident::{IncidentKind, IncidentState, Severity, Snapshot};
use crate::limits;
use crate::text;
use crate::time::{Nanos, parse_rfc3339};
use crate::webhook::Webhook;

/// A request of the manual source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    action: Action,
    /// 1 to 256 bytes; the incident's id.
    id: String,
    title: Option<String>,
    severity: Option<Severity>,
    kind: Option<IncidentKind>,
    /// As telemetry names them.
    services: Option<Vec<Named>>,
    url: Option<String>,
    /// How people call it; the id when absent.
    display: Option<String>,
    /// When this happened; the receipt when absent.
    at: Option<String>,
    /// When it began; `at` when absent.
    started_at: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// The same on each attempt, where the caller repeats.
    delivery_id: Option<String>,
    /// Recorded, never marks.
    #[serde(default)]
    test: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Open,
    Acknowledge,
    Update,
    Close,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a service's name, or an object with `service`, `namespace` and `environment`")]
enum Named {
    Name(String),
    Target(Target),
}

pub(super) fn read(webhook: &Webhook) -> Result<Reading, Fault> {
    let body = parse(&webhook.body)?;
    // Serde reads a struct from a list too, field by field.
    Field::root(&body).members()?;
    let request: Request = serde_path_to_error::deserialize(&body).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        Fault::Malformed(format!("{place}{}", error.inner()))
    })?;
    let delivery = request.delivery_id.clone();
    Ok(Reading::Events { delivery, events: vec![request.event()?], note: None })
}

// === impl Request ===

impl Request {
    fn event(self) -> Result<Event, Fault> {
        let Self {
            action,
            id,
            title,
            severity,
            kind,
            services,
            url,
            display,
            at,
            started_at,
            labels,
            delivery_id: _,
            test,
        } = self;
        let id = text::clean(&id, usize::MAX);
        if id.is_empty() || id.len() > limits::ID_BYTES_MAX {
            return Err(format!("id: expected 1 to {} bytes, found {}", limits::ID_BYTES_MAX, id.len()).into());
        }
        let url = match url {
            Some(url) => Some(text::link(&url, limits::URL_BYTES_MAX).ok_or_else(|| {
                format!("url: expected an `http` or `https` link of at most {} bytes", limits::URL_BYTES_MAX)
            })?),
            None => None,
        };
        let targets = services.map(|services| services.into_iter().map(Named::target).collect::<Vec<Target>>());
        if targets.iter().flatten().any(|target| target.service.is_empty()) {
            return Err("services: an empty name matches nothing".to_owned().into());
        }
        let time = read_time("at", at)?;
        let (kind_of_transition, change) = match action {
            Action::Open => ("triggered", Change::To(IncidentState::Triggered)),
            Action::Acknowledge => ("acknowledged", Change::To(IncidentState::Acknowledged)),
            Action::Update => ("updated", Change::Update),
            Action::Close => ("resolved", Change::To(IncidentState::Resolved)),
        };
        let opens = matches!(action, Action::Open);
        let cleaned = |text: &str| text::clean(text, limits::LABEL_BYTES_MAX);
        let snapshot = Snapshot {
            kind,
            severity,
            title: title.map(|title| text::clean(&title, limits::TITLE_BYTES_MAX)),
            url,
            display: display.map(|display| cleaned(&display)),
            started: read_time("started_at", started_at)?.or(time.filter(|_| opens)),
            services: None,
            targets,
            labels: labels
                .iter()
                .take(limits::LABELS_PER_INCIDENT_MAX)
                .map(|(name, value)| (cleaned(name), cleaned(value)))
                .collect(),
            merged_into: None,
            reopened: false,
            test,
        };
        Ok(Event { id, kind: kind_of_transition, change, time, snapshot })
    }
}

fn read_time(field: &str, text: Option<String>) -> Result<Option<Nanos>, String> {
    let Some(text) = text else { return Ok(None) };
    let time = parse_rfc3339(&text);
    time.map(Some).ok_or_else(|| format!("{field}: `{}` is not an RFC 3339 time", text::clean(&text, 64)))
}

// === impl Named ===

impl Named {
    fn target(self) -> Target {
        let cleaned = |text: &String| text::cut(text, limits::LABEL_BYTES_MAX).to_owned();
        match self {
            Self::Name(service) => Target { service: cleaned(&service), namespace: None, environment: None },
            Self::Target(Target { service, namespace, environment }) => Target {
                service: cleaned(&service),
                namespace: namespace.as_ref().map(cleaned),
                environment: environment.as_ref().map(cleaned),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_read(body: &str) -> Result<Event, Fault> {
        match read(&Webhook { body: body.into(), ..Webhook::default() })? {
            Reading::Events { mut events, .. } => Ok(events.remove(0)),
            Reading::Nothing { reason, .. } => panic!("{reason}"),
        }
    }

    #[test]
    fn a_service_is_a_name_or_a_name_with_its_surroundings() {
        let body = r#"{"action": "open", "id": "1", "services": ["cart", {"service": "pay", "environment": "eu"}]}"#;
        let targets = try_read(body).unwrap().snapshot.targets.unwrap();
        assert_eq!(targets[0].service, "cart");
        assert_eq!(targets[1].environment.as_deref(), Some("eu"));
    }

    #[test]
    fn a_slip_is_named() {
        let message = |body: &str| match try_read(body).unwrap_err() {
            Fault::Malformed(message) | Fault::TooLarge(message) => message,
        };
        assert!(message(r#"{"action": "open", "id": "1", "sevrity": "high"}"#).contains("unknown field `sevrity`"));
        assert!(message(r#"{"action": "opne", "id": "1"}"#).starts_with("action: unknown variant `opne`"));
        assert_eq!(message(r#"["open", "1"]"#), "the body: expected an object, found a list");
        assert_eq!(message(r#"{"action": "open", "id": " "}"#), "id: expected 1 to 256 bytes, found 0");
        assert_eq!(message(r#"{"action": "open", "id": "1", "at": "noon"}"#), "at: `noon` is not an RFC 3339 time");
    }
}
