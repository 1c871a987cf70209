//! Every default and every limit, each with its reason. What an operator can change has a key in [`crate::config`].

use crate::time::{HOUR, MINUTE, Nanos, SECOND};

// === Event time ===

/// How long before its start an incident marks telemetry. The webhook arrives minutes after the trouble began, and alert
/// rules wait (`for: 5m`) before they fire.
pub const LOOKBACK: Nanos = 5 * MINUTE;
/// How long after its end an incident marks telemetry: recovery shows in the telemetry before and after the resolve.
pub const GRACE: Nanos = 5 * MINUTE;
/// How long a closed window is kept for telemetry that arrives late (queues, retries, tail sampling).
pub const KEEP_CLOSED: Nanos = HOUR;
/// How far ahead of its receipt a sender may date an event or a start; beyond, the receipt plus this counts. Twice the
/// skew that NTP-less hosts commonly show, and the tolerance of the webhook signature schemes.
pub const AHEAD_MAX: Nanos = 5 * MINUTE;
/// A `firing` older than the resolve before it is a straggler for this long, afterwards a second sender that disagrees.
pub const DISAGREE_AFTER: Nanos = MINUTE;

// === Leases and the horizon ===

/// Incidents of people are looked at daily.
pub const LEASE: Nanos = 24 * HOUR;
/// Alertmanager repeats after 4 h by default: two repeats and a margin.
pub const LEASE_ALERTS: Nanos = 9 * HOUR;
/// Below this a lease would expire between two re-sends of any sender that re-sends.
pub const LEASE_MIN: Nanos = MINUTE;
/// What is older than the newest receipt by this is forgotten: the longest retry horizon known (Standard Webhooks,
/// 75 h 35 min).
pub const HORIZON: Nanos = 76 * HOUR;
/// An entry received this long after the host's own time was stamped by a wrong clock, and would move the horizon.
pub const RECEIVED_AHEAD_MAX: Nanos = HOUR;

// === Counts ===

/// Incidents open at a time, over all sources. `receive` answers 503 beyond it. Far above what people can work on; below
/// what a misconfigured alert rule can produce in an hour.
pub const OPEN_INCIDENTS_MAX: usize = 10_000;
/// Entries that one plugin holds; `merge` fails whole beyond it. At about 1 KiB an entry this bounds the state to about
/// 200 MiB.
pub const ENTRIES_MAX: usize = 200_000;
/// Bytes of entries that one plugin holds; `merge` fails whole beyond it.
pub const STATE_BYTES_MAX: usize = 192 * 1024 * 1024;
/// Bytes of one entry: an incident with every text at its limit, and every character escaped, stays below.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an entry's key.
pub const ENTRY_KEY_BYTES_MAX: usize = 1024;
/// Alerts in one webhook. Alertmanager sends all of a group unless `max_alerts` is set.
pub const ALERTS_PER_WEBHOOK_MAX: usize = 10_000;
/// Services that one incident may name.
pub const SERVICES_PER_INCIDENT_MAX: usize = 64;
/// Labels kept of one incident; what comes later in the alphabet is cut.
pub const LABELS_PER_INCIDENT_MAX: usize = 64;
/// Incidents whose windows concern one service; the most severe are kept. One bit each in the masks of the hot path.
pub const INCIDENTS_PER_SERVICE_MAX: usize = 64;
/// Ids that `incident.ids` lists on one item, most severe first: an attribute value must stay readable.
pub const INCIDENT_IDS_PER_ITEM_MAX: usize = 16;
/// Attributes that one source may add beside those of the prefix.
pub const EXTRA_ATTRIBUTES_MAX: usize = 16;
/// Combinations of incidents whose attributes are kept compiled; others are compiled when met.
pub const ANNOTATIONS_KEPT_MAX: usize = 1024;
/// Names in each list of `gaps`.
pub const GAPS_MAX: usize = 1000;
/// With no incident open a batch is not looked at; one in so many is walked for the names of its services, so that
/// `gaps` knows them. Costs 0.0006 of a copy of the batches.
pub const SERVICES_SEEN_ONE_IN: u64 = 64;

// === Sizes ===

/// A webhook's body. PagerDuty sends at most 256 KB; Alertmanager has no bound of its own.
pub const WEBHOOK_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of a webhook's JSON. The deepest documented payload has 8 levels.
pub const WEBHOOK_DEPTH_MAX: usize = 64;
/// A telemetry batch: gRPC servers accept 4 to 64 MiB.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// An external id. PagerDuty has 7 to 14 characters, fingerprints 16.
pub const ID_BYTES_MAX: usize = 256;
/// A title, cut on a character's boundary.
pub const TITLE_BYTES_MAX: usize = 1024;
/// A URL; longer ones are dropped, since half a link leads nowhere.
pub const URL_BYTES_MAX: usize = 2048;
/// A label's name or value, or the name of a service, cut on a character's boundary.
pub const LABEL_BYTES_MAX: usize = 256;
/// A configuration.
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Faults listed for one configuration.
pub const CONFIG_ERRORS_MAX: usize = 200;
/// Seconds in `Retry-After` when a limit is reached: long enough to be worth it, inside every sender's patience.
pub const RETRY_AFTER_SECS: u32 = 30;
/// Nested groups in protobuf; deeper ones are refused. The protobuf libraries stop at 100.
pub const GROUP_DEPTH_MAX: usize = 64;
/// Steps that the walk of one batch may take for each of its bytes. Every step consumes a byte and each byte is read
/// by at most the resource scan, the span scan and the copy.
pub const STEPS_PER_BYTE_MAX: u64 = 4;

/// Seconds as nanoseconds, for callers that count in seconds.
#[must_use]
pub fn seconds(seconds: u64) -> Nanos {
    seconds.saturating_mul(SECOND)
}
