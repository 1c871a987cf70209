//! `faultline serve`: a hop for OTLP, and a hub for the webhooks of incident tools.
//!
//! ```text
//!  webhooks ─▶ webhooks ─▶ hub: receive, commit, merge ─▶ board ──┐ what is committed
//!  people ───▶ admin ────▶  │                                     ▼
//!  senders ──▶ connection ─▶ worker: otlp::hop: mark by an instance of the plugin ─▶ otlp::target ─▶ next hops
//! ```
//!
//! Read [`hub`] for what becomes of a webhook, [`otlp::hop`] for what becomes of a batch, and [`spokes`] for what other hosts of
//! the plugin are told.

pub mod admin;
pub mod bearer;
pub mod buffers;
pub mod client;
pub mod committed;
pub mod config;
pub mod connection;
mod files;
pub mod health;
mod heard;
pub mod hub;
pub mod instance;
pub mod loaded;
pub mod metrics;
pub mod otlp;
mod own_metrics;
mod reconcile;
mod reload;
mod server;
pub mod socket;
pub mod spokes;
mod switch;
pub mod tls;
pub mod webhooks;
mod worker;

pub use server::{Failure, run};
