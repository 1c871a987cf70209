//! `faultline:incident/processor`.

use faultline_annotator::config::Fault;
use faultline_annotator::{Outcome, Scope, otlp};

use crate::bindings::exports::faultline::incident::processor::{
    self, Affected, ConfigError, ConfigWarning, Guest, Signal, UnixNanos,
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
}

fn otlp_signal(signal: Signal) -> otlp::Signal {
    match signal {
        Signal::Traces => otlp::Signal::Traces,
        Signal::Metrics => otlp::Signal::Metrics,
        Signal::Logs => otlp::Signal::Logs,
    }
}

fn config_error(fault: Fault) -> ConfigError {
    let Fault { pointer, message, hint } = fault;
    ConfigError { pointer, message, hint }
}
