//! `faultline gaps`: what the configuration should name but does not.

use std::io::Write;

use clap::Args;

use super::shared::{Format, SubjectArguments, time};
use crate::cli::Ending;
use crate::report::write_gaps;
use crate::scenario::GapRecord;
use crate::time::Nanos;

const AFTER_HELP: &str = "\
Examples:
  faultline gaps --state state.json
  faultline gaps --scenario tests/scenarios/an_unmapped_service_marks_nothing_and_is_named

A state holds incidents, a scenario also telemetry: services that no rule leads to are found only there.

Exit status:
  0  done; there may be gaps
  1  the command failed
  2  the command line is wrong";

/// List incidents that matched no service, and services in telemetry that no rule leads to, each with a rule that would help.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
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

/// Lists gaps.
///
/// # Errors
/// When the subject cannot be used, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let build = arguments.subject.plugin.build()?;
    let (mut host, at) = arguments.subject.open(&build, arguments.at)?;
    let gaps: Vec<GapRecord> = host.gaps(at)?.into_iter().map(GapRecord::from).collect();
    match arguments.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&gaps)?)?,
        Format::Text if gaps.is_empty() => writeln!(out, "The configuration leaves nothing out that was seen.")?,
        Format::Text => write_gaps(out, &gaps)?,
    }
    Ok(Ending::Fine)
}
