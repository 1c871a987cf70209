//! Batches that no file holds: a seed and a number stand for thousands of items.

use faultline_test_support::Generator;

use super::format::Generate;
use crate::plugin::Signal;
use crate::time::{Nanos, SECOND};

/// How long before the step generated items begin.
const SPREAD: Nanos = 60 * SECOND;

/// Makes a batch whose items lie in the minute before `now`.
pub(super) fn batch(signal: Signal, generate: &Generate, now: Nanos) -> Vec<u8> {
    let generator = Generator {
        seed: generate.seed,
        items: generate.items,
        services: generate.services.clone(),
        from: now.saturating_sub(SPREAD),
        until: now,
        environment: None,
        namespace: None,
    };
    generator.bytes(match signal {
        Signal::Traces => faultline_test_support::Signal::Traces,
        Signal::Metrics => faultline_test_support::Signal::Metrics,
        Signal::Logs => faultline_test_support::Signal::Logs,
    })
}
