//! Instances that have everything, or are not had.

use anyhow::anyhow;

use crate::journal::Journal;
use crate::plugin::{Build, ConfigError, ConfigWarning, Plugin, Trap};
use crate::time::Nanos;

/// Why a plugin could not be set up.
#[derive(Debug)]
pub enum SetupError {
    /// The configuration has faults, all of which are listed.
    Config(Vec<ConfigError>),
    /// Anything else.
    Other(anyhow::Error),
}

/// An instance that is configured and has what is committed.
pub(super) struct Fresh {
    pub(super) plugin: Box<dyn Plugin>,
    pub(super) warnings: Vec<ConfigWarning>,
    pub(super) set_aside: Vec<String>,
}

/// Entries that one call to `merge` is given: a whole state at once would need a deadline of its own.
const MERGED_AT_ONCE: usize = 2000;

// === impl Fresh ===

impl Fresh {
    pub(super) fn new(
        build: &dyn Build,
        config: &str,
        instance: &str,
        journal: &impl Journal,
        now: Nanos,
    ) -> Result<Self, SetupError> {
        let mut plugin = build.instantiate()?;
        let warnings = plugin.configure(config, instance)?.map_err(SetupError::Config)?;
        let mut set_aside = Vec::new();
        for entries in journal.entries()?.chunks(MERGED_AT_ONCE) {
            let merged = plugin.merge(entries, now)?;
            let merged = merged.map_err(|reason| anyhow!("the plugin does not take the committed state: {reason}"))?;
            set_aside.extend(merged.set_aside);
        }
        Ok(Self { plugin, warnings, set_aside })
    }
}

// === impl SetupError ===

impl From<anyhow::Error> for SetupError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Trap> for SetupError {
    fn from(trap: Trap) -> Self {
        Self::Other(trap.into())
    }
}
