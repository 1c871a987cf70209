//! A journal that somebody looks at: what it held when it was read.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Content, Journal, redb, state_file};
use crate::plugin::Entry;

/// What a file held when it was read: a state file, or the journal of a server that does not run. Which of the two it is,
/// its first bytes say. The file is never written.
#[derive(Clone, Debug)]
pub struct ReadOnlyJournal {
    path: PathBuf,
    content: Content,
}

// === impl ReadOnlyJournal ===

impl ReadOnlyJournal {
    /// Reads a file. It must exist: a mistyped name should not look like an empty state.
    ///
    /// # Errors
    /// When the file cannot be read, is neither of the two, is damaged, has a newer version of its format, or is in use by a
    /// server.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let content = if is_redb(path).with_context(|| format!("cannot read the state {}", path.display()))? {
            redb::read(path)?
        } else {
            state_file::read(path)?
        };
        Ok(Self { path: path.to_owned(), content })
    }
}

/// Whether a file is the journal of a server. What is not there is none.
pub(super) fn is_redb(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(redb::MAGIC.len() as u64).read_to_end(&mut first)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(first == redb::MAGIC)
}

impl Journal for ReadOnlyJournal {
    fn commit(&mut self, _entries: &[Entry]) -> anyhow::Result<()> {
        bail!("the state {} was opened only to be read", self.path.display())
    }

    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        Ok(self.content.to_entries())
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.commit(entries)
    }

    fn note(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.content.notes.get(name).cloned())
    }

    fn set_note(&mut self, _name: &str, _note: Option<&[u8]>) -> anyhow::Result<()> {
        self.commit(&[])
    }

    fn notes(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.content.names())
    }
}
