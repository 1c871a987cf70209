//! What is measured: requests, how they travel, and whether all of them are marked.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faultline_load::{Batches, Encoding, Protocol};
use faultline_test_support::{Generator, Signal};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// On both sides of the hop.
    pub(crate) protocol: Protocol,
    /// On both sides of the hop.
    pub(crate) encoding: Encoding,
    /// In each request.
    pub(crate) spans: usize,
    /// Whether every span gets attributes: from us by an incident on every service, from the Collector by its processor.
    pub(crate) marks: bool,
    /// One part in so many of the Collector's CPU time is the most that is wanted.
    pub(crate) wanted: Option<f64>,
}

/// Requests that rotate: more than the caches next to a processor hold.
const BATCHES: u64 = 32;
/// How far back spans lie: within the five minutes before an incident that it marks by default.
const AGE: Duration = Duration::from_secs(60);

// === impl Case ===

impl Case {
    /// In the order of the table.
    pub(crate) fn all() -> [Self; 5] {
        let grpc = Self {
            name: "grpc-marked",
            title: "gRPC, every span marked",
            protocol: Protocol::Grpc,
            encoding: Encoding::Identity,
            spans: 512,
            marks: true,
            wanted: Some(6.0),
        };
        [
            Self { name: "grpc-none-open", title: "gRPC, no incident open", marks: false, wanted: Some(7.0), ..grpc },
            grpc,
            Self {
                name: "http-marked",
                title: "HTTP, every span marked",
                protocol: Protocol::Http,
                wanted: Some(12.0),
                ..grpc
            },
            Self {
                name: "gzip-marked",
                title: "gRPC with gzip, every span marked",
                encoding: Encoding::Gzip,
                wanted: Some(4.0),
                ..grpc
            },
            Self {
                name: "small-marked",
                title: "gRPC, 8 spans a request, every span marked",
                spans: 8,
                wanted: None,
                ..grpc
            },
        ]
    }

    /// The one that latency is measured with.
    pub(crate) fn of_latency() -> Self {
        let [_, grpc, ..] = Self::all();
        grpc
    }

    /// Its requests, with spans of the last minute.
    pub(crate) fn batches(&self) -> io::Result<Arc<Batches>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).map_err(io::Error::other);
        let generator = Generator {
            items: self.spans,
            from: nanos(now.saturating_sub(AGE))?,
            until: nanos(now)?,
            ..Generator::default()
        };
        Batches::generate(&generator, Signal::Traces, BATCHES, self.protocol, self.encoding).map(Arc::new)
    }
}
