//! What is to be changed in a batch, gathered first and written in one go.
//!
//! A longer item makes every message around it longer, and a longer length may need more bytes itself. So the walk
//! leaves a place for the length of each message it enters, fills it in when it comes out, and takes the place back when
//! nothing inside changed. Writing then copies the runs between the edits: no byte is moved twice, and every length that
//! is written is as short as it can be.

use std::sync::Arc;

use super::{
    EditList, Refusal,
    planted::{self, Bug},
    sink::{Insert, Place, Position, Sink, Staged},
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
    recent: [Recent; AttributesField::ALL.len()],
    /// How many more bytes the result may have.
    room: u64,
}

/// A whole annotation, and where it lies in `inserts`.
#[derive(Debug, Default)]
struct Recent {
    form: Option<Arc<[u8]>>,
    insert: Insert,
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

pub(super) const TOO_LARGE: &str = "result would be larger than 2 GiB, which is what protobuf allows";
pub(super) const NO_MEMORY: &str = "not enough memory";

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

    /// Forgets the edits, which have been made, and keeps what they inserted: those to come may insert it again.
    pub(super) fn forget_made(&mut self) {
        self.edits.clear();
    }

    /// Appends to `output` the stretch of `batch` from `copied` to behind the last edit, with all edits made. Answers
    /// where the stretch ends.
    pub(super) fn write(&self, batch: &[u8], mut copied: usize, output: &mut Vec<u8>) -> usize {
        for edit in &self.edits {
            let at = edit.at as usize;
            output.extend_from_slice(batch.get(copied..at).unwrap_or_default());
            copied = at;
            match edit.change {
                Change::Length { width, length } => {
                    push_varint(output, u64::from(length));
                    copied += usize::from(width);
                }
                Change::Insert(insert) => output.extend_from_slice(self.bytes(insert)),
            }
        }
        copied
    }

    /// The edits for somebody else to make.
    pub(super) fn list(&self) -> Result<EditList, Refusal> {
        let no_memory = |_| Refusal { offset: 0, reason: NO_MEMORY };
        let mut list = EditList::default();
        list.edits.try_reserve_exact(self.edits.len() * EditList::NUMBERS_PER_EDIT).map_err(no_memory)?;
        // Five bytes would do for each of the lengths, which are about half of the edits.
        list.inserts.try_reserve_exact(self.inserts.len() + self.edits.len() * 5).map_err(no_memory)?;
        list.inserts.extend_from_slice(&self.inserts);
        for edit in &self.edits {
            let (delete, insert) = match edit.change {
                Change::Length { width, length } => {
                    let start = list.inserts.len();
                    push_varint(&mut list.inserts, u64::from(length));
                    (u32::from(width), Insert::of(start..list.inserts.len()))
                }
                Change::Insert(insert) => (0, insert),
            };
            list.edits.extend_from_slice(&[edit.at, delete, insert.start, insert.length]);
        }
        Ok(list)
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
        let addition = annotation.select(present, |index| {
            if appended.is_ok() {
                appended = self.append(annotation.one(field, index), offset);
            }
        });
        appended?;
        Ok(match addition {
            Addition::Some => Staged::Insert(Insert::of(start..self.inserts.len())),
            Addition::AlreadyMarked => Staged::AlreadyMarked,
            Addition::NothingAbsent => Staged::NothingAbsent,
        })
    }

    #[cold]
    fn stage_whole(&mut self, whole: &Arc<[u8]>, field: AttributesField, offset: usize) -> Result<Staged, Refusal> {
        if whole.is_empty() {
            return Ok(Staged::NothingAbsent);
        }
        let start = self.inserts.len();
        self.append(whole, offset)?;
        let insert = Insert::of(start..self.inserts.len());
        *field.of_mut(&mut self.recent) = Recent { form: Some(Arc::clone(whole)), insert };
        Ok(Staged::Insert(insert))
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

    fn bytes(&self, insert: Insert) -> &[u8] {
        let start = insert.start as usize;
        self.inserts.get(start..start + insert.length as usize).unwrap_or_default()
    }
}

impl Sink for Edits {
    #[inline]
    fn open(&mut self, message: &Delimited<'_>) -> Result<Place, Refusal> {
        let place = Place(self.edits.len());
        self.push(message.length_at, Change::Length { width: message.length_width() as u8, length: 0 })?;
        Ok(place)
    }

    #[inline]
    fn close(&mut self, place: Place, message: &Delimited<'_>, grown: i64) -> Result<i64, Refusal> {
        if self.edits.len() <= place.0 + 1 {
            self.edits.truncate(place.0);
            return Ok(0);
        }
        let length = message.length() as i64 + grown;
        let Ok(new_length) = u32::try_from(length) else {
            return Err(Refusal { offset: message.length_at, reason: TOO_LARGE });
        };
        let width = message.length_width();
        let new_width = varint_width(u64::from(new_length));
        if let Some(edit) = self.edits.get_mut(place.0) {
            let wrong = u32::from(planted::has(Bug::WidenedLength) && new_width > width);
            edit.change = Change::Length { width: width as u8, length: new_length - wrong };
        }
        Ok(grown + new_width as i64 - width as i64)
    }

    #[inline]
    fn stage(
        &mut self,
        annotation: &Annotation,
        field: AttributesField,
        present: &Present,
        at: usize,
        _position: Position,
    ) -> Result<Staged, Refusal> {
        if !present.is_empty() {
            return self.stage_selected(annotation, field, present, at);
        }
        let whole = annotation.whole(field);
        let Recent { form, insert } = field.of(&self.recent);
        if form.as_ref().is_some_and(|form| Arc::ptr_eq(form, whole)) {
            let insert = *insert;
            self.take_room(whole.len(), at)?;
            return Ok(Staged::Insert(insert));
        }
        self.stage_whole(whole, field, at)
    }

    #[inline]
    fn insert(&mut self, at: usize, insert: Insert) -> Result<i64, Refusal> {
        self.push(at, Change::Insert(insert))?;
        Ok(i64::from(insert.length))
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
        edits.stage(annotation, FIELD, &Present::default(), 7, Position::default())
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
        let mut output = Vec::new();
        assert_eq!(edits.write(&batch, 0, &mut output), batch.len());
        assert_eq!(output, expected);
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
    fn memory_of_a_rare_large_batch_is_given_back() {
        let mut edits = Edits::default();
        for at in 0..2 * EDITS_KEPT_MAX {
            edits.push(at, Change::Insert(Insert::default())).unwrap();
        }
        edits.begin(0);
        assert!(edits.edits.capacity() <= EDITS_KEPT_MAX);
    }
}
