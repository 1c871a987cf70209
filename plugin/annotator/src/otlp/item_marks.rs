//! What a batch would be marked with, by the positions of its items.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Refusal,
    edits::NO_MEMORY,
    sink::{Insert, Place, Position, Sink, Staged},
    wire::Delimited,
};
use crate::annotation::{Addition, Annotation, AttributesField, Present, Value};

/// Attributes, and which item gets which: for hosts that hold telemetry decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemMarks {
    /// Each a list of keys and values, in the order in which they are added; all differ, none is empty.
    pub sets: Vec<Vec<(String, Value)>>,
    /// The items that get one, in the order in which they stand in the batch: a data point before its exemplars.
    pub items: Vec<ItemMark>,
}

/// What one item gets. Positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemMark {
    /// Position of its `ResourceSpans`, `ResourceLogs` or `ResourceMetrics` in the batch.
    pub resource: u32,
    /// Position among the spans, log records or data points of that resource, over all its scopes and metrics.
    pub item: u32,
    /// For an exemplar its position in that data point.
    pub exemplar: Option<u32>,
    /// Index in [`ItemMarks::sets`].
    pub attributes: u32,
}

/// Item marks under way.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    marks: ItemMarks,
    /// Each set as it would stand on the wire, with its index.
    known: BTreeMap<Vec<u8>, u32>,
    /// The whole annotation that was met last, and its set.
    recent: Option<(Arc<[u8]>, u32)>,
}

/// In which form sets are compared; any would do.
const FORM: AttributesField = AttributesField::One;

// === impl Gathering ===

impl Gathering {
    pub(super) fn finish(self) -> ItemMarks {
        self.marks
    }

    fn add(&mut self, position: Position, attributes: u32, offset: usize) -> Result<Staged, Refusal> {
        let Position { resource, item, exemplar } = position;
        let items = &mut self.marks.items;
        if items.len() == items.capacity() && items.try_reserve(1).is_err() {
            return Err(Refusal { offset, reason: NO_MEMORY });
        }
        items.push(ItemMark { resource, item, exemplar, attributes });
        Ok(Staged::Insert(Insert { start: attributes, length: 0 }))
    }

    /// The set with the attributes of these indices.
    fn set(&mut self, annotation: &Annotation, indices: &[usize]) -> u32 {
        let bytes: Vec<&[u8]> = indices.iter().map(|index| annotation.one(FORM, *index)).collect();
        let sets = &mut self.marks.sets;
        *self.known.entry(bytes.concat()).or_insert_with(|| {
            let attributes = indices.iter().filter_map(|index| annotation.attributes().get(*index));
            sets.push(attributes.cloned().collect());
            (sets.len() - 1) as u32
        })
    }
}

impl Sink for Gathering {
    fn open(&mut self, _: &Delimited<'_>) -> Result<Place, Refusal> {
        Ok(Place(0))
    }

    fn close(&mut self, _: Place, _: &Delimited<'_>, _: i64) -> Result<i64, Refusal> {
        Ok(0)
    }

    #[inline]
    fn stage(
        &mut self,
        annotation: &Annotation,
        _: AttributesField,
        present: &Present,
        at: usize,
        position: Position,
    ) -> Result<Staged, Refusal> {
        let whole = annotation.whole(FORM);
        if present.is_empty()
            && let Some((recent, set)) = &self.recent
            && Arc::ptr_eq(recent, whole)
        {
            let set = *set;
            return self.add(position, set, at);
        }
        let mut indices = Vec::new();
        match annotation.select(present, |index| indices.push(index)) {
            Addition::AlreadyMarked => Ok(Staged::AlreadyMarked),
            Addition::NothingAbsent => Ok(Staged::NothingAbsent),
            Addition::Some => {
                let set = self.set(annotation, &indices);
                if present.is_empty() {
                    self.recent = Some((Arc::clone(whole), set));
                }
                self.add(position, set, at)
            }
        }
    }

    fn insert(&mut self, _: usize, _: Insert) -> Result<i64, Refusal> {
        Ok(0)
    }
}
