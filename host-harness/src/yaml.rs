//! YAML (and JSON, which is YAML) as a tree in which everything knows where it was written.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

mod wording;

/// A value, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is written there.
    pub value: Value,
    /// Where the value begins; of maps and lists in block style, where their first entry begins.
    pub place: Place,
}

/// What YAML 1.2 can say. `on` and `off` are text, `true` and `false` are not.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Whole numbers of up to 64 bits are exact.
    Number(serde_json::Number),
    /// Anything else that is neither list nor map.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written; a key may be there more than once.
    Map(Vec<(Key, Node)>),
}

/// The key of a map, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it is.
    pub place: Place,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1; 0 when unknown.
    pub line: usize,
    /// In characters, from 1; 0 when unknown.
    pub column: usize,
    /// In bytes of the file.
    pub bytes: Range<usize>,
}

/// Why a text is not YAML.
#[derive(Clone, Debug)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is plain.
    pub hint: Option<&'static str>,
    /// Where, as far as that is known.
    pub place: Place,
}

/// Reads one document. An empty one is null.
///
/// # Errors
/// The first mistake in the syntax.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        // All of them are to be reported, each with both its places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options)
        .map(Node::from)
        .map_err(|error| SyntaxError::new(&error, text))
}

/// [`Value`] as it comes from the parser, before places are looked up.
enum Raw {
    Leaf(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

// === impl Node ===

impl Node {
    /// The value under a key of a map; of several the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().rev().find(|(other, _)| other.text == key).map(|(_, node)| node)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The same as JSON; of keys that are there more than once the last counts.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect(),
        }
    }
}

impl From<Spanned<Raw>> for Node {
    fn from(spanned: Spanned<Raw>) -> Self {
        let value = match spanned.value {
            Raw::Leaf(value) => value,
            Raw::List(items) => Value::List(items.into_iter().map(Node::from).collect()),
            Raw::Map(entries) => {
                let key = |key: Spanned<String>| Key { text: key.value, place: Place::from(key.referenced) };
                Value::Map(entries.into_iter().map(|(name, node)| (key(name), Node::from(node))).collect())
            }
        };
        Self { value, place: Place::from(spanned.referenced) }
    }
}

// === impl Value ===

impl Value {
    /// A single value as text, as it is shown; nothing for lists and maps.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Null | Self::List(_) | Self::Map(_) => String::new(),
        }
    }

    /// What kind of value it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

// === impl Place ===

impl Place {
    /// Whether it says anything.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.line > 0
    }

    /// As the parser names it. It tells line and column of a mistake, but not always the byte, which is found in
    /// `text` then.
    fn in_text(location: serde_saphyr::Location, text: &str) -> Self {
        let place = Self::from(location);
        if location.span().byte_offset().is_some() || !place.is_known() {
            return place;
        }
        let start = byte_offset(text, place.line, place.column);
        Self { bytes: start..start, ..place }
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let span = location.span();
        let start = whole(span.byte_offset().unwrap_or_default());
        let end = start.saturating_add(whole(span.byte_len().unwrap_or_default()));
        Self { line: whole(location.line()), column: whole(location.column()), bytes: start..end }
    }
}

/// Where a line and a column, both from 1, are in bytes. Lines end as YAML ends them: with `\n`, `\r`, or both. What
/// is behind the end of a line is at that end.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        let Some(end) = text[start..].find(['\n', '\r']) else { break };
        start += end + if text[start + end..].starts_with("\r\n") { 2 } else { 1 };
    }
    let rest = &text[start..];
    let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
    start + rest[..end].char_indices().nth(column.saturating_sub(1)).map_or(end, |(at, _)| at)
}

// === impl SyntaxError ===

impl SyntaxError {
    fn new(error: &serde_saphyr::Error, text: &str) -> Self {
        let place = error.location().map(|location| Place::in_text(location, text)).unwrap_or_default();
        let (message, hint) = wording::of(error);
        Self { message, hint, place }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at line {}, column {}", self.message, self.place.line, self.place.column)
    }
}

// === impl Raw ===

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(value.into())))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Raw::Leaf(Value::Number(number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_place_of_keys_and_values() {
        let node = parse("a: 1\nb:\n  - x\n  - ä: y\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        let (key, list) = &entries[1];
        assert_eq!((key.place.line, key.place.column), (2, 1));
        let Value::List(items) = &list.value else { panic!("{list:?}") };
        let inner = items[1].get("ä").unwrap();
        assert_eq!((inner.place.line, inner.place.column, inner.place.bytes.clone()), (4, 8, 22..23));
    }

    #[test]
    fn on_and_off_are_text_and_whole_numbers_are_exact() {
        let node = parse("{ a: on, b: off, c: true, d: 18446744073709551615, e: -9223372036854775808, f: 1.5, g: ~ }");
        let expected = serde_json::json!({
            "a": "on", "b": "off", "c": true, "d": u64::MAX, "e": i64::MIN, "f": 1.5, "g": null
        });
        assert_eq!(node.unwrap().to_json(), expected);
    }

    #[test]
    fn reads_json() {
        let text = "{\n\t\"a\": [1, {\"b\": \"\\u00e9\"}],\n\t\"c\": \"on\"\n}\n";
        assert_eq!(parse(text).unwrap().to_json(), serde_json::json!({ "a": [1, { "b": "é" }], "c": "on" }));
    }

    #[test]
    fn keeps_keys_that_are_there_twice() {
        let node = parse("a: 1\na: 2\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        assert_eq!(entries.iter().map(|(key, _)| key.place.line).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_empty_document_is_null() {
        assert_eq!(parse("").unwrap().value, Value::Null);
        assert_eq!(parse("# nothing\n").unwrap().value, Value::Null);
    }

    #[test]
    fn a_mistake_has_a_place() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.place.line >= 2, "{error}");
        assert!(!error.message.contains("line"), "{error}");
    }

    /// The parser gives no byte for these.
    #[track_caller]
    fn check_mistake(text: &str, line: usize, column: usize, byte: usize) {
        let place = parse(text).unwrap_err().place;
        assert_eq!((place.line, place.column, place.bytes.start), (line, column, byte), "{text:?}");
    }

    #[test]
    fn a_mistake_on_a_later_line_is_at_its_line_column_and_byte() {
        check_mistake("marking: on\nsources:\n  pd: @x\n", 3, 7, 27);
        check_mistake("marking: on\r\nsources:\r\n  pd: @x\r\n", 3, 7, 29);
        check_mistake("# ä\nä: [ö, @x]\n", 2, 8, 14);
    }

    #[test]
    fn a_line_and_a_column_are_found_in_any_text() {
        let text = "a\r\nöx\rb\n";
        let found = [(1, 1), (1, 9), (2, 1), (2, 2), (2, 3), (3, 1), (4, 1), (9, 9), (0, 0)];
        let found = found.map(|(line, column)| byte_offset(text, line, column));
        assert_eq!(found, [0, 1, 3, 5, 6, 7, 9, 9, 0]);
    }
}
