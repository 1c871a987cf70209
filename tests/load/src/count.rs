//! Counts the items of a request, and those that are marked.

use std::ops::AddAssign;

use faultline_test_support::{
    Signal,
    shape::{ItemShape, Shape},
};

use crate::wire::{Fields, Unreadable, Value};

/// Requests and what was in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Export requests.
    pub requests: u64,
    /// Spans, log records and data points in them.
    pub items: u64,
    /// Items that have the attribute that the [`Sink`](crate::Sink) looks for.
    pub marked: u64,
    /// Bytes of the requests, uncompressed.
    pub bytes: u64,
}

/// The field of a span that holds its id.
const SPAN_ID: u32 = 2;

/// Counts in `message`, a request of that signal, the items and those with an attribute named `mark`; `span` is called with
/// the id of every span.
pub(crate) fn count(
    signal: Signal,
    message: &[u8],
    mark: &[u8],
    span: &mut dyn FnMut(&[u8]),
) -> Result<Tally, Unreadable> {
    let mut tally = Tally { requests: 1, bytes: message.len() as u64, ..Tally::default() };
    let mut ignored = |_: &[u8]| ();
    let span: &mut dyn FnMut(&[u8]) = if signal == Signal::Traces { span } else { &mut ignored };
    walk(Shape::request(signal), message, mark, span, &mut tally)?;
    Ok(tally)
}

fn walk(
    shape: &Shape,
    message: &[u8],
    mark: &[u8],
    span: &mut dyn FnMut(&[u8]),
    tally: &mut Tally,
) -> Result<(), Unreadable> {
    if let Some(item) = shape.item {
        tally.items += 1;
        tally.marked += u64::from(item_is_marked(item, message, mark, span)?);
        return Ok(());
    }
    for field in Fields::of(message) {
        let field = field?;
        if let (Value::Delimited(content), Some(inner)) = (field.value, shape.message(field.number)) {
            walk(inner, content, mark, span, tally)?;
        }
    }
    Ok(())
}

fn item_is_marked(
    item: ItemShape,
    message: &[u8],
    mark: &[u8],
    span: &mut dyn FnMut(&[u8]),
) -> Result<bool, Unreadable> {
    let mut is_marked = false;
    for field in Fields::of(message) {
        let field = field?;
        match field.value {
            Value::Delimited(content) if field.number == item.attributes => is_marked |= key(content)? == mark,
            Value::Delimited(content) if field.number == SPAN_ID => span(content),
            _ => {}
        }
    }
    Ok(is_marked)
}

/// The key of an attribute; the first, since nobody writes two.
fn key(attribute: &[u8]) -> Result<&[u8], Unreadable> {
    for field in Fields::of(attribute) {
        let field = field?;
        if let (1, Value::Delimited(key)) = (field.number, field.value) {
            return Ok(key);
        }
    }
    Ok(&[])
}

// === impl Tally ===

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.items += other.items;
        self.marked += other.marked;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use faultline_test_support::Generator;

    use super::*;

    fn check(signal: Signal, message: &[u8], mark: &str) -> Tally {
        count(signal, message, mark.as_bytes(), &mut |_| ()).unwrap()
    }

    #[test]
    fn every_item_of_every_signal_is_counted() {
        for signal in Signal::ALL {
            for items in [0, 1, 64] {
                let message = Generator { items, ..Generator::default() }.bytes(signal);
                let expected = Tally { requests: 1, items: items as u64, marked: 0, bytes: message.len() as u64 };
                assert_eq!(check(signal, &message, "incident.id"), expected, "{signal:?}");
            }
        }
    }

    #[test]
    fn only_attributes_of_items_count_as_marks() {
        let message = Generator { items: 64, ..Generator::default() }.bytes(Signal::Traces);
        assert_eq!(check(Signal::Traces, &message, "url.path").marked, 64, "every span has it");
        let some = check(Signal::Traces, &message, "session.id").marked;
        assert!((1..64).contains(&some), "half of the spans have it: {some}");
        assert_eq!(check(Signal::Traces, &message, "service.name").marked, 0, "resources have it");
    }

    #[test]
    fn span_ids_are_handed_out_and_ids_in_other_signals_are_not() {
        for (signal, expected) in [(Signal::Traces, 64), (Signal::Logs, 0), (Signal::Metrics, 0)] {
            let mut ids = Vec::new();
            let message = Generator { items: 64, ..Generator::default() }.bytes(signal);
            count(signal, &message, b"", &mut |id| ids.push(id.to_vec())).unwrap();
            assert_eq!(ids.len(), expected);
            assert!(ids.iter().all(|id| id.len() == 8));
        }
    }

    #[test]
    fn a_request_that_is_cut_short_is_unreadable() {
        let message = Generator { items: 8, ..Generator::default() }.bytes(Signal::Traces);
        let cut = &message[..message.len() - 1];
        assert_eq!(count(Signal::Traces, cut, b"incident.id", &mut |_| ()), Err(Unreadable));
    }
}
