//! A disk that is full or broken: nothing is acknowledged then, and nothing that was is lost.

use faultline::guest::{EMBEDDED, GuestBuild, Limits};
use faultline::host::Host;
use faultline::journal::Journal;
use faultline::plugin::Entry;

use super::disk::{BROKEN, DISK_FULL, Disk, Operation};
use super::manual::{CONFIG, NOW, open as webhook, webhook as webhook_of};
use super::{entry, open, support};

/// Scenario: from some write, change of length or sync on the disk takes nothing, in the middle of a commit; then it works
/// again.
/// Guarantees: the commit is an error; all that was acknowledged can be read meanwhile; without being opened anew the
/// journal takes entries as soon as the disk does; and a crash after that takes nothing away, even where the system dropped
/// what it could not write.
#[test]
fn a_commit_that_fails_costs_nothing_that_was_acknowledged() {
    for (operation, code) in [
        (Operation::Write, DISK_FULL),
        (Operation::Write, BROKEN),
        (Operation::SetLen, DISK_FULL),
        (Operation::Sync, BROKEN),
        (Operation::Sync, DISK_FULL),
    ] {
        let mut failed = 0;
        for left in 0..6 {
            failed += usize::from(fails_and_goes_on(operation, left, code));
        }
        assert!(failed > 0, "{operation:?} never failed");
    }
}

/// Whether the disk failed before the commits were done.
fn fails_and_goes_on(operation: Operation, left: usize, code: i32) -> bool {
    let what = format!("{operation:?} fails after {left} with {code}");
    let disk = Disk::default();
    let mut journal = open(&disk).expect("the disk works");
    journal.commit(&[entry(1, 1000), entry(2, 1000)]).expect("the disk works");
    let mut acknowledged = vec![entry(1, 1000), entry(2, 1000)];

    disk.fail(operation, left, code);
    let mut failed = false;
    for number in 3..12 {
        // Large ones, for which the file has to grow.
        let one = entry(number, 40_000);
        match journal.commit(std::slice::from_ref(&one)) {
            Ok(()) => acknowledged.push(one),
            Err(error) => {
                failed = true;
                assert!(format!("{error:#}").contains("journal.redb"), "{what}: the file is named: {error:#}");
            }
        }
        let found = journal.entries().unwrap_or_else(|error| panic!("{what}: it can be read: {error:#}"));
        holds(&found, &acknowledged, &what);
    }

    disk.heal();
    let one = entry(50, 40_000);
    journal.commit(std::slice::from_ref(&one)).unwrap_or_else(|error| panic!("{what}: it goes on: {error:#}"));
    acknowledged.push(one);
    holds(&journal.entries().expect("it can be read"), &acknowledged, &what);
    journal.set_note("a", Some(b"b")).expect("notes too");

    // A crash, without the journal being closed.
    let crashed = open(&Disk::with(disk.durable())).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    holds(&crashed.entries().expect("it can be read"), &acknowledged, &what);
    assert_eq!(crashed.note("a").expect("it can be read").as_deref(), Some(b"b".as_slice()));
    failed
}

#[track_caller]
fn holds(found: &[Entry], acknowledged: &[Entry], what: &str) {
    for one in acknowledged {
        assert!(found.contains(one), "{what}: {} is lost", one.key);
    }
}

/// Scenario: the disk is broken when a journal is opened that a crash left.
/// Guarantees: opening is an error that names the journal; later it opens, with all that was acknowledged.
#[test]
fn a_journal_that_cannot_be_opened_for_the_moment_is_not_harmed() {
    let disk = Disk::default();
    let mut journal = open(&disk).expect("the disk works");
    journal.commit(&[entry(1, 100)]).expect("the disk works");
    for operation in [Operation::Write, Operation::Sync] {
        for left in 0..3 {
            let crashed = Disk::with(disk.durable());
            crashed.fail(operation, left, BROKEN);
            if let Err(error) = open(&crashed) {
                assert!(format!("{error:#}").contains("journal.redb"), "{error:#}");
            }
            crashed.heal();
            assert_eq!(open(&crashed).expect("the disk works again").entries().unwrap(), [entry(1, 100)]);
        }
    }
}

/// Scenario: webhooks come while the disk is full, and after that.
/// Guarantees: 503 with Retry-After, nothing takes effect; then 202 from the same host, and after a crash the incident is
/// there.
#[test]
fn a_webhook_on_a_full_disk_gets_503_and_the_next_one_202() {
    let build = GuestBuild::new(EMBEDDED, Limits::default(), support::cache()).expect("the component compiles");
    let disk = Disk::default();
    let journal = open(&disk).expect("the disk works");
    let Ok((mut host, _)) = Host::new(&build, CONFIG.to_owned(), journal, "test", NOW) else { panic!("it starts") };
    assert_eq!(host.receive("manual", &webhook(), NOW).unwrap().status, 202);

    let second = webhook_of(r#"{"action": "open", "id": "2", "title": "full", "services": ["cart"]}"#);
    disk.fail(Operation::Sync, 0, DISK_FULL);
    for _ in 0..3 {
        let received = host.receive("manual", &second, NOW).unwrap();
        assert_eq!((received.status, received.retry_after_secs), (503, Some(30)));
        assert!(received.failure.is_some_and(|failure| failure.contains("journal.redb")));
        assert_eq!(host.open(NOW).unwrap().len(), 1);
    }
    // An instance that traps meanwhile is replaced by one that knows what was acknowledged.
    host.restart(NOW).expect("the journal can be read");
    assert_eq!(host.find("manual:1", NOW).unwrap().id, "manual:1");
    disk.heal();
    assert_eq!(host.receive("manual", &second, NOW).unwrap().status, 202);
    assert_eq!(host.open(NOW).unwrap().len(), 2);

    let journal = open(&Disk::with(disk.durable())).expect("it opens after a crash");
    let Ok((mut recovered, _)) = Host::new(&build, CONFIG.to_owned(), journal, "test", NOW) else {
        panic!("it starts again")
    };
    assert_eq!(recovered.open(NOW).unwrap(), host.open(NOW).unwrap());
}
