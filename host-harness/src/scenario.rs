//! Scenarios: webhooks and telemetry on a virtual clock, played through the plugin. `tests/scenarios/README.md` documents
//! the format.

mod bundled;
mod event;
mod format;
mod generated;
mod player;
mod summary;
mod why;

pub use event::{Event, Occurrence, TelemetryEvent, TelemetryOutcome, TransitionRecord, WebhookEvent};
pub use format::{Action, Generate, Scenario, Sign, Step, TelemetryStep, WebhookStep};
pub use player::Player;
pub use summary::{CounterRecord, GapRecord, ServiceSummary, Summary, Timeline};
