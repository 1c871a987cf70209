//! What an operator can set, and what each setting means. Defaults and limits are in [`crate::limits`].
//!
//! The document is JSON on the wire; people write YAML. Unknown keys are errors. [`Config::check`] finds all faults of a
//! document at once.

mod attributes;
mod check;
mod duration;
mod generic;
mod secret;
mod switch;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

pub use attributes::{Preset, Subject, Template};
pub use duration::Duration;
pub use generic::{Encoding, Fields, Pointer, Property, Signature, StateWord, Words};
pub use secret::Secret;
pub use switch::Switch;

pub use crate::document::Fault;

use crate::document::{Place, Read, choices, settings};
use crate::incident::Severity;
use crate::limits;

/// The whole configuration. Every key has a default; with no source, nothing ever marks.
#[derive(Clone, Debug)]
pub struct Config {
    /// `off` stops all marking at once; webhooks are still recorded.
    pub marking: Switch,
    /// What the names of our attributes begin with. Change it if your backend already uses `incident.`.
    pub prefix: String,
    /// Who may send webhooks, by name. The name is part of every incident's id: renaming a source orphans its incidents.
    pub sources: BTreeMap<String, Source>,
    /// Which services of the sender are which `service.name`, in order; all rules that fit apply.
    pub services: Vec<ServiceRule>,
    /// The labels of an alert that name a service, first present wins. `job` has its `namespace/` taken off.
    pub service_labels: Vec<String>,
    /// The labels of an alert that name an environment, first present wins.
    pub environment_labels: Vec<String>,
    /// Other names of an environment: `prod: production` makes an alert's `prod` match telemetry's `production`.
    pub environments: BTreeMap<String, String>,
    /// Lets `Checkout API` match `service.name` `checkout-api`. Off: names of services are rarely chosen to be equal.
    pub match_normalized_names: bool,
    /// What an incident marks that matched no service.
    pub unmatched: Unmatched,
    /// Lets an incident that swallowed another by a merge mark the other's services too.
    pub carry_merged_services: bool,
    /// Margins of the time that an incident marks.
    pub window: WindowConfig,
    /// What to mark in traces.
    pub traces: Traces,
    /// What to mark in logs.
    pub logs: Logs,
    /// What to mark in metrics.
    pub metrics: Metrics,
    /// Bounds that may be moved.
    pub limits: Limits,
}

/// A sender of webhooks.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The format of its payloads. Required.
    pub kind: Option<SourceKind>,
    /// Keys of signed webhooks (`pagerduty`, `github`, `generic`). Several while a secret is rotated: one match is enough.
    pub secrets: Vec<Secret>,
    /// Bearer tokens of webhooks that are not signed (`alertmanager`, `manual`, `generic`). Several while one is rotated.
    pub tokens: Vec<Secret>,
    /// Where and how the signature stands, of a `generic` source with `secrets`.
    pub signature: Option<Signature>,
    /// Where its bodies hold what is said of an incident. Required for `generic`, and for no other kind.
    pub fields: Option<Fields>,
    /// Lets requests of a `manual` source act on incidents of other sources, by `"source": NAME`. Whoever has its token can
    /// then close what any sender opened.
    pub manages: bool,
    /// The least severity that marks; `unknown` is below all. By default everything but `info` marks.
    pub min_severity: Option<Severity>,
    /// If any are given, one of these rules must fit for an incident to mark; the rest is recorded.
    pub matching: Vec<Rule>,
    /// An incident that fits one of these rules is recorded and never marks. Default for `alertmanager`: the always-on
    /// alerts `Watchdog`, `InfoInhibitor` and `DeadMansSwitch`.
    pub unless: Option<Vec<Rule>>,
    /// How long an incident stays open without further word. Default 24 h, `alertmanager` 9 h.
    pub lease: Option<Duration>,
    /// Attributes to add beside those of the prefix: name to template, for example `team: "{label:team}"`.
    pub attributes: BTreeMap<String, Template>,
    /// A ready-made set of `attributes`.
    pub preset: Option<Preset>,
    /// Overrides `unmatched` for this source.
    pub unmatched: Option<Unmatched>,
}

/// The formats of payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// PagerDuty webhooks V3.
    Pagerduty,
    /// Prometheus Alertmanager webhook, version 4.
    Alertmanager,
    /// Faultline's own: open, update and close as JSON.
    Manual,
    /// GitHub's `deployment_status` webhooks.
    Github,
    /// Any JSON, by pointers to what is said of an incident.
    Generic,
}

/// A rule over what the sender says of an incident. All labels must fit.
///
/// Alerts have their labels. PagerDuty incidents have `urgency`, `priority`, `service`, `team`, `incident_type` and
/// `escalation_policy`. Deployments of GitHub have `environment`, `task`, `ref`, `sha`, `creator`, `repository` and
/// `state`. `severity` and `kind` are there for all.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Label to value, or to a list of values of which one must be equal.
    pub labels: BTreeMap<String, OneOrMany>,
}

/// A value, or several of which one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneOrMany {
    /// `team: payments`
    One(String),
    /// `team: [payments, checkout]`
    Many(Vec<String>),
}

/// Leads from a service of the sender to services in telemetry.
#[derive(Clone, Debug, Default)]
pub struct ServiceRule {
    /// Only for incidents of this source; for those of all when absent.
    pub source: Option<String>,
    /// The sender's id of the service, for example PagerDuty's `PIJ90N7`. Ids survive renaming: prefer them.
    pub id: Option<String>,
    /// The sender's name of the service, compared exactly. Used when no rule fits by id.
    pub name: Option<String>,
    /// What it is in telemetry.
    pub to: Vec<Target>,
}

/// A service as telemetry names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Target {
    /// `service.name`, byte for byte.
    pub service: String,
    /// `service.namespace`; telemetry that has another one is not marked, telemetry without one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `deployment.environment.name`; telemetry that has another one is not marked, telemetry without one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// What an incident marks that matched no service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Nothing; it is counted, and listed by `gaps`.
    #[default]
    Ignore,
    /// All telemetry.
    All,
}

/// Margins of the time that an incident marks: `[started - lookback, ended + grace]`.
#[derive(Clone, Debug)]
pub struct WindowConfig {
    /// Before the start.
    pub lookback: Duration,
    /// After the end.
    pub grace: Duration,
    /// How long after its end a window is kept for late telemetry.
    pub keep_closed: Duration,
}

/// What to mark in traces.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Which spans.
    pub spans: SpanMarking,
}

/// Which spans of an affected service are marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanMarking {
    /// All whose time overlaps the window.
    #[default]
    All,
    /// Only server and consumer spans, roots, and spans with an error: about 30 B a span less on the wire.
    EntryAndError,
    /// None.
    Off,
}

/// What to mark in logs.
#[derive(Clone, Debug)]
pub struct Logs {
    /// Log records, by their time, or by the observed time when they have none.
    pub records: Switch,
}

/// What to mark in metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Data points. An attribute on a data point makes a new series: needs `accept_identity_change`.
    pub points: Switch,
    /// Says that new series are understood and wanted.
    pub accept_identity_change: bool,
    /// The id in the filtered attributes of exemplars, which are not part of a series.
    pub exemplars: Switch,
}

/// Bounds that may be moved; the others are in [`crate::limits`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a batch; larger ones are refused and pass unchanged.
    pub batch_bytes: usize,
    /// Bytes of a webhook's body; larger ones get 413.
    pub webhook_bytes: usize,
    /// Incidents open at a time; further ones get 503.
    pub open_incidents: usize,
    /// Alerts, or events of a `generic` source, in one webhook; more get 413.
    pub alerts_per_webhook: usize,
    /// Services of one incident; the rest is cut, and the reply says so.
    pub services_per_incident: usize,
}

settings! {
    Config {
        "marking" => marking,
        "prefix" => prefix,
        "sources" => sources,
        "services" => services,
        "service_labels" => service_labels,
        "environment_labels" => environment_labels,
        "environments" => environments,
        "match_normalized_names" => match_normalized_names,
        "unmatched" => unmatched,
        "carry_merged_services" => carry_merged_services,
        "window" => window,
        "traces" => traces,
        "logs" => logs,
        "metrics" => metrics,
        "limits" => limits,
    }
    Source {
        "kind" => kind,
        "secrets" => secrets,
        "tokens" => tokens,
        "signature" => signature,
        "fields" => fields,
        "manages" => manages,
        "min_severity" => min_severity,
        "match" => matching,
        "unless" => unless,
        "lease" => lease,
        "attributes" => attributes,
        "preset" => preset,
        "unmatched" => unmatched,
    }
    ServiceRule { "source" => source, "id" => id, "name" => name, "to" => to }
    WindowConfig { "lookback" => lookback, "grace" => grace, "keep_closed" => keep_closed }
    Traces { "spans" => spans }
    Logs { "records" => records }
    Metrics {
        "points" => points,
        "accept_identity_change" => accept_identity_change,
        "exemplars" => exemplars,
    }
    Limits {
        "batch_bytes" => batch_bytes,
        "webhook_bytes" => webhook_bytes,
        "open_incidents" => open_incidents,
        "alerts_per_webhook" => alerts_per_webhook,
        "services_per_incident" => services_per_incident,
    }
}

choices! {
    SourceKind {
        "pagerduty" => Pagerduty,
        "alertmanager" => Alertmanager,
        "manual" => Manual,
        "github" => Github,
        "generic" => Generic,
    }
    Unmatched { "ignore" => Ignore, "all" => All }
    SpanMarking { "all" => All, "entry-and-error" => EntryAndError, "off" => Off }
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            marking: Switch::On,
            prefix: crate::names::PREFIX.to_owned(),
            sources: BTreeMap::new(),
            services: Vec::new(),
            service_labels: crate::names::SERVICE_LABELS.map(str::to_owned).to_vec(),
            environment_labels: crate::names::ENVIRONMENT_LABELS.map(str::to_owned).to_vec(),
            environments: BTreeMap::new(),
            match_normalized_names: false,
            unmatched: Unmatched::Ignore,
            carry_merged_services: true,
            window: WindowConfig::default(),
            traces: Traces::default(),
            logs: Logs::default(),
            metrics: Metrics::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The canonical name of an environment.
    #[must_use]
    pub fn environment<'a>(&'a self, name: &'a str) -> &'a str {
        self.environments.get(name).map_or(name, String::as_str)
    }
}

// === impl Source ===

impl Source {
    /// How long an incident of this source stays open without further word, in nanoseconds.
    #[must_use]
    pub fn lease(&self) -> u64 {
        match (self.lease, self.kind) {
            (Some(lease), _) => lease.nanos(),
            (None, Some(SourceKind::Alertmanager)) => limits::LEASE_ALERTS,
            (None, _) => limits::LEASE,
        }
    }
}

// === impl Rule ===

impl Read for Rule {
    fn read(at: &Place<'_>) -> Option<Self> {
        Some(Self { labels: at.object(&["labels"])?.required("labels")? })
    }
}

// === impl Target ===

impl Read for Target {
    fn read(at: &Place<'_>) -> Option<Self> {
        let object = at.object(&["service", "namespace", "environment"])?;
        Some(Self {
            service: object.required("service")?,
            namespace: object.get("namespace").flatten(),
            environment: object.get("environment").flatten(),
        })
    }
}

// === impl OneOrMany ===

/// Fits nothing: the stand-in for what cannot be read.
impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Read for OneOrMany {
    fn read(at: &Place<'_>) -> Option<Self> {
        match at.value() {
            Value::String(one) => Some(Self::One(one.clone())),
            Value::Array(_) => Read::read(at).map(Self::Many),
            _ => {
                at.wrong("a string or a list of strings");
                None
            }
        }
    }
}

impl OneOrMany {
    /// Whether one of the values is `value`.
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.iter().any(|one| one == value),
        }
    }
}

// === impl WindowConfig ===

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            lookback: Duration::from_nanos(limits::LOOKBACK),
            grace: Duration::from_nanos(limits::GRACE),
            keep_closed: Duration::from_nanos(limits::KEEP_CLOSED),
        }
    }
}

// === impl Logs ===

impl Default for Logs {
    fn default() -> Self {
        Self { records: Switch::On }
    }
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self { points: Switch::Off, accept_identity_change: false, exemplars: Switch::Off }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_bytes: limits::BATCH_BYTES_MAX,
            webhook_bytes: limits::WEBHOOK_BYTES_MAX,
            open_incidents: limits::OPEN_INCIDENTS_MAX,
            alerts_per_webhook: limits::ALERTS_PER_WEBHOOK_MAX,
            services_per_incident: limits::SERVICES_PER_INCIDENT_MAX,
        }
    }
}
