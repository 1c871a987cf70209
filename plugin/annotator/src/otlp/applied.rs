//! A batch with a list of edits made to it: the host's half of `edits`.
//!
//! The guest answers with a few numbers for each item instead of a second batch; whoever holds the batch makes the edits in
//! memory of its own. It depends on nothing, and trusts nobody: a list that does not fit the batch is refused before any
//! byte is written.

use std::fmt;

/// What to change in a batch. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditList {
    /// Four numbers for each edit, by rising offset: the offset in the batch, how many of its bytes to leave out there,
    /// and which bytes to put in instead, as start and length in [`Self::inserts`].
    pub edits: Vec<u32>,
    /// What edits put in; several may put in the same.
    pub inserts: Vec<u8>,
}

/// Why a list cannot be applied to a batch. Displays as `edit 3 begins before the end of the one before it`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidEdits {
    /// The numbers are not a multiple of four.
    Incomplete,
    /// The edit with this index begins before the one before it ends.
    OutOfOrder(usize),
    /// The edit with this index reaches over the end of the batch.
    OutsideBatch(usize),
    /// The edit with this index puts in bytes that are not there.
    OutsideInserts(usize),
    /// The result would be larger than it may be, or than there is memory for.
    TooLarge,
}

/// One edit.
#[derive(Clone, Copy)]
struct Edit {
    at: usize,
    delete: usize,
    start: usize,
    length: usize,
}

/// Protobuf libraries hold sizes in 32 bits with a sign.
pub const RESULT_BYTES_MAX: usize = (1 << 31) - 1;

// === impl EditList ===

impl EditList {
    /// How many numbers make an edit.
    pub const NUMBERS_PER_EDIT: usize = 4;

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Replaces what is in `output` by `batch` with the edits made.
    ///
    /// # Errors
    ///
    /// As [`apply`].
    pub fn apply(&self, batch: &[u8], output: &mut Vec<u8>) -> Result<(), InvalidEdits> {
        apply(batch, &self.edits, &self.inserts, RESULT_BYTES_MAX, output)
    }
}

// === impl InvalidEdits ===

impl fmt::Display for InvalidEdits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => formatter.write_str("the numbers of the edits are not a multiple of four"),
            Self::OutOfOrder(index) => write!(formatter, "edit {index} begins before the end of the one before it"),
            Self::OutsideBatch(index) => write!(formatter, "edit {index} reaches over the end of the batch"),
            Self::OutsideInserts(index) => write!(formatter, "edit {index} puts in bytes that are not there"),
            Self::TooLarge => formatter.write_str("the result would be larger than it may be"),
        }
    }
}

impl std::error::Error for InvalidEdits {}

/// Replaces what is in `output` by `batch` with the edits made; its memory is used again. `edits` and `inserts` are those
/// of an [`EditList`]. One allocation at most.
///
/// # Errors
///
/// When the edits do not ascend, overlap, leave the batch or the inserts, or make more than `bytes_max` or than protobuf
/// allows, or than there is memory for. Then nothing was written.
pub fn apply(
    batch: &[u8],
    edits: &[u32],
    inserts: &[u8],
    bytes_max: usize,
    output: &mut Vec<u8>,
) -> Result<(), InvalidEdits> {
    let size = check(batch.len(), edits, inserts.len(), bytes_max)?;
    if output.try_reserve_exact(size.saturating_sub(output.len())).is_err() {
        return Err(InvalidEdits::TooLarge);
    }
    output.clear();
    let mut copied = 0;
    for Edit { at, delete, start, length } in each(edits) {
        output.extend_from_slice(batch.get(copied..at).unwrap_or_default());
        output.extend_from_slice(inserts.get(start..start + length).unwrap_or_default());
        copied = at + delete;
    }
    output.extend_from_slice(batch.get(copied..).unwrap_or_default());
    Ok(())
}

/// How many bytes the result has.
fn check(batch_bytes: usize, edits: &[u32], insert_bytes: usize, bytes_max: usize) -> Result<usize, InvalidEdits> {
    if !edits.len().is_multiple_of(EditList::NUMBERS_PER_EDIT) {
        return Err(InvalidEdits::Incomplete);
    }
    let reaches_over = |start: usize, length: usize, end: usize| start > end || length > end - start;
    let (mut end, mut size) = (0, batch_bytes as u64);
    for (index, Edit { at, delete, start, length }) in each(edits).enumerate() {
        if at < end {
            return Err(InvalidEdits::OutOfOrder(index));
        }
        if reaches_over(at, delete, batch_bytes) {
            return Err(InvalidEdits::OutsideBatch(index));
        }
        if reaches_over(start, length, insert_bytes) {
            return Err(InvalidEdits::OutsideInserts(index));
        }
        end = at + delete;
        // Neither can pass 64 bits: there are less than 2^32 edits of less than 2^32 bytes, and no byte is left out twice.
        size = size + length as u64 - delete as u64;
    }
    if size > bytes_max.min(RESULT_BYTES_MAX) as u64 { Err(InvalidEdits::TooLarge) } else { Ok(size as usize) }
}

fn each(edits: &[u32]) -> impl Iterator<Item = Edit> {
    edits.as_chunks().0.iter().map(|[at, delete, start, length]| Edit {
        at: *at as usize,
        delete: *delete as usize,
        start: *start as usize,
        length: *length as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(edits: &[u32]) -> Result<String, InvalidEdits> {
        let mut output = b"from the batch before".to_vec();
        apply(b"batch", edits, b"inserts", RESULT_BYTES_MAX, &mut output).map(|()| String::from_utf8(output).unwrap())
    }

    #[test]
    fn edits_leave_out_put_in_and_do_both() {
        assert_eq!(applied(&[]).unwrap(), "batch");
        assert_eq!(applied(&[1, 2, 0, 0]).unwrap(), "bch");
        assert_eq!(applied(&[1, 0, 0, 2]).unwrap(), "binatch");
        assert_eq!(applied(&[0, 1, 6, 1, 1, 0, 0, 2, 5, 0, 2, 5]).unwrap(), "sinatchserts");
    }

    #[test]
    fn several_edits_may_stand_at_one_place_and_put_in_the_same() {
        assert_eq!(applied(&[5, 0, 0, 2, 5, 0, 0, 2]).unwrap(), "batchinin");
    }

    #[test]
    fn edits_that_go_back_or_overlap_are_refused() {
        assert_eq!(applied(&[3, 0, 0, 1, 2, 0, 0, 1]), Err(InvalidEdits::OutOfOrder(1)));
        assert_eq!(applied(&[1, 2, 0, 1, 2, 0, 0, 1]), Err(InvalidEdits::OutOfOrder(1)));
    }

    #[test]
    fn edits_that_leave_the_batch_or_the_inserts_are_refused() {
        for (at, delete) in [(6, 0), (5, 1), (0, 6), (u32::MAX, u32::MAX)] {
            assert_eq!(applied(&[at, delete, 0, 0]), Err(InvalidEdits::OutsideBatch(0)));
        }
        for (start, length) in [(8, 0), (7, 1), (0, 8), (u32::MAX, u32::MAX)] {
            assert_eq!(applied(&[0, 0, 0, 1, 1, 0, start, length]), Err(InvalidEdits::OutsideInserts(1)));
        }
    }

    #[test]
    fn numbers_that_make_no_whole_edit_are_refused() {
        assert_eq!(applied(&[0, 0, 0]), Err(InvalidEdits::Incomplete));
    }

    #[test]
    fn a_result_over_2_gib_is_refused_before_memory_is_asked_for() {
        let megabyte = [0; 1 << 20];
        let edits = [0, 0, 0, 1 << 20].repeat(1 << 11);
        let mut output = Vec::new();
        assert_eq!(apply(&[], &edits, &megabyte, RESULT_BYTES_MAX, &mut output), Err(InvalidEdits::TooLarge));
        assert_eq!(output.capacity(), 0);
    }

    #[test]
    fn what_was_refused_leaves_the_output_alone() {
        let mut output = b"kept".to_vec();
        assert!(apply(b"batch", &[9, 0, 0, 0], b"", RESULT_BYTES_MAX, &mut output).is_err());
        assert_eq!(apply(b"batch", &[1, 0, 0, 2], b"in", 6, &mut output), Err(InvalidEdits::TooLarge));
        assert_eq!(output, b"kept");
    }
}
