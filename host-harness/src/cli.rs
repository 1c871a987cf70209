//! The command line: what there is to call, and how it ends.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::clean;
use crate::commands::{
    annotate, check, completions, explain, gaps, incidents, inspect, receive, replay, schema, serve, sign,
};
#[cfg(feature = "oci")]
use crate::commands::{pull, push};

/// Bold, as cargo and rustc begin their messages.
const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

const AFTER_HELP: &str = "\
Examples:
  faultline replay                          watch an incident mark telemetry, and the marks go away
  faultline check faultline.yaml            find all faults of a configuration
  faultline sign --source pagerduty-eu trigger.json
  faultline receive --source pagerduty-eu --state state.json trigger.json
  faultline annotate --signal traces --state state.json spans.json

Exit status:
  0  done, and nothing is wrong
  1  something is wrong: faults in a file, a refused webhook or batch, or a failure; stderr says what
  2  the command line is wrong";

/// While an incident is open, Faultline marks the traces, logs and metrics of the services it affects. This host runs the
/// plugin on files and on a virtual clock.
#[derive(Parser)]
#[command(name = "faultline", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    /// Whether output has colours. NO_COLOR and CLICOLOR_FORCE are heeded too.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    /// On a terminal.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

#[derive(Subcommand)]
enum Command {
    Replay(replay::Arguments),
    Receive(receive::Arguments),
    Incidents(Box<incidents::Arguments>),
    Annotate(annotate::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Gaps(gaps::Arguments),
    Inspect(inspect::Arguments),
    Serve(serve::Arguments),
    Sign(sign::Arguments),
    #[cfg(feature = "oci")]
    Push(push::Arguments),
    #[cfg(feature = "oci")]
    Pull(pull::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is wrong.
    Fine,
    /// What the command looked at is wrong, and the command said so.
    Findings,
}

/// Context of an error that also says what to do.
#[derive(Debug)]
pub struct Hint {
    /// What failed.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    match run(arguments.command) {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Findings) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is gone too, the exit status still tells.
            let _ = tell(&error);
            ExitCode::from(1)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Ending> {
    let mut out = anstream::stdout().lock();
    let ending = match command {
        Command::Replay(arguments) => replay::run(&arguments, &mut out),
        Command::Receive(arguments) => receive::run(&arguments, &mut out),
        Command::Incidents(arguments) => incidents::run(&arguments, &mut out),
        // Telemetry is bytes: nothing may be taken out of it.
        Command::Annotate(arguments) => annotate::run(&arguments, &mut io::stdout().lock()),
        Command::Check(arguments) => check::run(&arguments, &mut out),
        Command::Explain(arguments) => explain::run(&arguments, &mut out),
        Command::Gaps(arguments) => gaps::run(&arguments, &mut out),
        Command::Inspect(arguments) => inspect::run(&arguments, &mut out),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Sign(arguments) => sign::run(&arguments, &mut out),
        #[cfg(feature = "oci")]
        Command::Push(arguments) => push::run(&arguments, &mut out),
        #[cfg(feature = "oci")]
        Command::Pull(arguments) => pull::run(&arguments, &mut out),
        Command::Schema(schema::Arguments {}) => schema::run(&mut out),
        Command::Completions(arguments) => completions::run(&arguments, Arguments::command(), &mut out),
    }?;
    out.flush()?;
    Ok(ending)
}

/// Whoever reads has read enough, as `head` does: no fault of the command.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(pipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

fn tell(error: &anyhow::Error) -> io::Result<()> {
    let mut stderr = anstream::stderr().lock();
    for (number, cause) in error.chain().enumerate() {
        let text = clean::line(&cause.to_string());
        match number {
            0 => writeln!(stderr, "{ERROR}error:{ERROR:#} {text}")?,
            _ => writeln!(stderr, "  because: {text}")?,
        }
    }
    if let Some(Hint { hint, .. }) = error.downcast_ref::<Hint>() {
        writeln!(stderr, "{HINT}hint:{HINT:#} {}", clean::line(hint))?;
    }
    Ok(())
}

// === impl Hint ===

impl Hint {
    /// An error with a hint and no cause.
    #[must_use]
    pub fn error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { message: message.into(), hint: hint.into() })
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Hint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_documents_use_and_exit_status() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", command.get_name());
            assert!(help.contains("Exit status:"), "{}", command.get_name());
        }
    }

    #[test]
    fn a_broken_pipe_is_found_below_its_context() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("cannot write")));
    }
}
