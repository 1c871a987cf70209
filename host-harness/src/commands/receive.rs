//! `faultline receive`: one webhook through the plugin.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::shared::{ConfigArguments, Format, PluginArguments, read_input, time};
use crate::clean::Clean;
use crate::cli::Ending;
use crate::host::Received;
use crate::plugin::{Receipt, Webhook};
use crate::scenario::TransitionRecord;
use crate::signature;
use crate::time::{Nanos, now};

const AFTER_HELP: &str = "\
Examples:
  faultline receive --source pagerduty-eu --sign --state state.json trigger.json
  faultline receive --source alertmanager --header 'Authorization: Bearer TOKEN' --dry-run alerts.json
  faultline receive --source manual --sign --at 2026-03-01T10:00:00Z -o json - < open.json

Exit status:
  0  the sender would get 2xx
  1  it would get something else, or the command failed
  2  the command line is wrong";

/// Send one webhook through the plugin: show the answer that its sender would get, and what it does to each incident.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configured source that the webhook comes from.
    #[arg(long, value_name = "NAME")]
    pub source: String,
    /// A header of the request; may be given several times.
    #[arg(long = "header", value_name = "'NAME: VALUE'", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// The HTTP method.
    #[arg(long, default_value = "POST")]
    pub method: String,
    /// Sign the body with the first secret or token of the source.
    #[arg(long)]
    pub sign: bool,
    /// When it arrives, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Nanos>,
    /// Show what would happen, and keep none of it.
    #[arg(long)]
    pub dry_run: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Configuration and state.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
    /// The body; `-` is standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// The answer, as JSON.
#[derive(Serialize)]
struct Record {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    body: Value,
    transitions: Vec<TransitionRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_aside: Vec<String>,
}

/// Receives the webhook.
///
/// # Errors
/// When configuration, state or body cannot be read, the plugin cannot go on, or `out` cannot be written. A state that
/// cannot be written is no error here: the sender gets 503.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let config = arguments.config.read()?;
    let body = read_input(&arguments.file)?;
    let mut headers = arguments.headers.clone();
    if arguments.sign {
        headers.extend(signature::sign(config.root(), &arguments.source, None, &body)?);
    }
    let webhook = Webhook {
        method: arguments.method.clone(),
        url: format!("/webhooks/{}", arguments.source),
        headers: headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
        body,
    };
    let at = arguments.at.unwrap_or_else(now);
    let build = arguments.plugin.build()?;
    let received = if arguments.dry_run {
        let exists = arguments.config.state.as_ref().is_some_and(|path| path.exists());
        let state = arguments.config.state.clone().filter(|_| exists);
        let subject = ConfigArguments { config: arguments.config.config.clone(), state };
        Received::from(subject.open(&build, &config, false, at)?.try_receive(&arguments.source, &webhook, at)?)
    } else {
        let mut host = arguments.config.open(&build, &config, true, at)?;
        let received = host.receive(&arguments.source, &webhook, at)?;
        if received.status == 202 {
            // What a state keeps too much does no harm.
            let _: anyhow::Result<()> = host.compact(at);
        }
        received
    };
    let accepted = received.status < 300;
    let record = Record::from(received);
    match arguments.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?,
        Format::Text => write_text(out, &record, arguments.dry_run)?,
    }
    Ok(if accepted { Ending::Fine } else { Ending::Findings })
}

fn write_text(out: &mut dyn Write, record: &Record, dry_run: bool) -> anyhow::Result<()> {
    let note = if dry_run { " (dry run: nothing was kept)" } else { "" };
    writeln!(out, "{} {}{note}", record.status, Clean(&record.body.to_string()))?;
    if let Some(seconds) = record.retry_after {
        writeln!(out, "Retry-After: {seconds}")?;
    }
    if let Some(failure) = &record.failure {
        writeln!(out, "nothing was kept: {}", Clean(failure))?;
    }
    for key in &record.set_aside {
        writeln!(out, "set aside, received too far ahead of the clock: {}", Clean(key))?;
    }
    for transition in &record.transitions {
        let TransitionRecord { incident, kind, from, to, at, services, reason, .. } = transition;
        let incident = if incident.is_empty() { "no incident" } else { incident };
        let from = from.as_deref().unwrap_or("new");
        writeln!(out, "{}  {} ({} → {}) at {at}", Clean(incident), Clean(kind), Clean(from), Clean(to))?;
        match services.as_slice() {
            [] => writeln!(out, "  marks nothing: {}", Clean(reason))?,
            services => writeln!(out, "  marks {}: {}", Clean(&services.join(", ")), Clean(reason))?,
        }
    }
    Ok(())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{text:?} has no colon between name and value"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

// === impl Record ===

impl From<Received> for Record {
    fn from(received: Received) -> Self {
        let Received { status, retry_after_secs, body, transitions, failure, set_aside } = received;
        Self {
            status,
            retry_after: retry_after_secs,
            body: serde_json::from_str(&body).unwrap_or(Value::String(body)),
            transitions: transitions.into_iter().map(TransitionRecord::from).collect(),
            failure,
            set_aside,
        }
    }
}

impl From<Receipt> for Received {
    fn from(receipt: Receipt) -> Self {
        let Receipt { status, retry_after_secs, body, entries: _, transitions } = receipt;
        Self { status, retry_after_secs, body, transitions, failure: None, set_aside: Vec::new() }
    }
}
