//! Reads records from JSON. Texts are moved, not copied: a journal has many.
//!
//! Everything here answers `None` for a record that is not one of this version: it is kept, not applied.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DeliveryRecord, ExpiryRecord, IncidentRecord, Record, Version};
use crate::config::Target;
use crate::incident::{IncidentKind, IncidentState, Key, ServiceReference, Severity, Snapshot};
use crate::time::Nanos;

/// The members of an object; null stands for those that were taken out.
struct Members(Map<String, Value>);

/// When the entry was received, for all kinds, and the record, for those that are known.
pub(super) fn read(json: &[u8]) -> (Option<Nanos>, Option<Record>) {
    let Some(mut record) = serde_json::from_slice(json).ok().and_then(Members::of) else { return (None, None) };
    (record.number("received"), record.record())
}

// === impl Members ===

impl Members {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self(members)),
            _ => None,
        }
    }

    fn record(&mut self) -> Option<Record> {
        Some(match self.text("kind")?.as_str() {
            "incident" => Record::Incident(Box::new(self.incident()?)),
            "delivery" => Record::Delivery(DeliveryRecord {
                received: self.number("received")?,
                source: self.text("source")?,
                digest: self.text("digest")?,
            }),
            "expiry" => Record::Expiry(ExpiryRecord {
                received: self.number("received")?,
                incident: self.key()?,
                lease_until: self.number("lease_until")?,
            }),
            _ => return None,
        })
    }

    fn incident(&mut self) -> Option<IncidentRecord> {
        let mut version = Self::of(self.take("version"))?;
        Some(IncidentRecord {
            received: self.number("received")?,
            incident: self.key()?,
            version: Version {
                time: version.number("time")?,
                rank: u8::try_from(version.number("rank")?).ok()?,
                sequence: version.number("sequence")?,
                digest: version.text("digest")?,
            },
            timed: flag(&self.take("timed"))?,
            state: IncidentState::named(&self.text("state")?)?,
            lease_until: self.number("lease_until")?,
            snapshot: Self::of(self.take("snapshot"))?.snapshot()?,
        })
    }

    fn key(&mut self) -> Option<Key> {
        Some(Key { source: self.text("source")?, id: self.text("id")? })
    }

    /// What is absent was left out when the entry was written.
    fn snapshot(&mut self) -> Option<Snapshot> {
        Some(Snapshot {
            kind: self.optional("kind", |kind| IncidentKind::named(kind.as_str()?))?,
            severity: self.optional("severity", |severity| Severity::named(severity.as_str()?))?,
            title: self.optional_text("title")?,
            url: self.optional_text("url")?,
            display: self.optional_text("display")?,
            started: self.optional("started", |started| started.as_u64())?,
            services: self.optional("services", |services| list(services, Self::service))?,
            targets: self.optional("targets", |targets| list(targets, Self::target))?,
            labels: self.optional("labels", labels)?.unwrap_or_default(),
            merged_into: self.optional_text("merged_into")?,
            reopened: self.optional("reopened", |reopened| flag(&reopened))?.unwrap_or_default(),
            test: self.optional("test", |test| flag(&test))?.unwrap_or_default(),
        })
    }

    fn service(&mut self) -> Option<ServiceReference> {
        Some(ServiceReference { id: self.optional_text("id")?, name: self.optional_text("name")? })
    }

    fn target(&mut self) -> Option<Target> {
        Some(Target {
            service: self.text("service")?,
            namespace: self.optional_text("namespace")?,
            environment: self.optional_text("environment")?,
        })
    }

    /// Takes a member out; null when it is not there. Removing it would bring 5 kB of balancing trees.
    #[inline(never)]
    fn take(&mut self, name: &str) -> Value {
        self.0.get_mut(name).map(Value::take).unwrap_or_default()
    }

    #[inline(never)]
    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    #[inline(never)]
    fn text(&mut self, name: &str) -> Option<String> {
        text(self.take(name))
    }

    #[inline(never)]
    fn optional_text(&mut self, name: &str) -> Option<Option<String>> {
        self.optional(name, text)
    }

    /// What may be absent or null, but nothing else than what `read` takes.
    fn optional<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Option<T>) -> Option<Option<T>> {
        match self.take(name) {
            Value::Null => Some(None),
            value => read(value).map(Some),
        }
    }
}

fn flag(value: &Value) -> Option<bool> {
    value.as_bool()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn list<T>(value: Value, read: impl Fn(&mut Members) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::Array(elements) => elements.into_iter().map(|element| read(&mut Members::of(element)?)).collect(),
        _ => None,
    }
}

fn labels(value: Value) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for (name, value) in Members::of(value)?.0 {
        labels.insert(name, text(value)?);
    }
    Some(labels)
}
