//! Webhooks with arbitrary bodies, one after another, from senders that are authentic or not.

use faultline_annotator::{
    Annotator,
    entry::{Entry, Record},
    otlp::Signal,
    state::Extent,
    status::Item,
    time::{MINUTE, Nanos},
    webhook::{Receipt, Webhook},
};
use faultline_test_support::Generator;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// Low limits, so that they are met too.
pub const CONFIG: &str = r#"{
    "sources": {
        "pagerduty": {"kind": "pagerduty", "secrets": ["secret"], "preset": "webhookprocessor"},
        "alertmanager": {"kind": "alertmanager", "tokens": ["token"], "unmatched": "all",
            "attributes": {"team": "{label:team} {display}"}},
        "manual": {"kind": "manual", "tokens": ["token"], "lease": "1h", "manages": true},
        "github": {"kind": "github", "secrets": ["secret"]},
        "generic": {"kind": "generic", "tokens": ["token"], "fields": {"id": "/monitor/id", "state": "/event",
            "states": {"down": "triggered", "seen": "acknowledged", "up": "resolved", "idle": "ignored"},
            "title": "/monitor/name", "severity": "/monitor/tier", "severities": {"1": "critical"},
            "url": "/monitor/links/0/href", "display": "/monitor/name", "time": "/sent", "started": "/since",
            "service": "/monitor/app", "environment": "/monitor/stage", "labels": "/monitor/labels", "delivery": "/uuid",
            "test": "/dry_run"}},
        "batch": {"kind": "generic", "secrets": ["secret"], "signature": {"prefix": "sha256="}, "fields": {
            "events": "/events", "id": "/key", "state": "/state", "states": {"on": "triggered", "off": "resolved"},
            "started": "/since", "labels": "/tags", "delivery": "/batch"}}
    },
    "services": [{"source": "pagerduty", "id": "P4K9ZTC", "to": [{"service": "checkout"}]}],
    "match_normalized_names": true,
    "limits": {"open_incidents": 8, "alerts_per_webhook": 4, "webhook_bytes": 8192, "services_per_incident": 4}
}"#;
const WEBHOOK_BYTES_MAX: usize = 8192;
const SOURCES: [&str; 6] = ["pagerduty", "alertmanager", "manual", "github", "generic", "batch"];
/// Ten minutes behind the seeds' incidents.
const START: Nanos = 1_772_359_200_000_000_000 + 10 * MINUTE;
/// What stands between two bodies.
const SEPARATOR: &[u8] = b"\n---\n";
/// More say nothing new, and take long.
const BODIES_MAX: usize = 8;

/// Bits 0, 1 and 3 of the first byte choose the source, bit 2 spoils the sender's proof; behind it are the bodies.
///
/// Nothing panics, and `receive` changes nothing. The status is one that the contract lists; entries come with 202 alone,
/// and with 202 there are some; what is no JSON, nor a form of GitHub's, gets 400, and what is not authentic 401. Entries can be merged, merging them
/// again changes nothing, and in another order they give the same state. The same body once more is never malformed.
pub fn check(input: &[u8]) {
    let Some((chosen, bodies)) = input.split_first() else { return };
    let source = source_of(*chosen);
    let is_forged = chosen & 4 != 0;
    let mut annotator = annotator();
    let mut committed = Vec::new();
    let mut now = START;
    for body in split(bodies).take(BODIES_MAX) {
        let webhook = webhook(source, body, is_forged);
        let receipt = receive(&mut annotator, source, &webhook, now);
        check_receipt(&receipt, source, body, is_forged);
        commit(&mut annotator, &receipt.entries, now);
        committed.extend(receipt.entries);
        let again = receive(&mut annotator, source, &webhook, now + MINUTE);
        if [200, 202].contains(&receipt.status) {
            assert!([200, 202, 503].contains(&again.status), "once {}, then {}", receipt.status, again.status);
        } else {
            assert_eq!(receipt.status, again.status);
        }
        now += 2 * MINUTE;
    }
    check_merged_backwards(&annotator, &committed, now);
    look_at_all(&mut annotator, now);
}

/// The source that a first byte chooses, and a webhook of it with that body and the right proof.
#[must_use]
pub fn signed(chosen: u8, body: &[u8]) -> (&'static str, Webhook) {
    let source = source_of(chosen);
    (source, webhook(source, body, false))
}

fn source_of(chosen: u8) -> &'static str {
    SOURCES[usize::from((chosen & 3) | (chosen >> 1 & 4)) % SOURCES.len()]
}

fn annotator() -> Annotator {
    let mut annotator = Annotator::default();
    annotator.configure(CONFIG, "fuzz").expect("the configuration is right");
    annotator
}

fn split(mut bodies: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let at = bodies.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        is_over = at.is_none();
        let (body, behind) = at.map_or((bodies, &[][..]), |at| (&bodies[..at], &bodies[at + SEPARATOR.len()..]));
        bodies = behind;
        Some(body)
    })
}

fn webhook(source: &str, body: &[u8], is_forged: bool) -> Webhook {
    let signature = [
        ("pagerduty", "X-PagerDuty-Signature", "v1="),
        ("github", "X-Hub-Signature-256", "sha256="),
        ("batch", "X-Signature", "sha256="),
    ];
    let header = if let Some((_, name, prefix)) = signature.iter().find(|(signed, ..)| *signed == source) {
        let secret: &[u8] = if is_forged { b"another secret" } else { b"secret" };
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do").chain_update(body);
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        (*name, format!("{prefix}{digits}"))
    } else {
        ("Authorization", if is_forged { "Bearer guess".to_owned() } else { "Bearer token".to_owned() })
    };
    Webhook {
        method: "POST".to_owned(),
        url: format!("/webhooks/{source}"),
        headers: vec![
            (header.0.to_owned(), header.1.into_bytes()),
            ("X-GitHub-Event".to_owned(), b"deployment_status".to_vec()),
        ],
        body: body.to_vec(),
    }
}

fn receive(annotator: &mut Annotator, source: &str, webhook: &Webhook, now: Nanos) -> Receipt {
    let before = annotator.state(Extent::All);
    let receipt = annotator.receive(source, webhook, now);
    assert_eq!(annotator.state(Extent::All), before, "receiving changes nothing");
    receipt
}

fn check_receipt(receipt: &Receipt, source: &str, body: &[u8], is_forged: bool) {
    let Receipt { status, retry_after_secs, body: reply, entries, transitions } = receipt;
    assert!(serde_json::from_str::<Value>(reply).is_ok_and(|reply| reply.is_object()), "{reply}");
    assert_eq!(*status == 202, !entries.is_empty(), "{status} with {} entries", entries.len());
    assert_eq!(*status == 503, retry_after_secs.is_some());
    assert!([200, 202].contains(status) || transitions.is_empty(), "{status} with transitions");
    if body.len() > WEBHOOK_BYTES_MAX {
        assert_eq!(*status, 413);
    } else if is_forged {
        assert_eq!(*status, 401);
    } else if serde_json::from_slice::<Value>(body).is_err() && !(source == "github" && body.starts_with(b"payload=")) {
        assert_eq!(*status, 400, "{reply}");
    } else {
        assert!([200, 202, 400, 413, 503].contains(status), "{status} {reply}");
    }
    for entry in entries {
        assert!(entry.fits(), "{}", entry.key);
        let record =
            entry.record().unwrap_or_else(|| panic!("not readable: {}", String::from_utf8_lossy(&entry.bytes)));
        assert_eq!(Entry::of(&record), *entry, "what is read is written alike");
        if let Record::Incident(record) = record {
            let mut texts = record.snapshot.title.into_iter().chain(record.snapshot.display).chain(record.snapshot.url);
            assert!(texts.all(|text| !text.contains(char::is_control)), "control characters are taken out");
        }
    }
}

/// Merges what a receipt holds, twice.
fn commit(annotator: &mut Annotator, entries: &[Entry], now: Nanos) {
    annotator.merge(entries, now).expect("entries of a receipt can be merged");
    let once = annotator.state(Extent::All);
    let again = annotator.merge(entries, now).expect("and again");
    assert_eq!(again.changed, 0, "merging twice changes nothing");
    assert_eq!(annotator.state(Extent::All), once);
}

fn check_merged_backwards(expected: &Annotator, entries: &[Entry], now: Nanos) {
    let mut backwards = annotator();
    for entry in entries.iter().rev() {
        backwards.merge(std::slice::from_ref(entry), now).expect("one by one");
    }
    assert_eq!(backwards.state(Extent::All), expected.state(Extent::All), "the order does not matter");
    assert_eq!(format!("{:?}", backwards.open(now)), format!("{:?}", expected.open(now)));
}

/// All that is asked of incidents, on what came of the webhooks.
fn look_at_all(annotator: &mut Annotator, now: Nanos) {
    let batch = Generator { items: 4, from: START - MINUTE, until: now, ..Generator::default() };
    for signal in [Signal::Traces, Signal::Logs] {
        annotator.process(signal, &batch.bytes(crate::scene::plain_signal(signal)), now);
    }
    for status in annotator.open(now) {
        let found = annotator.find(&status.view.key.to_string(), now);
        assert!(found.is_ok(), "an open incident is found by its key: {found:?}");
    }
    let item = Item { service: "checkout", namespace: None, environment: Some("production"), time: now };
    let _ = (annotator.explain(item, now), annotator.gaps(now), annotator.counters());
    let expiry = annotator.expire(now + 100 * 60 * MINUTE);
    annotator.merge(&expiry.entries, now + 100 * 60 * MINUTE).expect("expiries can be merged");
    assert_eq!(annotator.expire(now + 100 * 60 * MINUTE).entries, [], "each expiry is reported once");
}
