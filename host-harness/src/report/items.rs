//! Every item of a batch with all its attributes, in the manner of the Collector's debug exporter.

use std::io::{self, Write};

use serde_json::Value;

use super::paint::{ADDED, FAINT, STRONG};
use crate::clean::Clean;
use crate::telemetry::{Change, SignalName};
use crate::time::{Clock, Nanos};

/// How wide the labels of fields are.
const LABEL_WIDTH: usize = 12;

/// Writes all items; what was added is in colour, with a `+` before it.
pub(super) fn write(out: &mut dyn Write, signal: SignalName, changes: &[Change], start: Nanos) -> io::Result<()> {
    for (number, Change { item, added, reason }) in changes.iter().enumerate() {
        writeln!(out, "{STRONG}{} #{number}{STRONG:#}", capitalized(signal.items(1)))?;
        field(out, "Service", item.service.as_deref().unwrap_or("(none)"))?;
        if let Some(environment) = &item.environment {
            field(out, "Environment", environment)?;
        }
        field(out, "Name", &item.name)?;
        if item.time > 0 {
            field(out, "Time", &Clock { time: item.time, reference: start }.to_string())?;
        }
        for (label, text) in item.fields.iter().filter(|(_, text)| !text.is_empty()) {
            field(out, label, text)?;
        }
        if !item.attributes.is_empty() || !added.is_empty() {
            writeln!(out, "    Attributes:")?;
        }
        for (key, value) in &item.attributes {
            writeln!(out, "         -> {}: {}", Clean(key), Clean(&typed(value)))?;
        }
        for (number, exemplar) in item.exemplars.iter().enumerate() {
            for (key, value) in exemplar {
                writeln!(out, "         -> exemplar #{number} {}: {}", Clean(key), Clean(&typed(value)))?;
            }
        }
        for (key, value) in added {
            writeln!(out, "       {ADDED}+ -> {}: {}{ADDED:#}", Clean(key), Clean(&typed(value)))?;
        }
        if let Some(reason) = reason {
            writeln!(out, "    {FAINT}Not marked: {}{FAINT:#}", Clean(reason))?;
        }
    }
    Ok(())
}

fn field(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "    {label:<LABEL_WIDTH$}: {}", Clean(text))
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// With the type before it, since `"7"` and `7` are different attributes.
fn typed(value: &Value) -> String {
    match value {
        Value::Null => "Empty()".to_owned(),
        Value::Bool(flag) => format!("Bool({flag})"),
        Value::Number(number) if number.is_f64() => format!("Double({number})"),
        Value::Number(number) => format!("Int({number})"),
        Value::String(text) => format!("Str({text})"),
        Value::Array(_) => format!("Slice({value})"),
        Value::Object(_) => format!("Map({value})"),
    }
}
