//! Protobuf on the wire: reads a message field by field, and decodes nothing that nobody asked for.
//!
//! What is read is checked as strictly as protobuf libraries do; what lies inside a field that is skipped is not looked
//! at. Offsets count from the beginning of the batch at every depth, because edits do.

use super::{Refusal, plain::Passed, steps::Steps};
use crate::limits;

/// A message, and how far it has been read. Copies are bookmarks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
    /// Offset behind the last byte.
    end: usize,
}

/// One field of a message.
///
/// The parts of its value lie side by side instead of in a [`Value`]: so they stay in registers, which makes the walk
/// about twice as fast. [`Field::value`] puts them together where one is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    /// Offset of the tag.
    pub(super) start: usize,
    wire_type: u32,
    /// Of a varint or eight bytes; else 0.
    scalar: u64,
    /// Of a field with a length; else of no meaning.
    delimited: Delimited<'a>,
}

/// A value by its wire type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Delimited(Delimited<'a>),
    /// Four bytes, or a group: nothing that the walk asks for is either.
    Other,
}

/// A field with a length: a message, text or bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimited<'a> {
    /// Offset of the length.
    pub(super) length_at: usize,
    pub(super) content: Message<'a>,
}

// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const GROUP: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

const NO_WIRE_TYPE: &str = "wire type is none of 0 to 5";
/// Ten groups of seven bits hold 64.
const VARINT_BYTES_MAX: usize = 10;

// === impl Message ===

impl<'a> Message<'a> {
    /// The outermost message.
    pub(super) fn whole(batch: &'a [u8]) -> Self {
        Self { rest: batch, end: batch.len() }
    }

    /// Offset behind the last byte.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Offset of what is read next.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.end - self.rest.len()
    }

    /// What has not been read yet.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next field; none at the end of the message.
    ///
    /// This and what it calls is the inner loop of everything. Inlined by order, since the compiler finds it too large.
    /// What is rare is kept out of line, and takes and gives values: a reference would keep the offset in memory, and each
    /// field would wait for the store of the one before it.
    #[inline(always)]
    pub(super) fn next(&mut self, steps: &mut Steps) -> Result<Option<Field<'a>>, Refusal> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.at();
        // Every tag passes here, so this is where steps are counted.
        steps.take(start)?;
        let tag = self.tag()?;
        let mut scalar = 0;
        let mut delimited = Delimited { length_at: start, content: *self };
        match tag & 7 {
            DELIMITED => delimited = self.delimited()?,
            FIXED64 => scalar = u64::from_le_bytes(self.fixed()?),
            VARINT => scalar = self.varint()?,
            FIXED32 => _ = self.fixed::<4>()?,
            wire_type => (*self, *steps) = self.skip_rare(tag >> 3, wire_type, start, *steps)?,
        }
        Ok(Some(Field { number: tag >> 3, start, wire_type: tag & 7, scalar, delimited }))
    }

    /// Goes on behind plain fields.
    #[inline(always)]
    pub(super) fn pass(&mut self, passed: Passed<'a>, steps: &mut Steps) -> Result<(), Refusal> {
        self.rest = passed.rest;
        steps.take_several(passed.fields, self.at())
    }

    #[cold]
    #[inline(never)]
    fn skip_rare(
        mut self,
        number: u32,
        wire_type: u32,
        start: usize,
        mut steps: Steps,
    ) -> Result<(Self, Steps), Refusal> {
        match wire_type {
            GROUP => self.skip_group(number, start, 1, &mut steps)?,
            GROUP_END => return Err(Refusal { offset: start, reason: "end of a group that did not begin" }),
            _ => return Err(Refusal { offset: start, reason: NO_WIRE_TYPE }),
        }
        Ok((self, steps))
    }

    /// Field number and wire type as one number.
    #[inline(always)]
    fn tag(&mut self) -> Result<u32, Refusal> {
        match self.rest {
            // Neither is the number 0 then, nor is there more than one byte.
            [tag @ 0x08..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(*tag))
            }
            _ => {
                let tag;
                (tag, *self) = self.long_tag()?;
                Ok(tag)
            }
        }
    }

    #[inline(never)]
    fn long_tag(mut self) -> Result<(u32, Self), Refusal> {
        let start = self.at();
        let Ok(tag) = u32::try_from(self.varint()?) else {
            return Err(Refusal { offset: start, reason: "field number is larger than protobuf allows" });
        };
        if tag >> 3 == 0 {
            return Err(Refusal { offset: start, reason: "field number is 0" });
        }
        Ok((tag, self))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Refusal> {
        let (value, rest) = match short_varint(self.rest) {
            Some(short) => short,
            None => long_varint(self.rest, self.at())?,
        };
        self.rest = rest;
        Ok(value)
    }

    #[inline(always)]
    fn fixed<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Refusal> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(Refusal { offset: self.at(), reason: "number is cut off by the end of the message" });
        };
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline(always)]
    fn delimited(&mut self) -> Result<Delimited<'a>, Refusal> {
        let length_at = self.at();
        let length = self.varint()?;
        let refusal = Refusal { offset: length_at, reason: "length runs past the end of the message" };
        // Compared before it is narrowed: in the guest `usize` has 32 bits, and a length of 2^32 + 1 must not become 1.
        if length > self.rest.len() as u64 {
            return Err(refusal);
        }
        let Some((content, rest)) = self.rest.split_at_checked(length as usize) else { return Err(refusal) };
        self.rest = rest;
        Ok(Delimited { length_at, content: Self { rest: content, end: self.at() } })
    }

    /// Skips to behind the end tag of group `number`, whose tag lies at `start`.
    #[cold]
    fn skip_group(&mut self, number: u32, start: usize, depth: usize, steps: &mut Steps) -> Result<(), Refusal> {
        if depth > limits::GROUP_DEPTH_MAX {
            return Err(Refusal { offset: start, reason: "groups are nested too deep" });
        }
        while !self.rest.is_empty() {
            let inner_start = self.at();
            steps.take(inner_start)?;
            let tag = self.tag()?;
            let inner = tag >> 3;
            match tag & 7 {
                VARINT => _ = self.varint()?,
                FIXED64 => _ = self.fixed::<8>()?,
                DELIMITED => _ = self.delimited()?,
                GROUP => self.skip_group(inner, inner_start, depth + 1, steps)?,
                GROUP_END if inner == number => return Ok(()),
                GROUP_END => {
                    return Err(Refusal {
                        offset: inner_start,
                        reason: "end of another group than the one that began",
                    });
                }
                FIXED32 => _ = self.fixed::<4>()?,
                _ => return Err(Refusal { offset: inner_start, reason: NO_WIRE_TYPE }),
            }
        }
        Err(Refusal { offset: start, reason: "group does not end" })
    }
}

// === impl Field ===

impl<'a> Field<'a> {
    /// The value.
    #[inline(always)]
    pub(super) fn value(&self) -> Value<'a> {
        match self.wire_type {
            VARINT => Value::Varint(self.scalar),
            FIXED64 => Value::Fixed64(self.scalar),
            DELIMITED => Value::Delimited(self.delimited),
            _ => Value::Other,
        }
    }

    /// The content, if the field has that number and a length. A field of another wire type is not ours to read: it
    /// counts as unknown.
    #[inline]
    pub(super) fn delimited(&self, number: u32) -> Option<Delimited<'a>> {
        (self.number == number && self.wire_type == DELIMITED).then_some(self.delimited)
    }
}

// === impl Delimited ===

impl Delimited<'_> {
    /// How many bytes the length takes; more than needed where its writer padded it.
    #[inline]
    pub(super) fn length_width(&self) -> usize {
        self.content.at() - self.length_at
    }

    /// The length itself.
    #[inline]
    pub(super) fn length(&self) -> usize {
        self.content.rest.len()
    }
}

/// The varint that `rest` begins with, and what is behind it, if it takes one byte or two. Tags take one, or two from
/// field 16 on; lengths of items mostly two.
#[inline(always)]
fn short_varint(rest: &[u8]) -> Option<(u64, &[u8])> {
    match rest {
        [byte @ ..0x80, rest @ ..] => Some((u64::from(*byte), rest)),
        [low, high @ ..0x80, rest @ ..] => Some((u64::from(*low & 0x7f) | u64::from(*high) << 7, rest)),
        _ => None,
    }
}

/// The varint that `rest`, at `offset`, begins with, and what is behind it, if [`short_varint`] gave none.
#[inline(never)]
fn long_varint(rest: &[u8], offset: usize) -> Result<(u64, &[u8]), Refusal> {
    // Resources and scopes that hold dozens of items.
    if let [low, middle, high @ ..0x80, rest @ ..] = rest {
        let value = u64::from(*low & 0x7f) | u64::from(*middle & 0x7f) << 7 | u64::from(*high) << 14;
        return Ok((value, rest));
    }
    let mut value = 0;
    for (index, &byte) in rest.iter().take(VARINT_BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // Of the tenth group of seven bits only the lowest fits into 64.
            if index == VARINT_BYTES_MAX - 1 && byte > 1 {
                break;
            }
            return Ok((value, rest.get(index + 1..).unwrap_or_default()));
        }
    }
    let reason = if rest.len() < VARINT_BYTES_MAX {
        "number is cut off by the end of the message"
    } else {
        "number is larger than 64 bits"
    };
    Err(Refusal { offset, reason })
}

/// Appends `value` as a varint, in as few bytes as it needs.
#[inline]
pub(crate) fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    // Lengths of items: one check of the capacity instead of two.
    if (1 << 7..1 << 14).contains(&value) {
        bytes.extend_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
        return;
    }
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// How many bytes [`push_varint`] appends.
#[inline]
pub(super) fn varint_width(value: u64) -> usize {
    // Seven bits a byte, and one byte for 0.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` to the end; the error, or the numbers of the fields.
    fn read(bytes: &[u8]) -> Result<Vec<u32>, Refusal> {
        let mut message = Message::whole(bytes);
        let mut steps = Steps::for_batch(bytes.len());
        let mut numbers = Vec::new();
        while let Some(field) = message.next(&mut steps)? {
            numbers.push(field.number);
        }
        Ok(numbers)
    }

    fn refused(bytes: &[u8]) -> (usize, &'static str) {
        let refusal = read(bytes).unwrap_err();
        (refusal.offset, refusal.reason)
    }

    fn first_varint(bytes: &[u8]) -> u64 {
        match Message::whole(bytes).next(&mut Steps::for_batch(bytes.len())).unwrap().unwrap().value() {
            Value::Varint(value) => value,
            other => panic!("not a varint: {other:?}"),
        }
    }

    #[test]
    fn every_wire_type_is_read_and_the_fields_after_it_too() {
        let bytes =
            [0x08, 1, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 9, 9, 0x23, 0x08, 1, 0x24, 0x2d, 1, 2, 3, 4, 0x30, 0];
        assert_eq!(read(&bytes), Ok(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn a_field_number_of_0_is_refused() {
        assert_eq!(refused(&[0x08, 1, 0x00, 1]), (2, "field number is 0"));
    }

    #[test]
    fn a_tag_of_more_than_32_bits_is_refused() {
        assert_eq!(read(&[0xf8, 0xff, 0xff, 0xff, 0x0f, 1]), Ok(vec![(1 << 29) - 1]));
        assert_eq!(refused(&[0x88, 0x80, 0x80, 0x80, 0x10, 1]), (0, "field number is larger than protobuf allows"));
    }

    #[test]
    fn wire_types_6_and_7_are_refused() {
        assert_eq!(refused(&[0x0e, 0]), (0, "wire type is none of 0 to 5"));
        assert_eq!(refused(&[0x0f, 0]), (0, "wire type is none of 0 to 5"));
        assert_eq!(refused(&[0x0b, 0x0f, 0x0c]), (1, "wire type is none of 0 to 5"));
    }

    #[test]
    fn a_varint_has_at_most_ten_bytes_and_the_tenth_at_most_1() {
        let mut longest = vec![0x08];
        longest.extend([0xff; 9]);
        longest.push(1);
        assert_eq!(first_varint(&longest), u64::MAX);
        *longest.last_mut().unwrap() = 2;
        assert_eq!(refused(&longest), (1, "number is larger than 64 bits"));
        *longest.last_mut().unwrap() = 0x81;
        longest.push(0);
        assert_eq!(refused(&longest), (1, "number is larger than 64 bits"));
    }

    #[test]
    fn a_varint_may_be_padded() {
        assert_eq!(first_varint(&[0x88, 0x80, 0x00, 0x85, 0x80, 0x80, 0x00]), 5);
    }

    #[test]
    fn a_length_is_compared_in_64_bits_before_it_is_narrowed() {
        // 2^32 + 1: narrowed to 32 bits it would fit.
        let bytes = [0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 0x00, 0x00];
        assert_eq!(refused(&bytes), (1, "length runs past the end of the message"));
        let mut largest = vec![0x0a];
        largest.extend([0xff; 9]);
        largest.extend([1, 0]);
        assert_eq!(refused(&largest), (1, "length runs past the end of the message"));
    }

    #[test]
    fn what_is_cut_off_is_refused_with_its_offset() {
        assert_eq!(refused(&[0x08]), (1, "number is cut off by the end of the message"));
        assert_eq!(refused(&[0x08, 0x80]), (1, "number is cut off by the end of the message"));
        assert_eq!(refused(&[0x80]), (0, "number is cut off by the end of the message"));
        assert_eq!(refused(&[0x09, 1, 2, 3]), (1, "number is cut off by the end of the message"));
        assert_eq!(refused(&[0x0d, 1, 2, 3]), (1, "number is cut off by the end of the message"));
        assert_eq!(refused(&[0x0a, 3, 1, 2]), (1, "length runs past the end of the message"));
    }

    #[test]
    fn a_group_ends_with_its_own_number_only() {
        assert_eq!(read(&[0x0b, 0x13, 0x14, 0x0c]), Ok(vec![1]));
        assert_eq!(refused(&[0x0b, 0x14]), (1, "end of another group than the one that began"));
        assert_eq!(refused(&[0x0c]), (0, "end of a group that did not begin"));
        assert_eq!(refused(&[0x10, 0, 0x0b, 0x08, 1]), (2, "group does not end"));
    }

    #[test]
    fn groups_nest_to_their_limit_and_no_deeper() {
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert_eq!(read(&nested(limits::GROUP_DEPTH_MAX)), Ok(vec![1]));
        let refusal = refused(&nested(limits::GROUP_DEPTH_MAX + 1));
        assert_eq!(refusal, (limits::GROUP_DEPTH_MAX, "groups are nested too deep"));
    }

    #[test]
    fn a_varint_is_as_wide_as_it_is_written() {
        for bits in 0..64 {
            for value in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                let mut bytes = Vec::new();
                push_varint(&mut bytes, value);
                assert_eq!(bytes.len(), varint_width(value), "{value}");
                assert_eq!(first_varint(&[vec![0x08], bytes].concat()), value);
            }
        }
    }
}
