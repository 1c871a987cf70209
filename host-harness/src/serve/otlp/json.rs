//! OTLP/JSON, turned into protobuf and back. Fields that the schema does not know are lost, as the specification allows.

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::json;

use super::body::spent;
use super::refusal::{Code, Refusal};
use crate::plugin::Signal;
use crate::serve::buffers::{Buffer, Buffers};
use crate::telemetry::Batch;

/// An export request in protobuf.
///
/// # Errors
/// When it is not JSON of that signal, or the budget is spent.
pub(super) fn request(signal: Signal, json: &[u8], buffers: &Arc<Buffers>) -> Result<Buffer, Refusal> {
    // An empty request succeeds.
    let json = if json.iter().all(u8::is_ascii_whitespace) { b"{}" } else { json };
    let batch = Batch::from_json(signal, json)
        .map_err(|error| Refusal::new(Code::InvalidArgument, format!("the body is not OTLP/JSON: {error:#}")))?;
    let encoded = batch.encode();
    let mut buffer = buffers.get(encoded.len()).map_err(spent)?;
    buffer.extend(&encoded).map_err(spent)?;
    Ok(buffer)
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

    use super::*;

    #[test]
    fn partial_success_is_told_in_json() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let message = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let answer: serde_json::Value = serde_json::from_slice(&answer(Signal::Traces, message.into())).unwrap();
        assert_eq!(answer, json!({ "partialSuccess": { "rejectedSpans": "3", "errorMessage": "too old" } }));
        assert_eq!(super::answer(Signal::Logs, Bytes::new()), "{}");
    }
}
