//! The batch with its edits made, written one resource group after another.
//!
//! A group is written as soon as it was walked, and its edits are forgotten: they never take more memory than those of the
//! largest group.

use super::{
    Refusal,
    edits::{Edits, MESSAGE_BYTES_MAX, NO_MEMORY, TOO_LARGE},
    planted::{self, Bug},
    wire::Delimited,
};

/// What was written so far.
pub(super) struct Output<'a> {
    batch: &'a [u8],
    bytes: Vec<u8>,
    /// How far the batch was copied.
    copied: usize,
    /// Where the last resource group ends.
    groups_end: usize,
    /// By how many bytes the result is longer than the batch, as far as it was copied.
    grown: i64,
}

/// Beyond what the first group lets expect: a batch so small that an eighth is too little needs not much more.
const RESERVE: usize = 1024;

// === impl Output ===

impl<'a> Output<'a> {
    pub(super) fn of(batch: &'a [u8]) -> Self {
        Self { batch, bytes: Vec::new(), copied: 0, groups_end: 0, grown: 0 }
    }

    /// Makes the edits of `group`, which grows by so many bytes, and forgets them.
    pub(super) fn take(&mut self, edits: &mut Edits, group: &Delimited<'_>, grown: i64) -> Result<(), Refusal> {
        self.groups_end = group.content.end();
        if edits.is_empty() {
            return Ok(());
        }
        self.grown += grown;
        let size = self.batch.len() as i64 + self.grown;
        let Some(size) = usize::try_from(size).ok().filter(|size| *size as u64 <= MESSAGE_BYTES_MAX) else {
            return Err(Refusal { offset: group.length_at, reason: TOO_LARGE });
        };
        self.reserve(size, group)?;
        self.copied = edits.write(self.batch, self.copied, &mut self.bytes);
        edits.forget_made();
        Ok(())
    }

    /// The result; none when there were no edits.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        if self.copied == 0 {
            return None;
        }
        self.bytes.extend_from_slice(self.batch.get(self.copied..).unwrap_or_default());
        let size = self.batch.len() as i64 + self.grown;
        debug_assert!(
            self.bytes.len() as i64 == size || planted::has(Bug::WidenedLength),
            "the lengths that were written do not add up"
        );
        if planted::has(Bug::UnknownFieldDropped) {
            self.bytes.truncate(self.bytes.len() - (self.batch.len() - self.groups_end));
        }
        Some(self.bytes)
    }

    /// Asks for memory once, as if the groups to come grew like those so far, and again only if they grow more.
    ///
    /// A small group of small items may grow many times over, and then says nothing of a large one behind it: no more than
    /// half of the batch is asked for ahead, and nothing where that is more than there is.
    fn reserve(&mut self, size: usize, group: &Delimited<'_>) -> Result<(), Refusal> {
        if size <= self.bytes.capacity() {
            return Ok(());
        }
        let done = group.content.end() as u64;
        let to_come = (self.batch.len() as u64).saturating_sub(done);
        let expected = self.grown.unsigned_abs() * to_come / done.max(1);
        let spare = if to_come > 0 { expected + expected / 8 + RESERVE as u64 } else { 0 };
        let spare = spare.min(self.batch.len() as u64 / 2 + RESERVE as u64);
        let wanted = (size as u64 + spare).min(MESSAGE_BYTES_MAX) as usize;
        let needed = size - self.bytes.len();
        self.bytes
            .try_reserve_exact(wanted - self.bytes.len())
            .or_else(|_| self.bytes.try_reserve_exact(needed))
            .map_err(|_| Refusal { offset: group.length_at, reason: NO_MEMORY })
    }
}
