//! A scenario, played through the real Collector: its times moved, so that it ends now.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use faultline::plugin::Signal as PluginSignal;
use faultline::scenario::{Action, Scenario, Sign, TelemetryStep, WebhookStep};
use faultline::signature;
use faultline::telemetry::{Batch, Item};
use faultline::time::{Nanos, Rfc3339, now, parse_time};
use faultline_test_support::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::servers::{Collector, eventually, file, http};
use super::{COLLECTOR, SECRETS};

/// A scenario of JSON files and of sources that say RFC 3339.
pub(crate) struct RealScenario {
    scenario: Scenario,
    /// The lines of `expected.ndjson`, one a step.
    expected: Vec<Value>,
    /// By how much its times are moved.
    later: Nanos,
}

/// How many items got which attributes, by service.
type Marks = BTreeMap<(String, String), usize>;

// === impl RealScenario ===

impl RealScenario {
    /// The folder of that name.
    pub(crate) fn read(name: &str) -> Self {
        let folder = file("tests/scenarios").join(name);
        let scenario = Scenario::read(&folder).expect("the scenario can be read");
        let expected = fs::read_to_string(folder.join("expected.ndjson")).expect("what is expected can be read");
        let expected = expected.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        let later = now() - scenario.end();
        Self { scenario, expected, later }
    }

    /// Plays it, and holds that webhooks are answered and items are marked as is expected of the component.
    pub(crate) fn check(&self) {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let configuration = self.configuration(&folder);
        let collector = Collector::start_with_plugin(configuration.to_str().expect("the path is a text"), &SECRETS);
        for (step, expected) in self.scenario.steps.iter().zip(&self.expected) {
            match &step.action {
                Action::Webhook(webhook) => self.webhook(&collector, webhook, &expected["webhook"]),
                Action::Telemetry(telemetry) => self.telemetry(&collector, telemetry, &expected["telemetry"]),
                Action::Expire | Action::Restart => panic!("this scenario cannot be played in a minute"),
            }
        }
    }

    /// That of `deploy/`, with the sources and services of the scenario. JSON is YAML.
    fn configuration(&self, folder: &TempDir) -> PathBuf {
        let text = fs::read_to_string(file(COLLECTOR)).expect("the configuration can be read");
        let (before, rest) = text.split_once("    sources:\n").expect("it has sources");
        let (_, after) = rest.split_once("\nreceivers:\n").expect("it has receivers");
        let Value::Object(settings) = self.scenario.config.to_json_value() else { panic!("it is no object") };
        let lines =
            settings.iter().map(|(key, value)| format!("    {key}: {}\n", value.to_string().replace('$', "$$")));
        let path = folder.path().join("collector.yaml");
        let lines: String = lines.collect();
        fs::write(&path, format!("{before}{lines}\nreceivers:\n{after}")).expect("the configuration can be written");
        path
    }

    fn webhook(&self, collector: &Collector, step: &WebhookStep, expected: &Value) {
        let content = self.scenario.file(&step.file).expect("the webhook can be read");
        let body = self.moved(&content).to_string();
        let root = self.scenario.config.root();
        let sign = |secret| signature::sign(root, &step.source, secret, body.as_bytes()).expect("it can be signed");
        let signed = match &step.sign {
            Sign::With(secret) => sign(Some(secret.as_str())),
            Sign::Configured => sign(None),
            Sign::No => Vec::new(),
        };
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        headers.extend(step.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let path = format!("/webhooks/{}", step.source);
        let answer = http::post(collector.webhooks(), &path, &headers, body.as_bytes()).expect("it answers");
        assert_eq!(json!(answer.status), expected["status"], "{}: {}", step.file, answer.text());
    }

    fn telemetry(&self, collector: &Collector, step: &TelemetryStep, expected: &Value) {
        let name = step.file.as_ref().expect("the batch is a file");
        let content = self.scenario.file(name).expect("the batch can be read");
        let json = self.moved(&content).to_string();
        let sent = Batch::from_json(step.signal, json.as_bytes()).expect("the batch is OTLP/JSON");
        let signal = match step.signal {
            PluginSignal::Traces => Signal::Traces,
            PluginSignal::Metrics => Signal::Metrics,
            PluginSignal::Logs => Signal::Logs,
        };
        let before = collector.written(signal).len();
        collector.send(signal, &sent.encode());
        let written = eventually("the batch in the file", || {
            let written = collector.written(signal);
            (written.len() > before).then_some(written)
        });
        let arrived =
            Batch::from_json(step.signal, written[before].to_string().as_bytes()).expect("a line is OTLP/JSON");
        assert_eq!(marks(&sent.items(), &arrived.items()), expected_marks(expected), "{name}");
    }

    /// The same JSON with all its times moved.
    fn moved(&self, content: &[u8]) -> Value {
        let mut value = serde_json::from_slice(content).expect("the file is JSON");
        self.move_times(&mut value);
        value
    }

    fn move_times(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(nanos) if name.ends_with("UnixNano") => {
                            let at: Nanos = nanos.parse().expect("it is a number of nanoseconds");
                            *nanos = (at + self.later).to_string();
                        }
                        other => self.move_times(other),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.move_times(value)),
            Value::String(text) => {
                // Alertmanager's "no end" is the year 1, which is before all times that there are.
                if let Ok(at) = parse_time(text)
                    && at > 0
                {
                    *text = Rfc3339(at + self.later).to_string();
                }
            }
            _ => {}
        }
    }
}

/// What was added to which items; all of them, with all that they had, must be there in their order.
fn marks(sent: &[Item], arrived: &[Item]) -> Marks {
    assert_eq!(sent.len(), arrived.len(), "items in = items out");
    let mut marks = Marks::new();
    for (before, after) in sent.iter().zip(arrived) {
        assert_eq!(before.name, after.name, "items are in their order");
        let had = |key: &String| before.attributes.iter().any(|(name, _)| name == key);
        let kept: Vec<_> = after.attributes.iter().filter(|(key, _)| had(key)).cloned().collect();
        assert_eq!(before.attributes, kept, "{}", before.name);
        let added: BTreeMap<_, _> = after.attributes.iter().filter(|(key, _)| !had(key)).cloned().collect();
        *marks.entry((before.service.clone().unwrap_or_default(), json!(added).to_string())).or_default() += 1;
    }
    marks
}

fn expected_marks(telemetry: &Value) -> Marks {
    let mut marks = Marks::new();
    for group in telemetry["groups"].as_array().expect("groups are a list") {
        let service = group["service"].as_str().expect("a service has a name").to_owned();
        let added: BTreeMap<String, Value> =
            serde_json::from_value(group.get("added").cloned().unwrap_or_else(|| json!({}))).expect("an object");
        let items = group["items"].as_u64().expect("a number");
        *marks.entry((service, json!(added).to_string())).or_default() += usize::try_from(items).expect("a few");
    }
    marks
}
