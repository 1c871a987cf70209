//! What annotating ought to give, said as plainly as possible: decode, edit the structures, encode.
//!
//! The result is byte for byte what the plugin must answer for a batch that a canonical writer made: fields in the order
//! of their numbers, shortest lengths, no unknown fields. For other batches compare after decoding.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Exemplar, metric::Data},
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::{DecodeError, Message};

use crate::Signal;

/// Who a resource is: the first string among the values of each attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `service.name`.
    pub service: Option<String>,
    /// `service.namespace`.
    pub namespace: Option<String>,
    /// `deployment.environment.name`, or else `deployment.environment`.
    pub environment: Option<String>,
}

/// Which spans are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedSpans {
    /// All.
    All,
    /// Of kind server or consumer, without a parent, or with an error.
    EntryAndError,
    /// None.
    Off,
}

/// What is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which spans.
    pub spans: MarkedSpans,
    /// Log records.
    pub logs: bool,
    /// Data points.
    pub points: bool,
    /// Exemplars.
    pub exemplars: bool,
}

/// Attributes that go onto an item together; the first key is the marker that keeps them out. Empty groups do not count.
pub type Group = Vec<(String, AnyValue)>;

/// What the oracle must be told.
pub trait Incidents {
    /// Whether any incident concerns the resource, at whatever time.
    fn concern(&self, owner: &Owner) -> bool;

    /// What an item of that resource gets which lasted from `from` until `until`; empty outside of every window.
    fn groups(&self, owner: &Owner, from: u64, until: u64) -> Vec<Group>;
}

/// How many of what were met; named as the plugin names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Resources.
    pub resources_seen: u64,
    /// Those without a `service.name`.
    pub resources_without_service: u64,
    /// Those that no incident concerns.
    pub resources_unaffected: u64,
    /// Items of the others.
    pub items_seen: u64,
    /// Those that got attributes.
    pub items_marked: u64,
    /// Those that had every marker.
    pub items_already_marked: u64,
    /// Those in no window.
    pub items_outside_window: u64,
    /// Those without time.
    pub items_without_time: u64,
    /// Spans left out by [`MarkedSpans::EntryAndError`].
    pub items_not_entry_or_error: u64,
    /// Those that had every key, but not every marker.
    pub items_nothing_absent: u64,
}

/// What annotating ought to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The request with its annotations; none when nothing was added.
    pub bytes: Option<Vec<u8>>,
    /// What was met on the way.
    pub counts: Counts,
}

/// Annotates an export request of that signal.
///
/// # Errors
///
/// When `prost` cannot decode it.
pub fn annotate(
    signal: Signal,
    batch: &[u8],
    options: &Options,
    incidents: &impl Incidents,
) -> Result<Judgement, DecodeError> {
    let mut judge = Judge { options, incidents, counts: Counts::default() };
    let encoded = match signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(batch)?;
            judge.traces(&mut request);
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(batch)?;
            judge.logs(&mut request);
            request.encode_to_vec()
        }
        Signal::Metrics => {
            let mut request = ExportMetricsServiceRequest::decode(batch)?;
            judge.metrics(&mut request);
            request.encode_to_vec()
        }
    };
    let counts = judge.counts;
    Ok(Judgement { bytes: (counts.items_marked > 0).then_some(encoded), counts })
}

struct Judge<'a, I> {
    options: &'a Options,
    incidents: &'a I,
    counts: Counts,
}

// === impl Owner ===

impl Owner {
    fn of(resource: Option<&Resource>) -> Self {
        let first = |wanted: &str| {
            let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
            attributes.iter().filter(|attribute| attribute.key == wanted).find_map(|attribute| {
                match attribute.value.as_ref()?.value.as_ref()? {
                    Value::StringValue(text) => Some(text.clone()),
                    _ => None,
                }
            })
        };
        Self {
            service: first("service.name"),
            namespace: first("service.namespace"),
            environment: first("deployment.environment.name").or_else(|| first("deployment.environment")),
        }
    }
}

// === impl Judge ===

impl<I: Incidents> Judge<'_, I> {
    fn traces(&mut self, request: &mut ExportTraceServiceRequest) {
        for group in &mut request.resource_spans {
            let Some(owner) = self.concerned(group.resource.as_ref()) else { continue };
            if self.options.spans == MarkedSpans::Off {
                continue;
            }
            for span in group.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
                let wanted = self.options.spans == MarkedSpans::All || is_entry_or_error(span);
                self.item(&owner, span_time(span), wanted, &mut span.attributes);
            }
        }
    }

    fn logs(&mut self, request: &mut ExportLogsServiceRequest) {
        for group in &mut request.resource_logs {
            let Some(owner) = self.concerned(group.resource.as_ref()) else { continue };
            if !self.options.logs {
                continue;
            }
            for record in group.scope_logs.iter_mut().flat_map(|scope| &mut scope.log_records) {
                self.item(&owner, log_time(record), true, &mut record.attributes);
            }
        }
    }

    fn metrics(&mut self, request: &mut ExportMetricsServiceRequest) {
        for group in &mut request.resource_metrics {
            let Some(owner) = self.concerned(group.resource.as_ref()) else { continue };
            for metric in group.scope_metrics.iter_mut().flat_map(|scope| &mut scope.metrics) {
                match &mut metric.data {
                    Some(Data::Gauge(gauge)) => {
                        for point in &mut gauge.data_points {
                            self.point(&owner, point.time_unix_nano, &mut point.attributes, &mut point.exemplars);
                        }
                    }
                    Some(Data::Sum(sum)) => {
                        for point in &mut sum.data_points {
                            self.point(&owner, point.time_unix_nano, &mut point.attributes, &mut point.exemplars);
                        }
                    }
                    Some(Data::Histogram(histogram)) => {
                        for point in &mut histogram.data_points {
                            self.point(&owner, point.time_unix_nano, &mut point.attributes, &mut point.exemplars);
                        }
                    }
                    Some(Data::ExponentialHistogram(histogram)) => {
                        for point in &mut histogram.data_points {
                            self.point(&owner, point.time_unix_nano, &mut point.attributes, &mut point.exemplars);
                        }
                    }
                    Some(Data::Summary(summary)) => {
                        for point in &mut summary.data_points {
                            self.point(&owner, point.time_unix_nano, &mut point.attributes, &mut []);
                        }
                    }
                    None => {}
                }
            }
        }
    }

    fn point(&mut self, owner: &Owner, time: u64, attributes: &mut Vec<KeyValue>, exemplars: &mut [Exemplar]) {
        if self.options.points {
            self.item(owner, instant(time), true, attributes);
        }
        if self.options.exemplars {
            for exemplar in exemplars {
                self.exemplar(owner, exemplar);
            }
        }
    }

    fn concerned(&mut self, resource: Option<&Resource>) -> Option<Owner> {
        let owner = Owner::of(resource);
        let concerned = self.incidents.concern(&owner);
        self.counts.resources_seen += 1;
        self.counts.resources_without_service += u64::from(owner.service.is_none());
        self.counts.resources_unaffected += u64::from(!concerned);
        concerned.then_some(owner)
    }

    /// Of each group an exemplar gets the marker alone.
    fn exemplar(&mut self, owner: &Owner, exemplar: &mut Exemplar) {
        let time = instant(exemplar.time_unix_nano);
        let first = |group: Group| group.into_iter().take(1).collect();
        self.judge(owner, time, true, &mut exemplar.filtered_attributes, |groups| {
            groups.into_iter().map(first).collect()
        });
    }

    fn item(&mut self, owner: &Owner, time: Option<(u64, u64)>, wanted: bool, attributes: &mut Vec<KeyValue>) {
        self.judge(owner, time, wanted, attributes, |groups| groups);
    }

    fn judge(
        &mut self,
        owner: &Owner,
        time: Option<(u64, u64)>,
        wanted: bool,
        attributes: &mut Vec<KeyValue>,
        part: impl Fn(Vec<Group>) -> Vec<Group>,
    ) {
        self.counts.items_seen += 1;
        let Some((from, until)) = time else {
            self.counts.items_without_time += 1;
            return;
        };
        let groups = part(self.incidents.groups(owner, from, until));
        if groups.is_empty() {
            self.counts.items_outside_window += 1;
        } else if !wanted {
            self.counts.items_not_entry_or_error += 1;
        } else {
            self.add(&groups, attributes);
        }
    }

    fn add(&mut self, groups: &[Group], attributes: &mut Vec<KeyValue>) {
        let present: BTreeSet<String> = attributes.iter().map(|attribute| attribute.key.clone()).collect();
        let mut keys_of_earlier_groups = BTreeSet::new();
        let mut added = Vec::new();
        let mut all_kept_out = groups.iter().any(|group| !group.is_empty());
        for group in groups {
            let Some((marker, _)) = group.first() else { continue };
            let is_kept_out = present.contains(marker);
            all_kept_out &= is_kept_out;
            for (key, value) in group {
                let is_first = keys_of_earlier_groups.insert(key);
                if is_first && !is_kept_out && !present.contains(key) {
                    added.push(KeyValue { key: key.clone(), value: Some(value.clone()), ..KeyValue::default() });
                }
            }
        }
        if !added.is_empty() {
            self.counts.items_marked += 1;
        } else if all_kept_out {
            self.counts.items_already_marked += 1;
        } else {
            self.counts.items_nothing_absent += 1;
        }
        attributes.splice(0..0, added);
    }
}

fn span_time(span: &Span) -> Option<(u64, u64)> {
    match (span.start_time_unix_nano, span.end_time_unix_nano) {
        (0, 0) => None,
        (0, end) => Some((end, end)),
        (start, end) if end < start => Some((start, start)),
        both => Some(both),
    }
}

fn log_time(record: &LogRecord) -> Option<(u64, u64)> {
    instant(record.time_unix_nano).or(instant(record.observed_time_unix_nano))
}

fn instant(time: u64) -> Option<(u64, u64)> {
    (time != 0).then_some((time, time))
}

fn is_entry_or_error(span: &Span) -> bool {
    let is_entry = matches!(span.kind(), SpanKind::Server | SpanKind::Consumer) || span.parent_span_id.is_empty();
    let is_error = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
    is_entry || is_error
}
