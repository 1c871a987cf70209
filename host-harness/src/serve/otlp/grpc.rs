//! OTLP/gRPC, the near side: unary calls of three export methods. Messages are never decoded.
//!
//! Source: gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Body;

use super::body::{Pieces, over, receive};
use super::grpc_status::{self, ACCEPT_ENCODING, ENCODING, STATUS, TIMEOUT};
use super::hop::{self, Hop, Transport};
use super::refusal::{Code, Refusal};
use super::signal;
use crate::serve::buffers::Buffer;
use crate::serve::config::Compression;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// The flag and the length before a message.
const PREFIX_BYTES: usize = 5;
/// Requests from this compressed size on are decompressed on a thread of their own.
const LARGE: usize = 256 * 1024;

/// Answers one call.
pub async fn answer<B>(hop: &Hop, request: Request<B>) -> Response<Pieces>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (head, body) = request.into_parts();
    if head.method != Method::POST || !has_type(&head.headers) {
        let mut response = Response::new(Pieces::none());
        *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match export(hop, head.uri.path(), &head.headers, body).await {
        Ok(message) => accepted(message),
        Err(refusal) => refused(&refusal),
    }
}

async fn export<B>(hop: &Hop, path: &str, headers: &HeaderMap, body: B) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let signal = signal::of_path(path, signal::grpc_path)
        .ok_or_else(|| Refusal::new(Code::Unimplemented, format!("there is no method {path}")))?;
    let limit = headers.get(TIMEOUT).and_then(timeout);
    let bytes_max = hop.bounds.request_bytes.saturating_add(PREFIX_BYTES);
    let framed = match receive(body, bytes_max, hop.bounds.receive_timeout, &hop.buffers).await {
        Ok(framed) => framed,
        Err(refusal) => {
            hop.metrics.refused_unread(signal, Transport::Grpc, &refusal);
            return Err(refusal);
        }
    };
    let unframed = unframe(hop, framed, headers).await;
    let (batch, start) =
        unframed.inspect_err(|refusal| hop.metrics.refused_unread(signal, Transport::Grpc, refusal))?;
    hop.handle(hop::Request { signal, batch, start, headers, limit, transport: Transport::Grpc }).await
}

/// Takes the one message out of its frame, and tells where in the buffer it begins.
async fn unframe(hop: &Hop, framed: Buffer, headers: &HeaderMap) -> Result<(Buffer, usize), Refusal> {
    let malformed = |what: &str| Refusal::new(Code::InvalidArgument, format!("expected one message, found {what}"));
    let Some((prefix, message)) = framed.bytes().split_first_chunk::<PREFIX_BYTES>() else {
        return Err(malformed("none"));
    };
    let [flag, a, b, c, d] = *prefix;
    let announced = u32::from_be_bytes([a, b, c, d]) as usize;
    if announced > hop.bounds.request_bytes {
        return Err(over(hop.bounds.request_bytes));
    }
    if announced != message.len() {
        return Err(malformed(&format!("{} bytes where {announced} were announced", message.len())));
    }
    match flag {
        0 => Ok((framed, PREFIX_BYTES)),
        1 => {
            let name = headers.get(ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
            let compression = Compression::named(name).filter(|compression| *compression != Compression::None);
            let compression = compression.ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                Refusal::new(Code::Unimplemented, format!("`{name}` is not supported, only gzip and zstd"))
            })?;
            let (bytes_max, buffers) = (hop.bounds.request_bytes, hop.buffers.clone());
            let work = move |framed: Buffer| {
                compression.decompress(framed.bytes().get(PREFIX_BYTES..).unwrap_or_default(), bytes_max, &buffers)
            };
            let batch = if announced < LARGE {
                work(framed)
            } else {
                let done = tokio::task::spawn_blocking(move || work(framed)).await;
                done.unwrap_or_else(|_| Err(Refusal::busy("the decompressor stopped")))
            };
            Ok((batch?, 0))
        }
        _ => Err(malformed("an unknown flag")),
    }
}

fn accepted(message: Bytes) -> Response<Pieces> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Pieces::message(message, false).with_trailers(trailers));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// An answer of headers only, as gRPC calls it "Trailers-Only".
fn refused(refusal: &Refusal) -> Response<Pieces> {
    let mut response = Response::new(Pieces::none());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    grpc_status::write(refusal, headers);
    if refusal.code == Code::Unimplemented {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip,zstd"));
    }
    response
}

fn has_type(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    matches!(value.strip_prefix(b"application/grpc"), Some(b"" | b"+proto") | Some([b';', ..]))
}

/// `grpc-timeout`: up to eight digits and a unit.
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_digits_and_a_unit() {
        let of = |text: &'static str| timeout(&HeaderValue::from_static(text));
        assert_eq!(of("10S"), Some(Duration::from_secs(10)));
        assert_eq!(of("99999999m"), Some(Duration::from_millis(99_999_999)));
        for wrong in ["", "S", "10", "999999999S", "1s", "-1S"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
