//! What became of a load.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;

use crate::code::Code;

/// What was sent, and how it was answered.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Requests that were begun, however often each was tried.
    pub requests: u64,
    /// Those that were taken, in part or whole.
    pub accepted_requests: u64,
    /// Spans, log records or data points that were taken.
    pub accepted_items: u64,
    /// Items that were not, of requests that were: by partial success.
    pub rejected_items: u64,
    /// Every answer to every attempt.
    pub answers: BTreeMap<Code, u64>,
    /// From when a request was due until it had ended, retries included.
    pub latency: Latency,
    /// From the beginning until the last request had ended.
    pub elapsed: Duration,
}

/// Durations, to three digits, from 1 µs to 10 min; longer ones count as 10 min.
#[derive(Clone)]
pub struct Latency {
    micros: Histogram<u64>,
}

const LONGEST_MICROS: u64 = 600_000_000;

// === impl Outcome ===

impl Outcome {
    /// Puts the requests of another load to these. The time is the longer one, as of loads that run beside each other.
    pub fn add(&mut self, other: &Self) {
        let Self { requests, accepted_requests, accepted_items, rejected_items, answers, latency, elapsed } = other;
        self.requests += requests;
        self.accepted_requests += accepted_requests;
        self.accepted_items += accepted_items;
        self.rejected_items += rejected_items;
        for (code, count) in answers {
            *self.answers.entry(*code).or_default() += count;
        }
        self.latency.add(latency);
        self.elapsed = self.elapsed.max(*elapsed);
    }

    /// Whether every request was taken whole.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.accepted_requests == self.requests && self.rejected_items == 0
    }
}

// === impl Latency ===

impl Default for Latency {
    fn default() -> Self {
        // Bounds that differ and a precision of 3 cannot be refused: see `Histogram::new_with_bounds`.
        let micros = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are valid");
        Self { micros }
    }
}

impl Latency {
    /// Puts one to the others.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.micros.saturating_record(micros.clamp(1, LONGEST_MICROS));
    }

    /// Puts all of `other` to these.
    pub fn add(&mut self, other: &Self) {
        // Never refused: the bounds are the same.
        _ = self.micros.add(&other.micros);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The latency that such a part of all do not exceed: 0.5 for the median. Zero where there is none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_quantile(part))
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.micros.max())
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Latency")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("longest", &self.longest())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let mut latency = Latency::default();
        for micros in 1..=10_000 {
            latency.record(Duration::from_micros(micros));
        }
        for (part, expected) in [(0.5, 5000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let micros = latency.quantile(part).as_secs_f64() * 1e6;
            assert!((micros / expected - 1.0).abs() < 0.002, "{part}: {micros}");
        }
        assert_eq!(Latency::default().quantile(0.99), Duration::ZERO);
    }

    #[test]
    fn what_is_out_of_bounds_counts_at_the_bound() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(100_000));
        assert_eq!((latency.count(), latency.quantile(0.0)), (2, Duration::from_micros(1)));
        assert!((595..605).contains(&latency.longest().as_secs()), "{latency:?}");
    }

    #[test]
    fn outcomes_add_up() {
        let mut one = Outcome { requests: 2, accepted_requests: 1, accepted_items: 5, ..Outcome::default() };
        one.answers.insert(Code::Grpc(0), 1);
        one.answers.insert(Code::Broken, 1);
        one.latency.record(Duration::from_millis(1));
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.requests, sum.accepted_requests, sum.accepted_items), (4, 2, 10));
        assert_eq!(sum.answers, BTreeMap::from([(Code::Grpc(0), 2), (Code::Broken, 2)]));
        assert_eq!(sum.latency.count(), 2);
        assert!(!sum.is_clean());
    }
}
