//! A journal that lives as long as the command: what `replay` needs.

use anyhow::bail;

use super::{Entries, Journal};
use crate::plugin::Entry;

/// Keeps entries in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal {
    entries: Entries,
    /// While set, every commit fails, as when a disk is full.
    pub failing: bool,
}

// === impl MemoryJournal ===

impl MemoryJournal {
    /// A journal that holds these entries.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut journal = Self::default();
        journal.entries.put(entries);
        journal
    }
}

impl Journal for MemoryJournal {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        if self.failing {
            bail!("the journal does not take entries at the moment");
        }
        self.entries.put(entries);
        Ok(())
    }

    fn entries(&self) -> Vec<Entry> {
        self.entries.to_vec()
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        if self.failing {
            bail!("the journal does not take entries at the moment");
        }
        *self = Self::of(entries);
        Ok(())
    }
}
