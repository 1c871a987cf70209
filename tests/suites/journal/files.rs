//! Files that are no journal, or not one of ours, or not whole; and who may use one.

use std::fs;
use std::path::Path;
use std::process::Command;

use faultline::journal::{Journal, MemoryJournal, ReadOnlyJournal, RedbJournal, StateFile, copy};
use redb::{Database, TableDefinition};

use super::disk::Disk;
use super::support::workspace;
use super::{content, entry, open};

/// The error with which a journal is not opened, in full, and that of only looking at it. The file must stay as it is.
#[track_caller]
fn refused(path: &Path, expected: &[&str]) {
    let before = fs::read(path).expect("the file is there");
    let errors = [
        RedbJournal::open(path).err().expect("it is refused"),
        ReadOnlyJournal::open(path).expect_err("it cannot be looked at either"),
    ];
    assert!(fs::read(path).expect("the file is there still") == before, "{expected:?}: the file stays as it is");
    let text = format!("{:#}", errors[0]);
    for expected in expected.iter().copied().chain([path.display().to_string().as_str()]) {
        assert!(text.contains(expected), "{text}");
    }
    let hint = errors[0].downcast_ref::<faultline::cli::Hint>().expect("it says what to do");
    assert!(!hint.hint.is_empty());
    assert!(format!("{:#}", errors[1]).contains(&path.display().to_string()), "{:#}", errors[1]);
}

/// A file of a journal with entries in it.
fn journal(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("journal.redb");
    let mut journal = RedbJournal::open(&path).expect("it is made");
    for number in 0..40 {
        journal.commit(&[entry(number, 2000)]).expect("it is written");
    }
    path
}

#[test]
fn a_journal_is_made_with_its_folders_and_keeps_what_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/b/journal.redb");
    let mut journal = RedbJournal::open(&path).expect("it is made");
    assert_eq!(content(&journal), content(&MemoryJournal::default()));
    let mut other = entry(2, 20);
    journal.commit(&[entry(1, 10), other.clone(), entry(1, 10)]).expect("it is written");
    other.bytes = b"1 {}".to_vec();
    journal.commit(&[other]).expect("an equal key changes nothing");
    journal.set_note("switch", Some(b"\x00off")).expect("it is noted");
    drop(journal);
    let mut journal = RedbJournal::open(&path).expect("it opens again");
    assert_eq!(journal.entries().expect("it can be read"), [entry(1, 10), entry(2, 20)]);
    journal.replace(&[entry(2, 20), entry(3, 30)]).expect("it is written");
    assert_eq!(journal.entries().expect("it can be read"), [entry(2, 20), entry(3, 30)]);
    assert_eq!(journal.note("switch").expect("it can be read").as_deref(), Some(b"\x00off".as_slice()));
    journal.set_note("switch", None).expect("it is noted");
    assert!(journal.notes().expect("it can be read").is_empty());
}

#[test]
fn a_journal_that_is_in_use_is_refused_and_can_be_used_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(folder.path());
    let held = RedbJournal::open(&path).expect("nobody has it");
    refused(&path, &["in use by another process"]);
    drop(held);
    let first = ReadOnlyJournal::open(&path).expect("nobody has it");
    let second = ReadOnlyJournal::open(&path).expect("several may look");
    assert_eq!(content(&first), content(&second));
    RedbJournal::open(&path).expect("those who looked do not hold it");
}

#[test]
fn files_of_others_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other");
    for text in ["hello", "", "{}", &"x".repeat(100_000)] {
        fs::write(&path, text).expect("it is written");
        if text.is_empty() {
            let error = format!("{:#}", RedbJournal::open(&path).err().expect("it is refused"));
            assert!(error.contains("is empty"), "a journal that was cut off may look so: {error}");
        } else {
            refused(&path, &["no journal of faultline"]);
        }
    }
    let path = folder.path().join("other.redb");
    let database = Database::create(&path).expect("it is made");
    let transaction = database.begin_write().expect("it works");
    let table: TableDefinition<'_, u64, u64> = TableDefinition::new("entries");
    transaction.open_table(table).expect("it works").insert(1, 2).expect("it works");
    transaction.commit().expect("it works");
    drop(database);
    refused(&path, &["a database that holds something else"]);
    assert!(RedbJournal::open(folder.path()).is_err(), "a folder");
}

#[test]
fn a_newer_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(folder.path());
    let database = Database::open(&path).expect("it opens");
    let transaction = database.begin_write().expect("it works");
    let about: TableDefinition<'_, &str, u64> = TableDefinition::new("faultline-journal");
    transaction.open_table(about).expect("it is there").insert("version", 2).expect("it works");
    transaction.commit().expect("it works");
    drop(database);
    refused(&path, &["version 2 of the format; this faultline knows 1"]);
}

/// Scenario: a journal was cut off somewhere: a copy that was not finished, a repaired file system.
/// Guarantees: an error that says so; nothing panics and nothing is written.
#[test]
fn a_journal_that_was_cut_off_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(folder.path());
    let whole = fs::read(&path).expect("it can be read");
    for part in 1..32 {
        let length = whole.len() * part / 32;
        fs::write(&path, &whole[..length]).expect("it is written");
        refused(&path, &["is damaged"]);
    }
    for length in [9, 63, 64, 320, 4095, 4096, 4097, 8192, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("it is written");
        refused(&path, &["is damaged"]);
    }
}

/// Scenario: a bit of the file flips.
/// Guarantees: the journal opens with what it held, or is refused; never does it panic or hold something else.
#[test]
fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(folder.path());
    let whole = fs::read(&path).expect("it can be read");
    let expected = content(&RedbJournal::open(&path).expect("it opens"));
    let mut noticed = 0;
    let places = (0..320).chain((320..whole.len()).step_by(whole.len() / 500));
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        match open(&Disk::with(damaged)) {
            Ok(journal) => assert!(content(&journal) == expected, "byte {place}"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 50, "{noticed}");
}

#[test]
fn a_state_file_and_a_journal_become_one_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(folder.path());
    let mut first = RedbJournal::open(&path).expect("it opens");
    first.set_note("switch", Some(b"\xff")).expect("it is noted");
    let mut state = StateFile::open_to_write(&folder.path().join("state.json")).expect("it is made");
    copy(&first, &mut state).expect("it is copied");
    let mut second = RedbJournal::open(&folder.path().join("second.redb")).expect("it is made");
    copy(&state, &mut second).expect("it is copied");
    assert_eq!(content(&second), content(&first));
    assert_eq!(content(&state), content(&first));
    assert_eq!(content(&first).0.len(), 40);
}

/// Scenario: a server was killed; its journal is looked at with the commands.
/// Guarantees: they show what it held and do not touch it; commands that would write it refuse.
#[test]
fn commands_read_the_journal_of_a_server_and_do_not_write_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let faultline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command.args(arguments).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).env("NO_COLOR", "1");
        command.current_dir(workspace().join("tests/cli")).output().expect("the command runs")
    };
    let at = "2026-03-01T10:02:00Z";
    let state = folder.path().join("state.json").display().to_string();
    let received = ["receive", "--source", "manual", "--sign", "--state", &state, "--at", at, "open.json"];
    assert!(faultline(&received).status.success());

    let disk = Disk::default();
    let mut server = open(&disk).expect("the disk works");
    copy(&ReadOnlyJournal::open(Path::new(&state)).expect("it opens"), &mut server).expect("it is copied");
    let left = disk.durable();
    drop(server);
    let path = folder.path().join("journal.redb").display().to_string();
    fs::write(&path, &left).expect("it is written");

    let of_state = faultline(&["incidents", "--state", &state, "--at", at]);
    let of_journal = faultline(&["incidents", "--state", &path, "--at", at]);
    assert!(of_state.status.success());
    assert!(String::from_utf8_lossy(&of_state.stdout).contains("manual:"), "there is an incident");
    assert_eq!(of_journal, of_state);
    let dry = ["receive", "--source", "manual", "--sign", "--dry-run", "--state", &path, "--at", at, "open.json"];
    assert!(String::from_utf8_lossy(&faultline(&dry).stdout).contains("dry run"));

    let refused = faultline(&["receive", "--source", "manual", "--sign", "--state", &path, "open.json"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("is the journal of a server"), "{text}");
    assert!(fs::read(&path).expect("it is there") == left, "nothing was written");
}
