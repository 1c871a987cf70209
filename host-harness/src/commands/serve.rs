//! `faultline serve`: the server.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::shared::{CONFIG, PluginArguments};
use crate::cli::Ending;
use crate::serve::config::LogFormat;
use crate::serve::loaded::Loaded;
use crate::serve::{self, Failure};

const AFTER_HELP: &str = "\
Examples:
  faultline serve --config /etc/faultline/faultline.yaml
  faultline check /etc/faultline/faultline.yaml       find all faults before the server does

Signals:
  SIGHUP           reads the configuration again; the last good one stays in force if it has faults
  SIGTERM, SIGINT  takes nothing more, lets requests end (`serve.drain`), and stops

Log lines go to stderr; FAULTLINE_LOG=debug shows more, FAULTLINE_LOG=warn less.

Exit status:
  0  it was told to stop, and did
  1  it could not start: faults in the configuration, a port that is taken, a journal that cannot be read
  2  the command line is wrong";

/// Take telemetry by OTLP and webhooks of incident tools, mark what belongs to open incidents, and hand telemetry on.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configuration; its section `serve` says where to listen and where to forward to.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    start_log(arguments);
    let build = |limits| arguments.plugin.build_within(limits);
    match serve::run(&arguments.config, build) {
        Ok(()) => Ok(Ending::Fine),
        Err(Failure::Other(error)) => Err(error),
        Err(Failure::Config(unusable)) => {
            let mut stderr = anstream::stderr().lock();
            for diagnostic in &unusable.diagnostics {
                writeln!(stderr, "{}", diagnostic.render(&unusable.text))?;
            }
            let count = unusable.diagnostics.len();
            let faults = if count == 1 { "fault" } else { "faults" };
            anyhow::bail!("{} cannot be used: {count} {faults}", arguments.config.display())
        }
    }
}

/// The format is in the configuration; with one that has faults, lines are for people.
fn start_log(arguments: &Arguments) {
    let format = match Loaded::read(&arguments.config, "") {
        Ok(Ok(loaded)) => loaded.serve.telemetry.log,
        _ => LogFormat::Text,
    };
    let filter = EnvFilter::try_from_env("FAULTLINE_LOG").unwrap_or_else(|_| EnvFilter::new("faultline=info,warn"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // Tests may have started one already.
    let _ = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_ansi(anstream::stderr().is_terminal()).try_init(),
    };
}
