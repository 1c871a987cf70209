//! A TCP connection that goes to the system seldom: it reads much at a time, and what a task writes in small pieces leaves
//! together, once the task has nothing more to write.
//!
//! HTTP/2 needs it. Its frames have 16 KiB, and h2 writes and flushes each of them by itself, and reads in pieces of 8: for
//! a request of 350 kB that was 42 reads and 22 writes, each with a packet of its own (measured; more than half of the
//! time was the system's). Here it is 6 of each.
//!
//! On Linux a socket is *corked*: it sends full packets at once, and the rest when it is told to. Elsewhere only the
//! reading is different.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use pin_project_lite::pin_project;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The connection. What is written leaves at the next flush outside of [`Together`], or at the end of the poll inside.
#[derive(Debug)]
pub struct Socket {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
    is_corked: bool,
    /// Whether something was written that may still wait to be sent.
    is_unsent: bool,
    /// Read, and not yet asked for. There is none as long as nothing arrives: thousands of connections may be idle.
    ahead: Option<Ahead>,
}

#[derive(Debug)]
struct Ahead {
    bytes: Box<[u8]>,
    from: usize,
    until: usize,
}

pin_project! {
    /// A task whose writes leave together at the end of each poll.
    #[derive(Debug)]
    pub struct Together<F> {
        #[pin]
        task: F,
    }
}

/// Runs tasks of hyper as [`Together`].
#[derive(Clone, Copy, Debug)]
pub struct TogetherExecutor;

/// What this thread keeps from one poll to the next.
#[derive(Default)]
struct Local {
    /// Polls of [`Together`] that are under way, one within another.
    depth: usize,
    /// Sockets in which something waits to be sent.
    waiting: Vec<Arc<OwnedWriteHalf>>,
    /// Buffers to read into.
    free: Vec<Box<[u8]>>,
}

/// How much is read at a time.
const READ_BYTES: usize = 64 * 1024;
/// Buffers that a thread keeps: more are in use only while several connections are read from, half-way, at a time.
const FREE: usize = 4;

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

// === impl Socket ===

impl Socket {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> Self {
        // Where that cannot be had, it is as without.
        let is_corked = cork(&stream).is_ok();
        let (read, write) = stream.into_split();
        Self { read, write: Arc::new(write), is_corked, is_unsent: false, ahead: None }
    }
}

#[cfg(target_os = "linux")]
fn cork(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_cork(true)
}

#[cfg(not(target_os = "linux"))]
fn cork(_stream: &TcpStream) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends what waits in a corked socket.
fn send(stream: &TcpStream) {
    // Setting it sends at once, though it is set already and the socket is corked: tcp(7). An error is that of a broken
    // connection, which the next read or write tells.
    let _: io::Result<()> = stream.set_nodelay(true);
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_none() {
            if into.remaining() >= READ_BYTES {
                return Pin::new(&mut this.read).poll_read(context, into);
            }
            let mut bytes = LOCAL.with_borrow_mut(|local| local.free.pop()).unwrap_or_else(new_buffer);
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = Pin::new(&mut this.read).poll_read(context, &mut buffer);
            let until = buffer.filled().len();
            let ahead = Ahead { bytes, from: 0, until };
            if !matches!(read, Poll::Ready(Ok(()))) || until == 0 {
                ahead.put_back();
                return read;
            }
            this.ahead = Some(ahead);
        }
        if let Some(mut ahead) = this.ahead.take() {
            ahead.hand_out(into);
            if ahead.from < ahead.until {
                this.ahead = Some(ahead);
            } else {
                ahead.put_back();
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn new_buffer() -> Box<[u8]> {
    vec![0; READ_BYTES].into_boxed_slice()
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_unsent = self.is_corked;
        loop {
            let stream: &TcpStream = (*self.write).as_ref();
            if stream.poll_write_ready(context)?.is_pending() {
                // The other side is to make room for it, and must see it first.
                if self.is_corked {
                    send(stream);
                }
                return Poll::Pending;
            }
            match stream.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes whenever it is polled.
        if std::mem::take(&mut self.is_unsent) {
            LOCAL.with_borrow_mut(|local| local.flush(&self.write));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What waits is sent ahead of the end.
        Poll::Ready(SockRef::from((*self.write).as_ref()).shutdown(Shutdown::Write))
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

// === impl Ahead ===

impl Ahead {
    fn hand_out(&mut self, into: &mut ReadBuf<'_>) {
        let count = (self.until - self.from).min(into.remaining());
        into.put_slice(&self.bytes[self.from..self.from + count]);
        self.from += count;
    }

    fn put_back(self) {
        LOCAL.with_borrow_mut(|local| {
            if local.free.len() < FREE {
                local.free.push(self.bytes);
            }
        });
    }
}

// === impl Local ===

impl Local {
    /// Sends now, or at the end of the poll.
    fn flush(&mut self, stream: &Arc<OwnedWriteHalf>) {
        if self.depth == 0 {
            send((**stream).as_ref());
        } else if !self.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, stream)) {
            self.waiting.push(stream.clone());
        }
    }
}

// === impl Together ===

impl<F> Together<F> {
    /// The task, otherwise as it is.
    pub fn new(task: F) -> Self {
        Self { task }
    }

    /// The task itself.
    pub fn task(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().task
    }
}

impl<F: Future> Future for Together<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        /// Also when the task panics.
        struct Within;
        impl Drop for Within {
            fn drop(&mut self) {
                LOCAL.with_borrow_mut(|local| {
                    local.depth -= 1;
                    if local.depth == 0 {
                        local.waiting.drain(..).for_each(|stream| send((*stream).as_ref()));
                    }
                });
            }
        }
        LOCAL.with_borrow_mut(|local| local.depth += 1);
        let _within = Within;
        self.project().task.poll(context)
    }
}

// === impl TogetherExecutor ===

impl<F> Executor<F> for TogetherExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(Together::new(task));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// Both ends of a connection.
    async fn connected() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let near = near.unwrap();
        near.set_nodelay(true).unwrap();
        (Socket::new(near), far.unwrap().0)
    }

    /// Less than a cork holds back by itself, which is 200 ms.
    const SOON: Duration = Duration::from_millis(150);

    #[tokio::test]
    async fn what_is_flushed_outside_of_a_task_is_sent_at_once() {
        let (mut near, mut far) = connected().await;
        near.write_all(b"one").await.unwrap();
        near.flush().await.unwrap();
        let mut read = [0; 3];
        timeout(SOON, far.read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(&read, b"one");
    }

    #[tokio::test]
    async fn what_a_task_writes_in_pieces_is_sent_when_its_poll_ends() {
        let (mut near, far) = connected().await;
        // Of the system, not of the runtime, which would learn of what arrives only after this poll.
        let far = far.into_std().unwrap();
        let seen = far.try_clone().unwrap();
        let writing = tokio::spawn(Together::new(async move {
            for piece in [b"one", b"two"] {
                near.write_all(piece).await.unwrap();
                near.flush().await.unwrap();
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(seen.peek(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            }
            // The poll ends here and the task does not, as a connection waits for more.
            std::future::pending::<()>().await;
            drop(near);
        }));
        let mut far = TcpStream::from_std(far).unwrap();
        let mut read = [0; 6];
        timeout(SOON, far.read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(&read, b"onetwo");
        writing.abort();
    }

    #[tokio::test]
    async fn much_goes_both_ways_unchanged_whatever_the_sizes_of_reads() {
        let (near, far) = connected().await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
        let (mut near_read, mut near_write) = tokio::io::split(near);
        let (mut far_read, mut far_write) = far.into_split();
        let echo = tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut far_write).await });
        let writing = sent.clone();
        let writing = tokio::spawn(Together::new(async move {
            for piece in writing.chunks(9 + 16 * 1024) {
                near_write.write_all(piece).await.unwrap();
                near_write.flush().await.unwrap();
            }
            near_write.shutdown().await.unwrap();
        }));
        let mut read = Vec::new();
        for size in [1, 9, 8 * 1024, 64 * 1024, 200_000].into_iter().cycle() {
            let mut piece = vec![0; size];
            let count = near_read.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            read.extend_from_slice(&piece[..count]);
        }
        assert!(read == sent, "{} bytes came back of {}", read.len(), sent.len());
        writing.await.unwrap();
        echo.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_holds_no_buffer() {
        let (mut near, mut far) = connected().await;
        far.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        near.read_exact(&mut read).await.unwrap();
        assert!(near.ahead.is_none());
    }
}
