//! Finds all faults of a configuration at once.
//!
//! Serde stops at its first error. So the document is read, the culprit taken out, and the rest read again, until it
//! reads; each culprit is one fault. What serde cannot know (a secret without a source that signs, a rule that leads
//! nowhere) is checked on the result.

mod meaning;
mod pointer;
mod shape;

use serde_json::Value;
use serde_path_to_error::Segment;

use super::Config;
use crate::limits;
use pointer::Pointer;

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

/// List elements that were taken out as culprits: the list, and the element's place in the document.
type Removed = Vec<(Pointer, usize)>;

// === impl Config ===

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// All faults, in the order of the document's reading, at most [`limits::CONFIG_ERRORS_MAX`].
    pub fn check(json: &str) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        if json.len() > limits::CONFIG_BYTES_MAX {
            return Err(vec![Fault::whole(format!(
                "the configuration has {} bytes, at most {} are read",
                json.len(),
                limits::CONFIG_BYTES_MAX
            ))]);
        }
        let mut document: Value = serde_json::from_str(json)
            .map_err(|error| vec![Fault::whole(format!("the configuration is not JSON: {error}"))])?;
        if document.is_null() {
            document = Value::Object(serde_json::Map::new());
        }
        let mut faults = Vec::new();
        shape::check(&mut document, &mut faults);
        // What such a place lacks, now that an empty object stands there, is no fault of its own.
        let misshapen: Vec<String> = faults.iter().map(|fault: &Fault| fault.pointer.clone()).collect();
        let is_misshapen = |fault: &Fault| misshapen.contains(&fault.pointer);
        let mut removed = Removed::new();
        let config = loop {
            match serde_path_to_error::deserialize::<_, Self>(&document) {
                Ok(config) => break config,
                Err(error) => match take_out_culprit(&mut document, &mut removed, &error) {
                    Some(fault) if is_misshapen(&fault) || follows_from(&fault, &faults) => {}
                    Some(fault) if faults.len() < limits::CONFIG_ERRORS_MAX => faults.push(fault),
                    Some(_) => return Err(faults),
                    None => {
                        faults.push(Fault::whole(error.inner().to_string()));
                        return Err(faults);
                    }
                },
            }
        };
        // What was taken out must not be missed a second time.
        let taken_out = |at: &[&str]| {
            let place = restore(&Pointer::of(at), &removed).to_string();
            faults.iter().any(|fault| {
                fault.pointer.strip_prefix(&place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        let meaning = meaning::check(&config, &taken_out);
        let errors = meaning.errors.into_iter().map(|fault| fault.restored(&removed));
        faults.extend(errors.filter(|fault| !is_misshapen(fault)));
        if faults.is_empty() { Ok((config, meaning.warnings)) } else { Err(faults) }
    }
}

/// Removes what the error is about, so that the rest can be read. `None` when there is nothing to remove.
fn take_out_culprit(
    document: &mut Value,
    removed: &mut Removed,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Option<Fault> {
    let message = error.inner().to_string();
    let mut pointer = Pointer::default();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.push(index.to_string()),
            Segment::Map { key } => pointer.push(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    // Of an unknown key serde names the key in the message, and sometimes only its parent in the path.
    if let Some(key) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
        && pointer.last() != Some(key)
        && document.pointer(&pointer.to_string()).is_some_and(|parent| parent.get(key).is_some())
    {
        pointer.push(key.to_owned());
    }
    // A key that is missing cannot be taken out; what misses it can.
    let place = pointer.clone();
    let last = pointer.pop()?;
    let shown = restore(&place, removed).to_string();
    match document.pointer_mut(&pointer.to_string())? {
        Value::Object(map) => {
            map.remove(&last)?;
        }
        Value::Array(list) => {
            let index: usize = last.parse().ok()?;
            if index >= list.len() {
                return None;
            }
            list.remove(index);
            let original = original_index(&pointer, index, removed);
            removed.push((pointer, original));
        }
        _ => return None,
    }
    let hint = did_you_mean(&message);
    // Serde quotes what it found, and a fault is printed and logged.
    let secret = place.parts().iter().any(|part| part == "secrets" || part == "tokens");
    let message = if secret { "expected a list of strings".to_owned() } else { message };
    Some(Fault { pointer: shown, message, hint })
}

/// Whether the fault is only that a culprit was taken out before: a required key is then missing.
fn follows_from(fault: &Fault, before: &[Fault]) -> bool {
    let missing = fault.message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    missing.is_some_and(|key| {
        let mut place = Pointer::parse(&fault.pointer);
        place.push(key.to_owned());
        let place = place.to_string();
        before.iter().any(|other| other.pointer.starts_with(&place))
    })
}

/// Where element `index` of the shortened list stood in the document.
fn original_index(list: &Pointer, index: usize, removed: &Removed) -> usize {
    let mut taken: Vec<usize> = removed.iter().filter(|(other, _)| other == list).map(|(_, at)| *at).collect();
    taken.sort_unstable();
    taken.into_iter().fold(index, |index, at| if at <= index { index + 1 } else { index })
}

/// The pointer into the document as it was before culprits were taken out.
fn restore(pointer: &Pointer, removed: &Removed) -> Pointer {
    let mut current = Pointer::default();
    let mut restored = Pointer::default();
    for part in pointer.parts() {
        let shown = match part.parse::<usize>() {
            Ok(index) if removed.iter().any(|(list, _)| *list == current) => {
                original_index(&current, index, removed).to_string()
            }
            _ => part.clone(),
        };
        current.push(part.clone());
        restored.push(shown);
    }
    restored
}

/// For `unknown field|variant `x`, expected one of `a`, `b``: the nearest of the expected names.
fn did_you_mean(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let given = quoted.next()?;
    nearest(given, quoted).map(|name| format!("did you mean `{name}`?"))
}

/// The name most like `given`, if any is like it at all.
pub(crate) fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

// === impl Fault ===

impl Fault {
    pub(crate) fn whole(message: String) -> Self {
        Self { pointer: String::new(), message, hint: None }
    }

    fn restored(self, removed: &Removed) -> Self {
        let pointer = restore(&Pointer::parse(&self.pointer), removed).to_string();
        Self { pointer, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Vec<(String, String)> {
        Config::check(json).unwrap_err().into_iter().map(|fault| (fault.pointer, fault.message)).collect()
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let faults = faults(
            r#"{"prefx": "x.", "window": {"grace": "soon"}, "unmatched": "some",
                "services": [{"id": "P1", "to": [{"service": 7}]}, {"naem": "x"}, {"id": "P3", "tto": 1}],
                "sources": {"pd": {"kind": "pagerdooty"}}}"#,
        );
        let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        for expected in
            ["/prefx", "/window/grace", "/unmatched", "/services/0/to/0/service", "/services/1/naem", "/services/2/tto"]
        {
            assert!(pointers.contains(&expected), "{expected} is not among {faults:?}");
        }
        assert!(pointers.contains(&"/sources/pd/kind"), "{faults:?}");
    }

    #[test]
    fn a_misspelt_key_gets_the_nearest_name_as_hint() {
        let faults = Config::check(r#"{"markng": "on"}"#).unwrap_err();
        assert_eq!(faults.first().unwrap().hint.as_deref(), Some("did you mean `marking`?"));
    }

    #[test]
    fn elements_behind_a_faulty_one_keep_their_places() {
        let faults = faults(r#"{"service_labels": [1, "app", 2, "job", 3]}"#);
        let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/service_labels/0", "/service_labels/2", "/service_labels/4"]);
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_quoted() {
        for wrong in [r#""hunter2""#, r#"[["hunter2"]]"#, r#"{"hunter2": 1}"#, "[7]"] {
            let faults = faults(&format!(r#"{{"sources": {{"pd": {{"kind": "pagerduty", "secrets": {wrong}}}}}}}"#));
            assert!(faults.iter().any(|(_, message)| message == "expected a list of strings"), "{faults:?}");
            assert!(!format!("{faults:?}").contains("hunter2"), "{faults:?}");
        }
    }

    #[test]
    fn a_list_is_not_taken_for_an_object() {
        let faults = faults(r#"{"window": ["1m"], "services": [["pd"], {"id": "P1", "to": [["cart"]]}]}"#);
        let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/services/0", "/services/1/to/0", "/window"]);
    }

    #[test]
    fn an_empty_document_is_a_configuration() {
        assert!(Config::check("{}").is_ok());
        assert!(Config::check("null").is_ok());
        assert!(Config::check("[]").is_err());
        assert!(Config::check("{").is_err());
    }
}
