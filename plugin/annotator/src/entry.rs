//! Journal entry: what is stored and replicated, as a format version and canonical JSON.
//!
//! `1 {"kind":"incident",…}`: the version, a space, and the JSON of a [`Record`] with its keys in the order of the
//! struct. Entries of other versions and kinds are kept as they are and handed on, so that a newer and an older program
//! can share a journal; for the same reason the bytes of an entry are kept beside what was read from them.

mod read;

use serde::Serialize;

use crate::digest;
use crate::incident::{IncidentState, Key, Snapshot};
use crate::limits;
use crate::time::Nanos;

/// The version of the format that this program writes.
pub const VERSION: &str = "1";

/// One journal entry. Equal keys mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Names the content: what it is about, and a digest of the bytes.
    pub key: String,
    /// A format version and canonical JSON.
    pub bytes: Vec<u8>,
}

/// What an entry of this version says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// One transition of one incident.
    Incident(Box<IncidentRecord>),
    /// A webhook was taken in: the same delivery again is a duplicate.
    Delivery(DeliveryRecord),
    /// The end of a lease was reported.
    Expiry(ExpiryRecord),
}

/// One transition of one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncidentRecord {
    /// When the webhook was received.
    pub received: Nanos,
    /// Which incident.
    #[serde(flatten)]
    pub incident: Key,
    /// Where the transition stands among those of this incident; fixed once, at `receive`.
    pub version: Version,
    /// Whether `version.time` is the event's own time; without one it is that of the receipt.
    pub timed: bool,
    /// The state that it brings.
    pub state: IncidentState,
    /// Until when the incident stays open without further word; 0 with a terminal state.
    pub lease_until: Nanos,
    /// What the event says of the incident.
    pub snapshot: Snapshot,
}

/// The order of the transitions of one incident: the greatest wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Version {
    /// Event time, at most five minutes after receipt.
    pub time: Nanos,
    /// [`IncidentState::rank`].
    pub rank: u8,
    /// The sender's own count, or the time of receipt where later re-sends of the same event know more.
    pub sequence: u64,
    /// Of what the event says: decides between different events of the same time.
    pub digest: String,
}

/// A webhook was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryRecord {
    /// When it was received.
    pub received: Nanos,
    /// By which source.
    pub source: String,
    /// Of the sender's id for the delivery.
    pub digest: String,
}

/// The end of a lease was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpiryRecord {
    /// When it was noticed.
    pub received: Nanos,
    /// Whose lease.
    #[serde(flatten)]
    pub incident: Key,
    /// The lease that ran out.
    pub lease_until: Nanos,
}

// === impl Entry ===

impl Entry {
    /// Writes a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        // Serialising these types cannot fail: no map has keys other than strings, and nothing here returns an error.
        let json = serde_json::to_string(record).unwrap_or_default();
        let bytes = format!("{VERSION} {json}").into_bytes();
        let key = format!("{}/{}", record.subject(), digest::short(&bytes));
        Self { key, bytes }
    }

    /// Reads the record; `None` for another version or kind, and for what is not an entry at all.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        self.read().1
    }

    /// When it was received; also for unknown kinds of this version.
    #[must_use]
    pub fn received(&self) -> Option<Nanos> {
        self.read().0
    }

    /// [`received`](Self::received) and [`record`](Self::record) at once.
    pub(crate) fn read(&self) -> (Option<Nanos>, Option<Record>) {
        self.json().map_or((None, None), read::read)
    }

    /// Whether it is within the bounds of one entry.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.bytes.len() <= limits::ENTRY_BYTES_MAX && self.key.len() <= limits::ENTRY_KEY_BYTES_MAX
    }

    fn json(&self) -> Option<&[u8]> {
        let rest = self.bytes.strip_prefix(VERSION.as_bytes())?;
        rest.strip_prefix(b" ")
    }
}

// === impl Record ===

impl Record {
    fn subject(&self) -> String {
        match self {
            Self::Incident(record) => format!("incident/{}", printable(&record.incident)),
            Self::Delivery(record) => format!("delivery/{}", record.source),
            Self::Expiry(record) => format!("expiry/{}", printable(&record.incident)),
        }
    }
}

/// The incident as printable ASCII, for a key: an external id may hold anything.
fn printable(incident: &Key) -> String {
    let id: String = incident
        .id
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '~' })
        .collect();
    format!("{}/{id}", incident.source)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::config::Target;
    use crate::incident::{IncidentKind, ServiceReference, Severity};

    fn delivery() -> Record {
        Record::Delivery(DeliveryRecord { received: 7, source: "pd".to_owned(), digest: "d".to_owned() })
    }

    #[test]
    fn an_entry_reads_as_what_was_written() {
        let entry = Entry::of(&delivery());
        assert_eq!(entry.bytes, br#"1 {"kind":"delivery","received":7,"source":"pd","digest":"d"}"#);
        assert_eq!(entry.record(), Some(delivery()));
        assert_eq!(entry.received(), Some(7));
    }

    #[test]
    fn every_field_of_an_incident_is_read_as_it_was_written() {
        let target = Target { service: "cart".to_owned(), namespace: Some("shop".to_owned()), environment: None };
        let whole = Snapshot {
            kind: Some(IncidentKind::Deployment),
            severity: Some(Severity::High),
            title: Some("title".to_owned()),
            url: Some("https://example.com".to_owned()),
            display: Some("#1".to_owned()),
            started: Some(1),
            services: Some(vec![ServiceReference { id: Some("P1".to_owned()), name: None }]),
            targets: Some(vec![target]),
            labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
            merged_into: Some("2".to_owned()),
            reopened: true,
            test: true,
        };
        for (snapshot, state) in [(whole, IncidentState::Merged), (Snapshot::default(), IncidentState::Triggered)] {
            let record = Record::Incident(Box::new(IncidentRecord {
                received: 7,
                incident: Key { source: "pd".to_owned(), id: "1".to_owned() },
                version: Version { time: 5, rank: state.rank(), sequence: 6, digest: "d".to_owned() },
                timed: true,
                state,
                lease_until: 9,
                snapshot,
            }));
            assert_eq!(Entry::of(&record).record(), Some(record));
        }
        let expiry = Record::Expiry(ExpiryRecord {
            received: 7,
            incident: Key { source: "pd".to_owned(), id: "1".to_owned() },
            lease_until: 9,
        });
        assert_eq!(Entry::of(&expiry).record(), Some(expiry));
    }

    /// Scenario: any one field of an incident's entry is missing or of another type.
    /// Guarantees: what must be there must be right; the entry is kept, not applied.
    #[test]
    fn a_record_with_a_wrong_field_is_not_read() {
        let good = serde_json::json!({"kind": "incident", "received": 7, "source": "pd", "id": "1",
            "version": {"time": 5, "rank": 1, "sequence": 6, "digest": "d"}, "timed": true, "state": "triggered",
            "lease_until": 9, "snapshot": {"title": "t", "labels": {"a": "b"}}});
        let read = |value: &Value| {
            let bytes = format!("1 {value}").into_bytes();
            Entry { key: "x".to_owned(), bytes }.record()
        };
        assert!(read(&good).is_some());
        let pointers = [
            "/kind",
            "/received",
            "/source",
            "/id",
            "/version",
            "/version/rank",
            "/version/digest",
            "/timed",
            "/state",
            "/lease_until",
            "/snapshot",
            "/snapshot/title",
            "/snapshot/labels",
            "/snapshot/labels/a",
        ];
        for pointer in pointers {
            let mut wrong = good.clone();
            *wrong.pointer_mut(pointer).unwrap() = serde_json::json!([1]);
            assert_eq!(read(&wrong), None, "{pointer}");
        }
    }

    #[test]
    fn other_kinds_of_this_version_still_say_when_they_were_received() {
        let bytes = br#"1 {"kind":"evidence","received":9,"more":[1]}"#.to_vec();
        let entry = Entry { key: "evidence/1".to_owned(), bytes };
        assert_eq!(entry.record(), None);
        assert_eq!(entry.received(), Some(9));
    }

    #[test]
    fn other_versions_are_not_read() {
        let entry = Entry { key: "x".to_owned(), bytes: br#"2 {"kind":"delivery","received":7}"#.to_vec() };
        assert_eq!(entry.record(), None);
        assert_eq!(entry.received(), None);
    }
}
