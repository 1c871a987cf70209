//! The two transports of OTLP, as they name things.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use faultline_test_support::Signal;

/// How OTLP travels. Both with protobuf, neither with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OTLP/gRPC: unary calls over HTTP/2.
    Grpc,
    /// OTLP/HTTP: `POST` over HTTP/1.1.
    Http,
}

/// Whether it is compressed, and its length, stand before every message of gRPC.
const PREFIX_BYTES: usize = 5;

// === impl Protocol ===

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// Where requests of that signal go.
    #[must_use]
    pub fn path(self, signal: Signal) -> &'static str {
        match (self, signal) {
            (Self::Grpc, Signal::Traces) => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            (Self::Grpc, Signal::Metrics) => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            (Self::Grpc, Signal::Logs) => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            (Self::Http, Signal::Traces) => "/v1/traces",
            (Self::Http, Signal::Metrics) => "/v1/metrics",
            (Self::Http, Signal::Logs) => "/v1/logs",
        }
    }

    /// The signal whose requests go there, if that is a path of OTLP.
    #[must_use]
    pub fn signal(self, path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| self.path(*signal) == path)
    }

    /// The media type of requests and answers.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Http => "application/x-protobuf",
        }
    }

    /// The header that names the encoding of a body.
    pub(crate) fn encoding_header(self) -> &'static str {
        match self {
            Self::Grpc => "grpc-encoding",
            Self::Http => "content-encoding",
        }
    }

    /// The body that carries this message, which is compressed already if `is_compressed`.
    pub(crate) fn wrap(self, message: &[u8], is_compressed: bool) -> io::Result<Bytes> {
        if self == Self::Http {
            return Ok(Bytes::copy_from_slice(message));
        }
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
        body.put_u8(is_compressed.into());
        body.put_u32(length);
        body.put_slice(message);
        Ok(body.freeze())
    }

    /// The message that a body carries, and whether it is compressed if the headers name an encoding; none if the body is
    /// not one message.
    pub(crate) fn unwrap(self, body: &[u8]) -> Option<(&[u8], bool)> {
        if self == Self::Http {
            return Some((body, true));
        }
        let (prefix, message) = body.split_first_chunk::<PREFIX_BYTES>()?;
        let [is_compressed, length @ ..] = *prefix;
        let is_whole = usize::try_from(u32::from_be_bytes(length)) == Ok(message.len());
        (is_whole && is_compressed <= 1).then_some((message, is_compressed == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_back_to_its_signal() {
        for protocol in Protocol::ALL {
            for signal in Signal::ALL {
                assert_eq!(protocol.signal(protocol.path(signal)), Some(signal));
            }
            assert_eq!(protocol.signal("/v1/profiles"), None);
        }
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        for compressed in [false, true] {
            let body = Protocol::Grpc.wrap(b"message", compressed).unwrap();
            assert_eq!(Protocol::Grpc.unwrap(&body), Some((&b"message"[..], compressed)));
        }
        assert_eq!(Protocol::Http.wrap(b"message", true).unwrap(), "message");
    }

    #[test]
    fn a_body_that_is_not_one_message_is_none() {
        let body = Protocol::Grpc.wrap(b"message", false).unwrap();
        assert_eq!(Protocol::Grpc.unwrap(&body[..body.len() - 1]), None, "cut short");
        assert_eq!(Protocol::Grpc.unwrap(&[&body[..], b"x"].concat()), None, "one byte more");
        assert_eq!(Protocol::Grpc.unwrap(&[2, 0, 0, 0, 0]), None, "no such flag");
        assert_eq!(Protocol::Grpc.unwrap(&[0, 0]), None);
    }
}
