//! A configuration as the server takes it: the plugin's part as JSON, the server's part read, and the file it came from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};

use super::config::{ADMIN_SOURCE, SECTION, ServeConfig};
use super::{spokes, webhooks};
use crate::config_file::{ConfigFile, Rejected};
use crate::diagnostics::{Diagnostic, Severity};

/// A configuration whose server's part has no faults. The plugin finds those of its own part.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file, for places of faults.
    pub file: ConfigFile,
    /// The server's part.
    pub serve: ServeConfig,
    /// The plugin's part, with the source of the admin listener.
    pub plugin: String,
    /// What the webhook listener needs of the plugin's part.
    pub webhooks: webhooks::Settings,
    /// Not faults.
    pub warnings: Vec<Diagnostic>,
}

/// What listeners look at with each request: replaced when the configuration is.
#[derive(Clone)]
pub struct InForce {
    /// For incident tools.
    pub webhooks: Arc<ArcSwap<webhooks::Settings>>,
    /// For spokes.
    pub spokes: Arc<ArcSwap<spokes::Settings>>,
}

/// A configuration that cannot be taken.
#[derive(Debug)]
pub struct Unusable {
    /// Its faults.
    pub diagnostics: Vec<Diagnostic>,
    /// The text to show them in, without secrets.
    pub text: String,
    /// Files that it names: when one of them changes, so does the configuration.
    pub files: Vec<PathBuf>,
}

// === impl Loaded ===

impl Loaded {
    /// Reads a file. `inner_token` is what the admin listener shows to the plugin.
    ///
    /// # Errors
    /// When the file cannot be read. Its faults are the answer.
    pub fn read(path: &Path, inner_token: &str) -> anyhow::Result<Result<Self, Unusable>> {
        let file = match ConfigFile::read(path)? {
            Ok(file) => file,
            Err(Rejected { diagnostics, text, files }) => return Ok(Err(Unusable { diagnostics, text, files })),
        };
        let document = file.to_json_value();
        let (serve, warnings) = match ServeConfig::check(&document) {
            Ok(checked) => checked,
            Err(faults) => {
                let diagnostics = file.diagnostics(Severity::Error, &faults);
                return Ok(Err(Unusable::of(&file, diagnostics)));
            }
        };
        let warnings = file.diagnostics(Severity::Warning, &warnings);
        let plugin = of_plugin(document, (!serve.admin.tokens.is_empty()).then_some(inner_token));
        let webhooks = webhooks::Settings {
            sources: plugin.get("sources").and_then(Value::as_object).map(names).unwrap_or_default(),
            bytes_max: plugin
                .pointer("/limits/webhook_bytes")
                .and_then(Value::as_u64)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(faultline_annotator::limits::WEBHOOK_BYTES_MAX),
        };
        Ok(Ok(Self { file, serve, plugin: plugin.to_string(), webhooks, warnings }))
    }
}

/// The document without what the plugin does not know, and with the source through which the admin listener speaks.
fn of_plugin(document: Value, inner_token: Option<&str>) -> Value {
    let Value::Object(mut document) = document else { return document };
    document.remove(SECTION);
    if let Some(token) = inner_token {
        let sources = document.entry("sources").or_insert_with(|| Value::Object(Map::new()));
        if sources.is_null() {
            *sources = Value::Object(Map::new());
        }
        if let Value::Object(sources) = sources {
            sources.insert(ADMIN_SOURCE.to_owned(), json!({ "kind": "manual", "tokens": [token], "manages": true }));
        }
    }
    Value::Object(document)
}

fn names(sources: &Map<String, Value>) -> Vec<String> {
    sources.keys().cloned().collect()
}

// === impl InForce ===

impl InForce {
    /// That of a configuration.
    #[must_use]
    pub fn new(loaded: &Loaded) -> Self {
        let spokes = spokes::Settings::of(loaded.serve.spokes.as_ref());
        Self {
            webhooks: Arc::new(ArcSwap::from_pointee(loaded.webhooks.clone())),
            spokes: Arc::new(ArcSwap::from_pointee(spokes)),
        }
    }

    /// Puts that of another configuration in its place.
    pub fn replace(&self, loaded: &Loaded) {
        self.webhooks.store(Arc::new(loaded.webhooks.clone()));
        self.spokes.store(Arc::new(spokes::Settings::of(loaded.serve.spokes.as_ref())));
    }
}

// === impl Unusable ===

impl Unusable {
    /// With faults that were found in `file`.
    #[must_use]
    pub fn of(file: &ConfigFile, diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, text: file.text().to_owned(), files: file.files().to_vec() }
    }

    /// One line for each fault, for logs.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.diagnostics.iter().map(Diagnostic::one_line).collect()
    }
}
