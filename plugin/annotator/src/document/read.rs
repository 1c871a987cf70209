//! What can be read from a document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Place;

/// Something that stands in a document.
pub trait Read: Sized {
    /// `None` when something else stands there; what is wrong is noted then.
    fn read(at: &Place<'_>) -> Option<Self>;
}

/// Makes structs readable whose settings all have defaults, from objects of which no key is unknown.
#[macro_export]
macro_rules! settings {
    ($($name:ident { $($key:literal => $field:ident),+ $(,)? })+) => {$(
        impl $crate::document::Read for $name {
            fn read(at: &$crate::document::Place<'_>) -> Option<Self> {
                let object = at.object(&[$($key),+])?;
                let mut settings = Self::default();
                $(object.set($key, &mut settings.$field);)+
                Some(settings)
            }
        }
    )+};
}

/// Makes enums readable from words.
#[macro_export]
macro_rules! choices {
    ($($name:ident { $($word:literal => $case:ident),+ $(,)? })+) => {$(
        impl $crate::document::Read for $name {
            fn read(at: &$crate::document::Place<'_>) -> Option<Self> {
                at.choice(&[$(($word, Self::$case)),+])
            }
        }
    )+};
}

// === impl Read ===

impl Read for bool {
    fn read(at: &Place<'_>) -> Option<Self> {
        let value = at.value.as_bool();
        if value.is_none() {
            at.wrong("`true` or `false`");
        }
        value
    }
}

/// At most 32 bits, so that all builds refuse the same numbers.
impl Read for usize {
    fn read(at: &Place<'_>) -> Option<Self> {
        let Some(number) = at.value.as_u64() else {
            at.wrong("a whole number");
            return None;
        };
        let Ok(number) = u32::try_from(number) else {
            at.wrong(&format!("at most {}", u32::MAX));
            return None;
        };
        Self::try_from(number).ok()
    }
}

impl Read for String {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.text().map(str::to_owned)
    }
}

/// `null` is nothing: a key without a value in YAML.
impl<T: Read> Read for Option<T> {
    fn read(at: &Place<'_>) -> Option<Self> {
        if at.value.is_null() { Some(None) } else { T::read(at).map(Some) }
    }
}

/// Elements that cannot be read are there as stand-ins: those behind them keep their places.
impl<T: Read + Default> Read for Vec<T> {
    fn read(at: &Place<'_>) -> Option<Self> {
        let Some(list) = at.value.as_array() else {
            at.wrong("a list");
            return None;
        };
        let element =
            |(index, value): (usize, &Value)| T::read(&at.below(&index.to_string(), value)).unwrap_or_default();
        Some(list.iter().enumerate().map(element).collect())
    }
}

impl<T: Read + Default> Read for BTreeMap<String, T> {
    fn read(at: &Place<'_>) -> Option<Self> {
        let Some(members) = at.value.as_object() else {
            at.wrong("an object");
            return None;
        };
        let mut map = Self::new();
        for (name, value) in members {
            map.insert(name.clone(), T::read(&at.below(name, value)).unwrap_or_default());
        }
        Some(map)
    }
}
