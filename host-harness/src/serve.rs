//! `faultline serve`.

pub mod config;
