//! The key of an attribute.

use super::{Refusal, steps::Steps, wire::Message};

// Field numbers of a `KeyValue`.
const KEY: u32 = 1;
pub(super) const VALUE: u32 = 2;
pub(super) const KEY_TAG: u8 = (KEY as u8) << 3 | 2;
pub(super) const VALUE_TAG: u8 = (VALUE as u8) << 3 | 2;

/// The key of a `KeyValue`: the last one if it repeats, empty if there is none. What `key_strindex` points to is not
/// looked up; it means something in profiles only.
#[inline]
pub(super) fn key<'a>(attribute: Message<'a>, steps: &mut Steps) -> Result<&'a [u8], Refusal> {
    match plain_key(attribute.rest()) {
        Some(key) => Ok(key),
        None => {
            let (key, left) = any_key(attribute, *steps)?;
            *steps = left;
            Ok(key)
        }
    }
}

/// The key, if the `KeyValue` is written as all writers do: a short key, a value behind it, and nothing else. These are
/// nearly all there are, and this takes a few instructions instead of two fields.
#[inline(always)]
pub(super) fn plain_key(attribute: &[u8]) -> Option<&[u8]> {
    let [KEY_TAG, length @ ..0x80, rest @ ..] = attribute else { return None };
    let (key, value) = rest.split_at_checked(usize::from(*length))?;
    let is_plain = match value {
        [VALUE_TAG, length @ ..0x80, value @ ..] => value.len() == usize::from(*length),
        [VALUE_TAG, low, high @ ..0x80, value @ ..] => {
            value.len() == usize::from(*low & 0x7f) | usize::from(*high) << 7
        }
        _ => false,
    };
    is_plain.then_some(key)
}

#[cold]
#[inline(never)]
fn any_key<'a>(mut attribute: Message<'a>, mut steps: Steps) -> Result<(&'a [u8], Steps), Refusal> {
    let mut key = [].as_slice();
    while let Some(field) = attribute.next(&mut steps)? {
        if let Some(bytes) = field.delimited(KEY) {
            key = bytes.content.rest();
        }
    }
    Ok((key, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `KeyValue` with the key `k` and then `rest`.
    fn attribute(rest: &[u8]) -> Vec<u8> {
        [&[KEY_TAG, 1, b'k'], rest].concat()
    }

    fn checked_key(attribute: &[u8]) -> Result<&[u8], Refusal> {
        key(Message::whole(attribute), &mut Steps::for_batch(attribute.len()))
    }

    #[test]
    fn a_plain_key_is_the_key_that_is_read_field_by_field() {
        for length in [0_usize, 1, 127, 128, 16_383] {
            let mut rest = vec![VALUE_TAG];
            super::super::push_varint(&mut rest, length as u64);
            rest.extend(vec![0x08; length]);
            let attribute = attribute(&rest);
            assert_eq!(plain_key(&attribute), Some(b"k".as_slice()), "a value of {length} bytes");
            assert_eq!(checked_key(&attribute), Ok(b"k".as_slice()));
        }
    }

    #[test]
    fn what_is_not_plain_is_read_field_by_field() {
        let second_key = [VALUE_TAG, 0, KEY_TAG, 1, b'x'];
        assert_eq!(plain_key(&attribute(&second_key)), None);
        assert_eq!(checked_key(&attribute(&second_key)), Ok(b"x".as_slice()));
        // A padded length of 0 in three bytes, which taken for two would reach over the second key to the end.
        let mut padded = vec![VALUE_TAG, 0x80, 0x80, 0x00, KEY_TAG, 1, b'x', VALUE_TAG];
        super::super::push_varint(&mut padded, 16_377);
        padded.resize(3 + 0x80 * 0x80, 0x08);
        assert_eq!(plain_key(&attribute(&padded)), None);
        assert_eq!(checked_key(&attribute(&padded)), Ok(b"x".as_slice()));
    }

    #[test]
    fn a_fault_in_a_key_value_is_refused() {
        let cut_off = attribute(&[VALUE_TAG, 5, 0]);
        assert_eq!(checked_key(&cut_off).unwrap_err().offset, 4);
        assert_eq!(checked_key(&[KEY_TAG, 5, b'k']).unwrap_err().offset, 1);
    }
}
