//! What the tests of every build share: generated OTLP, and the oracle that judges what was made of it.
//!
//! Nothing here knows the plugin. The oracle decodes with `prost`, edits plain structures and encodes again, so that it
//! and the plugin can only agree by both being right. Where `prost` cannot judge, `wire` and `shape` read by hand.

pub mod applier;
pub mod generator;
pub mod oracle;
pub mod shape;
pub mod wire;

// So that a test names the same versions as the generator and the oracle do.
pub use {opentelemetry_proto, prost};

pub use self::{
    generator::Generator,
    oracle::{Counts, Incidents, Judgement, MarkedSpans, Options, Owner},
};

/// The three kinds of OTLP telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
}

// === impl Signal ===

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];
}
