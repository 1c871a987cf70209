//! Decoding, changing and encoding: what a program does that knows nothing better.

use std::hint::black_box;

use faultline::plugin::Signal;
use faultline_test_support::opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use faultline_test_support::opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use faultline_test_support::opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, metric::Data};
use faultline_test_support::opentelemetry_proto::tonic::resource::v1::Resource;
use faultline_test_support::prost::Message;

use super::Subject;
use crate::case::Situation;

/// Decodes, adds what the annotator would add, and encodes.
pub(super) struct Prost {
    pub(super) signal: Signal,
    pub(super) situation: Situation,
}

const ID: &str = "manual:Q2KZ4YBXW5HL0N";

// === impl Prost ===

impl Subject for Prost {
    fn run(&mut self, batch: &[u8]) {
        black_box(match self.signal {
            Signal::Traces => self.traces(batch),
            Signal::Logs => self.logs(batch),
            Signal::Metrics => self.metrics(batch),
        });
    }
}

impl Prost {
    fn traces(&self, batch: &[u8]) -> Vec<u8> {
        let mut request = ExportTraceServiceRequest::decode(batch).expect("readable");
        for group in request.resource_spans.iter_mut().filter(|group| self.concerns(group.resource.as_ref())) {
            for span in group.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
                annotate(&mut span.attributes);
            }
        }
        request.encode_to_vec()
    }

    fn logs(&self, batch: &[u8]) -> Vec<u8> {
        let mut request = ExportLogsServiceRequest::decode(batch).expect("readable");
        for group in request.resource_logs.iter_mut().filter(|group| self.concerns(group.resource.as_ref())) {
            for record in group.scope_logs.iter_mut().flat_map(|scope| &mut scope.log_records) {
                annotate(&mut record.attributes);
            }
        }
        request.encode_to_vec()
    }

    fn metrics(&self, batch: &[u8]) -> Vec<u8> {
        let mut request = ExportMetricsServiceRequest::decode(batch).expect("readable");
        for group in request.resource_metrics.iter_mut().filter(|group| self.concerns(group.resource.as_ref())) {
            group.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics).for_each(annotate_points);
        }
        request.encode_to_vec()
    }

    fn concerns(&self, resource: Option<&Resource>) -> bool {
        if !self.situation.changes() {
            return false;
        }
        let services = self.situation.services();
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        attributes.iter().filter(|attribute| attribute.key == "service.name").any(|attribute| {
            match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(Value::StringValue(name)) => services.contains(name),
                _ => false,
            }
        })
    }
}

fn annotate_points(metric: &mut Metric) {
    match &mut metric.data {
        Some(Data::Gauge(data)) => {
            data.data_points.iter_mut().for_each(|point| annotate_point(&mut point.attributes, &mut point.exemplars));
        }
        Some(Data::Sum(data)) => {
            data.data_points.iter_mut().for_each(|point| annotate_point(&mut point.attributes, &mut point.exemplars));
        }
        Some(Data::Histogram(data)) => {
            data.data_points.iter_mut().for_each(|point| annotate_point(&mut point.attributes, &mut point.exemplars));
        }
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter_mut().for_each(|point| annotate_point(&mut point.attributes, &mut point.exemplars));
        }
        Some(Data::Summary(data)) => data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes)),
        None => {}
    }
}

fn annotate_point(attributes: &mut Vec<KeyValue>, exemplars: &mut [Exemplar]) {
    annotate(attributes);
    for exemplar in exemplars {
        let value = Some(AnyValue { value: Some(Value::StringValue(ID.to_owned())) });
        let id = KeyValue { key: "incident.id".to_owned(), value, ..KeyValue::default() };
        exemplar.filtered_attributes.push(id);
    }
}

fn annotate(attributes: &mut Vec<KeyValue>) {
    let text = |text: &str| Value::StringValue(text.to_owned());
    for (key, value) in [
        ("incident.id", text(ID)),
        ("incident.active", Value::BoolValue(true)),
        ("incident.severity", text("critical")),
        ("incident.url", text("https://example.pagerduty.com/incidents/Q2KZ4YBXW5HL0N")),
    ] {
        let value = Some(AnyValue { value: Some(value) });
        attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }
}
