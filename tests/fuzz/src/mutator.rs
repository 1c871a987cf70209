//! Changes a batch as a message instead of as bytes: what encloses a change keeps its lengths right, so that most of what is
//! tried gets as far as the items. (With libFuzzer's own mutations alone most of it is refused at the first length.)
//!
//! Half of the time the fuzzer's own mutations are taken nevertheless; they make what is broken.

use fastrand::Rng;
use faultline_annotator::otlp::Signal;
use faultline_test_support::{
    self as plain, Generator,
    shape::Shape,
    wire::{Value, delimited, fields, varint},
};

use crate::{scene::plain_signal, variant::signal_of};

/// A field, with the fields in it where it is a message.
#[derive(Clone, Debug)]
struct Field {
    /// As it was written; the number and the wire type.
    tag: Vec<u8>,
    number: u32,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// What stands behind the tag.
    Plain(Vec<u8>),
    /// A text or bytes, of which the length takes at least so many bytes.
    Bytes(Vec<u8>, usize),
    Message(Message, usize),
}

#[derive(Clone, Debug)]
struct Message {
    shape: &'static Shape,
    fields: Vec<Field>,
    /// What cannot be read, to the end of the message.
    rest: Vec<u8>,
}

/// What the fuzzer does to `(bytes, size, size at most)`, giving the new size.
pub type Raw = fn(&mut [u8], usize, usize) -> usize;

/// Keys that something depends on.
const KEYS: [&str; 11] = [
    "incident.id",
    "incident.ids",
    "http.route",
    "thread.id",
    "url.path",
    "absent",
    "k",
    "service.name",
    "service.namespace",
    "deployment.environment.name",
    "deployment.environment",
];
const TEXTS: [&str; 6] = ["checkout", "cart", "production", "shop", "", "incident.id"];
/// Numbers of fields that OTLP has, and some that it has not.
const FIELD_NUMBERS: [u32; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 1000, 5000, (1 << 29) - 1];

/// Mutates the input `data[..size]` of a target of that signal, and gives the new size.
pub fn mutate(signal: Signal, data: &mut [u8], size: usize, size_max: usize, seed: u32, raw: Raw) -> usize {
    mutate_behind(1, plain_signal(signal), data, size, size_max, seed, raw)
}

/// The same for a target that takes the signal from the second byte of its input.
pub fn mutate_with_signal(data: &mut [u8], size: usize, size_max: usize, seed: u32, raw: Raw) -> usize {
    let signal = signal_of(data.get(1).copied().unwrap_or_default());
    mutate_behind(2, plain_signal(signal), data, size, size_max, seed, raw)
}

/// Mutates the batch behind the first `head` bytes.
fn mutate_behind(
    head: usize,
    signal: plain::Signal,
    data: &mut [u8],
    size: usize,
    size_max: usize,
    seed: u32,
    raw: Raw,
) -> usize {
    let mut random = Rng::with_seed(seed.into());
    if size <= head || random.bool() {
        return raw(data, size, size_max);
    }
    let mut request = Message::read(Shape::request(signal), &data[head..size]);
    for _ in 0..random.usize(1..4) {
        request.mutate(&mut random, raw);
    }
    let mut mutated = Vec::new();
    request.write(&mut mutated);
    match data.get_mut(head..head + mutated.len()) {
        Some(batch) if head + mutated.len() <= size_max => {
            batch.copy_from_slice(&mutated);
            head + mutated.len()
        }
        _ => raw(data, size, size_max),
    }
}

// === impl Message ===

impl Message {
    fn read(shape: &'static Shape, bytes: &[u8]) -> Self {
        let (fields, rest) = fields(bytes);
        let fields = fields.iter().map(|field| Field {
            tag: field.tag.to_vec(),
            number: field.number,
            content: match (field.value, shape.message(field.number)) {
                (Value::Delimited(content), inner) => {
                    let width = field.bytes.len() - field.tag.len() - content.len();
                    match inner {
                        Some(inner) => Content::Message(Self::read(inner, content), width),
                        None => Content::Bytes(content.to_vec(), width),
                    }
                }
                _ => Content::Plain(field.bytes[field.tag.len()..].to_vec()),
            },
        });
        Self { shape, fields: fields.collect(), rest: rest.to_vec() }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for field in &self.fields {
            bytes.extend(&field.tag);
            let (content, width) = match &field.content {
                Content::Plain(plain) => {
                    bytes.extend(plain);
                    continue;
                }
                Content::Bytes(content, width) => (content.clone(), *width),
                Content::Message(message, width) => {
                    let mut content = Vec::new();
                    message.write(&mut content);
                    (content, *width)
                }
            };
            bytes.extend(varint(content.len() as u64, width));
            bytes.extend(content);
        }
        bytes.extend(&self.rest);
    }

    /// Goes down to a message by chance, and changes something there.
    fn mutate(&mut self, random: &mut Rng, raw: Raw) {
        let inner = self.fields.iter_mut().filter_map(|field| match &mut field.content {
            Content::Message(message, _) => Some(message),
            _ => None,
        });
        let mut inner: Vec<&mut Self> = inner.collect();
        if !inner.is_empty() && random.u8(0..4) != 0 {
            let chosen = random.usize(0..inner.len());
            return inner[chosen].mutate(random, raw);
        }
        self.mutate_here(random, raw);
    }

    fn mutate_here(&mut self, random: &mut Rng, raw: Raw) {
        if self.fields.is_empty() || random.u8(0..4) == 0 {
            let at = random.usize(0..=self.fields.len());
            let field = self.new_field(random);
            return self.fields.insert(at, field);
        }
        let (at, to) = (random.usize(0..self.fields.len()), random.usize(0..self.fields.len()));
        match random.u8(0..6) {
            0 => self.fields.swap(at, to),
            1 => drop(self.fields.remove(at)),
            2 => {
                let copy = self.fields[at].clone();
                self.fields.insert(to, copy);
            }
            3 => {
                let field = self.fields.remove(at);
                self.fields.insert(to, field);
            }
            _ => self.fields[at].mutate(random, raw),
        }
    }

    /// A field that belongs into this message, or one that nobody knows.
    fn new_field(&self, random: &mut Rng) -> Field {
        let number = FIELD_NUMBERS[random.usize(0..FIELD_NUMBERS.len())];
        match (self.shape.item, random.u8(0..4)) {
            (Some(item), 0) => Field::fixed64(item.times[random.usize(0..item.times.len())], time(random)),
            (Some(item), 1) => attribute(item.attributes, random),
            (_, 0) => attribute(number, random),
            (_, 1) => match self.shape.messages.get(random.usize(0..self.shape.messages.len().max(1))) {
                Some((number, shape)) => {
                    let empty = Message { shape, fields: Vec::new(), rest: Vec::new() };
                    Field::delimited(*number, Content::Message(empty, 1))
                }
                None => Field::fixed64(number, time(random)),
            },
            _ => unknown(number, random),
        }
    }
}

// === impl Field ===

impl Field {
    fn new(number: u32, wire_type: u32, content: Content) -> Self {
        Self { tag: varint(u64::from(number << 3 | wire_type), 1), number, content }
    }

    fn fixed64(number: u32, value: u64) -> Self {
        Self::new(number, 1, Content::Plain(value.to_le_bytes().to_vec()))
    }

    fn delimited(number: u32, content: Content) -> Self {
        Self::new(number, 2, content)
    }

    fn mutate(&mut self, random: &mut Rng, raw: Raw) {
        match &mut self.content {
            Content::Plain(plain) if plain.len() == 8 => *plain = time(random).to_le_bytes().to_vec(),
            Content::Plain(_) => *self = unknown(self.number, random),
            Content::Message(_, width) => *width = random.usize(1..=10),
            Content::Bytes(bytes, width) => match random.u8(0..4) {
                0 => *width = random.usize(1..=10),
                1 => *bytes = KEYS[random.usize(0..KEYS.len())].into(),
                2 => *bytes = TEXTS[random.usize(0..TEXTS.len())].into(),
                _ => {
                    let size = bytes.len();
                    bytes.resize(size + 16, 0);
                    let (size, size_max) = (size, bytes.len());
                    let mutated = raw(bytes, size, size_max);
                    bytes.truncate(mutated);
                }
            },
        }
    }
}

/// One of the times at which something changes for the incidents of the variants.
fn time(random: &mut Rng) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let from = Generator::default().from;
    let edges = [0, 1, from, from + 20 * SECOND, from + 30 * SECOND, from + 40 * SECOND, u64::MAX];
    let edge = edges[random.usize(0..edges.len())];
    match random.u8(0..4) {
        0 => edge.wrapping_add(1),
        1 => edge.wrapping_sub(1),
        _ => edge,
    }
}

/// An attribute, seldom in an order that no writer has.
fn attribute(number: u32, random: &mut Rng) -> Field {
    let key = delimited(&[0x0a], KEYS[random.usize(0..KEYS.len())].as_bytes());
    let text = delimited(&[0x0a], TEXTS[random.usize(0..TEXTS.len())].as_bytes());
    let value = delimited(&[0x12], &text);
    let content = match random.u8(0..8) {
        0 => [value, key].concat(),
        1 => [delimited(&[0x0a], b"other"), value, key].concat(),
        2 => [key, value, delimited(&[0x0a], b"other")].concat(),
        3 => key,
        _ => [key, value].concat(),
    };
    Field::delimited(number, Content::Bytes(content, 1))
}

/// A field of any wire type.
fn unknown(number: u32, random: &mut Rng) -> Field {
    match random.u8(0..5) {
        0 => Field::new(number, 0, Content::Plain(varint(random.u64(..) >> random.u8(0..64), random.usize(1..=10)))),
        1 => Field::fixed64(number, time(random)),
        2 => Field::delimited(number, Content::Bytes(vec![random.u8(..); random.usize(0..300)], 1)),
        3 => Field::new(number, 5, Content::Plain(vec![random.u8(..); 4])),
        _ => {
            let depth = if random.u8(0..8) == 0 { random.usize(60..104) } else { 1 };
            let (begin, end) = (varint(u64::from(number << 3 | 3), 1), varint(u64::from(number << 3 | 4), 1));
            let content = [begin.repeat(depth - 1), vec![0x08, 1], end.repeat(depth)].concat();
            Field::new(number, 3, Content::Plain(content))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewriting::written_anew;

    const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    fn batch(signal: Signal) -> Vec<u8> {
        Generator { items: 6, ..Generator::default() }.bytes(plain_signal(signal))
    }

    fn written(signal: Signal, bytes: &[u8]) -> Vec<u8> {
        let mut written = Vec::new();
        Message::read(Shape::request(plain_signal(signal)), bytes).write(&mut written);
        written
    }

    #[test]
    fn what_is_read_is_written_alike_broken_or_not() {
        for signal in SIGNALS {
            let batch = batch(signal);
            for length in (0..batch.len()).step_by(7) {
                assert_eq!(written(signal, &batch[..length]), &batch[..length]);
            }
            let padded = [&[0x8a, 0x00, 0x85, 0x80, 0x00][..], &[0x92, 0x00, 0x00, 0x10, 1], &[0x07]].concat();
            assert_eq!(written(signal, &padded), padded);
        }
    }

    /// Scenario: batches are mutated, and the fuzzer's own mutation does nothing.
    /// Guarantees: what comes out fits, differs, and can mostly be read.
    #[test]
    fn most_mutants_can_be_read() {
        for signal in SIGNALS {
            let batch = batch(signal);
            let (mut readable, mut differing) = (0, 0);
            for seed in 0..600 {
                let mut data = [&[0], &batch[..], &[0; 4096]].concat();
                let (size, size_max) = (1 + batch.len(), data.len());
                let size = mutate(signal, &mut data, size, size_max, seed, |_, size, _| size);
                assert!(size <= size_max && data[0] == 0, "the first byte is no part of the batch");
                if data[1..size] != batch {
                    differing += 1;
                    readable += usize::from(written_anew(signal, &data[1..size]).is_some());
                }
            }
            assert!(differing > 200 && readable > differing / 2, "{signal:?}: {readable} of {differing}");
        }
    }

    #[test]
    fn a_mutant_that_does_not_fit_is_left_to_the_fuzzer() {
        let batch = batch(Signal::Logs);
        for seed in 0..200 {
            let mut data = [&[0, 2], &batch[..]].concat();
            let size_max = data.len();
            let size = mutate_with_signal(&mut data, size_max, size_max, seed, |_, size, _| size - 1);
            assert!(size <= size_max);
        }
    }
}
