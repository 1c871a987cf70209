//! Finds all faults of a configuration at once: those of reading, and then what reads well and still cannot be meant.

mod meaning;

use serde_json::{Map, Value};

use super::Config;
use crate::document::{Fault, Faults, Place, Read};
use crate::limits;

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
        let mut document: Value = serde_json::from_slice(json.as_bytes())
            .map_err(|error| vec![Fault::whole(format!("the configuration is not JSON: {error}"))])?;
        if document.is_null() {
            document = Value::Object(Map::new());
        }
        let faults = Faults::default();
        let config = Self::read(&Place::root(&document, &faults)).unwrap_or_default();
        let meaning = meaning::check(&config, &|place| faults.has_at_or_below(place));
        // What a stand-in lacks is no fault of the document.
        let errors: Vec<Fault> =
            meaning.errors.into_iter().filter(|fault| !faults.has_at_or_above(&fault.pointer)).collect();
        errors.into_iter().for_each(|fault| faults.note(fault));
        let faults = faults.into_inner();
        if faults.is_empty() { Ok((config, meaning.warnings)) } else { Err(faults) }
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
    fn what_was_expected_is_said_without_words_of_rust() {
        let faults = faults(
            r#"{"limits": {"batch_bytes": "many", "webhook_bytes": 5000000000}, "marking": 1, "carry_merged_services": "yes",
                "sources": {"am": {"kind": "alertmanager", "tokens": ["t"], "match": [{"labels": {"team": 1}}, {}]}}}"#,
        );
        let faults: Vec<String> = faults.into_iter().map(|(pointer, message)| format!("{pointer} {message}")).collect();
        assert_eq!(
            faults,
            [
                "/marking expected `on` or `off`, found `1`",
                "/sources/am/match/0/labels/team expected a string or a list of strings, found `1`",
                "/sources/am/match/1 missing field `labels`",
                "/carry_merged_services expected `true` or `false`, found `yes`",
                "/limits/batch_bytes expected a whole number, found `many`",
                "/limits/webhook_bytes expected at most 4294967295, found `5000000000`",
            ]
        );
    }

    #[test]
    fn no_more_faults_are_listed_than_anybody_reads() {
        let wrong = vec!["1"; limits::CONFIG_ERRORS_MAX + 50].join(", ");
        assert_eq!(faults(&format!(r#"{{"service_labels": [{wrong}]}}"#)).len(), limits::CONFIG_ERRORS_MAX);
    }

    #[test]
    fn an_empty_document_is_a_configuration() {
        assert!(Config::check("{}").is_ok());
        assert!(Config::check("null").is_ok());
        assert!(Config::check("[]").is_err());
        assert!(Config::check("{").is_err());
    }
}
