//! A connection that is made when it is needed, and made anew when it broke.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};

use super::Message;
use crate::{answer::Said, code::Code, protocol::Protocol};

/// One connection of gRPC, shared by its workers, or for HTTP one for each.
pub(super) struct Connection {
    target: SocketAddr,
    link: Link,
}

enum Link {
    Grpc(Arc<Mutex<Option<http2::SendRequest<Full<Bytes>>>>>),
    Http(Option<http1::SendRequest<Full<Bytes>>>),
}

/// What came back for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: Code,
    pub(super) said: Said,
}

/// Why nothing came back; that is all a sender knows, too.
type Broken = Box<dyn std::error::Error + Send + Sync>;

const GRPC_STATUS: &str = "grpc-status";
const GRPC_DETAILS: &str = "grpc-status-details-bin";
/// gRPC: the answer has no status that can be read.
const GRPC_UNKNOWN: u32 = 2;

// === impl Connection ===

impl Connection {
    pub(super) fn to(target: SocketAddr, protocol: Protocol) -> Self {
        let link = match protocol {
            Protocol::Grpc => Link::Grpc(Arc::default()),
            Protocol::Http => Link::Http(None),
        };
        Self { target, link }
    }

    /// What one of its workers uses.
    pub(super) fn for_worker(&self) -> Self {
        let link = match &self.link {
            Link::Grpc(shared) => Link::Grpc(shared.clone()),
            Link::Http(_) => Link::Http(None),
        };
        Self { target: self.target, link }
    }

    /// Sends a message once.
    pub(super) async fn send(&mut self, message: Message) -> Result<Reply, Broken> {
        let Message { path, headers, body, items: _ } = message;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        match &mut self.link {
            Link::Grpc(shared) => {
                let uri = Uri::builder().scheme("http").authority(self.target.to_string());
                *request.uri_mut() = uri.path_and_query(path).build()?;
                let mut sender = open_grpc(shared, self.target).await?;
                grpc_reply(sender.send_request(request).await?).await
            }
            Link::Http(kept) => {
                request.headers_mut().insert(header::HOST, HeaderValue::try_from(self.target.to_string())?);
                *request.uri_mut() = Uri::from(path);
                // Taken out, so that a connection whose answer was not waited for is not used again.
                let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
                    Some(sender) => sender,
                    None => open_http(self.target).await?,
                };
                sender.ready().await?;
                let reply = http_reply(sender.send_request(request).await?).await?;
                *kept = Some(sender);
                Ok(reply)
            }
        }
    }
}

async fn open_grpc(
    shared: &Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    target: SocketAddr,
) -> Result<http2::SendRequest<Full<Bytes>>, Broken> {
    let mut kept = shared.lock().await;
    if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
        return Ok(sender.clone());
    }
    let stream = TokioIo::new(connect(target).await?);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new()).handshake(stream).await?;
    // Its end is told by the requests on it.
    tokio::spawn(connection);
    *kept = Some(sender.clone());
    Ok(sender)
}

async fn open_http(target: SocketAddr) -> Result<http1::SendRequest<Full<Bytes>>, Broken> {
    let (sender, connection) = http1::handshake(TokioIo::new(connect(target).await?)).await?;
    // Its end is told by the request on it.
    tokio::spawn(connection);
    Ok(sender)
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn grpc_reply(response: http::Response<Incoming>) -> Result<Reply, Broken> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Ok(Reply { code: Code::Http(head.status.as_u16()), said: Said::default() });
    }
    // A server that has no message to send puts the status into the headers.
    if let Some(code) = grpc_code(&head.headers) {
        return Ok(Reply { code, said: grpc_said(&head.headers) });
    }
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let code = grpc_code(&trailers).unwrap_or(Code::Grpc(GRPC_UNKNOWN));
    let body = collected.to_bytes();
    let said = match Protocol::Grpc.unwrap(&body) {
        Some((message, false)) if code.is_success() => Said::in_response(message),
        _ => grpc_said(&trailers),
    };
    Ok(Reply { code, said })
}

fn grpc_code(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok().map(Code::Grpc)
}

fn grpc_said(headers: &HeaderMap) -> Said {
    headers.get(GRPC_DETAILS).map(|value| Said::in_status_header(value.as_bytes())).unwrap_or_default()
}

async fn http_reply(response: http::Response<Incoming>) -> Result<Reply, Broken> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let code = Code::Http(head.status.as_u16());
    let is_protobuf =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == Protocol::Http.content_type());
    let mut said = if code.is_success() && is_protobuf { Said::in_response(&body) } else { Said::default() };
    said.retry_after = head.headers.get(header::RETRY_AFTER).and_then(seconds);
    Ok(Reply { code, said })
}

/// A `Retry-After` in seconds; as a date it is of no use on a clock that is not ours.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
