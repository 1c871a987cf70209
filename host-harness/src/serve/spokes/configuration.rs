//! What of the hub's configuration decides which telemetry an incident marks. Spokes get this part, so that all of them map
//! services as the hub does, and a map that is repaired there heals everywhere.
//!
//! | key | what is in it |
//! |---|---|
//! | `marking` | `on`, or `off` while the hub's stop switch or its configuration says so: spokes stop too |
//! | [`SHARED`] | as they are configured; what is not configured is not there, and has the plugin's default |
//! | `sources` | each source by name, with what of it concerns marking ([`OF_SOURCE`]) |
//!
//! How a source's webhooks are read is no concern of a spoke. Of its kind no more is left than that: `generic` where names
//! of services are names of telemetry, with the least that such a source must have, and `manual` for all others. So a spoke
//! takes sources of kinds that are newer than its plugin. Credentials are never there; a plugin that refuses sources
//! without them is given made-up `tokens` by the spoke, which must not open webhooks of these sources.
//!
//! What is marked *with* and *where* is each spoke's own: `prefix`, `traces`, `logs`, `metrics`, `limits`.

use anyhow::Context;
use faultline_annotator::names::ALWAYS_ON_ALERTS;
use serde_json::{Map, Value, json};

use crate::serve::switch;

/// Keys of the configuration that are the same for all.
pub const SHARED: [&str; 8] = [
    "carry_merged_services",
    "environment_labels",
    "environments",
    "match_normalized_names",
    "service_labels",
    "services",
    "unmatched",
    "window",
];

/// Keys of a source that say what its incidents mark, and with which further attributes.
pub const OF_SOURCE: [&str; 6] = ["attributes", "match", "min_severity", "preset", "unless", "unmatched"];

/// The part of `config`, the plugin's configuration as JSON, that spokes are told.
///
/// # Errors
/// When it is no JSON, which the plugin has seen to.
pub fn of(config: &str, is_marking: bool) -> anyhow::Result<Value> {
    let config: Value = serde_json::from_str(config).context("the configuration is not JSON")?;
    let mut told = picked(&config, &SHARED);
    let is_on = is_marking && !switch::is_off(&config);
    told.insert("marking".to_owned(), Value::from(if is_on { "on" } else { "off" }));
    let sources = config.get("sources").and_then(Value::as_object).into_iter().flatten();
    let sources: Map<String, Value> = sources.map(|(name, source)| (name.clone(), of_source(source))).collect();
    told.insert("sources".to_owned(), sources.into());
    Ok(told.into())
}

fn of_source(source: &Value) -> Value {
    let mut told = picked(source, &OF_SOURCE);
    match source.get("kind").and_then(Value::as_str) {
        Some("generic") => {
            told.insert("kind".to_owned(), Value::from("generic"));
            told.insert("fields".to_owned(), json!({ "id": "" }));
        }
        kind => {
            told.insert("kind".to_owned(), Value::from("manual"));
            // The default of this kind, which goes with its name.
            if kind == Some("alertmanager") && !told.contains_key("unless") {
                told.insert("unless".to_owned(), json!([{ "labels": { "alertname": ALWAYS_ON_ALERTS } }]));
            }
        }
    }
    told.into()
}

/// Members with these keys that have a value.
fn picked(object: &Value, keys: &[&str]) -> Map<String, Value> {
    let member = |key: &&str| Some(((*key).to_owned(), object.get(*key).filter(|value| !value.is_null())?.clone()));
    keys.iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use faultline_annotator::config::Config;

    use super::*;

    /// A configuration with everything in it.
    fn whole() -> Value {
        json!({
            "prefix": "i.", "unmatched": "ignore", "match_normalized_names": true, "environments": { "prod": "production" },
            "services": [{ "source": "pd", "id": "P1", "to": [{ "service": "checkout" }] }],
            "window": { "grace": "1m" }, "service_labels": null,
            "sources": {
                "pd": { "kind": "pagerduty", "secrets": ["hunter2"], "min_severity": "high", "lease": "2h" },
                "am": { "kind": "alertmanager", "tokens": ["hunter2"], "attributes": { "team": "{label:team}" } },
                "am2": { "kind": "alertmanager", "tokens": ["hunter2"], "unless": [] },
                "gh": { "kind": "github", "secrets": ["hunter2"], "preset": "webhookprocessor" },
                "any": {
                    "kind": "generic", "secrets": ["hunter2"], "signature": { "header": "X-Sig" },
                    "fields": { "id": "/alert/id", "delivery": "/delivery" }, "unmatched": "all",
                },
                "by-hand": { "kind": "manual", "tokens": ["hunter2"], "manages": true },
            },
        })
    }

    #[test]
    fn what_decides_is_told_and_nothing_else() {
        assert_eq!(
            of(&whole().to_string(), true).unwrap(),
            json!({
                "marking": "on", "unmatched": "ignore", "match_normalized_names": true,
                "environments": { "prod": "production" },
                "services": [{ "source": "pd", "id": "P1", "to": [{ "service": "checkout" }] }],
                "window": { "grace": "1m" },
                "sources": {
                    "pd": { "kind": "manual", "min_severity": "high" },
                    "am": {
                        "kind": "manual", "attributes": { "team": "{label:team}" },
                        "unless": [{ "labels": { "alertname": ["Watchdog", "InfoInhibitor", "DeadMansSwitch"] } }],
                    },
                    "am2": { "kind": "manual", "unless": [] },
                    "gh": { "kind": "manual", "preset": "webhookprocessor" },
                    "any": { "kind": "generic", "fields": { "id": "" }, "unmatched": "all" },
                    "by-hand": { "kind": "manual" },
                },
            })
        );
    }

    #[test]
    fn a_plugin_takes_it_once_each_source_has_a_token() {
        let mut told = of(&whole().to_string(), true).unwrap();
        for source in told["sources"].as_object_mut().unwrap().values_mut() {
            source["tokens"] = json!(["of the spoke's own making"]);
        }
        Config::check(&told.to_string()).unwrap();
    }

    #[test]
    fn marking_is_off_when_somebody_stopped_it_or_the_configuration_says_so() {
        for (config, is_marking, told) in [
            (json!({}), true, "on"),
            (json!({ "marking": "on" }), false, "off"),
            (json!({ "marking": "off" }), true, "off"),
            (json!({ "marking": false }), true, "off"),
            (json!({ "marking": true }), true, "on"),
        ] {
            assert_eq!(of(&config.to_string(), is_marking).unwrap()["marking"], told, "{config} {is_marking}");
        }
    }
}
