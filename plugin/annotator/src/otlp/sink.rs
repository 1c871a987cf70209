//! Where the decisions of a walk go.

use std::ops::Range;

use super::{Refusal, wire::Delimited};
use crate::annotation::{Annotation, AttributesField, Present};

/// Takes what each item gets, while the walk goes through a batch.
pub(super) trait Sink {
    /// Enters a message: leaves a place for its length.
    fn open(&mut self, message: &Delimited<'_>) -> Result<Place, Refusal>;

    /// Leaves a message whose content became `grown` bytes longer. Answers by how many bytes it grew with its length: a
    /// negative number where its writer padded the length by more than was added.
    fn close(&mut self, place: Place, message: &Delimited<'_>, grown: i64) -> Result<i64, Refusal>;

    /// Makes ready what the item at `position` with the keys `present` gets from `annotation`, at offset `at`.
    fn stage(
        &mut self,
        annotation: &Annotation,
        field: AttributesField,
        present: &Present,
        at: usize,
        position: Position,
    ) -> Result<Staged, Refusal>;

    /// Inserts what was staged, at `at`; by how many bytes the message there grows.
    fn insert(&mut self, at: usize, insert: Insert) -> Result<i64, Refusal>;
}

/// Where to take back or fill in a length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(pub(super) usize);

/// A stretch of what a sink inserts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Insert {
    pub(super) start: u32,
    pub(super) length: u32,
}

/// What an item gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staged {
    Insert(Insert),
    AlreadyMarked,
    NothingAbsent,
}

/// Which item, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Of the resource group in the batch.
    pub(super) resource: u32,
    /// Of the span, log record or data point among those of its resource group.
    pub(super) item: u32,
    /// Of the exemplar in its data point, where it is one.
    pub(super) exemplar: Option<u32>,
}

// === impl Insert ===

impl Insert {
    /// The bytes in that range; the caller has made sure that they lie below 4 GiB.
    #[inline]
    pub(super) fn of(range: Range<usize>) -> Self {
        Self { start: range.start as u32, length: range.len() as u32 }
    }
}
