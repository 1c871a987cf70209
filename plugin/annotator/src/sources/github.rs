//! GitHub webhooks: `deployment_status`, one status of one deployment a body.
//!
//! Source: GitHub documentation, "Webhook events and payloads". GitHub does not send again by itself what was not taken.

use super::{Change, Event, Fault, Reading, kept};
use crate::fields::{Field, parse};
use crate::incident::{IncidentKind, IncidentState, ServiceReference, Snapshot};
use crate::limits;
use crate::text;
use crate::webhook::Webhook;

/// What happened.
const EVENT: &str = "X-GitHub-Event";
/// The same when somebody has GitHub deliver again.
const DELIVERY_ID: &str = "X-GitHub-Delivery";
/// What a body begins with that is a form, as webhooks can be set to send: the JSON is its only field.
const FORM: &[u8] = b"payload=";
/// As many digits of a commit's id as GitHub shows.
const COMMIT_SHOWN: usize = 7;

pub(super) fn read(webhook: &Webhook) -> Result<Reading, Fault> {
    let body = match webhook.body.strip_prefix(FORM) {
        Some(form) => parse(&decode(form)?)?,
        None => parse(&webhook.body)?,
    };
    match webhook.header_text(EVENT) {
        Some("deployment_status") => {}
        Some("ping") => return Ok(Reading::Nothing { kind: "ping", reason: "GitHub's test event".to_owned() }),
        Some(event) => {
            let reason = format!("event `{}` is not about the state of a deployment", text::clean(event, 64));
            return Ok(Reading::Nothing { kind: "ignored", reason });
        }
        None => return Err(format!("the header {EVENT} is missing").into()),
    }
    let body = Field::root(&body);
    let state = body.get("deployment_status").get("state").text()?;
    let (kind, change) = match state {
        "pending" | "in_progress" => ("triggered", Change::To(IncidentState::Triggered)),
        "success" | "failure" | "error" => ("resolved", Change::To(IncidentState::Resolved)),
        // A later deployment took its place, perhaps weeks after it was done.
        "inactive" => ("resolved", Change::End),
        // Nothing is rolled out yet: it may wait for days for somebody's approval.
        "queued" | "waiting" => {
            let reason =
                format!("deployment `{}` is {state}: it has not begun", body.get("deployment").get("id").id()?);
            return Ok(Reading::Nothing { kind: "ignored", reason });
        }
        other => {
            let reason = format!("state `{}` of a deployment is not known", text::clean(other, 64));
            return Ok(Reading::Nothing { kind: "unknown", reason });
        }
    };
    let event = event(&body, state, kind, change)?;
    let delivery = webhook.header_text(DELIVERY_ID).map(str::to_owned);
    Ok(Reading::Events { delivery, events: vec![event], unread: Vec::new(), note: None })
}

fn event(body: &Field<'_>, state: &str, kind: &'static str, change: Change) -> Result<Event, String> {
    let (status, deployment) = (body.get("deployment_status"), body.get("deployment"));
    let repository = body.get("repository").get("full_name").text()?;
    // How it ended stays known: what is over is `resolved`, well or not.
    let mut labels = vec![("repository", repository), ("state", state)];
    if let Some(creator) = deployment.get("creator").get("login").optional_text()? {
        labels.push(("creator", creator));
    }
    for name in ["environment", "task", "ref", "sha"] {
        if let Some(text) = deployment.get(name).optional_text()? {
            labels.push((name, text));
        }
    }
    let mut url = None;
    for name in ["target_url", "log_url"] {
        url = url.or(status.get(name).optional_text()?.and_then(|url| text::link(url, limits::URL_BYTES_MAX)));
    }
    let (time, started) = (status.get("updated_at").time()?, deployment.get("created_at").time()?);
    let id = deployment.get("id").id()?;
    let labels = kept(&mut labels.into_iter());
    let of = |name: &str| labels.get(name).map(String::as_str);
    let snapshot = Snapshot {
        kind: Some(IncidentKind::Deployment),
        title: Some([of("task").unwrap_or("deploy"), " to ", of("environment").unwrap_or("an environment")].concat()),
        url,
        display: of("ref")
            .filter(|reference| Some(*reference) != of("sha"))
            .or(of("sha").map(short))
            .map(str::to_owned),
        started,
        services: of("repository").map(|repository| vec![service(repository)]),
        labels,
        ..Snapshot::default()
    };
    Ok(Event { id, source: None, kind, change, time, snapshot })
}

fn short(commit: &str) -> &str {
    text::cut(commit, COMMIT_SHOWN)
}

/// A repository is its full name to rules by `id`, and what is behind its owner's to those by `name`.
fn service(repository: &str) -> ServiceReference {
    let name = repository.rfind('/').and_then(|at| repository.get(at + 1..)).unwrap_or(repository);
    ServiceReference { id: Some(repository.to_owned()), name: Some(name.to_owned()) }
}

/// The value of a form's field, up to the next one (URL Standard, section 5.1).
fn decode(form: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(form.len());
    let mut rest = form.iter();
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'&' => break,
            b'+' => b' ',
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err("payload: expected two hexadecimal digits behind each `%` of the form".to_owned()),
            },
            other => *other,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(state: &str) -> Value {
        json!({"deployment_status": {"id": 1, "state": state, "target_url": "", "log_url": "https://ci.example/1",
                "updated_at": "2026-03-01T10:05:00Z"},
            "deployment": {"id": 1_234_567, "sha": "1a2b3c4d5e6f", "ref": "v2.14.0", "task": "deploy",
                "environment": "production", "payload": "", "created_at": "2026-03-01T10:01:00Z",
                "creator": {"login": "release-bot"}},
            "repository": {"full_name": "shop/checkout"}, "workflow_run": null})
    }

    fn try_read(event: Option<&str>, body: impl Into<Vec<u8>>) -> Result<Reading, Fault> {
        let headers = event.map(|event| ("x-github-event".to_owned(), event.as_bytes().to_vec()));
        read(&Webhook { headers: headers.into_iter().collect(), body: body.into(), ..Webhook::default() })
    }

    fn status(body: impl Into<Vec<u8>>) -> Reading {
        try_read(Some("deployment_status"), body).unwrap()
    }

    fn only(reading: Reading) -> Event {
        match reading {
            Reading::Events { mut events, .. } => events.remove(0),
            Reading::Nothing { reason, .. } => panic!("{reason}"),
        }
    }

    #[test]
    fn every_state_has_its_meaning_and_none_but_the_ends_end() {
        for state in ["pending", "in_progress"] {
            assert_eq!(only(status(body(state).to_string())).change, Change::To(IncidentState::Triggered), "{state}");
        }
        for state in ["success", "failure", "error"] {
            let event = only(status(body(state).to_string()));
            assert_eq!(event.change, Change::To(IncidentState::Resolved), "{state}");
            assert_eq!(event.snapshot.labels.get("state").map(String::as_str), Some(state));
        }
        assert_eq!(only(status(body("inactive").to_string())).change, Change::End);
        for (state, kind) in [("queued", "ignored"), ("waiting", "ignored"), ("abandoned", "unknown")] {
            assert!(
                matches!(status(body(state).to_string()), Reading::Nothing { kind: given, .. } if given == kind),
                "{state}"
            );
        }
    }

    #[test]
    fn fields_are_where_the_documentation_says() {
        let event = only(status(body("in_progress").to_string()));
        let Snapshot { kind, title, url, display, started, services, labels, .. } = event.snapshot;
        assert_eq!((event.id.as_str(), kind), ("1234567", Some(IncidentKind::Deployment)));
        assert_eq!((title.as_deref(), display.as_deref()), (Some("deploy to production"), Some("v2.14.0")));
        assert_eq!(url.as_deref(), Some("https://ci.example/1"));
        assert_eq!(event.time.zip(started), Some((1_772_359_500_000_000_000, 1_772_359_260_000_000_000)));
        let service = ServiceReference { id: Some("shop/checkout".to_owned()), name: Some("checkout".to_owned()) };
        assert_eq!(services, Some(vec![service]));
        assert_eq!(labels.len(), 7, "{labels:?}");
        assert_eq!(labels.get("creator").map(String::as_str), Some("release-bot"));
    }

    #[test]
    fn a_deployment_of_a_commit_is_called_by_its_first_digits() {
        let mut of_commit = body("pending");
        of_commit["deployment"]["ref"] = json!("1a2b3c4d5e6f");
        of_commit["deployment"]["payload"] = json!({"any": ["thing"]});
        assert_eq!(only(status(of_commit.to_string())).snapshot.display.as_deref(), Some("1a2b3c4"));
    }

    #[test]
    fn a_form_says_the_same_as_json() {
        let json = body("in_progress").to_string();
        let escaped: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let plain = json.replace('%', "%25").replace('+', "%2B").replace('&', "%26").replace(' ', "+");
        for form in [escaped, plain] {
            assert_eq!(only(status(format!("payload={form}&other=1"))), only(status(json.clone())));
        }
        let fault = try_read(Some("deployment_status"), "payload=%7").unwrap_err();
        let message = "payload: expected two hexadecimal digits behind each `%` of the form";
        assert_eq!(fault, Fault::Malformed(message.to_owned()));
    }

    #[test]
    fn other_events_say_nothing_and_no_event_is_malformed() {
        assert!(matches!(try_read(Some("ping"), "{}"), Ok(Reading::Nothing { kind: "ping", .. })));
        assert!(matches!(try_read(Some("push"), "{}"), Ok(Reading::Nothing { kind: "ignored", .. })));
        let fault = try_read(None, body("pending").to_string()).unwrap_err();
        assert_eq!(fault, Fault::Malformed("the header X-GitHub-Event is missing".to_owned()));
    }

    #[test]
    fn a_body_without_its_fields_is_refused_with_the_path() {
        let mut wrong = body("pending");
        wrong["deployment"]["id"] = json!(1.5);
        let fault = try_read(Some("deployment_status"), wrong.to_string()).unwrap_err();
        assert_eq!(fault, Fault::Malformed("deployment.id: expected a string, found a number".to_owned()));
    }
}
