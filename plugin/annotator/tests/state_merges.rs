//! The state is a join semilattice: whatever is merged in whatever order gives one state.

use faultline_annotator::entry::{DeliveryRecord, Entry, ExpiryRecord, IncidentRecord, Record, Version};
use faultline_annotator::incident::{IncidentState, Key, Snapshot};
use faultline_annotator::limits;
use faultline_annotator::state::{Extent, State};
use faultline_annotator::time::{HOUR, MINUTE};
use proptest::prelude::*;

/// Late enough that a horizon's length fits before it.
const START: u64 = 1_000_000 * HOUR;

/// Receipts spread over more than the horizon, so that much is forgotten.
fn received() -> impl Strategy<Value = u64> {
    (0..200_u64).prop_map(|hours| START + hours * HOUR)
}

fn key() -> impl Strategy<Value = Key> {
    (0..2_u8, 0..3_u8).prop_map(|(source, id)| Key { source: format!("source-{source}"), id: format!("Q{id}") })
}

fn incident() -> impl Strategy<Value = Record> {
    let state = prop_oneof![
        Just(IncidentState::Triggered),
        Just(IncidentState::Acknowledged),
        Just(IncidentState::Resolved),
        Just(IncidentState::Merged)
    ];
    let numbers = (0..6_u64, 0..3_u64, 0..3_u8, 0..40_u64, any::<bool>());
    (key(), received(), state, numbers).prop_map(
        |(incident, received, state, (time, sequence, digest, lease, timed))| {
            let terminal = state.is_terminal();
            Record::Incident(Box::new(IncidentRecord {
                received,
                incident,
                version: Version {
                    time: START + time * MINUTE,
                    rank: state.rank(),
                    sequence,
                    digest: format!("{digest}"),
                },
                timed: timed || terminal,
                state,
                lease_until: if terminal { 0 } else { received + lease * HOUR },
                snapshot: Snapshot {
                    title: Some(format!("title {digest}")),
                    merged_into: (state == IncidentState::Merged).then(|| format!("Q{}", time % 3)),
                    ..Snapshot::default()
                },
            }))
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        6 => incident().prop_map(|record| Entry::of(&record)),
        2 => (received(), 0..3_u8).prop_map(|(received, digest)| Entry::of(&Record::Delivery(DeliveryRecord {
            received, source: "source-0".to_owned(), digest: format!("{digest}"),
        }))),
        1 => (received(), key(), 0..3_u64).prop_map(|(received, incident, lease)| Entry::of(&Record::Expiry(ExpiryRecord {
            received, incident, lease_until: START + lease,
        }))),
        // A newer program's kind, a newer program's version, and no entry at all.
        1 => received().prop_map(|received| foreign(&format!("1 {{\"kind\":\"evidence\",\"received\":{received}}}"))),
        1 => (0..3_u8).prop_map(|number| foreign(&format!("2 something else {number}"))),
    ]
}

fn foreign(text: &str) -> Entry {
    Entry { key: format!("foreign/{text}").replace(' ', "~"), bytes: text.as_bytes().to_vec() }
}

fn merged(batches: &[Vec<Entry>]) -> State {
    let mut state = State::default();
    for batch in batches {
        state.merge(batch, u64::MAX / 2).unwrap();
    }
    state
}

fn all(state: &State) -> Vec<Entry> {
    state.entries(Extent::All)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Scenario: replicas merge the same entries in other orders, in other batches, some of them several times.
    /// Guarantees: they hold the same state, byte for byte, and the same view of every incident.
    #[test]
    fn order_batches_and_repetition_do_not_matter(
        (entries, shuffled) in prop::collection::vec(entry(), 0..40)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        cut in 0..40_usize,
        repeated in 0..40_usize,
    ) {
        let once = merged(std::slice::from_ref(&entries));
        let cut = cut.min(shuffled.len());
        let repeated = repeated.min(shuffled.len());
        let batches = [
            shuffled[cut..].to_vec(),
            shuffled[..repeated].to_vec(),
            shuffled[..cut].to_vec(),
            shuffled[repeated..].to_vec(),
        ];
        let other = merged(&batches);
        prop_assert_eq!(all(&once), all(&other));
        let now = START + 100 * HOUR;
        for key in once.incidents() {
            prop_assert_eq!(once.view(key, now), other.view(key, now));
        }
        prop_assert_eq!(once.incidents().count(), other.incidents().count());
    }

    /// Scenario: two replicas with histories of their own are joined through their states instead of their entries.
    /// Guarantees: the state of the merge is the merge of the states, either way round.
    #[test]
    fn the_state_of_a_merge_is_the_merge_of_the_states(
        left in prop::collection::vec(entry(), 0..25),
        right in prop::collection::vec(entry(), 0..25),
    ) {
        let both = merged(&[left.clone(), right.clone()]);
        let (left, right) = (merged(&[left]), merged(&[right]));
        let joined = merged(&[all(&left), all(&right)]);
        let turned = merged(&[all(&right), all(&left)]);
        prop_assert_eq!(all(&both), all(&joined));
        prop_assert_eq!(all(&both), all(&turned));
    }

    /// Scenario: a state is merged into an empty plugin, and into itself.
    /// Guarantees: nothing changes.
    #[test]
    fn a_state_restores_itself_and_adds_nothing_to_itself(entries in prop::collection::vec(entry(), 0..40)) {
        let mut state = merged(&[entries]);
        let before = all(&state);
        prop_assert_eq!(all(&merged(std::slice::from_ref(&before))), before.clone());
        let again = state.merge(&before, u64::MAX / 2).unwrap();
        prop_assert_eq!(again.changed, 0);
        prop_assert_eq!(all(&state), before);
    }

    /// Scenario: entries come from anywhere: any key, any bytes.
    /// Guarantees: they are kept and handed on as they are; nothing panics.
    #[test]
    fn anything_at_all_is_kept_and_handed_on(
        key in "[ -~]{0,40}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let entry = Entry { key, bytes };
        prop_assert_eq!(all(&merged(&[vec![entry.clone()]])), vec![entry]);
    }
}

fn delivery(received: u64, digest: &str) -> Entry {
    let record = DeliveryRecord { received, source: "pd".to_owned(), digest: digest.to_owned() };
    Entry::of(&Record::Delivery(record))
}

#[test]
fn what_is_older_than_the_horizon_is_forgotten() {
    let mut state = merged(&[vec![delivery(START, "old")]]);
    assert!(state.knows_delivery("pd", "old"));
    state.merge(&[delivery(START + limits::HORIZON, "new")], u64::MAX / 2).unwrap();
    assert!(state.knows_delivery("pd", "old"), "exactly at the horizon it is still known");
    state.merge(&[delivery(START + limits::HORIZON + 1, "newest")], u64::MAX / 2).unwrap();
    assert!(!state.knows_delivery("pd", "old"));
    assert_eq!(state.merge(&[delivery(START, "old")], u64::MAX / 2).unwrap().changed, 0);
}

#[test]
fn entries_from_the_future_are_set_aside_and_taken_later() {
    let mut state = State::default();
    let entry = delivery(START + limits::RECEIVED_AHEAD_MAX + 1, "early");
    let merged = state.merge(std::slice::from_ref(&entry), START).unwrap();
    assert_eq!((merged.changed, merged.set_aside.as_slice()), (0, [entry.key.clone()].as_slice()));
    assert!(all(&state).is_empty());
    assert_eq!(state.merge(&[entry], START + 1).unwrap().changed, 1);
}

#[test]
fn a_merge_beyond_the_bound_on_entries_fails_whole() {
    let mut state = State::default();
    let most: Vec<Entry> = (0..limits::ENTRIES_MAX).map(|number| delivery(START, &number.to_string())).collect();
    state.merge(&most[1..], START).unwrap();
    let two = [most[0].clone(), delivery(START, "one too many")];
    let error = state.merge(&two, START).unwrap_err();
    assert!(error.contains("200001 entries"), "{error}");
    assert!(!state.knows_delivery("pd", "0"), "the entry that would have fitted is not taken either");
    assert_eq!(state.merge(&two[..1], START).unwrap().changed, 1);
    assert_eq!(state.merge(&most, START).unwrap().changed, 0, "what is known already does not count");
}

#[test]
fn a_merge_beyond_the_bound_on_bytes_fails_whole() {
    let mut state = State::default();
    let large = |number: usize| Entry { key: format!("large/{number:04}"), bytes: vec![b'x'; limits::ENTRY_BYTES_MAX] };
    let fitting = limits::STATE_BYTES_MAX / (limits::ENTRY_BYTES_MAX + "large/0000".len());
    for number in 0..fitting {
        state.merge(&[large(number)], START).unwrap();
    }
    let error = state.merge(&[large(fitting)], START).unwrap_err();
    assert!(error.contains("bytes, at most"), "{error}");
    let too_large = Entry { key: "k".to_owned(), bytes: vec![0; limits::ENTRY_BYTES_MAX + 1] };
    assert!(State::default().merge(&[too_large], START).unwrap_err().contains("at most 262144 are taken"));
}

/// Scenario: an active and a terminal entry both say that `Q1` goes on as `Q2`; the active one is replaced by a later one
/// that does not say so, before or after the terminal one is merged.
/// Guarantees: as long as one entry says so it is known, whatever the order.
#[test]
fn a_merger_that_two_entries_tell_is_known_while_one_of_them_is_held() {
    let q1 = Key { source: "pd".to_owned(), id: "Q1".to_owned() };
    let q2 = Key { source: "pd".to_owned(), id: "Q2".to_owned() };
    let record = |state: IncidentState, minute: u64, merged_into: Option<&str>| {
        Entry::of(&Record::Incident(Box::new(IncidentRecord {
            received: START + minute * MINUTE,
            incident: q1.clone(),
            version: Version { time: START + minute * MINUTE, rank: state.rank(), sequence: 0, digest: String::new() },
            timed: true,
            state,
            lease_until: START + HOUR,
            snapshot: Snapshot { merged_into: merged_into.map(str::to_owned), ..Snapshot::default() },
        })))
    };
    let active = record(IncidentState::Triggered, 1, Some("Q2"));
    let terminal = record(IncidentState::Merged, 2, Some("Q2"));
    let later = record(IncidentState::Acknowledged, 3, None);
    for order in [[&active, &terminal, &later], [&active, &later, &terminal], [&later, &active, &terminal]] {
        let state = merged(&order.map(|entry| vec![entry.clone()]));
        assert_eq!(state.merged_into(&q2), std::slice::from_ref(&q1));
    }
    assert_eq!(merged(&[vec![active], vec![later]]).merged_into(&q2), [], "nobody says so any more");
}
