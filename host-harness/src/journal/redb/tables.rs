//! What a database of redb has to hold to be a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ::redb::{
    Builder, Database, DatabaseError, Durability, Error, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    Table, TableDefinition, TableHandle, WriteTransaction,
};

use crate::plugin::Entry;

/// What every file of redb begins with.
pub(crate) const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// Entries: key to bytes.
pub(super) const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// Notes: name to bytes.
pub(super) const NOTES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("notes");
/// What kind of file this is.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("faultline-journal");
/// The key of the version in [`ABOUT`].
const VERSION_KEY: &str = "version";
/// Raised when a journal of this version can no longer be shared with an older program.
const VERSION: u64 = 1;

/// Why a file is not used as a journal.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The database cannot be opened.
    Database(DatabaseError),
    /// It is a database, and holds something else.
    Foreign,
    /// Its version is one that this program does not know.
    Version(u64),
}

/// The tables of one transaction that writes.
pub(super) struct Writing<'transaction> {
    transaction: &'transaction WriteTransaction,
}

/// Opens a database; an empty one becomes an empty journal. All of it is checked against its checksums, since a file that
/// something else wrote into can otherwise show that at any later time.
pub(super) fn open(storage: impl StorageBackend, cache_bytes: usize) -> Result<Database, Refusal> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
    let database = builder.create_with_backend(storage)?;
    let transaction = database.begin_read()?;
    let names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if names.is_empty() {
        create(&database)?;
        return Ok(database);
    }
    if !names.iter().any(|name| name == ABOUT.name()) {
        return Err(Refusal::Foreign);
    }
    let version = transaction.open_table(ABOUT)?.get(VERSION_KEY)?.ok_or(Refusal::Foreign)?.value();
    if version != VERSION {
        return Err(Refusal::Version(version));
    }
    // Both are there, and of these types.
    transaction.open_table(ENTRIES)?;
    transaction.open_table(NOTES)?;
    Ok(database)
}

fn create(database: &Database) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.open_table(ABOUT)?.insert(VERSION_KEY, VERSION)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(NOTES)?;
    Ok(transaction.commit()?)
}

/// Changes a database durably; `change` says whether there is anything to commit.
pub(super) fn write(
    database: &Database,
    change: impl FnOnce(&Writing<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // What is there already was durable before it could be seen.
    match change(&Writing { transaction: &transaction })? {
        true => Ok(transaction.commit()?),
        false => Ok(transaction.abort()?),
    }
}

/// All entries, sorted by key.
pub(super) fn entries(database: &Database) -> Result<Vec<Entry>, Error> {
    let table = database.begin_read()?.open_table(ENTRIES)?;
    let mut entries = Vec::new();
    for entry in table.iter()? {
        let (key, bytes) = entry?;
        entries.push(Entry { key: key.value().to_owned(), bytes: bytes.value().to_vec() });
    }
    Ok(entries)
}

/// All notes by name.
pub(super) fn notes(database: &Database) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let table = database.begin_read()?.open_table(NOTES)?;
    let mut notes = BTreeMap::new();
    for note in table.iter()? {
        let (name, note) = note?;
        notes.insert(name.value().to_owned(), note.value().to_vec());
    }
    Ok(notes)
}

// === impl Writing ===

impl Writing<'_> {
    /// Puts entries whose keys are not there yet, and says whether there were any.
    pub(super) fn put(&self, entries: &[Entry]) -> Result<bool, Error> {
        let mut table: Table<'_, &str, &[u8]> = self.transaction.open_table(ENTRIES)?;
        let mut is_changed = false;
        for Entry { key, bytes } in entries {
            if table.get(key.as_str())?.is_none() {
                table.insert(key.as_str(), bytes.as_slice())?;
                is_changed = true;
            }
        }
        Ok(is_changed)
    }

    /// Removes entries with other keys than these, and says whether there were any.
    pub(super) fn keep_only(&self, keys: &BTreeSet<&str>) -> Result<bool, Error> {
        let mut table = self.transaction.open_table(ENTRIES)?;
        let mut is_changed = false;
        table.retain(|key, _| {
            let stays = keys.contains(key);
            is_changed |= !stays;
            stays
        })?;
        Ok(is_changed)
    }

    /// Sets or removes a note, and says whether that changes anything.
    pub(super) fn set_note(&self, name: &str, note: Option<&[u8]>) -> Result<bool, Error> {
        let mut table = self.transaction.open_table(NOTES)?;
        if table.get(name)?.as_ref().map(|found| found.value()) == note {
            return Ok(false);
        }
        match note {
            Some(note) => table.insert(name, note)?,
            None => table.remove(name)?,
        };
        Ok(true)
    }
}

// === impl Refusal ===

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            // A table of one of our names that holds something else.
            Error::TableTypeMismatch { .. }
            | Error::TableDoesNotExist(_)
            | Error::TableIsMultimap(_)
            | Error::TypeDefinitionChanged { .. } => Self::Foreign,
            Error::Io(error) => Self::Database(StorageError::Io(error).into()),
            Error::Corrupted(message) => Self::Database(StorageError::Corrupted(message).into()),
            other => Self::Database(StorageError::Backend(Box::new(other)).into()),
        }
    }
}

/// The other errors of redb become its general one first.
macro_rules! refusals {
    ($($error:ident),+) => {$(
        impl From<::redb::$error> for Refusal {
            fn from(error: ::redb::$error) -> Self {
                Error::from(error).into()
            }
        }
    )+};
}
refusals!(TransactionError, TableError, StorageError);

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(formatter),
            Self::Foreign => formatter.write_str("it holds something else"),
            Self::Version(version) => {
                write!(formatter, "it has version {version} of the format; this faultline knows {VERSION}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
