//! Histories of webhooks: however they are repeated, reordered and spread over replicas, one state comes out.

use faultline_annotator::Annotator;
use faultline_annotator::entry::Entry;
use faultline_annotator::state::{Extent, Standing};
use faultline_annotator::time::{MINUTE, Nanos, Rfc3339, SECOND};
use faultline_annotator::webhook::{Receipt, Webhook};
use proptest::prelude::*;

const CONFIG: &str = r#"{
    "sources": {"manual": {"kind": "manual", "tokens": ["token"], "lease": "75h"}},
    "window": {"keep_closed": "1h"}
}"#;
const START: Nanos = 1_772_359_200 * SECOND;

/// One event of an incident's history, as its sender knows it.
#[derive(Clone, Debug)]
struct Event {
    incident: u8,
    action: &'static str,
    minute: u64,
}

impl Event {
    fn webhook(&self) -> Webhook {
        let Self { incident, action, minute } = self;
        let at = Rfc3339(START + minute * MINUTE);
        let body = format!(
            r#"{{"action": "{action}", "id": "Q{incident}", "at": "{at}", "started_at": "{}", "services": ["s{incident}"],
                "title": "{action} at {minute}", "severity": "high", "delivery_id": "{incident}-{minute}"}}"#,
            Rfc3339(START)
        );
        Webhook {
            method: "POST".to_owned(),
            url: "/webhooks/manual".to_owned(),
            headers: vec![("authorization".to_owned(), b"Bearer token".to_vec())],
            body: body.into_bytes(),
        }
    }
}

fn annotator() -> Annotator {
    let mut annotator = Annotator::default();
    annotator.configure(CONFIG, "test").unwrap();
    annotator
}

/// Receives, commits and merges.
fn deliver(annotator: &mut Annotator, event: &Event, now: Nanos) -> Vec<Entry> {
    let Receipt { status, entries, body, .. } = annotator.receive("manual", &event.webhook(), now);
    assert!(matches!(status, 200 | 202), "{status} {body}");
    annotator.merge(&entries, now).unwrap();
    entries
}

/// All that telemetry and people see of the incidents; not when a lease ends, which depends on the last receipt.
fn seen(annotator: &Annotator, now: Nanos) -> Vec<String> {
    (0..3)
        .filter_map(|incident| annotator.find(&format!("manual:Q{incident}"), now).ok())
        .map(|status| {
            let view = status.view;
            format!(
                "{} {} {:?} {:?} {:?} {:?} {:?}",
                view.key,
                view.state_name(),
                view.standing,
                view.snapshot.title,
                view.started,
                view.ended,
                status.windows
            )
        })
        .collect()
}

fn histories() -> impl Strategy<Value = Vec<Event>> {
    let action = prop_oneof![Just("open"), Just("acknowledge"), Just("close")];
    let history = prop::collection::btree_map((0..3_u8, 0..50_u64), action, 1..14);
    history.prop_map(|history| {
        history.into_iter().map(|((incident, minute), action)| Event { incident, action, minute }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Scenario: the events of some incidents arrive in any order, some of them twice or three times.
    /// Guarantees: the state is that of arrival in order, once each.
    #[test]
    fn permutations_and_duplicates_reach_one_state(
        (history, arrivals) in histories().prop_flat_map(|history| {
            let thrice: Vec<Event> = history.iter().chain(&history).chain(history.iter().take(3)).cloned().collect();
            (Just(history), Just(thrice).prop_shuffle())
        }),
    ) {
        let (mut in_order, mut shuffled) = (annotator(), annotator());
        let now = |position: usize| START + 60 * MINUTE + position as u64 * SECOND;
        for (position, event) in history.iter().enumerate() {
            deliver(&mut in_order, event, now(position));
        }
        for (position, event) in arrivals.iter().enumerate() {
            deliver(&mut shuffled, event, now(position));
        }
        prop_assert_eq!(seen(&in_order, now(99)), seen(&shuffled, now(99)));
    }

    /// Scenario: three replicas whose clocks differ by up to ten minutes share the deliveries, some of which reach
    /// two of them, and exchange entries in any order and again.
    /// Guarantees: all hold one state, byte for byte.
    #[test]
    fn replicas_with_skewed_clocks_agree(
        history in histories(),
        to in prop::collection::vec((0..3_usize, 0..3_usize), 14),
        skew in prop::collection::vec(0..600_u64, 3),
        exchange in prop::collection::vec((0..3_usize, any::<prop::sample::Index>()), 0..30),
    ) {
        let mut replicas = [annotator(), annotator(), annotator()];
        let mut committed = Vec::new();
        let now = |replica: usize| START + 60 * MINUTE + skew[replica] * SECOND;
        for (event, (first, second)) in history.iter().zip(&to) {
            for replica in [*first, *second] {
                committed.extend(deliver(&mut replicas[replica], event, now(replica)));
            }
        }
        for (replica, index) in &exchange {
            if !committed.is_empty() {
                let entry = committed[index.index(committed.len())].clone();
                replicas[*replica].merge(&[entry], now(*replica)).unwrap();
            }
        }
        for (number, replica) in replicas.iter_mut().enumerate() {
            let order: Vec<Entry> = if number == 1 { committed.iter().rev().cloned().collect() } else { committed.clone() };
            replica.merge(&order, now(number)).unwrap();
        }
        let [first, second, third] = &replicas;
        prop_assert_eq!(first.state(Extent::All), second.state(Extent::All));
        prop_assert_eq!(second.state(Extent::All), third.state(Extent::All));
        prop_assert_eq!(seen(first, now(0)), seen(third, now(0)));
    }
}

#[test]
fn a_receive_that_is_not_committed_leaves_no_trace() {
    let event = Event { incident: 1, action: "open", minute: 0 };
    let mut annotator = annotator();
    let first = annotator.receive("manual", &event.webhook(), START);
    let again = annotator.receive("manual", &event.webhook(), START);
    assert_eq!(first, again, "nothing was remembered of the first");
    assert_eq!((first.status, first.transitions[0].kind), (202, "triggered"));
    assert!(annotator.state(Extent::All).is_empty());
    annotator.merge(&first.entries, START).unwrap();
    let after = annotator.receive("manual", &event.webhook(), START);
    assert_eq!((after.status, after.transitions[0].kind, after.entries.len()), (200, "duplicate", 0));
}

#[test]
fn a_lease_that_ran_out_is_reported_once_and_a_later_word_opens_again() {
    let mut annotator = annotator();
    deliver(&mut annotator, &Event { incident: 1, action: "open", minute: 0 }, START);
    let later = START + 75 * 60 * MINUTE;
    assert!(annotator.expire(later - 1).transitions.is_empty());
    let expiry = annotator.expire(later);
    assert_eq!(expiry.transitions.len(), 1);
    assert_eq!(annotator.expire(later), expiry, "until it is committed it is reported again");
    annotator.merge(&expiry.entries, later).unwrap();
    assert!(annotator.expire(later).transitions.is_empty());
    assert_eq!(annotator.find("Q1", later).unwrap().view.standing, Standing::Expired);
    deliver(&mut annotator, &Event { incident: 1, action: "acknowledge", minute: 1 }, later);
    assert_eq!(annotator.find("Q1", later).unwrap().view.standing, Standing::Open);
}

#[test]
fn beyond_the_limit_of_open_incidents_the_sender_is_told_to_try_again() {
    let mut annotator = Annotator::default();
    annotator
        .configure(
            r#"{"sources": {"manual": {"kind": "manual", "tokens": ["token"]}}, "limits": {"open_incidents": 1}}"#,
            "test",
        )
        .unwrap();
    deliver(&mut annotator, &Event { incident: 0, action: "open", minute: 0 }, START);
    let second = Event { incident: 1, action: "open", minute: 0 };
    let refused = annotator.receive("manual", &second.webhook(), START);
    assert_eq!((refused.status, refused.retry_after_secs, refused.entries.len()), (503, Some(30), 0));
    let known = Event { incident: 0, action: "acknowledge", minute: 1 };
    assert_eq!(annotator.receive("manual", &known.webhook(), START).status, 202, "what is known goes on");
    deliver(&mut annotator, &Event { incident: 0, action: "close", minute: 2 }, START + 2 * MINUTE);
    assert_eq!(annotator.receive("manual", &second.webhook(), START + 2 * MINUTE).status, 202);
}

#[test]
fn an_ambiguous_name_lists_its_candidates() {
    let mut annotator = Annotator::default();
    let config = r#"{"sources": {"eu": {"kind": "manual", "tokens": ["token"]}, "us": {"kind": "manual", "tokens": ["token"]}}}"#;
    annotator.configure(config, "test").unwrap();
    for source in ["eu", "us"] {
        let webhook = Event { incident: 7, action: "open", minute: 0 }.webhook();
        let entries = annotator.receive(source, &webhook, START).entries;
        annotator.merge(&entries, START).unwrap();
    }
    assert_eq!(annotator.find("us:Q7", START).unwrap().view.key.source, "us");
    let error = annotator.find("Q7", START).unwrap_err();
    assert_eq!(error, "`Q7` is ambiguous: `eu:Q7` (triggered) open at 0; `us:Q7` (triggered) open at 0");
    assert_eq!(annotator.find("Q8", START).unwrap_err(), "no incident is called `Q8`");
}
