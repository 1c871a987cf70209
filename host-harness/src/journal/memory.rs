//! A journal that lives as long as the command: what `replay` needs.

use anyhow::bail;

use super::{Content, Journal};
use crate::plugin::Entry;

/// Keeps entries in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    content: Content,
    /// While set, every change fails, as when a disk is full.
    pub failing: bool,
    /// While set, entries cannot be read, as when there are no more files or the disk is gone.
    pub unreadable: bool,
}

// === impl MemoryJournal ===

impl MemoryJournal {
    /// A journal that holds these entries.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut journal = Self::default();
        journal.content.put(entries);
        journal
    }

    fn change(&mut self, change: impl FnOnce(&mut Content)) -> anyhow::Result<()> {
        if self.failing {
            bail!("the journal does not take entries at the moment");
        }
        change(&mut self.content);
        Ok(())
    }
}

impl Journal for MemoryJournal {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.change(|content| content.put(entries))
    }

    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        if self.unreadable {
            bail!("the journal cannot be read at the moment");
        }
        Ok(self.content.to_entries())
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.change(|content| content.replace(entries))
    }

    fn note(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.content.notes.get(name).cloned())
    }

    fn set_note(&mut self, name: &str, note: Option<&[u8]>) -> anyhow::Result<()> {
        self.change(|content| content.set_note(name, note))
    }

    fn notes(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.content.names())
    }
}
