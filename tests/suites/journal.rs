//! The journal of a server: what it promises of crashes, failing disks, foreign files and other versions.

#[path = "journal/crash_images.rs"]
mod crash_images;
#[path = "journal/disk.rs"]
mod disk;
#[path = "journal/failures.rs"]
mod failures;
#[path = "journal/files.rs"]
mod files;
mod manual;
mod support;
#[path = "journal/versions.rs"]
mod versions;

use std::path::Path;

use faultline::journal::{Journal, RedbJournal};
use faultline::plugin::Entry;

use disk::Disk;

/// Everything that a journal holds: entries and notes.
type Content = (Vec<Entry>, Vec<(String, Option<Vec<u8>>)>);

/// An entry of its own, of about `bytes` bytes.
fn entry(number: usize, bytes: usize) -> Entry {
    let mut content = format!("1 {{\"kind\":\"test\",\"received\":{number},\"filler\":\"").into_bytes();
    // Not the same byte throughout: a page that was not written must not look like one that was.
    let filler = (0..bytes).map(|at| b'a' + u8::try_from((at + number) % 26).expect("a letter"));
    content.extend(filler);
    content.extend(b"\"}");
    Entry { key: format!("test/{number:06}"), bytes: content }
}

fn open(disk: &Disk) -> anyhow::Result<RedbJournal> {
    RedbJournal::open_on(Path::new("journal.redb"), disk.storage())
}

fn content(journal: &dyn Journal) -> Content {
    let entries = journal.entries().expect("entries can be read");
    let names = journal.notes().expect("notes can be listed");
    let notes = names.into_iter().map(|name| {
        let note = journal.note(&name).expect("a note can be read");
        (name, note)
    });
    (entries, notes.collect())
}
