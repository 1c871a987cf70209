//! What is timed on a batch.

use std::hint::black_box;

use faultline_annotator::otlp::Signal;
use faultline_annotator::{Annotator, Outcome};
use faultline_test_support::opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use faultline_test_support::opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use faultline_test_support::opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use faultline_test_support::opentelemetry_proto::tonic::resource::v1::Resource;
use faultline_test_support::prost::Message;

use crate::case::{Case, NOW, Situation};

/// What [`all`] gives: the unit first.
pub(crate) const NAMES: [&str; 6] = ["memcpy", "prost", "process", "edits", "applied", "marks"];

/// One way to handle a batch.
pub(crate) trait Subject {
    /// The column of the table, one of [`NAMES`].
    fn name(&self) -> &'static str;

    /// Handles one batch.
    fn run(&mut self, batch: &[u8]);

    /// Over how many batches a round goes; what is slow needs fewer to be timed well.
    fn batches_per_round(&self, all: usize) -> usize {
        all
    }
}

/// Copies the batch into memory that is kept: the least that any change costs, and the unit of the table.
#[derive(Default)]
struct Copy {
    buffer: Vec<u8>,
}

/// Decodes, adds what the annotator would add, and encodes.
struct Prost {
    signal: Signal,
    situation: Situation,
}

struct Process {
    signal: Signal,
    annotator: Annotator,
}

/// The list of edits alone: what a guest does.
struct Edits {
    signal: Signal,
    annotator: Annotator,
}

/// The list of edits, and the host's half: the edits made in memory that is kept.
struct Applied {
    edits: Edits,
    buffer: Vec<u8>,
}

struct Marks {
    signal: Signal,
    annotator: Annotator,
}

/// All, in the order of [`NAMES`].
pub(crate) fn all(case: &Case) -> Vec<Box<dyn Subject>> {
    let (signal, situation) = (case.signal, case.situation);
    vec![
        Box::new(Copy::default()),
        Box::new(Prost { signal, situation }),
        Box::new(Process { signal, annotator: case.annotator() }),
        Box::new(Edits { signal, annotator: case.annotator() }),
        Box::new(Applied { edits: Edits { signal, annotator: case.annotator() }, buffer: Vec::new() }),
        Box::new(Marks { signal, annotator: case.annotator() }),
    ]
}

// === impl Copy ===

impl Subject for Copy {
    fn name(&self) -> &'static str {
        "memcpy"
    }

    fn run(&mut self, batch: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(black_box(batch));
        black_box(&self.buffer);
    }
}

// === impl Prost ===

impl Subject for Prost {
    fn name(&self) -> &'static str {
        "prost"
    }

    fn run(&mut self, batch: &[u8]) {
        black_box(match self.signal {
            Signal::Traces => self.traces(batch),
            Signal::Logs => self.logs(batch),
            Signal::Metrics => self.metrics(batch),
        });
    }

    fn batches_per_round(&self, all: usize) -> usize {
        all.min(4)
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
        Some(Data::Gauge(data)) => data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes)),
        Some(Data::Sum(data)) => data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes)),
        Some(Data::Histogram(data)) => data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes)),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes));
        }
        Some(Data::Summary(data)) => data.data_points.iter_mut().for_each(|point| annotate(&mut point.attributes)),
        None => {}
    }
}

fn annotate(attributes: &mut Vec<KeyValue>) {
    let text = |text: &str| Value::StringValue(text.to_owned());
    for (key, value) in [
        ("incident.id", text("manual:Q2KZ4YBXW5HL0N")),
        ("incident.active", Value::BoolValue(true)),
        ("incident.severity", text("critical")),
        ("incident.url", text("https://example.pagerduty.com/incidents/Q2KZ4YBXW5HL0N")),
    ] {
        let value = Some(AnyValue { value: Some(value) });
        attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }
}

// === impl Process ===

impl Subject for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn run(&mut self, batch: &[u8]) {
        let outcome = self.annotator.process(self.signal, black_box(batch), NOW);
        assert!(!matches!(outcome, Outcome::Refused(_)));
        black_box(outcome);
    }
}

// === impl Edits ===

impl Subject for Edits {
    fn name(&self) -> &'static str {
        "edits"
    }

    fn run(&mut self, batch: &[u8]) {
        black_box(self.annotator.edits(self.signal, black_box(batch), NOW).expect("readable"));
    }
}

// === impl Applied ===

impl Subject for Applied {
    fn name(&self) -> &'static str {
        "applied"
    }

    fn run(&mut self, batch: &[u8]) {
        let Edits { signal, annotator } = &mut self.edits;
        let list = annotator.edits(*signal, black_box(batch), NOW).expect("readable");
        if !list.is_empty() {
            list.apply(batch, &mut self.buffer).expect("the list fits its batch");
            black_box(&self.buffer);
        }
    }
}

// === impl Marks ===

impl Subject for Marks {
    fn name(&self) -> &'static str {
        "marks"
    }

    fn run(&mut self, batch: &[u8]) {
        black_box(self.annotator.marks(self.signal, black_box(batch), NOW).expect("readable"));
    }
}
