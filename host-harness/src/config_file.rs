//! A configuration as people write it: YAML to JSON for the plugin, and the plugin's faults back to lines and columns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::diagnostics::{Diagnostic, Severity};
use crate::plugin::ConfigError;
use crate::serve::config::SECTION;
use crate::yaml::{self, Key, Node, Place, Value};

mod references;
mod secrets;

use references::{References, Resolver, Unresolved};

/// More than any configuration that the plugin takes, as JSON at most 4 MiB.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A configuration that was read, with the place of everything in it.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// As it is shown; where it was read from.
    path: PathBuf,
    text: String,
    root: Node,
    references: References,
}

/// A file that is no configuration, before the plugin saw it.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// What is wrong with it as YAML: the first mistake in the syntax, or all keys that are given twice and all references
    /// that lead nowhere.
    pub diagnostics: Vec<Diagnostic>,
    /// The text to show them in, without secrets.
    pub text: String,
    /// See [`ConfigFile::files`].
    pub files: Vec<PathBuf>,
}

// === impl ConfigFile ===

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file cannot be read, is far too large, or is not UTF-8.
    pub fn read(path: &Path) -> anyhow::Result<Result<Self, Rejected>> {
        Ok(Self::parse(path, &read_text(path)?))
    }

    /// Reads a file in which keys may be given twice and references lead nowhere, to find what else is wrong with it: see
    /// [`Self::faults`].
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn read_leniently(path: &Path) -> anyhow::Result<Result<Self, Rejected>> {
        Ok(Self::parse_leniently(path, &read_text(path)?))
    }

    /// Reads a text; `path` is shown, and its folder is where relative paths of `${file:…}` begin.
    ///
    /// # Errors
    /// What is wrong with it as YAML, and references that lead nowhere.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Rejected> {
        let file = Self::parse_leniently(path, text)?;
        let diagnostics = file.faults();
        if diagnostics.is_empty() {
            return Ok(file);
        }
        Err(Rejected { diagnostics, text: file.text, files: file.references.files })
    }

    fn parse_leniently(path: &Path, text: &str) -> Result<Self, Rejected> {
        match yaml::parse(text) {
            Ok(mut root) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let masked = secrets::mask(text, &root);
                let references = Resolver { folder, variable: &references::variable }.resolve(&mut root, text);
                Ok(Self { path: path.to_owned(), text: masked, root, references })
            }
            Err(error) => {
                let diagnostic = Diagnostic {
                    severity: Severity::Error,
                    message: error.message,
                    hint: error.hint.map(str::to_owned),
                    path: path.to_owned(),
                    pointer: String::new(),
                    place: error.place,
                    earlier: None,
                };
                Err(Rejected { diagnostics: vec![diagnostic], text: secrets::mask_lines(text), files: Vec::new() })
            }
        }
    }

    /// A fault for each key that its map had before, and for each reference that leads nowhere, in the order of the file.
    /// Of such keys the last counts in all else; such references are left as they are written.
    #[must_use]
    pub fn faults(&self) -> Vec<Diagnostic> {
        let mut found: Vec<_> = self.references.faults.iter().map(|fault| self.leads_nowhere(fault)).collect();
        self.find_keys_given_twice(&self.root, "", &mut found);
        found.sort_by_key(|diagnostic| diagnostic.place.bytes.start);
        found
    }

    fn find_keys_given_twice(&self, node: &Node, pointer: &str, found: &mut Vec<Diagnostic>) {
        match &node.value {
            Value::Map(entries) => {
                let mut earlier = HashMap::new();
                for (key, child) in entries {
                    let pointer = format!("{pointer}/{}", key.text.replace('~', "~0").replace('/', "~1"));
                    match earlier.entry(key.text.as_str()) {
                        Entry::Vacant(vacant) => {
                            vacant.insert(&key.place);
                        }
                        Entry::Occupied(first) => found.push(self.given_twice(key, first.get(), &pointer)),
                    }
                    self.find_keys_given_twice(child, &pointer, found);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.find_keys_given_twice(item, &format!("{pointer}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    fn given_twice(&self, key: &Key, first: &Place, pointer: &str) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: format!("the key `{}` is given twice", key.text),
            hint: Some("keep one of them".to_owned()),
            path: self.path.clone(),
            pointer: pointer.to_owned(),
            place: key.place.clone(),
            earlier: Some(first.clone()),
        }
    }

    fn leads_nowhere(&self, fault: &Unresolved) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: fault.message.clone(),
            hint: fault.hint.clone(),
            path: self.path.clone(),
            pointer: fault.pointer.clone(),
            place: fault.place.clone(),
            earlier: None,
        }
    }

    /// The files that `${file:…}` names, sorted, whether they could be read or not: when one of them changes, so does the
    /// configuration. The file itself is not among them.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.references.files
    }

    /// The configuration as the plugin reads it: without the section of the server.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut document = self.to_json_value();
        if let Some(members) = document.as_object_mut() {
            members.remove(SECTION);
        }
        document.to_string()
    }

    /// The whole configuration as JSON.
    #[must_use]
    pub fn to_json_value(&self) -> serde_json::Value {
        self.root.to_json()
    }

    /// The whole tree.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The text of the file, to show parts of it: everything is where it was, but secrets are `*`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Turns faults, or warnings, of the plugin into diagnostics, in the order of the file. What is said about a reference
    /// that leads nowhere is left out: it is about the reference, not about what it should stand for.
    #[must_use]
    pub fn diagnostics(&self, severity: Severity, faults: &[ConfigError]) -> Vec<Diagnostic> {
        let mut diagnostics: Vec<_> = faults
            .iter()
            .filter(|fault| !self.references.faults.iter().any(|unresolved| unresolved.pointer == fault.pointer))
            .map(|fault| Diagnostic {
                severity,
                message: self.redact(&fault.message, &fault.pointer),
                hint: fault.hint.as_deref().map(|hint| self.redact(hint, &fault.pointer)),
                path: self.path.clone(),
                pointer: fault.pointer.clone(),
                place: self.place(&fault.pointer, fault.message.starts_with("unknown field")),
                earlier: None,
            })
            .collect();
        diagnostics.sort_by_key(|diagnostic| diagnostic.place.bytes.start);
        diagnostics
    }

    fn redact(&self, message: &str, pointer: &str) -> String {
        secrets::redact(message, pointer, &self.root, &self.references)
    }

    /// The place that a JSON Pointer names: of the value, if it is a single one or the element of a list, else of its
    /// key. `of_key` asks for the key in any case. What is not there has the place of what should hold it.
    fn place(&self, pointer: &str, of_key: bool) -> Place {
        let mut node = &self.root;
        let mut key: Option<&Key> = None;
        let mut complete = true;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            match child(node, &part) {
                Some((found_key, found)) => (key, node) = (found_key, found),
                None => {
                    complete = false;
                    break;
                }
            }
        }
        let single = !matches!(node.value, Value::List(_) | Value::Map(_) | Value::Null);
        match key {
            Some(key) if of_key || !complete || !single => key.place.clone(),
            _ => node.place.clone(),
        }
    }
}

/// What a part of a pointer leads to. Elements of a list have no key of their own.
fn child<'a>(node: &'a Node, part: &str) -> Option<(Option<&'a Key>, &'a Node)> {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().rev().find(|(key, _)| key.text == part).map(|(key, node)| (Some(key), node))
        }
        Value::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)).map(|node| (None, node)),
        _ => None,
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let read = || {
        let bytes = fs::metadata(path)?.len();
        if bytes > BYTES_MAX {
            bail!("it has {bytes} bytes, at most {BYTES_MAX} are read");
        }
        Ok(fs::read_to_string(path)?)
    };
    read().with_context(|| format!("cannot read the configuration {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
marking: on
sources:
  pager/duty:
    kind: pagerduty
    secretz: [a]
services:
  - name: Checkout
    to: []
";

    fn check(pointer: &str, message: &str, expected: (usize, usize)) {
        let file = ConfigFile::parse(Path::new("faultline.yaml"), TEXT).unwrap();
        let fault = ConfigError { pointer: pointer.to_owned(), message: message.to_owned(), hint: None };
        let place = file.diagnostics(Severity::Error, &[fault]).remove(0).place;
        assert_eq!((place.line, place.column), expected, "{pointer}");
    }

    #[test]
    fn a_fault_of_a_single_value_is_at_the_value() {
        check("/marking", "neither on nor off", (1, 10));
        check("/sources/pager~1duty/kind", "no such kind", (4, 11));
        check("/services/0/name", "empty", (7, 11));
    }

    #[test]
    fn an_unknown_key_is_at_the_key() {
        check("/sources/pager~1duty/secretz", "unknown field `secretz`", (5, 5));
    }

    #[test]
    fn a_fault_of_a_map_or_list_is_at_its_key() {
        check("/sources/pager~1duty", "no secret", (3, 3));
        check("/services/0/to", "leads nowhere", (8, 5));
    }

    #[test]
    fn a_fault_of_an_element_is_at_the_element() {
        check("/services/0", "the rule leads nowhere", (7, 5));
    }

    #[test]
    fn what_is_missing_is_at_what_should_hold_it() {
        check("/sources/pager~1duty/secrets", "missing", (3, 3));
        check("/services/7", "missing", (6, 1));
    }

    #[test]
    fn references_that_lead_nowhere_are_found_with_all_else() {
        let text = "a: ${file:no/such}\nb: 1\nb: ${wrong}\n";
        let rejected = ConfigFile::parse(Path::new("folder/x.yaml"), text).unwrap_err();
        let places: Vec<_> = rejected.diagnostics.iter().map(|one| (one.place.line, one.pointer.as_str())).collect();
        assert_eq!(places, [(1, "/a"), (3, "/b"), (3, "/b")]);
        assert_eq!(rejected.files, [Path::new("folder/no/such")]);
        let file = ConfigFile::parse_leniently(Path::new("x.yaml"), text).unwrap();
        let fault = |pointer: &str| ConfigError { pointer: pointer.to_owned(), message: "m".to_owned(), hint: None };
        let left: Vec<_> = file.diagnostics(Severity::Error, &[fault("/a"), fault("")]);
        assert_eq!(left.len(), 1, "what the plugin makes of the text of a reference is nobody's concern");
    }

    #[test]
    fn all_keys_that_are_there_twice_are_found() {
        let text = "a: 1\nb: { c: 1, c: 2 }\na: 2\n";
        let found = ConfigFile::parse(Path::new("x.yaml"), text).unwrap_err().diagnostics;
        let places: Vec<_> =
            found.iter().map(|one| (one.place.line, one.earlier.clone().unwrap().line, one.pointer.as_str())).collect();
        assert_eq!(places, [(2, 2, "/b/c"), (3, 1, "/a")]);
    }
}
