//! Connections and requests of a sink.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use faultline_test_support::Signal;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::{Received, Shared, reply};
use crate::{
    answer::{Answer, Refusal},
    count,
    encoding::Encoding,
    protocol::Protocol,
    script::Step,
};

/// Where the script breaks off.
type Broken = io::Error;

/// More bodies than are read at one time.
const BUFFERS_MAX: usize = 64;

/// Takes connections on both listeners.
pub(super) async fn serve(
    shared: Arc<Shared>,
    grpc: std::net::TcpListener,
    http: std::net::TcpListener,
) -> io::Result<Infallible> {
    let grpc = accept(shared.clone(), TcpListener::from_std(grpc)?, Protocol::Grpc);
    let http = accept(shared, TcpListener::from_std(http)?, Protocol::Http);
    tokio::select! {
        ended = grpc => ended,
        ended = http => ended,
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, protocol: Protocol) -> io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        shared.state().counts.connections += 1;
        tokio::spawn(connection(shared.clone(), stream, protocol));
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, protocol: Protocol) {
    let service = service_fn(move |request| handle(shared.clone(), protocol, request));
    let stream = TokioIo::new(stream);
    // How connections end is the business of the other side, and told by its requests.
    _ = match protocol {
        Protocol::Grpc => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
        }
        Protocol::Http => {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).serve_connection(stream, service).await
        }
    };
}

async fn handle(
    shared: Arc<Shared>,
    protocol: Protocol,
    request: Request<Incoming>,
) -> Result<Response<reply::Reply>, Broken> {
    let (head, body) = request.into_parts();
    let signal = protocol.signal(head.uri.path());
    let mut buffer = shared.buffer();
    let mut unpacked = shared.buffer();
    let read = read_body(body, &mut buffer).await;
    let step = read.and_then(|()| {
        let signal = signal.ok_or("not a path of OTLP")?;
        let message = message(protocol, &head.headers, &buffer, &mut unpacked)?;
        shared.take(protocol, signal, head.headers, message)
    });
    shared.give_back([buffer, unpacked]);
    let Step { answer, delay } = step.unwrap_or_else(|fault| shared.unreadable(fault));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    reply::response(protocol, &answer).ok_or_else(|| io::Error::other("the script breaks off here"))
}

async fn read_body(mut body: Incoming, buffer: &mut Vec<u8>) -> Result<(), &'static str> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| "the body breaks off")?;
        if let Some(data) = frame.data_ref() {
            buffer.extend_from_slice(data);
        }
    }
    Ok(())
}

/// The export request in a body, uncompressed.
fn message<'a>(
    protocol: Protocol,
    headers: &HeaderMap,
    body: &'a [u8],
    unpacked: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    let content_type = headers.get(http::header::CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    if !content_type.starts_with(protocol.content_type().as_bytes()) {
        return Err("not protobuf");
    }
    let (message, is_compressed) = protocol.unwrap(body).ok_or("not one message of gRPC")?;
    let name = headers.get(protocol.encoding_header()).map(|value| value.to_str());
    let encoding = match name {
        Some(name) => name.ok().and_then(Encoding::named).ok_or("an unknown encoding")?,
        None => Encoding::Identity,
    };
    if encoding == Encoding::Identity || !is_compressed {
        return Ok(message);
    }
    encoding.decompress(message, unpacked).map_err(|_| "not of the encoding that is named")?;
    Ok(unpacked)
}

// === impl Shared ===

impl Shared {
    /// Counts a request and tells what to answer.
    fn take(
        &self,
        protocol: Protocol,
        signal: Signal,
        headers: HeaderMap,
        message: &[u8],
    ) -> Result<Step, &'static str> {
        let mut ids = Vec::new();
        let counts_spans = self.options.counts_spans;
        let mut span = |id: &[u8]| {
            if counts_spans {
                ids.push(id.to_vec());
            }
        };
        let tally = count::count(signal, message, self.options.mark.as_bytes(), &mut span)
            .map_err(|_| "not protobuf that can be read")?;
        let mut state = self.state();
        if self.options.keeps_requests > 0 {
            while state.kept.len() >= self.options.keeps_requests {
                state.kept.pop_front();
            }
            state.kept.push_back(Received { protocol, signal, headers, message: Bytes::copy_from_slice(message) });
        }
        let step = state.script.next();
        match step.answer {
            Answer::Accept | Answer::AcceptPartly { .. } => {
                state.counts.accepted += tally;
                for id in ids {
                    *state.spans.entry(id).or_default() += 1;
                }
            }
            Answer::Refuse(_) | Answer::Break => state.counts.refused += tally,
        }
        Ok(step)
    }

    fn unreadable(&self, fault: &str) -> Step {
        self.state().counts.unreadable += 1;
        Refusal::invalid(fault).into()
    }

    /// Empty, with the memory of one that was given back.
    fn buffer(&self) -> Vec<u8> {
        self.state().buffers.pop().unwrap_or_default()
    }

    fn give_back(&self, buffers: [Vec<u8>; 2]) {
        let mut state = self.state();
        for mut buffer in buffers {
            if state.buffers.len() < BUFFERS_MAX {
                buffer.clear();
                state.buffers.push(buffer);
            }
        }
    }
}
