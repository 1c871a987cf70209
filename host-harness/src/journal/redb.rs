//! A journal in one file of redb, which a server keeps open: what is committed is on the disk, whatever happens after.
//!
//! What an error leaves in doubt is settled by opening the file again, as after a crash: see [`storage`].

mod storage;
mod tables;
mod trouble;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ::redb::backends::FileBackend;
use ::redb::{Database, Error, ReadableDatabase, ReadableTable, StorageBackend};
use anyhow::Context;
use tracing::warn;

use super::{Content, Journal};
use crate::plugin::Entry;

pub use storage::OpenStorage;
pub(super) use tables::MAGIC;

use tables::{ENTRIES, NOTES};

/// A journal is read whole when it is opened and only written after that: there is little to gain from a cache.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Files up to this size are not made smaller.
const COMPACT_BYTES_MIN: u64 = 1024 * 1024;
/// The file is made smaller on start when it is this many times as large as what it holds.
const COMPACT_SLACK: u64 = 2;

/// Keeps entries in a file of redb, which no other process has open meanwhile.
///
/// After an error, such as a full disk, the journal can be read and works again once the disk does; nobody has to open it
/// anew.
pub struct RedbJournal {
    path: PathBuf,
    open_storage: OpenStorage,
    /// `None` after an error, until it is needed again.
    database: Option<Database>,
}

// === impl RedbJournal ===

impl RedbJournal {
    /// Opens a journal; one that does not exist is made, with its folders. A file that is much larger than what it holds is
    /// made smaller.
    ///
    /// # Errors
    /// When another process has it open, when the file is no journal, is damaged or has a newer version of the format, and
    /// when file or folder cannot be written. The file is left as it is then, and the error says what to do.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.try_exists().with_context(|| trouble::cannot_open(path))? {
            create(path).with_context(|| format!("cannot make the journal {}", path.display()))?;
        }
        let file = path.to_owned();
        let open = move || {
            let file = File::options().read(true).write(true).open(&file)?;
            Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?) as _)
        };
        if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            return Err(trouble::empty(path));
        }
        Self::open_on(path, Box::new(open))
    }

    /// Opens a journal that lies somewhere else than in a file; `name` stands for it in errors. Storage without a byte becomes
    /// an empty journal.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_on(name: &Path, open_storage: OpenStorage) -> anyhow::Result<Self> {
        let mut journal = Self { path: name.to_owned(), open_storage, database: None };
        journal.open_copy()?;
        journal.database = Some(journal.open_database()?);
        if let Err(error) = journal.compact() {
            warn!(journal = %name.display(), error = %error, "the journal cannot be made smaller");
            journal.database = None;
        }
        Ok(journal)
    }

    /// Opens a copy in memory. redb writes into a file by opening it; what is refused should stay as it is.
    fn open_copy(&self) -> anyhow::Result<Database> {
        let storage = (self.open_storage)().with_context(|| trouble::cannot_open(&self.path))?;
        open_copy(&self.path, storage.as_ref())
    }

    fn open_database(&self) -> anyhow::Result<Database> {
        let storage = (self.open_storage)().with_context(|| trouble::cannot_open(&self.path))?;
        tables::open(storage::Storage::new(storage), CACHE_BYTES).map_err(|error| trouble::opening(&self.path, error))
    }

    /// Makes the file smaller when much of it is free.
    fn compact(&mut self) -> anyhow::Result<()> {
        let Some(database) = &mut self.database else { return Ok(()) };
        let bytes = (self.open_storage)()?.len().map_err(io::Error::other)?;
        let used = {
            let transaction = database.begin_write()?;
            let statistics = transaction.stats()?;
            statistics.allocated_pages() * u64::try_from(statistics.page_size())?
        };
        if bytes > COMPACT_BYTES_MIN && bytes / COMPACT_SLACK > used {
            database.compact()?;
        }
        Ok(())
    }

    /// Changes the database in one transaction. `change` says whether there is anything to commit.
    fn write(&mut self, change: impl Fn(&tables::Writing) -> Result<bool, Error>) -> anyhow::Result<()> {
        loop {
            let (database, is_fresh) = match self.database.take() {
                Some(database) => (database, false),
                None => (self.open_database()?, true),
            };
            match tables::write(&database, &change) {
                Ok(()) => {
                    self.database = Some(database);
                    return Ok(());
                }
                // An earlier error, that of a read, is no error of this change.
                Err(Error::PreviousIo) if !is_fresh => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error))
                        .with_context(|| format!("cannot write the journal {}", self.path.display()));
                }
            }
        }
    }

    /// Reads from the database; when that is in doubt, or fails, from a copy of what the disk holds.
    fn read<T>(&self, read: impl Fn(&Database) -> Result<T, Error>) -> anyhow::Result<T> {
        if let Some(database) = &self.database
            && let Ok(found) = read(database)
        {
            return Ok(found);
        }
        // Its lock went with the database, and comes back with it.
        let read_copy = || Ok::<T, anyhow::Error>(read(&self.open_copy()?)?);
        read_copy().with_context(|| format!("cannot read the journal {}", self.path.display()))
    }
}

impl Journal for RedbJournal {
    fn commit(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        self.write(|tables| tables.put(entries))
    }

    fn entries(&self) -> anyhow::Result<Vec<Entry>> {
        self.read(tables::entries)
    }

    fn replace(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let keys: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        self.write(|tables| {
            let removed = tables.keep_only(&keys)?;
            Ok(tables.put(entries)? || removed)
        })
    }

    fn note(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(NOTES)?;
            Ok(table.get(name)?.map(|note| note.value().to_vec()))
        })
    }

    fn set_note(&mut self, name: &str, note: Option<&[u8]>) -> anyhow::Result<()> {
        self.write(|tables| tables.set_note(name, note))
    }

    fn notes(&self) -> anyhow::Result<Vec<String>> {
        self.read(|database| Ok(tables::notes(database)?.into_keys().collect()))
    }
}

/// What is in the file of a journal that nobody has open, to look at it. The file is not written, not even to settle what a
/// crash left: that happens in a copy.
pub(super) fn read(path: &Path) -> anyhow::Result<Content> {
    let file = File::open(path).with_context(|| trouble::cannot_open(path))?;
    let file = FileBackend::new(file).map_err(|error| trouble::opening(path, error.into()))?;
    let database = open_copy(path, &file)?;
    let read = || -> Result<Content, Error> {
        let table = database.begin_read()?.open_table(ENTRIES)?;
        let mut content = Content { notes: tables::notes(&database)?, ..Content::default() };
        for entry in table.iter()? {
            let (key, bytes) = entry?;
            content.entries.insert(key.value().to_owned(), bytes.value().to_vec());
        }
        Ok(content)
    };
    read().with_context(|| format!("cannot read the journal {}", path.display()))
}

/// Opens a copy of a journal that no one else has open, in memory.
fn open_copy(path: &Path, storage: &dyn StorageBackend) -> anyhow::Result<Database> {
    let copy = storage::copy(storage).and_then(|copy| tables::open(copy, CACHE_BYTES));
    copy.map_err(|error| trouble::opening(path, error))
}

/// Makes an empty journal under another name and renames it: a crash leaves a whole journal or none.
fn create(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folders(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    let storage = storage::Storage::new(Box::new(FileBackend::new(file.reopen()?)?));
    tables::open(storage, CACHE_BYTES).map_err(|error| trouble::opening(path, error))?.close()?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => sync_folder(folder),
        // Somebody else was faster; who may use it, its lock decides.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error.into()),
    }
}

/// Makes a folder and those that it lies in, durably: a journal in a folder that a crash takes away is lost with it.
fn create_folders(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if parent != folder {
        create_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make the folder {}", folder.display())),
    }
}

/// A new name is durable only once its folder is. Not every system lets a folder be opened for that.
fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    if let Ok(folder) = File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}
