//! Puts attributes on items by their positions, on decoded telemetry: what a host does with the plugin's `marks`.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::KeyValue,
    metrics::v1::{Exemplar, Metric, metric::Data},
};
use prost::{DecodeError, Message};

use crate::{Signal, oracle::Group};

/// Which item gets which attributes; positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of the resource in the request.
    pub resource: u32,
    /// Of the span, log record or data point in that resource, through all scopes and metrics.
    pub item: u32,
    /// Of the exemplar in that data point, where it is one.
    pub exemplar: Option<u32>,
    /// Index of the attributes.
    pub set: u32,
}

/// A data point, as far as it can be marked.
struct Point<'a> {
    attributes: &'a mut Vec<KeyValue>,
    exemplars: &'a mut [Exemplar],
}

/// The request with the attributes of `sets` put in front of those of the marked items.
///
/// # Errors
///
/// When `prost` cannot decode it.
///
/// # Panics
///
/// When a mark names an item or a set that is not there.
pub fn apply(signal: Signal, batch: &[u8], sets: &[Group], marks: &[Mark]) -> Result<Vec<u8>, DecodeError> {
    Ok(match signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(batch)?;
            for mark in marks {
                let scopes = request.resource_spans[mark.resource as usize].scope_spans.iter_mut();
                let span = scopes.flat_map(|scope| &mut scope.spans).nth(mark.item as usize);
                add(&mut span.expect("no such span").attributes, sets, mark);
            }
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(batch)?;
            for mark in marks {
                let scopes = request.resource_logs[mark.resource as usize].scope_logs.iter_mut();
                let record = scopes.flat_map(|scope| &mut scope.log_records).nth(mark.item as usize);
                add(&mut record.expect("no such record").attributes, sets, mark);
            }
            request.encode_to_vec()
        }
        Signal::Metrics => {
            let mut request = ExportMetricsServiceRequest::decode(batch)?;
            for mark in marks {
                let scopes = request.resource_metrics[mark.resource as usize].scope_metrics.iter_mut();
                let mut points = scopes.flat_map(|scope| &mut scope.metrics).flat_map(points);
                let point = points.nth(mark.item as usize).expect("no such point");
                match mark.exemplar {
                    Some(exemplar) => add(&mut point.exemplars[exemplar as usize].filtered_attributes, sets, mark),
                    None => add(point.attributes, sets, mark),
                }
            }
            request.encode_to_vec()
        }
    })
}

fn points(metric: &mut Metric) -> Vec<Point<'_>> {
    match &mut metric.data {
        Some(Data::Gauge(data)) => {
            let points = data.data_points.iter_mut();
            points.map(|point| Point { attributes: &mut point.attributes, exemplars: &mut point.exemplars }).collect()
        }
        Some(Data::Sum(data)) => {
            let points = data.data_points.iter_mut();
            points.map(|point| Point { attributes: &mut point.attributes, exemplars: &mut point.exemplars }).collect()
        }
        Some(Data::Histogram(data)) => {
            let points = data.data_points.iter_mut();
            points.map(|point| Point { attributes: &mut point.attributes, exemplars: &mut point.exemplars }).collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            let points = data.data_points.iter_mut();
            points.map(|point| Point { attributes: &mut point.attributes, exemplars: &mut point.exemplars }).collect()
        }
        Some(Data::Summary(data)) => {
            let points = data.data_points.iter_mut();
            points.map(|point| Point { attributes: &mut point.attributes, exemplars: &mut [] }).collect()
        }
        None => Vec::new(),
    }
}

fn add(attributes: &mut Vec<KeyValue>, sets: &[Group], mark: &Mark) {
    let set = &sets[mark.set as usize];
    let added =
        set.iter().map(|(key, value)| KeyValue { key: key.clone(), value: Some(value.clone()), ..KeyValue::default() });
    attributes.splice(0..0, added);
}
