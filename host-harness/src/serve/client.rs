//! HTTP to other servers: connections that are kept, TLS, and errors in words.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;

use super::config::ClientTls;
use super::socket::{Socket, TogetherExecutor};
use super::tls;

/// Connects by TCP, and by TLS where the endpoint asks for it.
pub type Connector = HttpsConnector<SocketConnector>;

/// Connects by TCP.
#[derive(Clone, Debug)]
pub struct SocketConnector(HttpConnector);

/// How we call ourselves.
pub const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("faultline/", env!("CARGO_PKG_VERSION")));

/// A next hop that does not take a connection is as good as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that silently broke is found so.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for one server; `is_http2` from the first byte on, as gRPC wants it.
///
/// # Errors
/// When certificates cannot be read.
pub fn new<B>(tls: &ClientTls, is_http2: bool) -> anyhow::Result<Client<Connector, B>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut http = HttpConnector::new();
    // Without it a lone request waits 40 ms for its own acknowledgement (measured).
    http.set_nodelay(true);
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(KEEP_ALIVE_INTERVAL));
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls::client(tls)?).https_or_http();
    let connector = if is_http2 {
        connector.enable_http2().wrap_connector(SocketConnector(http))
    } else {
        connector.enable_http1().wrap_connector(SocketConnector(http))
    };
    let mut builder = Client::builder(TogetherExecutor);
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_only(is_http2)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW);
    Ok(builder.build(connector))
}

/// As much as may be on its way to us: answers are small.
const WINDOW: u32 = 1024 * 1024;

/// What is at the bottom of an error: `connection refused` and not `client error (Connect)`.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// A text as part of a path or of a query (RFC 3986, 2.1).
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

// === impl SocketConnector ===

impl Service<Uri> for SocketConnector {
    type Response = TokioIo<Socket>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move { Ok(TokioIo::new(Socket::new(connecting.await?.into_inner()))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_url_is_encoded() {
        assert_eq!(percent_encode("pagerduty:#1042 a/b?ü"), "pagerduty%3A%231042%20a%2Fb%3F%C3%BC");
    }
}
