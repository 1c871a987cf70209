//! `faultline serve` when things go wrong: what it promises of crashes, next hops, its plugin, hostile senders and a full disk.

#[path = "serve_faults/client.rs"]
mod client;
#[path = "serve_faults/downstream.rs"]
mod downstream;
#[path = "serve_faults/full_disk.rs"]
mod full_disk;
#[path = "serve_faults/kills.rs"]
mod kills;
#[path = "serve_faults/plugin_faults.rs"]
mod plugin_faults;
#[path = "serve_faults/senders.rs"]
mod senders;
mod servers;
#[path = "serve_faults/trapping_plugin.rs"]
mod trapping_plugin;

use std::net::SocketAddr;

use bytes::Bytes;
use faultline::time::{SECOND, now};
use faultline_load::{Protocol, Sink, SinkOptions};
use faultline_test_support::{Generator, Signal};

use servers::Faultline;

/// As often as a counted test does its work: `soak` in the release run, which sets `SOAK=1`.
fn times(usual: usize, soak: usize) -> usize {
    if std::env::var_os("SOAK").is_some_and(|value| value == "1") { soak } else { usual }
}

/// A sink that counts every span by its id.
fn sink() -> Sink {
    Sink::start(SinkOptions { counts_spans: true, ..SinkOptions::default() }).expect("a sink starts")
}

/// Where OTLP goes in.
fn near(faultline: &Faultline, protocol: Protocol) -> SocketAddr {
    match protocol {
        Protocol::Grpc => faultline.addresses().grpc,
        Protocol::Http => faultline.addresses().http,
    }
}

/// What configurations call a protocol.
fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http",
    }
}

/// Spans of `checkout`, of the last minute: an incident that is opened now marks them, by its lookback.
fn generator(items: usize) -> Generator {
    let until = now();
    let services = vec!["checkout".to_owned()];
    Generator { items, services, from: until - 60 * SECOND, until, ..Generator::default() }
}

/// One request of such spans.
fn spans(items: usize) -> Bytes {
    generator(items).bytes(Signal::Traces).into()
}
