//! The files of a scenario: reading them, and saying where they are wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::bundled;
use crate::config_file::ConfigFile;
use crate::plugin::Signal;
use crate::telemetry::SignalName;
use crate::time::{Nanos, parse_length, parse_time};

const SCENARIO_FILE: &str = "scenario.yaml";
const CONFIG_FILE: &str = "config.yaml";

/// A scenario that was read and checked; the files that its steps name are read when they are played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called: the name of its folder.
    pub name: String,
    /// What is to be seen.
    pub summary: String,
    /// The virtual clock's zero.
    pub start: Nanos,
    /// In the order of their times.
    pub steps: Vec<Step>,
    /// The configuration of the plugin.
    pub config: ConfigFile,
    files: Files,
}

/// Something that happens at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, by the virtual clock.
    pub at: Nanos,
    /// What.
    pub action: Action,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A batch goes through the plugin.
    Telemetry(TelemetryStep),
    /// A request goes to the plugin.
    Webhook(WebhookStep),
    /// The plugin is asked for leases that ran out.
    Expire,
    /// The instance is dropped; a new one gets the journal.
    Restart,
}

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryStep {
    /// Of which kind.
    pub signal: Signal,
    /// The file that holds it; `None` when it is generated.
    pub file: Option<String>,
    /// What to generate when there is no file.
    pub generate: Option<Generate>,
}

/// What the generator makes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Equal seeds give equal batches.
    pub seed: u64,
    /// How many spans, data points or log records.
    pub items: usize,
    /// Their services.
    pub services: Vec<String>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookStep {
    /// The file that holds the body.
    pub file: String,
    /// The configured source.
    pub source: String,
    /// With what it is signed.
    pub sign: Sign,
    /// Beside `Content-Type` and the signature.
    pub headers: BTreeMap<String, String>,
    /// The HTTP method.
    pub method: String,
    /// Spaces are put behind the body up to so many bytes.
    pub pad: Option<usize>,
    /// Whether the journal refuses the entries.
    pub commit_fails: bool,
}

/// With what a webhook is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The first secret or token of its source.
    Configured,
    /// Not at all.
    No,
    /// This one.
    With(String),
}

/// Where the files are.
#[derive(Clone, Debug)]
enum Files {
    Folder(PathBuf),
    Bundled,
}

/// `scenario.yaml` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    summary: String,
    start: Spanned<String>,
    steps: Vec<Spanned<RawStep>>,
}

/// A step as written; which keys belong together is checked afterwards, to say more than that nothing fits.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    at: String,
    telemetry: Option<String>,
    generate: Option<Generate>,
    signal: Option<SignalName>,
    webhook: Option<String>,
    source: Option<String>,
    sign: Option<RawSign>,
    headers: Option<BTreeMap<String, String>>,
    method: Option<String>,
    pad: Option<usize>,
    commit: Option<RawCommit>,
    expire: Option<bool>,
    restart: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum RawSign {
    Switch(bool),
    Secret(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawCommit {
    Ok,
    Fail,
}

// === impl Scenario ===

impl Scenario {
    /// Reads the scenario in a folder.
    ///
    /// # Errors
    /// Names the file, line and column of what is wrong.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        ensure!(folder.is_dir(), "{} is not a folder with a scenario in it", folder.display());
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Self::load(name, Files::Folder(folder.to_owned()))
    }

    /// The scenario that the binary carries.
    ///
    /// # Errors
    /// Never for a binary whose tests passed.
    pub fn bundled() -> anyhow::Result<Self> {
        Self::load(bundled::NAME.to_owned(), Files::Bundled)
    }

    fn load(name: String, files: Files) -> anyhow::Result<Self> {
        let text = files.read_text(SCENARIO_FILE)?;
        let (summary, start, steps) =
            parse(&text).map_err(|error| anyhow!("{}{error:#}", files.show(SCENARIO_FILE)))?;
        let path = files.show(CONFIG_FILE);
        let text = files.read_text(CONFIG_FILE)?;
        let config = ConfigFile::parse(Path::new(&path), &text).map_err(|rejected| {
            let first = rejected.diagnostics.into_iter().next();
            first.map_or_else(|| anyhow!("{path} cannot be read"), |first| anyhow!("{}", first.one_line()))
        })?;
        Ok(Self { name, summary, start, steps, config, files })
    }

    /// The content of a file of this scenario.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn file(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        self.files.read(name)
    }

    /// The time of the last step, or the start when there is none.
    #[must_use]
    pub fn end(&self) -> Nanos {
        self.steps.last().map_or(self.start, |step| step.at)
    }
}

// === impl Files ===

impl Files {
    fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        // A scenario that somebody else wrote must not read what lies outside of its folder.
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(inside, "{name:?} does not name a file in the folder of the scenario");
        match self {
            Self::Folder(folder) => {
                fs::read(folder.join(name)).with_context(|| format!("cannot read {}", self.show(name)))
            }
            Self::Bundled => {
                let file = bundled::FILES.get_file(name);
                file.map(|file| file.contents().to_vec()).with_context(|| format!("there is no {}", self.show(name)))
            }
        }
    }

    fn read_text(&self, name: &str) -> anyhow::Result<String> {
        String::from_utf8(self.read(name)?).with_context(|| format!("{} is not UTF-8", self.show(name)))
    }

    fn show(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Bundled => format!("{name} of the bundled scenario"),
        }
    }
}

/// Reads `scenario.yaml`. Errors begin with `:line:column: `, or with `: ` where there is no place.
fn parse(text: &str) -> anyhow::Result<(String, Nanos, Vec<Step>)> {
    let options = serde_saphyr::options! { with_snippet: false };
    let document: Document =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
            Some(place) => at_place(place, error.without_snippet()),
            None => anyhow!(": {error}"),
        })?;
    let start = parse_time(&document.start.value).map_err(|error| at_place(document.start.referenced, &error))?;
    let mut steps: Vec<Step> = Vec::with_capacity(document.steps.len());
    for raw in document.steps {
        let earliest = steps.last().map_or(start, |step| step.at);
        let step = raw.value.into_step(start, earliest).map_err(|error| at_place(raw.referenced, &error))?;
        steps.push(step);
    }
    Ok((document.summary.trim().to_owned(), start, steps))
}

fn at_place(place: serde_saphyr::Location, error: &dyn std::fmt::Display) -> anyhow::Error {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    anyhow!(":{}:{}: {message}", place.line(), place.column())
}

// === impl RawStep ===

impl RawStep {
    fn into_step(self, start: Nanos, earliest: Nanos) -> anyhow::Result<Step> {
        let at = match parse_length(&self.at) {
            Ok(length) => start.checked_add(length).context("`at` is too late for OTLP")?,
            Err(_) => parse_time(&self.at)
                .map_err(|_| anyhow!("`at: {}` is neither a length of time like 5m nor an RFC 3339 time", self.at))?,
        };
        ensure!(at >= earliest, "`at: {}` is before the step above", self.at);
        Ok(Step { at, action: self.into_action()? })
    }

    fn into_action(self) -> anyhow::Result<Action> {
        let of_webhooks = self.source.is_some()
            || self.sign.is_some()
            || self.headers.is_some()
            || self.method.is_some()
            || self.pad.is_some()
            || self.commit.is_some();
        let of_telemetry = self.signal.is_some();
        let Self { telemetry, generate, signal, webhook, source, sign, headers, method, pad, commit, .. } = self;
        match (telemetry, generate, webhook, self.expire, self.restart) {
            (file, generate, None, None, None) if file.is_some() != generate.is_some() => {
                ensure!(!of_webhooks, "this step has keys that only a step with `webhook` can have");
                let SignalName(signal) = signal.context("a step with telemetry needs `signal`")?;
                Ok(Action::Telemetry(TelemetryStep { signal, file, generate }))
            }
            (None, None, Some(file), None, None) => {
                ensure!(!of_telemetry, "`signal` belongs to steps with telemetry");
                Ok(Action::Webhook(WebhookStep {
                    file,
                    source: source.context("a step with `webhook` needs `source`")?,
                    sign: match sign {
                        None | Some(RawSign::Switch(true)) => Sign::Configured,
                        Some(RawSign::Switch(false)) => Sign::No,
                        Some(RawSign::Secret(secret)) => Sign::With(secret),
                    },
                    headers: headers.unwrap_or_default(),
                    method: method.unwrap_or_else(|| "POST".to_owned()),
                    pad,
                    commit_fails: commit == Some(RawCommit::Fail),
                }))
            }
            (None, None, None, Some(true), None) if !of_webhooks && !of_telemetry => Ok(Action::Expire),
            (None, None, None, None, Some(true)) if !of_webhooks && !of_telemetry => Ok(Action::Restart),
            _ => bail!(
                "a step has exactly one of `telemetry: FILE`, `generate: {{…}}`, `webhook: FILE`, `expire: true` and \
                 `restart: true`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps: &str, expected: &str) {
        let text = format!("summary: s\nstart: 2026-03-01T10:00:00Z\nsteps:\n{steps}\n");
        let found = match parse(&text) {
            Ok((_, start, steps)) => {
                steps.iter().map(|step| format!("{}s ", (step.at - start) / 1_000_000_000)).collect()
            }
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn steps_are_at_lengths_of_time_or_at_times() {
        check("  - { at: 2m, expire: true }\n  - { at: 2026-03-01T10:03:00Z, restart: true }", "120s 180s");
    }

    #[test]
    fn a_step_before_the_one_above_is_refused_with_its_place() {
        check("  - { at: 2m, expire: true }\n  - { at: 1m, expire: true }", ":5:5: `at: 1m` is before the step above");
    }

    #[test]
    fn a_step_does_one_thing() {
        check("  - at: 2m", ":4:5: a step has exactly one of");
        check("  - { at: 2m, expire: true, restart: true }", "a step has exactly one of");
        check("  - { at: 2m, telemetry: a.json, webhook: b.json }", "a step has exactly one of");
    }

    #[test]
    fn keys_of_another_kind_of_step_are_refused() {
        check("  - { at: 2m, telemetry: a.json, signal: traces, pad: 5 }", "only a step with `webhook` can have");
        check("  - { at: 2m, telemetry: a.json }", "needs `signal`");
        check("  - { at: 2m, webhook: a.json }", "needs `source`");
        check("  - { at: 2m, telemetri: a.json }", ":4:");
    }

    #[test]
    fn files_outside_of_the_folder_are_not_read() {
        let files = Files::Folder(PathBuf::from("."));
        for name in ["../Cargo.toml", "/etc/hostname", "a/../../b"] {
            let error = files.read(name).unwrap_err().to_string();
            assert!(error.contains("does not name a file in the folder"), "{error}");
        }
    }

    #[test]
    fn the_bundled_scenario_can_be_read() {
        let scenario = Scenario::bundled().unwrap();
        assert!(!scenario.steps.is_empty());
        assert!(scenario.file("../Cargo.toml").is_err());
    }
}
