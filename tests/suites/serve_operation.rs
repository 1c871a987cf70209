//! `faultline serve` as its operators have it: other configurations, restarts, certificates, incidents by hand, and what it
//! tells of itself.

#[path = "serve_operation/by_hand.rs"]
mod by_hand;
#[path = "serve_operation/certificates.rs"]
mod certificates;
#[path = "serve_operation/encryption.rs"]
mod encryption;
#[path = "serve_operation/ending.rs"]
mod ending;
#[path = "serve_operation/leases.rs"]
mod leases;
#[path = "serve_operation/metrics.rs"]
mod metrics;
#[path = "serve_operation/otlp_json.rs"]
mod otlp_json;
#[path = "serve_operation/reconciliation.rs"]
mod reconciliation;
#[path = "serve_operation/reload.rs"]
mod reload;
#[path = "serve_operation/secrets.rs"]
mod secrets;
mod servers;
#[path = "serve_operation/spokes.rs"]
mod spokes;

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use faultline::time::{SECOND, now};
use faultline_load::{Batches, Encoding, Length, Load, Outcome, Protocol, Sink, SinkOptions};
use faultline_test_support::{Generator, Signal};

use servers::Faultline;

/// Items of the last minute: an incident that is opened now marks them, by its lookback.
fn generator() -> Generator {
    let until = now();
    Generator { items: 64, from: until - 60 * SECOND, until, ..Generator::default() }
}

fn sink() -> Sink {
    Sink::start(SinkOptions { keeps_requests: 4, ..SinkOptions::default() }).expect("a sink starts")
}

/// Sends so many requests with spans to an address, at most four at a time.
fn send_to(address: SocketAddr, protocol: Protocol, requests: u64) -> Outcome {
    let batches = Batches::generate(&generator(), Signal::Traces, 4, protocol, Encoding::Identity);
    let load = Load { connections: 1, in_flight: 4, length: Length::Requests(requests), ..Load::to(address) };
    load.run(Arc::new(batches.expect("batches can be made"))).expect("the load runs")
}

/// The same, by gRPC to a server; all of it must be taken. Answers with the number of spans.
fn send(faultline: &Faultline, requests: u64) -> u64 {
    let outcome = send_to(faultline.addresses().grpc, Protocol::Grpc, requests);
    assert!(outcome.is_clean(), "{outcome:?}");
    outcome.accepted_items
}

/// All that a command printed.
fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
