//! The formats of webhooks: each file turns one sender's body into events.

mod alertmanager;
mod generic;
mod github;
mod manual;
mod pagerduty;

use std::collections::BTreeMap;

use crate::config::{Config, Source, SourceKind};
use crate::incident::{IncidentState, Key, Snapshot};
use crate::limits;
use crate::text;
use crate::time::Nanos;
use crate::webhook::Webhook;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Something about incidents.
    Events {
        /// The sender's id of this delivery, the same on each attempt; none where repeats mean "still so".
        delivery: Option<String>,
        /// In the order of the body.
        events: Vec<Event>,
        /// What else the body holds, kind and reason as of [`Reading::Nothing`]. Such a delivery may come again: what could
        /// not be read may be readable then.
        unread: Vec<(&'static str, String)>,
        /// What the sender left out, if it says so.
        note: Option<String>,
    },
    /// Authentic, and about no incident.
    Nothing {
        /// `ping`, `ignored` or `unknown`.
        kind: &'static str,
        /// What it was.
        reason: String,
    },
}

/// What one event says of one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The incident's id at its source.
    pub(crate) id: String,
    /// The configured source whose incident it is, where that is not the sender.
    pub(crate) source: Option<String>,
    /// The kind of transition, for people: a status in the body decides, not this.
    pub(crate) kind: &'static str,
    /// What becomes of the incident.
    pub(crate) change: Change,
    /// When it happened.
    pub(crate) time: Option<Nanos>,
    /// What it says of the incident.
    pub(crate) snapshot: Snapshot,
}

/// What becomes of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is now in this state.
    To(IncidentState),
    /// It is over, if it is open: an end that was told before stands, and that of a lease. Never creates an incident.
    End,
    /// It goes on as it was; what the event says is added. Never creates an incident.
    Update,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 400: the path of the field, and what was expected.
    Malformed(String),
    /// 413: which limit.
    TooLarge(String),
}

/// Reads the body of a webhook that `source`, configured as `name`, sent.
pub(crate) fn read(config: &Config, name: &str, source: &Source, webhook: &Webhook) -> Result<Reading, Fault> {
    match source.kind {
        Some(SourceKind::Pagerduty) => pagerduty::read(webhook),
        Some(SourceKind::Alertmanager) => alertmanager::read(webhook, &config.limits),
        Some(SourceKind::Manual) => manual::read(config, name, webhook),
        Some(SourceKind::Github) => github::read(webhook),
        Some(SourceKind::Generic) => generic::read(source, webhook, &config.limits),
        None => Err("the source has no kind".to_owned().into()),
    }
}

/// Labels as an incident keeps them: cleaned, cut, and no more than it may have.
fn kept(labels: &mut dyn Iterator<Item = (&str, &str)>) -> BTreeMap<String, String> {
    let cleaned = |text: &str| text::clean(text, limits::LABEL_BYTES_MAX);
    let mut kept = BTreeMap::new();
    // `collect` sorts before it inserts, for which each kind of map brings 7 kB of its own.
    for (name, value) in labels.take(limits::LABELS_PER_INCIDENT_MAX) {
        kept.insert(cleaned(name), cleaned(value));
    }
    kept
}

// === impl Event ===

impl Event {
    /// The incident that an event of `sender` is about.
    pub(crate) fn key(&self, sender: &str) -> Key {
        Key { source: self.source.as_deref().unwrap_or(sender).to_owned(), id: self.id.clone() }
    }
}

// === impl Fault ===

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Malformed(message)
    }
}
