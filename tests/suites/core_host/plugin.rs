//! The contract over an [`Instance`]: names, arguments, and the types of answers.

use std::sync::Arc;

use anyhow::{Context, bail};
use faultline::plugin::{
    Affected, Asked, Attribute, AttributeValue, ConfigError, ConfigWarning, Counter, Edits, Entry, Expiry, Explanation,
    Extent, Gap, Incident, ItemMark, ItemMarks, Merged, Outcome, Plugin, Receipt, Scope, Signal, Transition, Trap,
    Webhook, Window,
};
use faultline::time::Nanos;
use wasmtime::Module;

use super::contract::Contract;
use super::instance::Instance;
use super::value::{FromValue, Value, records};

/// The core module as a plugin.
pub(crate) struct CorePlugin {
    contract: Arc<Contract>,
    /// None once it has trapped: what is in its memory then is anybody's guess, though it would answer.
    instance: Option<Instance>,
}

records! {
    ConfigError { pointer, message, hint }
    Affected { marks, evidence_one_in }
    Edits { edits, inserts }
    Attribute { key, value }
    ItemMark { resource, item, exemplar, attributes }
    ItemMarks { sets, items }
    Entry { key, bytes }
    Transition { source, incident, kind, from, to, at, services, reason }
    Receipt { status, retry_after_secs, body, entries, transitions }
    Merged { changed, set_aside }
    Expiry { entries, transitions }
    Window { from, until }
    Incident {
        id, source, external_id, display, kind, state, open, severity, title, url, started, ended, lease_until, windows,
        services, reason,
    }
    Explanation { incident, marks, reason }
    Gap { kind, subject, detail, suggestion, count }
    Counter { name, attributes, value }
}

// === impl CorePlugin ===

impl CorePlugin {
    pub(super) fn new(module: &Module, contract: Arc<Contract>, memory_bytes: usize) -> anyhow::Result<Self> {
        Ok(Self { contract, instance: Some(Instance::new(module, memory_bytes)?) })
    }

    /// Bytes of memory that the instance has grown to; none for one that has trapped.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory_bytes)
    }

    /// Instructions that the instance has executed, where these are counted.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.instance.as_ref().map_or(0, Instance::fuel_used)
    }

    fn call<T: FromValue>(&mut self, call: &'static str, arguments: &[Value<'_>]) -> Result<T, Trap> {
        let trap = |error: anyhow::Error| Trap { call, reason: error.root_cause().to_string() };
        let function = self.contract.function(call).context("the contract has no such function").map_err(trap)?;
        let mut instance = self.instance.take().context("the instance has trapped before").map_err(trap)?;
        let answer = instance.call(function, arguments).map_err(trap)?;
        // Only an instance that answered is entered again.
        self.instance = Some(instance);
        T::from_value(answer).map_err(trap)
    }
}

impl Plugin for CorePlugin {
    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        self.call("configure", &[config.into(), instance.into()])
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        self.call("interest", &[signal.into(), now.into()])
    }

    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        self.call("process", &[signal.into(), batch.into(), now.into()])
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        self.call("edits", &[signal.into(), batch.into(), now.into()])
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        self.call("marks", &[signal.into(), batch.into(), now.into()])
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        self.call("receive", &[source.into(), webhook.into(), now.into()])
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        self.call("merge", &[Value::List(entries.iter().map(Value::from).collect()), now.into()])
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        self.call("expire", &[now.into()])
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        self.call("state", &[what.into()])
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        self.call("open", &[now.into()])
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        self.call("find", &[name.into(), now.into()])
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        let Asked { service, namespace, environment, time } = asked;
        let arguments = [service.into(), Value::option(namespace), Value::option(environment), time.into(), now.into()];
        self.call("explain", &arguments)
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        self.call("gaps", &[now.into()])
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        self.call("counters", &[])
    }
}

// === impl FromValue ===

impl FromValue for Scope {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(match value.variant()? {
            (0, None) => Self::Nothing,
            (1, None) => Self::Everything,
            (2, Some(services)) => Self::Services(FromValue::from_value(services)?),
            other => bail!("expected a scope, found {other:?}"),
        })
    }
}

impl FromValue for AttributeValue {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(match value.variant()? {
            (0, Some(text)) => Self::Text(FromValue::from_value(text)?),
            (1, Some(flag)) => Self::Flag(FromValue::from_value(flag)?),
            (2, Some(texts)) => Self::Texts(FromValue::from_value(texts)?),
            other => bail!("expected the value of an attribute, found {other:?}"),
        })
    }
}

impl FromValue for Outcome {
    fn from_value(value: Value<'_>) -> anyhow::Result<Self> {
        Ok(match value.variant()? {
            (0, None) => Self::Unchanged,
            (1, Some(bytes)) => Self::Replaced(FromValue::from_value(bytes)?),
            (2, Some(reason)) => Self::Refused(FromValue::from_value(reason)?),
            other => bail!("expected an outcome, found {other:?}"),
        })
    }
}

// === impl Value ===

impl From<Signal> for Value<'_> {
    fn from(signal: Signal) -> Self {
        Self::case(match signal {
            Signal::Traces => 0,
            Signal::Metrics => 1,
            Signal::Logs => 2,
        })
    }
}

impl From<Extent> for Value<'_> {
    fn from(extent: Extent) -> Self {
        Self::case(match extent {
            Extent::IncidentsOnly => 0,
            Extent::All => 1,
        })
    }
}

impl<'a> From<&'a Entry> for Value<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { key, bytes } = entry;
        Self::Record(vec![key.as_str().into(), bytes.as_slice().into()])
    }
}

impl<'a> From<&'a Webhook> for Value<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        let Webhook { method, url, headers, body } = webhook;
        let header =
            |(name, value): &'a (String, Vec<u8>)| Self::Record(vec![name.as_str().into(), value.as_slice().into()]);
        let headers = Self::List(headers.iter().map(header).collect());
        Self::Record(vec![method.as_str().into(), url.as_str().into(), headers, body.as_slice().into()])
    }
}
