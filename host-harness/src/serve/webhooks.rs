//! `POST /webhooks/{source}`: the way in for incident tools.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::buffers::{Budget, Share, Spent};
use super::connection::discard;
use super::hub::{Busy, Hub};
use super::metrics::Metrics;
use crate::host::{Delivery, Received};
use crate::plugin::Webhook;

/// What the routes share.
#[derive(Clone)]
pub struct Webhooks {
    /// Who decides.
    pub hub: Hub,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// What bodies count against, with telemetry.
    pub budget: Arc<Budget>,
    /// What of the configuration matters here; replaced with it.
    pub settings: Arc<ArcSwap<Settings>>,
}

/// What of the configuration matters to webhooks.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names of the configured sources.
    pub sources: Vec<String>,
    /// Bytes of a body; larger ones get 413.
    pub bytes_max: usize,
}

/// How long a body may take to arrive. Senders give up after 4 s to 30 s.
const RECEIVE: Duration = Duration::from_secs(10);
/// How long the hub may take. A sender that waits longer has given up.
const DECIDE: Duration = Duration::from_secs(25);
/// When a sender that was not heard is to come again.
const RETRY_AFTER_SECS: u32 = 30;

/// The routes.
pub fn router(webhooks: Webhooks) -> Router {
    Router::new().route("/webhooks/{source}", any(receive)).with_state(webhooks)
}

async fn receive(
    State(webhooks): State<Webhooks>,
    Path(source): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let settings = webhooks.settings.load_full();
    let began = Instant::now();
    let mut share = Share::new(webhooks.budget.clone());
    let response = match read(request, settings.bytes_max, &mut share).await {
        Ok(webhook) => deliver(&webhooks.hub, &source, webhook).await,
        Err(refusal) => refusal,
    };
    webhooks.metrics.webhook_seconds.observe(began.elapsed());
    let known = settings.sources.contains(&source);
    webhooks.metrics.webhook(if known { &source } else { "unknown" }, response.status().as_u16());
    response
}

/// Hands a webhook to the hub, and waits until it is durable and in force.
pub async fn deliver(hub: &Hub, source: &str, webhook: Webhook) -> Response<Body> {
    let delivery = Delivery { source: source.to_owned(), webhook };
    match timeout(DECIDE, hub.receive(delivery)).await {
        Ok(Ok(received)) => answer(received),
        Ok(Err(Busy)) | Err(_) => answer(Received::unavailable("the hub has too much to do".to_owned())),
    }
}

/// The answer for the sender.
pub fn answer(received: Received) -> Response<Body> {
    let status = StatusCode::from_u16(received.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], received.body).into_response();
    let retry_after = received.retry_after_secs.or((received.status == 503).then_some(RETRY_AFTER_SECS));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Reads a request whole, as the plugin wants it. Its body is counted in `share`, which is to live as long.
///
/// # Errors
/// The answer when it is too large, too slow, cut short, or compressed, or when there is no room for it at the moment.
pub async fn read(request: Request<Body>, bytes_max: usize, share: &mut Share) -> Result<Webhook, Response<Body>> {
    let (head, mut body) = request.into_parts();
    let began = Instant::now();
    let encoded = head.headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if encoded {
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a Content-Encoding is not supported"));
    }
    let read = timeout(RECEIVE, collect(Limited::new(&mut body, bytes_max), share)).await;
    if !matches!(read, Ok(Ok(_))) {
        discard(&mut body, RECEIVE.saturating_sub(began.elapsed())).await;
    }
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body has more than {bytes_max} bytes (`limits.webhook_bytes`)");
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, &message));
        }
        Ok(Err(error)) if error.is::<Spent>() => {
            tracing::warn!("a webhook was told to come again: requests under way hold `serve.otlp.held_bytes`");
            return Err(answer(Received::unavailable("there is no room for its body".to_owned())));
        }
        Ok(Err(_)) => return Err(refusal(StatusCode::BAD_REQUEST, "the body was cut short")),
        Err(_elapsed) => return Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    };
    let url = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Webhook { method: head.method.to_string(), url, headers: headers.collect(), body })
}

/// The data of a body, each part of it counted before it is kept.
async fn collect<B>(mut body: B, share: &mut Share) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>>
where
    B: HttpBody<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Unpin,
{
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            share.grow(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// An answer of the host's own, in the form of the plugin's.
pub fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "status": "refused", "message": message }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
