//! Crashes at every sync: what a disk can look like then is opened, and must be the journal.

use std::collections::{BTreeMap, BTreeSet};

use faultline::journal::{Journal, RedbJournal};
use faultline::plugin::Entry;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::disk::{Disk, Moment};
use super::{Content, content, entry, open};

/// Disks with some of what was not synced, for each sync.
const SUBSETS: usize = 12;
/// Of the disks after a crash one in so many crashes again, while it recovers.
const SECOND_CRASH_ONE_IN: u32 = 40;

/// A journal at work, and what it must hold after each step.
struct Workload {
    disk: Disk,
    journal: Option<RedbJournal>,
    entries: BTreeMap<String, Entry>,
    notes: BTreeMap<String, Option<Vec<u8>>>,
    /// What is acknowledged before the step of this number. A step is about to happen, or is under way.
    acknowledged: Vec<Content>,
}

// === impl Workload ===

impl Workload {
    fn new() -> Self {
        let disk = Disk::default();
        let journal = Some(open(&disk).expect("an empty disk becomes an empty journal"));
        let (entries, notes) = (BTreeMap::new(), BTreeMap::new());
        // A file is made whole before it gets its name: crashes before that leave none.
        let disk = Disk::with(disk.durable());
        drop(journal);
        let journal = Some(open(&disk).expect("the journal opens"));
        Self { disk, journal, entries, notes, acknowledged: vec![(Vec::new(), Vec::new())] }
    }

    fn acknowledge(&mut self) {
        let entries = self.entries.values().cloned().collect();
        let notes = self.notes.clone().into_iter().collect();
        self.acknowledged.push((entries, notes));
        self.disk.begin(self.acknowledged.len() - 1);
    }

    fn journal(&mut self) -> &mut RedbJournal {
        self.journal.as_mut().expect("the journal is open")
    }

    fn commit(&mut self, entries: Vec<Entry>) {
        self.journal().commit(&entries).expect("the disk works");
        self.entries.extend(entries.into_iter().map(|entry| (entry.key.clone(), entry)));
        self.acknowledge();
    }

    fn replace(&mut self, keeps: impl Fn(usize) -> bool, more: Vec<Entry>) {
        let mut number = 0;
        self.entries.retain(|_, _| {
            number += 1;
            keeps(number)
        });
        self.entries.extend(more.into_iter().map(|entry| (entry.key.clone(), entry)));
        let entries: Vec<Entry> = self.entries.values().cloned().collect();
        self.journal().replace(&entries).expect("the disk works");
        self.acknowledge();
    }

    fn note(&mut self, name: &str, note: Option<&[u8]>) {
        self.journal().set_note(name, note).expect("the disk works");
        match note {
            Some(note) => self.notes.insert(name.to_owned(), Some(note.to_vec())),
            None => self.notes.remove(name),
        };
        self.acknowledge();
    }

    /// Closes and opens; what is acknowledged stays the same.
    fn reopen(&mut self) {
        self.journal = None;
        self.journal = Some(open(&self.disk).expect("the journal opens again"));
        self.acknowledge();
    }
}

/// Single entries, many at once, none, large ones, notes; the file is made smaller and larger.
fn work() -> Workload {
    let mut work = Workload::new();
    for number in 0..12 {
        work.commit(vec![entry(number, 300)]);
    }
    work.commit((100..200).map(|number| entry(number, 500)).collect());
    work.note("marking", Some(b"off"));
    work.note("marking", None);
    work.note("cursor", Some(&[0, 255]));
    work.reopen();
    work.replace(|number| number % 3 == 0, vec![entry(300, 40)]);
    work.commit(vec![entry(301, 10), entry(302, 70_000)]);
    // More than a file may have unused.
    for number in 400..408 {
        work.commit(vec![entry(number, 250_000)]);
    }
    work.replace(|number| number % 5 == 0 && number < 40, Vec::new());
    let large = work.disk.visible().len();
    work.reopen();
    assert!(work.disk.visible().len() < large / 2, "the file is made smaller: {large} bytes");
    work.commit(vec![entry(500, 300)]);
    work.journal = None;
    work
}

/// All disks that are tried for one sync.
fn images(moment: &Moment, random: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let mut images = vec![moment.all(), moment.none()];
    for number in 0..SUBSETS {
        // Some with most of it, some with little: one page that is missing is another case than one that is there.
        let share = [1, 4, 7][number % 3];
        let mut keeps = |_: usize| random.next_u32() % 8 < share;
        images.push(if number < SUBSETS / 2 { moment.operations(&mut keeps) } else { moment.subset(&mut keeps) });
    }
    if moment.pending() > 0 {
        images.extend((0..4).map(|part| moment.torn(part)));
        let missing = usize::try_from(random.next_u32()).expect("it fits") % moment.pending();
        images.push(moment.operations(|number| number != missing));
        images.push(moment.operations(|number| number == missing));
    }
    images
}

/// Opens a disk after a crash. It must hold what was acknowledged, or that and all of the step that was under way; and it
/// must go on working.
#[track_caller]
fn check(image: Vec<u8>, acknowledged: &[Content], what: &str) -> Disk {
    let disk = Disk::with(image);
    let mut journal = open(&disk).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let found = content(&journal);
    if !acknowledged.contains(&found) {
        let keys = |content: &Content| content.0.iter().map(|entry| entry.key.clone()).collect::<BTreeSet<_>>();
        let expected: Vec<_> = acknowledged.iter().map(|one| keys(one).len()).collect();
        panic!("{what}: {} entries, expected {expected:?} of the steps: {:?}", found.0.len(), keys(&found));
    }
    journal.commit(&[entry(999_999, 20)]).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert_eq!(journal.entries().expect("it can be read").len(), found.0.len() + 1, "{what}");
    disk
}

/// Scenario: the machine loses power at any sync of a journal at work: commits of one entry and of many, notes, `replace`,
/// and making the file smaller; of what was not synced all, nothing, or any part got to the disk, the last write perhaps in
/// part; some crash again while they recover.
/// Guarantees: the journal opens, holds exactly what was acknowledged or that and the whole of the step under way, and goes
/// on.
#[test]
fn after_a_crash_at_any_sync_all_that_was_acknowledged_is_there() {
    let work = work();
    let mut random = ChaCha8Rng::seed_from_u64(20_260_301);
    let moments = work.disk.moments();
    assert!(moments.len() > work.acknowledged.len(), "{} syncs", moments.len());
    let (mut tried, mut again) = (0, 0);
    for (number, moment) in moments.iter().enumerate() {
        let last = (moment.step + 2).min(work.acknowledged.len());
        let acknowledged = &work.acknowledged[moment.step..last];
        for (image_number, image) in images(moment, &mut random).into_iter().enumerate() {
            let what = format!("image {image_number} of sync {number} in step {}", moment.step);
            let recovered = check(image, acknowledged, &what);
            tried += 1;
            if random.next_u32().is_multiple_of(SECOND_CRASH_ONE_IN) {
                // The last syncs are those of the commit that `check` makes.
                for second in recovered.moments().iter().take(2) {
                    for image in [second.all(), second.none(), second.subset(|number| number % 2 == 0)] {
                        check(image, acknowledged, &format!("{what}, and a crash while it recovers"));
                        again += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 1000 && again > 30, "{tried} disks, {again} of them after two crashes");
}

/// Scenario: a disk says that it has synced, and has not.
/// Guarantees: the images of this suite are such that it would notice: a journal that does not sync loses entries.
#[test]
fn a_disk_that_does_not_keep_what_it_synced_is_noticed() {
    let work = work();
    let lost = work.disk.moments().into_iter().filter(|moment| {
        // One step later, this disk would be without an entry that is acknowledged.
        let image = Disk::with(moment.none());
        let Some(after) = work.acknowledged.get(moment.step + 1) else { return false };
        open(&image).is_ok_and(|journal| content(&journal) != *after)
    });
    assert!(lost.count() > 20);
}
