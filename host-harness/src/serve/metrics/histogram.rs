//! A histogram of lengths of time, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Family, Kind, Point, Value};

/// Counts by fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// Seconds: from a batch that concerns no incident to a next hop that hardly answers.
const BOUNDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

// === impl Histogram ===

impl Histogram {
    /// Adds one value.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// As it stands.
    #[must_use]
    pub fn family(&self, name: &str, help: &str) -> Family {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64();
        let value = Value::Distribution { bounds: BOUNDS.to_vec(), counts, sum };
        Family {
            name: name.to_owned(),
            help: help.to_owned(),
            kind: Kind::Histogram,
            unit: "seconds",
            points: vec![Point { labels: Vec::new(), value }],
        }
    }
}
