//! `/metrics`, `/livez`, `/readyz`: what the server says of itself to whoever watches it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use super::buffers::Budget;
use super::hub::Hub;
use super::instance::Instance;
use super::metrics::{Family, Kind, Metrics, Point, Value, to_prometheus};
use crate::plugin::CounterSums;
use crate::time::now;

/// What the routes share.
#[derive(Clone)]
pub struct Health {
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Who knows of incidents.
    pub hub: Hub,
    /// What is held.
    pub budget: Arc<Budget>,
    /// All instances that mark telemetry.
    pub instances: Arc<[Watched<Instance>]>,
    /// When the server began.
    pub began: Instant,
    /// Set when it stops: whoever balances load should send no more.
    pub is_stopping: Arc<AtomicBool>,
}

/// Something that is busy at times, and what was read of it last: counters never go back.
pub struct Watched<T> {
    what: Arc<Mutex<T>>,
    last: Mutex<Reading>,
}

/// What an instance told.
#[derive(Clone, Debug, Default)]
struct Reading {
    counters: CounterSums,
    restarts: u64,
    memory_bytes: usize,
}

/// How long the hub may take to answer whoever watches; then they hear the rest.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an instance that is busy with a batch is waited for.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// The routes.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn metrics(State(health): State<Health>) -> Response {
    let text = to_prometheus(&health.families().await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    if health.is_stopping.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match timeout(PATIENCE, health.hub.ask(|core| (core.stopped(), core.host.is_whole()))).await {
        Ok(Ok((stopped, is_whole))) => {
            let mut text = "ready\n".to_owned();
            if !is_whole {
                text.push_str("the plugin cannot be set up again: webhooks are refused, incidents stay as they are\n");
            }
            for stop in stopped {
                text.push_str(&format!("marking is stopped by {stop}\n"));
            }
            text.into_response()
        }
        // Telemetry passes all the same: whoever sends it should go on.
        _ => "ready\nthe hub has too much to do, or has ended: incidents stay as they are\n".into_response(),
    }
}

// === impl Health ===

impl Health {
    /// Everything as it stands.
    pub async fn families(&self) -> Vec<Family> {
        let mut families = self.metrics.families();
        families.push(Family::gauge(
            "held",
            "bytes",
            "Bytes of requests that are under way.",
            Point::plain(whole(self.budget.held())),
        ));
        let capacity = Point::plain(whole(self.budget.capacity()));
        families.push(Family::gauge(
            "held_capacity",
            "bytes",
            "As many may be held; what does not fit is refused for the moment.",
            capacity,
        ));
        families.push(Family::gauge(
            "uptime",
            "seconds",
            "Since the server began.",
            Point::plain(self.began.elapsed().as_secs()),
        ));
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        let version = vec![Point { labels: version, value: Value::Count(1) }];
        families.push(Family::gauge("build_info", "", "Which version this is.", version));
        let of_hub = self.hub.ask(|core| core.families());
        if let Ok(Ok(of_hub)) = timeout(PATIENCE, of_hub).await {
            families.extend(of_hub);
        }
        families.extend(self.of_instances().await);
        families
    }

    async fn of_instances(&self) -> Vec<Family> {
        let mut sums = CounterSums::new();
        let (mut restarts, mut memory_bytes) = (0, 0);
        for instance in self.instances.iter() {
            let reading = instance.read(look_at).await;
            for (name, value) in reading.counters {
                *sums.entry(name).or_default() += value;
            }
            restarts += reading.restarts;
            memory_bytes += reading.memory_bytes;
        }
        let restarts = Point::plain(restarts);
        let mut families = vec![
            Family::counter(
                "plugin_restarts",
                "Instances of the plugin that were replaced: they trapped, or ran out of time or memory.",
                restarts,
            ),
            Family::gauge(
                "plugin_memory",
                "bytes",
                "Memory of all instances that mark telemetry.",
                Point::plain(whole(memory_bytes)),
            ),
        ];
        families.extend(of_counters(sums));
        families
    }
}

// === impl Watched ===

impl<T> Watched<T> {
    /// Watches it from now on.
    pub fn new(what: Arc<Mutex<T>>) -> Self {
        Self { what, last: Mutex::default() }
    }

    /// What is watched.
    pub fn what(&self) -> Arc<Mutex<T>> {
        self.what.clone()
    }

    /// As it is, or as it was when it was last not busy.
    async fn read(&self, look: impl Fn(&mut T) -> Reading) -> Reading {
        for _ in 0..TRIES {
            if let Some(reading) = self.try_read(&look) {
                return reading;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn try_read(&self, look: &impl Fn(&mut T) -> Reading) -> Option<Reading> {
        let mut what = match self.what.try_lock() {
            Ok(what) => what,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return None,
        };
        let reading = look(&mut what);
        // While `what` is held: of two that read at once the later one is to stay.
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&reading);
        Some(reading)
    }
}

fn look_at(instance: &mut Instance) -> Reading {
    let mut counters = CounterSums::new();
    instance.add_counters(&mut counters);
    Reading { counters, restarts: instance.restarts(), memory_bytes: instance.memory_bytes() }
}

/// The plugin's own counters, whose names and attributes are the plugin's.
pub(super) fn of_counters(sums: CounterSums) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for ((name, attributes), value) in sums {
        let labels = attributes.into_iter().filter_map(|(key, value)| Some((label(&key)?, value))).collect();
        let point = Point { labels, value: Value::Count(value) };
        let name = format!("plugin_{}", name.replace(['.', '-'], "_"));
        match families.last_mut() {
            Some(family) if family.name == name => family.points.push(point),
            _ => families.push(Family {
                name,
                help: "Counted by the plugin.".to_owned(),
                kind: Kind::Counter,
                unit: "",
                points: vec![point],
            }),
        }
    }
    families
}

/// The attributes of the plugin's counters.
fn label(key: &str) -> Option<&'static str> {
    ["function", "kind", "reason", "signal", "source", "status"].into_iter().find(|known| *known == key)
}

fn whole(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// As of now, for whoever pushes them.
pub(super) async fn request(health: &Health, instance: &str, started: crate::time::Nanos) -> Vec<u8> {
    super::metrics::to_otlp(&health.families().await, instance, started, now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_busy_stands_as_it_was_read_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let count = Arc::new(Mutex::new(3));
        let watched = Watched::new(count.clone());
        let look = |count: &mut u64| Reading { restarts: *count, ..Reading::default() };
        assert_eq!(runtime.block_on(watched.read(look)).restarts, 3);
        let batch = count.lock().unwrap();
        assert_eq!(runtime.block_on(watched.read(look)).restarts, 3);
        drop(batch);
        *count.lock().unwrap() = 4;
        assert_eq!(runtime.block_on(watched.read(look)).restarts, 4);
    }
}
