//! Incident: identity, state, severity, and what one event says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::config::Target;
use crate::document::{Place, Read};
use crate::time::Nanos;

/// Which incident: the configured source and the id in the incident tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// The configured source.
    pub source: String,
    /// The id in the incident tool.
    pub id: String,
}

/// What an incident is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// People work on it.
    #[default]
    Incident,
    /// A rule fires.
    Alert,
    /// A change is rolled out.
    Deployment,
    /// A chaos experiment runs.
    Experiment,
}

/// How far an incident has come, as its source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// Open, nobody has answered.
    Triggered,
    /// Open, somebody works on it.
    Acknowledged,
    /// Closed.
    Resolved,
    /// Closed, since it goes on as another one.
    Merged,
}

/// How bad it is. The order is that of urgency, so that the maximum comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The sender's word for it is not one that we know; never guessed.
    #[default]
    Unknown,
    /// P5, SEV5, info, none.
    Info,
    /// P4, SEV4, low.
    Low,
    /// P3, SEV3, medium, warning, minor.
    Medium,
    /// P2, SEV2, high, error, major.
    High,
    /// P1, SEV0, SEV1, critical, page, major outage.
    Critical,
}

/// A service as the sender refers to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceReference {
    /// Its id there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What one event says of an incident. What it leaves out is taken from the other events of that incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<IncidentKind>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Free text, cleaned of control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Link into the incident tool, `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How people call it: `#42`, `INC-2026-0042`, the alert's name. Never parsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Nanos>,
    /// The services it affects, as the sender names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<ServiceReference>>,
    /// The services it affects, as telemetry names them; only from senders that know these names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// Labels of an alert, and what else rules may ask for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The incident that it goes on as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// It was closed before, and its sender says that it is open again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reopened: bool,
    /// A test or drill: recorded, never marks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

// === impl Key ===

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.source, self.id)
    }
}

// === impl IncidentKind ===

impl IncidentKind {
    const ALL: [Self; 4] = [Self::Incident, Self::Alert, Self::Deployment, Self::Experiment];

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in messages and attributes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Alert => "alert",
            Self::Deployment => "deployment",
            Self::Experiment => "experiment",
        }
    }
}

impl Read for IncidentKind {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.choice(&Self::ALL.map(|kind| (kind.name(), kind)))
    }
}

// === impl IncidentState ===

impl IncidentState {
    const ALL: [Self; 4] = [Self::Triggered, Self::Acknowledged, Self::Resolved, Self::Merged];

    /// The state of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Merged => "merged",
        }
    }

    /// Whether the incident is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Resolved | Self::Merged)
    }

    /// What counts more among events of the same time: the end over the answer, the answer over the beginning.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Triggered => 1,
            Self::Acknowledged => 2,
            Self::Resolved | Self::Merged => 3,
        }
    }
}

// === impl Severity ===

impl Severity {
    const ALL: [Self; 6] = [Self::Unknown, Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The severity of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// The name in messages and attributes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level behind a sender's word, ignoring case and surrounding space. `Unknown` for a word not in the table.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        match word.trim().to_lowercase().as_str() {
            "p1" | "sev0" | "sev1" | "critical" | "page" | "major outage" => Self::Critical,
            "p2" | "sev2" | "high" | "error" | "major" => Self::High,
            "p3" | "sev3" | "medium" | "warning" | "minor" => Self::Medium,
            "p4" | "sev4" | "low" => Self::Low,
            "p5" | "sev5" | "info" | "none" => Self::Info,
            _ => Self::Unknown,
        }
    }
}

impl Read for Severity {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.choice(&Self::ALL.map(|severity| (severity.name(), severity)))
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Fills in from `other` what this one leaves out.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        let Self {
            kind,
            severity,
            title,
            url,
            display,
            started,
            services,
            targets,
            labels,
            merged_into: _,
            reopened: _,
            test,
        } = other;
        self.kind = self.kind.or(*kind);
        self.severity = self.severity.or(*severity);
        self.title = self.title.or_else(|| title.clone());
        self.url = self.url.or_else(|| url.clone());
        self.display = self.display.or_else(|| display.clone());
        self.started = self.started.or(*started);
        // The two say the same thing in different words: one of them being there is enough.
        if self.services.is_none() && self.targets.is_none() {
            self.services.clone_from(services);
            self.targets.clone_from(targets);
        }
        if self.labels.is_empty() {
            self.labels.clone_from(labels);
        }
        self.test |= test;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_read_from_the_words_of_many_tools_and_never_guessed() {
        for (word, severity) in [
            (" P1 ", Severity::Critical),
            ("Major Outage", Severity::Critical),
            ("major", Severity::High),
            ("WARNING", Severity::Medium),
            ("none", Severity::Info),
            ("Tier 1", Severity::Unknown),
        ] {
            assert_eq!(Severity::of_word(word), severity, "{word}");
        }
    }

    #[test]
    fn what_an_event_leaves_out_comes_from_the_others() {
        let whole = Snapshot {
            title: Some("down".to_owned()),
            services: Some(vec![ServiceReference { id: Some("P1".to_owned()), name: None }]),
            ..Snapshot::default()
        };
        let partial = Snapshot { title: Some("up".to_owned()), ..Snapshot::default() };
        let joined = partial.or(&whole);
        assert_eq!(joined.title.as_deref(), Some("up"));
        assert_eq!(joined.services, whole.services);
    }
}
