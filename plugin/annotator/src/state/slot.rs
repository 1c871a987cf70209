//! Where an entry is kept, and which entries cover which.

use crate::entry::{Entry, IncidentRecord, Record, Version};
use crate::incident::Key;
use crate::time::Nanos;

/// Entries of one slot say something about the same thing; of different ones never.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Incident(Key, Register),
    Delivery {
        source: String,
        digest: String,
    },
    Expiry(Key, Nanos),
    /// Of an unknown version or kind, by its key.
    Foreign(String),
}

/// The three registers of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Register {
    Terminal,
    Active,
    Untimed,
}

/// An entry with what was read from it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) received: Option<Nanos>,
    pub(super) record: Option<Record>,
}

/// All that is ever asked of an entry, apart from its content.
type Rank<'a> = (Option<&'a Version>, Option<Nanos>, Nanos);

// === impl Slot ===

impl Slot {
    /// Whether it says that an incident is going on.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Incident(_, Register::Active | Register::Untimed))
    }
}

// === impl Held ===

impl Held {
    pub(super) fn read(entry: &Entry) -> (Slot, Self) {
        let (received, record) = entry.read();
        let slot = match &record {
            Some(Record::Incident(record)) => {
                let register = match (record.state.is_terminal(), record.timed) {
                    (true, _) => Register::Terminal,
                    (false, true) => Register::Active,
                    (false, false) => Register::Untimed,
                };
                Slot::Incident(record.incident.clone(), register)
            }
            Some(Record::Delivery(record)) => {
                Slot::Delivery { source: record.source.clone(), digest: record.digest.clone() }
            }
            Some(Record::Expiry(record)) => Slot::Expiry(record.incident.clone(), record.lease_until),
            None => Slot::Foreign(entry.key.clone()),
        };
        (slot, Self { entry: entry.clone(), received, record })
    }

    /// Bytes that count against the bound of the state.
    pub(super) fn size(&self) -> usize {
        self.entry.bytes.len() + self.entry.key.len()
    }

    /// The incident that this one was merged into, and its own id.
    pub(super) fn merger(&self) -> Option<(Key, String)> {
        let Some(Record::Incident(record)) = &self.record else { return None };
        let IncidentRecord { incident, snapshot, .. } = &**record;
        let target = Key { source: incident.source.clone(), id: snapshot.merged_into.clone()? };
        Some((target, incident.id.clone()))
    }

    /// Whether `other`, of the same slot, adds nothing to this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.record.is_none() || other.record.is_none() {
            return self.entry == other.entry;
        }
        let (version, received, lease) = self.rank();
        let (other_version, other_received, other_lease) = other.rank();
        let equal = (version, received, lease) == (other_version, other_received, other_lease);
        if equal {
            return self.entry >= other.entry;
        }
        version >= other_version && received >= other_received && lease >= other_lease
    }

    fn rank(&self) -> Rank<'_> {
        match &self.record {
            Some(Record::Incident(record)) => (Some(&record.version), self.received, record.lease_until),
            _ => (None, self.received, 0),
        }
    }
}
