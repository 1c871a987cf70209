//! What each step did, in the form that `-o ndjson` prints and tests compare.

use serde::Serialize;
use serde_json::Value;

use crate::plugin::{Incident, Transition};
use crate::telemetry::{Change, Group, SignalName};
use crate::time::Rfc3339;

/// One step, and what it did.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, by the virtual clock.
    pub at: Rfc3339,
    /// Which step, from 1.
    pub step: usize,
    /// What it was.
    #[serde(flatten)]
    pub what: Occurrence,
    /// The ids of the incidents that are open afterwards; only after what may change them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<Vec<String>>,
    /// The same incidents, whole.
    #[serde(skip)]
    pub incidents: Vec<Incident>,
}

/// What happened in a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// A webhook was received.
    Webhook(WebhookEvent),
    /// A batch was processed.
    Telemetry(TelemetryEvent),
    /// Leases were looked at.
    Expire {
        /// Those that ran out.
        transitions: Vec<TransitionRecord>,
    },
    /// The plugin was started again.
    Restart {
        /// How many entries the new instance was given.
        entries: usize,
    },
}

/// A webhook, and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookEvent {
    /// The source that it was sent to.
    pub source: String,
    /// The file with the body.
    pub file: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Seconds in the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The body of the answer.
    pub body: Value,
    /// What it did to each incident.
    pub transitions: Vec<TransitionRecord>,
    /// Why nothing was stored, where the host is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Keys of entries that the plugin did not take in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
}

/// [`Transition`] with its time as text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransitionRecord {
    /// The configured source.
    pub source: String,
    /// `<source>:<external id>`; empty when the event was about no incident.
    pub incident: String,
    /// What kind of event.
    pub kind: String,
    /// State before.
    pub from: Option<String>,
    /// State after.
    pub to: String,
    /// When it happened.
    pub at: Rfc3339,
    /// What it marks.
    pub services: Vec<String>,
    /// Why.
    pub reason: String,
}

/// A batch, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct TelemetryEvent {
    /// Its kind.
    pub signal: SignalName,
    /// Its file, or `generated`.
    pub file: String,
    /// How many spans, data points or log records; 0 when the batch cannot be read.
    pub items: usize,
    /// What the plugin answered.
    #[serde(flatten)]
    pub outcome: TelemetryOutcome,
    /// To how many items something was added.
    pub marked: usize,
    /// What happened to the items of each service.
    pub groups: Vec<Group>,
    /// SHA-256 of the bytes that are handed on.
    pub sha256: String,
    /// Each item, in the order of the batch.
    #[serde(skip)]
    pub changes: Vec<Change>,
    /// The bytes that are handed on.
    #[serde(skip)]
    pub handed_on: Vec<u8>,
}

/// What the plugin answered to a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TelemetryOutcome {
    /// Nothing to add.
    Unchanged,
    /// Other bytes.
    Replaced,
    /// It cannot be read, or is over a limit; handed on as it came.
    Refused {
        /// Why.
        reason: String,
    },
    /// The plugin trapped; handed on as it came.
    Trapped {
        /// Why.
        reason: String,
    },
}

// === impl TransitionRecord ===

impl From<Transition> for TransitionRecord {
    fn from(transition: Transition) -> Self {
        let Transition { source, incident, kind, from, to, at, services, reason } = transition;
        Self { source, incident, kind, from, to, at: Rfc3339(at), services, reason }
    }
}

// === impl TelemetryOutcome ===

impl TelemetryOutcome {
    /// Why the batch was handed on as it came, where that was not the plan.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unchanged | Self::Replaced => None,
            Self::Refused { reason } | Self::Trapped { reason } => Some(reason),
        }
    }
}
