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
        let mut buffer = buffers.get(announced.min(EXPECTED_BYTES_MAX)).map_err(spent)?;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Refusal::new(Code::Cancelled, format!("the request was cut short: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.remaining() > bytes_max - buffer.bytes().len() {
                return Err(over(bytes_max));
            }
            if buffer.bytes().is_empty() {
                expect_message(&data, &mut buffer, bytes_max)?;
            }
            buffer.extend(&data).map_err(spent)?;
        }
        Ok(buffer)
    };
    match timeout(limit, read).await {
        Ok(read) => read,
        Err(_elapsed) => {
            let message = format!("the request did not arrive within {} s", limit.as_secs_f64());
            Err(Refusal { status: Some(http::StatusCode::REQUEST_TIMEOUT), ..Refusal::new(Code::Aborted, message) })
        }
    }
}

/// Reserves once what the prefix of a gRPC message announces. For what is no such message the bound still holds.
fn expect_message(data: &[u8], buffer: &mut Buffer, bytes_max: usize) -> Result<(), Refusal> {
    if let [0 | 1, a, b, c, d, ..] = data {
        let announced = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if announced < bytes_max.min(EXPECTED_BYTES_MAX) && buffer.vec().capacity() < announced + 5 {
            buffer.count(announced + 5).map_err(spent)?;
            buffer.vec().reserve(announced + 5);
        }
    }
    Ok(())
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
