//! What the messages of OTLP are made of, down to attributes, and what in a batch tells the rewriter from the oracle.

use crate::{
    Signal,
    wire::{self, Value, delimited, fields},
};

/// A message: which of its fields are messages, and what it is to us.
#[derive(Debug)]
pub struct Shape {
    /// Field numbers and what is in these fields.
    pub messages: &'static [(u32, &'static Shape)],
    /// Where an item, which is what can be marked, keeps its attributes and its times; none for other messages.
    pub item: Option<ItemShape>,
}

/// A span, log record, data point or exemplar.
#[derive(Clone, Copy, Debug)]
pub struct ItemShape {
    /// Field number of its attributes.
    pub attributes: u32,
    /// Field numbers of its times, each of eight bytes.
    pub times: &'static [u32],
}

/// A message with these fields that are messages. Written out by a macro, since a function's arguments are not kept for ever.
macro_rules! message {
    ($($number:expr => $inner:expr),*) => { Shape { messages: &[$(($number, &$inner)),*], item: None } };
}

/// The same for an item.
macro_rules! item {
    ({ $($number:expr => $inner:expr),* }, attributes: $attributes:expr, times: $times:expr) => {
        Shape { messages: &[$(($number, &$inner)),*], item: Some(ItemShape { attributes: $attributes, times: &$times }) }
    };
}

const LEAF: Shape = message!();
const VALUE: Shape = message!(5 => message!(1 => LEAF), 6 => message!(1 => LEAF));
const KEY_VALUE: Shape = message!(2 => VALUE);
const RESOURCE: Shape = message!(1 => KEY_VALUE);
const SCOPE: Shape = message!(3 => KEY_VALUE);
const EVENT: Shape = message!(3 => KEY_VALUE);
const LINK: Shape = message!(4 => KEY_VALUE);
const SPAN: Shape = item!({ 9 => KEY_VALUE, 11 => EVENT, 13 => LINK, 15 => LEAF }, attributes: 9, times: [7, 8]);
const LOG_RECORD: Shape = item!({ 5 => VALUE, 6 => KEY_VALUE }, attributes: 6, times: [1, 11]);
const EXEMPLAR: Shape = item!({ 7 => KEY_VALUE }, attributes: 7, times: [2]);
const NUMBER: Shape = item!({ 5 => EXEMPLAR, 7 => KEY_VALUE }, attributes: 7, times: [3]);
const HISTOGRAM: Shape = item!({ 8 => EXEMPLAR, 9 => KEY_VALUE }, attributes: 9, times: [3]);
const EXPONENTIAL_HISTOGRAM: Shape = item!({ 1 => KEY_VALUE, 11 => EXEMPLAR }, attributes: 1, times: [3]);
const SUMMARY: Shape = item!({ 7 => KEY_VALUE }, attributes: 7, times: [3]);
const METRIC: Shape = message!(
    5 => message!(1 => NUMBER),
    7 => message!(1 => NUMBER),
    9 => message!(1 => HISTOGRAM),
    10 => message!(1 => EXPONENTIAL_HISTOGRAM),
    11 => message!(1 => SUMMARY)
);

/// Where a resource group keeps its scopes.
const SCOPE_GROUPS: u32 = 2;
/// Where it kept them before OTLP 0.15. The plugin reads both, as the Collector does; the oracle's library has forgotten.
const LIBRARY_GROUPS: u32 = 1000;
const SCOPE_GROUPS_TAG: [u8; 1] = [(SCOPE_GROUPS as u8) << 3 | 2];

/// Requests of the three signals differ in what a scope holds.
macro_rules! request {
    ($item:expr) => {
        message!(1 => message!(
            1 => RESOURCE,
            SCOPE_GROUPS => message!(1 => SCOPE, 2 => $item),
            LIBRARY_GROUPS => message!(1 => SCOPE, 2 => $item)
        ))
    };
}

const TRACES: Shape = request!(SPAN);
const METRICS: Shape = request!(METRIC);
const LOGS: Shape = request!(LOG_RECORD);

// === impl Shape ===

impl Shape {
    /// The export request of that signal.
    #[must_use]
    pub fn request(signal: Signal) -> &'static Self {
        match signal {
            Signal::Traces => &TRACES,
            Signal::Metrics => &METRICS,
            Signal::Logs => &LOGS,
        }
    }

    /// What is in that field, if it is a message.
    #[must_use]
    pub fn message(&self, number: u32) -> Option<&'static Self> {
        self.messages.iter().find(|(field, _)| *field == number).map(|(_, shape)| *shape)
    }
}

/// Whether some item has a time once more behind a field with the number of its attributes or a higher one. No writer makes
/// such, and there the rewriter may leave the item before it sees that time.
#[must_use]
pub fn repeats_a_time(signal: Signal, batch: &[u8]) -> bool {
    any_message(Shape::request(signal), batch, &|shape, message| {
        shape.item.is_some_and(|item| item_repeats_a_time(item, message))
    })
}

/// How deep groups are nested in what is neither text nor bytes; 0 for none.
#[must_use]
pub fn group_depth(signal: Signal, batch: &[u8]) -> usize {
    (1..)
        .take_while(|depth| any_message(Shape::request(signal), batch, &|_, message| has_group(message, *depth)))
        .count()
}

/// The batch with its library groups as scope groups, which the oracle reads. Where there is none, as it is.
#[must_use]
pub fn with_library_groups_as_scopes(batch: &[u8]) -> Vec<u8> {
    map_fields(batch, |field, content| {
        let is_library = |field: &wire::Field<'_>| field.number == LIBRARY_GROUPS;
        (field.number == 1 && fields(content).0.iter().any(is_library)).then(|| {
            let group =
                map_fields(content, |field, scopes| is_library(field).then(|| delimited(&SCOPE_GROUPS_TAG, scopes)));
            delimited(field.tag, &group)
        })
    })
}

fn map_fields(message: &[u8], change: impl Fn(&wire::Field<'_>, &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let (fields, rest) = fields(message);
    let mut result = Vec::new();
    for field in &fields {
        let changed = match field.value {
            Value::Delimited(content) => change(field, content),
            _ => None,
        };
        result.extend(changed.unwrap_or_else(|| field.bytes.to_vec()));
    }
    result.extend(rest);
    result
}

fn any_message(shape: &Shape, message: &[u8], holds: &dyn Fn(&Shape, &[u8]) -> bool) -> bool {
    let inner = |field: &wire::Field<'_>| match (field.value, shape.message(field.number)) {
        (Value::Delimited(content), Some(shape)) => any_message(shape, content, holds),
        _ => false,
    };
    holds(shape, message) || fields(message).0.iter().any(inner)
}

fn has_group(message: &[u8], least_depth: usize) -> bool {
    fields(message).0.iter().any(|field| matches!(field.value, Value::Group(depth) if depth >= least_depth))
}

fn item_repeats_a_time(item: ItemShape, message: &[u8]) -> bool {
    let mut seen = Vec::new();
    let mut is_behind = false;
    for field in fields(message).0 {
        let is_time = item.times.contains(&field.number) && matches!(field.value, Value::Fixed64(_));
        if is_time && is_behind && seen.contains(&field.number) {
            return true;
        }
        if is_time {
            seen.push(field.number);
        }
        is_behind |= field.number >= item.attributes;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    fn message(number: u32, content: &[u8]) -> Vec<u8> {
        delimited(&wire::varint(u64::from(number) << 3 | 2, 1), content)
    }

    fn time(number: u32) -> Vec<u8> {
        [vec![(number as u8) << 3 | 1], vec![1; 8]].concat()
    }

    fn in_scope(field: u32, item: &[u8]) -> Vec<u8> {
        message(1, &message(field, &message(2, item)))
    }

    /// Each kind of item that has these fields, in a request of its signal.
    fn requests(item: impl Fn(u32, u32) -> Vec<u8>) -> Vec<(Signal, Vec<u8>)> {
        let point = |data, attributes| {
            let data = message(data, &message(1, &item(attributes, 3)));
            (Signal::Metrics, in_scope(2, &data))
        };
        let exemplar = message(7, &message(1, &message(5, &item(7, 2))));
        vec![
            (Signal::Traces, in_scope(2, &item(9, 8))),
            (Signal::Traces, in_scope(1000, &item(9, 7))),
            (Signal::Logs, in_scope(2, &item(6, 1))),
            (Signal::Logs, in_scope(2, &item(6, 11))),
            point(5, 7),
            point(9, 9),
            point(10, 1),
            point(11, 7),
            (Signal::Metrics, in_scope(2, &exemplar)),
        ]
    }

    #[test]
    fn a_time_behind_the_attributes_repeats_only_if_it_was_there_before() {
        for (signal, batch) in requests(|attributes, at| [time(at), message(attributes, b""), time(at)].concat()) {
            assert!(repeats_a_time(signal, &batch), "{signal:?} {batch:x?}");
        }
        for (signal, batch) in requests(|attributes, at| [message(attributes, b""), time(at)].concat()) {
            assert!(!repeats_a_time(signal, &batch), "{signal:?} {batch:x?}");
        }
    }

    #[test]
    fn what_follows_the_place_of_attributes_counts_like_them() {
        let span = [time(7), message(12, b""), time(7)].concat();
        assert!(repeats_a_time(Signal::Traces, &in_scope(2, &span)));
        let early = [time(7), time(7), message(9, b"")].concat();
        assert!(!repeats_a_time(Signal::Traces, &in_scope(2, &early)), "in front of the attributes the last counts");
    }

    #[test]
    fn generated_batches_repeat_no_time_and_have_no_groups() {
        for signal in Signal::ALL {
            let batch = Generator { items: 64, ..Generator::default() }.bytes(signal);
            assert!(!repeats_a_time(signal, &batch));
            assert_eq!(group_depth(signal, &batch), 0);
            assert_eq!(with_library_groups_as_scopes(&batch), batch);
        }
    }

    #[test]
    fn groups_are_found_in_every_message() {
        let group = [0x0b, 0x0b, 0x0c, 0x0c];
        for (signal, batch) in requests(|_, _| group.to_vec()) {
            assert_eq!(group_depth(signal, &batch), 2, "{batch:x?}");
        }
        assert_eq!(group_depth(Signal::Logs, &in_scope(2, &message(3, &group))), 0, "a text is not looked into");
    }

    #[test]
    fn library_groups_become_scope_groups_in_their_place() {
        let group = |number| [message(2, b"\x12\x00"), message(number, b"\x12\x00"), message(1, b"")].concat();
        let batch = |number| [message(1, &group(number)), vec![0x10, 1, 0xff]].concat();
        assert_eq!(with_library_groups_as_scopes(&batch(1000)), batch(2));
    }
}
