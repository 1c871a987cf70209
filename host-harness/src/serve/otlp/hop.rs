//! What happens to one batch: it is marked by the plugin, handed to every next hop, and only then acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;

use super::count;
use super::refusal::{Code, Refusal};
use super::target::Target;
use crate::plugin::Signal;
use crate::selective::Marked;
use crate::serve::buffers::{Buffer, Buffers};
use crate::serve::committed::Board;
use crate::serve::instance::{Instance, Outcome};
use crate::serve::metrics::{Metrics, Unmarked};
use crate::time::now;

/// One worker: its instance of the plugin, its connections to the next hops, its buffers.
pub struct Hop {
    /// What is committed.
    pub board: Arc<Board>,
    /// The worker's own.
    pub instance: Arc<Mutex<Instance>>,
    /// For batches that are too large to let others wait for them; one for all workers.
    pub large: Arc<Mutex<Instance>>,
    /// Where batches go; replaced as a whole when the configuration changes.
    pub targets: ArcSwap<Vec<Target>>,
    /// The worker's buffers.
    pub buffers: Arc<Buffers>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Bounds on requests.
    pub bounds: Bounds,
}

/// Bounds on one request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes after decompression.
    pub request_bytes: usize,
    /// How long it may take to arrive.
    pub receive_timeout: Duration,
}

/// A request that was read.
pub struct Request<'a> {
    /// What it holds.
    pub signal: Signal,
    /// The export request in protobuf, from `start` on.
    pub batch: Buffer,
    /// Where the batch begins: gRPC puts a prefix before it.
    pub start: usize,
    /// Headers of the sender.
    pub headers: &'a HeaderMap,
    /// For so long the sender waits.
    pub limit: Option<Duration>,
    /// `grpc` or `http`, for metrics.
    pub transport: Transport,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
}

/// Batches from this size on are marked on a thread of their own: a call takes about 0.25 ms for each MiB, and whatever
/// else the worker has to do would wait.
const LARGE: usize = 1024 * 1024;

// === impl Hop ===

impl Hop {
    /// Marks a batch and hands it on. Answers with the message of the next hop.
    ///
    /// # Errors
    /// What a next hop says instead.
    pub async fn handle(&self, request: Request<'_>) -> Result<Bytes, Refusal> {
        let began = Instant::now();
        let Request { signal, batch, start, headers, limit, transport } = request;
        let items = count::items(signal, batch.bytes().get(start..).unwrap_or_default());
        let answer = match self.mark(signal, batch, start, items).await {
            Ok(batch) => {
                let limit = limit.map(|limit| limit.saturating_sub(began.elapsed()));
                self.forward(signal, items, batch, headers, limit).await
            }
            Err(refusal) => Err(refusal),
        };
        self.metrics.received(signal, transport, items, answer.as_ref().err());
        self.metrics.request_seconds.observe(began.elapsed());
        answer
    }

    async fn mark(&self, signal: Signal, batch: Buffer, start: usize, items: u64) -> Result<Bytes, Refusal> {
        if !self.board.read().is_marking {
            self.metrics.unmarked(signal, Unmarked::Stopped, items);
            return Ok(Bytes::from_owner(batch).slice(start..));
        }
        let began = Instant::now();
        // What the plugin adds is a quarter of a batch of small items.
        let Ok(output) = self.buffers.get(batch.bytes().len() + batch.bytes().len() / 4) else {
            self.metrics.unmarked(signal, Unmarked::NoMemory, items);
            return Ok(Bytes::from_owner(batch).slice(start..));
        };
        let (batch, output, outcome) = if batch.bytes().len() < LARGE {
            mark(&self.instance, &self.board, signal, batch, start, output)
        } else {
            let (instance, board) = (self.large.clone(), self.board.clone());
            let work = move || mark(&instance, &board, signal, batch, start, output);
            match tokio::task::spawn_blocking(work).await {
                Ok(marked) => marked,
                // The batch went with the thread: its sender still has it.
                Err(_) => return Err(Refusal::busy("the thread that marks large batches stopped")),
            }
        };
        self.metrics.plugin_seconds.observe(began.elapsed());
        match outcome {
            Outcome::Answered(Marked::Replaced) => return Ok(Bytes::from_owner(output)),
            Outcome::Answered(Marked::Unchanged) => {}
            Outcome::Answered(Marked::Refused(reason)) => {
                self.metrics.unmarked(signal, Unmarked::Refused, items);
                tracing::warn!(
                    signal = super::signal::name(signal),
                    items,
                    reason,
                    "the plugin refused a batch; it is handed on as it came"
                );
            }
            Outcome::Failed(reason) => {
                self.metrics.unmarked(signal, Unmarked::Failed, items);
                tracing::error!(
                    signal = super::signal::name(signal),
                    items,
                    reason,
                    "the plugin failed; the batch is handed on as it came"
                );
            }
        }
        Ok(Bytes::from_owner(batch).slice(start..))
    }

    async fn forward(
        &self,
        signal: Signal,
        items: u64,
        batch: Bytes,
        headers: &HeaderMap,
        limit: Option<Duration>,
    ) -> Result<Bytes, Refusal> {
        let targets = self.targets.load_full();
        let taking: Vec<&Target> = targets.iter().filter(|target| target.takes(signal)).collect();
        let answers = match taking.as_slice() {
            // To take it and hand it to nobody would be to lose it.
            [] => {
                let name = super::signal::name(signal);
                let message = format!("no next hop takes {name} (`serve.forward[].signals`)");
                return Err(Refusal::new(Code::Unimplemented, message));
            }
            [only] => vec![only.send(signal, batch, headers, limit).await],
            several => join_all(several.iter().map(|target| target.send(signal, batch.clone(), headers, limit))).await,
        };
        for (target, answer) in taking.iter().zip(&answers) {
            self.metrics.sent(&target.name, signal, items, answer.as_ref().err());
        }
        together(answers)
    }
}

fn mark(
    instance: &Mutex<Instance>,
    board: &Board,
    signal: Signal,
    batch: Buffer,
    start: usize,
    mut output: Buffer,
) -> (Buffer, Buffer, Outcome) {
    let mut instance = instance.lock().unwrap_or_else(PoisonError::into_inner);
    let payload = batch.bytes().get(start..).unwrap_or_default();
    let outcome = instance.mark(&board.read(), signal, payload, now(), output.vec());
    drop(instance);
    // What is written must be held, whatever the budget says: the batch is small beside it, and leaves at once.
    let _ = output.settle();
    (batch, output, outcome)
}

/// One answer for the sender: what it must repeat, if it must; else what went wrong for good; else a message, the one
/// that has something to say.
fn together(answers: Vec<Result<Bytes, Refusal>>) -> Result<Bytes, Refusal> {
    let mut message = Bytes::new();
    let mut refused: Option<Refusal> = None;
    for answer in answers {
        match answer {
            Ok(said) if message.is_empty() => message = said,
            Ok(_) => {}
            Err(refusal) => {
                if refused.as_ref().is_none_or(|first| refusal.is_retryable() && !first.is_retryable()) {
                    refused = Some(refusal);
                }
            }
        }
    }
    refused.map_or(Ok(message), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_of_several_wants_repeated_is_repeated() {
        let refused = |code| Err(Refusal::new(code, "x"));
        let code = |answers| together(answers).map_err(|refusal| refusal.code);
        assert_eq!(
            code(vec![refused(Code::InvalidArgument), refused(Code::Unavailable), Ok(Bytes::new())]),
            Err(Code::Unavailable)
        );
        assert_eq!(code(vec![Ok(Bytes::new()), refused(Code::InvalidArgument)]), Err(Code::InvalidArgument));
        assert_eq!(code(vec![Ok(Bytes::new()), Ok(Bytes::from_static(b"partly"))]), Ok(Bytes::from_static(b"partly")));
        assert_eq!(code(vec![]), Ok(Bytes::new()));
    }
}
