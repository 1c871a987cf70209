//! One instance of the plugin that marks telemetry, and goes on after a trap.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::committed::Committed;
use crate::guest::{Guest, GuestBuild};
use crate::plugin::{Counter, CounterSums, Entry, Gap, Plugin, Signal};
use crate::selective::{Marked, Selective};
use crate::time::Nanos;

/// An instance that is kept abreast of what is committed. Whatever becomes of it, telemetry passes.
pub struct Instance {
    build: Arc<GuestBuild>,
    name: String,
    /// `None` until the first batch, and while no new instance can be had.
    present: Option<Present>,
    /// How many there were.
    count: u64,
    /// After a failure to make one: when to try again.
    again: Option<Instant>,
    /// Counters as they stood when last asked for: of instances that are gone, and of the present one.
    past: CounterSums,
    last: Vec<Counter>,
}

/// The instance, and what it knows.
struct Present {
    plugin: Selective<Guest>,
    revision: u64,
    config_revision: u64,
    merged: Option<u64>,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Outcome {
    /// The plugin answered.
    Answered(Marked),
    /// It did not: hand on the batch. The text says why.
    Failed(String),
}

/// How long a machine that could not make an instance is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// Entries that one call to `merge` is given: a whole state at once would need a deadline of its own.
const MERGED_AT_ONCE: usize = 2000;

// === impl Instance ===

impl Instance {
    /// An instance yet to be made. `name` tells it from others.
    #[must_use]
    pub fn new(build: Arc<GuestBuild>, name: String) -> Self {
        Self { build, name, present: None, count: 0, again: None, past: CounterSums::new(), last: Vec::new() }
    }

    /// Marks one batch by what is committed now; where something was added, the result is in `output`.
    pub fn mark(
        &mut self,
        committed: &Committed,
        signal: Signal,
        batch: &[u8],
        now: Nanos,
        output: &mut Vec<u8>,
    ) -> Outcome {
        if let Err(error) = self.catch_up(committed, now) {
            return Outcome::Failed(format!("{error:#}"));
        }
        let Some(present) = &mut self.present else {
            return Outcome::Failed("there is no instance of the plugin".to_owned());
        };
        match present.plugin.mark(signal, batch, now, output) {
            Ok(marked) => Outcome::Answered(marked),
            Err(trap) => {
                self.drop_present();
                // The next batch should not wait for it.
                let _: anyhow::Result<()> = self.catch_up(committed, now);
                Outcome::Failed(trap.to_string())
            }
        }
    }

    /// Gives the instance what is committed, making it anew if it trapped.
    ///
    /// # Errors
    /// When there is no instance, or it does not take what is committed.
    pub fn catch_up(&mut self, committed: &Committed, now: Nanos) -> anyhow::Result<()> {
        if self.present.as_ref().is_some_and(|present| present.revision == committed.revision) {
            return Ok(());
        }
        if self.again.is_some_and(|again| Instant::now() < again) {
            return Err(anyhow!("there is no instance of the plugin"));
        }
        let caught_up = self.make_and_merge(committed, now);
        if caught_up.is_err() {
            self.drop_present();
            self.again = Some(Instant::now() + RETRY);
        }
        caught_up
    }

    fn make_and_merge(&mut self, committed: &Committed, now: Nanos) -> anyhow::Result<()> {
        let present = match &mut self.present {
            Some(present) => present,
            vacant => {
                self.again = None;
                self.count += 1;
                let plugin = Selective::new(self.build.guest()?);
                vacant.insert(Present { plugin, revision: 0, config_revision: 0, merged: None })
            }
        };
        if present.config_revision != committed.config_revision {
            let instance = format!("{}-{}", self.name, self.count);
            let configured = present.plugin.configure(&committed.config, &instance)?;
            configured.map_err(|_faults| anyhow!("an instance refuses a configuration that another one took"))?;
            present.config_revision = committed.config_revision;
        }
        let (lacking, merged) = committed.since(present.merged);
        for group in lacking {
            merge(&mut present.plugin, &group, now)?;
        }
        present.merged = Some(merged);
        present.revision = committed.revision;
        Ok(())
    }

    /// Drops an instance that trapped: it must not be entered again. What it counted since it was last asked is lost.
    fn drop_present(&mut self) {
        self.present = None;
        for counter in std::mem::take(&mut self.last) {
            *self.past.entry((counter.name, counter.attributes)).or_default() += counter.value;
        }
    }

    /// How many instances had to be made after the first.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.count.saturating_sub(1)
    }

    /// Bytes of memory of the present instance.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.present.as_ref().map_or(0, |present| present.plugin.inner().memory_bytes())
    }

    /// Services of telemetry that it has seen and that no rule leads to.
    pub fn gaps(&mut self, now: Nanos) -> Vec<Gap> {
        let Some(present) = &mut self.present else { return Vec::new() };
        present.plugin.gaps(now).unwrap_or_else(|_trap| {
            self.drop_present();
            Vec::new()
        })
    }

    /// Adds the counters of all its instances to `sums`.
    pub fn add_counters(&mut self, sums: &mut CounterSums) {
        if let Some(present) = &mut self.present {
            match present.plugin.counters() {
                Ok(counters) => self.last = counters,
                Err(_trap) => self.drop_present(),
            }
        }
        let last = self.last.iter().map(|counter| ((counter.name.clone(), counter.attributes.clone()), counter.value));
        for (name, value) in self.past.iter().map(|(name, value)| (name.clone(), *value)).chain(last) {
            *sums.entry(name).or_default() += value;
        }
    }
}

fn merge(plugin: &mut impl Plugin, entries: &[Entry], now: Nanos) -> anyhow::Result<()> {
    for entries in entries.chunks(MERGED_AT_ONCE) {
        plugin
            .merge(entries, now)?
            .map_err(|reason| anyhow!(reason))
            .context("the plugin does not take what is committed")?;
    }
    Ok(())
}
