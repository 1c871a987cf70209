//! `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in a configuration: values that stand somewhere else.
//!
//! They may stand anywhere in a value, several in one. `$$` is a dollar; a dollar that neither `{` nor another dollar
//! follows is one, too. A value without quotes that is one reference and nothing else is read as YAML reads it, so that
//! numbers can come from outside; with quotes it is text. Keys are never looked at.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::yaml::{self, Node, Place, Value};

/// More than any certificate or token. The configuration itself may be larger, but is not read from here.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is written where a reference is wrong.
const DOLLAR: &str = "write `$$` for the character itself";

/// Looks references up.
pub(super) struct Resolver<'a> {
    /// Where relative paths begin.
    pub(super) folder: &'a Path,
    /// The environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// What the references of a configuration came to.
#[derive(Clone, Debug, Default)]
pub(super) struct References {
    /// Values with references in them.
    pub(super) values: Vec<Referenced>,
    /// References that could not be looked up; their values are as they were written.
    pub(super) faults: Vec<Unresolved>,
    /// Files that references name, whether they could be read or not.
    pub(super) files: Vec<PathBuf>,
}

/// A value with references in it.
#[derive(Clone, Debug)]
pub(super) struct Referenced {
    /// JSON Pointer to it.
    pub(super) pointer: String,
    /// The value and the parts of it that came from outside: none may be shown.
    pub(super) texts: Vec<String>,
}

/// A reference that could not be looked up.
#[derive(Clone, Debug)]
pub(super) struct Unresolved {
    pub(super) pointer: String,
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A part of a value.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str> },
    File(&'a str),
}

/// A message and a hint.
type Wrong = (String, Option<String>);

// === impl Resolver ===

impl Resolver<'_> {
    /// Puts what references stand for in their place. `source` is the text that the tree was read from.
    pub(super) fn resolve(&self, root: &mut Node, source: &str) -> References {
        let mut found = References::default();
        self.resolve_below(root, "", source, &mut found);
        found.files.sort();
        found.files.dedup();
        found
    }

    fn resolve_below(&self, node: &mut Node, pointer: &str, source: &str, found: &mut References) {
        match &mut node.value {
            Value::Map(entries) => {
                for (key, child) in entries {
                    let part = key.text.replace('~', "~0").replace('/', "~1");
                    self.resolve_below(child, &format!("{pointer}/{part}"), source, found);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.resolve_below(item, &format!("{pointer}/{index}"), source, found);
                }
            }
            Value::Text(text) if text.contains('$') => {
                let is_plain = is_plain(text, &node.place, source);
                match self.value(text, is_plain, found) {
                    Ok((value, mut texts)) => {
                        node.value = value;
                        if !texts.is_empty() {
                            texts.push(node.value.to_text());
                            texts.retain(|text| !text.is_empty());
                            found.values.push(Referenced { pointer: pointer.to_owned(), texts });
                        }
                    }
                    Err((message, hint)) => {
                        let (pointer, place) = (pointer.to_owned(), node.place.clone());
                        found.faults.push(Unresolved { pointer, place, message, hint });
                    }
                }
            }
            _ => {}
        }
    }

    /// The value that a text with references stands for, and what of it came from outside.
    fn value(&self, text: &str, is_plain: bool, found: &mut References) -> Result<(Value, Vec<String>), Wrong> {
        let parts = parse(text)?;
        let is_one = matches!(parts.as_slice(), [Part::Variable { .. } | Part::File(_)]);
        let (mut whole, mut outside) = (String::new(), Vec::new());
        for part in parts {
            let text = match part {
                Part::Text(text) => {
                    whole.push_str(text);
                    continue;
                }
                Part::Variable { name, default } => self.variable(name, default)?,
                Part::File(path) => self.file(path, found)?,
            };
            whole.push_str(&text);
            outside.push(text);
        }
        let value = if is_one && is_plain { scalar(whole) } else { Value::Text(whole) };
        Ok((value, outside))
    }

    fn variable(&self, name: &str, default: Option<&str>) -> Result<String, Wrong> {
        match ((self.variable)(name), default) {
            (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
            (Some(value), _) => {
                value.into_string().map_err(|_| (format!("the environment variable `{name}` is not UTF-8"), None))
            }
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                let hint = format!("set it, or write what counts without it: `${{env:{name}:-default}}`");
                Err((format!("there is no environment variable `{name}`"), Some(hint)))
            }
        }
    }

    fn file(&self, path: &str, found: &mut References) -> Result<String, Wrong> {
        let path = self.folder.join(path);
        found.files.push(path.clone());
        let mut text = read(&path).map_err(|why| (format!("cannot read the file {}: {why}", path.display()), None))?;
        // Editors and `echo` end a file with a line break that is no part of the secret.
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

/// Whether a text is written without quotes and not as a block, behind `|` or `>` on a line before.
fn is_plain(text: &str, place: &Place, source: &str) -> bool {
    let Some(before) = source.get(..place.bytes.start) else { return false };
    let header = before.trim_end();
    let is_indicator = |character: char| "+-".contains(character) || character.is_ascii_digit();
    let is_block = before[header.len()..].contains('\n') && header.trim_end_matches(is_indicator).ends_with(['|', '>']);
    !is_block && source.get(place.bytes.clone()).is_some_and(|written| written.trim() == text)
}

/// A variable of this process.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

/// A file, unless reading it could take for ever.
fn read(path: &Path) -> Result<String, String> {
    let read = || {
        if !fs::metadata(path)?.is_file() {
            return Ok(Err("it is not a file".to_owned()));
        }
        let mut text = String::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Ok(Err(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(Ok(text))
    };
    read().unwrap_or_else(|error: std::io::Error| Err(error.to_string()))
}

/// What YAML reads a text as when nothing quotes it: a number, a boolean or nothing, else the text as it is.
fn scalar(text: String) -> Value {
    // White space and comments are part of a text that comes from outside.
    if text.contains(|character: char| character.is_whitespace() || character == '#') {
        return Value::Text(text);
    }
    match yaml::parse(&text).map(|node| node.value) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::Text(text),
    }
}

fn parse(text: &str) -> Result<Vec<Part<'_>>, Wrong> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        parts.extend((!before.is_empty()).then_some(Part::Text(before)));
        rest = if let Some(behind) = from.strip_prefix("${") {
            let Some(end) = behind.find('}') else {
                return Err(("`${` has no `}`".to_owned(), Some(DOLLAR.to_owned())));
            };
            parts.push(Part::named(&behind[..end])?);
            &behind[end + 1..]
        } else {
            parts.push(Part::Text("$"));
            from.strip_prefix("$$").unwrap_or(&from[1..])
        };
    }
    parts.extend((!rest.is_empty()).then_some(Part::Text(rest)));
    Ok(parts)
}

// === impl Part ===

impl<'a> Part<'a> {
    /// Reads what stands between the braces. It is not quoted: it may be a secret that begins with `${`.
    fn named(inside: &'a str) -> Result<Self, Wrong> {
        let wrong = |message: &str| Err((message.to_owned(), Some(DOLLAR.to_owned())));
        match inside.split_once(':') {
            Some(("env", rest)) => {
                let (name, default) = rest.split_once(":-").map_or((rest, None), |(name, text)| (name, Some(text)));
                let is_name = |name: &str| {
                    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
                };
                if is_name(name) {
                    Ok(Self::Variable { name, default })
                } else {
                    wrong("what stands behind `${env:` is not the name of an environment variable")
                }
            }
            Some(("file", "")) => wrong("`${file:` needs the path of a file"),
            Some(("file", path)) => Ok(Self::File(path)),
            _ => wrong("expected `${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `source` as it is read where `A` is `alpha`, `N` is 42 and `EMPTY` is empty.
    fn resolve(folder: &Path, source: &str) -> (serde_json::Value, References) {
        let variable = |name: &str| match name {
            "A" => Some("alpha".into()),
            "N" => Some("42".into()),
            "EMPTY" => Some("".into()),
            "NOTE" => Some("12 # twelve".into()),
            _ => None,
        };
        let mut root = yaml::parse(source).unwrap();
        let references = Resolver { folder, variable: &variable }.resolve(&mut root, source);
        (root.to_json(), references)
    }

    #[track_caller]
    fn check(value: &str, expected: serde_json::Value) {
        let (found, references) = resolve(Path::new("."), &format!("a: {value}\n"));
        assert!(references.faults.is_empty(), "{value}: {references:?}");
        assert_eq!(found["a"], expected, "{value}");
    }

    #[track_caller]
    fn check_fault(value: &str, expected: &str) {
        let (found, references) = resolve(Path::new("."), &format!("x: 1\na: {value}\n"));
        assert!(references.faults[0].message.contains(expected), "{value}: {references:?}");
        assert_eq!((references.faults[0].place.line, references.faults[0].place.column), (2, 4), "{value}");
        assert_eq!(references.faults[0].pointer, "/a");
        assert!(found["a"].is_string(), "{found}");
    }

    #[test]
    fn a_reference_stands_anywhere_in_a_value() {
        check("${env:A}", "alpha".into());
        check("a ${env:A}-${env:N}!", "a alpha-42!".into());
        check("\"${env:A}\\n${env:A}\"", "alpha\nalpha".into());
        check("|\n  ${env:A}\n", "alpha\n".into());
        check("['${env:A}', {b: '${env:N}'}]", serde_json::json!(["alpha", {"b": "42"}]));
    }

    #[test]
    fn a_value_without_quotes_that_is_one_reference_is_read_as_yaml_reads_it() {
        check("${env:N}", 42.into());
        check("${env:MISSING:-true}", true.into());
        check("${env:EMPTY}", serde_json::Value::Null);
        for text in ["\"${env:N}\"", "'${env:N}'", "|-\n  ${env:N}", ">-\n  ${env:N}"] {
            check(text, "42".into());
        }
        check("${env:N}${env:EMPTY}", "42".into());
        check("${env:NOTE}", "12 # twelve".into());
        check("${env:MISSING:-[1, 2]}", "[1, 2]".into());
    }

    #[test]
    fn a_default_counts_where_the_variable_is_missing_or_empty() {
        check("${env:MISSING:-b:-c}", "b:-c".into());
        check("${env:EMPTY:-b}", "b".into());
        check("${env:A:-b}", "alpha".into());
        check("'${env:MISSING:-}'", "".into());
    }

    #[test]
    fn two_dollars_are_one_and_a_single_one_stays() {
        check("$$", "$".into());
        check("$${env:A}", "${env:A}".into());
        check("$$$$", "$$".into());
        check("pa$sw0rd$", "pa$sw0rd$".into());
    }

    #[test]
    fn what_cannot_be_looked_up_is_a_fault_at_its_place() {
        check_fault("${env:MISSING}", "there is no environment variable `MISSING`");
        check_fault("${env:1A}", "not the name of an environment variable");
        check_fault("${env:A", "has no `}`");
        check_fault("${A}", "expected `${env:NAME}`");
        check_fault("${file:}", "needs the path");
        check_fault("${file:nowhere/at/all}", "cannot read the file ./nowhere/at/all");
        check_fault("${file:.}", "it is not a file");
    }

    #[test]
    fn a_file_is_read_from_the_folder_of_the_configuration_and_loses_one_line_break() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("unix", "s3cret\n"), ("dos", "s3cret\r\n"), ("two", "s3cret\n\n"), ("none", "s3cret")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let (found, references) = resolve(
            folder.path(),
            "- ${file:unix}\n- ${file:dos}\n- ${file:two}\n- ${file:none}\n- ${file:none}\n- ${file:gone}\n",
        );
        assert_eq!(found, serde_json::json!(["s3cret", "s3cret", "s3cret\n", "s3cret", "s3cret", "${file:gone}"]));
        let expected = ["dos", "gone", "none", "two", "unix"].map(|name| folder.path().join(name));
        assert_eq!(references.files, expected, "each file once, also those that are not there yet");
    }

    #[test]
    fn a_file_that_is_too_large_or_not_text_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
        fs::write(folder.path().join("bytes"), b"\xff").unwrap();
        let (_, references) = resolve(folder.path(), "- ${file:large}\n- ${file:bytes}\n");
        assert!(references.faults[0].message.contains("more than 1048576 bytes"), "{references:?}");
        assert!(references.faults[1].message.contains("UTF-8"), "{references:?}");
    }

    #[test]
    fn keys_are_not_looked_at() {
        assert_eq!(resolve(Path::new("."), "${env:A}: 1\n").0, serde_json::json!({"${env:A}": 1}));
    }
}
