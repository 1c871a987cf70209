//! `GET /v1/state`: what other hosts of the plugin need to mark as this server does. On a listener of its own, with tokens
//! of its own: a spoke can read which incidents are open, and change none.
//!
//! ```json
//! {
//!   "version": 1,
//!   "now": "2026-11-22T10:00:00.123456789Z",
//!   "now_unix_nano": "1795341600123456789",
//!   "time_to_live_seconds": 900,
//!   "configuration": { "marking": "on", "services": […], "sources": { "pagerduty": { "kind": "manual" } } },
//!   "entries": [ { "key": "…", "bytes": "<base64>" } ]
//! }
//! ```
//!
//! A spoke asks again with `If-None-Match`, and gets 304 as long as nothing but the time has changed. Both answers have the
//! time and the time to live as headers: the state holds for so long from their arrival, by the spoke's own clock, whatever
//! the two clocks say. [`configuration`] says what is in `configuration`, and what is not.

pub mod configuration;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::sync::Mutex;

use super::admin::busy;
use super::bearer::Tokens;
use super::committed::Board;
use super::config;
use super::hub::{Busy, Hub};
use super::metrics::Metrics;
use super::webhooks::refusal;
use crate::plugin::Extent;
use crate::time::{Nanos, Rfc3339, now};
use snapshot::Snapshot;

/// What the routes share.
#[derive(Clone)]
pub struct Spokes {
    hub: Hub,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    settings: Arc<ArcSwap<Settings>>,
    /// What was answered last. Whoever finds it old makes the next one, and the others wait for that.
    last: Arc<Mutex<Option<Arc<Snapshot>>>>,
}

/// What of the configuration matters here; replaced with it.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Any of these opens the door.
    pub tokens: Tokens,
    /// How long a spoke may go by an answer.
    pub time_to_live: Duration,
}

/// The version of the answer's form: it changes when spokes that know this one would misread it.
const VERSION: u32 = 1;
/// Unix time in nanoseconds, in both answers.
const NOW: HeaderName = HeaderName::from_static("faultline-now");
/// Whole seconds, in both answers.
const TIME_TO_LIVE: HeaderName = HeaderName::from_static("faultline-time-to-live");
/// To make an answer takes the thread that decides about webhooks. While incidents change without pause, it is left alone
/// for so many times as long as the last answer took.
const REST: u32 = 9;

/// The routes.
pub fn router(spokes: Spokes) -> Router {
    Router::new().route("/v1/state", get(state)).with_state(spokes)
}

async fn state(State(spokes): State<Spokes>, headers: HeaderMap) -> Response {
    let settings = spokes.settings.load_full();
    let response = match settings.tokens.check(&headers) {
        Ok(()) => spokes.answer(&headers, settings.time_to_live).await,
        Err(refused) => {
            spokes.metrics.spoke_unauthentic(&refused.to_string());
            tracing::warn!(reason = %refused, "a request to the listener of spokes was not authentic");
            refusal(StatusCode::UNAUTHORIZED, "expected `Authorization: Bearer <token>`, one of `serve.spokes.tokens`")
        }
    };
    spokes.metrics.spoke_request(response.status().as_u16());
    response
}

// === impl Settings ===

impl Settings {
    /// Those of a configuration; without the section nobody is let in.
    #[must_use]
    pub fn of(config: Option<&config::Spokes>) -> Self {
        config.map_or_else(Self::default, |config| Self {
            tokens: Tokens::new(&config.tokens),
            time_to_live: Duration::from_nanos(config.time_to_live.nanos()),
        })
    }
}

// === impl Spokes ===

impl Spokes {
    /// Answers from what `board` shows and `hub` knows.
    #[must_use]
    pub fn new(hub: Hub, board: Arc<Board>, metrics: Arc<Metrics>, settings: Arc<ArcSwap<Settings>>) -> Self {
        Self { hub, board, metrics, settings, last: Arc::default() }
    }

    async fn answer(&self, headers: &HeaderMap, time_to_live: Duration) -> Response {
        let snapshot = match self.snapshot().await {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(error)) => {
                tracing::error!(reason = format!("{error:#}"), "spokes cannot be told the state");
                return refusal(StatusCode::SERVICE_UNAVAILABLE, "the state cannot be told now");
            }
            Err(Busy) => return busy(),
        };
        let (at, seconds) = (now(), time_to_live.as_secs());
        let mut response = if has_tag(headers, snapshot.tag()) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            full(snapshot.clone(), head(at, seconds), takes_gzip(headers)).await
        };
        let fields = response.headers_mut();
        fields.insert(header::ETAG, snapshot.etag());
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        fields.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Authorization"));
        fields.insert(NOW, HeaderValue::from(at));
        fields.insert(TIME_TO_LIVE, HeaderValue::from(seconds));
        response
    }

    /// What is committed now, or was a moment ago.
    async fn snapshot(&self) -> Result<anyhow::Result<Arc<Snapshot>>, Busy> {
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref() {
            let is_current = last.revision == self.board.read().revision;
            if is_current || last.made.elapsed() < last.took * REST {
                return Ok(Ok(last.clone()));
            }
        }
        let asked = self.hub.ask(|core| {
            let committed = core.board.read();
            let (revision, config, is_marking) = (committed.revision, committed.config.clone(), committed.is_marking);
            drop(committed);
            let began = Instant::now();
            let entries = core.host.state(Extent::IncidentsOnly, now())?;
            anyhow::Ok((revision, config, is_marking, entries, began.elapsed()))
        });
        let (revision, config, is_marking, entries, took) = match asked.await? {
            Ok(told) => told,
            Err(error) => return Ok(Err(error)),
        };
        // With many incidents it is megabytes: not on the thread that takes webhooks in.
        let make = move || Snapshot::new(revision, &configuration::of(&config, is_marking)?, &entries, took);
        let made = match tokio::task::spawn_blocking(make).await {
            Ok(Ok(made)) => Arc::new(made),
            Ok(Err(error)) => return Ok(Err(error)),
            Err(error) => return Ok(Err(error.into())),
        };
        *last = Some(made.clone());
        Ok(Ok(made))
    }
}

/// The part of the answer that differs from one to the next.
fn head(at: Nanos, time_to_live_seconds: u64) -> Bytes {
    let now = Rfc3339(at);
    let head = format!(
        r#"{{"version":{VERSION},"now":"{now}","now_unix_nano":"{at}","time_to_live_seconds":{time_to_live_seconds},"#
    );
    head.into()
}

async fn full(snapshot: Arc<Snapshot>, head: Bytes, gzip: bool) -> Response {
    let parts = if gzip {
        // The first one compresses, which may be a matter of megabytes.
        tokio::task::spawn_blocking(move || snapshot.gzipped(&head)).await.ok()
    } else {
        Some(snapshot.plain(&head))
    };
    let Some(parts) = parts else { return busy() };
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    // What all answers have in common is held once, however many of them are on their way.
    let body = Body::from_stream(stream::iter(parts.into_iter().map(Ok::<_, Infallible>)));
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether one of the tags of `If-None-Match` is `tag` (RFC 9110, 13.1.2): compared weakly, since proxies that compress
/// make weak ones of ours.
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).map(str::trim).any(|given| {
        let given = given.strip_prefix("W/").unwrap_or(given);
        given == "*" || given.strip_prefix('"').and_then(|given| given.strip_suffix('"')) == Some(tag)
    })
}

/// Whether whoever asks takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map(|quality| quality.trim().parse::<f32>());
        is_gzip && quality.is_none_or(|quality| quality.is_ok_and(|quality| quality > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_tag_is_found_among_others_weak_or_strong() {
        for given in ["\"a1\"", "W/\"a1\"", "\"b2\", \"a1\"", "W/\"b2\",W/\"a1\"", "*"] {
            assert!(has_tag(&headers(header::IF_NONE_MATCH, given), "a1"), "{given}");
        }
        for given in ["a1", "\"a1", "\"a12\"", "\"b2\"", ""] {
            assert!(!has_tag(&headers(header::IF_NONE_MATCH, given), "a1"), "{given}");
        }
        assert!(!has_tag(&HeaderMap::new(), "a1"));
    }

    #[test]
    fn gzip_is_used_when_it_is_asked_for() {
        for given in ["gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip; q=1"] {
            assert!(takes_gzip(&headers(header::ACCEPT_ENCODING, given)), "{given}");
        }
        for given in ["", "identity", "gzip;q=0", "gzip; q=0.0", "x-gzip", "gzip;q=much"] {
            assert!(!takes_gzip(&headers(header::ACCEPT_ENCODING, given)), "{given}");
        }
    }
}
