//! A plugin that traps, takes too long or too much memory on every Nth batch: what passes is complete, what is not marked is
//! counted, and the next batch is marked again.

use std::sync::Arc;

use faultline_load::{Batches, Encoding, Length, Load, Outcome, Protocol, Sink, SinkOptions};
use faultline_test_support::Signal;

use super::servers::{Faultline, Launch, Setup};
use super::trapping_plugin::trapping_on;
use super::{generator, near, times};

/// Spans of one fault. A release run has ten times as many.
const SPANS: usize = 1_000_000;
/// Spans of a batch that the plugin can take.
const SMALL: usize = 128;
/// Spans of a batch that it cannot: just below a MiB, from which on another instance would have it.
const LARGE: usize = 1400;
/// Bytes of memory in which the plugin and a small batch have room, and a large one has not.
const MEMORY_BYTES: usize = 28 * 64 * 1024;
/// One batch of so many is large.
const EVERY: usize = 8;

/// What came of a load.
struct Passed {
    outcome: Outcome,
    arrived: u64,
    marked: u64,
    failed: u64,
    restarts: f64,
}

fn sink() -> Sink {
    Sink::start(SinkOptions::default()).expect("a sink starts")
}

/// Sends large batches among small ones, as many of each as come to about [`SPANS`]; an incident marks all of them.
fn pass(faultline: &Faultline, sink: &Sink, large: usize) -> Passed {
    let cycle = (EVERY - 1) * SMALL + large;
    let cycles = times(SPANS, 10 * SPANS).div_ceil(cycle);
    let small = generator(SMALL).bytes(Signal::Traces);
    let large = generator(large).bytes(Signal::Traces);
    let messages = (0..EVERY).map(|index| if index == 0 { large.clone() } else { small.clone() });
    // They do not hold the same number of items each: what arrived is compared with what is in them.
    let batches = Batches::new(messages, Signal::Traces, 0, Protocol::Grpc, Encoding::Identity);
    let length = Length::Requests((cycles * EVERY) as u64);
    // Few at a time: how much is held is not what is tested.
    let load = Load { length, in_flight: 1, ..Load::to(near(faultline, Protocol::Grpc)) };
    let outcome = load.run(Arc::new(batches.expect("batches can be made"))).expect("the load runs");
    assert!(outcome.is_clean(), "{outcome:?}");
    let accepted = sink.counts().accepted;
    assert_eq!(accepted.items, (cycles * cycle) as u64, "spans in are spans out");
    let failed = faultline.metric("faultline_unmarked_spans_total", &["failed"]) as u64;
    assert_eq!(accepted.marked + failed, accepted.items, "what is not marked is counted");
    let restarts = faultline.metric("faultline_plugin_restarts_total", &[]);
    Passed { outcome, arrived: accepted.items, marked: accepted.marked, failed, restarts }
}

/// Faults that do not depend on time: exactly the large batches are not marked, and each cost one instance.
fn check_exact(faultline: &Faultline, sink: &Sink) {
    let Passed { outcome, arrived, marked, failed, restarts } = pass(faultline, sink, LARGE);
    let faults = outcome.requests / EVERY as u64;
    assert_eq!(failed, faults * LARGE as u64, "of {arrived} spans");
    assert_eq!(marked, arrived - failed);
    assert!((restarts - faults as f64).abs() < 0.5, "{restarts} restarts, {faults} faults");
    let errors = faultline.log().matches("the plugin failed").count();
    assert_eq!(errors as u64, faults, "each has its line in the log");
}

fn start(sink: &Sink, plugin: &str, launch: Launch) -> Faultline {
    let serve = format!("  plugin: {{ {plugin} }}\n");
    let faultline =
        Faultline::start(&Setup { serve, launch, ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc") });
    faultline.open_incident("1", "checkout");
    faultline
}

/// Scenario: every eighth batch needs more memory than the plugin has.
/// Guarantees: no span is lost; exactly those of these batches are unmarked, and counted; what comes after them is marked.
#[test]
fn a_batch_over_the_memory_limit_costs_its_own_marks_only() {
    let sink = sink();
    let faultline = start(&sink, &format!("memory_bytes: {MEMORY_BYTES}"), Launch::default());
    check_exact(&faultline, &sink);
    assert!(faultline.log().contains(&format!("over its limit of {MEMORY_BYTES}")), "the log names the limit");
}

/// Scenario: every eighth batch has the plugin trap.
/// Guarantees: the same.
#[test]
fn a_trap_costs_the_marks_of_its_batch_only() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let path = folder.path().join("trapping.wasm");
    let large = generator(LARGE).bytes(Signal::Traces).len();
    assert!(large < 1024 * 1024, "{large} bytes: the instance that has small ones has it too");
    std::fs::write(&path, trapping_on(large)).expect("a file can be written");
    let arguments = vec!["--plugin".to_owned(), path.display().to_string()];
    let sink = sink();
    let faultline = start(&sink, "", Launch { arguments, ..Launch::default() });
    check_exact(&faultline, &sink);
    assert!(faultline.log().contains("unreachable"), "the log names the trap");
}

/// Scenario: the plugin has as little time as can be measured, 10 ms at most, and every eighth batch is so large that it
/// needs more. Whether another call is ended is chance.
/// Guarantees: no span is lost, each is marked or counted; with time enough batches are marked again.
#[test]
fn a_call_that_takes_too_long_costs_the_marks_of_its_batch_only() {
    let sink = sink();
    let faultline = start(&sink, "batch_timeout: 1ms", Launch::default());
    let Passed { marked, failed, restarts, .. } = pass(&faultline, &sink, 60 * LARGE);
    assert!(marked > 0 && failed > 0 && restarts > 0.0, "{marked} marked, {failed} not, {restarts} restarts");
    assert!(faultline.log().contains("ran longer than its limit"), "the log names the limit");
    let marked_again = super::servers::eventually("a batch to be marked", || {
        sink.reset();
        super::client::Client::of(&faultline, Protocol::Grpc).send(&super::spans(8));
        Some(sink.counts().accepted.marked).filter(|marked| *marked > 0)
    });
    assert_eq!(marked_again, 8);
}
