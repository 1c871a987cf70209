//! The server's own metrics, pushed by OTLP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::watch;

use super::buffers::{Budget, Buffers};
use super::config::{Compression, Forward, OwnMetrics, SignalKind};
use super::health::{self, Health};
use super::otlp::target::Target;
use crate::hex;
use crate::plugin::Signal;
use crate::time::Nanos;

/// More than all metrics come to.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pushes until `stop` says so, and a last time then.
pub(super) async fn run(own: OwnMetrics, health: Health, started: Nanos, mut stop: watch::Receiver<bool>) {
    let interval = Duration::from_nanos(own.interval.nanos());
    let forward = Forward {
        endpoint: own.endpoint,
        protocol: own.protocol,
        signals: vec![SignalKind::Metrics],
        compression: Compression::None,
        headers: own.headers,
        tls: own.tls,
        ..Forward::default()
    };
    let target = match Target::new(&forward, Buffers::new(Arc::new(Budget::new(BYTES_MAX)))) {
        Ok(target) => target,
        Err(error) => {
            tracing::error!(reason = format!("{error:#}"), "own metrics cannot be pushed");
            return;
        }
    };
    // Counters begin anew with each start: so does the instance.
    let instance = hex::encode(&started.to_be_bytes());
    let mut is_last = false;
    while !is_last {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = super::connection::stopped(&mut stop) => is_last = true,
        }
        let request = health::request(&health, &instance, started).await;
        let sent = target.send(Signal::Metrics, Bytes::from(request), &HeaderMap::new(), None).await;
        if let Err(refusal) = sent {
            tracing::warn!(endpoint = target.name, reason = refusal.message, "own metrics were not taken");
        }
    }
}
