//! The JSON Schema of the configuration says what the reader does: the same keys, words, types, bounds and defaults.
//!
//! Nothing here knows the keys. The schema is walked, and at each place the reader is given what it must refuse; its message
//! says what it would take.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use faultline::commands::schema::SCHEMA;
use faultline::config_file::ConfigFile;
use faultline::serve::config::{SECTION, ServeConfig};
use faultline_annotator::config::Config;
use serde_json::{Map, Value, json};
use support::workspace;

/// A place in a configuration: keys, and for lists and maps of any name a stand-in.
#[derive(Clone, Default)]
struct Place(Vec<Step>);

#[derive(Clone)]
enum Step {
    /// A key, and what has to stand beside it.
    Key(String, Map<String, Value>),
    /// The first element of a list.
    Element,
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

/// A schema with what it refers to in the place of the reference.
fn resolved(root: &Value, schema: &Value) -> Value {
    let Some(name) = schema["$ref"].as_str() else { return schema.clone() };
    let target = name.strip_prefix('#').expect("references are within the schema");
    let mut found = root.pointer(target).unwrap_or_else(|| panic!("{name} leads nowhere")).clone();
    // What stands beside a reference says more about this place.
    for (key, value) in schema.as_object().into_iter().flatten().filter(|(key, _)| *key != "$ref") {
        found[key] = value.clone();
    }
    found
}

/// The forms that a value may have, without references to elsewhere.
fn forms(root: &Value, schema: &Value) -> Vec<Value> {
    let schema = resolved(root, schema);
    let Some(forms) = schema["anyOf"].as_array() else { return vec![schema] };
    forms.iter().filter(|form| form["$ref"] != "#/$defs/reference").flat_map(|form| self::forms(root, form)).collect()
}

/// What the reader has to say of a configuration: pointers and messages.
fn faults(document: &Value) -> Vec<(String, String)> {
    let mut of_plugin = document.clone();
    let section = of_plugin.as_object_mut().and_then(|members| members.remove(SECTION));
    let mut found = match Config::check(&of_plugin.to_string()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|fault| (fault.pointer, fault.message)).collect(),
    };
    if section.is_some()
        && let Err(faults) = ServeConfig::check(document)
    {
        found.extend(faults.into_iter().map(|fault| (fault.pointer, fault.message)));
    }
    found
}

/// The words in backticks behind "expected".
fn expected(message: &str) -> BTreeSet<String> {
    let behind = message.split_once("expected ").map(|(_, behind)| behind).unwrap_or_default();
    let behind = behind.split_once(", found").map_or(behind, |(behind, _)| behind);
    behind.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

// === impl Place ===

impl Place {
    fn key(&self, key: &str, beside: &Map<String, Value>) -> Self {
        let mut place = self.clone();
        place.0.push(Step::Key(key.to_owned(), beside.clone()));
        place
    }

    fn element(&self) -> Self {
        let mut place = self.clone();
        place.0.push(Step::Element);
        place
    }

    fn pointer(&self) -> String {
        let part = |step: &Step| match step {
            Step::Key(key, _) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Element => "/0".to_owned(),
        };
        self.0.iter().map(part).collect()
    }

    /// A configuration with nothing but `value` here, and what has to stand beside it.
    fn with(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |value, step| match step {
            Step::Key(key, beside) => {
                let mut members = beside.clone();
                members.insert(key.clone(), value);
                Value::Object(members)
            }
            Step::Element => json!([value]),
        })
    }

    /// Whether `null` may stand here; where a key is required, it is the object that is at fault.
    fn takes_null(&self) -> bool {
        let pointer = self.pointer();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        !faults(&self.with(Value::Null))
            .iter()
            .any(|(at, message)| *at == pointer || at == parent && message.contains(&format!(" no `{key}`")))
    }

    /// The message about this very place when `value` stands here.
    fn message(&self, value: Value) -> Option<String> {
        let pointer = self.pointer();
        faults(&self.with(value)).into_iter().find(|(at, _)| *at == pointer).map(|(_, message)| message)
    }
}

/// Holds a schema and all below it against the reader, and counts places.
fn compare(root: &Value, schema: &Value, place: &Place, places: &mut usize) {
    *places += 1;
    let at = place.pointer();
    let forms = forms(root, schema);
    assert!(!forms.is_empty(), "{at}");
    let types: BTreeSet<&str> = forms.iter().flat_map(types).collect();

    let takes_null = types.contains("null") || forms.iter().any(|form| words(form).contains("null"));
    assert_eq!(place.takes_null(), takes_null, "{at}: null");
    let listed: BTreeSet<String> = forms.iter().flat_map(words).filter(|word| word != "null").collect();
    if !listed.is_empty() {
        let found = place.message(json!("none-of-these")).unwrap_or_else(|| panic!("{at}: any word is taken"));
        // `true` and `false` stand for `on` and `off` where these are, and are not spoken of.
        let spoken: BTreeSet<String> =
            listed.iter().filter(|word| !["true", "false"].contains(&word.as_str())).cloned().collect();
        assert_eq!(expected(&found), spoken, "{at}: {found}");
        for word in &listed {
            let value = serde_json::from_str(word).unwrap_or_else(|_| json!(word));
            assert!(place.message(value).is_none_or(|message| !message.contains("expected")), "{at}: {word}");
        }
        return;
    }
    for (name, examples) in [
        // A JSON Pointer is empty, or begins with a slash.
        ("string", vec![json!("a"), json!("")]),
        ("boolean", vec![json!(true)]),
        ("array", vec![json!([])]),
        ("object", vec![json!({})]),
        ("integer", vec![json!(1)]),
    ] {
        let refused = examples.into_iter().all(|example| {
            place.message(example).is_some_and(|message| {
                // Texts that are read further, as durations are, say so in another way.
                message.starts_with("expected") || message.contains(", found")
            })
        });
        assert_eq!(!refused, types.contains(name), "{at}: {name}");
    }
    for form in &forms {
        bounds(form, place);
        members(root, form, place, places);
    }
}

/// The least that a schema allows.
fn example(root: &Value, schema: &Value) -> Value {
    let form = &forms(root, schema)[0];
    if let Some(word) = form["enum"].as_array().and_then(|words| words.first()) {
        return word.clone();
    }
    match types(form).first() {
        Some(&"object") => Value::Object(required(root, form)),
        Some(&"array") => json!([example(root, &form["items"])]),
        _ => json!("a"),
    }
}

/// What an object must have.
fn required(root: &Value, form: &Value) -> Map<String, Value> {
    let keys = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    keys.map(|key| (key.to_owned(), example(root, &form["properties"][key]))).collect()
}

fn types(form: &Value) -> Vec<&str> {
    match &form["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The words of a choice, and what else is in it as JSON.
fn words(form: &Value) -> BTreeSet<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    form["enum"].as_array().into_iter().flatten().map(word).collect()
}

fn bounds(form: &Value, place: &Place) {
    let at = place.pointer();
    if let (Some(least), Some(most)) = (form["minimum"].as_u64(), form["maximum"].as_u64()) {
        for (value, fits) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            assert_eq!(place.message(json!(value)).is_none(), fits, "{at}: {value}");
        }
    }
    if let Some(pattern) = form["pattern"].as_str() {
        let validator = jsonschema::validator_for(&json!({ "pattern": pattern })).expect("the pattern can be read");
        for text in ["5m", "90s", "1h30m", "250ms", "1h 30m", "24h", "", "5", "m", "5 minutes", "1d", "soon"] {
            let fits = place.message(json!(text)).is_none_or(|message| !message.contains("is not a duration"));
            assert_eq!(validator.is_valid(&json!(text)), fits, "{at}: {text:?}");
        }
    }
}

fn members(root: &Value, form: &Value, place: &Place, places: &mut usize) {
    let at = place.pointer();
    if let Some(properties) = form["properties"].as_object() {
        assert_eq!(form["additionalProperties"], false, "{at}");
        let beside = required(root, form);
        let unknown =
            place.key("none-of-these", &beside).message(json!(1)).unwrap_or_else(|| panic!("{at}: any key is taken"));
        let listed: BTreeSet<String> = properties.keys().cloned().collect();
        let mut read = expected(&unknown);
        if at.is_empty() {
            // The section of the server is not for the plugin, which names the other keys.
            read.insert(SECTION.to_owned());
        }
        assert_eq!(listed, read, "{at}: keys");
        for (key, schema) in properties {
            assert!(resolved(root, schema)["description"].is_string(), "{at}/{key} is not described");
            compare(root, schema, &place.key(key, &beside), places);
        }
        for key in beside.keys() {
            let mut without = beside.clone();
            without.remove(key);
            let missing = faults(&place.with(Value::Object(without)));
            let names_it = |(pointer, message): &(String, String)| {
                message.contains(&format!("`{key}`")) || *pointer == format!("{at}/{key}")
            };
            assert!(missing.iter().any(names_it), "{at}: {key} is not required: {missing:?}");
        }
    } else if form["additionalProperties"].is_object() {
        compare(root, &form["additionalProperties"], &place.key("some-name", &Map::new()), places);
    }
    if form["items"].is_object() {
        compare(root, &form["items"], &place.element(), places);
    }
}

#[test]
fn the_schema_has_the_keys_words_types_and_bounds_of_the_reader() {
    let schema = schema();
    let mut places = 0;
    let forms = forms(&schema, &schema);
    members(&schema, &forms[0], &Place::default(), &mut places);
    assert!(places > 120, "{places} places");
}

#[test]
fn defaults_in_the_schema_are_those_of_the_reader() {
    fn defaults(root: &Value, schema: &Value) -> Option<Value> {
        let schema = resolved(root, schema);
        if !schema["default"].is_null() {
            return Some(schema["default"].clone());
        }
        let members = schema["properties"].as_object()?;
        let members: Map<_, _> =
            members.iter().filter_map(|(key, schema)| Some((key.clone(), defaults(root, schema)?))).collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }
    let schema = schema();
    let mut written = defaults(&schema, &schema).expect("there are defaults");
    let section = written.as_object_mut().and_then(|members| members.remove(SECTION)).expect("the server's");
    assert!(written.as_object().is_some_and(|members| members.len() > 8), "{written}");
    let read = |document: &Value| format!("{:?}", Config::check(&document.to_string()).expect("it is right").0);
    assert_eq!(read(&written), read(&json!({})));

    assert!(section.as_object().is_some_and(|members| members.len() > 4), "{section}");
    let read = |section: Value| {
        let mut section = section;
        section["forward"] = json!([{ "endpoint": "http://127.0.0.1:14317" }]);
        format!("{:?}", ServeConfig::check(&json!({ SECTION: section })).expect("it is right").0)
    };
    assert_eq!(read(section), read(json!({})));
}

/// A configuration as JSON.
fn read(path: &Path) -> Value {
    let file = ConfigFile::read_leniently(path).expect("it can be read");
    let file = file.unwrap_or_else(|rejected| panic!("{}: {:?}", path.display(), rejected.diagnostics));
    file.root().to_json()
}

fn configurations() -> Vec<PathBuf> {
    let scenarios = fs::read_dir(workspace().join("tests/scenarios")).expect("can be listed");
    let configs = scenarios.map(|entry| entry.expect("can be listed").path().join("config.yaml"));
    let mut configs: Vec<_> = configs.filter(|path| path.is_file()).collect();
    configs.push(workspace().join("tests/cli/faultline.yaml"));
    configs
}

#[test]
fn configurations_that_are_right_pass() {
    let validator = jsonschema::draft202012::new(&schema()).expect("the schema is one");
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
    let configs = configurations();
    assert!(configs.len() > 40, "{configs:?}");
    for path in configs {
        let found: Vec<_> = validator.iter_errors(&read(&path)).map(|error| error.to_string()).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    let empty: [Value; 2] = [Value::Null, json!({})];
    assert!(empty.iter().all(|document| validator.is_valid(document)));
}

#[test]
fn configurations_with_references_pass() {
    let validator = jsonschema::draft202012::new(&schema()).expect("the schema is one");
    let document = json!({
        "marking": "${env:MARKING:-on}",
        "match_normalized_names": "${env:NORMALIZE}",
        "limits": { "batch_bytes": "${env:BYTES:-65536}" },
        "window": { "lookback": "${file:lookback}" },
        "sources": { "pd": { "kind": "${env:KIND}", "secrets": ["${file:/run/secrets/pd}"] } },
    });
    let found: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(found.is_empty(), "{found:?}");
    for wrong in [json!({"marking": "${environment}"}), json!({"limits": {"batch_bytes": "64"}})] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn configurations_with_unknown_keys_or_values_fail() {
    let validator = jsonschema::draft202012::new(&schema()).expect("the schema is one");
    let mut with_unknown = 0;
    for entry in fs::read_dir(workspace().join("tests/cli")).expect("can be listed") {
        let path = entry.expect("can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with("broken_") || path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let findings = fs::read_to_string(path.with_extension("txt")).expect("what is wrong is known");
        if findings.contains("unknown field") || findings.contains("unknown variant") {
            with_unknown += 1;
            assert!(!validator.is_valid(&read(&path)), "{name} passes");
        }
    }
    assert!(with_unknown >= 2, "{with_unknown}");
}
