//! Reads fields of a webhook's JSON; every error names the field's path.
//!
//! The functions are not inlined: each is called from dozens of places, none of which is hot.

use serde_json::Value;

use crate::config::Pointer;
use crate::limits;
use crate::text;
use crate::time::{Nanos, parse_rfc3339, parse_unix};

/// A value in a document, with the path that leads to it: `event.data.id`, `alerts[3].labels`.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    path: String,
    value: Option<&'a Value>,
}

/// Reads a body as JSON.
///
/// # Errors
/// Says where it is not JSON, or nested deeper than [`limits::WEBHOOK_DEPTH_MAX`].
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    depth(body)?;
    serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))
}

/// Refuses nesting before anything recurses over it.
fn depth(body: &[u8]) -> Result<(), String> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (offset, byte) in body.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > limits::WEBHOOK_DEPTH_MAX {
                    let most = limits::WEBHOOK_DEPTH_MAX;
                    return Err(format!("the body is nested deeper than {most} levels at byte {offset}"));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

// === impl Field ===

impl<'a> Field<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value: Some(value) }
    }

    #[inline(never)]
    pub(crate) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, value: self.value.and_then(|value| value.get(name)) }
    }

    /// What `pointer` leads to from here.
    #[inline(never)]
    pub(crate) fn at(&self, pointer: &Pointer) -> Self {
        pointer.parts().fold(self.clone(), |field, part| match field.value.and_then(Value::as_array) {
            Some(list) => {
                let value = part.parse().ok().and_then(|index: usize| list.get(index));
                Self { path: format!("{}[{}]", field.path, text::clean(part, 64)), value }
            }
            None => field.get(part),
        })
    }

    /// `None` when it is absent or null: senders use both for "nothing".
    pub(crate) fn optional(self) -> Option<Self> {
        self.value.is_some_and(|value| !value.is_null()).then_some(self)
    }

    /// Text that must be there.
    #[inline(never)]
    pub(crate) fn text(&self) -> Result<&'a str, String> {
        self.value.and_then(Value::as_str).ok_or_else(|| self.expected("a string"))
    }

    /// Text that may be absent or null.
    #[inline(never)]
    pub(crate) fn optional_text(self) -> Result<Option<&'a str>, String> {
        self.optional().map(|field| field.text()).transpose()
    }

    /// An id: text, or a number as some senders write it. Control characters are taken out: ids reach terminals.
    #[inline(never)]
    pub(crate) fn id(&self) -> Result<String, String> {
        let id = match self.value {
            Some(Value::String(text)) => text::clean(text, usize::MAX),
            Some(Value::Number(number)) if number.is_u64() || number.is_i64() => number.to_string(),
            _ => return Err(self.expected("a string")),
        };
        if id.is_empty() || id.len() > limits::ID_BYTES_MAX {
            return Err(format!("{}: expected 1 to {} bytes, found {}", self.path, limits::ID_BYTES_MAX, id.len()));
        }
        Ok(id)
    }

    /// A time that may be absent, null, or Go's zero time.
    #[inline(never)]
    pub(crate) fn time(self) -> Result<Option<Nanos>, String> {
        let Some(field) = self.optional() else { return Ok(None) };
        let text = field.text()?;
        match parse_rfc3339(text) {
            Some(time) => Ok(Some(time)),
            None if text.is_empty() || text.starts_with("0001-01-01T") => Ok(None),
            None => Err(format!("{}: `{}` is not an RFC 3339 time", field.path, text::clean(text, 64))),
        }
    }

    /// The same, or Unix time as a number or its digits; what is behind the point of a number is dropped.
    pub(crate) fn time_of_any_form(self) -> Result<Option<Nanos>, String> {
        let number = match self.value {
            Some(Value::Number(number)) => number.as_u64().or(number.as_f64().map(|number| number as u64)),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(0) => Ok(None),
            Some(number) => parse_unix(number).map(Some).ok_or_else(|| self.expected("an RFC 3339 or Unix time")),
            None => self.time(),
        }
    }

    /// Text of any length, or a number, `true` or `false` as text; `None` when it is absent, null or empty.
    #[inline(never)]
    pub(crate) fn word(&self) -> Result<Option<String>, String> {
        let word = match self.value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text::clean(text, usize::MAX),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(_) => return Err(self.expected("a string")),
        };
        Ok((!word.is_empty()).then_some(word))
    }

    /// A list that must be there.
    #[inline(never)]
    pub(crate) fn list(&self) -> Result<Vec<Self>, String> {
        let list = self.value.and_then(Value::as_array).ok_or_else(|| self.expected("a list"))?;
        let element = |(index, value)| Self { path: format!("{}[{index}]", self.path), value: Some(value) };
        Ok(list.iter().enumerate().map(element).collect())
    }

    /// The members of an object that must be there.
    #[inline(never)]
    pub(crate) fn members(&self) -> Result<Vec<(&'a String, Self)>, String> {
        let members = self.value.and_then(Value::as_object).ok_or_else(|| self.expected("an object"))?;
        Ok(members.iter().map(|(name, _)| (name, self.get(name))).collect())
    }

    /// A count that may be absent.
    pub(crate) fn count(self) -> Result<u64, String> {
        self.optional()
            .map_or(Ok(0), |field| field.value.and_then(Value::as_u64).ok_or_else(|| field.expected("a whole number")))
    }

    /// The error for a field that is not what it should be.
    #[inline(never)]
    pub(crate) fn expected(&self, what: &str) -> String {
        let path = if self.path.is_empty() { "the body" } else { &self.path };
        let found = match self.value {
            None => "nothing",
            Some(Value::Null) => "null",
            Some(Value::Bool(_)) => "a boolean",
            Some(Value::Number(_)) => "a number",
            Some(Value::String(_)) => "a string",
            Some(Value::Array(_)) => "a list",
            Some(Value::Object(_)) => "an object",
        };
        format!("{path}: expected {what}, found {found}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_path() {
        let value = parse(br#"{"alerts": [{"labels": {"a": 1}}]}"#).unwrap();
        let alerts = Field::root(&value).get("alerts").list().unwrap();
        let labels = alerts.first().unwrap().get("labels");
        assert_eq!(labels.get("a").text().unwrap_err(), "alerts[0].labels.a: expected a string, found a number");
        assert_eq!(labels.get("b").id().unwrap_err(), "alerts[0].labels.b: expected a string, found nothing");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_read() {
        let deep = [vec![b'['; 65], vec![b']'; 65]].concat();
        assert_eq!(parse(&deep).unwrap_err(), "the body is nested deeper than 64 levels at byte 64");
        assert!(parse(br#"{"a": "[[[\"[[["}"#).is_ok());
    }

    #[test]
    fn an_id_may_be_a_number_and_stays_exact() {
        let value = parse(b"[9007199254740993, \" \"]").unwrap();
        let list = Field::root(&value).list().unwrap();
        assert_eq!(list.first().unwrap().id().unwrap(), "9007199254740993");
        assert!(list.get(1).unwrap().id().unwrap_err().starts_with("[1]: expected 1 to 256 bytes"));
    }
}
