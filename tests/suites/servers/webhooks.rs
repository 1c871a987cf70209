//! Somebody who takes webhooks, and says 200 to each.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::PATIENCE;

/// One webhook as it came.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedWebhook {
    /// `POST`.
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// In their order.
    pub(crate) headers: Vec<(String, String)>,
    /// As it was sent.
    pub(crate) body: Vec<u8>,
}

/// Listens until it is dropped.
pub(crate) struct WebhookListener {
    address: SocketAddr,
    received: Receiver<ReceivedWebhook>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

// === impl ReceivedWebhook ===

impl ReceivedWebhook {
    /// The first header of that name, in any case of letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn read(stream: &TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, path) = (word(), word());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut webhook = Self { method, path, headers, body: Vec::new() };
        let bytes = webhook.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or_default();
        webhook.body.resize(bytes, 0);
        reader.read_exact(&mut webhook.body)?;
        Ok(webhook)
    }
}

// === impl WebhookListener ===

impl WebhookListener {
    /// On a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free port");
        let address = listener.local_addr().expect("it listens");
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (sender, received) = mpsc::channel();
        let thread = thread::spawn({
            let is_stopping = Arc::clone(&is_stopping);
            move || take(&listener, &sender, &is_stopping)
        });
        Self { address, received, is_stopping, thread: Some(thread) }
    }

    /// Where webhooks are to be sent to, for example with the path `/webhooks/alertmanager`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next webhook, in the order of their coming.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn next(&self) -> ReceivedWebhook {
        let next = self.received.recv_timeout(PATIENCE);
        next.unwrap_or_else(|_| panic!("no webhook came within {} s", PATIENCE.as_secs()))
    }
}

impl Drop for WebhookListener {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One at a time: a sender that waits for its answer sends no second one.
fn take(listener: &TcpListener, sender: &Sender<ReceivedWebhook>, is_stopping: &AtomicBool) {
    for stream in listener.incoming() {
        if is_stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        // A sender that goes away in the middle has sent nothing.
        let Ok(webhook) = ReceivedWebhook::read(&stream) else { continue };
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        if stream.write_all(answer).is_ok() {
            // Nobody may want it any more.
            let _ = sender.send(webhook);
        }
    }
}
