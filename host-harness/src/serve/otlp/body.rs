//! Bodies of requests and answers: read whole within bounds, and written in at most two pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::refusal::{Code, Refusal};
use crate::serve::buffers::{Buffer, Buffers, Spent};

/// What is written: one or two pieces, and trailers. A prefix is a piece of its own, so that what stands behind it need
/// not be moved.
#[derive(Debug, Default)]
pub struct Pieces {
    first: Option<Bytes>,
    second: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

// === impl Pieces ===

impl Pieces {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One piece.
    #[must_use]
    pub fn one(bytes: Bytes) -> Self {
        Self { second: Some(bytes).filter(|bytes| !bytes.is_empty()), ..Self::default() }
    }

    /// A message of gRPC.
    #[must_use]
    pub fn message(message: Bytes, is_compressed: bool) -> Self {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        let prefix = [u8::from(is_compressed), length[0], length[1], length[2], length[3]];
        Self { first: Some(Bytes::copy_from_slice(&prefix)), ..Self::one(message) }
    }

    /// The same, and trailers behind.
    #[must_use]
    pub fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(trailers), ..self }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.first.take().or_else(|| self.second.take());
        let frame = piece.map(Frame::data).or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.second.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = |piece: &Option<Bytes>| piece.as_ref().map_or(0, |piece| piece.len() as u64);
        SizeHint::with_exact(length(&self.first) + length(&self.second))
    }
}

/// Reads a request's body whole.
///
/// # Errors
/// When it is larger than `bytes_max`, slower than `limit`, cut short, or the budget is spent.
pub(super) async fn receive<B>(
    body: B,
    bytes_max: usize,
    limit: Duration,
    buffers: &Arc<Buffers>,
) -> Result<Buffer, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(over(bytes_max));
    }
    let read = async {
        let mut body = body;
        let mut buffer: Option<Buffer> = None;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::new(Code::Cancelled, format!("the request was cut short: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let received = buffer.as_ref().map_or(0, |buffer| buffer.bytes().len());
            if data.remaining() > bytes_max - received {
                return Err(over(bytes_max));
            }
            let buffer = match &mut buffer {
                Some(buffer) => buffer,
                none => none.insert(buffers.get(expected(announced, &data, bytes_max)).map_err(spent)?),
            };
            buffer.extend(&data).map_err(spent)?;
        }
        buffer.map_or_else(|| buffers.get(0).map_err(spent), Ok)
    };
    match timeout(limit, read).await {
        Ok(read) => read,
        Err(_elapsed) => {
            let message = format!("the request did not arrive within {} s", limit.as_secs_f64());
            Err(Refusal { status: Some(http::StatusCode::REQUEST_TIMEOUT), ..Refusal::new(Code::Aborted, message) })
        }
    }
}

/// How much room to make at the first bytes of a body: what was announced, or what the prefix of a gRPC message announces.
/// For what is no such message the bound still holds.
fn expected(announced: usize, data: &[u8], bytes_max: usize) -> usize {
    let of_message = match data {
        [0 | 1, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => 0,
    };
    let of_message = if of_message < bytes_max { of_message + 5 } else { 0 };
    if announced > 0 { announced } else { of_message }.min(EXPECTED_BYTES_MAX).max(data.len())
}

/// Memory is not set aside for more than this on the word of a sender.
const EXPECTED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The refusal when all requests together hold as much as they may.
#[must_use]
pub(super) fn spent(_: Spent) -> Refusal {
    Refusal::busy("as much is held as may be (`serve.otlp.held_bytes`)")
}

/// The refusal of a request that is too large.
#[must_use]
pub(super) fn over(bytes_max: usize) -> Refusal {
    Refusal::too_large(format!("the request has more than {bytes_max} bytes (`serve.otlp.request_bytes`)"))
}
