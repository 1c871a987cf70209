//! How a replay is shown: to people as text, to programs as JSON.

mod incident_record;
mod items;
mod machine;
mod paint;
mod tables;
mod text;
mod timeline;

use clap::ValueEnum;

pub use incident_record::{IncidentRecord, WindowRecord};
pub use machine::{Document, Lines};
pub use tables::{table, write_counters, write_gaps};
pub use text::Text;

use crate::scenario::{Event, Scenario, Summary};

/// Shows a replay as it goes on.
#[expect(clippy::missing_errors_doc, reason = "they fail when the output cannot be written, and only then")]
pub trait Report {
    /// Before the first step.
    fn begin(&mut self, scenario: &Scenario) -> anyhow::Result<()>;
    /// After each step.
    fn event(&mut self, event: &Event) -> anyhow::Result<()>;
    /// After the last.
    fn end(&mut self, summary: &Summary) -> anyhow::Result<()>;
}

/// How much of telemetry is shown, named as in the Collector's debug exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Verbosity {
    /// A line for each batch.
    Basic,
    /// Also a line for the items of a service to which the same happened.
    Normal,
    /// Every item with all its attributes.
    Detailed,
}
