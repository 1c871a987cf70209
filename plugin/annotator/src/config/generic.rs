//! Where the bodies of a `generic` source hold what an incident needs, and how they are signed.

use serde_json::Value;

use crate::document::{Place, Read, choices, settings};
use crate::incident::Severity;

/// Where the bodies of a source hold what is said of an incident, and what the sender's words mean.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// At most one for each property; what has none is not known. `id` is required.
    pointers: Vec<(Property, Pointer)>,
    /// What the sender's words for the state mean. Required with `state`.
    pub states: Words<StateWord>,
    /// What the sender's words for the severity mean; words that are not here are read as those of any sender.
    pub severities: Words<Severity>,
}

/// What a body can say of an incident, and what a pointer can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The list of a body that speaks of several incidents, `""` where the body is the list. The other pointers, but for
    /// `delivery`, begin at each element of it.
    Events,
    /// The incident's id, text or a whole number: the same when it opens and when it ends.
    Id,
    /// How far the incident has come. Without it every event opens its incident, and only the lease ends it.
    State,
    /// What has happened.
    Title,
    /// How bad it is.
    Severity,
    /// A link to it; one that is not `http` or `https` is left out.
    Url,
    /// How people call it.
    Display,
    /// When the event happened: RFC 3339, or Unix time. Where it is missing, what ends an incident happened when it was
    /// received, and what does not when the incident started.
    Time,
    /// When the incident started, written as `time` is.
    Started,
    /// The service, or a list of services: the `id` or `name` of rules under `services`, or else `service.name` itself.
    Service,
    /// The environment; it becomes the label `deployment.environment.name`.
    Environment,
    /// An object; its texts, numbers, `true` and `false` become labels, what else is in it does not.
    Labels,
    /// The sender's id of the delivery, in the body even where there are `events`: what has a known one is a duplicate.
    Delivery,
    /// Whether it is a test: recorded, never marks.
    Test,
}

/// A JSON Pointer (RFC 6901), such as `/alert/labels/0`; empty for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    /// Names of members and indices of elements, unescaped.
    parts: Vec<String>,
}

/// What words of a sender mean; compared without the case of ASCII letters.
#[derive(Clone, Debug)]
pub struct Words<T> {
    words: Vec<(String, T)>,
}

/// What a word for the state means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateWord {
    /// Open, nobody has answered.
    Triggered,
    /// Open, somebody works on it.
    Acknowledged,
    /// Closed.
    Resolved,
    /// The event says nothing: it is answered with 200 and counted.
    #[default]
    Ignored,
}

/// Where and how the signature of a body is written: HMAC-SHA256, keyed with a secret's text.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The header, `X-Signature` by default. May have several signatures, separated by commas.
    pub header: String,
    /// What stands before the signature, for example `sha256=`.
    pub prefix: String,
    /// How its bytes are written.
    pub encoding: Encoding,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits a byte, in either case.
    #[default]
    Hex,
    /// RFC 4648, section 4 or 5, with padding or without.
    Base64,
}

/// The keys of pointers under `fields`.
const PROPERTIES: [(&str, Property); 14] = [
    ("events", Property::Events),
    ("id", Property::Id),
    ("state", Property::State),
    ("title", Property::Title),
    ("severity", Property::Severity),
    ("url", Property::Url),
    ("display", Property::Display),
    ("time", Property::Time),
    ("started", Property::Started),
    ("service", Property::Service),
    ("environment", Property::Environment),
    ("labels", Property::Labels),
    ("delivery", Property::Delivery),
    ("test", Property::Test),
];

settings! {
    Signature { "header" => header, "prefix" => prefix, "encoding" => encoding }
}

choices! {
    StateWord {
        "triggered" => Triggered,
        "acknowledged" => Acknowledged,
        "resolved" => Resolved,
        "ignored" => Ignored,
    }
    Encoding { "hex" => Hex, "base64" => Base64 }
}

// === impl Fields ===

impl Fields {
    /// Where a body holds `property`, if it does.
    #[must_use]
    pub fn pointer(&self, property: Property) -> Option<&Pointer> {
        self.pointers.iter().find(|(pointed, _)| *pointed == property).map(|(_, pointer)| pointer)
    }
}

impl Read for Fields {
    fn read(at: &Place<'_>) -> Option<Self> {
        let mut keys = PROPERTIES.map(|(key, _)| key).to_vec();
        keys.extend(["states", "severities"]);
        let object = at.object(&keys)?;
        let mut fields = Self::default();
        for (key, property) in PROPERTIES {
            if let Some(pointer) = object.get(key) {
                fields.pointers.push((property, pointer));
            }
        }
        object.set("states", &mut fields.states);
        object.set("severities", &mut fields.severities);
        Some(fields)
    }
}

// === impl Pointer ===

impl Pointer {
    /// The pointer that is written so; `None` when that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<String> = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '/' {
                parts.push(String::new());
                continue;
            }
            let character = match character {
                '~' => match characters.next()? {
                    '0' => '~',
                    '1' => '/',
                    _ => return None,
                },
                other => other,
            };
            parts.last_mut()?.push(character);
        }
        Some(Self { parts })
    }

    /// Names of members and indices of elements, from the outside in.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(String::as_str)
    }
}

impl Read for Pointer {
    fn read(at: &Place<'_>) -> Option<Self> {
        let pointer = at.value().as_str().and_then(Self::parse);
        if pointer.is_none() {
            at.wrong("a JSON Pointer such as `/alert/id`");
        }
        pointer
    }
}

// === impl Words ===

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self { words: Vec::new() }
    }
}

impl<T: Copy> Words<T> {
    /// What `word` means.
    #[must_use]
    pub fn meaning(&self, word: &str) -> Option<T> {
        self.words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
    }

    /// Whether no word is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Words whose meaning cannot be read are left out; each is a fault.
impl<T: Read> Read for Words<T> {
    #[inline(never)]
    fn read(at: &Place<'_>) -> Option<Self> {
        let Value::Object(members) = at.value() else {
            at.wrong("an object");
            return None;
        };
        let mut words = Vec::new();
        for (word, meaning) in members {
            if let Some(meaning) = T::read(&at.below(word, meaning)) {
                words.push((word.clone(), meaning));
            }
        }
        Some(Self { words })
    }
}

// === impl Signature ===

impl Default for Signature {
    fn default() -> Self {
        Self { header: crate::names::SIGNATURE.to_owned(), prefix: String::new(), encoding: Encoding::Hex }
    }
}

#[cfg(test)]
mod tests {
    use super::Pointer;
    use crate::config::Config;

    /// The pointers of RFC 6901, section 5, and what is none.
    #[test]
    fn a_pointer_is_read_part_by_part() {
        let parts = |text: &str| Pointer::parse(text).map(|pointer| pointer.parts);
        for (text, expected) in [
            ("", vec![]),
            ("/foo/0", vec!["foo", "0"]),
            ("/", vec![""]),
            ("/a~1b", vec!["a/b"]),
            ("/m~0n", vec!["m~n"]),
            ("/~01", vec!["~1"]),
        ] {
            assert_eq!(parts(text).unwrap(), expected, "{text}");
        }
        for text in ["foo", "/a~", "/a~2", " /a"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    fn faults(fields: &str) -> Vec<String> {
        let json = format!(r#"{{"sources": {{"g": {{"kind": "generic", "tokens": ["t"], "fields": {fields}}}}}}}"#);
        let faults = Config::check(&json).unwrap_err();
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect()
    }

    #[test]
    fn what_is_no_pointer_and_what_is_no_state_is_named_at_once() {
        assert_eq!(
            faults(r#"{"id": "alert.id", "state": "/a~b", "states": {"up": "open", "down": "resolved"}, "titel": ""}"#),
            [
                "/sources/g/fields/titel unknown field `titel`, expected one of `events`, `id`, `state`, `title`, `severity`, \
                 `url`, `display`, `time`, `started`, `service`, `environment`, `labels`, `delivery`, `test`, `states`, \
                 `severities`",
                "/sources/g/fields/id expected a JSON Pointer such as `/alert/id`, found `alert.id`",
                "/sources/g/fields/state expected a JSON Pointer such as `/alert/id`, found `/a~b`",
                "/sources/g/fields/states/up unknown variant `open`, expected one of `triggered`, `acknowledged`, `resolved`, \
                 `ignored`",
            ]
        );
    }
}
