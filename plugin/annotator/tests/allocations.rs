//! How often the rewriter asks for memory: as often for a batch of 8,192 spans as for one of 8.
//!
//! A program of its own, because it counts in the global allocator.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; it only counts and hands on")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use faultline_annotator::{
    annotation::{Annotation, Group, Value},
    config::SpanMarking,
    limits,
    otlp::{Concern, Marking, Marks, ResourceIdentity, Rewriter, Signal, Tally},
};
use faultline_test_support::{Generator, Signal as Plain};

/// Counts by thread, so that the test runner's own threads do not disturb.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

fn count() {
    // A thread that ends may free and allocate after its locals are gone.
    _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

/// Marks everything, and asks for no memory while it does.
struct Everything(Annotation);

const MARKING: Marking = Marking {
    spans: SpanMarking::All,
    logs: true,
    points: true,
    exemplars: true,
    batch_bytes_max: limits::BATCH_BYTES_MAX,
};

impl Everything {
    fn with_keys(keys: &[&str]) -> Self {
        let attributes = keys.iter().map(|key| ((*key).to_owned(), Value::Text("pagerduty:Q1".to_owned())));
        Self(Annotation::compile(&[Group { attributes: attributes.collect() }]))
    }
}

impl Marks for Everything {
    fn concerning(&mut self, _: &ResourceIdentity<'_>) -> Option<Concern> {
        Some(Concern(0))
    }

    fn annotation(&mut self, _: Concern, _: u64, _: u64) -> Option<&Annotation> {
        Some(&self.0)
    }
}

/// For batches of 8, 512 and 8,192 items: how many items were marked, and how many allocations and reallocations the call
/// took. The rewriter has had the largest batch before.
fn allocations(signal: Signal, keys: &[&str]) -> [(u64, u64); 3] {
    let plain = match signal {
        Signal::Traces => Plain::Traces,
        Signal::Metrics => Plain::Metrics,
        Signal::Logs => Plain::Logs,
    };
    let batches = [8, 512, 8192].map(|items| Generator { items, ..Generator::default() }.bytes(plain));
    let mut marks = Everything::with_keys(keys);
    let mut rewriter = Rewriter::default();
    rewriter.rewrite(signal, &batches[2], &MARKING, &mut marks, &mut Tally::default()).expect("readable");
    batches.map(|batch| {
        let mut tally = Tally::default();
        let before = ALLOCATIONS.get();
        let result = rewriter.rewrite(signal, &batch, &MARKING, &mut marks, &mut tally);
        let after = ALLOCATIONS.get();
        assert_eq!(result.expect("readable").is_some(), tally.items_marked > 0);
        (tally.items_marked, after - before)
    })
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn a_batch_costs_one_allocation_however_many_spans_it_has() {
    assert_eq!(allocations(Signal::Traces, &["incident.id", "incident.url"]), [(8, 1), (512, 1), (8192, 1)]);
}

#[test]
fn metrics_and_logs_cost_as_little() {
    assert_eq!(allocations(Signal::Logs, &["incident.id"]), [(8, 1), (512, 1), (8192, 1)]);
    // Exemplars are items too, and are marked with their points.
    let metrics = allocations(Signal::Metrics, &["incident.id"]);
    assert_eq!(metrics.map(|(_, allocations)| allocations), [1, 1, 1]);
    assert!(metrics[2].0 > 8192);
}

#[test]
fn spans_that_have_some_of_the_keys_cost_as_little() {
    let keys = ["incident.id", "http.route", "incident.url"];
    assert_eq!(allocations(Signal::Traces, &keys), [(8, 1), (512, 1), (8192, 1)]);
}

#[test]
fn a_batch_that_stays_unchanged_costs_nothing() {
    assert_eq!(allocations(Signal::Traces, &["http.route"]), [(0, 0); 3]);
}
