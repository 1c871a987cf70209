//! What incidents put on an item, compiled to the bytes that go on the wire.
//!
//! A combination of incidents is compiled once and then copied onto every item it concerns. Field numbers below 16 take
//! one byte, so an attribute differs between spans, log records, points and exemplars in its first byte only: all four
//! forms share their offsets.

use std::{ops::Range, sync::Arc};

use crate::key_filter::KeyFilter;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A `string_value`; may be empty.
    Text(String),
    /// A `bool_value`.
    Flag(bool),
    /// An `array_value` of strings; may be empty.
    Texts(Vec<String>),
}

/// Attributes that go onto an item together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Keys with their values, in the order in which they are added. The first key is the group's marker: an item that
    /// has it keeps the group out whole. A group without attributes adds nothing and has no marker.
    pub attributes: Vec<(String, Value)>,
}

/// The attributes of one or several groups, ready to be copied onto items.
///
/// Per item and group: where the item has the marker, the group adds nothing; otherwise each attribute is added whose
/// key the item lacks.
#[derive(Clone, Debug, Default)]
pub struct Annotation {
    attributes: Vec<(String, Value)>,
    /// Most keys on an item are told apart from ours by this alone.
    filter: KeyFilter,
    groups: Vec<CompiledGroup>,
    /// Where each attribute lies in each of `forms`.
    stretches: Vec<Range<usize>>,
    /// All attributes after one another, once for each [`AttributesField`]. Shared, so that who keeps one can tell at a
    /// glance whether another is the same.
    forms: [Arc<[u8]>; AttributesField::ALL.len()],
    /// The same with the marker of each group only.
    markers: Option<Box<Annotation>>,
}

/// The field in which a kind of item keeps its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributesField {
    /// Of exponential histogram points.
    One,
    /// Of log records.
    Six,
    /// Of number points, summary points and exemplars.
    Seven,
    /// Of spans and histogram points.
    Nine,
}

/// Which of an annotation's keys an item has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    words: Vec<u64>,
    any: bool,
}

/// What an annotation has for one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addition {
    /// Attributes to add.
    Some,
    /// The item has the marker of every group.
    AlreadyMarked,
    /// No group is missing a key, though not all are kept out by their markers.
    NothingAbsent,
}

#[derive(Clone, Debug)]
struct CompiledGroup {
    /// Index of a key; it may be an attribute of an earlier group.
    marker: usize,
    /// Indices of the keys that this group adds.
    attributes: Range<usize>,
}

// Protobuf tags: field number and wire type of the messages in opentelemetry/proto/common/v1.
const KEY: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const STRING_VALUE: u8 = 1 << 3 | 2;
const BOOL_VALUE: u8 = 2 << 3;
const ARRAY_VALUE: u8 = 5 << 3 | 2;
const ARRAY_VALUES: u8 = 1 << 3 | 2;

// === impl Annotation ===

impl Annotation {
    /// Compiles `groups` for every kind of item.
    ///
    /// A key that an earlier group, or the same group before, has is dropped: no item ever gets a key twice. It still
    /// is its group's marker if it came first there.
    #[must_use]
    pub fn compile(groups: &[Group]) -> Self {
        let marker = |group: &Group| Group { attributes: group.attributes.iter().take(1).cloned().collect() };
        let markers: Vec<Group> = groups.iter().map(marker).collect();
        Self { markers: Some(Box::new(Self::of(&markers))), ..Self::of(groups) }
    }

    /// The marker of each group alone: what exemplars get, of which a backend keeps few.
    #[inline]
    pub(crate) fn markers(&self) -> &Self {
        self.markers.as_deref().unwrap_or(self)
    }

    fn of(groups: &[Group]) -> Self {
        let mut annotation = Self::default();
        let mut forms: [Vec<u8>; AttributesField::ALL.len()] = Default::default();
        for group in groups {
            annotation.push_group(group, &mut forms);
        }
        annotation.forms = forms.map(Arc::from);
        annotation
    }

    fn push_group(&mut self, group: &Group, forms: &mut [Vec<u8>]) {
        let Some((marker, _)) = group.attributes.first() else { return };
        let first = self.attributes.len();
        for (key, value) in &group.attributes {
            if self.find(key.as_bytes()).is_none() {
                self.push_attribute(key, value, forms);
            }
        }
        if let Some(marker) = self.find(marker.as_bytes()) {
            self.groups.push(CompiledGroup { marker, attributes: first..self.attributes.len() });
        }
    }

    fn push_attribute(&mut self, key: &str, value: &Value, forms: &mut [Vec<u8>]) {
        let key_value = encode_key_value(key, value);
        for (field, form) in AttributesField::ALL.into_iter().zip(forms) {
            let start = form.len();
            push_delimited(form, field.tag(), &key_value);
            if field == AttributesField::One {
                self.stretches.push(start..form.len());
            }
        }
        self.filter = self.filter.with(key.as_bytes());
        self.attributes.push((key.to_owned(), value.clone()));
    }

    /// Tells keys from ours.
    #[inline]
    pub(crate) fn filter(&self) -> KeyFilter {
        self.filter
    }

    /// The index of a key of ours.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        if !self.filter.may_be(key) {
            return None;
        }
        self.attributes.iter().position(|(ours, _)| ours.as_bytes() == key)
    }

    /// Whether an item with the keys `present` has the marker of every group, of which there is one at least.
    #[inline]
    pub(crate) fn is_kept_out(&self, present: &Present) -> bool {
        !self.groups.is_empty() && self.groups.iter().all(|group| present.has(group.marker))
    }

    /// All attributes in the form for `field`.
    #[inline]
    pub(crate) fn whole(&self, field: AttributesField) -> &Arc<[u8]> {
        field.of(&self.forms)
    }

    /// All attributes as they were given, in order.
    pub(crate) fn attributes(&self) -> &[(String, Value)] {
        &self.attributes
    }

    /// Passes to `add`, in order, the index of each attribute that an item with the keys `present` gets.
    pub(crate) fn select(&self, present: &Present, mut add: impl FnMut(usize)) -> Addition {
        let mut added = false;
        let mut kept_out = 0;
        for group in &self.groups {
            if present.has(group.marker) {
                kept_out += 1;
                continue;
            }
            for index in group.attributes.clone().filter(|index| !present.has(*index)) {
                add(index);
                added = true;
            }
        }
        if added {
            Addition::Some
        } else if kept_out > 0 && kept_out == self.groups.len() {
            Addition::AlreadyMarked
        } else {
            Addition::NothingAbsent
        }
    }

    /// The attribute with that index in the form for `field`.
    pub(crate) fn one(&self, field: AttributesField, index: usize) -> &[u8] {
        let stretch = self.stretches.get(index).cloned().unwrap_or_default();
        self.whole(field).get(stretch).unwrap_or_default()
    }
}

// === impl AttributesField ===

impl AttributesField {
    /// All, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::One, Self::Six, Self::Seven, Self::Nine];

    /// The field number.
    #[inline]
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Six => 6,
            Self::Seven => 7,
            Self::Nine => 9,
        }
    }

    /// Its element of what there is one of for each field.
    #[inline]
    pub(crate) const fn of<T>(self, all: &[T; 4]) -> &T {
        let [one, six, seven, nine] = all;
        match self {
            Self::One => one,
            Self::Six => six,
            Self::Seven => seven,
            Self::Nine => nine,
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) const fn of_mut<T>(self, all: &mut [T; 4]) -> &mut T {
        let [one, six, seven, nine] = all;
        match self {
            Self::One => one,
            Self::Six => six,
            Self::Seven => seven,
            Self::Nine => nine,
        }
    }

    /// The tag of an attribute there: one byte.
    #[inline]
    pub(crate) const fn tag(self) -> u8 {
        (self.number() as u8) << 3 | 2
    }
}

// === impl Present ===

impl Present {
    /// Forgets all keys.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.any {
            self.words.fill(0);
            self.any = false;
        }
    }

    /// Whether no key of ours is on the item: the common case.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.any
    }

    /// Notes the key with that index.
    #[cold]
    pub(crate) fn insert(&mut self, index: usize) {
        let word = index / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (index % 64);
        }
        self.any = true;
    }

    fn has(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word & 1 << (index % 64) != 0)
    }
}

fn encode_key_value(key: &str, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Proto3 leaves out an empty string; a member of a `oneof` is always written.
    if !key.is_empty() {
        push_delimited(&mut bytes, KEY, key.as_bytes());
    }
    push_delimited(&mut bytes, VALUE, &encode_value(value));
    bytes
}

fn encode_value(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    match value {
        Value::Text(text) => push_delimited(&mut bytes, STRING_VALUE, text.as_bytes()),
        Value::Flag(flag) => bytes.extend([BOOL_VALUE, u8::from(*flag)]),
        Value::Texts(texts) => {
            let mut array = Vec::new();
            for text in texts {
                let mut element = Vec::new();
                push_delimited(&mut element, STRING_VALUE, text.as_bytes());
                push_delimited(&mut array, ARRAY_VALUES, &element);
            }
            push_delimited(&mut bytes, ARRAY_VALUE, &array);
        }
    }
    bytes
}

fn push_delimited(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    crate::otlp::push_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &str, value: &str) -> (String, Value) {
        (key.to_owned(), Value::Text(value.to_owned()))
    }

    fn selected(annotation: &Annotation, present: &[&str]) -> (Addition, Vec<u8>) {
        let mut keys = Present::default();
        for key in present {
            keys.insert(annotation.find(key.as_bytes()).unwrap());
        }
        let mut bytes = Vec::new();
        let addition =
            annotation.select(&keys, |index| bytes.extend_from_slice(annotation.one(AttributesField::Nine, index)));
        (addition, bytes)
    }

    #[test]
    fn a_text_becomes_a_key_value_in_the_field_of_its_item() {
        let annotation = Annotation::compile(&[Group { attributes: vec![text("a", "xy")] }]);
        let forms = AttributesField::ALL.map(|field| annotation.whole(field).to_vec());
        for (form, tag) in forms.iter().zip([0x0a, 0x32, 0x3a, 0x4a]) {
            assert_eq!(form, &[tag, 9, 0x0a, 1, b'a', 0x12, 4, 0x0a, 2, b'x', b'y']);
        }
    }

    #[test]
    fn false_empty_texts_and_empty_arrays_are_written_out() {
        assert_eq!(encode_value(&Value::Flag(false)), [0x10, 0]);
        assert_eq!(encode_value(&Value::Text(String::new())), [0x0a, 0]);
        assert_eq!(encode_value(&Value::Texts(Vec::new())), [0x2a, 0]);
        assert_eq!(encode_value(&Value::Texts(vec![String::new()])), [0x2a, 4, 0x0a, 2, 0x0a, 0]);
    }

    #[test]
    fn a_key_that_an_earlier_group_has_is_dropped_from_later_ones() {
        let alone = Annotation::compile(&[Group { attributes: vec![text("m", "1"), text("x", "1")] }]);
        let both = Annotation::compile(&[
            Group { attributes: vec![text("m", "1"), text("x", "1"), text("x", "2")] },
            Group { attributes: vec![text("x", "3"), text("m", "4")] },
        ]);
        assert_eq!(alone.whole(AttributesField::Six), both.whole(AttributesField::Six));
    }

    #[test]
    fn a_marker_keeps_its_own_group_out_and_no_other() {
        let annotation = Annotation::compile(&[
            Group { attributes: vec![text("m", "1"), text("x", "1")] },
            Group { attributes: vec![text("n", "1"), text("y", "1")] },
        ]);
        let second = Annotation::compile(&[Group { attributes: vec![text("n", "1"), text("y", "1")] }]);
        assert_eq!(selected(&annotation, &["m"]), (Addition::Some, second.whole(AttributesField::Nine).to_vec()));
        assert_eq!(selected(&annotation, &["m", "n"]), (Addition::AlreadyMarked, Vec::new()));
    }

    #[test]
    fn a_marker_that_an_earlier_group_adds_still_keeps_its_group_out() {
        let annotation = Annotation::compile(&[
            Group { attributes: vec![text("m", "1"), text("x", "1")] },
            Group { attributes: vec![text("x", "2"), text("y", "2")] },
        ]);
        assert_eq!(selected(&annotation, &["m", "x"]), (Addition::AlreadyMarked, Vec::new()));
    }

    #[test]
    fn without_groups_nothing_is_absent() {
        let annotation = Annotation::compile(&[Group { attributes: Vec::new() }]);
        assert_eq!(selected(&annotation, &[]), (Addition::NothingAbsent, Vec::new()));
    }

    #[test]
    fn more_keys_than_a_word_has_bits_are_told_apart() {
        let keys: Vec<String> = (0..200).map(|number| format!("key.{number}")).collect();
        let attributes = keys.iter().map(|key| text(key, "v")).collect();
        let annotation = Annotation::compile(&[Group { attributes }]);
        let all_but_last_and_marker: Vec<&str> = keys[1..199].iter().map(String::as_str).collect();
        let (addition, bytes) = selected(&annotation, &all_but_last_and_marker);
        let two = Annotation::compile(&[Group { attributes: vec![text("key.0", "v"), text("key.199", "v")] }]);
        assert_eq!((addition, bytes), (Addition::Some, two.whole(AttributesField::Nine).to_vec()));
    }

    #[test]
    fn keys_of_63_bytes_and_more_share_a_bit_and_are_still_compared() {
        let long = "k".repeat(100);
        let annotation = Annotation::compile(&[Group { attributes: vec![text(&long, "v")] }]);
        assert_eq!(annotation.find(long.as_bytes()), Some(0));
        assert_eq!(annotation.find("k".repeat(63).as_bytes()), None);
    }
}
