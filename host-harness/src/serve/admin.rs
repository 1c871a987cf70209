//! `/v1/…`: incidents by hand, and the switch that stops all marking. On a listener of its own, with tokens of its own.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/incidents` | those that are open, most severe first |
//! | `GET /v1/incidents/{name}` | one, open or not, by `<source>:<id>`, id or display reference |
//! | `POST /v1/incidents` | opens, updates or closes one: the body is that of a source of kind `manual` |
//! | `GET /v1/gaps` | incidents that matched no service, and a rule for each |
//! | `GET /v1/marking`, `POST /v1/marking` | `{"marking": "on" | "off", "reason": …}` |

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::bearer::Tokens;
use super::buffers::{Budget, Share};
use super::config::ADMIN_SOURCE;
use super::hub::{Busy, Core, Hub};
use super::webhooks::{self, refusal};
use crate::plugin::Gap;
use crate::report::IncidentRecord;
use crate::time::now;

/// What the routes share.
#[derive(Clone)]
pub struct Admin {
    /// Who decides.
    pub hub: Hub,
    /// Any of these opens the door.
    pub tokens: Arc<Tokens>,
    /// Known to the plugin and to nobody else: with it requests go to the source `admin`.
    pub inner_token: Arc<str>,
    /// What bodies count against, with telemetry.
    pub budget: Arc<Budget>,
}

/// Whether telemetry is marked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Marking {
    /// `off` stops all marking at once, until it is `on` again; a restart does not lift it.
    pub marking: Switch,
    /// For whoever finds it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// As configured.
    On,
    /// Nothing is marked.
    Off,
}

/// A gap, as JSON.
#[derive(Serialize)]
struct GapRecord {
    kind: String,
    subject: String,
    detail: String,
    suggestion: String,
    count: u64,
}

/// Larger bodies are not read. An incident by hand is a few hundred bytes.
const BYTES_MAX: usize = 256 * 1024;

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/v1/incidents", get(list).post(change))
        .route("/v1/incidents/{name}", get(show))
        .route("/v1/gaps", get(gaps))
        .route("/v1/marking", get(marking).post(set_marking))
        .layer(middleware::from_fn_with_state(admin.clone(), authenticate))
        .with_state(admin)
}

async fn authenticate(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if let Err(reason) = admin.tokens.check(request.headers()) {
        tracing::warn!(path = request.uri().path(), %reason, "a request to the admin listener was not authentic");
        return refusal(StatusCode::UNAUTHORIZED, "expected `Authorization: Bearer <token>`");
    }
    next.run(request).await
}

async fn list(State(admin): State<Admin>) -> Response {
    let open = admin.hub.ask(|core| core.host.open(now())).await;
    answer(open.map(|open| open.map(|open| open.into_iter().map(IncidentRecord::from).collect::<Vec<_>>())))
}

async fn show(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match admin.hub.ask(move |core| core.host.find(&name, now())).await {
        Ok(Ok(incident)) => Json(IncidentRecord::from(incident)).into_response(),
        Ok(Err(error)) => refusal(StatusCode::NOT_FOUND, &format!("{error:#}")),
        Err(Busy) => busy(),
    }
}

async fn change(State(admin): State<Admin>, request: axum::http::Request<Body>) -> Response {
    let mut share = Share::new(admin.budget.clone());
    let mut webhook = match webhooks::read(request, BYTES_MAX, &mut share).await {
        Ok(webhook) => webhook,
        Err(refusal) => return refusal,
    };
    webhook.method = Method::POST.to_string();
    webhook.headers = vec![("authorization".to_owned(), format!("Bearer {}", admin.inner_token).into_bytes())];
    webhooks::deliver(&admin.hub, ADMIN_SOURCE, webhook).await
}

async fn gaps(State(admin): State<Admin>) -> Response {
    let record =
        |Gap { kind, subject, detail, suggestion, count }| GapRecord { kind, subject, detail, suggestion, count };
    let gaps = admin.hub.ask(|core| core.gaps()).await;
    answer(gaps.map(|gaps| gaps.map(|gaps| gaps.into_iter().map(record).collect::<Vec<_>>())))
}

async fn marking(State(admin): State<Admin>) -> Response {
    answer(admin.hub.ask(|core| Ok(core.marking())).await)
}

/// Whatever type the body is said to have: nobody who wants marking to stop should be held up by a header.
async fn set_marking(State(admin): State<Admin>, body: Bytes) -> Response {
    let marking: Marking = match serde_json::from_slice(&body) {
        Ok(marking) => marking,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &format!("the body does not say what to do: {error}")),
    };
    answer(admin.hub.ask(move |core: &mut Core<'_>| core.set_marking(&marking)).await)
}

fn answer<T: Serialize>(asked: Result<anyhow::Result<T>, Busy>) -> Response {
    match asked {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(error)) => refusal(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
        Err(Busy) => busy(),
    }
}

/// The answer of a hub that has too much to do.
pub(super) fn busy() -> Response {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "the hub has too much to do");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
