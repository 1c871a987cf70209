//! `faultline:incident/processor`.

use faultline_annotator::annotation::Value;
use faultline_annotator::config::Fault;
use faultline_annotator::{Outcome, Scope, otlp};

use crate::bindings::exports::faultline::incident::processor::{
    self, Affected, Attribute, AttributeValue, ConfigError, ConfigWarning, EditList, Guest, ItemMark, ItemMarks,
    Signal, UnixNanos,
};
use crate::{Component, with_annotator};

impl Guest for Component {
    fn configure(config: String, instance: String) -> Result<Vec<ConfigWarning>, Vec<ConfigError>> {
        let listed = |faults: Vec<Fault>| faults.into_iter().map(config_error).collect();
        with_annotator(|annotator| annotator.configure(&config, &instance)).map(listed).map_err(listed)
    }

    fn interest(signal: Signal, now: UnixNanos) -> Affected {
        let affected = with_annotator(|annotator| annotator.interest(otlp_signal(signal), now));
        let marks = match affected.marks {
            Scope::Nothing => processor::Scope::Nothing,
            Scope::Everything => processor::Scope::Everything,
            Scope::Services(services) => processor::Scope::Services(services),
        };
        Affected { marks, evidence_one_in: affected.evidence_one_in }
    }

    fn process(signal: Signal, batch: Vec<u8>, now: UnixNanos) -> processor::Outcome {
        match with_annotator(|annotator| annotator.process(otlp_signal(signal), &batch, now)) {
            Outcome::Unchanged => processor::Outcome::Unchanged,
            Outcome::Replaced(bytes) => processor::Outcome::Replaced(bytes),
            Outcome::Refused(reason) => processor::Outcome::Refused(reason),
        }
    }

    fn edits(signal: Signal, batch: Vec<u8>, now: UnixNanos) -> Result<EditList, String> {
        let otlp::EditList { edits, inserts } =
            with_annotator(|annotator| annotator.edits(otlp_signal(signal), &batch, now))?;
        Ok(EditList { edits, inserts })
    }

    fn marks(signal: Signal, batch: Vec<u8>, now: UnixNanos) -> Result<ItemMarks, String> {
        let otlp::ItemMarks { sets, items } =
            with_annotator(|annotator| annotator.marks(otlp_signal(signal), &batch, now))?;
        Ok(ItemMarks {
            sets: sets.into_iter().map(|set| set.into_iter().map(attribute).collect()).collect(),
            items: items.into_iter().map(item_mark).collect(),
        })
    }
}

fn otlp_signal(signal: Signal) -> otlp::Signal {
    match signal {
        Signal::Traces => otlp::Signal::Traces,
        Signal::Metrics => otlp::Signal::Metrics,
        Signal::Logs => otlp::Signal::Logs,
    }
}

fn attribute((key, value): (String, Value)) -> Attribute {
    let value = match value {
        Value::Text(text) => AttributeValue::Text(text),
        Value::Flag(flag) => AttributeValue::Flag(flag),
        Value::Texts(texts) => AttributeValue::Texts(texts),
    };
    Attribute { key, value }
}

fn item_mark(mark: otlp::ItemMark) -> ItemMark {
    let otlp::ItemMark { resource, item, exemplar, attributes } = mark;
    ItemMark { resource, item, exemplar, attributes }
}

fn config_error(fault: Fault) -> ConfigError {
    let Fault { pointer, message, hint } = fault;
    ConfigError { pointer, message, hint }
}
