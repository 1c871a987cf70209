//! OTLP as the host reads and writes it: fixtures, what commands are given, and what is shown of a batch.
//!
//! The plugin has its own reader; this one decodes whole batches with prost, slowly and into structs, so that what is
//! shown does not rest on the code that it shows.

mod change;
mod item;
mod value;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

pub use change::{Change, Group, changes, groups};
pub use item::Item;

use crate::hex;
use crate::plugin::Signal;

/// A decoded export request.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Data points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

/// How a batch is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it goes over the wire.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// The name of a signal, as commands and scenarios write it: `traces`, `metrics` or `logs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalName(pub Signal);

// === impl Batch ===

impl Batch {
    /// Reads protobuf.
    ///
    /// # Errors
    /// When it is not an export request of that signal.
    pub fn decode(signal: Signal, bytes: &[u8]) -> anyhow::Result<Self> {
        let batch = match signal {
            Signal::Traces => Self::Traces(Message::decode(bytes)?),
            Signal::Metrics => Self::Metrics(Message::decode(bytes)?),
            Signal::Logs => Self::Logs(Message::decode(bytes)?),
        };
        Ok(batch)
    }

    /// Reads OTLP/JSON.
    ///
    /// # Errors
    /// When it is not JSON, or not an export request of that signal.
    pub fn from_json(signal: Signal, json: &[u8]) -> anyhow::Result<Self> {
        // Serde would take a list for an object, field by field.
        ensure!(Encoding::guess(json) == Encoding::Json, "it is not a JSON object");
        let batch = match signal {
            Signal::Traces => Self::Traces(serde_json::from_slice(json)?),
            Signal::Metrics => Self::Metrics(serde_json::from_slice(json)?),
            Signal::Logs => Self::Logs(serde_json::from_slice(json)?),
        };
        Ok(batch)
    }

    /// As protobuf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Traces(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Logs(request) => request.encode_to_vec(),
        }
    }

    /// As OTLP/JSON, indented.
    ///
    /// # Errors
    /// When a value has no form in JSON.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Traces(request) => serde_json::to_vec_pretty(request),
            Self::Metrics(request) => serde_json::to_vec_pretty(request),
            Self::Logs(request) => serde_json::to_vec_pretty(request),
        }
    }

    /// Its spans, data points or log records, in the order of the batch.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        match self {
            Self::Traces(request) => item::of_traces(request),
            Self::Metrics(request) => item::of_metrics(request),
            Self::Logs(request) => item::of_logs(request),
        }
    }
}

// === impl Encoding ===

impl Encoding {
    /// Guesses from the first byte: JSON begins with a brace, and no export request has the tag `{` (a group's end).
    #[must_use]
    pub fn guess(bytes: &[u8]) -> Self {
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Self::Json,
            _ => Self::Protobuf,
        }
    }
}

/// Reads a fixture and returns the protobuf bytes of its batch: `.json` is OTLP/JSON, `.hex` hexadecimal text with `#`
/// comments, anything else protobuf as it is, which need not be well-formed.
///
/// # Errors
/// When JSON or hexadecimal text cannot be read.
pub fn read_fixture(signal: Signal, name: &str, content: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let what = || format!("cannot read {name} as {}", SignalName(signal));
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("json") => Ok(Batch::from_json(signal, &content).with_context(what)?.encode()),
        Some("hex") => hex::decode(std::str::from_utf8(&content).with_context(what)?).with_context(what),
        _ => Ok(content),
    }
}

// === impl SignalName ===

impl SignalName {
    /// What one item of the signal is called, for one or for `count`.
    #[must_use]
    pub fn items(self, count: usize) -> &'static str {
        match (self.0, count) {
            (Signal::Traces, 1) => "span",
            (Signal::Traces, _) => "spans",
            (Signal::Metrics, 1) => "data point",
            (Signal::Metrics, _) => "data points",
            (Signal::Logs, 1) => "log record",
            (Signal::Logs, _) => "log records",
        }
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self.0 {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        })
    }
}

impl FromStr for SignalName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "traces" => Ok(Self(Signal::Traces)),
            "metrics" => Ok(Self(Signal::Metrics)),
            "logs" => Ok(Self(Signal::Logs)),
            other => bail!("{other:?} is none of traces, metrics, logs"),
        }
    }
}

impl serde::Serialize for SignalName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SignalName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
        "scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /cart",
        "kind":2,"startTimeUnixNano":"1772359200000000000","endTimeUnixNano":"1772359201000000000"}]}]}]}"#;

    #[test]
    fn json_and_protobuf_hold_the_same() {
        let batch = Batch::from_json(Signal::Traces, SPANS.as_bytes()).unwrap();
        assert_eq!(Batch::decode(Signal::Traces, &batch.encode()).unwrap(), batch);
        assert_eq!(Batch::from_json(Signal::Traces, &batch.to_json().unwrap()).unwrap(), batch);
    }

    #[test]
    fn shows_the_items_of_a_batch() {
        let items = Batch::from_json(Signal::Traces, SPANS.as_bytes()).unwrap().items();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].service.as_deref(), Some("cart"));
        assert_eq!(items[0].name, "GET /cart");
        assert_eq!(items[0].time, 1_772_359_200_000_000_000);
    }

    #[test]
    fn guesses_the_encoding() {
        assert_eq!(Encoding::guess(b"\n {"), Encoding::Json);
        assert_eq!(Encoding::guess(b"\n\x05"), Encoding::Protobuf);
        assert_eq!(Encoding::guess(b""), Encoding::Protobuf);
    }

    #[test]
    fn reads_fixtures_by_their_names() {
        assert_eq!(read_fixture(Signal::Logs, "a.hex", b"0a00 # empty".to_vec()).unwrap(), [0x0a, 0]);
        assert_eq!(read_fixture(Signal::Logs, "a.binpb", vec![0xff]).unwrap(), [0xff]);
        let error = read_fixture(Signal::Logs, "a.json", b"[]".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read a.json as logs");
    }
}
