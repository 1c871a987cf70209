//! A journal in one file of JSON, for commands that are called one after the other.
//!
//! ```json
//! {
//!   "format": "faultline-state",
//!   "version": 1,
//!   "entries": [
//!     { "key": "…", "text": "the entry's bytes, where they are text" },
//!     { "key": "…", "hex": "00ff" }
//!   ],
//!   "notes": [ { "key": "the note's name", "text": "…" } ]
//! }
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::read_only::is_redb;
use super::{Content, Journal};
use crate::cli::Hint;
use crate::hex;
use crate::plugin::Entry;

const FORMAT: &str = "faultline-state";
/// Raised when a file of this version can no longer be read by an older command.
const VERSION: u32 = 1;

/// Keeps entries in a file. While it is open, others who want to write wait.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    content: Content,
    /// Held for as long as this lives.
    _lock: File,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    entries: Vec<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Line>,
}

/// One entry or note; exactly one of `text` and `hex` is there.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    /// The bytes as they are, when they are text: people can then read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// The part of [`Document`] that says whether the rest can be understood.
#[derive(Deserialize)]
struct Preamble {
    format: Option<String>,
    version: Option<u32>,
}

// === impl StateFile ===

impl StateFile {
    /// Opens a file to write it; one that does not exist is an empty state. Waits until no one else has it open for
    /// writing, or two webhooks at the same time would take one another's entries away.
    ///
    /// # Errors
    /// When the file cannot be read or is not a state file of a known version (the journal of a server is none), or its
    /// folder cannot be written.
    pub fn open_to_write(path: &Path) -> anyhow::Result<Self> {
        if is_redb(path).with_context(|| format!("cannot read the state {}", path.display()))? {
            return Err(Hint::error(
                format!("{} is the journal of a server, which commands only read", path.display()),
                "name another file; or send the webhook to the server",
            ));
        }
        let lock_path = lock_path(path);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("cannot make {}, which guards the state", lock_path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;
        let content = match fs::read_to_string(path) {
            Ok(text) => parse(&text, path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read the state {}", path.display())),
        };
        Ok(Self { path: path.to_owned(), content, _lock: lock })
    }

    /// Keeps what `change` makes of the content.
    fn change(&mut self, change: impl FnOnce(&mut Content)) -> anyhow::Result<()> {
        let mut after = self.content.clone();
        change(&mut after);
        write(&self.path, &after).with_context(|| format!("cannot write the state {}", self.path.display()))?;
        self.content = after;
        Ok(())
    }
}

impl Journal for StateFile {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.change(|content| content.put(entries))
    }

    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
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

/// What is in a file, to look at it.
pub(super) fn read(path: &Path) -> anyhow::Result<Content> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the state {}", path.display()))?;
    parse(&text, path)
}

/// Beside the file and not the file itself: that one is replaced, and a lock on it would stay with its old content.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    path.with_file_name(name)
}

fn parse(text: &str, path: &Path) -> anyhow::Result<Content> {
    let what = || format!("{} is not a state that faultline wrote", path.display());
    let preamble: Preamble = serde_json::from_str(text).with_context(what)?;
    if preamble.format.as_deref() != Some(FORMAT) {
        bail!("{}: it has no `\"format\": \"{FORMAT}\"`", what());
    }
    match preamble.version {
        Some(VERSION) => {}
        Some(version) => {
            bail!("{} has version {version} of the format; this faultline knows {VERSION}", path.display())
        }
        None => bail!("{}: it has no `version`", what()),
    }
    let document: Document = serde_json::from_str(text).with_context(what)?;
    let read = |lines: Vec<Line>| {
        let read = |line: Line| {
            let bytes = line.bytes().with_context(|| format!("{}: entry {:?}", what(), line.key))?;
            Ok((line.key, bytes))
        };
        lines.into_iter().map(read).collect::<anyhow::Result<_>>()
    };
    Ok(Content { entries: read(document.entries)?, notes: read(document.notes)? })
}

/// Writes a file beside the old one and renames it: whoever reads sees the old state or the new one, even after a crash.
fn write(path: &Path, content: &Content) -> anyhow::Result<()> {
    let lines = |of: &BTreeMap<String, Vec<u8>>| of.iter().map(|(key, bytes)| Line::new(key, bytes)).collect();
    let Content { entries, notes } = content;
    let document =
        Document { format: FORMAT.to_owned(), version: VERSION, entries: lines(entries), notes: lines(notes) };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name itself is durable only once its folder is. Not every system lets a folder be opened for that.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

// === impl Line ===

impl Line {
    fn new(key: &str, bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let hex = text.is_none().then(|| hex::encode(bytes));
        Self { key: key.to_owned(), text, hex }
    }

    fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.text, &self.hex) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => Ok(hex::decode(text)?),
            _ => bail!("it needs either `text` or `hex`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, bytes: &[u8]) -> Entry {
        Entry { key: key.to_owned(), bytes: bytes.to_vec() }
    }

    #[test]
    fn gives_back_the_bytes_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let entries =
            [entry("a", br#"{"b":1.50,"a":"\u00e9"}"#), entry("b", b"\x00\xff"), entry("c", b" {} "), entry("d", b"")];
        let mut journal = StateFile::open_to_write(&path).unwrap();
        journal.commit(&entries).unwrap();
        journal.set_note("switch", Some(b"on")).unwrap();
        journal.set_note("gone", Some(b"\xff")).unwrap();
        journal.set_note("gone", None).unwrap();
        let content = read(&path).unwrap();
        assert_eq!(content.to_entries(), entries);
        assert_eq!(content.notes, BTreeMap::from([("switch".to_owned(), b"on".to_vec())]));
    }

    #[test]
    fn a_file_that_does_not_exist_is_empty_only_for_those_who_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert!(read(&path).is_err());
        assert!(StateFile::open_to_write(&path).unwrap().entries().unwrap().is_empty());
    }

    #[test]
    fn a_failed_commit_changes_neither_file_nor_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut journal = StateFile::open_to_write(&path).unwrap();
        journal.commit(&[entry("a", b"1")]).unwrap();
        journal.path = folder.path().join("missing").join("state.json");
        assert!(journal.commit(&[entry("b", b"2")]).is_err());
        assert_eq!(journal.entries().unwrap(), [entry("a", b"1")]);
        drop(journal);
        assert_eq!(read(&path).unwrap().to_entries(), [entry("a", b"1")]);
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let check = |text: &str, expected: &str| {
            let error = format!("{:#}", parse(text, Path::new("state.json")).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        check("hello", "not a state that faultline wrote");
        check("{}", "\"format\": \"faultline-state\"");
        check(r#"{"format":"faultline-state","version":2,"entries":[]}"#, "has version 2");
        check(r#"{"format":"faultline-state","version":1,"entries":[{"key":"a"}]}"#, "needs either `text` or `hex`");
        check(r#"{"format":"faultline-state","version":1,"entries":[{"key":"a","hex":"0g"}]}"#, "entry \"a\"");
    }
}
