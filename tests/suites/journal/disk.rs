//! A disk in memory that knows what is on it for good, and what a crash would take away.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faultline::journal::OpenStorage;
use redb::StorageBackend;

/// Sectors are written whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a reader sees.
    visible: Vec<u8>,
    /// What is there after a crash in any case.
    durable: Vec<u8>,
    /// What was done since, and may be there after a crash.
    pending: Vec<Change>,
    /// One for each sync so far.
    syncs: Vec<Moment>,
    /// What counts at the moment: the caller's own number.
    step: usize,
    failure: Option<Failure>,
}

/// One operation on the disk.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// The disk just before a sync.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// The step that the sync was part of.
    pub(crate) step: usize,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// Which operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Write,
    SetLen,
    Sync,
}

/// From some operation on, all of its kind fail.
#[derive(Clone, Copy, Debug)]
struct Failure {
    operation: Operation,
    /// Operations of the kind that still work.
    left: usize,
    /// What the system says.
    code: i32,
}

/// `ENOSPC`.
pub(crate) const DISK_FULL: i32 = 28;
/// `EIO`.
pub(crate) const BROKEN: i32 = 5;

// === impl Disk ===

impl Disk {
    /// A disk with this on it, for good.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        let state = State { visible: bytes.clone(), durable: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk as the storage of a journal.
    pub(crate) fn storage(&self) -> OpenStorage {
        let disk = self.clone();
        Box::new(move || Ok(Box::new(disk.clone())))
    }

    /// Says what the syncs from here on are part of.
    pub(crate) fn begin(&self, step: usize) {
        self.state().step = step;
    }

    /// The disk before each sync so far.
    pub(crate) fn moments(&self) -> Vec<Moment> {
        self.state().syncs.clone()
    }

    /// What a crash at this very moment leaves when it takes away all that it can.
    pub(crate) fn durable(&self) -> Vec<u8> {
        self.state().durable.clone()
    }

    /// What can be read.
    pub(crate) fn visible(&self) -> Vec<u8> {
        self.state().visible.clone()
    }

    /// From here on all operations of this kind fail, except the first `left`.
    pub(crate) fn fail(&self, operation: Operation, left: usize, code: i32) {
        self.state().failure = Some(Failure { operation, left, code });
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.state().failure = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, operation: Operation) -> io::Result<()> {
        match &mut self.failure {
            Some(failure) if failure.operation == operation => match failure.left.checked_sub(1) {
                Some(left) => failure.left = left,
                None => return Err(io::Error::from_raw_os_error(failure.code)),
            },
            _ => {}
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().visible.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let state = self.state();
        let found = state.visible.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.check(Operation::SetLen)?;
        let change = Change::SetLen(usize::try_from(len).map_err(io::Error::other)?);
        change.apply(&mut state.visible);
        state.pending.push(change);
        Ok(())
    }

    /// When it fails, what was written stays visible, and no later sync brings it to the disk: so do several systems.
    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let moment = Moment { step: state.step, durable: state.durable.clone(), pending: state.pending.clone() };
        state.syncs.push(moment);
        let pending = std::mem::take(&mut state.pending);
        if let Err(error) = state.check(Operation::Sync) {
            // The length of a file is in the file system's own log.
            let lengths = pending.iter().filter(|change| matches!(change, Change::SetLen(_)));
            lengths.for_each(|change| change.apply(&mut state.durable));
            return Err(error);
        }
        pending.iter().for_each(|change| change.apply(&mut state.durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.check(Operation::Write)?;
        let change = Change::Write { offset: usize::try_from(offset).map_err(io::Error::other)?, bytes: data.to_vec() };
        change.apply(&mut state.visible);
        state.pending.push(change);
        Ok(())
    }
}

// === impl Change ===

impl Change {
    /// What is written beyond the end is not seen: the length that made room for it is not there yet.
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Write { offset, bytes: written } => {
                let end = (offset + written.len()).min(bytes.len());
                if *offset < end {
                    bytes[*offset..end].copy_from_slice(&written[..end - offset]);
                }
            }
        }
    }
}

// === impl Moment ===

impl Moment {
    /// How many operations a crash may take away.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The disk when nothing of what was not synced got there.
    pub(crate) fn none(&self) -> Vec<u8> {
        self.durable.clone()
    }

    /// The disk when all of it did.
    pub(crate) fn all(&self) -> Vec<u8> {
        self.subset(|_| true)
    }

    /// The disk when those sectors of the writes got there that `keeps`, in whatever order: of two writes to one sector the
    /// first can be there without the second, not over it. Of the changes of length some first ones got there, which a
    /// file system logs in their order.
    pub(crate) fn subset(&self, mut keeps: impl FnMut(usize) -> bool) -> Vec<u8> {
        let mut image = self.durable.clone();
        let mut lengths_end = false;
        for (number, change) in self.pending.iter().enumerate() {
            match change {
                Change::SetLen(_) => {
                    lengths_end |= !keeps(number);
                    if !lengths_end {
                        change.apply(&mut image);
                    }
                }
                Change::Write { offset, bytes } => {
                    for (sector, bytes) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if keeps(number) {
                            let offset = offset + sector * SECTOR_BYTES;
                            Change::Write { offset, bytes: bytes.to_vec() }.apply(&mut image);
                        }
                    }
                }
            }
        }
        image
    }

    /// The disk when all got there but whole operations for which `keeps` says no.
    pub(crate) fn operations(&self, mut keeps: impl FnMut(usize) -> bool) -> Vec<u8> {
        let kept: Vec<bool> = (0..self.pending.len()).map(&mut keeps).collect();
        self.subset(|number| kept[number])
    }

    /// The disk when all got there, but of the last write only the first `part` of four parts.
    pub(crate) fn torn(&self, part: usize) -> Vec<u8> {
        let last = self.pending.iter().rposition(|change| matches!(change, Change::Write { .. }));
        let Some(last) = last else { return self.all() };
        let Change::Write { offset, bytes } = &self.pending[last] else { return self.all() };
        let mut image = self.operations(|number| number != last);
        let torn = Change::Write { offset: *offset, bytes: bytes[..bytes.len() * part / 4].to_vec() };
        torn.apply(&mut image);
        image
    }
}
