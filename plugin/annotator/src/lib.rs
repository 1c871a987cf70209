//! The logic of Faultline's annotator: webhooks become incidents, and incidents become attributes on OTLP telemetry.
//!
//! No host, clock, network, file or randomness: time comes in as an argument, telemetry and webhooks as bytes.
//! [`Annotator`] has the functions of the contract (`wit/`); read it first, then [`receive`](Annotator::receive)'s way
//! through `receive`, `state` and `table`, and [`process`](Annotator::process)'s way through `otlp`.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a panic in the plugin is a trap in somebody's telemetry pipeline"
    )
)]

pub mod annotation;
mod annotator;
mod authentic;
pub mod config;
pub mod counters;
pub mod digest;
pub mod document;
pub mod entry;
mod fields;
pub mod gaps;
pub mod incident;
mod key_filter;
pub mod key_search;
pub mod limits;
pub mod names;
mod naming;
pub mod otlp;
pub mod reach;
mod receive;
mod sources;
pub mod state;
pub mod status;
pub mod table;
pub mod text;
pub mod time;
pub mod webhook;

pub use annotator::{Affected, Annotator, Expiry, Outcome, Scope};
