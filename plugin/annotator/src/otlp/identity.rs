//! Who a resource is: the few of its attributes that incidents are matched by.

use super::{
    Refusal, ResourceIdentity,
    steps::Steps,
    wire::{Field, Message, Value},
};
use crate::names;

// Field numbers.
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const KEY: u32 = 1;
const VALUE: u32 = 2;
const KEY_TAG: u8 = (KEY as u8) << 3 | 2;
const VALUE_TAG: u8 = (VALUE as u8) << 3 | 2;
const STRING_VALUE: u32 = 1;
/// The members of the `oneof` in an `AnyValue`: of several, the last counts.
const ANY_VALUES: std::ops::RangeInclusive<u32> = 1..=8;

/// Reads the identity from a `ResourceSpans`, `ResourceLogs` or `ResourceMetrics`.
///
/// The resource may stand anywhere in it, be absent, or occur several times; protobuf then joins their attributes.
pub(super) fn read<'a>(mut group: Message<'a>, steps: &mut Steps) -> Result<ResourceIdentity<'a>, Refusal> {
    let mut identity = ResourceIdentity::default();
    let mut deprecated_environment = None;
    while let Some(field) = group.next(steps)? {
        let Some(resource) = field.delimited(RESOURCE) else { continue };
        let mut resource = resource.content;
        while let Some(field) = resource.next(steps)? {
            let Some(attribute) = field.delimited(RESOURCE_ATTRIBUTES) else { continue };
            let place = match key(attribute.content, steps)? {
                key if key == names::SERVICE_NAME.as_bytes() => &mut identity.service,
                key if key == names::SERVICE_NAMESPACE.as_bytes() => &mut identity.namespace,
                key if key == names::DEPLOYMENT_ENVIRONMENT_NAME.as_bytes() => &mut identity.environment,
                key if key == names::DEPLOYMENT_ENVIRONMENT.as_bytes() => &mut deprecated_environment,
                _ => continue,
            };
            // A key ought not to repeat; where it does, the first counts, as in the Collector.
            if place.is_none() {
                *place = string_value(attribute.content, steps)?;
            }
        }
    }
    identity.environment = identity.environment.or(deprecated_environment);
    Ok(identity)
}

/// The key of a `KeyValue`: the last one if it repeats, empty if there is none. What `key_strindex` points to is not
/// looked up; it means something in profiles only.
#[inline]
pub(super) fn key<'a>(attribute: Message<'a>, steps: &mut Steps) -> Result<&'a [u8], Refusal> {
    match plain_key(attribute.rest()) {
        Some(key) => Ok(key),
        None => any_key(attribute, steps),
    }
}

/// The key, if the `KeyValue` is written as all writers do: a short key, a value behind it, and nothing else. These are
/// nearly all there are, and this takes a few instructions instead of two fields.
#[inline(always)]
fn plain_key(attribute: &[u8]) -> Option<&[u8]> {
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
fn any_key<'a>(mut attribute: Message<'a>, steps: &mut Steps) -> Result<&'a [u8], Refusal> {
    let mut key = [].as_slice();
    while let Some(field) = attribute.next(steps)? {
        if let Some(bytes) = field.delimited(KEY) {
            key = bytes.content.rest();
        }
    }
    Ok(key)
}

/// The value of a `KeyValue`, if it is a string.
fn string_value<'a>(mut attribute: Message<'a>, steps: &mut Steps) -> Result<Option<&'a [u8]>, Refusal> {
    let mut text = None;
    while let Some(field) = attribute.next(steps)? {
        if let Some(value) = field.delimited(VALUE) {
            let mut value = value.content;
            while let Some(member) = value.next(steps)? {
                text = read_member(&member, text);
            }
        }
    }
    Ok(text)
}

/// The text of an `AnyValue` after one more of its fields.
fn read_member<'a>(member: &Field<'a>, text: Option<&'a [u8]>) -> Option<&'a [u8]> {
    match member.value() {
        Value::Delimited(bytes) if member.number == STRING_VALUE => Some(bytes.content.rest()),
        _ if ANY_VALUES.contains(&member.number) => None,
        _ => text,
    }
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
