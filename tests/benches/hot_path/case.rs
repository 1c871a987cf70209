//! What is measured: batches, and a plugin in the state in which it meets them.

use faultline::plugin::{Build, Outcome, Plugin, Signal, Webhook};
use faultline::time::{Nanos, SECOND};
use faultline_test_support::Generator;

use crate::native::Native;

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) signal: Signal,
    /// Spans, log records or data points in each batch.
    pub(crate) items: usize,
    pub(crate) situation: Situation,
}

/// How the batches and the open incidents stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    NoIncident,
    NoneMatching,
    TenPercent,
    AllMarked,
    OutsideWindow,
    AlreadyMarked,
}

/// The time of every call.
pub(crate) const NOW: Nanos = 1_772_359_260_000_000_000;
const CONFIG: &str = r#"{
    "sources": {"manual": {"kind": "manual", "tokens": ["t"]}},
    "metrics": {"points": "on", "accept_identity_change": true, "exemplars": "on"}
}"#;
/// The value of `incident.url`: with it, an annotation takes as much as PagerDuty's do.
const URL: &str = "https://example.pagerduty.com/incidents/Q2KZ4YBXW5HL0N";

// === impl Case ===

impl Case {
    /// In the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for items in [512, 8192, 8] {
            cases.extend(Situation::ALL.map(|situation| Self { signal: Signal::Traces, items, situation }));
        }
        for signal in [Signal::Logs, Signal::Metrics] {
            for situation in [Situation::TenPercent, Situation::AllMarked, Situation::AlreadyMarked] {
                cases.push(Self { signal, items: 512, situation });
            }
        }
        cases
    }

    /// For example `traces-512-all-marked`.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-{}", self.signal_name(), self.items, self.situation.name())
    }

    /// For example `traces`.
    pub(crate) fn signal_name(&self) -> &'static str {
        match self.signal {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// Batches that differ, as many as outgrow the caches next to the processor.
    pub(crate) fn batches(&self) -> Vec<Vec<u8>> {
        let plain = match self.signal {
            Signal::Traces => faultline_test_support::Signal::Traces,
            Signal::Metrics => faultline_test_support::Signal::Metrics,
            Signal::Logs => faultline_test_support::Signal::Logs,
        };
        let count = if self.items > 1000 { 3 } else { 32 };
        let batches = (0..count).map(|seed| Generator { seed, items: self.items, ..Generator::default() }.bytes(plain));
        if self.situation != Situation::AlreadyMarked {
            return batches.collect();
        }
        let mut plugin = Native.instantiate().expect("needs nothing");
        Self { situation: Situation::AllMarked, ..self.clone() }.set_up(plugin.as_mut());
        let marked = batches.map(|batch| match plugin.process(self.signal, &batch, NOW) {
            Ok(Outcome::Replaced(marked)) => marked,
            other => panic!("nothing was marked: {other:?}"),
        });
        marked.collect()
    }

    /// Configures a new plugin, and opens the incident of the situation.
    pub(crate) fn set_up(&self, plugin: &mut dyn Plugin) {
        let configured = plugin.configure(CONFIG, "bench").expect("no trap");
        configured.expect("the configuration is valid");
        let services = self.situation.services();
        if services.is_empty() {
            return;
        }
        let body = format!(
            r#"{{"action": "open", "id": "Q2KZ4YBXW5HL0N", "severity": "critical", "url": "{URL}", "services": {services:?}}}"#
        );
        let webhook = Webhook {
            method: "POST".to_owned(),
            url: "/".to_owned(),
            headers: vec![("Authorization".to_owned(), b"Bearer t".to_vec())],
            body: body.into_bytes(),
        };
        let opened = self.situation.opened();
        let receipt = plugin.receive("manual", &webhook, opened).expect("no trap");
        assert_eq!(receipt.status, 202, "{}", receipt.body);
        plugin.merge(&receipt.entries, opened).expect("no trap").expect("there is room");
    }
}

// === impl Situation ===

impl Situation {
    const ALL: [Self; 6] = [
        Self::NoIncident,
        Self::NoneMatching,
        Self::TenPercent,
        Self::AllMarked,
        Self::OutsideWindow,
        Self::AlreadyMarked,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoIncident => "no-incident",
            Self::NoneMatching => "none-matching",
            Self::TenPercent => "ten-percent",
            Self::AllMarked => "all-marked",
            Self::OutsideWindow => "outside-window",
            Self::AlreadyMarked => "already-marked",
        }
    }

    /// Those that the incident names.
    pub(crate) fn services(self) -> Vec<String> {
        match self {
            Self::NoIncident => Vec::new(),
            Self::NoneMatching => vec!["warehouse".to_owned()],
            Self::TenPercent => vec!["checkout".to_owned()],
            Self::AllMarked | Self::OutsideWindow | Self::AlreadyMarked => Generator::default().services,
        }
    }

    /// Whether a batch changes.
    pub(crate) fn changes(self) -> bool {
        matches!(self, Self::TenPercent | Self::AllMarked)
    }

    /// When the incident began; its window begins five minutes before.
    fn opened(self) -> Nanos {
        if self == Self::OutsideWindow { NOW + 600 * SECOND } else { NOW }
    }
}
