//! OTLP/JSON, turned into protobuf and back. Fields that the schema does not know are lost, as the specification allows.
//!
//! In between a request is a tree of structs, and `{}` is enough for a whole one: what the tree may come to is counted before
//! it is made, and taken from the budget.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use super::body::spent;
use super::refusal::{Code, Refusal};
use crate::plugin::Signal;
use crate::serve::buffers::{Buffer, Buffers};
use crate::telemetry::Batch;

/// The largest message; a list of them has room for that of each element.
const MESSAGE_BYTES: usize = size_of::<Span>();
/// The smallest list or object as Serde keeps it until it knows what it is: room for four pairs.
const OPENING_BYTES: usize = 4 * PAIR_BYTES;
/// One pair of those, or a number of a list in both forms.
const PAIR_BYTES: usize = 64;

/// An export request in protobuf.
///
/// # Errors
/// When it is not JSON of that signal, it would take more memory than the whole budget, or the budget is spent.
pub(super) fn request(signal: Signal, json: &[u8], buffers: &Arc<Buffers>) -> Result<Buffer, Refusal> {
    // An empty request succeeds.
    let json = if json.iter().all(u8::is_ascii_whitespace) { b"{}" } else { json };
    let (needed, capacity) = (tree_bytes(json), buffers.capacity());
    // Beside the tree there are the text and the result.
    if needed.saturating_add(2 * json.len()) > capacity {
        return Err(Refusal::too_large(format!(
            "to read this JSON may take {needed} bytes, of {capacity} that may be held (`serve.otlp.held_bytes`)"
        )));
    }
    let mut tree = buffers.get(0).map_err(spent)?;
    tree.count(needed).map_err(spent)?;
    let batch = Batch::from_json(signal, json)
        .map_err(|error| Refusal::new(Code::InvalidArgument, format!("the body is not OTLP/JSON: {error:#}")))?;
    let encoded = batch.encode();
    let mut buffer = buffers.get(encoded.len()).map_err(spent)?;
    buffer.extend(&encoded).map_err(spent)?;
    Ok(buffer)
}

/// An upper bound on the memory of the structs that JSON becomes, beside its texts.
fn tree_bytes(json: &[u8]) -> usize {
    let (mut bytes, mut before) = (0_usize, b' ');
    let mut rest = json.iter();
    while let Some(&byte) = rest.next() {
        bytes += match byte {
            b'"' => {
                // An escaped character ends no text.
                while let Some(&byte) = rest.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(rest.next()),
                        _ => {}
                    }
                }
                0
            }
            // The value of a field is within its struct, the element of a list is one more.
            b'{' if before != b':' => MESSAGE_BYTES + OPENING_BYTES,
            b'{' | b'[' => OPENING_BYTES,
            b',' => PAIR_BYTES,
            _ => 0,
        };
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    bytes
}

/// An answer in JSON. One that cannot be read is a success of which no more is known.
#[must_use]
pub(super) fn answer(signal: Signal, message: Bytes) -> Bytes {
    let partial = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(message)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| ("rejectedSpans", partial.rejected_spans, partial.error_message)),
        Signal::Metrics => ExportMetricsServiceResponse::decode(message)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| ("rejectedDataPoints", partial.rejected_data_points, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(message)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| ("rejectedLogRecords", partial.rejected_log_records, partial.error_message)),
    };
    let answer = match partial {
        // Numbers of 64 bits are strings in the JSON of protobuf.
        Some((name, rejected, message)) => {
            json!({ "partialSuccess": { name: rejected.to_string(), "errorMessage": message } })
        }
        None => json!({}),
    };
    answer.to_string().into()
}

/// `google.rpc.Status` in JSON.
#[must_use]
pub(super) fn status(refusal: &Refusal) -> Bytes {
    json!({ "code": refusal.code as u8, "message": refusal.message }).to_string().into()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    };
    use opentelemetry_proto::tonic::trace::v1::span::Link;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

    use super::*;
    use crate::serve::buffers::Budget;

    #[test]
    fn partial_success_is_told_in_json() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let answer: serde_json::Value = serde_json::from_slice(&answer(Signal::Traces, message.into())).unwrap();
        assert_eq!(answer, json!({ "partialSuccess": { "rejectedSpans": "3", "errorMessage": "too old" } }));
        assert_eq!(super::answer(Signal::Logs, Bytes::new()), "{}");
    }

    #[test]
    fn what_a_tree_may_take_is_counted_from_what_opens_outside_of_texts() {
        assert_eq!(tree_bytes(br#"{"a":"[{,\"{","b" : {}}"#), MESSAGE_BYTES + 2 * OPENING_BYTES + PAIR_BYTES);
        assert_eq!(tree_bytes(br#"{"a":[{}, {}]}"#), 3 * (MESSAGE_BYTES + OPENING_BYTES) + OPENING_BYTES + PAIR_BYTES);
        assert_eq!(tree_bytes(br#""\"#), 0);
    }

    #[test]
    fn no_message_is_larger_than_the_one_that_is_reckoned_with() {
        let others = [
            size_of::<ResourceSpans>(),
            size_of::<ScopeSpans>(),
            size_of::<Link>(),
            size_of::<ResourceMetrics>(),
            size_of::<ScopeMetrics>(),
            size_of::<Metric>(),
            size_of::<NumberDataPoint>(),
            size_of::<HistogramDataPoint>(),
            size_of::<ExponentialHistogramDataPoint>(),
            size_of::<ResourceLogs>(),
            size_of::<ScopeLogs>(),
            size_of::<LogRecord>(),
        ];
        assert!(others.iter().all(|other| *other <= MESSAGE_BYTES), "{others:?} beside {MESSAGE_BYTES}");
    }

    #[test]
    fn json_that_takes_too_much_is_refused_for_good_and_what_does_not_fit_now_for_the_moment() {
        let buffers = Buffers::new(Arc::new(Budget::new(1024 * 1024)));
        let request_of = |resources: usize| {
            let json = format!("{{\"resourceSpans\":[{}{{}}]}}", "{},".repeat(resources - 1));
            request(Signal::Traces, json.as_bytes(), &buffers)
        };
        assert_eq!(request_of(10_000).unwrap_err().http_status(), 413);
        assert_eq!(request_of(1000).unwrap().bytes(), [10, 0].repeat(1000));
        let _other = buffers.get(900_000).unwrap();
        assert_eq!(request_of(1000).unwrap_err().http_status(), 503);
    }
}
