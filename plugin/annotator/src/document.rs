//! Reads JSON that people write, and notes every fault of it at once, each with its place.
//!
//! Reading never stops: what cannot be read leaves a stand-in, its default, and a fault. A finding on such a place later
//! on is about the stand-in and not about the document; [`Faults::has_at_or_above`] tells.
//!
//! Functions that each setting calls are not inlined: a configuration is read once, and the plugin would be 40 kB larger.

mod read;

use std::cell::RefCell;

use serde_json::{Map, Value};

pub use crate::{choices, settings};
pub use read::Read;

use crate::limits;
use crate::text;

/// One fault, or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON Pointer (RFC 6901) into the document, empty for the whole.
    pub pointer: String,
    /// What is wrong, naming the culprit.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The faults of one document, at most [`limits::CONFIG_ERRORS_MAX`].
#[derive(Debug, Default)]
pub struct Faults {
    noted: RefCell<Vec<Fault>>,
}

/// A value of the document and where it stands.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    value: &'a Value,
    pointer: String,
    faults: &'a Faults,
}

/// A place that holds an object, and whose keys are all known.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    place: Place<'a>,
    members: &'a Map<String, Value>,
}

/// The place of `part` below `pointer`.
#[must_use]
pub fn join(pointer: &str, part: &str) -> String {
    format!("{pointer}/{}", part.replace('~', "~0").replace('/', "~1"))
}

/// The name most like `given`, if any is like it at all.
pub fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

/// "expected `a`", "expected `a` or `b`", "expected one of `a`, `b`, `c`".
fn expected(names: &[&str]) -> String {
    match names {
        [only] => format!("expected `{only}`"),
        [first, second] => format!("expected `{first}` or `{second}`"),
        all => format!("expected one of `{}`", all.join("`, `")),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("`{value}`"),
        Value::String(value) => format!("`{}`", text::clean(value, 64)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

// === impl Fault ===

impl Fault {
    /// A fault of the whole document.
    #[must_use]
    pub fn whole(message: String) -> Self {
        Self { pointer: String::new(), message, hint: None }
    }
}

// === impl Faults ===

impl Faults {
    /// Adds one; beyond the limit it is dropped.
    pub fn note(&self, fault: Fault) {
        let mut noted = self.noted.borrow_mut();
        if noted.len() < limits::CONFIG_ERRORS_MAX {
            noted.push(fault);
        }
    }

    /// Whether what stands at `pointer`, or something that it is part of, is a fault.
    #[must_use]
    pub fn has_at_or_above(&self, pointer: &str) -> bool {
        self.noted.borrow().iter().any(|fault| is_at_or_below(pointer, &fault.pointer))
    }

    /// Whether what stands at `pointer`, or any part of it, is a fault.
    #[must_use]
    pub fn has_at_or_below(&self, pointer: &str) -> bool {
        self.noted.borrow().iter().any(|fault| is_at_or_below(&fault.pointer, pointer))
    }

    /// In the order of reading.
    #[must_use]
    pub fn into_inner(self) -> Vec<Fault> {
        self.noted.into_inner()
    }
}

fn is_at_or_below(pointer: &str, other: &str) -> bool {
    pointer.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Place ===

impl<'a> Place<'a> {
    /// The whole document.
    #[must_use]
    pub fn root(value: &'a Value, faults: &'a Faults) -> Self {
        Self { value, pointer: String::new(), faults }
    }

    /// What stands here.
    #[must_use]
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The place of a part of what stands here.
    #[must_use]
    pub fn member(&self, key: &str, value: &'a Value) -> Self {
        self.below(key, value)
    }

    #[inline(never)]
    pub(crate) fn below(&self, part: &str, value: &'a Value) -> Self {
        Self { value, pointer: join(&self.pointer, part), faults: self.faults }
    }

    #[inline(never)]
    fn fault(&self, message: String, hint: Option<String>) {
        // A fault is printed and logged: none of what stands where secrets do is quoted.
        let is_below = |name: &str| self.pointer.split('/').any(|part| part == name);
        let message = if is_below("secrets") || is_below("tokens") {
            "expected a list of strings".to_owned()
        } else if is_below("headers") {
            "expected a string".to_owned()
        } else {
            message
        };
        self.faults.note(Fault { pointer: self.pointer.clone(), message, hint });
    }

    /// Notes that something else stands here than `expected`, such as "a string".
    #[inline(never)]
    pub fn wrong(&self, expected: &str) {
        self.fault(format!("expected {expected}, found {}", describe(self.value)), None);
    }

    /// The text that stands here.
    #[inline(never)]
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong("a string");
        }
        text
    }

    /// A text that `read` makes something of; its errors are whole sentences.
    pub fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        read(self.text()?).map_err(|message| self.fault(message, None)).ok()
    }

    /// One of several words.
    #[must_use]
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let given = self.value.as_str();
        let chosen = choices.iter().find(|(name, _)| Some(*name) == given);
        if chosen.is_none() {
            self.no_choice(&choices.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
        chosen.map(|(_, choice)| *choice)
    }

    #[inline(never)]
    fn no_choice(&self, names: &[&str]) {
        let Some(given) = self.value.as_str() else {
            self.fault(format!("{}, found {}", expected(names), describe(self.value)), None);
            return;
        };
        let hint = nearest(given, names.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        self.fault(format!("unknown variant `{}`, {}", text::clean(given, 64), expected(names)), hint);
    }

    /// An object with no other keys than `keys`.
    #[inline(never)]
    #[must_use]
    pub fn object(&self, keys: &[&str]) -> Option<Object<'a>> {
        let Some(members) = self.value.as_object() else {
            self.wrong("an object");
            return None;
        };
        for (key, value) in members {
            if !keys.contains(&key.as_str()) {
                let hint = nearest(key, keys.iter().copied()).map(|name| format!("did you mean `{name}`?"));
                let message = format!("unknown field `{}`, {}", text::clean(key, 64), expected(keys));
                self.below(key, value).fault(message, hint);
            }
        }
        Some(Object { place: self.clone(), members })
    }
}

// === impl Object ===

impl<'a> Object<'a> {
    #[inline(never)]
    fn member(&self, key: &str) -> Option<Place<'a>> {
        Some(self.place.below(key, self.members.get(key)?))
    }

    /// What stands under `key`; nothing when it is absent or cannot be read.
    #[must_use]
    pub fn get<T: Read>(&self, key: &str) -> Option<T> {
        T::read(&self.member(key)?)
    }

    /// The same for a key that must be there.
    #[must_use]
    pub fn required<T: Read>(&self, key: &str) -> Option<T> {
        if !self.members.contains_key(key) {
            self.place.fault(format!("missing field `{key}`"), None);
        }
        self.get(key)
    }

    /// Replaces a default by what stands under `key`, if anything does.
    pub fn set<T: Read>(&self, key: &str, setting: &mut T) {
        if let Some(value) = self.get(key) {
            *setting = value;
        }
    }
}
