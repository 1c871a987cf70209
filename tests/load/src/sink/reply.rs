//! Answers on the wire.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::{
    answer::{Answer, Refusal, partial_success},
    protocol::Protocol,
};

/// The body of an answer: one piece, and for gRPC what comes behind it.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The answer in that protocol; none is to break the connection.
pub(super) fn response(protocol: Protocol, answer: &Answer) -> Option<Response<Reply>> {
    match answer {
        Answer::Accept => Some(success(protocol, &[])),
        Answer::AcceptPartly { rejected, message } => Some(success(protocol, &partial_success(*rejected, message))),
        Answer::Refuse(refusal) => Some(match protocol {
            Protocol::Grpc => grpc_refusal(refusal),
            Protocol::Http => http_refusal(refusal),
        }),
        Answer::Break => None,
    }
}

fn success(protocol: Protocol, message: &[u8]) -> Response<Reply> {
    let trailers = (protocol == Protocol::Grpc).then(|| HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from(0))]));
    // An answer is some bytes long, and the prefix has room for four gigabytes.
    let data = protocol.wrap(message, false).unwrap_or_default();
    with_type(protocol, Reply { data, trailers })
}

/// Everything in the headers, as servers do when there is no message.
fn grpc_refusal(refusal: &Refusal) -> Response<Reply> {
    let mut response = with_type(Protocol::Grpc, Reply::default());
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.grpc));
    if let Ok(message) = HeaderValue::from_str(&refusal.message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if refusal.retry_after.is_some()
        && let Ok(details) = HeaderValue::from_str(&refusal.status_header())
    {
        headers.insert(GRPC_DETAILS, details);
    }
    response
}

fn http_refusal(refusal: &Refusal) -> Response<Reply> {
    let mut response = with_type(Protocol::Http, Reply { data: refusal.status().into(), trailers: None });
    // Not a status at all: what a broken server might say.
    *response.status_mut() = StatusCode::from_u16(refusal.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn with_type(protocol: Protocol, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    let content_type = HeaderValue::from_static(protocol.content_type());
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

// === impl Reply ===

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = if self.data.is_empty() {
            self.trailers.take().map(Frame::trailers)
        } else {
            Some(Frame::data(std::mem::take(&mut self.data)))
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}
