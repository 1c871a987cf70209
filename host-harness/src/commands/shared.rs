//! Arguments that several commands have, and what they lead to.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use super::plugin_file::{self, RegistryArguments};
use crate::clean::Clean;
use crate::cli::Hint;
use crate::config_file::{ConfigFile, Rejected};
use crate::diagnostics::{Diagnostic, Severity};
use crate::guest::{Cache, EMBEDDED, GuestBuild, Limits};
use crate::host::{Host, SetupError};
use crate::journal::{Journal, MemoryJournal, ReadOnlyJournal, StateFile};
use crate::plugin::Build;
use crate::scenario::{Player, Scenario};
use crate::time::{Nanos, now, parse_time};

/// Where the configuration is when no other is named.
pub const CONFIG: &str = "faultline.yaml";

/// Which plugin to run.
#[derive(Args, Clone, Debug)]
pub struct PluginArguments {
    /// A plugin in the place of the one that is built in: a file, or `oci://…` for one in a registry.
    #[arg(long, value_name = "PATH")]
    pub plugin: Option<PathBuf>,
    /// How it is had from a registry.
    #[command(flatten)]
    pub registry: RegistryArguments,
}

/// The configuration and the state of commands that write.
#[derive(Args, Clone, Debug)]
pub struct ConfigArguments {
    /// The configuration [default: faultline.yaml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The state: what earlier webhooks said. Without it each call begins with none.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// What commands that only look can look at: a configuration and a state, or a scenario.
#[derive(Args, Clone, Debug)]
pub struct SubjectArguments {
    /// Configuration and state.
    #[command(flatten)]
    pub config: ConfigArguments,
    /// Play the scenario in this folder first, and look at what it leaves.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "state"])]
    pub scenario: Option<PathBuf>,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// How a command prints: for people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

// === impl PluginArguments ===

impl PluginArguments {
    /// Compiles the plugin, or takes its compiled form from the user's cache.
    ///
    /// # Errors
    /// When the file cannot be read or is no plugin.
    pub fn build(&self) -> anyhow::Result<GuestBuild> {
        self.build_within(Limits::default())
    }

    /// The same with other bounds on its instances.
    ///
    /// # Errors
    /// Those of [`Self::build`].
    pub fn build_within(&self, limits: Limits) -> anyhow::Result<GuestBuild> {
        match &self.plugin {
            None => GuestBuild::new(EMBEDDED, limits, Cache::User).context("the built-in plugin cannot be used"),
            Some(path) => {
                let bytes = plugin_file::read(path, &self.registry)?;
                GuestBuild::new(&bytes, limits, Cache::User).with_context(|| Hint {
                    message: format!("{} cannot be used as a plugin", path.display()),
                    hint: format!("`faultline inspect {}` shows what is in it", path.display()),
                })
            }
        }
    }
}

// === impl ConfigArguments ===

impl ConfigArguments {
    /// Whether the user named something, or the default configuration is there.
    fn is_there(&self) -> bool {
        self.config.is_some() || self.state.is_some() || Path::new(CONFIG).exists()
    }

    /// Reads the configuration. Faults in its syntax go to stderr.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self) -> anyhow::Result<ConfigFile> {
        let path = match &self.config {
            Some(path) => path,
            None if Path::new(CONFIG).exists() => Path::new(CONFIG),
            None => {
                return Err(Hint::error(
                    format!("there is no configuration: no --config was given, and no {CONFIG} is here"),
                    format!("write the sources of your webhooks into {CONFIG}, then run `faultline check {CONFIG}`"),
                ));
            }
        };
        ConfigFile::read(path)?.map_err(|Rejected { diagnostics, text, .. }| refused(path, &text, &diagnostics))
    }

    /// A plugin with this configuration and the state, which is opened to be written when `write` is set.
    ///
    /// # Errors
    /// When configuration or state cannot be used; faults of the configuration have gone to stderr then.
    pub fn open<'build>(
        &self,
        build: &'build dyn Build,
        config: &ConfigFile,
        write: bool,
        at: Nanos,
    ) -> anyhow::Result<Host<'build, Box<dyn Journal>>> {
        let journal: Box<dyn Journal> = match &self.state {
            None => Box::<MemoryJournal>::default(),
            Some(path) if write => Box::new(StateFile::open_to_write(path)?),
            Some(path) => Box::new(ReadOnlyJournal::open(path)?),
        };
        // What is committed was received until now, whatever time is asked about.
        let merged_at = at.max(now());
        match Host::new(build, config.to_json(), journal, "command", merged_at) {
            Ok((host, _warnings)) => {
                for key in host.set_aside() {
                    eprintln!("set aside, received more than an hour from now by its own account: {}", Clean(key));
                }
                Ok(host)
            }
            Err(SetupError::Config(faults)) => {
                Err(refused(config.path(), config.text(), &config.diagnostics(Severity::Error, &faults)))
            }
            Err(SetupError::Other(error)) => Err(error),
        }
    }
}

/// Shows the diagnostics, and makes one error of them.
fn refused(path: &Path, text: &str, diagnostics: &[Diagnostic]) -> anyhow::Error {
    let mut stderr = anstream::stderr().lock();
    for diagnostic in diagnostics {
        // If stderr is gone, the exit status still tells.
        let _ = writeln!(stderr, "{}", diagnostic.render(text));
    }
    let count = diagnostics.len();
    anyhow!("{} cannot be used: {count} {}", path.display(), if count == 1 { "fault" } else { "faults" })
}

// === impl SubjectArguments ===

impl SubjectArguments {
    /// The plugin to look at, and the time to look at it: `at` if given, else the end of the scenario, else now.
    ///
    /// # Errors
    /// When configuration, state or scenario cannot be used.
    pub fn open<'build>(
        &self,
        build: &'build dyn Build,
        at: Option<Nanos>,
    ) -> anyhow::Result<(Host<'build, Box<dyn Journal>>, Nanos)> {
        let scenario = match &self.scenario {
            Some(folder) => Scenario::read(folder)?,
            None if self.config.is_there() => {
                let at = at.unwrap_or_else(now);
                return Ok((self.config.open(build, &self.config.read()?, false, at)?, at));
            }
            None => {
                let scenario = Scenario::bundled()?;
                eprintln!("No configuration here: this is the bundled scenario, {}.", scenario.name);
                scenario
            }
        };
        let mut player = Player::new(build, &scenario)?;
        for event in &mut player {
            event?;
        }
        let at = at.unwrap_or_else(|| scenario.end());
        Ok((player.into_host(), at))
    }
}

/// Reads a time of the command line: RFC 3339, or `now`.
///
/// # Errors
/// For anything else.
pub fn time(text: &str) -> Result<Nanos, String> {
    parse_time(text).map_err(|error| format!("{error:#}"))
}

/// Reads a file, or standard input when it is `-`.
///
/// # Errors
/// When it cannot be read.
pub fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let mut stdin = io::stdin().lock();
        if stdin.is_terminal() {
            eprintln!("Reading from the terminal; end with Ctrl-D.");
        }
        stdin.read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(bytes);
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
