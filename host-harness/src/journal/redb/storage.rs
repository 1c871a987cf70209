//! Where the bytes of a journal are, and why they are written once more before they are used.
//!
//! When a sync fails, a system may take what was not written for written: it can still be read, no later sync brings it to
//! the disk, and a crash would take it away from under what was acknowledged since. Whether that happened to a file before
//! this process came, nobody can say. So all bytes are written and synced again whenever a journal is opened, also after
//! each error, before anything is read from them. The same bytes need no further room, and a crash meanwhile changes none.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

use ::redb::backends::InMemoryBackend;
use ::redb::{BackendError, DatabaseError, StorageBackend, StorageError};

use super::tables::{MAGIC, Refusal};

/// Opens the storage of a journal: when the journal is opened, and again after each error.
pub type OpenStorage = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// Bytes that are written once more at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Any storage, which is written once more before its first use.
pub(super) struct Storage {
    inner: Box<dyn StorageBackend>,
    /// Whether it was written once more.
    is_settled: AtomicBool,
}

/// A copy of a storage that no one writes meanwhile, in memory.
pub(super) fn copy(storage: &dyn StorageBackend) -> Result<InMemoryBackend, Refusal> {
    match storage.try_lock_shared_range(Bound::Unbounded, Bound::Unbounded) {
        // Where there are no locks redb has none either.
        Ok(true) | Err(BackendError::Unsupported) => {}
        Ok(false) => return Err(DatabaseError::DatabaseAlreadyOpen.into()),
        Err(error) => return Err(DatabaseError::from(StorageError::from(error)).into()),
    }
    let read = || -> Result<InMemoryBackend, BackendError> {
        let copy = InMemoryBackend::new();
        copy.set_len(storage.len()?)?;
        in_chunks(storage, |at, chunk| Ok(copy.write(at, chunk)?))?;
        Ok(copy)
    };
    let copied = read().map_err(|error| DatabaseError::from(StorageError::from(error)).into());
    storage.close().map_err(|error| DatabaseError::from(StorageError::from(BackendError::from(error))))?;
    copied
}

fn in_chunks(
    storage: &dyn StorageBackend,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut at, len) = (0, storage.len()?);
    while at < len {
        let bytes = usize::try_from(len - at).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
        let chunk = &mut chunk[..bytes];
        storage.read(at, chunk)?;
        take(at, chunk)?;
        at += chunk.len() as u64;
    }
    Ok(())
}

// === impl Storage ===

impl Storage {
    pub(super) fn new(inner: Box<dyn StorageBackend>) -> Self {
        Self { inner, is_settled: AtomicBool::new(false) }
    }

    /// Settles what an error may have left in doubt. redb reads only once it holds the lock, so that nobody else writes meanwhile.
    fn settle(&self) -> io::Result<()> {
        if !self.is_settled.load(Ordering::Acquire) {
            // A file that is no database will be refused. Whoever writes it has no lock that redb asks for.
            if self.is_database()? {
                in_chunks(self.inner.as_ref(), |at, chunk| Ok(self.inner.write(at, chunk)?))?;
                self.inner.sync_data()?;
            }
            self.is_settled.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn is_database(&self) -> io::Result<bool> {
        let mut first = [0; MAGIC.len()];
        if self.inner.len()? < first.len() as u64 {
            return Ok(false);
        }
        self.inner.read(0, &mut first)?;
        Ok(first == MAGIC)
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        self.settle()?;
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.settle()?;
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}
