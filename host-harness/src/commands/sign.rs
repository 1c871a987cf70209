//! `faultline sign`: the headers that make a test webhook authentic.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::shared::{ConfigArguments, read_input};
use crate::cli::Ending;
use crate::signature;

const AFTER_HELP: &str = "\
Examples:
  faultline sign --source pagerduty-eu trigger.json
  curl -H \"$(faultline sign --source pagerduty-eu trigger.json)\" --data-binary @trigger.json URL

Exit status:
  0  the headers were printed
  1  the configuration has no such source, or nothing to sign with
  2  the command line is wrong";

/// Print the headers with which a source proves that a webhook is its own, as `Name: value`. They hold for these bytes only.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configured source.
    #[arg(long, value_name = "NAME")]
    pub source: String,
    /// The configuration with the secret [default: faultline.yaml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The body; `-` is standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

/// Prints the headers.
///
/// # Errors
/// When the configuration or the body cannot be read, or there is nothing to sign with.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let config = ConfigArguments { config: arguments.config.clone(), state: None }.read()?;
    let body = read_input(&arguments.file)?;
    for (name, value) in signature::sign(config.root(), &arguments.source, None, &body)? {
        writeln!(out, "{name}: {value}")?;
    }
    Ok(Ending::Fine)
}
