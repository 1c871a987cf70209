//! OTLP requests, made before they are sent.

use std::io;

use bytes::Bytes;
use faultline_test_support::{Generator, Signal};
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};

use crate::{
    encoding::Encoding,
    load::{Message, Messages},
    protocol::Protocol,
};

/// Requests of one signal, ready to be sent by one protocol again and again, in turn.
#[derive(Clone, Debug)]
pub struct Batches {
    protocol: Protocol,
    path: PathAndQuery,
    headers: HeaderMap,
    /// At least one.
    bodies: Vec<Bytes>,
    items_each: u64,
}

// === impl Batches ===

impl Batches {
    /// `count` requests of the generator, with its seed and those after it. 32 are more than the caches next to a processor
    /// hold; as many as are sent are needed where each span must be another.
    ///
    /// # Errors
    /// When there is none, one is larger than 4 GiB, or it cannot be compressed.
    pub fn generate(
        generator: &Generator,
        signal: Signal,
        count: u64,
        protocol: Protocol,
        encoding: Encoding,
    ) -> io::Result<Self> {
        let messages = (0..count).map(|index| {
            let seed = generator.seed.wrapping_add(index);
            Generator { seed, ..generator.clone() }.bytes(signal)
        });
        Self::new(messages, signal, generator.items as u64, protocol, encoding)
    }

    /// Export requests of that signal, each with `items_each` spans, log records or data points.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn new(
        messages: impl IntoIterator<Item = Vec<u8>>,
        signal: Signal,
        items_each: u64,
        protocol: Protocol,
        encoding: Encoding,
    ) -> io::Result<Self> {
        let is_compressed = encoding != Encoding::Identity;
        let bodies = messages
            .into_iter()
            .map(|message| protocol.wrap(&encoding.compress(&message)?, is_compressed))
            .collect::<io::Result<Vec<_>>>()?;
        if bodies.is_empty() {
            return Err(io::Error::other("nothing to send"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
        if protocol == Protocol::Grpc {
            headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
        }
        if is_compressed {
            let name = HeaderName::from_static(protocol.encoding_header());
            headers.insert(name, HeaderValue::from_static(encoding.name()));
        }
        Ok(Self { protocol, path: PathAndQuery::from_static(protocol.path(signal)), headers, bodies, items_each })
    }

    /// The same with one more header on every request.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Of a body, on average.
    #[must_use]
    pub fn bytes_each(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum::<usize>() / self.bodies.len()
    }
}

impl Messages for Batches {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn message(&self, index: u64) -> Message {
        let place = usize::try_from(index % self.bodies.len() as u64).unwrap_or_default();
        let body = self.bodies.get(place).cloned().unwrap_or_default();
        Message { path: self.path.clone(), headers: self.headers.clone(), body, items: self.items_each }
    }
}
