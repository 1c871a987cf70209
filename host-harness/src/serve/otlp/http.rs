//! OTLP/HTTP, the near side: protobuf, and JSON by conversion.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;

use super::body::{Pieces, receive};
use super::hop::{self, Hop, Transport};
use super::json;
use super::refusal::{Code, Refusal};
use super::signal;
use crate::plugin::Signal;
use crate::serve::buffers::Buffer;
use crate::serve::config::Compression;
use crate::serve::connection::discard;
use crate::telemetry::Encoding;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Requests from this size on are decompressed, or converted, on a thread of their own.
const LARGE: usize = 256 * 1024;

/// Answers one request.
pub async fn answer<B>(hop: &Hop, request: Request<B>) -> Response<Pieces>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (head, body) = request.into_parts();
    let Some(signal) = signal::of_path(head.uri.path(), signal::http_path) else {
        return plain(StatusCode::NOT_FOUND, "expected /v1/traces, /v1/metrics or /v1/logs\n");
    };
    if head.method != Method::POST {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "expected POST\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some(encoding) = encoding(&head.headers) else {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected application/x-protobuf or application/json\n");
    };
    match export(hop, signal, encoding, &head.headers, body).await {
        Ok(message) => accepted(signal, encoding, message),
        Err(refusal) => refused(encoding, &refusal),
    }
}

async fn export<B>(
    hop: &Hop,
    signal: Signal,
    encoding: Encoding,
    headers: &HeaderMap,
    mut body: B,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (bounds, began) = (hop.bounds, Instant::now());
    let read = async {
        let received = receive(&mut body, bounds.request_bytes, bounds.receive_timeout, &hop.buffers).await;
        if received.is_err() {
            discard(&mut body, bounds.receive_timeout.saturating_sub(began.elapsed())).await;
        }
        decode(hop, signal, encoding, headers, received?).await
    };
    let batch = read.await.inspect_err(|refusal| hop.metrics.refused_unread(signal, Transport::Http, refusal))?;
    hop.handle(hop::Request { signal, batch, start: 0, headers, limit: None, transport: Transport::Http }).await
}

/// Decompresses, and turns JSON into protobuf.
async fn decode(
    hop: &Hop,
    signal: Signal,
    encoding: Encoding,
    headers: &HeaderMap,
    body: Buffer,
) -> Result<Buffer, Refusal> {
    let name = headers.get(header::CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    let compression = Compression::named(name).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        let message = format!("Content-Encoding `{name}` is not supported, only gzip and zstd");
        Refusal { status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), ..Refusal::new(Code::Unimplemented, message) }
    })?;
    if compression == Compression::None && encoding == Encoding::Protobuf {
        return Ok(body);
    }
    let (bytes_max, buffers, is_large) = (hop.bounds.request_bytes, hop.buffers.clone(), body.bytes().len() >= LARGE);
    let work = move || {
        let plain = match compression {
            Compression::None => body,
            _ => compression.decompress(body.bytes(), bytes_max, &buffers)?,
        };
        match encoding {
            Encoding::Protobuf => Ok(plain),
            Encoding::Json => json::request(signal, plain.bytes(), &buffers),
        }
    };
    if !is_large {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::busy("the decoder stopped")))
}

fn accepted(signal: Signal, encoding: Encoding, message: Bytes) -> Response<Pieces> {
    let (body, content_type) = match encoding {
        Encoding::Protobuf => (message, PROTOBUF),
        Encoding::Json => (json::answer(signal, message), JSON),
    };
    let mut response = Response::new(Pieces::one(body));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn refused(encoding: Encoding, refusal: &Refusal) -> Response<Pieces> {
    let status = refusal.to_status();
    let (body, content_type) = match encoding {
        Encoding::Protobuf => (status, PROTOBUF),
        Encoding::Json => (json::status(refusal), JSON),
    };
    let mut response = Response::new(Pieces::one(body));
    *response.status_mut() = refusal.http_status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Some(after) = refusal.retry_after {
        // Whole seconds: rounded up, or a sender would come too early.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs() + u64::from(after.subsec_nanos() > 0)));
    }
    response
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Encoding::Json)
    } else {
        None
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Pieces> {
    let mut response = Response::new(Pieces::one(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
