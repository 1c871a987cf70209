//! What a journal holds, in memory.

use std::collections::BTreeMap;

use crate::plugin::Entry;

/// Entries by key and notes by name. Equal keys mean equal bytes, so that putting an entry twice is putting it once.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) entries: BTreeMap<String, Vec<u8>>,
    pub(super) notes: BTreeMap<String, Vec<u8>>,
}

// === impl Content ===

impl Content {
    pub(super) fn put(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.entries.entry(entry.key.clone()).or_insert_with(|| entry.bytes.clone());
        }
    }

    pub(super) fn replace(&mut self, entries: &[Entry]) {
        self.entries.clear();
        self.put(entries);
    }

    pub(super) fn set_note(&mut self, name: &str, note: Option<&[u8]>) {
        match note {
            Some(note) => self.notes.insert(name.to_owned(), note.to_owned()),
            None => self.notes.remove(name),
        };
    }

    pub(super) fn to_entries(&self) -> Vec<Entry> {
        self.entries.iter().map(|(key, bytes)| Entry { key: key.clone(), bytes: bytes.clone() }).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.notes.keys().cloned().collect()
    }
}
