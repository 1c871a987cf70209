//! One plugin and its journal, kept together: what is committed is merged, and a trap costs no more than one call.

mod fresh;
mod received;

use std::collections::BTreeMap;

use anyhow::{Context, bail};

pub use fresh::SetupError;
pub use received::{Delivery, Received};

use crate::journal::{Journal, MemoryJournal};
use crate::plugin::{
    Asked, Build, ConfigError, ConfigWarning, Counter, CounterSums, Entry, Expiry, Explanation, Extent, Gap, Incident,
    Outcome, Plugin, Receipt, Signal, Transition, Trap, Webhook,
};
use crate::time::Nanos;
use fresh::Fresh;

/// The counter that the host keeps: instances that trapped, by the function that was called.
const TRAPS: &str = "plugin.traps";

/// A configured plugin that survives its own traps.
///
/// An instance that trapped is dropped; the next one is configured as it was and is given the journal. Counters go on:
/// those of earlier instances are added, except what an instance counted before it trapped, which went with it.
pub struct Host<'build, J> {
    build: &'build dyn Build,
    plugin: Box<dyn Plugin>,
    journal: J,
    config: String,
    name: String,
    /// How many instances there were, the present one included.
    instances: u64,
    /// Counters of instances that are gone, and of traps.
    past: CounterSums,
    /// Whether the instance may be asked: it has not trapped, and has what is committed and nothing else. If not, another one
    /// is made first; until that succeeds nothing is answered, and above all nothing in the journal is forgotten.
    is_whole: bool,
    /// Keys of committed entries that the present instance did not take in since a clock is wrong.
    set_aside: Vec<String>,
    /// Told of entries after they were committed, before whoever brought them is answered.
    observer: Option<Observer>,
}

/// Whoever wants to know what was committed.
pub type Observer = Box<dyn FnMut(&[Entry]) + Send>;

/// A journal is compacted when it has this many times the entries that its state needs.
const SLACK: usize = 2;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Processed {
    /// The plugin answered.
    Answered(Outcome),
    /// The plugin trapped: hand on the bytes that were passed in. A new instance is in place.
    Trapped(Trap),
}

// === impl Host ===

impl<'build, J: Journal> Host<'build, J> {
    /// Makes an instance, configures it with a JSON document, and gives it what the journal holds. `name` tells this host
    /// from others that run the same plugin. Also returns what the configuration is warned of.
    ///
    /// # Errors
    /// When the configuration has faults, or the plugin fails or refuses the journal.
    pub fn new(
        build: &'build dyn Build,
        config: String,
        journal: J,
        name: &str,
        now: Nanos,
    ) -> Result<(Self, Vec<ConfigWarning>), SetupError> {
        let Fresh { plugin, warnings, set_aside } = Fresh::new(build, &config, &format!("{name}-1"), &journal, now)?;
        let host = Self {
            build,
            plugin,
            journal,
            config,
            name: name.to_owned(),
            instances: 1,
            past: BTreeMap::new(),
            is_whole: true,
            set_aside,
            observer: None,
        };
        Ok((host, warnings))
    }

    /// Drops the instance and makes a new one from the journal, as a restart of the host would.
    ///
    /// # Errors
    /// When no new instance can be had. It is tried again before whatever is asked next.
    pub fn restart(&mut self, now: Nanos) -> anyhow::Result<()> {
        // What an instance counted that trapped went with it.
        for counter in self.plugin.counters().unwrap_or_default() {
            *self.past.entry((counter.name, counter.attributes)).or_default() += counter.value;
        }
        self.replace(now)
    }

    /// Makes sure that there is an instance with what is committed.
    fn ready(&mut self, now: Nanos) -> anyhow::Result<()> {
        if self.is_whole { Ok(()) } else { self.replace(now) }
    }

    fn replace(&mut self, now: Nanos) -> anyhow::Result<()> {
        self.is_whole = false;
        self.instances += 1;
        let instance = format!("{}-{}", self.name, self.instances);
        match Fresh::new(self.build, &self.config, &instance, &self.journal, now) {
            Ok(Fresh { plugin, warnings: _, set_aside }) => {
                self.plugin = plugin;
                self.set_aside = set_aside;
                self.is_whole = true;
                Ok(())
            }
            Err(SetupError::Other(error)) => Err(error.context("the plugin cannot be set up again")),
            Err(SetupError::Config(_)) => bail!("a new instance of the plugin refuses the configuration of the last"),
        }
    }

    /// Counts a trap and replaces the instance, which must not be entered again.
    fn recover(&mut self, trap: &Trap, now: Nanos) -> anyhow::Result<()> {
        let attributes = vec![("function".to_owned(), trap.call.to_owned())];
        *self.past.entry((TRAPS.to_owned(), attributes)).or_default() += 1;
        self.replace(now).with_context(|| trap.to_string())
    }

    /// Marks one batch; a trap leaves the batch as it is.
    ///
    /// # Errors
    /// When the plugin trapped and no new instance can be had.
    pub fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> anyhow::Result<Processed> {
        self.ready(now)?;
        match self.plugin.process(signal, batch, now) {
            Ok(outcome) => Ok(Processed::Answered(outcome)),
            Err(trap) => {
                self.recover(&trap, now)?;
                Ok(Processed::Trapped(trap))
            }
        }
    }

    /// Takes one webhook in: the entries are committed, then merged, and only then does the sender get its 2xx.
    ///
    /// # Errors
    /// When the plugin trapped and no new instance can be had, or does not take what it made itself.
    pub fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> anyhow::Result<Received> {
        let delivery = Delivery { source: source.to_owned(), webhook: webhook.clone() };
        let received = self.receive_all(&[delivery], now)?;
        received.into_iter().next().context("a webhook was not answered")
    }

    /// Takes several webhooks in, in their order, with one commit for all. Answers in their order.
    ///
    /// Each sees what those before it did: the plugin merges their entries ahead of the commit. Nobody is told of that
    /// before the commit, and if it fails the instance makes way for one that has only what is committed.
    ///
    /// # Errors
    /// Those of [`Host::receive`].
    pub fn receive_all(&mut self, deliveries: &[Delivery], now: Nanos) -> anyhow::Result<Vec<Received>> {
        self.ready(now)?;
        let mut received = Vec::with_capacity(deliveries.len());
        let mut entries = Vec::new();
        let mut is_ahead = false;
        for (Delivery { source, webhook }, number) in deliveries.iter().zip(1..) {
            let answer = match self.plugin.receive(source, webhook, now) {
                Ok(Receipt { status, retry_after_secs, body, entries: of_webhook, transitions }) => {
                    if number < deliveries.len() && !of_webhook.is_empty() {
                        is_ahead = true;
                        self.merge_ahead(&of_webhook, now)?;
                    }
                    let keys = of_webhook.iter().map(|entry| entry.key.clone()).collect();
                    entries.extend(of_webhook);
                    let answer =
                        Received { status, retry_after_secs, body, transitions, failure: None, set_aside: Vec::new() };
                    (answer, keys)
                }
                Err(trap) => {
                    self.recover(&trap, now)?;
                    // The new instance has what is committed; what came before in this group it gets again.
                    self.merge_ahead(&entries, now)?;
                    (Received::failed("the plugin failed", Vec::new(), trap.to_string()), Vec::new())
                }
            };
            received.push(answer);
        }
        // An answer that stores nothing does not depend on the journal: a forged webhook is 401 on a full disk too.
        let committed = if entries.is_empty() { Ok(()) } else { self.journal.commit(&entries) };
        let set_aside = match &committed {
            Ok(()) => self.merge(&entries, now)?,
            Err(_) if is_ahead => {
                self.restart(now)?;
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let answered = received.into_iter().map(|(mut answer, keys): (Received, Vec<String>)| match &committed {
            // Also one that stores nothing itself: a duplicate of one that is not stored is not stored either.
            Err(error) if answer.status < 300 => {
                Received::failed("storage failed", answer.transitions, format!("{error:#}"))
            }
            _ => {
                answer.set_aside = set_aside.iter().filter(|key| keys.contains(key)).cloned().collect();
                answer
            }
        });
        Ok(answered.collect())
    }

    /// Merges entries that are yet to be committed, for what comes behind them in their group.
    fn merge_ahead(&mut self, entries: &[Entry], now: Nanos) -> anyhow::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        match self.plugin.merge(entries, now) {
            Ok(Ok(_merged)) => Ok(()),
            Ok(Err(reason)) => {
                self.restart(now)?;
                bail!("the plugin does not take the entries that it made: {reason}")
            }
            Err(trap) => self.recover(&trap, now),
        }
    }

    /// Tells `observer` of all entries that are committed from now on, before whoever brought them is answered.
    pub fn on_commit(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// Replaces the configuration. Incidents are kept.
    ///
    /// # Errors
    /// When the plugin traps. Its faults, if it has any, are the answer: the one before stays in force then.
    pub fn configure(
        &mut self,
        config: String,
        now: Nanos,
    ) -> anyhow::Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>> {
        self.ready(now)?;
        let instance = format!("{}-{}", self.name, self.instances);
        let answer = self.ask(now, |plugin| plugin.configure(&config, &instance))?;
        if answer.is_ok() {
            self.config = config;
        }
        Ok(answer)
    }

    /// What [`Host::receive`] would answer; nothing is committed.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn try_receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> anyhow::Result<Receipt> {
        self.ready(now)?;
        Ok(self.plugin.receive(source, webhook, now)?)
    }

    /// Lets the journal forget what its state no longer needs, if that is much: superseded and old entries.
    ///
    /// # Errors
    /// When the plugin traps or the journal fails; nothing is forgotten then.
    pub fn compact(&mut self, now: Nanos) -> anyhow::Result<()> {
        self.ready(now)?;
        // What is set aside is in the journal and not in the state.
        if !self.set_aside.is_empty() {
            return Ok(());
        }
        let state = self.state(Extent::All, now)?;
        if self.journal.entries()?.len() >= SLACK * state.len().max(1) {
            self.journal.replace(&state)?;
        }
        Ok(())
    }

    /// Asks the plugin; a trap costs the answer, and a new instance takes the place of the one that trapped.
    fn ask<T>(&mut self, now: Nanos, ask: impl FnOnce(&mut dyn Plugin) -> Result<T, Trap>) -> anyhow::Result<T> {
        self.ready(now)?;
        match ask(self.plugin.as_mut()) {
            Ok(answer) => Ok(answer),
            Err(trap) => {
                self.recover(&trap, now)?;
                Err(trap.into())
            }
        }
    }

    /// Merges entries that the journal has, and returns the keys of those that the plugin set aside.
    fn merge(&mut self, entries: &[Entry], now: Nanos) -> anyhow::Result<Vec<String>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(observer) = &mut self.observer {
            observer(entries);
        }
        match self.plugin.merge(entries, now) {
            Ok(Ok(merged)) => Ok(merged.set_aside),
            Ok(Err(reason)) => bail!("the plugin does not take the committed entries: {reason}"),
            Err(trap) => {
                // The new instance gets them with the rest of the journal.
                self.recover(&trap, now)?;
                Ok(Vec::new())
            }
        }
    }

    /// Reports leases that ran out, once: the report is committed and merged.
    ///
    /// # Errors
    /// When the plugin traps or the journal fails; the report then comes again next time.
    pub fn expire(&mut self, now: Nanos) -> anyhow::Result<Vec<Transition>> {
        let Expiry { entries, transitions } = self.ask(now, |plugin| plugin.expire(now))?;
        if !entries.is_empty() {
            self.journal.commit(&entries)?;
        }
        self.merge(&entries, now)?;
        Ok(transitions)
    }

    /// Open incidents, most severe first.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn open(&mut self, now: Nanos) -> anyhow::Result<Vec<Incident>> {
        self.ask(now, |plugin| plugin.open(now))
    }

    /// One incident by one of its names.
    ///
    /// # Errors
    /// When there is none or several are meant, or the plugin traps.
    pub fn find(&mut self, name: &str, now: Nanos) -> anyhow::Result<Incident> {
        self.ask(now, |plugin| plugin.find(name, now))?.map_err(anyhow::Error::msg)
    }

    /// Which incidents mark an item, and why or why not.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> anyhow::Result<Vec<Explanation>> {
        self.ask(now, |plugin| plugin.explain(asked, now))
    }

    /// What the configuration leaves out.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn gaps(&mut self, now: Nanos) -> anyhow::Result<Vec<Gap>> {
        self.ask(now, |plugin| plugin.gaps(now))
    }

    /// The state as entries.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn state(&mut self, what: Extent, now: Nanos) -> anyhow::Result<Vec<Entry>> {
        self.ask(now, |plugin| plugin.state(what))
    }

    /// The counters of all instances, and the traps, sorted by name and attributes.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn counters(&mut self) -> anyhow::Result<Vec<Counter>> {
        let mut sums = self.past.clone();
        for counter in self.plugin.counters()? {
            *sums.entry((counter.name, counter.attributes)).or_default() += counter.value;
        }
        Ok(sums.into_iter().map(|((name, attributes), value)| Counter { name, attributes, value }).collect())
    }

    /// Keys of committed entries that the plugin did not take in: they were received, by their own account, more than an
    /// hour from now, so some clock is wrong.
    pub fn set_aside(&self) -> &[String] {
        &self.set_aside
    }

    /// Whether there is an instance with what is committed. If not, each call tries to have one first, and fails if it cannot.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    /// The same with a journal of which no more is known than that it is one.
    #[must_use]
    pub fn boxed(self) -> Host<'build, Box<dyn Journal>>
    where
        J: 'static,
    {
        let Self { build, plugin, journal, config, name, instances, past, is_whole, set_aside, observer } = self;
        Host { build, plugin, journal: Box::new(journal), config, name, instances, past, is_whole, set_aside, observer }
    }

    /// The same with a copy of the journal in memory: what is committed from now on is not kept.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn detached(self) -> anyhow::Result<Host<'build, MemoryJournal>> {
        let Self { build, plugin, journal, config, name, instances, past, is_whole, set_aside, observer } = self;
        let journal = MemoryJournal::of(&journal.entries()?);
        Ok(Host { build, plugin, journal, config, name, instances, past, is_whole, set_aside, observer })
    }

    /// The journal, to change how it behaves.
    pub fn journal_mut(&mut self) -> &mut J {
        &mut self.journal
    }
}

// === impl Processed ===

impl Processed {
    /// What to hand on in the place of `batch`: whatever went wrong, telemetry passes.
    #[must_use]
    pub fn handed_on(self, batch: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Answered(Outcome::Replaced(bytes)) => bytes,
            Self::Answered(Outcome::Unchanged | Outcome::Refused(_)) | Self::Trapped(_) => batch,
        }
    }

    /// Why nothing could be made of the batch; `None` when the plugin answered.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Answered(Outcome::Unchanged | Outcome::Replaced(_)) => None,
            Self::Answered(Outcome::Refused(reason)) => Some(format!("the batch was refused: {reason}")),
            Self::Trapped(trap) => Some(trap.to_string()),
        }
    }
}
