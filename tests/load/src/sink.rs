//! The end of the line: takes OTLP, counts it, and answers as it is told to.

mod reply;
mod server;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use faultline_test_support::Signal;
use http::HeaderMap;
use tokio::sync::oneshot;

use crate::{count::Tally, protocol::Protocol, script::Script};

/// A server of OTLP/gRPC and OTLP/HTTP (protobuf) on 127.0.0.1, on a thread of its own. Takes bodies in any
/// [`Encoding`](crate::Encoding), of any size. Stops when dropped, and cuts its connections.
///
/// A request that cannot be read is answered with 400 or 3 without asking the script, and counted as
/// [`unreadable`](Counts::unreadable).
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    addresses: [SocketAddr; 2],
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a sink can be told before it starts.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// Port of OTLP/gRPC; 0, the default, is a free one. With the port of a sink that was stopped, this one takes its place.
    pub grpc_port: u16,
    /// Port of OTLP/HTTP; the same.
    pub http_port: u16,
    /// Items with an attribute of this name count as marked. By default `incident.id`.
    pub mark: String,
    /// Whether to count how often each span was accepted; off by default, since it takes memory for each.
    pub counts_spans: bool,
    /// How many requests to keep whole, the newest; 0 by default.
    pub keeps_requests: usize,
}

/// What arrived so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In requests that were answered with success, in part or whole.
    pub accepted: Tally,
    /// In requests that were refused, or broken off, as the script had it.
    pub refused: Tally,
    /// Requests that were no OTLP.
    pub unreadable: u64,
    /// Connections that were opened.
    pub connections: u64,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// By which protocol.
    pub protocol: Protocol,
    /// Which signal.
    pub signal: Signal,
    /// All headers.
    pub headers: HeaderMap,
    /// The export request, uncompressed.
    pub message: Bytes,
}

/// What the server and its handle share.
#[derive(Debug)]
struct Shared {
    options: SinkOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    script: Script,
    /// How often each span was accepted, by its id.
    spans: HashMap<Vec<u8>, u32>,
    kept: std::collections::VecDeque<Received>,
    /// Memory of bodies that were read, for those to come.
    buffers: Vec<Vec<u8>>,
}

/// How often a waiting handle looks. Telling it of each request would cost the sink more.
const LOOK: Duration = Duration::from_millis(2);

// === impl Sink ===

impl Sink {
    /// Opens both ports; they take connections when this returns.
    ///
    /// # Errors
    /// When a port is taken, or there is no thread.
    pub fn start(options: SinkOptions) -> io::Result<Self> {
        let listeners = [options.grpc_port, options.http_port].map(|port| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            io::Result::Ok(listener)
        });
        let [grpc, http] = listeners;
        let (grpc, http) = (grpc?, http?);
        let addresses = [grpc.local_addr()?, http.local_addr()?];
        let shared = Arc::new(Shared { options, state: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = server::serve(shared.clone(), grpc, http);
        let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    never = serving => match never {
                        Ok(never) => match never {},
                        Err(error) => eprintln!("the sink ended: {error}"),
                    }
                }
            });
        })?;
        Ok(Self { shared, addresses, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self, protocol: Protocol) -> SocketAddr {
        let [grpc, http] = self.addresses;
        match protocol {
            Protocol::Grpc => grpc,
            Protocol::Http => http,
        }
    }

    /// From now on answers by this script, from its beginning.
    pub fn set_script(&self, script: Script) {
        self.shared.state().script = script;
    }

    /// What arrived so far. A request counts when it is read, before it is answered.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// Waits until the counts are as wanted, at most for `timeout`, and gives the last ones: the caller asserts on them, so
    /// that a test says what was there instead of that time was up.
    pub fn wait_for(&self, timeout: Duration, mut is_wanted: impl FnMut(&Counts) -> bool) -> Counts {
        let deadline = Instant::now() + timeout;
        loop {
            let counts = self.counts();
            if is_wanted(&counts) || Instant::now() >= deadline {
                return counts;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// How often each span was accepted, by its id; empty without [`SinkOptions::counts_spans`].
    #[must_use]
    pub fn spans(&self) -> HashMap<Vec<u8>, u32> {
        self.shared.state().spans.clone()
    }

    /// The newest requests, the oldest of them first, whatever was answered; see [`SinkOptions::keeps_requests`].
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.state().kept.iter().cloned().collect()
    }

    /// Forgets what arrived; the script goes on.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.counts = Counts::default();
        state.spans.clear();
        state.kept.clear();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            _ = thread.join();
        }
    }
}

// === impl SinkOptions ===

impl Default for SinkOptions {
    fn default() -> Self {
        Self { grpc_port: 0, http_port: 0, mark: "incident.id".to_owned(), counts_spans: false, keeps_requests: 0 }
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
