//! What a whole scenario came to: items by service, counters, gaps, and the course of each incident.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::{Event, Occurrence, TelemetryEvent, TransitionRecord};
use crate::plugin::{Counter, Gap, Incident};
use crate::time::{Nanos, Rfc3339};

/// The end of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Sorted by service.
    pub services: Vec<ServiceSummary>,
    /// Sorted by name and attributes.
    pub counters: Vec<CounterRecord>,
    /// As the plugin lists them.
    pub gaps: Vec<GapRecord>,
    /// The ids of the incidents that are open at the end.
    pub open: Vec<String>,
    /// The course of each incident, in the order of their first transitions.
    #[serde(skip)]
    pub timelines: Vec<Timeline>,
}

/// What was seen of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceSummary {
    /// `service.name`; empty for items whose resource has none.
    pub service: String,
    /// Spans, data points and log records.
    pub items: usize,
    /// To how many something was added.
    pub marked: usize,
    /// How many were not marked, by reason.
    pub unmarked: BTreeMap<String, usize>,
}

/// A counter of the plugin or the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterRecord {
    /// For example `items.marked`.
    pub name: String,
    /// By key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Since the start, over all instances.
    pub value: u64,
}

/// Something that the configuration should name but does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapRecord {
    /// `incident-without-service` or `service-without-rule`.
    pub kind: String,
    /// The incident's id, or the `service.name`.
    pub subject: String,
    /// What was looked for.
    pub detail: String,
    /// A rule that would close the gap, YAML.
    pub suggestion: String,
    /// How many times it was met.
    pub count: u64,
}

/// The course of one incident.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// `<source>:<external id>`.
    pub id: String,
    /// As the plugin knows it at the end; `None` when it forgot it.
    pub incident: Option<Incident>,
    /// What happened to it, as kind of transition and time of the event.
    pub events: Vec<(String, Nanos)>,
}

/// Adds up what a summary is made of, event by event.
#[derive(Debug, Default)]
pub(super) struct Tally {
    services: BTreeMap<String, ServiceSummary>,
    timelines: Vec<Timeline>,
}

// === impl Tally ===

impl Tally {
    pub(super) fn add(&mut self, event: &Event) {
        match &event.what {
            Occurrence::Telemetry(telemetry) => self.add_telemetry(telemetry),
            // What was not stored did not happen.
            Occurrence::Webhook(webhook) if webhook.status >= 300 => {}
            Occurrence::Webhook(webhook) => self.add_transitions(&webhook.transitions),
            Occurrence::Expire { transitions } => self.add_transitions(transitions),
            Occurrence::Restart { .. } => {}
        }
    }

    fn add_telemetry(&mut self, telemetry: &TelemetryEvent) {
        for group in &telemetry.groups {
            let summary = self
                .services
                .entry(group.service.clone())
                .or_insert_with(|| ServiceSummary { service: group.service.clone(), ..ServiceSummary::default() });
            summary.items += group.items;
            match &group.reason {
                Some(reason) => *summary.unmarked.entry(reason.clone()).or_default() += group.items,
                None => summary.marked += group.items,
            }
        }
    }

    fn add_transitions(&mut self, transitions: &[TransitionRecord]) {
        for transition in transitions.iter().filter(|transition| !transition.incident.is_empty()) {
            let event = (transition.kind.clone(), transition.at.0);
            match self.timelines.iter_mut().find(|timeline| timeline.id == transition.incident) {
                Some(timeline) => timeline.events.push(event),
                None => {
                    let id = transition.incident.clone();
                    self.timelines.push(Timeline { id, incident: None, events: vec![event] });
                }
            }
        }
    }

    /// The ids of the incidents that were spoken of.
    pub(super) fn incidents(&self) -> Vec<String> {
        self.timelines.iter().map(|timeline| timeline.id.clone()).collect()
    }

    pub(super) fn finish(
        self,
        counters: Vec<Counter>,
        gaps: Vec<Gap>,
        open: &[Incident],
        mut known: BTreeMap<String, Incident>,
    ) -> Summary {
        let mut timelines = self.timelines;
        for timeline in &mut timelines {
            timeline.incident = known.remove(&timeline.id);
        }
        Summary {
            services: self.services.into_values().collect(),
            counters: counters.into_iter().map(CounterRecord::from).collect(),
            gaps: gaps.into_iter().map(GapRecord::from).collect(),
            open: open.iter().map(|incident| incident.id.clone()).collect(),
            timelines,
        }
    }
}

// === impl Timeline ===

impl Timeline {
    /// Start and end of the incident as the plugin sees it, for drawing: the end is `None` while it is open.
    #[must_use]
    pub fn span(&self) -> Option<(Rfc3339, Option<Rfc3339>)> {
        let incident = self.incident.as_ref()?;
        Some((Rfc3339(incident.started), incident.ended.map(Rfc3339)))
    }
}

// === impl CounterRecord ===

impl From<Counter> for CounterRecord {
    fn from(counter: Counter) -> Self {
        let Counter { name, attributes, value } = counter;
        Self { name, attributes: attributes.into_iter().collect(), value }
    }
}

// === impl GapRecord ===

impl From<Gap> for GapRecord {
    fn from(gap: Gap) -> Self {
        let Gap { kind, subject, detail, suggestion, count } = gap;
        Self { kind, subject, detail, suggestion, count }
    }
}
