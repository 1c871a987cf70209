//! `faultline incidents open`, `update`, `acknowledge` and `close`.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::hub::{Hub, HubArguments};
use crate::clean::Clean;
use crate::cli::{Ending, Hint};
use crate::commands::shared::Format;
use crate::report::IncidentRecord;
use crate::serve::config::ADMIN_SOURCE;

/// What is said of an incident.
#[derive(Args, Clone, Debug)]
pub struct Change {
    /// To open one: its id; `<source>:<id>` for one of a configured source. Otherwise the name of one that is open.
    pub name: String,
    /// A service that it affects, as telemetry names it; may be given several times.
    #[arg(long = "service", value_name = "NAME")]
    pub services: Vec<String>,
    /// `critical`, `high`, `medium`, `low` or `info`.
    #[arg(long)]
    pub severity: Option<String>,
    /// What is wrong, in a line.
    #[arg(long)]
    pub title: Option<String>,
    /// Link to it.
    #[arg(long)]
    pub url: Option<String>,
    /// When it began, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    pub started_at: Option<String>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Which server.
    #[command(flatten)]
    pub hub: HubArguments,
}

/// Which incident, of which server.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// The name of one that is open.
    pub name: String,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Which server.
    #[command(flatten)]
    pub hub: HubArguments,
}

/// What the server answers, as far as it is told to people.
#[derive(Deserialize)]
struct Answer {
    transitions: Vec<Transition>,
    note: Option<String>,
}

#[derive(Deserialize)]
struct Transition {
    incident: String,
    to: String,
    services: Vec<String>,
}

/// So many names are told when none fits.
const CANDIDATES_MAX: usize = 10;

// === impl Change ===

impl Change {
    /// Sends it.
    ///
    /// # Errors
    /// When no incident has the name, or several have, or the server does not take it.
    pub(super) fn send(&self, action: &str, out: &mut dyn Write) -> anyhow::Result<Ending> {
        let Self { name, services, severity, title, url, started_at, output, hub } = self;
        let hub = hub.required()?;
        let mut body = if action == "open" { of(action, name) } else { of(action, &resolve(&hub, name)?) };
        if !services.is_empty() {
            body.insert("services".to_owned(), json!(services));
        }
        for (key, value) in [("severity", severity), ("title", title), ("url", url), ("started_at", started_at)] {
            if let Some(value) = value {
                body.insert(key.to_owned(), json!(value));
            }
        }
        send(&hub, body, *output, out)
    }
}

// === impl Named ===

impl Named {
    /// Sends it.
    ///
    /// # Errors
    /// When no incident has the name, or several have, or the server does not take it.
    pub(super) fn send(&self, action: &str, out: &mut dyn Write) -> anyhow::Result<Ending> {
        let hub = self.hub.required()?;
        let body = of(action, &resolve(&hub, &self.name)?);
        send(&hub, body, self.output, out)
    }
}

/// Names an incident as the source `manual` does.
fn of(action: &str, name: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("action".to_owned(), json!(action));
    match name.split_once(':').filter(|(source, _)| *source != ADMIN_SOURCE) {
        Some((source, id)) => {
            body.insert("source".to_owned(), json!(source));
            body.insert("id".to_owned(), json!(id));
        }
        None => {
            let id = name.strip_prefix(ADMIN_SOURCE).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name);
            body.insert("id".to_owned(), json!(id));
        }
    }
    body
}

/// The id, `<source>:<id>`, of the incident that a name means among those that are open.
fn resolve(hub: &Hub, name: &str) -> anyhow::Result<String> {
    let open: Vec<IncidentRecord> =
        serde_json::from_value(hub.get("/v1/incidents")?).context("the answer is no list of incidents")?;
    find(&open, name)
}

/// By the same names as `incidents show`.
fn find(open: &[IncidentRecord], name: &str) -> anyhow::Result<String> {
    if open.iter().any(|incident| incident.id == name) {
        return Ok(name.to_owned());
    }
    // `#` begins a comment in a shell.
    let is_called = |incident: &&IncidentRecord| {
        incident.external_id == name
            || incident.display == name
            || incident.display.strip_prefix('#').is_some_and(|display| display == name)
    };
    let called: Vec<&IncidentRecord> = open.iter().filter(is_called).collect();
    match called.as_slice() {
        [incident] => Ok(incident.id.clone()),
        [] if open.is_empty() => Err(Hint::error(
            format!("no incident that is open is called `{}`", Clean(name)),
            "none is open; `faultline incidents show` also finds those that have ended",
        )),
        [] => {
            let open: Vec<&IncidentRecord> = open.iter().collect();
            Err(Hint::error(
                format!("no incident that is open is called `{}`", Clean(name)),
                format!("open are {}", names(&open)),
            ))
        }
        several => Err(Hint::error(
            format!("`{}` is ambiguous", Clean(name)),
            format!("name one with its source: {}", names(several)),
        )),
    }
}

fn names(incidents: &[&IncidentRecord]) -> String {
    let named = incidents.iter().take(CANDIDATES_MAX).map(|incident| match incident.display.as_str() {
        "" => format!("`{}`", Clean(&incident.id)),
        display => format!("`{}` ({})", Clean(&incident.id), Clean(display)),
    });
    let names = named.collect::<Vec<_>>().join(", ");
    match incidents.len().saturating_sub(CANDIDATES_MAX) {
        0 => names,
        more => format!("{names}, and {more} more"),
    }
}

fn send(hub: &Hub, body: Map<String, Value>, output: Format, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let answer = hub.post("/v1/incidents", &Value::Object(body))?;
    if output == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(Ending::Fine);
    }
    let Answer { transitions, note } =
        serde_json::from_value(answer).context("the answer does not say what was done")?;
    for Transition { incident, to, services } in &transitions {
        let services = if services.is_empty() { "no service".to_owned() } else { services.join(", ") };
        writeln!(out, "{} is {}; it affects {}.", Clean(incident), Clean(to), Clean(&services))?;
    }
    match note {
        Some(note) => writeln!(out, "{}", Clean(&note))?,
        None if transitions.is_empty() => writeln!(out, "Nothing has changed.")?,
        None => {}
    }
    Ok(Ending::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_source_is_an_incident_of_that_source() {
        assert_eq!(
            Value::Object(of("close", "pagerduty:Q1")),
            json!({"action": "close", "source": "pagerduty", "id": "Q1"})
        );
        assert_eq!(Value::Object(of("close", "admin:7")), json!({"action": "close", "id": "7"}));
        assert_eq!(Value::Object(of("open", "7")), json!({"action": "open", "id": "7"}));
    }
}
