//! Faultline's own format: open, acknowledge, update and close by hand or by script.
//!
//! ```json
//! {"action": "open", "id": "2026-031", "title": "Checkout is slow", "severity": "high", "services": ["checkout"]}
//! ```
//!
//! Unknown keys are errors here: whoever writes by hand wants to hear of a slip. Where the source `manages`, `"source"`
//! names another one, whose incident is meant.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Event, Fault, Reading, kept};
use crate::config::{Config, Target};
use crate::document::{Faults, Place, Read, choices};
use crate::fields::{Field, parse};
use crate::incident::{IncidentKind, IncidentState, Severity, Snapshot};
use crate::limits;
use crate::text;
use crate::time::{Nanos, parse_rfc3339};
use crate::webhook::Webhook;

/// A request of the manual source.
#[derive(Clone, Debug)]
struct Request {
    action: Action,
    /// 1 to 256 bytes; the incident's id.
    id: String,
    /// The configured source whose incident it is; the one that is asked when absent.
    source: Option<String>,
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
    labels: BTreeMap<String, String>,
    /// The same on each attempt, where the caller repeats.
    delivery_id: Option<String>,
    /// Recorded, never marks.
    test: bool,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Open,
    Acknowledge,
    Update,
    Close,
}

#[derive(Clone, Debug)]
enum Named {
    Name(String),
    Target(Target),
}

pub(super) fn read(config: &Config, name: &str, webhook: &Webhook) -> Result<Reading, Fault> {
    let body = parse(&webhook.body)?;
    Field::root(&body).members()?;
    let faults = Faults::default();
    let request = Request::read(&Place::root(&body, &faults));
    if let Some(fault) = faults.into_inner().into_iter().next() {
        let place = path(&fault.pointer);
        return Err(Fault::Malformed(if place.is_empty() {
            fault.message
        } else {
            format!("{place}: {}", fault.message)
        }));
    }
    // Whatever is missing is a fault.
    let request = request.ok_or_else(|| "the body is no request".to_owned())?;
    let delivery = request.delivery_id.clone();
    let source = other_source(config, name, request.source.as_deref())?;
    let mut event = request.event()?;
    // Whoever closes another's incident says that it is over, not when: an end that its own source told stands.
    if source.is_some() && event.change == Change::To(IncidentState::Resolved) {
        event.change = Change::End;
    }
    event.source = source;
    Ok(Reading::Events { delivery, events: vec![event], unread: Vec::new(), note: None })
}

/// A pointer as the errors of other senders' webhooks name places: `services[0].environment`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&text::clean(part, 64));
        }
    }
    path
}

/// The source that a request is about, if it is another one than `name`, which is asked.
fn other_source(config: &Config, name: &str, given: Option<&str>) -> Result<Option<String>, String> {
    let Some(other) = given.filter(|other| *other != name) else { return Ok(None) };
    if !config.sources.get(name).is_some_and(|source| source.manages) {
        return Err(format!(
            "source: `{name}` acts on incidents of other sources only with `sources.{name}.manages: true`"
        ));
    }
    if !config.sources.contains_key(other) {
        return Err(format!("source: no source `{}` is configured", text::clean(other, 64)));
    }
    Ok(Some(other.to_owned()))
}

choices! {
    Action { "open" => Open, "acknowledge" => Acknowledge, "update" => Update, "close" => Close }
}

// === impl Request ===

impl Read for Request {
    fn read(at: &Place<'_>) -> Option<Self> {
        let object = at.object(&[
            "action",
            "id",
            "source",
            "title",
            "severity",
            "kind",
            "services",
            "url",
            "display",
            "at",
            "started_at",
            "labels",
            "delivery_id",
            "test",
        ])?;
        Some(Self {
            action: object.required("action")?,
            id: object.required("id")?,
            source: object.get("source").flatten(),
            title: object.get("title").flatten(),
            severity: object.get("severity").flatten(),
            kind: object.get("kind").flatten(),
            services: object.get("services").flatten(),
            url: object.get("url").flatten(),
            display: object.get("display").flatten(),
            at: object.get("at").flatten(),
            started_at: object.get("started_at").flatten(),
            labels: object.get("labels").unwrap_or_default(),
            delivery_id: object.get("delivery_id").flatten(),
            test: object.get("test").unwrap_or_default(),
        })
    }
}

impl Request {
    fn event(self) -> Result<Event, Fault> {
        let Self {
            action,
            id,
            source: _,
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
            labels: kept(&mut labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            merged_into: None,
            reopened: false,
            test,
        };
        Ok(Event { id, source: None, kind: kind_of_transition, change, time, snapshot })
    }
}

fn read_time(field: &str, text: Option<String>) -> Result<Option<Nanos>, String> {
    let Some(text) = text else { return Ok(None) };
    let time = parse_rfc3339(&text);
    time.map(Some).ok_or_else(|| format!("{field}: `{}` is not an RFC 3339 time", text::clean(&text, 64)))
}

// === impl Named ===

impl Default for Named {
    fn default() -> Self {
        Self::Name(String::new())
    }
}

impl Read for Named {
    fn read(at: &Place<'_>) -> Option<Self> {
        match at.value() {
            Value::String(name) => Some(Self::Name(name.clone())),
            Value::Object(_) => Target::read(at).map(Self::Target),
            _ => {
                at.wrong("a service's name, or an object with `service`, `namespace` and `environment`");
                None
            }
        }
    }
}

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

    const CONFIG: &str = r#"{"sources": {"pd": {"kind": "pagerduty", "secrets": ["s"]},
        "desk": {"kind": "manual", "tokens": ["t"], "manages": true}, "m": {"kind": "manual", "tokens": ["t"]}}}"#;

    fn try_read(body: &str) -> Result<Event, Fault> {
        try_read_as("m", body)
    }

    fn try_read_as(name: &str, body: &str) -> Result<Event, Fault> {
        let config = Config::check(CONFIG).unwrap().0;
        match read(&config, name, &Webhook { body: body.into(), ..Webhook::default() })? {
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
    fn only_a_source_that_manages_speaks_of_incidents_of_others() {
        let body = r#"{"action": "close", "id": "Q1", "source": "pd"}"#;
        let event = try_read_as("desk", body).unwrap();
        assert_eq!((event.source.as_deref(), event.change), (Some("pd"), Change::End));
        let refused = "source: `m` acts on incidents of other sources only with `sources.m.manages: true`";
        assert_eq!(try_read_as("m", body).unwrap_err(), Fault::Malformed(refused.to_owned()));
        let unknown = body.replace("pd", "pd-us");
        let refused = "source: no source `pd-us` is configured";
        assert_eq!(try_read_as("desk", &unknown).unwrap_err(), Fault::Malformed(refused.to_owned()));
        let own = try_read_as("m", &body.replace("pd", "m")).unwrap();
        assert_eq!((own.source, own.change), (None, Change::To(IncidentState::Resolved)));
    }

    #[test]
    fn a_slip_is_named() {
        let message = |body: &str| match try_read(body).unwrap_err() {
            Fault::Malformed(message) | Fault::TooLarge(message) => message,
        };
        assert!(message(r#"{"action": "open", "id": "1", "sevrity": "high"}"#).contains("unknown field `sevrity`"));
        assert!(message(r#"{"action": "opne", "id": "1"}"#).starts_with("action: unknown variant `opne`"));
        assert_eq!(message(r#"["open", "1"]"#), "the body: expected an object, found a list");
        assert_eq!(message(r#"{"action": "open"}"#), "missing field `id`");
        let nested = r#"{"action": "open", "id": "1", "services": ["cart", {"service": "pay", "environment": 7}]}"#;
        assert_eq!(message(nested), "services[1].environment: expected a string, found `7`");
        assert_eq!(message(r#"{"action": "open", "id": " "}"#), "id: expected 1 to 256 bytes, found 0");
        assert_eq!(message(r#"{"action": "open", "id": "1", "at": "noon"}"#), "at: `noon` is not an RFC 3339 time");
    }
}
