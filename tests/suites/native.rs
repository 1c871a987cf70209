//! The annotator compiled for this machine, behind the same trait as the component: the second build.

use faultline::plugin::{
    Affected, Asked, Attribute, AttributeValue, Build, ConfigError, ConfigWarning, Counter, Edits, Entry, Expiry,
    Explanation, Extent, Gap, Incident, ItemMark, ItemMarks, Merged, Outcome, Plugin, Receipt, Scope, Signal,
    Transition, Trap, Webhook, Window,
};
use faultline::time::Nanos;
use faultline_annotator::annotation::Value;
use faultline_annotator::config::Fault;
use faultline_annotator::status::Status;
use faultline_annotator::{Annotator, entry, gaps, otlp, state, webhook};

/// Makes annotators.
pub(crate) struct Native;

/// An annotator as a plugin. It cannot trap: a panic fails the test.
struct NativePlugin(Annotator);

impl Build for Native {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        Ok(Box::new(NativePlugin(Annotator::default())))
    }
}

impl Plugin for NativePlugin {
    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        let faults = |faults: Vec<Fault>| faults.into_iter().map(config_error).collect();
        Ok(self.0.configure(config, instance).map(faults).map_err(faults))
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        let faultline_annotator::Affected { marks, evidence_one_in } = self.0.interest(otlp_signal(signal), now);
        let marks = match marks {
            faultline_annotator::Scope::Nothing => Scope::Nothing,
            faultline_annotator::Scope::Everything => Scope::Everything,
            faultline_annotator::Scope::Services(services) => Scope::Services(services),
        };
        Ok(Affected { marks, evidence_one_in })
    }

    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        Ok(match self.0.process(otlp_signal(signal), batch, now) {
            faultline_annotator::Outcome::Unchanged => Outcome::Unchanged,
            faultline_annotator::Outcome::Replaced(bytes) => Outcome::Replaced(bytes),
            faultline_annotator::Outcome::Refused(reason) => Outcome::Refused(reason),
        })
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        let edits = self.0.edits(otlp_signal(signal), batch, now);
        Ok(edits.map(|otlp::EditList { edits, inserts }| Edits { edits, inserts }))
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        Ok(self.0.marks(otlp_signal(signal), batch, now).map(item_marks))
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        let Webhook { method, url, headers, body } = webhook.clone();
        let receipt = self.0.receive(source, &webhook::Webhook { method, url, headers, body }, now);
        let webhook::Receipt { status, retry_after_secs, body, entries, transitions } = receipt;
        let transitions = transitions.into_iter().map(transition).collect();
        Ok(Receipt { status, retry_after_secs, body, entries: to_host(entries), transitions })
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        let entries: Vec<_> = entries.iter().cloned().map(|Entry { key, bytes }| entry::Entry { key, bytes }).collect();
        let merged = self.0.merge(&entries, now);
        Ok(merged.map(|state::Merged { changed, set_aside, foreign: _ }| Merged { changed, set_aside }))
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        let faultline_annotator::Expiry { entries, transitions } = self.0.expire(now);
        Ok(Expiry { entries: to_host(entries), transitions: transitions.into_iter().map(transition).collect() })
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        let extent = match what {
            Extent::IncidentsOnly => state::Extent::IncidentsOnly,
            Extent::All => state::Extent::All,
        };
        Ok(to_host(self.0.state(extent)))
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        Ok(self.0.open(now).into_iter().map(incident).collect())
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        Ok(self.0.find(name, now).map(incident))
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        let Asked { service, namespace, environment, time } = asked;
        let item = faultline_annotator::status::Item { service, namespace, environment, time };
        let explanations = self.0.explain(item, now).into_iter();
        Ok(explanations
            .map(|faultline_annotator::status::Explanation { incident, marks, reason }| Explanation {
                incident,
                marks,
                reason,
            })
            .collect())
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        let gap = |gap: gaps::Gap| {
            let gaps::Gap { kind, subject, detail, suggestion, count } = gap;
            Gap { kind: kind.to_owned(), subject, detail, suggestion, count }
        };
        Ok(self.0.gaps(now).into_iter().map(gap).collect())
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        let counters = self.0.counters().into_iter();
        Ok(counters
            .map(|faultline_annotator::counters::Counter { name, attributes, value }| Counter {
                name,
                attributes,
                value,
            })
            .collect())
    }
}

fn otlp_signal(signal: Signal) -> otlp::Signal {
    match signal {
        Signal::Traces => otlp::Signal::Traces,
        Signal::Metrics => otlp::Signal::Metrics,
        Signal::Logs => otlp::Signal::Logs,
    }
}

fn item_marks(marks: otlp::ItemMarks) -> ItemMarks {
    let attribute = |(key, value)| {
        let value = match value {
            Value::Text(text) => AttributeValue::Text(text),
            Value::Flag(flag) => AttributeValue::Flag(flag),
            Value::Texts(texts) => AttributeValue::Texts(texts),
        };
        Attribute { key, value }
    };
    let item =
        |otlp::ItemMark { resource, item, exemplar, attributes }| ItemMark { resource, item, exemplar, attributes };
    ItemMarks {
        sets: marks.sets.into_iter().map(|set| set.into_iter().map(attribute).collect()).collect(),
        items: marks.items.into_iter().map(item).collect(),
    }
}

fn config_error(fault: Fault) -> ConfigError {
    let Fault { pointer, message, hint } = fault;
    ConfigError { pointer, message, hint }
}

fn to_host(entries: Vec<entry::Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry::Entry { key, bytes }| Entry { key, bytes }).collect()
}

fn transition(transition: webhook::Transition) -> Transition {
    let webhook::Transition { source, incident, kind, from, to, at, services, reason } = transition;
    let (kind, from, to) = (kind.to_owned(), from.map(str::to_owned), to.to_owned());
    Transition { source, incident, kind, from, to, at, services, reason }
}

fn incident(status: Status) -> Incident {
    let Status { view, windows, reach } = status;
    let windows = windows.into_iter().map(|state::EventWindow { from, until }| Window { from, until }).collect();
    Incident {
        id: view.key.to_string(),
        kind: view.kind().name().to_owned(),
        state: view.state_name().to_owned(),
        open: view.is_open(),
        severity: view.severity().name().to_owned(),
        started: view.started,
        ended: view.ended,
        lease_until: view.lease_until,
        windows,
        services: reach.services(),
        reason: reach.reason,
        display: view.snapshot.display.unwrap_or_default(),
        title: view.snapshot.title.unwrap_or_default(),
        url: view.snapshot.url.unwrap_or_default(),
        source: view.key.source,
        external_id: view.key.id,
    }
}
