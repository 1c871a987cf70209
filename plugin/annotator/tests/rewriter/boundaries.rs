//! Lengths that need a byte more, in every message around an item.

use faultline_annotator::otlp::Signal;
#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_test_support::{
    opentelemetry_proto::tonic::{
        collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
        logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    },
    prost::Message,
};

use crate::scene::{EVERYTHING, Scene};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[
    (Bug::WidenedLength, lengths_cross_128_bytes),
    (Bug::WidenedLength, lengths_cross_16384_bytes),
    (Bug::WidenedLength, lengths_cross_2097152_bytes),
    (Bug::WidenedLength, an_annotation_alone_takes_all_three_lengths_over_a_boundary),
];

fn trace_request(name_bytes: usize, scope_url_bytes: usize) -> Vec<u8> {
    let span = Span { name: "n".repeat(name_bytes), start_time_unix_nano: 1, ..Span::default() };
    let scope_url = "u".repeat(scope_url_bytes);
    let scope = ScopeSpans { spans: vec![span], schema_url: scope_url, ..ScopeSpans::default() };
    let group = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

fn log_request(text_bytes: usize) -> Vec<u8> {
    let record = LogRecord { severity_text: "s".repeat(text_bytes), time_unix_nano: 1, ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let group = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec()
}

/// The result equals the oracle's and is longer by more than what was added when a length grew.
fn check(scene: &Scene, signal: Signal, batch: &[u8]) -> usize {
    let (marked, tally) = scene.rewrite(signal, batch, &EVERYTHING).unwrap();
    let (expected, expected_tally) = scene.judge(signal, batch, &EVERYTHING).unwrap();
    assert_eq!(tally, expected_tally);
    assert!(marked == expected, "the bytes differ for a batch of {} bytes", batch.len());
    marked.unwrap().len() - batch.len()
}

/// By how many bytes a batch grew around `boundary`, for all sizes near it.
fn growths(boundary: usize, request: impl Fn(usize) -> Vec<u8>, signal: Signal) -> Vec<usize> {
    let scene = Scene::marking_all(&[("incident.id", "pagerduty:Q1")]);
    // The messages around the text add about 40 bytes, and ours as much again.
    (boundary - 90..boundary + 5).map(|size| check(&scene, signal, &request(size))).collect()
}

fn check_boundary(boundary: usize) {
    for growths in [
        growths(boundary, |size| trace_request(size, 0), Signal::Traces),
        growths(boundary, |size| trace_request(3, size), Signal::Traces),
        growths(boundary, log_request, Signal::Logs),
    ] {
        let (least, most) = (growths.iter().min().unwrap(), growths.iter().max().unwrap());
        assert!(most > least, "no length crossed {boundary}, so nothing was tested");
    }
}

#[test]
fn lengths_cross_128_bytes() {
    check_boundary(1 << 7);
}

#[test]
fn lengths_cross_16384_bytes() {
    check_boundary(1 << 14);
}

#[test]
fn lengths_cross_2097152_bytes() {
    let scene = Scene::marking_all(&[("incident.id", "pagerduty:Q1")]);
    let growths = [90, 60, 50, 40, 30, 20, 10, 0].map(|less| {
        let batch = trace_request((1 << 21) - less, 0);
        check(&scene, Signal::Traces, &batch)
    });
    assert!(growths.iter().max() > growths.iter().min(), "{growths:?}");
}

#[test]
fn an_annotation_alone_takes_all_three_lengths_over_a_boundary() {
    // 27 bytes become more than 16,384: each length goes from one byte to three.
    let scene = Scene::marking_all(&[("incident.id", &"i".repeat(1 << 14))]);
    let batch = trace_request(0, 0);
    let attribute = 1 + 3 + (2 + 11) + (1 + 3) + (1 + 3) + (1 << 14);
    assert_eq!(check(&scene, Signal::Traces, &batch), attribute + 3 * 2);
}
