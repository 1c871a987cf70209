//! Connections: accepted within bounds, encrypted where that is asked for, and ended when nothing comes.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::heard::Heard;
use super::socket::{Socket, Together};

/// How connections of one listener are served.
#[derive(Clone)]
pub struct Manner {
    /// For metrics and log lines.
    pub listener: &'static str,
    /// Encryption.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// gRPC knows nothing else; other listeners speak HTTP/1.1 too.
    pub is_http2_only: bool,
    /// Requests under way at a time.
    pub requests: usize,
    /// Without a request for so long, the connection is closed.
    pub idle: Duration,
}

/// Requests of one connection, as its end looks at them.
#[derive(Default)]
struct Activity {
    under_way: AtomicUsize,
    begun: AtomicUsize,
}

/// A service that notes when it is busy.
struct Watched<S> {
    service: S,
    activity: Arc<Activity>,
}

/// Ends with its request, also when the sender goes away.
struct UnderWay(Arc<Activity>);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long a handshake may take, and the first bytes, by which the version of HTTP is told.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request by HTTP/1.1 may take, the waiting for its first byte included, if `idle` allows as much.
const HEAD: Duration = Duration::from_secs(60);
/// Of a connection by HTTP/2, its preface; a request by HTTP/1.1 that is shorter is whole, or its head is waited for as long.
const FIRST_BYTES: usize = 24;
/// How long a connection that was told to end may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Where the machine has no more files, trying again at once would not help.
const PAUSE: Duration = Duration::from_millis(100);
/// What a sender may have on its way to us: a connection's worth of requests of a MiB.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Of HTTP/2, to find connections that silently broke.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Of each connection by HTTP/1.1, where hyper would take up to 400 kB.
const BUFFER_BYTES: usize = 128 * 1024;
/// Of all headers of one request.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// Opens a port.
///
/// # Errors
/// When the address is taken, is not ours, or needs rights that we do not have.
pub fn listen(name: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().with_context(|| format!("cannot listen on {address} for {name}"))
}

/// Returns when the server is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could say so is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Accepts connections until `stop` says so, as long as there are permits: further ones wait in the system's queue.
pub async fn accept(
    listener: TcpListener,
    connections: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
    taken: impl Fn(TcpStream, OwnedSemaphorePermit),
) {
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = connections.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        tokio::select! {
            () = stopped(&mut stop) => return,
            next = next => match next {
                Some((Ok((stream, _)), permit)) => {
                    // Without it a lone request waits 40 ms for its own acknowledgement (measured).
                    let _: std::io::Result<()> = stream.set_nodelay(true);
                    taken(stream, permit);
                }
                Some((Err(error), _)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
                None => return,
            }
        }
    }
}

/// Serves one connection to its end. False when TLS failed.
pub async fn serve<S, B>(stream: TcpStream, manner: &Manner, service: S, stop: watch::Receiver<bool>) -> bool
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = Socket::new(stream);
    match &manner.tls {
        None => serve_io(stream, manner, service, stop).await,
        Some(tls) => match timeout(HANDSHAKE, TlsAcceptor::from(tls.clone()).accept(stream)).await {
            Ok(Ok(stream)) => serve_io(stream, manner, service, stop).await,
            Ok(Err(error)) => {
                tracing::debug!(listener = manner.listener, %error, "TLS failed");
                return false;
            }
            Err(_elapsed) => return false,
        },
    }
    true
}

/// Reads the rest of a refused body and throws it away, as long as `limit` lasts. A connection of HTTP/1.1 that ends with
/// unread bytes is reset: a sender that is still writing would see a broken connection in the place of the answer, and send
/// again what was refused for good.
pub async fn discard<B: Body + Unpin>(body: &mut B, limit: Duration) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whoever takes longer does not hear the answer.
    let _: Result<(), Elapsed> = timeout(limit, read).await;
}

async fn serve_io<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    manner: &Manner,
    service: S,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if manner.is_http2_only {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(manner.idle.clamp(HANDSHAKE, HEAD))
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(manner.requests).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_header_list_size(HEADERS_BYTES_MAX);
    let activity = Arc::new(Activity::default());
    let service = Watched { service, activity: activity.clone() };
    let heard = Arc::new(AtomicUsize::new(0));
    let stream = TokioIo::new(Heard::new(stream, heard.clone()));
    let mut connection = pin!(Together::new(builder.serve_connection(stream, service)));
    // Nothing of hyper's bounds how long it waits for these: silent connections would keep others out.
    let mut first = pin!(sleep(HANDSHAKE));
    let mut is_first = true;
    let mut begun = 0;
    let mut idle = pin!(sleep(manner.idle));
    loop {
        tokio::select! {
            // How it ended is the sender's affair: whatever was not answered, it repeats.
            _ = connection.as_mut() => return,
            () = stopped(&mut stop) => break,
            () = first.as_mut(), if is_first => {
                is_first = false;
                if heard.load(Ordering::Relaxed) < FIRST_BYTES && activity.begun.load(Ordering::Relaxed) == 0 {
                    return;
                }
            }
            () = idle.as_mut() => {
                let seen = activity.begun.load(Ordering::Relaxed);
                if seen == begun && activity.under_way.load(Ordering::Relaxed) == 0 {
                    break;
                }
                begun = seen;
                idle.as_mut().reset(Instant::now() + manner.idle);
            }
        }
    }
    connection.as_mut().task().graceful_shutdown();
    loop {
        // As long as a request is under way it may end; whoever stops the server has a bound of their own.
        match timeout(FAREWELL, connection.as_mut()).await {
            Ok(_ended) => return,
            Err(_elapsed) if activity.under_way.load(Ordering::Relaxed) == 0 => return,
            Err(_elapsed) => {}
        }
    }
}

// === impl Watched ===

impl<S> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Incoming>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let under_way = UnderWay::new(self.activity.clone());
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(under_way);
            answer
        })
    }
}

// === impl UnderWay ===

impl UnderWay {
    fn new(activity: Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.under_way.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
