//! Why nothing was added to an item, in the plugin's own words: its explanation, or the counter that grew.

use std::collections::BTreeMap;

use super::event::TelemetryOutcome;
use crate::plugin::{Asked, Counter, Explanation, Signal};
use crate::telemetry::{Item, SignalName};
use crate::time::Nanos;

/// Counters that grow with every batch, whatever became of its items.
const ALWAYS: [&str; 2] = ["items.seen", "items.marked"];

/// Says of the items of one batch why nothing was added to them.
pub(super) struct Why {
    /// Set when the whole batch was handed on as it came.
    whole_batch: Option<String>,
    signal: Signal,
    /// Counters of items that grew with this batch.
    grown: Vec<String>,
    /// Batches hold many items that are alike; explaining is asking the plugin.
    known: BTreeMap<Whereabouts, Vec<Explanation>>,
}

/// Service, namespace, environment and time of an item.
type Whereabouts = (String, Option<String>, Option<String>, Nanos);

// === impl Why ===

impl Why {
    /// `before` and `after` are the plugin's counters around the batch.
    pub(super) fn new(outcome: &TelemetryOutcome, signal: Signal, before: Vec<Counter>, after: Vec<Counter>) -> Self {
        let before: BTreeMap<_, _> =
            before.into_iter().map(|counter| ((counter.name, counter.attributes), counter.value)).collect();
        let grown = (after.into_iter())
            .filter(|counter| counter.name.starts_with("items.") && !ALWAYS.contains(&counter.name.as_str()))
            .filter_map(|Counter { name, attributes, value }| {
                let key = (name, attributes);
                (before.get(&key).is_none_or(|earlier| *earlier < value)).then(|| describe(&key.0, &key.1))
            })
            .collect();
        let whole_batch = outcome.reason().map(str::to_owned);
        Self { whole_batch, signal, grown, known: BTreeMap::new() }
    }

    /// Why nothing was added to `item`. `explain` asks the plugin.
    ///
    /// # Errors
    /// When `explain` fails.
    pub(super) fn not(
        &mut self,
        item: &Item,
        explain: impl FnOnce(Asked<'_>) -> anyhow::Result<Vec<Explanation>>,
    ) -> anyhow::Result<String> {
        if let Some(reason) = &self.whole_batch {
            return Ok(reason.clone());
        }
        let service = item.service.clone().unwrap_or_default();
        let key = (service, item.namespace.clone(), item.environment.clone(), item.time);
        if !self.known.contains_key(&key) {
            let (service, namespace, environment, time) = &key;
            let (namespace, environment) = (namespace.as_deref(), environment.as_deref());
            let explanations = explain(Asked { service, namespace, environment, time: *time })?;
            self.known.insert(key.clone(), explanations);
        }
        let explanations = self.known.get(&key).map_or(&[][..], Vec::as_slice);
        Ok(match explanations {
            [] => "no incident is known".to_owned(),
            [marking, ..] if marking.marks => self.despite(&marking.incident),
            [first, ..] => format!("{}: {}", first.incident, first.reason),
        })
    }

    /// The service is affected, and yet nothing was added: the item had everything, or its kind is not marked.
    fn despite(&self, incident: &str) -> String {
        match (self.grown.as_slice(), self.signal) {
            ([], Signal::Metrics) => format!("{incident} affects the service; its data points are left alone"),
            ([], signal) => {
                let item = SignalName(signal).items(1);
                format!("{incident} affects the service, but settings leave this {item} out")
            }
            (grown, Signal::Metrics) => {
                let grown = grown.join(", ");
                format!("{incident} affects the service; points and exemplars of this batch: {grown}")
            }
            (grown, _) => format!("{incident} affects the service, but: {}", grown.join(", ")),
        }
    }
}

/// `items.already_marked` as `already marked`, with the attributes behind it.
fn describe(name: &str, attributes: &[(String, String)]) -> String {
    let words = name.trim_start_matches("items.").replace(['_', '-'], " ");
    let attributes: Vec<_> = (attributes.iter())
        .filter(|(key, _)| key != "signal")
        .map(|(_, value)| value.replace(['_', '-'], " "))
        .collect();
    if attributes.is_empty() { words } else { format!("{words} ({})", attributes.join(", ")) }
}
