//! What the server counts of itself, named after the Collector's own metrics where it counts the same.
//!
//! Source of the list: OpenTelemetry Collector, "Internal telemetry", and its requirements for stable components: what was
//! received, what was sent, what was lost to errors, what is held and how much may be, how long it takes.

mod family;
mod histogram;
mod otlp;
mod prometheus;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub use family::{Family, Kind, Labels, Point, Value};
pub use histogram::Histogram;
pub use otlp::request as to_otlp;
pub use prometheus::render as to_prometheus;

use super::otlp::hop::Transport;
use super::otlp::refusal::Refusal;
use super::otlp::signal;
use crate::plugin::Signal;

/// Counters and histograms of the whole server.
#[derive(Debug, Default)]
pub struct Metrics {
    /// From a request that was read to its answer.
    pub request_seconds: Histogram,
    /// Within that: marking.
    pub plugin_seconds: Histogram,
    /// From a webhook that was read to its answer.
    pub webhook_seconds: Histogram,
    accepted: BySignal,
    refused: BySignal,
    unmarked: [[AtomicU64; 3]; 4],
    /// Sums by family and labels: of what happens less than once a batch, or has labels of the configuration.
    sums: Mutex<BTreeMap<(&'static str, Labels), u64>>,
}

/// For each signal and transport: for good, and for the moment.
type BySignal = [[[AtomicU64; 2]; 2]; 3];

/// Why items that perhaps should have been marked were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmarked {
    /// Somebody stopped marking.
    Stopped,
    /// As much was held as may be.
    NoMemory,
    /// The plugin could not read the batch.
    Refused,
    /// The plugin trapped, or ran out of time or memory.
    Failed,
}

/// Families whose points are in `sums`: name, help.
const SUMS: [(&str, &str); 15] = [
    (SENT[0], "Spans that a next hop took."),
    (SENT[1], "Data points that a next hop took."),
    (SENT[2], "Log records that a next hop took."),
    (SEND_FAILED[0], "Spans that a next hop did not take; retryable ones are sent again by their sender."),
    (SEND_FAILED[1], "Data points that a next hop did not take; retryable ones are sent again by their sender."),
    (SEND_FAILED[2], "Log records that a next hop did not take; retryable ones are sent again by their sender."),
    (WEBHOOKS, "Webhooks answered."),
    (TRANSITIONS, "What webhooks and the passing of time did to incidents."),
    (LEASE_EXPIRIES, "Incidents whose lease ran out before any word of their end."),
    (JOURNAL_FAILURES, "Entries that could not be made durable; the sender got 503."),
    (RELOADS, "Configurations read again."),
    (RECONCILIATIONS, "Alertmanagers asked what is open."),
    (SPOKE_REQUESTS, "Requests of spokes for the state, answered; 304 is that nothing has changed."),
    (SPOKES_UNAUTHENTIC, "Requests of spokes without a valid token."),
    (CONNECTIONS_REFUSED, "Connections that ended before a request: TLS failed."),
];
const SENT: [&str; 3] = ["exporter_sent_spans", "exporter_sent_metric_points", "exporter_sent_log_records"];
const SEND_FAILED: [&str; 3] =
    ["exporter_send_failed_spans", "exporter_send_failed_metric_points", "exporter_send_failed_log_records"];
const WEBHOOKS: &str = "webhooks";
const TRANSITIONS: &str = "incident_transitions";
const LEASE_EXPIRIES: &str = "lease_expiries";
const JOURNAL_FAILURES: &str = "journal_failures";
const RELOADS: &str = "config_reloads";
const RECONCILIATIONS: &str = "reconciliations";
const SPOKE_REQUESTS: &str = "spoke_requests";
const SPOKES_UNAUTHENTIC: &str = "spokes_unauthentic";
const CONNECTIONS_REFUSED: &str = "connections_refused";

// === impl Metrics ===

impl Metrics {
    /// A request was answered.
    pub fn received(&self, signal: Signal, transport: Transport, items: u64, refusal: Option<&Refusal>) {
        match refusal {
            None => add(&self.accepted[index(signal)][transport as usize][0], items),
            Some(refusal) => {
                add(&self.refused[index(signal)][transport as usize][usize::from(refusal.is_retryable())], items);
            }
        }
    }

    /// A request was refused before its items could be counted: it counts as one.
    pub fn refused_unread(&self, signal: Signal, transport: Transport, refusal: &Refusal) {
        self.received(signal, transport, 1, Some(refusal));
    }

    /// Items were handed on that the plugin did not see, or could do nothing about.
    pub fn unmarked(&self, signal: Signal, why: Unmarked, items: u64) {
        add(&self.unmarked[why as usize][index(signal)], items);
    }

    /// A next hop answered, or did not.
    pub fn sent(&self, endpoint: &str, signal: Signal, items: u64, refusal: Option<&Refusal>) {
        let endpoint = ("endpoint", endpoint.to_owned());
        match refusal {
            None => self.sum(SENT[index(signal)], vec![endpoint], items),
            Some(refusal) => {
                let retryable = ("retryable", refusal.is_retryable().to_string());
                self.sum(SEND_FAILED[index(signal)], vec![endpoint, retryable], items);
            }
        }
    }

    /// A webhook was answered. `source` must be a configured one: anybody can make up another.
    pub fn webhook(&self, source: &str, status: u16) {
        self.sum(WEBHOOKS, vec![("source", source.to_owned()), ("status", status.to_string())], 1);
    }

    /// Something happened to an incident.
    pub fn transition(&self, source: &str, kind: &str) {
        self.sum(TRANSITIONS, vec![("kind", kind.to_owned()), ("source", source.to_owned())], 1);
        if kind == "expired" {
            self.sum(LEASE_EXPIRIES, vec![("source", source.to_owned())], 1);
        }
    }

    /// Entries could not be made durable.
    pub fn journal_failed(&self) {
        self.sum(JOURNAL_FAILURES, Vec::new(), 1);
    }

    /// A configuration was read again.
    pub fn reloaded(&self, is_in_force: bool) {
        let result = if is_in_force { "in-force" } else { "refused" };
        self.sum(RELOADS, vec![("result", result.to_owned())], 1);
    }

    /// An Alertmanager was asked.
    pub fn reconciled(&self, source: &str, is_answered: bool) {
        let result = if is_answered { "answered" } else { "failed" };
        self.sum(RECONCILIATIONS, vec![("result", result.to_owned()), ("source", source.to_owned())], 1);
    }

    /// A spoke asked for the state.
    pub fn spoke_request(&self, status: u16) {
        self.sum(SPOKE_REQUESTS, vec![("status", status.to_string())], 1);
    }

    /// Whoever asked for the state showed no valid token.
    pub fn spoke_unauthentic(&self, reason: &str) {
        self.sum(SPOKES_UNAUTHENTIC, vec![("reason", reason.to_owned())], 1);
    }

    /// A connection did not come to a request.
    pub fn connection_refused(&self, listener: &str) {
        self.sum(CONNECTIONS_REFUSED, vec![("listener", listener.to_owned())], 1);
    }

    fn sum(&self, family: &'static str, labels: Labels, count: u64) {
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner).entry((family, labels)).or_default() += count;
    }

    /// Everything as it stands.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            families.push(self.accepted_family(signal));
            families.push(self.refused_family(signal));
            families.push(self.unmarked_family(signal));
        }
        families.push(self.request_seconds.family("request_duration", "From a request that was read to its answer."));
        families.push(self.plugin_seconds.family("plugin_duration", "Time in which the plugin had a batch."));
        families.push(self.webhook_seconds.family("webhook_duration", "From a webhook that was read to its answer."));
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, help) in SUMS {
            let points = sums.iter().filter(|((family, _), _)| *family == name);
            let points =
                points.map(|((_, labels), value)| Point { labels: labels.clone(), value: Value::Count(*value) });
            families.push(Family::counter(name, help, points.collect()));
        }
        families
    }

    fn accepted_family(&self, signal: Signal) -> Family {
        let points = TRANSPORTS.map(|(transport, name)| Point {
            labels: vec![("transport", name.to_owned())],
            value: Value::Count(read(&self.accepted[index(signal)][transport as usize][0])),
        });
        let name = format!("receiver_accepted_{}", signal::item(signal));
        Family::counter(name, "Received, and taken by every next hop.", points.to_vec())
    }

    fn refused_family(&self, signal: Signal) -> Family {
        let mut points = Vec::new();
        for (transport, name) in TRANSPORTS {
            for retryable in [false, true] {
                points.push(Point {
                    labels: vec![("retryable", retryable.to_string()), ("transport", name.to_owned())],
                    value: Value::Count(read(&self.refused[index(signal)][transport as usize][usize::from(retryable)])),
                });
            }
        }
        let name = format!("receiver_refused_{}", signal::item(signal));
        let help = "Received, and refused; a request that was not read counts as one. Retryable ones come again.";
        Family::counter(name, help, points)
    }

    fn unmarked_family(&self, signal: Signal) -> Family {
        let reasons = [
            (Unmarked::Stopped, "stopped"),
            (Unmarked::NoMemory, "no-memory"),
            (Unmarked::Refused, "refused"),
            (Unmarked::Failed, "failed"),
        ];
        let points = reasons.map(|(why, name)| Point {
            labels: vec![("reason", name.to_owned())],
            value: Value::Count(read(&self.unmarked[why as usize][index(signal)])),
        });
        let name = format!("unmarked_{}", signal::item(signal));
        Family::counter(name, "Handed on as they came, and possibly not marked though they should be.", points.to_vec())
    }
}

const TRANSPORTS: [(Transport, &str); 2] = [(Transport::Grpc, "grpc"), (Transport::Http, "http")];

fn index(signal: Signal) -> usize {
    match signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::super::otlp::refusal::Code;
    use super::*;

    #[test]
    fn what_is_counted_is_told_in_the_text_of_prometheus() {
        let metrics = Metrics::default();
        metrics.received(Signal::Traces, Transport::Grpc, 512, None);
        metrics.received(Signal::Logs, Transport::Http, 7, Some(&Refusal::new(Code::Unavailable, "x")));
        metrics.unmarked(Signal::Traces, Unmarked::Failed, 3);
        metrics.sent("http://a\"b\\c", Signal::Traces, 512, None);
        metrics.request_seconds.observe(std::time::Duration::from_millis(3));
        let text = prometheus::render(&metrics.families());
        for line in [
            "faultline_receiver_accepted_spans_total{transport=\"grpc\"} 512",
            "faultline_receiver_refused_log_records_total{retryable=\"true\",transport=\"http\"} 7",
            "faultline_unmarked_spans_total{reason=\"failed\"} 3",
            "faultline_exporter_sent_spans_total{endpoint=\"http://a\\\"b\\\\c\"} 512",
            "faultline_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "faultline_request_duration_seconds_count 1",
            "# TYPE faultline_request_duration_seconds histogram",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }
}
