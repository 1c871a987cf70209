//! Where the document must have objects.
//!
//! Serde reads a struct from a list too, field by field, which nobody means in a configuration.

use serde_json::Value;

use super::Fault;
use super::pointer::Pointer;

/// Places that hold objects; `*` stands for every member or element.
const OBJECTS: [&[&str]; 13] = [
    &[],
    &["environments"],
    &["limits"],
    &["logs"],
    &["metrics"],
    &["services", "*"],
    &["services", "*", "to", "*"],
    &["sources"],
    &["sources", "*"],
    &["sources", "*", "match", "*"],
    &["sources", "*", "unless", "*"],
    &["traces"],
    &["window"],
];

/// Notes each list, text or number that stands where an object must, and puts an object of no fault in its place.
pub(super) fn check(document: &mut Value, faults: &mut Vec<Fault>) {
    for place in OBJECTS {
        visit(document, place, &mut Pointer::default(), faults);
    }
}

fn visit(value: &mut Value, place: &[&str], at: &mut Pointer, faults: &mut Vec<Fault>) {
    let Some((next, rest)) = place.split_first() else {
        if !value.is_object() {
            let message = format!("expected an object, found {}", describe(value));
            faults.push(Fault { pointer: at.to_string(), message, hint: None });
            *value = Value::Object(serde_json::Map::new());
        }
        return;
    };
    let children: Vec<(String, &mut Value)> = match value {
        Value::Object(map) => map
            .iter_mut()
            .filter(|(name, _)| *next == "*" || name == next)
            .map(|(name, child)| (name.clone(), child))
            .collect(),
        Value::Array(list) if *next == "*" => {
            list.iter_mut().enumerate().map(|(index, child)| (index.to_string(), child)).collect()
        }
        _ => Vec::new(),
    };
    for (name, child) in children {
        at.push(name);
        visit(child, rest, at, faults);
        at.pop();
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(value) => format!("`{value}`"),
        Value::String(value) => format!("`{}`", crate::text::clean(value, 64)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
