//! What a receiver of OTLP answers, as bytes and back.

use std::time::Duration;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use faultline_test_support::wire::{delimited, varint};

use crate::wire::{Fields, Value};

/// What a [`Sink`](crate::Sink) answers to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is taken.
    Accept,
    /// The request is taken but for some items, which must not be sent again.
    AcceptPartly {
        /// Items that are not taken; 0 with a message is a warning.
        rejected: i64,
        /// Why, for people.
        message: String,
    },
    /// Nothing is taken.
    Refuse(Refusal),
    /// No answer: the stream of HTTP/2 is reset, the connection of HTTP/1.1 closed.
    Break,
}

/// Why nothing is taken, in both protocols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status over HTTP.
    pub http: u16,
    /// Status over gRPC.
    pub grpc: u32,
    /// For people; ASCII.
    pub message: String,
    /// When to try again: `Retry-After` over HTTP, in whole seconds rounded up, and `RetryInfo` over gRPC.
    pub retry_after: Option<Duration>,
}

/// What the answer to a delivered request said beside its code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) rejected: i64,
    pub(crate) retry_after: Option<Duration>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// Values of headers that end in `-bin` are written without padding, and read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

// === impl Refusal ===

impl Refusal {
    /// Without a time to try again.
    #[must_use]
    pub fn new(http: u16, grpc: u32) -> Self {
        Self { http, grpc, message: "refused by the script".to_owned(), retry_after: None }
    }

    /// 503 and 14: for the moment.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(503, 14)
    }

    /// 429 and 8, with the time to wait.
    #[must_use]
    pub fn throttled(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(429, 8) }
    }

    /// 400 and 3: for good.
    #[must_use]
    pub fn invalid(message: &str) -> Self {
        Self { message: message.to_owned(), ..Self::new(400, 3) }
    }

    /// `google.rpc.Status`.
    pub(crate) fn status(&self) -> Vec<u8> {
        let mut status = [vec![0x08], varint(u64::from(self.grpc), 1), text(2, &self.message)].concat();
        if let Some(wait) = self.retry_after {
            let duration = [
                [vec![0x08], varint(wait.as_secs(), 1)].concat(),
                [vec![0x10], varint(u64::from(wait.subsec_nanos()), 1)].concat(),
            ];
            let info = bytes(1, &duration.concat());
            status.extend(bytes(3, &[text(1, RETRY_INFO), bytes(2, &info)].concat()));
        }
        status
    }

    /// The status as a header.
    pub(crate) fn status_header(&self) -> String {
        BASE64.encode(self.status())
    }

    /// The value of `Retry-After`.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

// === impl Said ===

impl Said {
    /// What an export response says; unreadable ones say nothing.
    pub(crate) fn in_response(response: &[u8]) -> Self {
        let rejected = message(response, 1).and_then(|partial| number(partial, 1)).unwrap_or_default();
        Self { rejected: rejected.cast_signed(), retry_after: None }
    }

    /// What a `google.rpc.Status` in a header says.
    pub(crate) fn in_status_header(value: &[u8]) -> Self {
        let Ok(status) = BASE64.decode(value) else { return Self::default() };
        let details = Fields::of(&status).flatten().filter_map(|field| match (field.number, field.value) {
            (3, Value::Delimited(any)) => Some(any),
            _ => None,
        });
        let info = details.filter(|any| message(any, 1) == Some(RETRY_INFO.as_bytes()));
        let delay = info.filter_map(|any| message(message(any, 2)?, 1)).next();
        let retry_after = delay.map(|delay| {
            let nanos = number(delay, 2).and_then(|nanos| u32::try_from(nanos).ok()).unwrap_or_default();
            Duration::new(number(delay, 1).unwrap_or_default(), nanos.min(999_999_999))
        });
        Self { rejected: 0, retry_after }
    }
}

/// The answer of an export service with such a partial success.
pub(crate) fn partial_success(rejected: i64, message: &str) -> Vec<u8> {
    bytes(1, &[vec![0x08], varint(rejected.cast_unsigned(), 1), text(2, message)].concat())
}

fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    delimited(&[number << 3 | 2], content)
}

fn text(number: u8, content: &str) -> Vec<u8> {
    bytes(number, content.as_bytes())
}

fn message(outer: &[u8], number: u32) -> Option<&[u8]> {
    Fields::of(outer).flatten().find_map(|field| match field.value {
        Value::Delimited(content) if field.number == number => Some(content),
        _ => None,
    })
}

fn number(outer: &[u8], number: u32) -> Option<u64> {
    Fields::of(outer).flatten().find_map(|field| match field.value {
        Value::Varint(value) if field.number == number => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use faultline_test_support::{
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse, prost::Message,
    };

    use super::*;

    #[test]
    fn a_partial_success_is_what_the_protocol_has_for_it() {
        let bytes = partial_success(7, "too old");
        let partial = ExportTraceServiceResponse::decode(&bytes[..]).unwrap().partial_success.unwrap();
        assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (7, "too old"));
        assert_eq!(Said::in_response(&bytes).rejected, 7);
        assert_eq!(Said::in_response(b""), Said::default());
    }

    #[test]
    fn a_time_to_try_again_survives_the_header() {
        let wait = Duration::from_millis(2500);
        let header = Refusal::throttled(wait).status_header();
        assert_eq!(Said::in_status_header(header.as_bytes()).retry_after, Some(wait));
        let padded = header.clone() + &"=".repeat((4 - header.len() % 4) % 4);
        assert_eq!(Said::in_status_header(padded.as_bytes()).retry_after, Some(wait));
        let without = Refusal::unavailable().status_header();
        assert_eq!(Said::in_status_header(without.as_bytes()).retry_after, None);
        assert_eq!(Said::in_status_header(b"!"), Said::default());
    }

    #[test]
    fn retry_after_is_rounded_up_to_seconds() {
        let seconds = |millis| Refusal::throttled(Duration::from_millis(millis)).retry_after_seconds();
        assert_eq!((seconds(0), seconds(1), seconds(1000), seconds(1001)), (Some(0), Some(1), Some(1), Some(2)));
        assert_eq!(Refusal::unavailable().retry_after_seconds(), None);
    }
}
