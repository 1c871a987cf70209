//! `faultline explain`: why an item is marked, or not.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use super::shared::{Format, SubjectArguments, time};
use crate::cli::Ending;
use crate::plugin::{Asked, Explanation};
use crate::report::table;
use crate::time::{Nanos, Rfc3339};

const AFTER_HELP: &str = "\
Examples:
  faultline explain --service checkout --at 2026-03-01T10:12:00Z --state state.json
  faultline explain --service cart --environment staging

Exit status:
  0  the explanations were printed; there may be none, when no incident is known
  1  the command failed
  2  the command line is wrong";

/// Say for each known incident whether and why it marks, or does not mark, an item of a service.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The item's `service.name`.
    #[arg(long, value_name = "NAME")]
    pub service: String,
    /// The item's `service.namespace`.
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The item's `deployment.environment.name`.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// The item's own time, RFC 3339 [default: now, or the end of the scenario].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Nanos>,
    /// When the item is processed, RFC 3339 [default: its own time].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub processed_at: Option<Nanos>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// What is looked at.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// An explanation, as JSON.
#[derive(Serialize)]
struct Record {
    incident: String,
    marks: bool,
    reason: String,
}

/// Explains.
///
/// # Errors
/// When the subject cannot be used, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let build = arguments.subject.plugin.build()?;
    let (mut host, at) = arguments.subject.open(&build, arguments.at)?;
    let processed_at = arguments.processed_at.unwrap_or(at);
    let Arguments { service, namespace, environment, .. } = arguments;
    let (namespace, environment) = (namespace.as_deref(), environment.as_deref());
    let explanations = host.explain(Asked { service, namespace, environment, time: at }, processed_at)?;
    let records: Vec<Record> = explanations
        .into_iter()
        .map(|Explanation { incident, marks, reason }| Record { incident, marks, reason })
        .collect();
    match arguments.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&records)?)?,
        Format::Text if records.is_empty() => writeln!(out, "No incident is known at {}.", Rfc3339(processed_at))?,
        Format::Text => {
            let rows = records.into_iter().map(|record| {
                vec![record.incident, if record.marks { "marks" } else { "does not" }.to_owned(), record.reason]
            });
            writeln!(out, "{}", table(&["incident", "", "because"], rows))?;
        }
    }
    Ok(Ending::Fine)
}
