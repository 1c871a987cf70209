//! Whatever a batch is: a rewritten one differs from it by attributes of ours in front of what belongs behind them, and by
//! the lengths of the messages around these. Found by reading both by hand, so that it holds too where `prost` gives up.

use faultline_annotator::otlp::Signal;
use faultline_test_support::{
    shape::{ItemShape, Shape},
    wire::{Field, Value, delimited, fields},
};

use crate::scene::{Scene, plain_signal};

/// # Panics
///
/// When `marked` is anything else than `batch` with attributes of the scene added.
pub(crate) fn check(scene: &Scene, signal: Signal, batch: &[u8], marked: &[u8]) {
    assert_ne!(batch, marked, "what is not changed is not replaced");
    check_message(scene, Shape::request(plain_signal(signal)), batch, marked);
}

fn check_message(scene: &Scene, shape: &Shape, before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    let (before, rest_before) = fields(before);
    let (mut after, rest_after) = fields(after);
    assert_eq!(rest_before, rest_after, "what cannot be read leaves as it came");
    if let Some(item) = shape.item {
        take_out_additions(scene, item, &before, &mut after);
    }
    assert_eq!(before.len(), after.len(), "no field is lost, and none is added to what is no item");
    for (before, after) in before.iter().zip(&after) {
        check_field(scene, shape, before, after);
    }
}

fn check_field(scene: &Scene, shape: &Shape, before: &Field<'_>, after: &Field<'_>) {
    if before.bytes == after.bytes {
        return;
    }
    let (Value::Delimited(content_before), Value::Delimited(content_after)) = (before.value, after.value) else {
        panic!("a field that is no message is changed: {before:x?} to {after:x?}");
    };
    assert_eq!(before.tag, after.tag);
    let Some(inner) = shape.message(before.number) else { panic!("field {} is not ours to change", before.number) };
    assert_ne!(content_before, content_after, "the length of a message is written anew only where something is added");
    assert_eq!(after.bytes, delimited(after.tag, content_after), "a length takes as few bytes as can be");
    check_message(scene, inner, content_before, content_after);
}

/// Takes those fields out of `after` that were added, if there are any: they stand together.
fn take_out_additions(scene: &Scene, item: ItemShape, before: &[Field<'_>], after: &mut Vec<Field<'_>>) {
    let added = after.len().checked_sub(before.len()).expect("no field is lost");
    let at = before.iter().position(|field| field.number >= item.attributes).unwrap_or(before.len());
    for field in after.drain(at..at + added) {
        assert_eq!(field.number, item.attributes);
        let Value::Delimited(attribute) = field.value else { panic!("not an attribute: {field:x?}") };
        let (members, rest) = fields(attribute);
        assert!(rest.is_empty() && members.len() == 2, "an attribute is a key and a value: {field:x?}");
        let Value::Delimited(key) = members[0].value else { panic!("no key: {field:x?}") };
        let keys = scene.incidents.iter().flat_map(|incident| &incident.attributes);
        assert!(keys.into_iter().any(|(ours, _)| ours.as_bytes() == key), "not a key of ours: {field:x?}");
        assert!(!has_key(item, before, key), "an attribute is there already: {field:x?}");
    }
}

/// Whether an attribute has that key. Those that cannot be read have none.
fn has_key(item: ItemShape, before: &[Field<'_>], key: &[u8]) -> bool {
    before.iter().filter(|field| field.number == item.attributes).any(|field| {
        let Value::Delimited(attribute) = field.value else { return false };
        let (members, rest) = fields(attribute);
        let last = members.iter().rev().find_map(|member| match member.value {
            Value::Delimited(key) if member.number == 1 => Some(key),
            _ => None,
        });
        rest.is_empty() && last.unwrap_or_default() == key
    })
}

#[cfg(test)]
mod tests {
    use faultline_test_support::Generator;

    use super::*;
    use crate::scene::EVERYTHING;

    const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    fn scene() -> Scene {
        Scene::marking_all(&[("incident.id", "pagerduty:Q1"), ("incident.severity", "critical")])
    }

    fn batch_and_marked(signal: Signal) -> (Vec<u8>, Vec<u8>) {
        let batch = Generator { items: 6, ..Generator::default() }.bytes(plain_signal(signal));
        let (marked, _) = scene().rewrite(signal, &batch, &EVERYTHING).unwrap();
        (batch, marked.unwrap())
    }

    fn is_noticed(signal: Signal, batch: &[u8], marked: &[u8]) -> bool {
        let check = || super::check(&scene(), signal, batch, marked);
        std::panic::catch_unwind(check).is_err()
    }

    #[test]
    fn what_the_rewriter_adds_is_allowed() {
        for signal in SIGNALS {
            let (batch, marked) = batch_and_marked(signal);
            check(&scene(), signal, &batch, &marked);
        }
    }

    /// Scenario: a batch that was marked, with one bit turned over.
    /// Guarantees: it is noticed wherever that is, but in the values of ours.
    #[test]
    fn a_bit_that_is_turned_over_is_noticed_but_in_a_value_of_ours() {
        for signal in SIGNALS {
            let (batch, marked) = batch_and_marked(signal);
            let unnoticed = (0..marked.len()).filter(|at| {
                let mut damaged = marked.clone();
                damaged[*at] ^= 1;
                !is_noticed(signal, &batch, &damaged)
            });
            let ours = "pagerduty:Q1critical".len() + 3 * 2;
            let items = scene().rewrite(signal, &batch, &EVERYTHING).unwrap().1.items_marked as usize;
            assert!(unnoticed.count() <= items * ours, "{signal:?}");
        }
    }

    #[test]
    fn attributes_that_are_lost_or_not_ours_are_noticed() {
        let (batch, marked) = batch_and_marked(Signal::Logs);
        assert!(is_noticed(Signal::Logs, &marked, &batch), "attributes are taken out");
        let other = Scene::marking_all(&[("another.id", "x")]);
        let (foreign, _) = other.rewrite(Signal::Logs, &batch, &EVERYTHING).unwrap();
        assert!(is_noticed(Signal::Logs, &batch, &foreign.unwrap()), "a key that is not ours");
    }
}
