//! Configurations of arbitrary text.

use std::fmt::Debug;

use faultline_annotator::{
    Annotator,
    config::{Config, Fault},
    limits,
};
use serde_json::Value;

/// Nothing panics. A fault points to something in the document, or to a key that is missing from something in it; there are
/// no more than people read. What is taken is taken again with the same warnings and the same meaning, by an annotator too.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let document = serde_json::from_str::<Value>(&text);
    match Config::check(&text) {
        Err(faults) => {
            assert!((1..=limits::CONFIG_ERRORS_MAX).contains(&faults.len()));
            match document {
                Ok(document) => faults.iter().for_each(|fault| check_pointer(fault, &document)),
                Err(_) => assert!(faults.len() == 1 && faults[0].pointer.is_empty(), "{faults:?}"),
            }
        }
        Ok((config, warnings)) => {
            let document = document.expect("what is taken is JSON");
            warnings.iter().for_each(|warning| check_pointer(warning, &document));
            check_again(&text, &config, &warnings);
        }
    }
}

fn check_pointer(fault: &Fault, document: &Value) {
    let Fault { pointer, message, hint: _ } = fault;
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let resolves = document.pointer(pointer).is_some() || document.pointer(parent).is_some();
    assert!(resolves, "{pointer:?} leads nowhere: {message}");
    assert!(!message.is_empty());
}

fn check_again(text: &str, config: &Config, warnings: &[Fault]) {
    let (again, warnings_again) = Config::check(text).expect("it was taken before");
    assert!(same(&again, config) && warnings_again == warnings);
    let mut annotator = Annotator::default();
    for instance in ["first", "second"] {
        assert_eq!(annotator.configure(text, instance).as_deref(), Ok(warnings));
    }
}

/// Secrets are hidden in this form, and have no other meaning than themselves.
fn same(left: &impl Debug, right: &impl Debug) -> bool {
    format!("{left:?}") == format!("{right:?}")
}
