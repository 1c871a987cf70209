//! The plugin as the host sees it: the functions of the contract, whatever build stands behind them.

use std::fmt;

pub use crate::bindings::exports::faultline::incident::incidents::{
    Counter, Expiry, Explanation, Extent, Gap, Incident, Merged, Receipt, Transition, Webhook, Window,
};
pub use crate::bindings::exports::faultline::incident::processor::{
    Affected, Attribute, AttributeValue, ConfigError, ConfigWarning, EditList as Edits, ItemMark, ItemMarks, Outcome,
    Scope,
};
pub use crate::bindings::exports::faultline::incident::types::{Entry, Signal};

use crate::time::Nanos;

/// One instance of the plugin.
///
/// The functions are those of `wit/`, which documents them; every one may trap besides. After a [`Trap`] the instance
/// must be dropped: it answers no further call sensibly.
#[expect(clippy::missing_errors_doc, reason = "the one error of all of them is described above")]
pub trait Plugin {
    /// Sets the configuration: warnings when it is in force, else all faults.
    fn configure(&mut self, config: &str, instance: &str)
    -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap>;
    /// What `process` would change.
    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap>;
    /// Marks one batch.
    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap>;
    /// What `process` would do, as edits.
    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap>;
    /// What `process` would add, by the positions of items.
    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap>;
    /// Reads one webhook and changes nothing.
    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap>;
    /// Takes committed entries into the state.
    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap>;
    /// Reports leases that ran out and changes nothing.
    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap>;
    /// The state as entries.
    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap>;
    /// Open incidents, most severe first.
    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap>;
    /// One incident by one of its names.
    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap>;
    /// Which incidents mark an item, and why or why not.
    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap>;
    /// What the configuration leaves out.
    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap>;
    /// The counters of this instance.
    fn counters(&mut self) -> Result<Vec<Counter>, Trap>;
}

impl<P: Plugin + ?Sized> Plugin for Box<P> {
    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        (**self).configure(config, instance)
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        (**self).interest(signal, now)
    }

    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        (**self).process(signal, batch, now)
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        (**self).edits(signal, batch, now)
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        (**self).marks(signal, batch, now)
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        (**self).receive(source, webhook, now)
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        (**self).merge(entries, now)
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        (**self).expire(now)
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        (**self).state(what)
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        (**self).open(now)
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        (**self).find(name, now)
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        (**self).explain(asked, now)
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        (**self).gaps(now)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        (**self).counters()
    }
}

/// Counters added up, by name and attributes.
pub type CounterSums = std::collections::BTreeMap<(String, Vec<(String, String)>), u64>;

/// The item that an explanation is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `service.name` of its resource.
    pub service: &'a str,
    /// `service.namespace`.
    pub namespace: Option<&'a str>,
    /// `deployment.environment.name`.
    pub environment: Option<&'a str>,
    /// Its own time.
    pub time: Nanos,
}

/// A build of the plugin, from which instances are made.
pub trait Build {
    /// A new instance, not configured, with no state.
    ///
    /// # Errors
    /// When the build offers or wants something else than the contract says, or the machine lacks what it needs.
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>>;
}

impl<B: Build + ?Sized> Build for std::sync::Arc<B> {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        (**self).instantiate()
    }
}

/// The end of an instance: a call into it did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The function of the contract that was called, for example `process`.
    pub call: &'static str,
    /// What ended it, for example `needed more memory than its limit of 512 MiB`.
    pub reason: String,
}

// === impl Trap ===

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the plugin trapped in `{}`: {}", self.call, self.reason)
    }
}

impl std::error::Error for Trap {}
