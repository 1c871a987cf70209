//! One span, data point or log record, with what is shown of it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Metric, exponential_histogram_data_point, metric, number_data_point, summary_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

use super::value;
use crate::hex;
use crate::time::{Nanos, Rfc3339};

/// What is shown of one span, data point or log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `service.name` of its resource.
    pub service: Option<String>,
    /// `service.namespace` of its resource.
    pub namespace: Option<String>,
    /// `deployment.environment.name` of its resource, or the older `deployment.environment`.
    pub environment: Option<String>,
    /// The name of the span or metric, or the body of the log record.
    pub name: String,
    /// When it began, or was observed; 0 when it says neither.
    pub time: Nanos,
    /// Fields beside those above, as label and text, in the order in which they are shown.
    pub fields: Vec<(&'static str, String)>,
    /// Its attributes in the order written.
    pub attributes: Vec<(String, Value)>,
    /// The filtered attributes of its exemplars, one list for each.
    pub exemplars: Vec<Vec<(String, Value)>>,
}

/// What the items of one resource share.
struct Origin {
    service: Option<String>,
    namespace: Option<String>,
    environment: Option<String>,
}

pub(super) fn of_traces(request: &ExportTraceServiceRequest) -> Vec<Item> {
    let resources = request.resource_spans.iter();
    resources
        .flat_map(|resource| {
            let origin = Origin::new(resource.resource.as_ref());
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| of_span(&origin, span)).collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn of_logs(request: &ExportLogsServiceRequest) -> Vec<Item> {
    let resources = request.resource_logs.iter();
    resources
        .flat_map(|resource| {
            let origin = Origin::new(resource.resource.as_ref());
            let records = resource.scope_logs.iter().flat_map(|scope| &scope.log_records);
            records.map(move |record| of_log_record(&origin, record)).collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn of_metrics(request: &ExportMetricsServiceRequest) -> Vec<Item> {
    let resources = request.resource_metrics.iter();
    resources
        .flat_map(|resource| {
            let origin = Origin::new(resource.resource.as_ref());
            let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            metrics.flat_map(move |metric| of_metric(&origin, metric)).collect::<Vec<_>>()
        })
        .collect()
}

fn of_span(origin: &Origin, span: &Span) -> Item {
    let time = if span.start_time_unix_nano == 0 { span.end_time_unix_nano } else { span.start_time_unix_nano };
    let mut fields = vec![
        ("Trace ID", hex::encode(&span.trace_id)),
        ("Parent ID", hex::encode(&span.parent_span_id)),
        ("ID", hex::encode(&span.span_id)),
        ("Kind", SpanKind::try_from(span.kind).map_or("unknown", |kind| short_name(kind.as_str_name())).to_owned()),
        ("Start time", Rfc3339(span.start_time_unix_nano).to_string()),
        ("End time", Rfc3339(span.end_time_unix_nano).to_string()),
    ];
    if let Some(status) = &span.status {
        let code = StatusCode::try_from(status.code).map_or("unknown", |code| short_name(code.as_str_name()));
        fields.push(("Status", format!("{code} {}", status.message).trim_end().to_owned()));
    }
    for event in &span.events {
        fields.push(("Event", format!("{} {}", Rfc3339(event.time_unix_nano), event.name)));
    }
    origin.item(span.name.clone(), time, fields, &span.attributes, &[])
}

fn of_log_record(origin: &Origin, record: &LogRecord) -> Item {
    let time = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    let name = value::plain(&value::optional(record.body.as_ref()));
    let fields = vec![
        ("Timestamp", Rfc3339(record.time_unix_nano).to_string()),
        ("Severity", format!("{} ({})", record.severity_text, record.severity_number)),
        ("Trace ID", hex::encode(&record.trace_id)),
        ("Span ID", hex::encode(&record.span_id)),
    ];
    origin.item(name, time, fields, &record.attributes, &[])
}

fn of_metric(origin: &Origin, metric: &Metric) -> Vec<Item> {
    let point = |time: Nanos, value: String, attributes: &[KeyValue], exemplars: &[Exemplar]| {
        let unit = if metric.unit.is_empty() { String::new() } else { format!(" {}", metric.unit) };
        let fields = vec![("Timestamp", Rfc3339(time).to_string()), ("Value", format!("{value}{unit}"))];
        origin.item(metric.name.clone(), time, fields, attributes, exemplars)
    };
    let number = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsDouble(value)) => value.to_string(),
        Some(number_data_point::Value::AsInt(value)) => value.to_string(),
        None => "none".to_owned(),
    };
    match &metric.data {
        None => Vec::new(),
        Some(metric::Data::Gauge(gauge)) => (gauge.data_points.iter())
            .map(|one| point(one.time_unix_nano, number(&one.value), &one.attributes, &one.exemplars))
            .collect(),
        Some(metric::Data::Sum(sum)) => (sum.data_points.iter())
            .map(|one| point(one.time_unix_nano, number(&one.value), &one.attributes, &one.exemplars))
            .collect(),
        Some(metric::Data::Histogram(histogram)) => (histogram.data_points.iter())
            .map(|one| {
                let value = format!("count {}, sum {}", one.count, one.sum.unwrap_or_default());
                point(one.time_unix_nano, value, &one.attributes, &one.exemplars)
            })
            .collect(),
        Some(metric::Data::ExponentialHistogram(histogram)) => (histogram.data_points.iter())
            .map(|one| {
                let filled = |buckets: &Option<exponential_histogram_data_point::Buckets>| {
                    buckets.as_ref().map_or(0, |buckets| buckets.bucket_counts.len())
                };
                let buckets = filled(&one.negative) + filled(&one.positive);
                let value = format!("count {}, sum {}, {buckets} buckets", one.count, one.sum.unwrap_or_default());
                point(one.time_unix_nano, value, &one.attributes, &one.exemplars)
            })
            .collect(),
        Some(metric::Data::Summary(summary)) => (summary.data_points.iter())
            .map(|one| {
                let quantile = |at: &summary_data_point::ValueAtQuantile| format!(", q{} {}", at.quantile, at.value);
                let quantiles: String = one.quantile_values.iter().map(quantile).collect();
                point(
                    one.time_unix_nano,
                    format!("count {}, sum {}{quantiles}", one.count, one.sum),
                    &one.attributes,
                    &[],
                )
            })
            .collect(),
    }
}

/// `SPAN_KIND_SERVER` as `server`.
fn short_name(name: &'static str) -> &'static str {
    match name.rsplit('_').next() {
        Some("SERVER") => "server",
        Some("CLIENT") => "client",
        Some("PRODUCER") => "producer",
        Some("CONSUMER") => "consumer",
        Some("INTERNAL") => "internal",
        Some("OK") => "ok",
        Some("ERROR") => "error",
        Some("UNSET") => "unset",
        _ => "unspecified",
    }
}

// === impl Origin ===

impl Origin {
    fn new(resource: Option<&Resource>) -> Self {
        let attributes = resource.map(|resource| value::attributes(&resource.attributes)).unwrap_or_default();
        let text = |key: &str| {
            attributes.iter().find_map(|(other, value)| (other == key).then(|| value.as_str()?.to_owned().into())?)
        };
        Self {
            service: text("service.name"),
            namespace: text("service.namespace"),
            environment: text("deployment.environment.name").or_else(|| text("deployment.environment")),
        }
    }

    fn item(
        &self,
        name: String,
        time: Nanos,
        fields: Vec<(&'static str, String)>,
        attributes: &[KeyValue],
        exemplars: &[Exemplar],
    ) -> Item {
        Item {
            service: self.service.clone(),
            namespace: self.namespace.clone(),
            environment: self.environment.clone(),
            name,
            time,
            fields,
            attributes: value::attributes(attributes),
            exemplars: exemplars.iter().map(|one| value::attributes(&one.filtered_attributes)).collect(),
        }
    }
}
