//! Journal entries, real and not: whatever is merged, in whatever order and however often, gives one state.

use arbitrary::{Arbitrary, Unstructured};
use faultline_annotator::{
    entry::{DeliveryRecord, Entry, ExpiryRecord, IncidentRecord, Record, Version},
    incident::{IncidentState, Key, Snapshot},
    limits,
    state::{Extent, State, View},
    time::{HOUR, MINUTE, Nanos},
};

/// Entries behind this plus an hour are set aside.
const NOW: Nanos = 1_772_359_200_000_000_000 + 100 * HOUR;
/// More say nothing new, and take long.
const ENTRIES_MAX: usize = 24;

/// A record from small ranges, so that many are about the same incident and close to one another.
#[derive(Arbitrary, Debug)]
enum Small {
    Incident { received: u8, incident: u8, time: u8, sequence: u8, digest: u8, lease: u8, state: u8, flags: u8 },
    Delivery { received: u8, digest: u8 },
    Expiry { received: u8, incident: u8, lease: u8 },
    Foreign { received: u8, key: u8, kind: u8 },
    Unreadable { key: u8, bytes: [u8; 2] },
}

/// The first byte chooses the form and the orders: with an even one the rest is lines, each a key, a space, and an entry;
/// with an odd one it is records in a form of its own.
///
/// Nothing panics. All at once, one by one backwards, and shuffled with repetitions give the same state and the same
/// incidents. The state merged into an empty one gives itself. What is over the bounds of one entry fails whole.
pub fn check(input: &[u8]) {
    let Some((form, rest)) = input.split_first() else { return };
    let mut entries = if form % 2 == 0 { lines(rest) } else { records(rest) };
    entries.truncate(ENTRIES_MAX);
    let (entries, over): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(Entry::fits);
    let expected = merged([&entries[..]]);
    check_refused(&expected, &over);
    for entry in &entries {
        check_entry(entry);
    }
    let backwards: Vec<&[Entry]> = entries.chunks(1).rev().collect();
    check_same(&merged(backwards), &expected);
    check_same(&merged_shuffled(&entries, u64::from(*form)), &expected);
    check_same(&merged([&expected.entries(Extent::All)[..]]), &expected);
    check_same(&merged([&entries[..], &entries[..]]), &expected);
}

fn lines(text: &[u8]) -> Vec<Entry> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let entry = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b' ');
        let (key, bytes) = at.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..]));
        Entry { key: String::from_utf8_lossy(key).into_owned(), bytes: bytes.to_vec() }
    };
    lines.map(entry).collect()
}

fn records(bytes: &[u8]) -> Vec<Entry> {
    let mut unstructured = Unstructured::new(bytes);
    let mut entries = Vec::new();
    while entries.len() < ENTRIES_MAX && !unstructured.is_empty() {
        let Ok(small) = Small::arbitrary(&mut unstructured) else { break };
        entries.push(small.entry());
    }
    entries
}

fn merged<'a>(batches: impl IntoIterator<Item = &'a [Entry]>) -> State {
    let mut state = State::default();
    for batch in batches {
        state.merge(batch, NOW).expect("a few entries of a few bytes are within every bound");
    }
    state
}

fn merged_shuffled(entries: &[Entry], seed: u64) -> State {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all: Vec<Entry> = entries.iter().chain(entries).cloned().collect();
    random.shuffle(&mut all);
    let mut batches = Vec::new();
    let mut rest = &all[..];
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(random.usize(1..=rest.len().min(5)));
        batches.push(batch);
        rest = behind;
    }
    merged(batches)
}

fn check_refused(state: &State, over: &[Entry]) {
    for entry in over {
        let mut after = state.clone();
        assert!(after.merge(std::slice::from_ref(entry), NOW).is_err(), "{} bytes", entry.bytes.len());
        check_same(&after, state);
    }
}

/// What is read of an entry is written so that the same is read again.
fn check_entry(entry: &Entry) {
    if let Some(record) = entry.record() {
        assert_eq!(Entry::of(&record).record(), Some(record));
    }
}

/// The same entries, and the same seen from outside.
fn check_same(state: &State, expected: &State) {
    assert_eq!(state.entries(Extent::All), expected.entries(Extent::All));
    assert_eq!(state.entries(Extent::IncidentsOnly), expected.entries(Extent::IncidentsOnly));
    assert_eq!(state.foreign(), expected.foreign());
    assert_eq!(seen(state), seen(expected));
}

/// Each incident, and which were merged into it, and whether so many are open.
fn seen(state: &State) -> Vec<(Option<View>, Vec<Key>, bool)> {
    let incidents = state.incidents().enumerate();
    let seen = |(index, key)| (state.view(key, NOW), state.merged_into(key), state.has_open(index + 1, NOW));
    incidents.map(seen).collect()
}

// === impl Small ===

impl Small {
    /// Receipts spread over twice the horizon, so that some entries are forgotten, and a little behind [`NOW`].
    fn received(number: u8) -> Nanos {
        NOW + 4 * HOUR - u64::from(number % 40) * limits::HORIZON / 20
    }

    fn key(number: u8) -> Key {
        Key { source: format!("source-{}", number % 2), id: format!("Q{}", number / 2 % 3) }
    }

    fn entry(&self) -> Entry {
        let record = match *self {
            Self::Incident { received, incident, time, sequence, digest, lease, state, flags } => {
                let received = Self::received(received);
                let states = [
                    IncidentState::Triggered,
                    IncidentState::Acknowledged,
                    IncidentState::Resolved,
                    IncidentState::Merged,
                ];
                let state = states[usize::from(state) % states.len()];
                let flag = |bit: u8| flags & 1 << bit != 0;
                Record::Incident(Box::new(IncidentRecord {
                    received,
                    incident: Self::key(incident),
                    version: Version {
                        time: NOW - u64::from(time % 8) * MINUTE,
                        rank: state.rank(),
                        sequence: u64::from(sequence % 3),
                        digest: (digest % 3).to_string(),
                    },
                    timed: flag(0),
                    state,
                    lease_until: received + u64::from(lease % 8) * HOUR,
                    snapshot: Snapshot {
                        title: flag(1).then(|| format!("title {digest}")),
                        merged_into: flag(2).then(|| format!("Q{}", digest % 3)),
                        reopened: flag(3),
                        test: flag(4),
                        ..Snapshot::default()
                    },
                }))
            }
            Self::Delivery { received, digest } => Record::Delivery(DeliveryRecord {
                received: Self::received(received),
                source: "source-0".to_owned(),
                digest: (digest % 4).to_string(),
            }),
            Self::Expiry { received, incident, lease } => Record::Expiry(ExpiryRecord {
                received: Self::received(received),
                incident: Self::key(incident),
                lease_until: NOW - u64::from(lease % 4) * HOUR,
            }),
            Self::Foreign { received, key, kind } => {
                let received = Self::received(received);
                let bytes = format!(r#"1 {{"kind":"evidence-{}","received":{received}}}"#, kind % 2).into_bytes();
                return Entry { key: format!("foreign/{}", key % 4), bytes };
            }
            Self::Unreadable { key, bytes } => {
                return Entry { key: format!("foreign/{}", key % 4), bytes: bytes.to_vec() };
            }
        };
        Entry::of(&record)
    }
}
