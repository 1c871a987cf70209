//! A next hop, as one worker sees it: its own connections, its own clock.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;

use super::body::Pieces;
use super::grpc_status::{self, ENCODING, STATUS, TIMEOUT};
use super::refusal::{Code, Refusal};
use super::signal;
use crate::plugin::Signal;
use crate::serve::buffers::Buffers;
use crate::serve::client::{self, Connector};
use crate::serve::config::{Compression, Forward, Protocol};

/// Where batches are handed on to.
pub struct Target {
    /// How it is called in messages and metrics.
    pub name: String,
    signals: Vec<Signal>,
    protocol: Protocol,
    /// Of traces, metrics, logs.
    uris: [Uri; 3],
    compression: Compression,
    headers: HeaderMap,
    pass_headers: Vec<HeaderName>,
    timeout: Duration,
    client: Client<Connector, Pieces>,
    buffers: Arc<Buffers>,
}

/// The largest answer that is read; the OTLP specification recommends 4 MiB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batches from this size on are compressed where nobody waits.
const LARGE: usize = 1024 * 1024;

// === impl Target ===

impl Target {
    /// A next hop by its configuration.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub fn new(forward: &Forward, buffers: Arc<Buffers>) -> anyhow::Result<Self> {
        let is_grpc = forward.protocol == Protocol::Grpc;
        let path = |signal| if is_grpc { signal::grpc_path(signal) } else { signal::http_path(signal) };
        let uris = [Signal::Traces, Signal::Metrics, Signal::Logs].map(|signal| forward.endpoint.join(path(signal)));
        let mut headers = HeaderMap::new();
        for (name, value) in &forward.headers {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_str(name)?, value);
        }
        let pass_headers =
            forward.pass_headers.iter().map(|name| HeaderName::from_str(name)).collect::<Result<_, _>>()?;
        Ok(Self {
            name: forward.endpoint.to_string(),
            signals: forward.signals.iter().map(|signal| Signal::from(*signal)).collect(),
            protocol: forward.protocol,
            uris,
            compression: forward.compression,
            headers,
            pass_headers,
            timeout: Duration::from_nanos(forward.timeout.nanos()),
            client: client::new(&forward.tls, is_grpc)?,
            buffers,
        })
    }

    /// Whether it gets batches of this signal.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Hands a batch on, and waits until the next hop has it. Answers with its message, which may speak of partial success.
    ///
    /// # Errors
    /// What it answers instead; `Unavailable` when it cannot be reached, `DeadlineExceeded` when it takes too long.
    pub async fn send(
        &self,
        signal: Signal,
        batch: Bytes,
        passed: &HeaderMap,
        limit: Option<Duration>,
    ) -> Result<Bytes, Refusal> {
        let limit = limit.map_or(self.timeout, |limit| limit.min(self.timeout));
        let exchange = async {
            let batch = self.compress(batch).await?;
            match self.protocol {
                Protocol::Grpc => self.send_grpc(signal, batch, passed, limit).await,
                Protocol::Http => self.send_http(signal, batch, passed).await,
            }
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                let message = format!("{} did not answer within {} s", self.name, limit.as_secs_f64());
                Err(Refusal::new(Code::DeadlineExceeded, message))
            }
        }
    }

    async fn compress(&self, batch: Bytes) -> Result<Bytes, Refusal> {
        let (compression, buffers) = (self.compression, self.buffers.clone());
        let compressed = match compression {
            Compression::None => return Ok(batch),
            _ if batch.len() < LARGE => compression.compress(&batch, &buffers),
            _ => {
                let work = tokio::task::spawn_blocking(move || compression.compress(&batch, &buffers));
                work.await.unwrap_or_else(|_| Err(Refusal::busy("the compressor stopped")))
            }
        };
        compressed.map(Bytes::from_owner)
    }

    fn request(&self, signal: Signal, passed: &HeaderMap) -> http::request::Builder {
        let uri = match signal {
            Signal::Traces => &self.uris[0],
            Signal::Metrics => &self.uris[1],
            Signal::Logs => &self.uris[2],
        };
        let mut request = Request::builder().method(Method::POST).uri(uri);
        if let Some(headers) = request.headers_mut() {
            for name in &self.pass_headers {
                for value in passed.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
            for (name, value) in &self.headers {
                headers.insert(name, value.clone());
            }
            headers.insert(header::USER_AGENT, client::USER_AGENT);
        }
        request
    }

    async fn send_grpc(
        &self,
        signal: Signal,
        batch: Bytes,
        passed: &HeaderMap,
        limit: Duration,
    ) -> Result<Bytes, Refusal> {
        let is_compressed = self.compression != Compression::None;
        let mut request = self
            .request(signal, passed)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(TIMEOUT, format!("{}m", limit.as_millis().clamp(1, 99_999_999)));
        if is_compressed {
            request = request.header(ENCODING, self.compression.name());
        }
        let request = request.body(Pieces::message(batch, is_compressed)).map_err(not_sendable)?;
        let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let headers = response.headers().clone();
        if let Some(refusal) = grpc_status::read(&headers) {
            return Err(refusal);
        }
        if status != StatusCode::OK {
            return Err(Refusal::of_http(status, Bytes::new(), None));
        }
        let collected = read_answer(response.into_body()).await?;
        match collected.trailers().and_then(|trailers| trailers.get(STATUS).map(|_| trailers)) {
            Some(trailers) => grpc_status::read(trailers).map_or(Ok(()), Err)?,
            None if headers.contains_key(STATUS) => {}
            None => {
                let message = format!("{} ended its answer without a status", self.name);
                return Err(Refusal::new(Code::Unavailable, message));
            }
        }
        self.message(collected.to_bytes(), headers.get(ENCODING))
    }

    /// Takes a message out of its frame.
    fn message(&self, mut framed: Bytes, encoding: Option<&HeaderValue>) -> Result<Bytes, Refusal> {
        if framed.is_empty() {
            return Ok(framed);
        }
        let malformed =
            || Refusal::new(Code::Internal, format!("{} answered with something else than a message", self.name));
        if framed.len() < 5 {
            return Err(malformed());
        }
        let is_compressed = framed.get_u8() == 1;
        let length = framed.get_u32() as usize;
        if framed.len() != length {
            return Err(malformed());
        }
        if !is_compressed {
            return Ok(framed);
        }
        let compression = Compression::named(encoding.map_or(b"", |name| name.as_bytes())).ok_or_else(malformed)?;
        compression.decompress(&framed, ANSWER_BYTES_MAX, &self.buffers).map(Bytes::from_owner)
    }

    async fn send_http(&self, signal: Signal, batch: Bytes, passed: &HeaderMap) -> Result<Bytes, Refusal> {
        let mut request = self.request(signal, passed).header(header::CONTENT_TYPE, "application/x-protobuf");
        if self.compression != Compression::None {
            request = request.header(header::CONTENT_ENCODING, self.compression.name());
        }
        let request = request.body(Pieces::one(batch)).map_err(not_sendable)?;
        let response = self.client.request(request).await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(retry_after);
        let is_protobuf = response.headers().get(header::CONTENT_TYPE).is_some_and(is_protobuf);
        let body = read_answer(response.into_body()).await?.to_bytes();
        if !status.is_success() {
            return Err(Refusal::of_http(status, if is_protobuf { body } else { Bytes::new() }, retry_after));
        }
        // An answer in another form is a success of which no more is known.
        Ok(if is_protobuf { body } else { Bytes::new() })
    }

    fn unreachable(&self, error: &hyper_util::client::legacy::Error) -> Refusal {
        Refusal::new(Code::Unavailable, format!("{} cannot be reached: {}", self.name, client::reason(error)))
    }
}

async fn read_answer(body: Incoming) -> Result<http_body_util::Collected<Bytes>, Refusal> {
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    // Whether the next hop took the batch is not known: the sender is to repeat it.
    read.map_err(|error| Refusal::new(Code::Unavailable, format!("the answer of the next hop was cut short: {error}")))
}

fn not_sendable(error: http::Error) -> Refusal {
    Refusal::new(Code::Internal, format!("the request cannot be written: {error}"))
}

fn is_protobuf(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"application/x-protobuf")
}

/// Seconds, or a date of HTTP.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let seconds = date.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |text: &'static str| retry_after(&HeaderValue::from_static(text));
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Sat, 07 Mar 2020 10:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
    }
}
