//! How a request ended.

use std::fmt;

/// The end of one attempt to deliver a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A status of HTTP.
    Http(u16),
    /// A status of gRPC, from 0 to 16.
    Grpc(u32),
    /// The connection could not be made, or ended before the answer did.
    Broken,
    /// No answer within [`Load::timeout`](crate::Load::timeout).
    TimedOut,
}

/// Statuses of gRPC that OTLP lets be tried again: cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
const GRPC_RETRYABLE: [u32; 6] = [1, 4, 10, 11, 14, 15];
/// Of gRPC: to be tried again only if the server says when.
const GRPC_RESOURCE_EXHAUSTED: u32 = 8;
/// Statuses of HTTP that OTLP lets be tried again.
const HTTP_RETRYABLE: [u16; 4] = [429, 502, 503, 504];

// === impl Code ===

impl Code {
    /// Whether the receiver has taken the request.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Http(200..=299) | Self::Grpc(0))
    }

    /// Whether the OTLP specification lets a sender try again. `says_when`: the answer came with `Retry-After` or `RetryInfo`.
    #[must_use]
    pub fn is_retryable(self, says_when: bool) -> bool {
        match self {
            Self::Http(status) => HTTP_RETRYABLE.contains(&status),
            Self::Grpc(GRPC_RESOURCE_EXHAUSTED) => says_when,
            Self::Grpc(status) => GRPC_RETRYABLE.contains(&status),
            Self::Broken | Self::TimedOut => true,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(formatter, "HTTP {status}"),
            Self::Grpc(status) => write!(formatter, "gRPC {status}"),
            Self::Broken => formatter.write_str("broken"),
            Self::TimedOut => formatter.write_str("timed out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_specification_names_is_tried_again() {
        let http = (100..600).filter(|status| Code::Http(*status).is_retryable(true));
        assert_eq!(http.collect::<Vec<_>>(), [429, 502, 503, 504]);
        let grpc = |says_when| (0..=16).filter(move |status| Code::Grpc(*status).is_retryable(says_when));
        assert_eq!(grpc(false).collect::<Vec<_>>(), [1, 4, 10, 11, 14, 15]);
        assert_eq!(grpc(true).collect::<Vec<_>>(), [1, 4, 8, 10, 11, 14, 15]);
    }

    #[test]
    fn success_is_2xx_or_0() {
        assert!(Code::Http(200).is_success() && Code::Http(202).is_success() && Code::Grpc(0).is_success());
        assert!(!Code::Http(302).is_success() && !Code::Grpc(2).is_success() && !Code::Broken.is_success());
    }
}
