//! The first byte of an input: which incidents are open, and what may be marked. The rest is the batch.

use faultline_annotator::{
    annotation::Value,
    config::SpanMarking,
    otlp::{Marking, Signal},
};
use faultline_test_support::Generator;

use crate::scene::{EVERYTHING, Scene, TestIncident};

/// Incidents, and what they may mark.
pub(crate) struct Variant {
    pub(crate) scene: Scene,
    pub(crate) marking: Marking,
}

const SECOND: u64 = 1_000_000_000;

// === impl Variant ===

impl Variant {
    /// The variant that the first byte chooses, and the batch behind it; none of an empty input.
    ///
    /// Bits 0 to 2 choose the incidents, 3 and 4 the spans, 5 and 6 leave out data points and exemplars.
    pub(crate) fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (chosen, batch) = input.split_first()?;
        let spans = [SpanMarking::All, SpanMarking::EntryAndError, SpanMarking::All, SpanMarking::Off];
        let marking = Marking {
            spans: spans[usize::from(chosen >> 3 & 3)],
            points: chosen & 1 << 5 == 0,
            exemplars: chosen & 1 << 6 == 0,
            ..EVERYTHING
        };
        Some((Self { scene: scene(chosen & 7), marking }, batch))
    }

    /// The same with two bytes in front of the batch, of which the second chooses the signal.
    pub(crate) fn split_with_signal(input: &[u8]) -> Option<(Self, Signal, &[u8])> {
        let (variant, rest) = Self::split(input)?;
        let (signal, batch) = rest.split_first()?;
        Some((variant, signal_of(*signal), batch))
    }
}

/// The signal that a byte chooses.
pub(crate) fn signal_of(byte: u8) -> Signal {
    [Signal::Traces, Signal::Metrics, Signal::Logs][usize::from(byte % 3)]
}

/// Each is a way through the rewriter that the others do not take.
fn scene(number: u8) -> Scene {
    let Generator { from, .. } = Generator::default();
    let everywhere = TestIncident::everywhere;
    let during = |incident: TestIncident, from: u64, until: u64| TestIncident { from, until, ..incident };
    let id = everywhere(&[("incident.id", "pagerduty:Q1"), ("incident.severity", "critical")]);
    let incidents = match number {
        // Whatever it is and whenever.
        0 => vec![id],
        // Some of the minute in which the seeds lie.
        1 => vec![during(id, from + 20 * SECOND, from + 40 * SECOND)],
        // Keys that telemetry has of its own; some items lack some of them.
        2 => vec![everywhere(&[("incident.id", "a"), ("http.route", "ours"), ("thread.id", "ours"), ("k", "")])],
        // Two that overlap, with attributes in common, and lists and flags.
        3 => {
            let mut second = during(everywhere(&[("incident.id", "b")]), from + 30 * SECOND, u64::MAX);
            let ids = Value::Texts(vec!["a".to_owned(), "b".to_owned()]);
            second
                .attributes
                .extend([("incident.ids".to_owned(), ids), ("incident.active".to_owned(), Value::Flag(true))]);
            vec![during(id, from, from + 40 * SECOND), during(second, from + 30 * SECOND, u64::MAX)]
        }
        // Some services, in one environment and namespace.
        4 => {
            let services = vec!["checkout".to_owned(), "cart".to_owned(), String::new()];
            let (environment, namespace) = (Some("production".to_owned()), Some("shop".to_owned()));
            vec![TestIncident { services, environment, namespace, ..id }]
        }
        // One kept out while the other has nothing left to add.
        5 => {
            vec![everywhere(&[("http.route", "a"), ("absent", "b")]), everywhere(&[("absent", "c"), ("url.path", "d")])]
        }
        // Too many beginnings to be searched for, and a text that takes every length over a boundary.
        6 => {
            let long = "x".repeat(130);
            vec![everywhere(&[
                ("a", &long),
                ("b.b", ""),
                ("service.name", ""),
                ("incident.id", ""),
                ("z", "z"),
                ("k", ""),
            ])]
        }
        // As little as can be added: padding may outweigh it.
        _ => return Scene::marking_all(&[("k", "")]),
    };
    Scene { incidents }
}
