//! What makes entries durable. A webhook is acknowledged, and takes effect, only after its entries are in a journal.

mod content;
mod memory;
mod read_only;
mod redb;
mod state_file;

pub use memory::MemoryJournal;
pub use read_only::ReadOnlyJournal;
pub use redb::{OpenStorage, RedbJournal};
pub use state_file::StateFile;

use content::Content;

use crate::plugin::Entry;

/// Keeps entries for longer than any instance of the plugin lives, and a few notes of the host beside them.
///
/// One thread at a time uses a journal; several may hand it to one another.
pub trait Journal: Send {
    /// Makes entries durable: all of them, or none and an error. Those that it has already change nothing. One call costs
    /// about the same however many entries it takes.
    ///
    /// # Errors
    /// When it is not certain that they are durable. The sender then gets 503, and nothing takes effect. They may still be
    /// found when the journal is opened anew, as after a crash between writing and the answer.
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()>;

    /// All entries, sorted by key.
    ///
    /// # Errors
    /// When they cannot be read.
    fn entries(&self) -> anyhow::Result<Vec<Entry>>;

    /// Puts `entries` in the place of all that it has: all of them, or none and an error. They must say the same. Notes
    /// stay.
    ///
    /// # Errors
    /// When it is not certain that they are durable; what it holds then still says the same.
    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()>;

    /// What the host noted under this name; `None` when there is no such note.
    ///
    /// # Errors
    /// When it cannot be read.
    fn note(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>>;

    /// Notes something in the place of what was noted under this name; `None` takes the note away.
    ///
    /// # Errors
    /// When it is not certain that this is durable.
    fn set_note(&mut self, name: &str, note: Option<&[u8]>) -> anyhow::Result<()>;

    /// The names of all notes, sorted.
    ///
    /// # Errors
    /// When they cannot be read.
    fn notes(&self) -> anyhow::Result<Vec<String>>;
}

/// Brings everything that one journal holds into another, whichever kinds they are. What the other has stays; a note of
/// the same name is replaced.
///
/// # Errors
/// When one cannot be read or the other not be written; a part may have been brought over then, and doing it again does
/// no harm.
pub fn copy(from: &dyn Journal, to: &mut dyn Journal) -> anyhow::Result<()> {
    to.commit(&from.entries()?)?;
    for name in from.notes()? {
        to.set_note(&name, from.note(&name)?.as_deref())?;
    }
    Ok(())
}

// === impl Journal ===

impl Journal for Box<dyn Journal> {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.as_mut().commit(entries)
    }

    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        self.as_ref().entries()
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.as_mut().replace(entries)
    }

    fn note(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        self.as_ref().note(name)
    }

    fn set_note(&mut self, name: &str, note: Option<&[u8]>) -> anyhow::Result<()> {
        self.as_mut().set_note(name, note)
    }

    fn notes(&self) -> anyhow::Result<Vec<String>> {
        self.as_ref().notes()
    }
}
