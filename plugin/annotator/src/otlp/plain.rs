//! The fields of an item in the shape in which all writers write them, passed in a few instructions each.
//!
//! Plain is what has a tag and a length in as few bytes as nearly all have. The functions here go on as long as they meet
//! that, and stop before whatever else comes, faults too, without an opinion on it: [`Message::next`](super::wire::Message)
//! reads on there. They are small and stay out of line, so that their few values stay in registers; inlined into the walk,
//! each field cost a dozen moves to and from the stack.

use super::keys::{KEY_TAG, VALUE_TAG, plain_key};
use crate::key_filter::KeyFilter;

/// How far a function here came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed<'a> {
    /// From the first field that was not passed.
    pub(super) rest: &'a [u8],
    pub(super) fields: u64,
}

// Wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// Passes fields with a number from 1 to below `number`, at most 15, and puts what `time_tags` hold into `times`. A tag of
/// 0 holds nothing.
#[inline(never)]
pub(super) fn pass_head<'a>(mut rest: &'a [u8], number: u8, time_tags: [u8; 2], times: &mut [u64; 2]) -> Passed<'a> {
    let [first_tag, second_tag] = time_tags;
    let [mut first, mut second] = *times;
    let mut fields = 0;
    while let [tag, behind_tag @ ..] = rest
        && (1 << 3..number << 3).contains(tag)
    {
        let behind = match tag & 7 {
            DELIMITED => behind_short(behind_tag),
            FIXED64 => behind_tag.split_first_chunk().map(|(bytes, behind)| {
                if *tag == first_tag {
                    first = u64::from_le_bytes(*bytes);
                } else if *tag == second_tag {
                    second = u64::from_le_bytes(*bytes);
                }
                behind
            }),
            VARINT => behind_varint(behind_tag),
            _ => None,
        };
        let Some(behind) = behind else { break };
        rest = behind;
        fields += 1;
    }
    *times = [first, second];
    Passed { rest, fields }
}

/// Passes the fields 1 to 8 of a span in the shape that nearly all have, in a fifth of the steps that [`pass_head`] takes:
/// both ids, the parent's or none, a name, a kind, and the times, which are put into `times`. None: another shape.
#[inline(never)]
pub(super) fn pass_span_head<'a>(rest: &'a [u8], times: &mut [u64; 2]) -> Option<Passed<'a>> {
    let ([0x0a, 16, _, .., 0x12, 8, _, _, _, _, _, _, _, _], mut rest) = rest.split_first_chunk::<28>()? else {
        return None;
    };
    let mut fields = 6;
    if let Some(([0x22, 8, ..], behind)) = rest.split_first_chunk::<10>() {
        rest = behind;
        fields += 1;
    }
    let [0x2a, name @ ..0x80, behind @ ..] = rest else { return None };
    let (end, rest) = behind.get(usize::from(*name)..)?.split_first_chunk::<20>()?;
    let [0x30, ..0x80, 0x39, a, b, c, d, e, f, g, h, 0x41, i, j, k, l, m, n, o, p] = *end else { return None };
    *times = [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])];
    Some(Passed { rest, fields })
}

/// Passes attributes whose key `filter` tells from all that are looked for.
#[inline(never)]
pub(super) fn pass_attributes(mut rest: &[u8], tag: u8, filter: KeyFilter) -> Passed<'_> {
    let mut fields = 0;
    while let Some((key, behind)) = split_short_attribute(rest, tag).or_else(|| split_attribute(rest, tag))
        && !filter.may_be(key)
    {
        rest = behind;
        fields += 1;
    }
    Passed { rest, fields }
}

/// The key of the attribute in front of `bytes` and what is behind it, if the attribute has less than 128 bytes: most do.
///
/// Says the same as [`split_attribute`] with one branch for its four first bytes, and one for the tag and the length of its
/// value: a tenth of the time of a whole call (measured).
#[inline(always)]
fn split_short_attribute(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    if word & u32::from_le_bytes([0xff, 0x80, 0xff, 0x80]) != u32::from_le_bytes([tag, 0, KEY_TAG, 0]) {
        return None;
    }
    let (length, key_length) = ((word >> 8) as u8, (word >> 24) as u8);
    let (attribute, behind) = bytes.split_at_checked(2 + usize::from(length))?;
    let (key, value) = attribute.get(4..)?.split_at_checked(usize::from(key_length))?;
    let value_length = u8::try_from(value.len().checked_sub(2)?).ok()?;
    let begins = *value.first_chunk()?;
    (u16::from_le_bytes(begins) == u16::from_le_bytes([VALUE_TAG, value_length])).then_some((key, behind))
}

/// The key of the attribute in front of `bytes`, and what is behind it.
#[inline(always)]
fn split_attribute(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (attribute, behind) = if *first == tag { split_short(rest)? } else { return None };
    Some((plain_key(attribute)?, behind))
}

/// Passes fields of any number but `number`, except those that `time_tags` begin.
#[inline(never)]
pub(super) fn pass_tail(mut rest: &[u8], number: u8, time_tags: [u8; 2]) -> Passed<'_> {
    let mut fields = 0;
    loop {
        let (tag, behind_tag) = match rest {
            [tag @ 0x08..0x80, behind @ ..] if tag >> 3 != number && !time_tags.contains(tag) => (*tag, behind),
            [tag @ 0x80..=0xff, 0x01..0x80, behind @ ..] => (*tag, behind),
            _ => break,
        };
        let behind = match tag & 7 {
            DELIMITED => behind_short(behind_tag),
            FIXED64 => behind_tag.get(8..),
            FIXED32 => behind_tag.get(4..),
            VARINT => behind_varint(behind_tag),
            _ => None,
        };
        let Some(behind) = behind else { break };
        rest = behind;
        fields += 1;
    }
    Passed { rest, fields }
}

/// What has a length of one byte or two in front of `bytes`, and what is behind it.
#[inline(always)]
fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [length @ ..0x80, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        [low, high @ ..0x80, rest @ ..] => rest.split_at_checked(usize::from(*low & 0x7f) | usize::from(*high) << 7),
        _ => None,
    }
}

#[inline(always)]
fn behind_short(bytes: &[u8]) -> Option<&[u8]> {
    split_short(bytes).map(|(_, behind)| behind)
}

#[inline(always)]
fn behind_varint(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [..0x80, rest @ ..] | [_, ..0x80, rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{push_varint, steps::Steps, wire::Message},
        *,
    };
    use faultline_test_support::{Generator, Signal};

    const FILTER: KeyFilter = KeyFilter::new().with(b"ours");

    /// An attribute of field 9.
    fn attribute(key: &[u8], value_bytes: usize) -> Vec<u8> {
        let mut content = [&[KEY_TAG, key.len() as u8], key, &[VALUE_TAG]].concat();
        push_varint(&mut content, value_bytes as u64);
        content.extend(vec![0x08; value_bytes]);
        let mut bytes = vec![0x4a];
        push_varint(&mut bytes, content.len() as u64);
        [bytes, content].concat()
    }

    fn passed_fields(passed: Passed<'_>, bytes: &[u8]) -> (usize, u64) {
        (bytes.len() - passed.rest.len(), passed.fields)
    }

    /// Reads `bytes` by the book: where each field ends.
    fn ends(bytes: &[u8]) -> Vec<usize> {
        let mut message = Message::whole(bytes);
        let mut steps = Steps::for_batch(bytes.len());
        let mut ends = vec![0];
        while message.next(&mut steps).unwrap().is_some() {
            ends.push(message.at());
        }
        ends
    }

    #[test]
    fn a_short_attribute_is_split_as_a_longer_one_is() {
        for key in [&b""[..], b"k", b"http.route", &[b'k'; 100], &[b'k'; 127]] {
            for value_bytes in (0..140).chain([16_200, 16_383]) {
                let bytes = [attribute(key, value_bytes), vec![0x10, 1]].concat();
                let expected = split_attribute(&bytes, 0x4a);
                assert_eq!(expected.map(|(found, _)| found), (bytes.len() < 16_390).then_some(key));
                let short = split_short_attribute(&bytes, 0x4a);
                assert_eq!(short.is_some(), bytes.len() - 4 < 128, "{} bytes", bytes.len());
                assert!(short.is_none() || short == expected);
            }
        }
    }

    #[test]
    fn attributes_are_passed_up_to_the_first_whose_key_may_be_ours() {
        let others = [attribute(b"other", 3), attribute(b"user_agent.original", 130)].concat();
        for stop in [attribute(b"ours", 3), attribute(b"o__s", 3), vec![0x4a], vec![0x4a, 9, KEY_TAG], vec![0x52, 0]] {
            let bytes = [others.clone(), stop].concat();
            assert_eq!(passed_fields(pass_attributes(&bytes, 0x4a, FILTER), &bytes), (others.len(), 2));
        }
    }

    #[test]
    fn an_attribute_that_may_have_a_second_key_is_not_passed() {
        let plain = attribute(b"k", 7);
        let second_key = [vec![0x4a, 9, KEY_TAG, 1, b'k', VALUE_TAG, 1], vec![0, KEY_TAG, 1, b'x']].concat();
        let value_first = vec![0x4a, 6, VALUE_TAG, 1, 0, KEY_TAG, 1, b'k'];
        let padded = vec![0x4a, 6, KEY_TAG, 0x81, 0, b'k', VALUE_TAG, 0];
        for odd in [second_key, value_first, padded] {
            let bytes = [plain.clone(), odd].concat();
            assert_eq!(passed_fields(pass_attributes(&bytes, 0x4a, FILTER), &bytes), (plain.len(), 1));
        }
    }

    #[test]
    fn a_head_is_passed_with_the_last_value_of_each_time() {
        let time = |tag: u8, value: u8| vec![tag, value, 0, 0, 0, 0, 0, 0, 0];
        let bytes = [vec![0x0a, 2, 9, 9, 0x30, 5], time(0x39, 1), time(0x41, 2), time(0x39, 3), vec![0x4a, 0]].concat();
        let mut times = [0; 2];
        let passed = pass_head(&bytes, 9, [0x39, 0x41], &mut times);
        assert_eq!((passed_fields(passed, &bytes), times), ((bytes.len() - 2, 5), [3, 2]));
    }

    /// Fields that only [`Message::next`] may judge.
    fn odd_fields() -> Vec<Vec<u8>> {
        vec![
            vec![0x00, 1],                   // number 0
            vec![0x0b, 0x0c],                // a group
            vec![0x0e, 1],                   // no wire type
            vec![0x0a, 5, 1],                // cut off
            vec![0x0a, 0x80, 0x80, 0],       // a padded length
            vec![0x10, 0xff, 0xff, 0xff, 1], // a long number
            vec![0x11, 1, 2, 3],             // a time cut off
            vec![0x0a],                      // nothing behind the tag
            vec![0x8a, 0x80, 0x00, 1],       // a padded tag
        ]
    }

    #[test]
    fn what_is_not_plain_is_not_passed() {
        let plain = [0x0a, 1, 7, 0x10, 1];
        for odd in odd_fields() {
            let bytes = [&plain[..], &odd].concat();
            assert_eq!(passed_fields(pass_head(&bytes, 9, [0x39, 0x41], &mut [0; 2]), &bytes), (5, 2), "{odd:?}");
            assert_eq!(passed_fields(pass_tail(&bytes, 9, [0x39, 0x41]), &bytes), (5, 2), "{odd:?}");
        }
    }

    /// The head of a span as libraries write it, with `parent` where it belongs.
    fn span_head(parent: &[u8]) -> Vec<u8> {
        let time = |tag: u8, value: u8| vec![tag, value, 0, 0, 0, 0, 0, 0, 0];
        let ids = [vec![0x0a, 16], vec![7; 16], vec![0x12, 8], vec![7; 8]].concat();
        [ids, parent.to_vec(), vec![0x2a, 2, b'n', b'n', 0x30, 3], time(0x39, 5), time(0x41, 6)].concat()
    }

    #[test]
    fn a_usual_span_is_passed_as_field_by_field() {
        for (parent, fields) in [(vec![], 6), ([vec![0x22, 8], vec![7; 8]].concat(), 7)] {
            let bytes = [span_head(&parent), vec![0x4a, 0]].concat();
            let (mut slowly, mut quickly) = ([0; 2], [0; 2]);
            let expected = pass_head(&bytes, 9, [0x39, 0x41], &mut slowly);
            assert_eq!(pass_span_head(&bytes, &mut quickly), Some(expected));
            assert_eq!((expected.fields, quickly), (fields, slowly));
        }
    }

    #[test]
    fn an_unusual_span_is_left_to_be_passed_field_by_field() {
        let usual = span_head(&[]);
        let state = span_head(&[0x1a, 1, b'k']);
        let short_parent = span_head(&[0x22, 1, 7]);
        for at in [0, 1, 18, 19, 28, 29, 32, 34, 43] {
            let mut other = usual.clone();
            other[at] ^= 0x80;
            assert_eq!(pass_span_head(&other, &mut [0; 2]), None, "byte {at}");
        }
        for other in [&state, &short_parent, &usual[..usual.len() - 1], &[]] {
            assert_eq!(pass_span_head(other, &mut [0; 2]), None);
        }
    }

    #[test]
    fn a_tail_is_passed_up_to_an_attribute_or_a_time() {
        let rest = [0x52, 1, 7, 0x7a, 0, 0x85, 0x01, 1, 1, 0, 0, 0x59, 1, 2, 3, 4, 5, 6, 7, 8];
        for stop in [&[0x4a, 0][..], &[0x48, 1], &[0x39, 1, 0, 0, 0, 0, 0, 0, 0], &[]] {
            let bytes = [&rest[..], stop].concat();
            assert_eq!(passed_fields(pass_tail(&bytes, 9, [0x39, 0x41]), &bytes), (rest.len(), 4));
        }
    }

    /// Scenario: spans as a library writes them, whole and cut off anywhere.
    /// Guarantees: what is passed ends where a field ends, and has as many fields as are counted.
    #[test]
    fn passing_agrees_with_reading() {
        let batch = Generator { items: 2, ..Generator::default() }.bytes(Signal::Traces);
        let mut group = Message::whole(&batch);
        let mut steps = Steps::for_batch(batch.len());
        let mut next = |message: &mut Message<'_>, number| loop {
            let field = message.next(&mut steps).unwrap().unwrap();
            if let Some(content) = field.delimited(number) {
                return content.content.rest().len();
            }
        };
        let length = next(&mut group, 1);
        let start = group.at() - length;
        let mut scope = Message::whole(&batch[start..start + length]);
        let length = next(&mut scope, 2);
        let start = start + scope.at() - length;
        let mut span = Message::whole(&batch[start..start + length]);
        let length = next(&mut span, 2);
        let span = &batch[start + span.at() - length..start + span.at()];
        let ends = ends(span);
        for cut in 0..=span.len() {
            let cut = &span[..cut];
            let head = pass_head(cut, 9, [0x39, 0x41], &mut [0; 2]);
            let attributes = pass_attributes(head.rest, 0x4a, FILTER);
            let tail = pass_tail(attributes.rest, 9, [0x39, 0x41]);
            let fields = head.fields + attributes.fields + tail.fields;
            assert_eq!(Some(&(cut.len() - tail.rest.len())), ends.get(fields as usize));
        }
        assert!(ends.len() > 15);
    }
}
