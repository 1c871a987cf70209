//! The switch that stops all marking: by an admin call, which a restart does not lift, or by the configuration.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::admin::{Marking, Switch};
use super::hub::Core;
use super::metrics::{Family, Point, Value};
use crate::clean;
use crate::plugin::Gap;
use crate::time::{Rfc3339, now};

/// Under this name the journal keeps that marking was stopped.
const NOTE: &str = "marking-stopped";

/// That somebody stopped marking, and why.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Stop {
    /// When, RFC 3339.
    pub since: String,
    /// For whoever finds it.
    pub reason: Option<String>,
}

/// Whether a configuration of the plugin says `marking: off`, which YAML 1.1 tools rewrite to `false`.
pub(super) fn is_off(config: &serde_json::Value) -> bool {
    config.get("marking").is_some_and(|marking| marking == "off" || *marking == false)
}

// === impl Core ===

impl Core<'_> {
    /// Takes up what the journal says of the switch.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn resume_switch(&mut self) -> anyhow::Result<()> {
        if let Some(note) = self.host.journal().note(NOTE)? {
            let stop = serde_json::from_slice(&note).context("the journal's note of the stop switch cannot be read")?;
            self.stop = Some(stop);
            self.board.set_marking(false);
        }
        Ok(())
    }

    /// Whether the switch is on.
    pub fn marking(&self) -> Marking {
        match &self.stop {
            None => Marking { marking: Switch::On, reason: None },
            Some(stop) => Marking { marking: Switch::Off, reason: stop.reason.clone() },
        }
    }

    /// Throws the switch: it is kept first, then takes effect, then is answered.
    ///
    /// # Errors
    /// When the journal cannot keep it; nothing has changed then.
    pub fn set_marking(&mut self, marking: &Marking) -> anyhow::Result<Marking> {
        let reason = marking.reason.as_deref().map(clean::line);
        let stop = match marking.marking {
            Switch::On => None,
            Switch::Off => Some(Stop { since: Rfc3339(now()).to_string(), reason }),
        };
        let note = stop.as_ref().map(serde_json::to_vec).transpose()?;
        self.host
            .journal_mut()
            .set_note(NOTE, note.as_deref())
            .context("the switch cannot be kept; it stays as it was")?;
        self.board.set_marking(stop.is_none());
        self.stop = stop;
        match &self.stop {
            Some(stop) => tracing::warn!(reason = stop.reason, "marking is stopped"),
            None => tracing::warn!("marking goes on"),
        }
        Ok(self.marking())
    }

    /// Who stopped marking, and why; nobody when it goes on.
    pub fn stopped(&self) -> Vec<String> {
        let by_admin = self.stop.as_ref().map(|stop| {
            let reason = stop.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("an admin call since {}{reason}", stop.since)
        });
        let by_configuration = self.is_off_by_configuration().then(|| "the configuration (`marking: off`)".to_owned());
        by_admin.into_iter().chain(by_configuration).collect()
    }

    fn is_off_by_configuration(&self) -> bool {
        let config: serde_json::Value = serde_json::from_str(&self.board.read().config).unwrap_or_default();
        is_off(&config)
    }

    /// What of incidents is told in metrics.
    pub fn families(&mut self) -> Vec<Family> {
        let stopped = [("admin", self.stop.is_some()), ("configuration", self.is_off_by_configuration())];
        let stopped = stopped
            .map(|(by, is_off)| Point { labels: vec![("by", by.to_owned())], value: Value::Count(u64::from(is_off)) });
        let help = "1 while marking is stopped.";
        let mut families = vec![Family::gauge("marking_stopped", "", help, stopped.to_vec())];
        // What cannot be asked for now is told next time.
        if let Ok(open) = self.host.open(now()) {
            let mut counts = std::collections::BTreeMap::<(String, String), u64>::new();
            for incident in open {
                *counts.entry((incident.severity, incident.source)).or_default() += 1;
            }
            let points = counts.into_iter().map(|((severity, source), count)| Point {
                labels: vec![("severity", severity), ("source", source)],
                value: Value::Count(count),
            });
            families.push(Family::gauge("incidents_open", "", "Incidents that are open.", points.collect()));
        }
        if let Ok(gaps) = self.gaps() {
            let of_kind = |kind: &str| gaps.iter().filter(|gap: &&Gap| gap.kind == kind).count();
            let points = ["incident-without-service", "service-without-rule"].map(|kind| Point {
                labels: vec![("kind", kind.to_owned())],
                value: Value::Count(u64::try_from(of_kind(kind)).unwrap_or(u64::MAX)),
            });
            let help = "What the configuration leaves out; `GET /v1/gaps` lists it.";
            families.push(Family::gauge("gaps", "", help, points.to_vec()));
        }
        if let Ok(counters) = self.host.counters() {
            let sums = counters.into_iter().map(|one| ((one.name, one.attributes), one.value)).collect();
            let of_hub = super::health::of_counters(sums).into_iter();
            families.extend(of_hub.map(|family| Family { name: family.name.replacen("plugin_", "hub_", 1), ..family }));
        }
        families
    }
}
