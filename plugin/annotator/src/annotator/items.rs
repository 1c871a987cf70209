//! What became of batches and items, per signal.

use crate::counters::Counters;
use crate::otlp::{Signal, Tally};

/// Counts of the three signals. Plain numbers: the hot path adds to them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Items {
    traces: Batches,
    metrics: Batches,
    logs: Batches,
}

/// Counts of one signal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Batches {
    pub(super) unchanged: u64,
    pub(super) replaced: u64,
    pub(super) refused: u64,
    pub(super) tally: Tally,
}

// === impl Items ===

impl Items {
    pub(super) fn of(&mut self, signal: Signal) -> &mut Batches {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        }
    }

    pub(super) fn count_into(&self, counters: &mut Counters) {
        for (signal, batches) in
            [(Signal::Traces, &self.traces), (Signal::Metrics, &self.metrics), (Signal::Logs, &self.logs)]
        {
            batches.count_into(signal.name(), counters);
        }
    }
}

// === impl Batches ===

impl Batches {
    fn count_into(&self, signal: &str, counters: &mut Counters) {
        let Self { unchanged, replaced, refused, tally } = *self;
        let Tally {
            resources_seen,
            resources_without_service,
            resources_unaffected,
            items_seen,
            items_marked,
            items_already_marked,
            items_outside_window,
            items_without_time,
            items_not_entry_or_error,
            items_nothing_absent,
        } = tally;
        for (name, count) in [
            ("batches.unchanged", unchanged),
            ("batches.replaced", replaced),
            ("batches.refused", refused),
            ("resources.seen", resources_seen),
            ("resources.without_service", resources_without_service),
            ("resources.unaffected", resources_unaffected),
            ("items.seen", items_seen),
            ("items.marked", items_marked),
            ("items.already_marked", items_already_marked),
        ] {
            counters.add(name, &[("signal", signal)], count);
        }
        for (reason, count) in [
            ("outside-window", items_outside_window),
            ("without-time", items_without_time),
            ("not-entry-or-error", items_not_entry_or_error),
            ("nothing-absent", items_nothing_absent),
        ] {
            counters.add("items.skipped", &[("reason", reason), ("signal", signal)], count);
        }
    }
}
