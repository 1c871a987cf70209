//! `faultline incidents`: what is open, and what it marks.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::shared::{Format, SubjectArguments, time};
use crate::clean::Clean;
use crate::cli::Ending;
use crate::plugin::{Incident, Window};
use crate::report::table;
use crate::time::{Nanos, Rfc3339};

const AFTER_HELP: &str = "\
Examples:
  faultline incidents --state state.json
  faultline incidents --scenario tests/scenarios/two_overlapping_incidents_are_listed_most_severe_first
  faultline incidents '#1042' -o json

An incident is named by <source>:<id>, by its id in the incident tool, or by what people call it there.

Exit status:
  0  done; there may be no incident
  1  there is no such incident, several could be meant, or the command failed
  2  the command line is wrong";

/// List the incidents that are open and the time they mark; or show one, open or not.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The incident to show.
    pub name: Option<String>,
    /// As of when, RFC 3339 [default: now, or the end of the scenario].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Nanos>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// What is looked at.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// An incident, as JSON.
#[derive(Serialize)]
struct Record {
    id: String,
    source: String,
    external_id: String,
    display: String,
    kind: String,
    state: String,
    open: bool,
    severity: String,
    title: String,
    url: String,
    started: Rfc3339,
    ended: Option<Rfc3339>,
    lease_until: Option<Rfc3339>,
    windows: Vec<WindowRecord>,
    services: Vec<String>,
    reason: String,
}

/// A window, as JSON.
#[derive(Serialize)]
struct WindowRecord {
    from: Rfc3339,
    until: Option<Rfc3339>,
}

/// Lists or shows.
///
/// # Errors
/// When the subject cannot be used, the name fits none or several, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let build = arguments.subject.plugin.build()?;
    let (mut host, at) = arguments.subject.open(&build, arguments.at)?;
    match &arguments.name {
        Some(name) => {
            let record = Record::from(host.find(name, at)?);
            match arguments.output {
                Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?,
                Format::Text => write_one(out, &record)?,
            }
        }
        None => {
            let records: Vec<Record> = host.open(at)?.into_iter().map(Record::from).collect();
            match arguments.output {
                Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&records)?)?,
                Format::Text if records.is_empty() => writeln!(out, "No incident is open at {}.", Rfc3339(at))?,
                Format::Text => writeln!(out, "{}", list(&records))?,
            }
        }
    }
    Ok(Ending::Fine)
}

fn list(records: &[Record]) -> String {
    let header = ["incident", "severity", "state", "marks", "from", "title"];
    let rows = records.iter().map(|record| {
        let from = record.windows.last().map(|window| window.from.to_string()).unwrap_or_default();
        let services = if record.services.is_empty() { "nothing".to_owned() } else { record.services.join(", ") };
        let title = format!("{} {}", record.display, record.title).trim().to_owned();
        vec![record.id.clone(), record.severity.clone(), record.state.clone(), services, from, title]
    });
    table(&header, rows)
}

fn write_one(out: &mut dyn Write, record: &Record) -> anyhow::Result<()> {
    let mut line = |label: &str, text: &str| match text {
        "" => Ok(()),
        text => writeln!(out, "{label:<10} {}", Clean(text)),
    };
    line("incident", &record.id)?;
    line("called", &record.display)?;
    line("title", &record.title)?;
    line("url", &record.url)?;
    line("kind", &record.kind)?;
    line("severity", &record.severity)?;
    line("state", &format!("{} ({})", record.state, if record.open { "open" } else { "not open" }))?;
    line("started", &record.started.to_string())?;
    line("ended", &record.ended.map(|time| time.to_string()).unwrap_or_default())?;
    line("lease", &record.lease_until.map(|time| format!("until {time}")).unwrap_or_default())?;
    let services = if record.services.is_empty() { "nothing".to_owned() } else { record.services.join(", ") };
    line("marks", &format!("{services}: {}", record.reason))?;
    for window in &record.windows {
        let until = window.until.map_or_else(|| "further notice".to_owned(), |until| until.to_string());
        line("window", &format!("{} until {until}", window.from))?;
    }
    Ok(())
}

// === impl Record ===

impl From<Incident> for Record {
    fn from(incident: Incident) -> Self {
        let Incident { id, source, external_id, display, kind, state, open, severity, title, url, .. } = incident;
        let window = |Window { from, until }: Window| WindowRecord { from: Rfc3339(from), until: until.map(Rfc3339) };
        Self {
            id,
            source,
            external_id,
            display,
            kind,
            state,
            open,
            severity,
            title,
            url,
            started: Rfc3339(incident.started),
            ended: incident.ended.map(Rfc3339),
            lease_until: incident.lease_until.map(Rfc3339),
            windows: incident.windows.into_iter().map(window).collect(),
            services: incident.services,
            reason: incident.reason,
        }
    }
}
