//! A plugin whose `process` goes through `marks`: what a host does that holds telemetry decoded.

use faultline::plugin::{
    Affected, Asked, Attribute, AttributeValue, Build, ConfigError, ConfigWarning, Counter, Edits, Entry, Expiry,
    Explanation, Extent, Gap, Incident, ItemMark, ItemMarks, Merged, Outcome, Plugin, Receipt, Signal, Trap, Webhook,
};
use faultline::time::Nanos;
use faultline_test_support::applier::{self, Mark};
use faultline_test_support::opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};

/// A build whose plugins answer `process` from what `marks` says, with `prost`. Unknown fields get lost on that way.
pub(crate) struct ByMarks<'b, B>(pub(crate) &'b B);

struct MarkingPlugin(Box<dyn Plugin>);

impl<B: Build> Build for ByMarks<'_, B> {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        Ok(Box::new(MarkingPlugin(self.0.instantiate()?)))
    }
}

impl Plugin for MarkingPlugin {
    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        let ItemMarks { sets, items } = match self.0.marks(signal, batch, now)? {
            Ok(marks) => marks,
            Err(reason) => return Ok(Outcome::Refused(reason)),
        };
        if items.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let sets: Vec<Vec<_>> = sets.into_iter().map(|set| set.into_iter().map(attribute).collect()).collect();
        let items: Vec<Mark> = items.into_iter().map(mark).collect();
        let applied = applier::apply(plain_signal(signal), batch, &sets, &items);
        Ok(Outcome::Replaced(applied.expect("a batch that is marked can be decoded")))
    }

    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        self.0.configure(config, instance)
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        self.0.interest(signal, now)
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        self.0.edits(signal, batch, now)
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        self.0.marks(signal, batch, now)
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        self.0.receive(source, webhook, now)
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        self.0.merge(entries, now)
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        self.0.expire(now)
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        self.0.state(what)
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        self.0.open(now)
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        self.0.find(name, now)
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        self.0.explain(asked, now)
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        self.0.gaps(now)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        self.0.counters()
    }
}

/// The word of the test support for it.
pub(crate) fn plain_signal(signal: Signal) -> faultline_test_support::Signal {
    match signal {
        Signal::Traces => faultline_test_support::Signal::Traces,
        Signal::Metrics => faultline_test_support::Signal::Metrics,
        Signal::Logs => faultline_test_support::Signal::Logs,
    }
}

fn mark(ItemMark { resource, item, exemplar, attributes }: ItemMark) -> Mark {
    Mark { resource, item, exemplar, set: attributes }
}

fn attribute(Attribute { key, value }: Attribute) -> (String, AnyValue) {
    let text = |text| AnyValue { value: Some(Value::StringValue(text)) };
    let value = match value {
        AttributeValue::Text(one) => text(one),
        AttributeValue::Flag(flag) => AnyValue { value: Some(Value::BoolValue(flag)) },
        AttributeValue::Texts(several) => {
            let values = several.into_iter().map(text).collect();
            AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
        }
    };
    (key, value)
}
