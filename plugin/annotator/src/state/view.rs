//! One incident as it stands: derived from its registers, never stored.

use crate::config::WindowConfig;
use crate::entry::{IncidentRecord, Version};
use crate::incident::{IncidentKind, IncidentState, Key, Severity, Snapshot};
use crate::time::Nanos;

/// One incident as it stands at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which incident.
    pub key: Key,
    /// What its source said last of its state.
    pub state: IncidentState,
    /// Whether it is open.
    pub standing: Standing,
    /// What is known of it: from the event that decided, then from the others.
    pub snapshot: Snapshot,
    /// When it began, or began again; the time of the event that decided, when nobody said.
    pub started: Nanos,
    /// When it ended, for one that is not open.
    pub ended: Option<Nanos>,
    /// Until when it stays open without further word.
    pub lease_until: Option<Nanos>,
    /// Event time of the event that decided.
    pub decided_at: Nanos,
    /// Start and end of an earlier time that it was open, when it was closed and is active again.
    pub earlier: Option<(Nanos, Nanos)>,
    /// When the newest terminal event was received, and the event time it was given.
    pub last_terminal: Option<Terminal>,
    /// The active event that counts.
    pub active: Option<Active>,
}

/// An active event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Its place among the events of the incident.
    pub version: Version,
    /// Whether it has an event time of its own.
    pub timed: bool,
    /// Whether its sender, or a second sender that disagreed with the end, opened the incident again by it.
    pub reopened: bool,
}

/// A terminal event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Its event time.
    pub time: Nanos,
    /// When it was received.
    pub received: Nanos,
}

/// Whether an incident is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Open,
    /// Its source said that it ended.
    Closed,
    /// Nobody said anything for the length of its lease.
    Expired,
}

/// A span of event time in which an incident marks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWindow {
    /// Start less lookback.
    pub from: Nanos,
    /// End plus grace; none while open.
    pub until: Option<Nanos>,
}

// === impl View ===

impl View {
    pub(super) fn of(incident: &Key, records: &[&IncidentRecord], now: Nanos) -> Option<Self> {
        let newest = |terminal: bool, timed: Option<bool>| {
            records
                .iter()
                .copied()
                .filter(|record| {
                    record.state.is_terminal() == terminal && timed.is_none_or(|timed| record.timed == timed)
                })
                .max_by(|left, right| (&left.version, left.received).cmp(&(&right.version, right.received)))
        };
        let terminal = newest(true, None);
        // An activity without a time of its own says nothing against an end.
        let untimed = newest(false, Some(false)).filter(|_| terminal.is_none());
        let active = match (newest(false, Some(true)), untimed) {
            (Some(timed), Some(untimed)) => Some(if untimed.version > timed.version { untimed } else { timed }),
            (timed, untimed) => timed.or(untimed),
        };
        let closed = match (terminal, active) {
            (Some(terminal), Some(active)) => terminal.version >= active.version,
            (terminal, _) => terminal.is_some(),
        };
        let decisive = if closed { terminal } else { active }?;
        let other = if closed { active } else { terminal };
        let snapshot = match other {
            Some(other) => decisive.snapshot.clone().or(&other.snapshot),
            None => decisive.snapshot.clone(),
        };
        let lease_until =
            records.iter().filter(|record| !record.state.is_terminal()).map(|record| record.lease_until).max();
        let decided_at = decisive.version.time;
        let (standing, ended) = match lease_until {
            _ if closed => (Standing::Closed, Some(decided_at)),
            Some(lease_until) if now >= lease_until => (Standing::Expired, Some(lease_until)),
            _ => (Standing::Open, None),
        };
        let earlier = terminal.filter(|_| !closed).map(|terminal| {
            let ended = terminal.version.time;
            (terminal.snapshot.started.unwrap_or(ended).min(ended), ended)
        });
        // An incident that is open again cannot have begun before it was closed, and one that was reopened and is closed
        // again not before the reopening: the time in between is not marked.
        let reopened = other.filter(|other| closed && other.snapshot.reopened).and_then(|other| other.snapshot.started);
        let started = snapshot.started.unwrap_or(decided_at);
        let started = started.max(earlier.map_or(0, |(_, ended)| ended)).max(reopened.unwrap_or(0));
        Some(Self {
            key: incident.clone(),
            state: decisive.state,
            standing,
            started: ended.map_or(started, |ended| started.min(ended)),
            snapshot,
            ended,
            lease_until,
            decided_at,
            earlier,
            last_terminal: terminal.map(|record| Terminal { time: record.version.time, received: record.received }),
            active: active.map(|record| Active {
                version: record.version.clone(),
                timed: record.timed,
                reopened: record.snapshot.reopened,
            }),
        })
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.standing == Standing::Open
    }

    /// The name of its state; `expired` when its lease ran out.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        if self.standing == Standing::Expired { "expired" } else { self.state.name() }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> IncidentKind {
        self.snapshot.kind.unwrap_or_default()
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.snapshot.severity.unwrap_or_default()
    }

    /// The event time that it marks at `now`, and when that next changes by time alone.
    ///
    /// Windows of incidents that ended are kept for late telemetry; an incident that was closed and is active again has
    /// two.
    #[must_use]
    pub fn windows(&self, config: &WindowConfig, now: Nanos) -> (Vec<EventWindow>, Option<Nanos>) {
        let mut windows = Vec::new();
        let mut changes = Vec::new();
        let mut closed = |started: Nanos, ended: Nanos| {
            let until = ended.saturating_add(config.grace.nanos());
            let kept_until = until.saturating_add(config.keep_closed.nanos());
            if now < kept_until {
                windows.push(EventWindow { from: started.saturating_sub(config.lookback.nanos()), until: Some(until) });
                changes.push(kept_until);
            }
        };
        if let Some((started, ended)) = self.earlier {
            closed(started, ended);
        }
        match self.ended {
            Some(ended) => closed(self.started, ended),
            None => {
                windows.push(EventWindow { from: self.started.saturating_sub(config.lookback.nanos()), until: None });
                changes.extend(self.lease_until);
            }
        }
        (windows, changes.into_iter().min())
    }
}
