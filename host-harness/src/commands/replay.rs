//! `faultline replay`: plays a scenario and shows what the plugin did.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::shared::PluginArguments;
use crate::cli::Ending;
use crate::report::{Document, Lines, Report, Text, Verbosity};
use crate::scenario::{Player, Scenario};

/// A replay that takes longer shows how far it is.
const PATIENCE: Duration = Duration::from_secs(1);

const AFTER_HELP: &str = "\
Examples:
  faultline replay
  faultline replay --verbosity detailed tests/scenarios/a_late_span_is_marked_by_its_own_time
  faultline replay -o ndjson my-scenario | jq 'select(.telemetry.marked > 0)'

Exit status:
  0  the scenario was played to its end
  1  the scenario cannot be read, or the plugin failed
  2  the command line is wrong";

/// Play webhooks and telemetry through the plugin, on a virtual clock, and show what was marked, with what, and why.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The folder of a scenario [default: the bundled one].
    pub scenario: Option<PathBuf>,
    /// How much to show.
    #[arg(long, value_enum, default_value_t = Verbosity::Normal)]
    pub verbosity: Verbosity,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One array with an object for each step, and the summary last.
    Json,
    /// The same objects, one a line, as they come.
    Ndjson,
}

/// Plays the scenario.
///
/// # Errors
/// When it cannot be read, the plugin fails, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let scenario = match &arguments.scenario {
        Some(folder) => Scenario::read(folder)?,
        None => Scenario::bundled()?,
    };
    let build = arguments.plugin.build()?;
    let mut player = Player::new(&build, &scenario)?;
    let mut report: Box<dyn Report + '_> = match arguments.output {
        Format::Text => Box::new(Text::new(out, arguments.verbosity)),
        Format::Json => Box::new(Document::new(out)),
        Format::Ndjson => Box::new(Lines::new(out)),
    };
    let progress = Progress::new(player.steps());
    report.begin(&scenario)?;
    for event in &mut player {
        let event = event?;
        progress.step(|| report.event(&event))?;
    }
    progress.bar.finish_and_clear();
    report.end(&player.summary()?)?;
    Ok(Ending::Fine)
}

/// A bar on stderr, on a terminal, once it is worth it.
struct Progress {
    bar: ProgressBar,
    began: Instant,
}

// === impl Progress ===

impl Progress {
    fn new(steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{bar:40} step {pos} of {len}") {
            bar.set_style(style);
        }
        Self { bar, began: Instant::now() }
    }

    /// Runs `print` while the bar is out of the way.
    fn step(&self, print: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.bar.is_hidden() && self.began.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
        self.bar.suspend(print)
    }
}
