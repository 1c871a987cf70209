//! The same as an OTLP export request, for servers that push their own metrics.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::{Family, Kind, Labels, Point, Value};
use crate::time::Nanos;

/// All families as an export request; `started` is when the counters began at 0, `instance` tells this server from others.
#[must_use]
pub fn request(families: &[Family], instance: &str, started: Nanos, now: Nanos) -> Vec<u8> {
    let metrics = families.iter().filter(|family| !family.points.is_empty()).map(|family| metric(family, started, now));
    let attributes = [
        ("service.name", "faultline"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let resource =
        Resource { attributes: attributes.map(|(key, value)| text(key, value)).to_vec(), ..Resource::default() };
    let scope = InstrumentationScope { name: "faultline".to_owned(), ..InstrumentationScope::default() };
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), schema_url: String::new() }];
    let resource_metrics = vec![ResourceMetrics { resource: Some(resource), scope_metrics, schema_url: String::new() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn metric(family: &Family, started: Nanos, now: Nanos) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let numbers = || family.points.iter().filter_map(|point| number(point, started, now)).collect();
    let data = match family.kind {
        Kind::Counter => {
            metric::Data::Sum(Sum { data_points: numbers(), aggregation_temporality: temporality, is_monotonic: true })
        }
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => {
            let data_points = family.points.iter().filter_map(|point| distribution(point, started, now)).collect();
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality: temporality })
        }
    };
    // Units of UCUM; the words are those of Prometheus.
    let unit = match family.unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "",
    };
    Metric {
        name: format!("faultline.{}", family.name),
        description: family.help.clone(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(point: &Point, started: Nanos, now: Nanos) -> Option<NumberDataPoint> {
    let Value::Count(count) = point.value else { return None };
    Some(NumberDataPoint {
        attributes: attributes(&point.labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    })
}

fn distribution(point: &Point, started: Nanos, now: Nanos) -> Option<HistogramDataPoint> {
    let Value::Distribution { bounds, counts, sum } = &point.value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(&point.labels),
        start_time_unix_nano: started,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.clone(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(key, value)| text(key, value)).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
