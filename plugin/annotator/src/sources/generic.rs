//! Any JSON: the configuration says where it holds what, and what the sender's words mean.

use std::collections::BTreeMap;

use super::{Change, Event, Fault, Reading};
use crate::config::{Fields, Limits, Property, Source, StateWord};
use crate::fields::{Field, parse};
use crate::incident::{IncidentState, ServiceReference, Severity, Snapshot};
use crate::limits;
use crate::names;
use crate::text;
use crate::time::Nanos;
use crate::webhook::Webhook;

/// Reads one event. What does not fit reads as absent; the first of it is noted, and refuses the body in the end.
///
/// What is called for each property is not inlined: none of it is hot.
struct Reader<'a> {
    fields: &'a Fields,
    event: Field<'a>,
    fault: Option<String>,
}

pub(super) fn read(source: &Source, webhook: &Webhook, limits: &Limits) -> Result<Reading, Fault> {
    let fields = source.fields.as_ref().ok_or_else(|| "the source has no `fields`".to_owned())?;
    let body = parse(&webhook.body)?;
    let body = Field::root(&body);
    let listed = match fields.pointer(Property::Events) {
        Some(pointer) => body.at(pointer).list()?,
        None => vec![body.clone()],
    };
    if listed.len() > limits.alerts_per_webhook {
        let most = limits.alerts_per_webhook;
        return Err(Fault::TooLarge(format!("{} events, `limits.alerts_per_webhook` allows {most}", listed.len())));
    }
    if listed.is_empty() {
        return Ok(Reading::Nothing { kind: "ignored", reason: "no event in the body".to_owned() });
    }
    let (mut events, mut unread) = (Vec::new(), Vec::new());
    for event in listed {
        let mut reader = Reader { fields, event, fault: None };
        match reader.state() {
            Ok((kind, state)) => events.push(reader.read(kind, state)),
            Err(nothing) => unread.push(nothing),
        }
        if let Some(fault) = reader.fault {
            return Err(fault.into());
        }
    }
    let mut reader = Reader { fields, event: body, fault: None };
    let delivery = reader.word(Property::Delivery);
    reader.fault.map_or(Ok(Reading::Events { delivery, events, unread, note: None }), |fault| Err(fault.into()))
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Kind of transition and state; kind and reason of what says nothing.
    fn state(&mut self) -> Result<(&'static str, IncidentState), (&'static str, String)> {
        let Some(field) = self.field(Property::State) else { return Ok(("triggered", IncidentState::Triggered)) };
        let word = self.taken(field.word()).unwrap_or_else(|| {
            self.fault.get_or_insert_with(|| field.expected("a string"));
            String::new()
        });
        let shown = text::cut(&word, limits::LABEL_BYTES_MAX);
        Ok(match self.fields.states.meaning(&word) {
            Some(StateWord::Triggered) => ("triggered", IncidentState::Triggered),
            Some(StateWord::Acknowledged) => ("acknowledged", IncidentState::Acknowledged),
            Some(StateWord::Resolved) => ("resolved", IncidentState::Resolved),
            Some(StateWord::Ignored) => return Err(("ignored", format!("`fields.states` ignores state `{shown}`"))),
            None => return Err(("unknown", format!("state `{shown}` is not among `fields.states`"))),
        })
    }

    fn read(&mut self, kind: &'static str, state: IncidentState) -> Event {
        let id = self.field(Property::Id).map(|id| id.id());
        let id = id.and_then(|id| self.taken(id.map(Some))).unwrap_or_default();
        let started = self.time(Property::Started);
        // A beginning without a time of its own is as old as the incident.
        let time = self.time(Property::Time).or(started.filter(|_| !state.is_terminal()));
        let severities = &self.fields.severities;
        let severity = self
            .word(Property::Severity)
            .map(|word| severities.meaning(&word).unwrap_or_else(|| Severity::of_word(&word)));
        let snapshot = Snapshot {
            severity,
            title: self.word(Property::Title).map(|title| text::cut(&title, limits::TITLE_BYTES_MAX).to_owned()),
            url: self.word(Property::Url).and_then(|url| text::link(&url, limits::URL_BYTES_MAX)),
            display: self.word(Property::Display).map(cut),
            started,
            services: self.services(),
            labels: self.labels(),
            test: self.test(),
            ..Snapshot::default()
        };
        Event { id, source: None, kind, change: Change::To(state), time, snapshot }
    }

    #[inline(never)]
    fn field(&self, property: Property) -> Option<Field<'a>> {
        self.fields.pointer(property).map(|pointer| self.event.at(pointer))
    }

    #[inline(never)]
    fn taken<T>(&mut self, read: Result<Option<T>, String>) -> Option<T> {
        read.unwrap_or_else(|fault| {
            self.fault.get_or_insert(fault);
            None
        })
    }

    /// Text, or what can be written as one.
    #[inline(never)]
    fn word(&mut self, property: Property) -> Option<String> {
        let word = self.field(property)?.word();
        self.taken(word)
    }

    #[inline(never)]
    fn time(&mut self, property: Property) -> Option<Nanos> {
        let time = self.field(property)?.time_of_any_form();
        self.taken(time)
    }

    fn test(&mut self) -> bool {
        match (self.word(Property::Test).as_deref(), self.field(Property::Test)) {
            (Some("true"), _) => true,
            (None | Some("false"), _) | (_, None) => false,
            (_, Some(field)) => self.taken::<bool>(Err(field.expected("`true` or `false`"))).unwrap_or_default(),
        }
    }

    /// One service or several; each may be an id to its sender, or a name.
    fn services(&mut self) -> Option<Vec<ServiceReference>> {
        let field = self.field(Property::Service)?.optional()?;
        let named = field.list().unwrap_or_else(|_| vec![field]);
        let mut services = Vec::new();
        for name in &named {
            if let Some(name) = self.taken(name.word()).map(cut) {
                services.push(ServiceReference { id: Some(name.clone()), name: Some(name) });
            }
        }
        Some(services)
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        if let Some(field) = self.field(Property::Labels).and_then(Field::optional) {
            let members = field.members().map(Some);
            for (name, value) in self.taken(members).unwrap_or_default() {
                if labels.len() < limits::LABELS_PER_INCIDENT_MAX - 1
                    && let Ok(Some(value)) = value.word()
                {
                    labels.insert(text::clean(name, limits::LABEL_BYTES_MAX), cut(value));
                }
            }
        }
        if let Some(environment) = self.word(Property::Environment) {
            labels.insert(names::DEPLOYMENT_ENVIRONMENT_NAME.to_owned(), cut(environment));
        }
        labels
    }
}

fn cut(text: String) -> String {
    text::cut(&text, limits::LABEL_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;

    const FIELDS: &str = r#"{"id": "/key", "state": "/phase", "states": {"UP": "triggered", "seen": "acknowledged",
        "down": "resolved", "idle": "ignored", "true": "triggered"}, "severity": "/level", "severities": {"7": "low"},
        "title": "/text/0", "url": "/link", "display": "/name", "time": "/at", "started": "/since", "service": "/service",
        "environment": "/where", "labels": "/more", "delivery": "/delivery", "test": "/drill"}"#;

    fn try_read(fields: &str, body: &Value) -> Result<Reading, Fault> {
        let json = format!(r#"{{"sources": {{"g": {{"kind": "generic", "tokens": ["t"], "fields": {fields}}}}}}}"#);
        let config = Config::check(&json).unwrap().0;
        let webhook = Webhook { body: body.to_string().into_bytes(), ..Webhook::default() };
        read(config.sources.get("g").unwrap(), &webhook, &Limits { alerts_per_webhook: 3, ..Limits::default() })
    }

    fn only(body: &Value) -> Event {
        match try_read(FIELDS, body).unwrap() {
            Reading::Events { mut events, .. } => events.remove(0),
            Reading::Nothing { reason, .. } => panic!("{reason}"),
        }
    }

    fn refusal(body: &Value) -> String {
        match try_read(FIELDS, body).unwrap_err() {
            Fault::Malformed(message) | Fault::TooLarge(message) => message,
        }
    }

    #[test]
    fn every_pointer_leads_to_its_field() {
        let event = only(
            &json!({"key": 42, "phase": "up", "level": 7, "text": ["It is\nslow"], "link": "https://a.example/42",
            "name": "#42", "at": 1_772_359_200_123_u64, "since": "2026-03-01T09:00:00Z", "service": ["cart", 9],
            "where": "prod", "more": {"team": "shop", "level": 2, "paged": true, "none": null, "list": []}, "drill": true}),
        );
        assert_eq!(
            (event.id.as_str(), event.kind, event.change),
            ("42", "triggered", Change::To(IncidentState::Triggered))
        );
        assert_eq!(event.time, Some(1_772_359_200_123_000_000));
        let Snapshot { kind, severity, title, url, display, started, services, labels, test, .. } = event.snapshot;
        assert_eq!((kind, severity, test), (None, Some(Severity::Low), true));
        assert_eq!((title.as_deref(), display.as_deref()), (Some("It is slow"), Some("#42")));
        assert_eq!((url.as_deref(), started), (Some("https://a.example/42"), Some(1_772_355_600_000_000_000)));
        let names: Vec<Option<String>> = services.unwrap().into_iter().map(|service| service.name).collect();
        assert_eq!(names, [Some("cart".to_owned()), Some("9".to_owned())]);
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let environment = ("deployment.environment.name", "prod");
        assert_eq!(labels, [environment, ("level", "2"), ("paged", "true"), ("team", "shop")]);
    }

    #[test]
    fn what_is_left_out_is_not_known() {
        let event = only(&json!({"key": "a", "phase": "Down", "link": "?org=1", "level": "P1", "service": null}));
        assert_eq!((event.change, event.time), (Change::To(IncidentState::Resolved), None));
        assert_eq!(event.snapshot, Snapshot { severity: Some(Severity::Critical), ..Snapshot::default() });
    }

    #[test]
    fn a_long_link_is_whole_or_left_out() {
        let link = |bytes: usize| format!("https://a.example/{}", "x".repeat(bytes - 18));
        let event = |url: &str| only(&json!({"key": "a", "phase": "up", "link": url, "text": [url]}));
        let longest = link(limits::URL_BYTES_MAX);
        assert_eq!(event(&longest).snapshot.url.as_deref(), Some(longest.as_str()));
        let longer = event(&link(limits::URL_BYTES_MAX + 1)).snapshot;
        assert_eq!((longer.url, longer.title.unwrap().len()), (None, limits::TITLE_BYTES_MAX));
    }

    #[test]
    fn a_beginning_without_time_is_as_old_as_the_incident_and_an_end_is_not() {
        let event = |phase: &str| only(&json!({"key": "a", "phase": phase, "since": 1_772_359_200}));
        assert_eq!(event("seen").time, Some(1_772_359_200_000_000_000));
        assert_eq!(event("down").time, None);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_path() {
        for (body, message) in [
            (json!({"phase": "up"}), "key: expected a string, found nothing"),
            (json!({"key": "a"}), "phase: expected a string, found nothing"),
            (json!({"key": "a", "phase": {}}), "phase: expected a string, found an object"),
            (json!({"key": "a", "phase": "up", "text": [["x"]]}), "text[0]: expected a string, found a list"),
            (json!({"key": "a", "phase": "up", "at": "noon"}), "at: `noon` is not an RFC 3339 time"),
            (
                json!({"key": "a", "phase": "up", "at": 99_999_999_999_u64}),
                "at: expected an RFC 3339 or Unix time, found a number",
            ),
            (json!({"key": "a", "phase": "up", "drill": "maybe"}), "drill: expected `true` or `false`, found a string"),
            (json!({"key": "a", "phase": "up", "more": "x"}), "more: expected an object, found a string"),
            (json!({"key": "a", "phase": "up", "delivery": [1]}), "delivery: expected a string, found a list"),
        ] {
            assert_eq!(refusal(&body), message);
        }
    }

    #[test]
    fn a_state_without_meaning_is_no_fault_of_the_others() {
        let fields = FIELDS.replacen('{', r#"{"events": "/list","#, 1);
        let body = json!({"list": [{"key": "a", "phase": "sideways"}, {"key": "b", "phase": true}, {"key": "c", "phase": "idle"}]});
        let Ok(Reading::Events { events, unread, .. }) = try_read(&fields, &body) else { panic!("it can be read") };
        assert_eq!(events.into_iter().map(|event| event.id).collect::<Vec<_>>(), ["b"]);
        assert_eq!(unread[0], ("unknown", "state `sideways` is not among `fields.states`".to_owned()));
        assert_eq!(unread[1].0, "ignored");
        let wrong = json!({"list": [{"key": "a", "phase": "up"}, {"key": "b", "phase": "up", "name": {}}]});
        let fault = try_read(&fields, &wrong).unwrap_err();
        assert_eq!(fault, Fault::Malformed("list[1].name: expected a string, found an object".to_owned()));
        assert!(matches!(try_read(&fields, &json!({"list": []})), Ok(Reading::Nothing { kind: "ignored", .. })));
        let many = json!({"list": vec![json!({"key": "a", "phase": "up"}); 4]});
        assert!(
            matches!(try_read(&fields, &many), Err(Fault::TooLarge(message)) if message.contains("alerts_per_webhook"))
        );
    }

    #[test]
    fn a_body_may_be_the_list_itself() {
        let body = json!([{"id": "a"}, {"id": "b"}]);
        let Ok(Reading::Events { events, .. }) = try_read(r#"{"events": "", "id": "/id"}"#, &body) else {
            panic!("a list")
        };
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].change, Change::To(IncidentState::Triggered));
        let fault = try_read(r#"{"events": "", "id": "/id"}"#, &json!([{"id": "a"}, {}])).unwrap_err();
        assert_eq!(fault, Fault::Malformed("[1].id: expected a string, found nothing".to_owned()));
    }
}
