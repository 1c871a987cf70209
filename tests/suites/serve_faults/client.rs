//! A client of OTLP that shows all of an answer.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use faultline_load::{Code, Protocol};
use faultline_test_support::Signal;
use futures_util::stream::unfold;
use http::{HeaderMap, Request, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as HyperClient, Error};
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tokio::runtime::Runtime;

use super::near;
use super::servers::Faultline;

/// Sends traces, one request at a time.
pub(crate) struct Client {
    protocol: Protocol,
    url: String,
    http: HyperClient<HttpConnector, RequestBody>,
    runtime: Runtime,
}

/// Whole, or in pieces.
type RequestBody = BoxBody<Bytes, Infallible>;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: Code,
    /// `Retry-After` or `RetryInfo`.
    pub(crate) retry_after: Option<Duration>,
    /// The message of gRPC without its prefix, the body of HTTP.
    pub(crate) message: Bytes,
}

/// `google.rpc.Status` as far as it matters here. Not the server's own type: that one is under test.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, Copy, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const PREFIX_BYTES: usize = 5;

// === impl Client ===

impl Client {
    /// Of a server's listener for that protocol.
    pub(crate) fn of(faultline: &Faultline, protocol: Protocol) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let is_grpc = protocol == Protocol::Grpc;
        let mut connector = HttpConnector::new();
        // Or a request may wait 40 ms for an acknowledgement of the one before.
        connector.set_nodelay(true);
        let http = HyperClient::builder(TokioExecutor::new()).http2_only(is_grpc).build(connector);
        let url = format!("http://{}{}", near(faultline, protocol), protocol.path(Signal::Traces));
        Self { protocol, url, http, runtime }
    }

    /// Sends a request as it is.
    pub(crate) fn send(&self, batch: &[u8]) -> Reply {
        self.send_encoded(batch, "")
    }

    /// Sends a request that is compressed already; without an `encoding` it is not.
    pub(crate) fn send_encoded(&self, batch: &[u8], encoding: &str) -> Reply {
        let body = if self.protocol == Protocol::Grpc {
            framed(batch, !encoding.is_empty())
        } else {
            Bytes::copy_from_slice(batch)
        };
        self.exchange(Full::new(body).boxed(), encoding)
    }

    /// Sends a request in pieces of so many bytes, with a pause before each; its length is not announced.
    pub(crate) fn send_in_pieces(&self, batch: Bytes, bytes: usize, pause: Duration) -> Reply {
        let body = if self.protocol == Protocol::Grpc { framed(&batch, false) } else { batch };
        let pieces = unfold(body, move |mut rest| async move {
            tokio::time::sleep(pause).await;
            let piece = rest.split_to(bytes.min(rest.len()));
            (!piece.is_empty()).then(|| (Ok(Frame::data(piece)), rest))
        });
        self.exchange(BoxBody::new(StreamBody::new(pieces)), "")
    }

    fn exchange(&self, body: RequestBody, encoding: &str) -> Reply {
        let reply = self.runtime.block_on(self.try_exchange(body, encoding));
        reply.unwrap_or_else(|error| panic!("{}: no answer: {error:?}", self.url))
    }

    async fn try_exchange(&self, body: RequestBody, encoding: &str) -> Result<Reply, Error> {
        let is_grpc = self.protocol == Protocol::Grpc;
        let mut request = Request::post(&self.url).header(header::CONTENT_TYPE, self.protocol.content_type());
        if is_grpc {
            request = request.header(header::TE, "trailers");
        }
        if !encoding.is_empty() {
            let name = if is_grpc { "grpc-encoding" } else { "content-encoding" };
            request = request.header(name, encoding);
        }
        let response = self.http.request(request.body(body).expect("a valid request")).await?;
        let (head, body) = response.into_parts();
        let collected = body.collect().await.expect("the answer is whole");
        let mut headers = head.headers;
        headers.extend(collected.trailers().cloned().unwrap_or_default());
        let message = collected.to_bytes();
        Ok(if is_grpc { grpc_reply(&headers, message) } else { http_reply(head.status, &headers, message) })
    }
}

/// A message of gRPC behind its prefix.
fn framed(message: &[u8], is_compressed: bool) -> Bytes {
    let mut body = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    body.put_u8(is_compressed.into());
    body.put_u32(u32::try_from(message.len()).expect("a message of less than 4 GiB"));
    body.put_slice(message);
    body.freeze()
}

fn grpc_reply(headers: &HeaderMap, framed: Bytes) -> Reply {
    let status = headers.get("grpc-status").and_then(|status| status.to_str().ok()?.parse().ok());
    let retry_after = headers.get("grpc-status-details-bin").and_then(|details| {
        let details = STANDARD_NO_PAD.decode(details.as_bytes()).expect("base64");
        retry_info(&Status::decode(&details[..]).expect("a status"))
    });
    let message = if framed.is_empty() { framed } else { framed.slice(PREFIX_BYTES..) };
    Reply { code: Code::Grpc(status.expect("gRPC ends with a status")), retry_after, message }
}

fn http_reply(status: http::StatusCode, headers: &HeaderMap, message: Bytes) -> Reply {
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .map(|seconds| Duration::from_secs(seconds.to_str().expect("text").parse().expect("whole seconds")));
    if status.is_client_error() || status.is_server_error() {
        Status::decode(message.clone()).expect("the body of an error is a status");
    }
    Reply { code: Code::Http(status.as_u16()), retry_after, message }
}

fn retry_info(status: &Status) -> Option<Duration> {
    let info = status.details.iter().find(|detail| detail.type_url == "type.googleapis.com/google.rpc.RetryInfo")?;
    let delay = RetryInfo::decode(&info.value[..]).expect("a RetryInfo").delay.unwrap_or_default();
    let (seconds, nanos) = (delay.seconds.try_into(), delay.nanos.try_into());
    Some(Duration::new(seconds.expect("not negative"), nanos.expect("not negative")))
}

// === impl Reply ===

impl Reply {
    /// Whether OTLP lets a sender repeat what was answered so.
    pub(crate) fn is_retryable(&self) -> bool {
        self.code.is_retryable(self.retry_after.is_some())
    }
}
