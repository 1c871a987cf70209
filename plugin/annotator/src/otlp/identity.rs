//! Who a resource is: the few of its attributes that incidents are matched by.

use super::{
    Refusal, ResourceIdentity,
    keys::{KEY_TAG, VALUE, VALUE_TAG, key},
    plain::pass_attributes,
    steps::Steps,
    wire::{Field, Message, Value},
};
use crate::{key_filter::KeyFilter, names};

/// What is known of a resource from the attributes read so far.
#[derive(Default)]
struct Who<'a> {
    identity: ResourceIdentity<'a>,
    deprecated_environment: Option<&'a [u8]>,
}

// Field numbers.
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const ATTRIBUTE_TAG: u8 = (RESOURCE_ATTRIBUTES as u8) << 3 | 2;
const STRING_VALUE: u32 = 1;
const STRING_VALUE_TAG: u8 = (STRING_VALUE as u8) << 3 | 2;
/// The members of the `oneof` in an `AnyValue`: of several, the last counts.
const ANY_VALUES: std::ops::RangeInclusive<u32> = 1..=8;

const FILTER: KeyFilter = KeyFilter::new()
    .with(names::SERVICE_NAME.as_bytes())
    .with(names::SERVICE_NAMESPACE.as_bytes())
    .with(names::DEPLOYMENT_ENVIRONMENT.as_bytes())
    .with(names::DEPLOYMENT_ENVIRONMENT_NAME.as_bytes());

/// Reads the identity from a `ResourceSpans`, `ResourceLogs` or `ResourceMetrics`.
///
/// The resource may stand anywhere in it, be absent, or occur several times; protobuf then joins their attributes.
#[inline(never)]
pub(super) fn read<'a>(mut group: Message<'a>, steps: &mut Steps) -> Result<ResourceIdentity<'a>, Refusal> {
    let mut who = Who::default();
    while let Some(field) = group.next(steps)? {
        let Some(resource) = field.delimited(RESOURCE) else { continue };
        let mut resource = resource.content;
        loop {
            resource.pass(pass_attributes(resource.rest(), ATTRIBUTE_TAG, FILTER), steps)?;
            let Some(field) = resource.next(steps)? else { break };
            if let Some(attribute) = field.delimited(RESOURCE_ATTRIBUTES) {
                who.read(attribute.content, steps)?;
            }
        }
    }
    let Who { mut identity, deprecated_environment } = who;
    identity.environment = identity.environment.or(deprecated_environment);
    Ok(identity)
}

// === impl Who ===

impl<'a> Who<'a> {
    #[inline(always)]
    fn read(&mut self, attribute: Message<'a>, steps: &mut Steps) -> Result<(), Refusal> {
        let place = match key(attribute, steps)? {
            key if key == names::SERVICE_NAME.as_bytes() => &mut self.identity.service,
            key if key == names::SERVICE_NAMESPACE.as_bytes() => &mut self.identity.namespace,
            key if key == names::DEPLOYMENT_ENVIRONMENT_NAME.as_bytes() => &mut self.identity.environment,
            key if key == names::DEPLOYMENT_ENVIRONMENT.as_bytes() => &mut self.deprecated_environment,
            _ => return Ok(()),
        };
        // A key ought not to repeat; where it does, the first counts, as in the Collector.
        if place.is_none() {
            match plain_string_value(attribute.rest()) {
                Some(text) => *place = Some(text),
                None => (*place, *steps) = string_value(attribute, *steps)?,
            }
        }
        Ok(())
    }
}

/// The value of a `KeyValue`, if it is a short string and written as all writers do.
#[inline(always)]
fn plain_string_value(attribute: &[u8]) -> Option<&[u8]> {
    let [KEY_TAG, key_length @ ..0x80, rest @ ..] = attribute else { return None };
    match rest.get(usize::from(*key_length)..)? {
        [VALUE_TAG, value_length @ ..0x80, STRING_VALUE_TAG, length, text @ ..] => {
            let is_plain = text.len() == usize::from(*length) && text.len() + 2 == usize::from(*value_length);
            is_plain.then_some(text)
        }
        _ => None,
    }
}

/// The value of a `KeyValue`, if it is a string.
#[inline(never)]
fn string_value<'a>(mut attribute: Message<'a>, mut steps: Steps) -> Result<(Option<&'a [u8]>, Steps), Refusal> {
    let mut text = None;
    while let Some(field) = attribute.next(&mut steps)? {
        if let Some(value) = field.delimited(VALUE) {
            let mut value = value.content;
            while let Some(member) = value.next(&mut steps)? {
                text = read_member(&member, text);
            }
        }
    }
    Ok((text, steps))
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
    use super::{super::push_varint, *};

    /// A `KeyValue` with a string.
    fn attribute(text_bytes: usize) -> Vec<u8> {
        let mut value = vec![STRING_VALUE_TAG];
        push_varint(&mut value, text_bytes as u64);
        value.extend(vec![b't'; text_bytes]);
        let mut attribute = vec![KEY_TAG, 1, b'k', VALUE_TAG];
        push_varint(&mut attribute, value.len() as u64);
        [attribute, value].concat()
    }

    fn read_field_by_field(attribute: &[u8]) -> Option<&[u8]> {
        string_value(Message::whole(attribute), Steps::for_batch(attribute.len())).unwrap().0
    }

    #[test]
    fn a_plain_string_is_the_string_that_is_read_field_by_field() {
        for text_bytes in (0..140).chain([20_000]) {
            let attribute = attribute(text_bytes);
            assert_eq!(read_field_by_field(&attribute).map(<[u8]>::len), Some(text_bytes));
            let plain = plain_string_value(&attribute);
            assert_eq!(plain.is_some(), text_bytes < 126, "{text_bytes} bytes");
            assert!(plain.is_none() || plain == read_field_by_field(&attribute));
        }
    }

    #[test]
    fn a_value_with_more_in_it_is_read_field_by_field() {
        let number_behind = [KEY_TAG, 1, b'k', VALUE_TAG, 5, STRING_VALUE_TAG, 1, b't', 0x18, 1];
        assert_eq!((plain_string_value(&number_behind), read_field_by_field(&number_behind)), (None, None));
        let second_value = [&attribute(1)[..], &[VALUE_TAG, 2, 0x18, 1]].concat();
        assert_eq!((plain_string_value(&second_value), read_field_by_field(&second_value)), (None, None));
    }
}
