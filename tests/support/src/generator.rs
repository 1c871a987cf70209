//! Batches as production sends them, from a seed.
//!
//! The same [`Generator`] makes the same bytes on every machine and in every version: the random numbers come from
//! ChaCha8, whose stream is specified, and are narrowed here.

mod logs;
mod metrics;
mod random;
mod traces;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
};
use prost::Message;

use self::random::Random;
use crate::Signal;

/// What to generate. One request holds a resource for each service, two scopes in each, and the items spread over them.
///
/// A span takes about 700 bytes: 10 to 14 attributes, and on 4 % of them an event with an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    /// Other seeds give other values; the shape stays.
    pub seed: u64,
    /// How many spans, log records or data points, exactly.
    pub items: usize,
    /// Values of `service.name`, one for each resource. Services that would have less than two items are left out.
    pub services: Vec<String>,
    /// No item begins before; Unix nanoseconds.
    pub from: u64,
    /// No item ends after; Unix nanoseconds, at least `from`.
    pub until: u64,
    /// `deployment.environment.name` of every resource.
    pub environment: Option<String>,
    /// `service.namespace` of every resource.
    pub namespace: Option<String>,
}

/// Items of one resource, in one scope.
struct Share {
    resource: usize,
    scope: usize,
    items: usize,
}

const SCOPES_PER_RESOURCE: usize = 2;
const SCOPE_NAMES: [&str; SCOPES_PER_RESOURCE] = ["io.opentelemetry.tomcat-10.0", "io.opentelemetry.jdbc"];

// === impl Generator ===

impl Default for Generator {
    /// 512 items of ten services, within one minute, without environment and namespace.
    fn default() -> Self {
        let services =
            ["checkout", "cart", "payment", "catalog", "search", "shipping", "currency", "email", "frontend", "quote"];
        Self {
            seed: 1,
            items: 512,
            services: services.map(str::to_owned).to_vec(),
            from: 1_772_359_200_000_000_000,
            until: 1_772_359_260_000_000_000,
            environment: None,
            namespace: None,
        }
    }
}

impl Generator {
    /// Spans in traces of about eight, with parents, kinds, events, links and statuses.
    #[must_use]
    pub fn traces(&self) -> ExportTraceServiceRequest {
        traces::request(self)
    }

    /// Log records with severity, body and trace context; one in eight has an observed time only.
    #[must_use]
    pub fn logs(&self) -> ExportLogsServiceRequest {
        logs::request(self)
    }

    /// Data points of all five kinds of metrics in turn; all but summaries have exemplars.
    #[must_use]
    pub fn metrics(&self) -> ExportMetricsServiceRequest {
        metrics::request(self)
    }

    /// The request of that signal as protobuf.
    #[must_use]
    pub fn bytes(&self, signal: Signal) -> Vec<u8> {
        match signal {
            Signal::Traces => self.traces().encode_to_vec(),
            Signal::Metrics => self.metrics().encode_to_vec(),
            Signal::Logs => self.logs().encode_to_vec(),
        }
    }

    /// Other numbers for each signal, so that a log record does not mirror a span.
    fn random(&self, signal: Signal) -> Random {
        Random::new(self.seed, signal as u64)
    }

    /// How the items spread, by resource and scope in turn.
    fn shares(&self) -> Vec<Share> {
        let resources = self.services.len().min(self.items.div_ceil(2)).max(1);
        let scopes = resources * SCOPES_PER_RESOURCE;
        (0..scopes)
            .map(|index| Share {
                resource: index / SCOPES_PER_RESOURCE,
                scope: index % SCOPES_PER_RESOURCE,
                items: self.items / scopes + usize::from(index < self.items % scopes),
            })
            .collect()
    }

    /// Thirteen attributes, as an SDK with the detectors for host, process and Kubernetes finds them.
    fn resource(&self, index: usize, random: &mut Random) -> Resource {
        let service = self.services.get(index).map_or("unnamed", String::as_str);
        let mut attributes = vec![
            text("service.name", service),
            text("service.version", format!("{}.{}.{}", random.below(4), random.below(20), random.below(10))),
            text("service.instance.id", random.hexadecimal(16)),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", "java"),
            text("telemetry.sdk.version", "1.49.0"),
            text("host.name", format!("ip-10-{}-{}-{}", random.below(256), random.below(256), random.below(256))),
            text("os.type", "linux"),
            integer("process.pid", random.below(32_768) as i64),
            text("k8s.namespace.name", "shop"),
            text("k8s.pod.name", format!("{service}-{}-{}", random.hexadecimal(5), random.hexadecimal(3))),
        ];
        attributes.push(match &self.namespace {
            Some(namespace) => text("service.namespace", namespace),
            None => text("k8s.cluster.name", "eu-central-1a"),
        });
        attributes.push(match &self.environment {
            Some(environment) => text("deployment.environment.name", environment),
            None => text("cloud.region", "eu-central-1"),
        });
        Resource { attributes, ..Resource::default() }
    }

    /// A point in time between `from` and `until`, both included.
    fn time(&self, random: &mut Random) -> u64 {
        let length = self.until.saturating_sub(self.from);
        self.from + random.below(length.saturating_add(1))
    }
}

fn scope(index: usize) -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE_NAMES[index].to_owned(),
        version: "2.15.0-alpha".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    key_value(key, Value::StringValue(value.into()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    key_value(key, Value::IntValue(value))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;

    use super::*;

    fn sized(items: usize) -> Generator {
        Generator { items, ..Generator::default() }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        for signal in Signal::ALL {
            let other = Generator { seed: 2, ..sized(64) };
            assert_eq!(sized(64).bytes(signal), sized(64).bytes(signal));
            assert_ne!(sized(64).bytes(signal), other.bytes(signal));
        }
    }

    #[test]
    fn there_are_exactly_as_many_items_as_asked_for() {
        for items in [0, 1, 7, 8, 512] {
            let generator = sized(items);
            let spans = generator.traces().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            assert_eq!(spans.map(|scope| scope.spans.len()).sum::<usize>(), items);
            let records = generator.logs().resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
            assert_eq!(records.map(|scope| scope.log_records.len()).sum::<usize>(), items);
            let metrics = generator.metrics().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            let points = metrics.flat_map(|scope| scope.metrics).map(|metric| match metric.data {
                Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                Some(Data::Sum(sum)) => sum.data_points.len(),
                Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
                Some(Data::Summary(summary)) => summary.data_points.len(),
                None => panic!("a metric without data"),
            });
            assert_eq!(points.sum::<usize>(), items);
        }
    }

    #[test]
    fn a_span_takes_about_700_bytes() {
        let size = sized(8192).bytes(Signal::Traces).len() / 8192;
        assert!((650..=750).contains(&size), "{size} bytes a span");
    }

    #[test]
    fn spans_have_10_to_14_attributes_and_4_percent_of_them_an_exception() {
        let request = sized(8192).traces();
        let spans: Vec<_> = request
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
            .collect();
        assert!(spans.iter().all(|span| (10..=14).contains(&span.attributes.len())));
        let exceptions = spans.iter().filter(|span| !span.events.is_empty()).count();
        assert!((8192 * 3 / 100..8192 * 5 / 100).contains(&exceptions), "{exceptions} exceptions");
    }

    #[test]
    fn every_item_lies_between_the_two_times() {
        let generator = sized(512);
        let request = generator.traces();
        for span in
            request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
        {
            assert!(generator.from <= span.start_time_unix_nano);
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            assert!(span.end_time_unix_nano <= generator.until);
        }
    }

    #[test]
    fn resources_have_13_attributes_with_and_without_environment() {
        let with =
            Generator { environment: Some("production".to_owned()), namespace: Some("shop".to_owned()), ..sized(8) };
        for generator in [sized(8), with] {
            for group in generator.traces().resource_spans {
                assert_eq!(group.resource.unwrap().attributes.len(), 13);
                assert_eq!(group.scope_spans.len(), 2);
            }
        }
    }
}
