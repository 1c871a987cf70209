//! A thread that takes telemetry: a runtime of its own, an instance of the plugin, its own connections to the next hops.

use std::sync::Arc;
use std::thread;

use anyhow::Context;
use hyper::service::service_fn;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use super::connection::{self, Manner};
use super::otlp::hop::{Hop, Transport};
use super::otlp::{grpc, http};

/// A running worker.
pub(super) struct Worker {
    /// What it does with a batch.
    pub hop: Arc<Hop>,
    connections: mpsc::UnboundedSender<Connection>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A connection that was accepted.
pub(super) struct Connection {
    /// Of another runtime, or of none.
    pub stream: std::net::TcpStream,
    /// How it is served.
    pub manner: Manner,
    /// What it speaks.
    pub transport: Transport,
    /// Counts it.
    pub permit: OwnedSemaphorePermit,
}

// === impl Worker ===

impl Worker {
    /// Starts a thread. It ends when `stop` says so and its connections have ended.
    ///
    /// # Errors
    /// When the machine has no more threads.
    pub(super) fn start(number: usize, hop: Arc<Hop>, stop: watch::Receiver<bool>) -> anyhow::Result<Self> {
        let (connections, queue) = mpsc::unbounded_channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
        let served = hop.clone();
        let thread = thread::Builder::new()
            .name(format!("otlp-{number}"))
            .spawn(move || runtime.block_on(run(served, queue, stop)))
            .context("cannot start a thread")?;
        Ok(Self { hop, connections, thread: Some(thread) })
    }

    /// The way to give it a connection.
    #[must_use]
    pub(super) fn sender(&self) -> mpsc::UnboundedSender<Connection> {
        self.connections.clone()
    }

    /// Waits until it has ended.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(hop: Arc<Hop>, mut queue: mpsc::UnboundedReceiver<Connection>, stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            () = connection::stopped(&mut stopping) => break,
            Some(connection) = queue.recv() => {
                connections.spawn(serve(hop.clone(), connection, stop.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(hop: Arc<Hop>, connection: Connection, stop: watch::Receiver<bool>) {
    let Connection { stream, manner, transport, permit } = connection;
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
    let answering = hop.clone();
    let service = service_fn(move |request| {
        let hop = answering.clone();
        async move {
            Ok(match transport {
                Transport::Grpc => grpc::answer(&hop, request).await,
                Transport::Http => http::answer(&hop, request).await,
            })
        }
    });
    if !connection::serve(stream, &manner, service, stop).await {
        hop.metrics.connection_refused(manner.listener);
    }
    drop(permit);
}
