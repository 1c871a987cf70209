//! What is to be changed in a batch, gathered first and written in one go.
//!
//! A longer item makes every message around it longer, and a longer length may need more bytes itself. So the walk
//! leaves a place for the length of each message it enters, fills it in when it comes out, and takes the place back when
//! nothing inside changed. Writing then copies the runs between the edits: no byte is moved twice, and every length that
//! is written is as short as it can be.

use super::{
    Refusal,
    wire::{Delimited, push_varint, varint_width},
};
use crate::annotation::{Addition, Annotation, AttributesField, Present};

/// Edits of one batch, by rising offset. Kept between batches for its memory.
#[derive(Debug, Default)]
pub(super) struct Edits {
    edits: Vec<Edit>,
    /// What the edits insert.
    inserts: Vec<u8>,
    /// The whole annotation that was staged last, for each [`AttributesField`]: its neighbours mostly get the same.
    recent: [Insert; AttributesField::ALL.len()],
    /// How many more bytes the result may have.
    room: u64,
}

/// A stretch of `inserts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Insert {
    start: u32,
    length: u32,
}

/// Where to take back or fill in a length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

/// What an item gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staged {
    Insert(Insert),
    AlreadyMarked,
    NothingAbsent,
}

/// 16 bytes: there are two for each marked item.
#[derive(Clone, Copy, Debug)]
struct Edit {
    at: u32,
    change: Change,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// Write `length` in place of a length that takes `width` bytes.
    Length {
        width: u8,
        length: u32,
    },
    Insert(Insert),
}

/// Protobuf libraries hold sizes in 32 bits with a sign.
pub(super) const MESSAGE_BYTES_MAX: u64 = (1 << 31) - 1;
/// 1 MiB of edits, enough for 32,768 marked items: what a rare larger batch needs is given back.
const EDITS_KEPT_MAX: usize = 64 * 1024;
/// Enough for 8,192 items of which each gets other attributes.
const INSERTS_KEPT_MAX: usize = 2 * 1024 * 1024;

const TOO_LARGE: &str = "result would be larger than 2 GiB, which is what protobuf allows";
const NO_MEMORY: &str = "not enough memory";

// === impl Edits ===

impl Edits {
    /// Forgets all edits; the next are for a batch of `length` bytes.
    pub(super) fn begin(&mut self, length: usize) {
        self.edits.clear();
        self.edits.shrink_to(EDITS_KEPT_MAX);
        self.inserts.clear();
        self.inserts.shrink_to(INSERTS_KEPT_MAX);
        self.recent = Default::default();
        self.room = MESSAGE_BYTES_MAX.saturating_sub(length as u64);
    }

    /// Whether nothing is to be changed.
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Enters a message: leaves a place for its length.
    #[inline]
    pub(super) fn open(&mut self, message: &Delimited<'_>) -> Result<Place, Refusal> {
        let place = Place(self.edits.len());
        self.push(message.length_at, Change::Length { width: message.length_width() as u8, length: 0 })?;
        Ok(place)
    }

    /// Leaves a message whose content became `grown` bytes longer. Answers by how many bytes it grew with its length: a
    /// negative number where its writer padded the length by more than was added.
    #[inline]
    pub(super) fn close(&mut self, place: Place, message: &Delimited<'_>, grown: i64) -> Result<i64, Refusal> {
        if self.edits.len() <= place.0 + 1 {
            self.edits.truncate(place.0);
            return Ok(0);
        }
        let length = message.length() as i64 + grown;
        let Ok(new_length) = u32::try_from(length) else {
            return Err(Refusal { offset: message.length_at, reason: TOO_LARGE });
        };
        let width = message.length_width();
        if let Some(edit) = self.edits.get_mut(place.0) {
            edit.change = Change::Length { width: width as u8, length: new_length };
        }
        Ok(grown + varint_width(u64::from(new_length)) as i64 - width as i64)
    }

    /// Makes ready what an item at `offset` with the keys `present` gets from `annotation`.
    #[inline]
    pub(super) fn stage(
        &mut self,
        annotation: &Annotation,
        field: AttributesField,
        present: &Present,
        offset: usize,
    ) -> Result<Staged, Refusal> {
        let whole = annotation.whole(field);
        if !present.is_empty() {
            return self.stage_selected(annotation, field, present, offset);
        }
        if whole.is_empty() {
            return Ok(Staged::NothingAbsent);
        }
        let recent = self.recent(field);
        if self.bytes(recent) == whole {
            self.take_room(whole.len(), offset)?;
            return Ok(Staged::Insert(recent));
        }
        let start = self.inserts.len();
        self.append(whole, offset)?;
        let insert = self.insert_since(start);
        *self.recent_mut(field) = insert;
        Ok(Staged::Insert(insert))
    }

    #[cold]
    fn stage_selected(
        &mut self,
        annotation: &Annotation,
        field: AttributesField,
        present: &Present,
        offset: usize,
    ) -> Result<Staged, Refusal> {
        let start = self.inserts.len();
        let mut appended = Ok(());
        let addition = annotation.select(field, present, |attribute| {
            if appended.is_ok() {
                appended = self.append(attribute, offset);
            }
        });
        appended?;
        Ok(match addition {
            Addition::Some => Staged::Insert(self.insert_since(start)),
            Addition::AlreadyMarked => Staged::AlreadyMarked,
            Addition::NothingAbsent => Staged::NothingAbsent,
        })
    }

    /// Inserts what was staged, at `at`; by how many bytes the message there grows.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, insert: Insert) -> Result<i64, Refusal> {
        self.push(at, Change::Insert(insert))?;
        Ok(i64::from(insert.length))
    }

    /// `batch` with all edits made, which makes it `grown` bytes longer.
    pub(super) fn write(&self, batch: &[u8], grown: i64) -> Result<Vec<u8>, Refusal> {
        let size = batch.len() as i64 + grown;
        let Some(size) = usize::try_from(size).ok().filter(|size| *size as u64 <= MESSAGE_BYTES_MAX) else {
            return Err(Refusal { offset: 0, reason: TOO_LARGE });
        };
        let mut result = Vec::new();
        if result.try_reserve_exact(size).is_err() {
            return Err(Refusal { offset: 0, reason: NO_MEMORY });
        }
        let mut copied = 0;
        for edit in &self.edits {
            let at = edit.at as usize;
            result.extend_from_slice(batch.get(copied..at).unwrap_or_default());
            copied = at;
            match edit.change {
                Change::Length { width, length } => {
                    push_varint(&mut result, u64::from(length));
                    copied += usize::from(width);
                }
                Change::Insert(insert) => result.extend_from_slice(self.bytes(insert)),
            }
        }
        result.extend_from_slice(batch.get(copied..).unwrap_or_default());
        debug_assert_eq!(result.len(), size, "the lengths that were written do not add up");
        Ok(result)
    }

    #[inline]
    fn push(&mut self, at: usize, change: Change) -> Result<(), Refusal> {
        // In the guest a failed allocation would trap and cost the instance; refused, the batch leaves as it came.
        if self.edits.len() == self.edits.capacity() && self.edits.try_reserve(1).is_err() {
            return Err(Refusal { offset: at, reason: NO_MEMORY });
        }
        self.edits.push(Edit { at: at as u32, change });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], offset: usize) -> Result<(), Refusal> {
        self.take_room(bytes.len(), offset)?;
        if self.inserts.try_reserve(bytes.len()).is_err() {
            return Err(Refusal { offset, reason: NO_MEMORY });
        }
        self.inserts.extend_from_slice(bytes);
        Ok(())
    }

    /// Counts bytes that will be inserted at `offset`, so that neither offsets nor memory outgrow their bounds midway.
    #[inline]
    fn take_room(&mut self, bytes: usize, offset: usize) -> Result<(), Refusal> {
        match self.room.checked_sub(bytes as u64) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => Err(Refusal { offset, reason: TOO_LARGE }),
        }
    }

    fn insert_since(&self, start: usize) -> Insert {
        Insert { start: start as u32, length: (self.inserts.len() - start) as u32 }
    }

    #[inline]
    fn bytes(&self, insert: Insert) -> &[u8] {
        let start = insert.start as usize;
        self.inserts.get(start..start + insert.length as usize).unwrap_or_default()
    }

    #[inline]
    fn recent(&self, field: AttributesField) -> Insert {
        let [one, six, seven, nine] = self.recent;
        match field {
            AttributesField::One => one,
            AttributesField::Six => six,
            AttributesField::Seven => seven,
            AttributesField::Nine => nine,
        }
    }

    fn recent_mut(&mut self, field: AttributesField) -> &mut Insert {
        let [one, six, seven, nine] = &mut self.recent;
        match field {
            AttributesField::One => one,
            AttributesField::Six => six,
            AttributesField::Seven => seven,
            AttributesField::Nine => nine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{steps::Steps, wire::Message},
        *,
    };
    use crate::annotation::{Group, Value};

    const FIELD: AttributesField = AttributesField::Nine;

    fn annotation(value: &str) -> Annotation {
        Annotation::compile(&[Group { attributes: vec![("k".to_owned(), Value::Text(value.to_owned()))] }])
    }

    fn only_field(batch: &[u8]) -> Delimited<'_> {
        let field = Message::whole(batch).next(&mut Steps::for_batch(batch.len())).unwrap().unwrap();
        field.delimited(1).unwrap()
    }

    fn stage(edits: &mut Edits, annotation: &Annotation) -> Result<Staged, Refusal> {
        edits.stage(annotation, FIELD, &Present::default(), 7)
    }

    #[test]
    fn a_message_in_which_nothing_changed_leaves_no_edit() {
        let batch = [0x0a, 2, 0x08, 1];
        let mut edits = Edits::default();
        edits.begin(batch.len());
        let message = only_field(&batch);
        let place = edits.open(&message).unwrap();
        assert_eq!(edits.close(place, &message, 0), Ok(0));
        assert!(edits.is_empty());
    }

    #[test]
    fn a_padded_length_is_written_short_even_if_the_message_shrinks_by_it() {
        // Length 2 in ten bytes; the attribute adds nine.
        let batch = [0x0a, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x08, 1];
        let short = annotation("");
        let mut edits = Edits::default();
        edits.begin(batch.len());
        let message = only_field(&batch);
        let place = edits.open(&message).unwrap();
        let Ok(Staged::Insert(insert)) = stage(&mut edits, &short) else { panic!("nothing staged") };
        let grown = edits.insert(batch.len(), insert).unwrap();
        assert_eq!(grown, 9);
        let grown = edits.close(place, &message, grown).unwrap();
        assert_eq!(grown, 0, "the same size, and yet another message");
        let expected = [&[0x0a, 11, 0x08, 1][..], short.whole(FIELD)].concat();
        assert_eq!(edits.write(&batch, grown), Ok(expected));
    }

    #[test]
    fn the_same_annotation_again_is_kept_once() {
        let (first, second) = (annotation("first"), annotation("other"));
        let mut edits = Edits::default();
        edits.begin(0);
        let inserts: Vec<Staged> =
            [&first, &first, &second, &second].map(|annotation| stage(&mut edits, annotation).unwrap()).to_vec();
        assert_eq!(inserts[0], inserts[1]);
        assert_eq!(inserts[2], inserts[3]);
        assert_ne!(inserts[0], inserts[2]);
        assert_eq!(edits.inserts.len(), first.whole(FIELD).len() + second.whole(FIELD).len());
    }

    #[test]
    fn inserts_that_would_take_the_result_over_2_gib_are_refused_where_they_do() {
        let annotation = annotation("v");
        let size = annotation.whole(FIELD).len();
        let mut edits = Edits::default();
        edits.begin(MESSAGE_BYTES_MAX as usize - 2 * size);
        assert!(stage(&mut edits, &annotation).is_ok());
        assert!(stage(&mut edits, &annotation).is_ok());
        assert_eq!(stage(&mut edits, &annotation), Err(Refusal { offset: 7, reason: TOO_LARGE }));
    }

    #[test]
    fn lengths_that_take_the_result_over_2_gib_are_refused_before_memory_is_asked_for() {
        let refusal = Edits::default().write(&[], MESSAGE_BYTES_MAX as i64 + 1);
        assert_eq!(refusal, Err(Refusal { offset: 0, reason: TOO_LARGE }));
    }

    #[test]
    fn memory_of_a_rare_large_batch_is_given_back() {
        let mut edits = Edits::default();
        for at in 0..2 * EDITS_KEPT_MAX {
            edits.push(at, Change::Insert(Insert::default())).unwrap();
        }
        edits.begin(0);
        assert!(edits.edits.capacity() <= EDITS_KEPT_MAX);
    }
}
