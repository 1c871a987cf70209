//! What the component makes of a batch is what decoding, editing and encoding with prost makes of it.

mod manual;
mod support;

use faultline::guest::{EMBEDDED, GuestBuild, Limits};
use faultline::host::{Host, Processed};
use faultline::journal::MemoryJournal;
use faultline::plugin::{self, Outcome};
use faultline::time::{Nanos, SECOND};
use faultline_test_support::opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};
use faultline_test_support::oracle::{self, Group};
use faultline_test_support::{Generator, Incidents, MarkedSpans, Options, Owner, Signal};
use manual::{NOW, webhook};

const CONFIG: &str = r#"{"sources": {"manual": {"kind": "manual", "tokens": ["manual-test-token"]}},
    "metrics": {"points": "on", "accept_identity_change": true, "exemplars": "on"}}"#;
const MINUTE: Nanos = 60 * SECOND;

/// Two incidents, told to the plugin by webhook and to the oracle in plain words.
struct Outage;

impl Incidents for Outage {
    fn concern(&self, owner: &Owner) -> bool {
        matches!(owner.service.as_deref(), Some("checkout" | "cart"))
    }

    fn groups(&self, owner: &Owner, _from: u64, until: u64) -> Vec<Group> {
        let text = |text: &str| AnyValue { value: Some(Value::StringValue(text.to_owned())) };
        let flag = AnyValue { value: Some(Value::BoolValue(true)) };
        let ids = ArrayValue { values: vec![text("manual:1"), text("manual:2")] };
        let attribute = |key: &str, value: AnyValue| (format!("incident.{key}"), value);
        // Checkout is broken since ten minutes ago; of cart it is known for a minute, and five are looked back.
        let (id, severity, both) = match owner.service.as_deref() {
            Some("checkout") if until >= NOW - 6 * MINUTE => ("manual:1", "critical", true),
            Some("checkout") => ("manual:1", "critical", false),
            _ if until >= NOW - 6 * MINUTE => ("manual:2", "low", false),
            _ => return Vec::new(),
        };
        let mut group = vec![attribute("id", text(id))];
        if both {
            group.push(attribute("ids", AnyValue { value: Some(Value::ArrayValue(ids)) }));
        }
        group.push(attribute("active", flag));
        group.push(attribute("severity", text(severity)));
        vec![group]
    }
}

/// Scenario: 8, 512 and 8192 spans, log records and data points of three services, over the last twelve minutes.
/// Guarantees: the component's bytes are the oracle's, and its counters agree.
#[test]
fn batches_of_every_size_and_signal_leave_the_component_as_the_oracle_says() {
    let build = GuestBuild::new(EMBEDDED, Limits::default(), support::cache()).expect("the component compiles");
    let Ok((mut host, _)) = Host::new(&build, CONFIG.to_owned(), MemoryJournal::default(), "test", NOW) else {
        panic!("the configuration is valid")
    };
    for body in [
        r#"{"action": "open", "id": "1", "severity": "critical", "services": ["checkout"], "at": "2026-03-01T09:51:00Z"}"#,
        r#"{"action": "open", "id": "2", "severity": "low", "services": ["checkout", "cart"], "at": "2026-03-01T10:00:00Z"}"#,
    ] {
        assert_eq!(host.receive("manual", &webhook(body), NOW).expect("it is received").status, 202);
    }
    let options = Options { spans: MarkedSpans::All, logs: true, points: true, exemplars: true };
    let mut marked = 0;
    for (items, seed) in [(8, 1), (8, 2), (512, 3), (8192, 4)] {
        let services = ["checkout", "cart", "frontend"].map(str::to_owned).to_vec();
        let generator =
            Generator { seed, items, services, from: NOW - 12 * MINUTE, until: NOW, ..Generator::default() };
        for (signal, plain) in [
            (plugin::Signal::Traces, Signal::Traces),
            (plugin::Signal::Metrics, Signal::Metrics),
            (plugin::Signal::Logs, Signal::Logs),
        ] {
            let batch = generator.bytes(plain);
            let expected = oracle::annotate(plain, &batch, &options, &Outage).expect("prost reads what it wrote");
            let found = match host.process(signal, &batch, NOW).expect("the host goes on") {
                Processed::Answered(Outcome::Replaced(bytes)) => Some(bytes),
                Processed::Answered(Outcome::Unchanged) => None,
                other => panic!("{items} items: {other:.200?}"),
            };
            assert!(found == expected.bytes, "{items} items of {plain:?}: the component's bytes are not the oracle's");
            marked += expected.counts.items_marked;
        }
    }
    assert!(marked > 9000, "only {marked} items were to be marked: the batches no longer test anything");
    let counters = host.counters().expect("counters can be asked for");
    let counted: u64 = counters.iter().filter(|one| one.name == "items.marked").map(|one| one.value).sum();
    assert_eq!(counted, marked);
}
