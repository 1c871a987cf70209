//! `faultline incidents open`, `update`, `acknowledge` and `close`.

use std::io::Write;

use clap::Args;
use serde_json::{Map, Value, json};

use super::hub::HubArguments;
use crate::clean::Clean;
use crate::cli::Ending;
use crate::serve::config::ADMIN_SOURCE;

/// What is said of an incident.
#[derive(Args, Clone, Debug)]
pub struct Change {
    /// Its id; `<source>:<id>` for one of a configured source.
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
    /// Which server.
    #[command(flatten)]
    pub hub: HubArguments,
}

/// Which incident, of which server.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// Its id; `<source>:<id>` for one of a configured source.
    pub name: String,
    /// Which server.
    #[command(flatten)]
    pub hub: HubArguments,
}

// === impl Change ===

impl Change {
    /// Sends it.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(super) fn send(&self, action: &str, out: &mut dyn Write) -> anyhow::Result<Ending> {
        let Self { name, services, severity, title, url, started_at, hub } = self;
        let mut body = of(action, name);
        if !services.is_empty() {
            body.insert("services".to_owned(), json!(services));
        }
        for (key, value) in [("severity", severity), ("title", title), ("url", url), ("started_at", started_at)] {
            if let Some(value) = value {
                body.insert(key.to_owned(), json!(value));
            }
        }
        send(hub, body, out)
    }
}

// === impl Named ===

impl Named {
    /// Sends it.
    ///
    /// # Errors
    /// When the server does not take it.
    pub(super) fn send(&self, action: &str, out: &mut dyn Write) -> anyhow::Result<Ending> {
        send(&self.hub, of(action, &self.name), out)
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

fn send(hub: &HubArguments, body: Map<String, Value>, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let answer = hub.required()?.post("/v1/incidents", &Value::Object(body))?;
    writeln!(out, "{}", Clean(&answer.to_string()))?;
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
