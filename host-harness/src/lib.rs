//! `faultline`: a small wasmtime host for the Faultline plugin.
//!
//! Read [`plugin`] first: it is the contract in Rust. [`guest`] puts the component behind it, [`selective`] asks it
//! only about what concerns it, [`host`] adds a journal and
//! survives traps, [`scenario`] plays webhooks and telemetry through a host. Everything else is for people: reading what
//! they write ([`config_file`], [`telemetry`]) and showing what happened ([`report`], [`commands`]).

mod bindings;
pub mod clean;
pub mod cli;
pub mod commands;
pub mod config_file;
pub mod diagnostics;
pub mod guest;
pub mod hex;
pub mod host;
pub mod inspection;
pub mod journal;
#[cfg(feature = "oci")]
pub mod oci;
pub mod plugin;
pub mod report;
pub mod scenario;
pub mod selective;
pub mod serve;
pub mod signature;
pub mod telemetry;
pub mod time;
pub mod wasm_file;
pub mod yaml;
