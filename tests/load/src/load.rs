//! Sends requests as fast as they are taken, or at a constant rate.

mod connection;
mod schedule;
mod worker;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, uri::PathAndQuery};
use tokio::task::JoinSet;

use self::{connection::Connection, schedule::Schedule, worker::Worker};
use crate::{code::Code, outcome::Outcome, protocol::Protocol};

/// Clients that send to one server.
///
/// At a constant rate the loop is open: a request is due at its time whether or not those before it were answered, and its
/// latency counts from then, so that a server that stalls is not spared the requests that it kept waiting.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub target: SocketAddr,
    /// For HTTP, where a connection carries one request at a time, there are `in_flight` times as many.
    pub connections: usize,
    /// Requests under way on each connection, at most.
    pub in_flight: usize,
    /// When each request begins.
    pub pace: Pace,
    /// When to stop.
    pub length: Length,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How often a request is sent once more, as an exporter would: only after answers that OTLP lets be tried again, when
    /// the answer says, or else after 50 ms, and twice as long each time, up to 5 s.
    pub retries: u32,
}

/// When requests begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// When one before has been answered.
    Saturate,
    /// So many a second; more than 0.
    PerSecond(f64),
}

/// When to stop. What is under way is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// After so many requests.
    Requests(u64),
    /// After such a time.
    Time(Duration),
}

/// What is sent.
pub trait Messages: Send + Sync + 'static {
    /// How.
    fn protocol(&self) -> Protocol;

    /// The request with that number, from 0 on. It may be asked for again, where it is tried again.
    fn message(&self, index: u64) -> Message;

    /// How the request ended at last, and when it was due. Called once for each.
    fn ended(&self, index: u64, code: Code) {
        _ = (index, code);
    }
}

/// One request, a `POST`.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where on the server.
    pub path: PathAndQuery,
    /// All but host and length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Spans, log records or data points in it, for the outcome.
    pub items: u64,
}

// === impl Load ===

impl Load {
    /// Two connections with four requests each, as fast as they are taken, for one second; no retries. Change what is to be
    /// otherwise.
    #[must_use]
    pub fn to(target: SocketAddr) -> Self {
        Self {
            target,
            connections: 2,
            in_flight: 4,
            pace: Pace::Saturate,
            length: Length::Time(Duration::from_secs(1)),
            timeout: Duration::from_secs(30),
            retries: 0,
        }
    }

    /// Sends on a thread of its own, and returns when the last request has ended.
    ///
    /// # Errors
    /// When there is no thread or no runtime. That the server does not answer is an outcome.
    pub fn run(&self, messages: Arc<dyn Messages>) -> io::Result<Outcome> {
        std::thread::scope(|scope| {
            let running = std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(self.send(messages))
            })?;
            running.join().unwrap_or_else(|_| Err(io::Error::other("the load panicked")))
        })
    }

    async fn send(&self, messages: Arc<dyn Messages>) -> io::Result<Outcome> {
        let schedule = Arc::new(Schedule::begin(self.pace, self.length)?);
        let started = schedule.started();
        let mut workers = JoinSet::new();
        for _ in 0..self.connections {
            let connection = Connection::to(self.target, messages.protocol());
            for _ in 0..self.in_flight {
                let worker = Worker {
                    connection: connection.for_worker(),
                    schedule: schedule.clone(),
                    messages: messages.clone(),
                    timeout: self.timeout,
                    retries: self.retries,
                };
                workers.spawn(worker.run());
            }
        }
        let mut outcome = Outcome::default();
        while let Some(ended) = workers.join_next().await {
            outcome.add(&ended.map_err(io::Error::other)?);
        }
        outcome.elapsed = started.elapsed();
        Ok(outcome)
    }
}
