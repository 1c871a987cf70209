//! What makes entries durable. A webhook is acknowledged, and takes effect, only after its entries are in a journal.

mod memory;
mod state_file;

use std::collections::BTreeMap;

pub use memory::MemoryJournal;
pub use state_file::StateFile;

use crate::plugin::Entry;

/// Keeps entries for longer than any instance of the plugin lives.
pub trait Journal {
    /// Makes entries durable: all of them, or none and an error. Those that it has already change nothing.
    ///
    /// # Errors
    /// When they could not be made durable. The sender then gets 503, and nothing took effect.
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()>;

    /// All entries, sorted by key.
    fn entries(&self) -> Vec<Entry>;

    /// Puts `entries` in the place of all that it has: all of them, or none and an error. They must say the same.
    ///
    /// # Errors
    /// When they could not be made durable; what was there before is there still.
    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()>;
}

/// Entries by key. Equal keys mean equal bytes, so that putting an entry twice is putting it once.
#[derive(Clone, Debug, Default)]
struct Entries(BTreeMap<String, Vec<u8>>);

// === impl Journal ===

impl Journal for Box<dyn Journal> {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.as_mut().commit(entries)
    }

    fn entries(&self) -> Vec<Entry> {
        self.as_ref().entries()
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.as_mut().replace(entries)
    }
}

// === impl Entries ===

impl Entries {
    fn put(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.0.entry(entry.key.clone()).or_insert_with(|| entry.bytes.clone());
        }
    }

    fn to_vec(&self) -> Vec<Entry> {
        self.0.iter().map(|(key, bytes)| Entry { key: key.clone(), bytes: bytes.clone() }).collect()
    }
}
