//! The smallest configuration and incident there are, and telemetry for it: what suites need that test something else.

#![allow(dead_code, reason = "each suite is a crate of its own and uses a part")]

use faultline::plugin::Webhook;
use faultline::time::{Nanos, SECOND};
use faultline_test_support::{Generator, Signal};

/// One source, `manual`.
pub(crate) const CONFIG: &str = r#"{"sources": {"manual": {"kind": "manual", "tokens": ["manual-test-token"]}}}"#;
/// 2026-03-01T10:01:00Z.
pub(crate) const NOW: Nanos = 1_772_359_260 * SECOND;
const OPEN: &str = r#"{"action": "open", "id": "1", "title": "broken", "severity": "high", "services": ["checkout"]}"#;

/// An authentic webhook of that source.
pub(crate) fn webhook(body: &str) -> Webhook {
    Webhook {
        method: "POST".to_owned(),
        url: "/webhooks/manual".to_owned(),
        headers: vec![("Authorization".to_owned(), b"Bearer manual-test-token".to_vec())],
        body: body.as_bytes().to_vec(),
    }
}

/// An incident of `checkout` begins.
pub(crate) fn open() -> Webhook {
    webhook(OPEN)
}

/// Spans of one service in the minute before [`NOW`].
pub(crate) fn spans_of(service: &str, items: usize, seed: u64) -> Vec<u8> {
    let services = vec![service.to_owned()];
    let generator = Generator { items, services, seed, from: NOW - 60 * SECOND, until: NOW, ..Generator::default() };
    generator.bytes(Signal::Traces)
}
