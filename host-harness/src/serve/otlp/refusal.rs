//! Why a request is not taken, in the words of both protocols.
//!
//! Source: OTLP specification, "OTLP/gRPC Response" and "OTLP/HTTP Response". Only what the specification calls retryable is
//! answered so: a sender throws away what it is told not to send again.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use prost::Message;

/// A request that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// For people. Empty when `details` says it.
    pub message: String,
    /// When to come again; without it the sender decides.
    pub retry_after: Option<Duration>,
    /// The HTTP status that the next hop gave; ours is by `code` otherwise.
    pub status: Option<StatusCode>,
    /// `google.rpc.Status` as the next hop gave it.
    pub details: Option<Bytes>,
}

/// Codes of gRPC. Source: grpc/doc/statuscodes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names of gRPC")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// `google.rpc.Status`, which is the body of every error of OTLP/HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A code of gRPC.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// More, by type.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    /// What it is.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

// === impl Refusal ===

impl Refusal {
    /// One that the sender should not repeat, or by its code should.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, status: None, details: None }
    }

    /// Not now: the sender keeps the request, and comes again after this time.
    #[must_use]
    pub fn busy(message: impl Into<String>) -> Self {
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(Code::Unavailable, message) }
    }

    /// Over a limit for good.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        let status = Some(StatusCode::PAYLOAD_TOO_LARGE);
        Self { status, ..Self::new(Code::ResourceExhausted, message) }
    }

    /// What a next hop answered by gRPC.
    #[must_use]
    pub fn of_grpc(code: Code, message: String, details: Option<Bytes>) -> Self {
        let retry_after = details.clone().and_then(retry_delay);
        Self { code, message, retry_after, status: None, details }
    }

    /// What a next hop answered by HTTP. A time to come again counts only where the status lets the sender repeat: beside a 413
    /// it would, by gRPC, make one of a refusal for good.
    #[must_use]
    pub fn of_http(status: StatusCode, body: Bytes, retry_after: Option<Duration>) -> Self {
        let retry_after = retry_after.filter(|_| is_retryable(status));
        let decoded = Status::decode(body.clone()).ok().filter(|_| !body.is_empty());
        let details = decoded.as_ref().map(|_| body);
        let message = decoded.map(|status| status.message).filter(|message| !message.is_empty());
        let message = message.unwrap_or_else(|| format!("the next hop answered {status}"));
        Self { code: Code::of_http(status), message, retry_after, status: Some(status), details }
    }

    /// Whether the specification lets a sender repeat it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable(self.retry_after.is_some())
    }

    /// The status for an HTTP sender. One of a next hop is handed on if it says the same of repeating.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        if let Some(status) = self.status
            && is_retryable(status) == self.is_retryable()
            && (status.is_client_error() || status.is_server_error())
        {
            return status;
        }
        match self.code {
            Code::ResourceExhausted if self.retry_after.is_some() => StatusCode::TOO_MANY_REQUESTS,
            Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ if self.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
            Code::AlreadyExists => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// `google.rpc.Status` in protobuf: that of the next hop, or one made here.
    #[must_use]
    pub fn to_status(&self) -> Bytes {
        self.details.clone().unwrap_or_else(|| self.status_message().encode_to_vec().into())
    }

    /// For a gRPC sender, which hears the code and the message by themselves: `google.rpc.Status` where it adds something.
    #[must_use]
    pub fn to_grpc_details(&self) -> Option<Bytes> {
        let of_next_hop = self.details.clone().filter(|details| {
            // An HTTP hop may answer with a status whose code is not that of ours.
            Status::decode(details.clone()).is_ok_and(|status| status.code == i32::from(self.code as u8))
                && retry_delay(details.clone()) == self.retry_after
        });
        of_next_hop.or_else(|| self.retry_after.map(|_| self.status_message().encode_to_vec().into()))
    }

    fn status_message(&self) -> Status {
        let details = self.retry_after.map(|after| Any {
            type_url: RETRY_INFO.to_owned(),
            value: RetryInfo { retry_delay: Some(Delay::from(after)) }.encode_to_vec().into(),
        });
        Status {
            code: i32::from(self.code as u8),
            message: self.message.clone(),
            details: details.into_iter().collect(),
        }
    }
}

/// What `google.rpc.RetryInfo` in a status says.
fn retry_delay(status: Bytes) -> Option<Duration> {
    let status = Status::decode(status).ok()?;
    let info = status.details.into_iter().find(|any| any.type_url == RETRY_INFO)?;
    let delay = RetryInfo::decode(info.value).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

/// Whether a sender of OTLP/HTTP may repeat what was answered so.
#[must_use]
pub fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

// === impl Code ===

impl Code {
    /// By its number; those that are not known count as `Unknown`, as gRPC asks for. 0 is no refusal.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => return None,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        })
    }

    /// For a sender by gRPC, when the next hop answered by HTTP.
    fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            429 | 502 | 503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            400 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 405 | 415 | 501 => Self::Unimplemented,
            413 => Self::ResourceExhausted,
            402..=499 => Self::FailedPrecondition,
            _ => Self::Internal,
        }
    }

    fn is_retryable(self, has_delay: bool) -> bool {
        match self {
            Self::Cancelled
            | Self::DeadlineExceeded
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unavailable
            | Self::DataLoss => true,
            Self::ResourceExhausted => has_delay,
            _ => false,
        }
    }
}

// === impl Delay ===

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
        Self { seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Through a hop that speaks HTTP on the far side and either protocol on the near side.
    #[test]
    fn only_what_a_next_hop_lets_be_repeated_is_repeated() {
        for status in (300..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let wanted = matches!(status.as_u16(), 429 | 502 | 503 | 504);
            for retry_after in [None, Some(Duration::from_secs(7))] {
                let refusal = Refusal::of_http(status, Bytes::new(), retry_after);
                assert_eq!(refusal.is_retryable(), wanted, "{status}");
                if status.as_u16() >= 400 {
                    assert_eq!(refusal.http_status(), status);
                }
            }
        }
    }

    #[test]
    fn only_what_a_next_hop_lets_be_repeated_by_grpc_is_repeated_by_http() {
        for number in 1..=20 {
            let code = Code::of_number(number).unwrap();
            let wanted = matches!(number, 1 | 4 | 10 | 11 | 14 | 15);
            let refusal = Refusal::of_grpc(code, String::new(), None);
            assert_eq!(refusal.is_retryable(), wanted, "{code:?}");
            assert_eq!(is_retryable(refusal.http_status()), wanted, "{code:?}");
        }
    }

    #[test]
    fn exhausted_is_repeated_only_with_a_time_to_come_again() {
        let busy =
            Refusal { retry_after: Some(Duration::from_millis(1500)), ..Refusal::new(Code::ResourceExhausted, "x") };
        let answered = Refusal::of_grpc(Code::ResourceExhausted, "x".to_owned(), busy.to_grpc_details());
        assert_eq!(answered.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(answered.http_status(), 429);
        assert_eq!(Refusal::of_grpc(Code::ResourceExhausted, "x".to_owned(), None).http_status(), 413);
    }

    #[test]
    fn a_status_of_the_next_hop_is_handed_on_as_it_came() {
        let given = Status { code: 3, message: "no such tenant".to_owned(), details: Vec::new() }.encode_to_vec();
        let refusal = Refusal::of_http(StatusCode::BAD_REQUEST, given.clone().into(), None);
        assert_eq!((refusal.message.as_str(), refusal.to_status()), ("no such tenant", given.into()));
    }
}
