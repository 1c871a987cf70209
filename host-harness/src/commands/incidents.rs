//! `faultline incidents`: what is open, what it marks, and incidents by hand.

mod change;
mod hub;

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};

use self::change::{Change, Named};
use self::hub::HubArguments;
use super::shared::{Format, SubjectArguments, time};
use crate::clean::Clean;
use crate::cli::Ending;
use crate::report::{IncidentRecord, table};
use crate::serve::client;
use crate::time::{Nanos, Rfc3339, now};

const AFTER_HELP: &str = "\
Examples:
  faultline incidents                                    of a running server, if FAULTLINE_HUB names one
  faultline incidents list --state state.json
  faultline incidents show '#1042' -o json
  faultline incidents open db-2026-07 --service checkout --severity high --title 'replica lags'
  faultline incidents close '#1042'                      one whose resolve never came

An incident is named by <source>:<id>, by its id in the incident tool, or by what people call it there. With --hub or
FAULTLINE_HUB a running server is asked, else the configuration and the state here.

Exit status:
  0  done; there may be no incident
  1  there is no such incident, several could be meant, or the command failed
  2  the command line is wrong";

/// List the incidents that are open and the time they mark; show one, open or not; open, update and close them by hand.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do [default: list].
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Without an action.
    #[command(flatten)]
    pub look: Look,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Those that are open, most severe first.
    List(Look),
    /// One, open or not.
    Show {
        /// Its name.
        name: String,
        /// Where to look.
        #[command(flatten)]
        look: Look,
    },
    /// Open one by hand, on a running server.
    Open(Change),
    /// Change what is said of one.
    Update(Change),
    /// Say that somebody is at it.
    Acknowledge(Named),
    /// End one.
    Close(Named),
}

/// Where to look, and how to print.
#[derive(Args, Clone, Debug)]
pub struct Look {
    /// As of when, RFC 3339; of a running server it is now [default: now, or the end of the scenario].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Nanos>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// A running server.
    #[command(flatten)]
    pub hub: HubArguments,
    /// What is looked at otherwise.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// Does it.
///
/// # Errors
/// When the subject cannot be used, the server does not answer, the name fits none or several, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    match &arguments.action {
        None => arguments.look.list(out),
        Some(Action::List(look)) => look.list(out),
        Some(Action::Show { name, look }) => look.show(name, out),
        Some(Action::Open(change)) => change.send("open", out),
        Some(Action::Update(change)) => change.send("update", out),
        Some(Action::Acknowledge(named)) => named.send("acknowledge", out),
        Some(Action::Close(named)) => named.send("close", out),
    }
}

// === impl Look ===

impl Look {
    /// Files that were named are meant, whatever the environment says.
    fn is_of_server(&self) -> bool {
        let SubjectArguments { config, scenario, .. } = &self.subject;
        self.hub.hub.is_some() || (config.config.is_none() && config.state.is_none() && scenario.is_none())
    }

    fn list(&self, out: &mut dyn Write) -> anyhow::Result<Ending> {
        let hub = if self.is_of_server() { self.hub.hub()? } else { None };
        let (records, at) = match hub {
            Some(hub) => {
                let records =
                    serde_json::from_value(hub.get("/v1/incidents")?).context("the answer is no list of incidents")?;
                (records, now())
            }
            None => {
                let build = self.subject.plugin.build()?;
                let (mut host, at) = self.subject.open(&build, self.at)?;
                (host.open(at)?.into_iter().map(IncidentRecord::from).collect::<Vec<_>>(), at)
            }
        };
        match self.output {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&records)?)?,
            Format::Text if records.is_empty() => writeln!(out, "No incident is open at {}.", Rfc3339(at))?,
            Format::Text => writeln!(out, "{}", list(&records))?,
        }
        Ok(Ending::Fine)
    }

    fn show(&self, name: &str, out: &mut dyn Write) -> anyhow::Result<Ending> {
        let hub = if self.is_of_server() { self.hub.hub()? } else { None };
        let record: IncidentRecord = match hub {
            Some(hub) => {
                let path = format!("/v1/incidents/{}", client::percent_encode(name));
                serde_json::from_value(hub.get(&path)?).context("the answer is no incident")?
            }
            None => {
                let build = self.subject.plugin.build()?;
                let (mut host, at) = self.subject.open(&build, self.at)?;
                host.find(name, at)?.into()
            }
        };
        match self.output {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?,
            Format::Text => write_one(out, &record)?,
        }
        Ok(Ending::Fine)
    }
}

fn list(records: &[IncidentRecord]) -> String {
    let header = ["incident", "severity", "state", "marks", "from", "title"];
    let rows = records.iter().map(|record| {
        let from = record.windows.last().map(|window| window.from.clone()).unwrap_or_default();
        let services = if record.services.is_empty() { "nothing".to_owned() } else { record.services.join(", ") };
        let title = format!("{} {}", record.display, record.title).trim().to_owned();
        vec![record.id.clone(), record.severity.clone(), record.state.clone(), services, from, title]
    });
    table(&header, rows)
}

fn write_one(out: &mut dyn Write, record: &IncidentRecord) -> anyhow::Result<()> {
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
    line("started", &record.started)?;
    line("ended", record.ended.as_deref().unwrap_or_default())?;
    line("lease", &record.lease_until.as_ref().map(|time| format!("until {time}")).unwrap_or_default())?;
    let services = if record.services.is_empty() { "nothing".to_owned() } else { record.services.join(", ") };
    line("marks", &format!("{services}: {}", record.reason))?;
    for window in &record.windows {
        let until = window.until.as_deref().unwrap_or("further notice");
        line("window", &format!("{} until {until}", window.from))?;
    }
    Ok(())
}
