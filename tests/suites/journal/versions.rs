//! Journals of every version there was, in `tests/fixtures/journal`, are read by this one.
//!
//! Each version has a folder with the same content twice: `journal.redb` of a server and `state.json`. `BLESS=1` makes that
//! of the present version anew; there is a reason only before its first release. The others stay as they are for good.

use std::fs;
use std::path::{Path, PathBuf};

use faultline::guest::{EMBEDDED, GuestBuild, Limits};
use faultline::host::Host;
use faultline::journal::{Journal, ReadOnlyJournal, RedbJournal, StateFile, copy};
use faultline::plugin::{Entry, Extent};
use faultline::scenario::{Player, Scenario};
use faultline::time::{Nanos, SECOND};
use serde_json::Value;

use super::content;
use super::manual::CONFIG;
use super::support::{cache, is_blessing, workspace};

/// What this program writes.
const PRESENT: &str = "v1";
/// 2026-03-03T00:00:00Z, when all that the fixtures hold was received not long ago.
const LATER: Nanos = 1_772_496_000 * SECOND;
/// Between them they have entries of each kind of source, a report of a lease that ran out, and each kind of incident.
const SCENARIOS: [&str; 5] = [
    "a_pagerduty_incident_marks_checkout_until_it_is_resolved",
    "an_alertmanager_batch_is_read_per_alert_and_not_by_its_group_status",
    "a_deployment_marks_with_its_own_attributes",
    "a_chaos_experiment_marks_with_its_own_attribute",
    "a_lease_that_runs_out_ends_the_marks_and_is_reported_once",
];

fn fixtures() -> PathBuf {
    workspace().join("tests/fixtures/journal")
}

fn build() -> GuestBuild {
    GuestBuild::new(EMBEDDED, Limits::default(), cache()).expect("the component compiles")
}

/// Entries that this program did not write, as a newer one could.
fn foreign(known: &Entry) -> [Entry; 3] {
    let entry = |key: &str, bytes: String| Entry { key: key.to_owned(), bytes: bytes.into_bytes() };
    let text = String::from_utf8(known.bytes.clone()).expect("an entry is text");
    let received = LATER - 3600 * SECOND;
    [
        entry("evidence/unknown-kind", format!(r#"1 {{"kind":"evidence","received":{received},"spans":[1.50,null]}}"#)),
        entry("incident/unknown-fields", format!("{},\"later\":{{\"b\":1,\"a\":2e3}}}}", &text[..text.len() - 1])),
        entry("incident/newer-version", format!(r#"2 {{"kind":"incident","received":{received},"anything":"é"}}"#)),
    ]
}

fn make() {
    let build = build();
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = RedbJournal::open(&folder.path().join("journal.redb")).expect("it is made");
    for name in SCENARIOS {
        let scenario = Scenario::read(&workspace().join("tests/scenarios").join(name)).expect("it is read");
        let mut player = Player::new(&build, &scenario).expect("it starts");
        player.by_ref().for_each(|event| drop(event.expect("it is played")));
        journal.commit(&player.into_host().journal().entries().expect("they are there")).expect("it is written");
    }
    let entries = journal.entries().expect("it can be read");
    let known = entries.iter().find(|entry| entry.key.starts_with("incident/")).expect("there is one");
    journal.commit(&foreign(known)).expect("it is written");
    journal.set_note("note", Some(b"\x00\xff")).expect("it is noted");
    let mut state = StateFile::open_to_write(&folder.path().join("state.json")).expect("it is made");
    copy(&journal, &mut state).expect("it is copied");
    drop(journal);

    let present = fixtures().join(PRESENT);
    fs::create_dir_all(&present).expect("the folder is made");
    for name in ["journal.redb", "state.json"] {
        fs::copy(folder.path().join(name), present.join(name)).expect("it is copied");
    }
}

fn check(folder: &Path) {
    let build = build();
    let copied = tempfile::tempdir().expect("a folder");
    let path = copied.path().join("journal.redb");
    fs::copy(folder.join("journal.redb"), &path).expect("the fixture is there");
    let journal = RedbJournal::open(&path).expect("a journal of this version opens");
    let state = ReadOnlyJournal::open(&folder.join("state.json")).expect("a state of this version opens");
    assert_eq!(content(&journal), content(&state));
    assert_eq!(journal.note("note").expect("it can be read").as_deref(), Some(b"\x00\xff".as_slice()));

    let entries = journal.entries().expect("it can be read");
    for Entry { key, bytes } in &entries {
        let text = std::str::from_utf8(bytes).expect("text");
        let (version, json) = text.split_once(' ').unwrap_or_else(|| panic!("{key}: {text}"));
        assert!(version.parse::<u32>().is_ok(), "{key}: {text}");
        assert!(serde_json::from_str::<Value>(json).is_ok_and(|value| value["received"].is_u64()), "{key}: {text}");
    }
    let of = |what: &str| entries.iter().filter(|entry| String::from_utf8_lossy(&entry.bytes).contains(what)).count();
    for part in ["\"kind\":\"incident\"", "\"kind\":\"delivery\"", "\"kind\":\"expiry\"", "pagerduty", "alertmanager"] {
        assert!(of(part) > 0, "no entry with {part}");
    }
    let Ok((mut host, _)) = Host::new(&build, CONFIG.to_owned(), journal, "test", LATER) else {
        panic!("the plugin takes the journal")
    };
    assert_eq!(host.set_aside(), &[] as &[String]);
    let handed_on = host.state(Extent::All, LATER).expect("it answers");
    let foreign = ["evidence/unknown-kind", "incident/unknown-fields", "incident/newer-version"];
    for key in foreign {
        let one = entries.iter().find(|entry| entry.key == key).expect("it is in the fixture");
        assert!(handed_on.contains(one), "{key} is not handed on as it came");
    }
    let sources: Vec<_> = handed_on.iter().filter(|entry| entry.key.starts_with("incident/")).collect();
    assert!(sources.len() > 5, "{handed_on:?}");
    assert!(host.find("#1042", LATER).is_ok(), "its incidents are known");

    // What is handed on is the state: to a journal, and to another plugin.
    host.compact(LATER).expect("it is written");
    let compacted = host.journal().entries().expect("it can be read");
    for key in foreign {
        assert!(compacted.iter().any(|entry| entry.key == key), "{key} is lost by compaction");
    }
    host.restart(LATER).expect("it starts again");
    assert_eq!(host.state(Extent::All, LATER).expect("it answers"), handed_on);
}

/// Scenario: a journal that an older faultline wrote, with entries in it that a newer one wrote.
/// Guarantees: it is read; what this one does not know is kept and handed on byte for byte.
#[test]
fn journals_of_every_version_are_read_and_what_is_unknown_is_handed_on() {
    if is_blessing() {
        make();
    }
    let folders = fs::read_dir(fixtures()).expect("there are fixtures; BLESS=1 makes them");
    let mut folders: Vec<_> = folders.map(|entry| entry.expect("it can be listed").path()).collect();
    folders.sort();
    assert!(folders.contains(&fixtures().join(PRESENT)));
    for folder in folders {
        check(&folder);
        let bytes = fs::metadata(folder.join("journal.redb")).expect("it is there").len();
        assert!(bytes < 100_000, "{bytes} bytes are much for a fixture");
    }
}
