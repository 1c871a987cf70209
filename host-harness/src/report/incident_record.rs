//! An incident as programs read it.

use serde::{Deserialize, Serialize};

use crate::plugin::{Incident, Window};
use crate::time::Rfc3339;

/// An incident as JSON: what `incidents -o json` prints and the admin listener answers. Times are RFC 3339.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IncidentRecord {
    /// `<source>:<external id>`.
    pub id: String,
    /// The configured source.
    pub source: String,
    /// Its id in the incident tool.
    pub external_id: String,
    /// How people call it there; may be empty.
    pub display: String,
    /// `incident`, `alert`, `deployment` or `experiment`.
    pub kind: String,
    /// As in the contract.
    pub state: String,
    /// Whether it is open.
    pub open: bool,
    /// As in the contract.
    pub severity: String,
    /// May be empty.
    pub title: String,
    /// May be empty.
    pub url: String,
    /// When it began, or began again.
    pub started: String,
    /// When it ended, if it has.
    pub ended: Option<String>,
    /// Until when it stays open without further word.
    pub lease_until: Option<String>,
    /// Earliest first.
    pub windows: Vec<WindowRecord>,
    /// What it marks.
    pub services: Vec<String>,
    /// Why it marks that.
    pub reason: String,
}

/// A span of event time that it marks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WindowRecord {
    /// Begin.
    pub from: String,
    /// End; none while it is open.
    pub until: Option<String>,
}

// === impl IncidentRecord ===

impl From<Incident> for IncidentRecord {
    fn from(incident: Incident) -> Self {
        let Incident { id, source, external_id, display, kind, state, open, severity, title, url, .. } = incident;
        let text = |time| Rfc3339(time).to_string();
        let window = |Window { from, until }: Window| WindowRecord { from: text(from), until: until.map(text) };
        Self {
            id,
            source,
            external_id,
            display,
            kind,
            state,
            open,
            severity,
            title,
            url,
            started: text(incident.started),
            ended: incident.ended.map(text),
            lease_until: incident.lease_until.map(text),
            windows: incident.windows.into_iter().map(window).collect(),
            services: incident.services,
            reason: incident.reason,
        }
    }
}
