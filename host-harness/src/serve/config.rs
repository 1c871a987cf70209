//! The section `serve` of a configuration: what the server listens on, where it forwards to, and its bounds.
//!
//! It is read like the plugin's part: all faults at once, each with its place. See [`ServeConfig::check`].

mod listener;
mod meaning;
mod next_hop;
mod spokes;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use faultline_annotator::config::{Duration, Secret};
use faultline_annotator::document::{Faults, Place, Read};
use faultline_annotator::{choices, settings};
use serde_json::Value;

pub use listener::{Listener, ServerTls};
pub use meaning::ADMIN_SOURCE;
pub use next_hop::{ClientTls, Compression, Forward, Protocol, SignalKind};
pub use spokes::Spokes;
pub use values::{Address, Endpoint, FilePath};

use crate::plugin::{ConfigError, ConfigWarning};

/// The key of the section; what stands under it is not for the plugin.
pub const SECTION: &str = "serve";

/// Everything that the server can be told. Only `forward` has no default.
#[derive(Clone, Debug, Default)]
pub struct ServeConfig {
    /// Where telemetry comes in.
    pub otlp: Otlp,
    /// Where telemetry goes: every batch to each of these that takes its signal.
    pub forward: Vec<Forward>,
    /// Where incident tools send to: `POST /webhooks/<source>`.
    pub webhooks: Listener<{ WEBHOOKS }>,
    /// Where people and scripts open, update and close incidents by hand.
    pub admin: Admin,
    /// Where other hosts of the plugin learn what is open; without it nowhere.
    pub spokes: Option<Spokes>,
    /// What the server says of itself.
    pub telemetry: Telemetry,
    /// Where incidents are kept.
    pub journal: Journal,
    /// Bounds on the plugin.
    pub plugin: Plugin,
    /// Alertmanagers that are asked what is open, so that a lost webhook heals.
    pub reconcile: Vec<Reconcile>,
    /// How many threads take telemetry, each with an instance of the plugin. Default: one for each core.
    pub workers: Option<usize>,
    /// How long requests that are under way are waited for when the server stops.
    pub drain: Drain,
}

/// Default ports, by which the types of listeners differ. Those of OTLP are the registered ones.
const GRPC: u16 = 4317;
const HTTP: u16 = 4318;
const WEBHOOKS: u16 = 4319;
const ADMIN: u16 = 4320;
const TELEMETRY: u16 = 4321;
const SPOKES: u16 = 4322;

/// Where telemetry comes in, and how much of it at a time.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// OTLP/gRPC; `null` is none.
    pub grpc: Option<Listener<GRPC>>,
    /// OTLP/HTTP; `null` is none.
    pub http: Option<Listener<HTTP>>,
    /// Bytes of one request, after decompression. Larger ones are refused for good. The OTLP specification recommends
    /// 64 MiB.
    pub request_bytes: usize,
    /// Bytes of all requests that are held at a time, in each form that they are in, bodies of webhooks among them. What does
    /// not fit is refused for the moment: the sender keeps it and tries again.
    pub held_bytes: usize,
    /// Connections to each listener. Further ones wait to be accepted.
    pub connections: usize,
    /// Requests under way on one connection.
    pub requests_per_connection: usize,
    /// How long a request may take to arrive.
    pub receive_timeout: Duration,
    /// A connection without a request is closed after this time.
    pub idle_timeout: Duration,
}

/// The listener for people and scripts.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// Address and port.
    pub listen: Address<ADMIN>,
    /// Encryption.
    pub tls: Option<ServerTls>,
    /// Bearer tokens; several while one is rotated. Without any the listener is not opened.
    pub tokens: Vec<Secret>,
}

/// What the server says of itself.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// `/metrics`, `/livez`, `/readyz`.
    pub listen: Address<TELEMETRY>,
    /// Where its own metrics are sent by OTLP, beside being offered at `/metrics`.
    pub otlp: Option<OwnMetrics>,
    /// How log lines look.
    pub log: LogFormat,
}

/// Where the server's own metrics go.
#[derive(Clone, Debug)]
pub struct OwnMetrics {
    /// As in `forward`.
    pub endpoint: Endpoint,
    /// As in `forward`.
    pub protocol: Protocol,
    /// Added to every request.
    pub headers: BTreeMap<String, Secret>,
    /// As in `forward`.
    pub tls: ClientTls,
    /// How often.
    pub interval: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Where incidents are kept.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The file; made if it is not there.
    pub path: FilePath,
}

/// Bounds on one instance of the plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// How long it may look at one batch; then the batch passes unmarked.
    pub batch_timeout: Duration,
}

/// An Alertmanager that is asked what is open.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// The configured source that its webhooks come to.
    pub source: String,
    /// `http://host:port`, without `/api/v2`.
    pub url: Endpoint,
    /// How often, beside once at the start.
    pub interval: Duration,
    /// Only alerts that it routes to this receiver.
    pub receiver: Option<String>,
    /// Added to every request, for example `Authorization`.
    pub headers: BTreeMap<String, Secret>,
    /// Encryption.
    pub tls: ClientTls,
}

/// How long requests are waited for when the server stops.
#[derive(Clone, Copy, Debug)]
pub struct Drain(pub Duration);

settings! {
    ServeConfig {
        "otlp" => otlp,
        "forward" => forward,
        "webhooks" => webhooks,
        "admin" => admin,
        "spokes" => spokes,
        "telemetry" => telemetry,
        "journal" => journal,
        "plugin" => plugin,
        "reconcile" => reconcile,
        "workers" => workers,
        "drain" => drain,
    }
    Otlp {
        "grpc" => grpc,
        "http" => http,
        "request_bytes" => request_bytes,
        "held_bytes" => held_bytes,
        "connections" => connections,
        "requests_per_connection" => requests_per_connection,
        "receive_timeout" => receive_timeout,
        "idle_timeout" => idle_timeout,
    }
    Admin { "listen" => listen, "tls" => tls, "tokens" => tokens }
    Telemetry { "listen" => listen, "otlp" => otlp, "log" => log }
    OwnMetrics {
        "endpoint" => endpoint,
        "protocol" => protocol,
        "headers" => headers,
        "tls" => tls,
        "interval" => interval,
    }
    Journal { "path" => path }
    Plugin { "memory_bytes" => memory_bytes, "batch_timeout" => batch_timeout }
    Reconcile {
        "source" => source,
        "url" => url,
        "interval" => interval,
        "receiver" => receiver,
        "headers" => headers,
        "tls" => tls,
    }
}

choices! {
    LogFormat { "text" => Text, "json" => Json }
}

const SECOND: u64 = 1_000_000_000;
const MIB: usize = 1024 * 1024;

// === impl ServeConfig ===

impl ServeConfig {
    /// Reads the section of a whole configuration, given as JSON. Pointers in faults and warnings are into the whole.
    ///
    /// # Errors
    /// All faults.
    pub fn check(document: &Value) -> Result<(Self, Vec<ConfigWarning>), Vec<ConfigError>> {
        let faults = Faults::default();
        let root = Place::root(document, &faults);
        let section = document.get(SECTION).filter(|section| !section.is_null());
        let config = section.and_then(|section| Self::read(&root.member(SECTION, section))).unwrap_or_default();
        let meaning = meaning::check(&config, document, &|place| faults.has_at_or_below(place));
        // What a stand-in lacks is no fault of the document.
        let errors: Vec<_> =
            meaning.errors.into_iter().filter(|fault| !faults.has_at_or_above(&fault.pointer)).collect();
        errors.into_iter().for_each(|fault| faults.note(fault));
        let errors = faults.into_inner();
        if errors.is_empty() {
            Ok((config, meaning.warnings.into_iter().map(from_fault).collect()))
        } else {
            Err(errors.into_iter().map(from_fault).collect())
        }
    }

    /// Threads that take telemetry.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

fn from_fault(fault: faultline_annotator::document::Fault) -> ConfigError {
    let faultline_annotator::document::Fault { pointer, message, hint } = fault;
    ConfigError { pointer, message, hint }
}

// === impl Otlp ===

impl Default for Otlp {
    fn default() -> Self {
        Self {
            grpc: Some(Listener::default()),
            http: Some(Listener::default()),
            request_bytes: 64 * MIB,
            held_bytes: 512 * MIB,
            connections: 16_384,
            requests_per_connection: 128,
            receive_timeout: Duration::from_nanos(30 * SECOND),
            idle_timeout: Duration::from_nanos(600 * SECOND),
        }
    }
}

// === impl OwnMetrics ===

impl Default for OwnMetrics {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            protocol: Protocol::Grpc,
            headers: BTreeMap::new(),
            tls: ClientTls::default(),
            interval: Duration::from_nanos(60 * SECOND),
        }
    }
}

// === impl Journal ===

impl Default for Journal {
    fn default() -> Self {
        Self { path: FilePath(PathBuf::from("faultline.redb")) }
    }
}

// === impl Plugin ===

impl Default for Plugin {
    fn default() -> Self {
        let limits = crate::guest::Limits::default();
        let batch_timeout = u64::try_from(limits.process.as_nanos()).unwrap_or(u64::MAX);
        Self { memory_bytes: limits.memory_bytes, batch_timeout: Duration::from_nanos(batch_timeout) }
    }
}

// === impl Reconcile ===

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            source: String::new(),
            url: Endpoint::default(),
            interval: Duration::from_nanos(120 * SECOND),
            receiver: None,
            headers: BTreeMap::new(),
            tls: ClientTls::default(),
        }
    }
}

// === impl Drain ===

impl Default for Drain {
    fn default() -> Self {
        Self(Duration::from_nanos(15 * SECOND))
    }
}

impl Read for Drain {
    fn read(at: &Place<'_>) -> Option<Self> {
        Read::read(at).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(section: Value) -> Vec<String> {
        let faults = ServeConfig::check(&json!({ "serve": section })).unwrap_err();
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect()
    }

    #[test]
    fn one_next_hop_is_enough() {
        let (config, warnings) =
            ServeConfig::check(&json!({"serve": {"forward": [{"endpoint": "http://127.0.0.1:14317"}]}})).unwrap();
        assert_eq!(config.otlp.grpc.unwrap().listen.to_string(), "127.0.0.1:4317");
        assert_eq!(config.forward[0].signals.len(), 3);
        assert!(warnings.iter().any(|warning| warning.pointer == "/serve/admin"), "{warnings:?}");
    }

    #[test]
    fn a_port_alone_is_on_this_machine() {
        let section = json!({"forward": [{"endpoint": "http://h:1"}], "webhooks": {"listen": ":8080"}});
        let (config, _) = ServeConfig::check(&json!({ "serve": section })).unwrap();
        assert_eq!(config.webhooks.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn all_faults_are_found_at_once_with_their_places() {
        let faults = faults(json!({
            "otlp": {"grpc": {"listen": "here"}, "requestbytes": 1},
            "forward": [{"endpoint": "ftp://x", "protocol": "thrift"}, {"signals": []}],
            "reconcile": [{"source": "am"}],
            "workers": 0,
        }));
        assert_eq!(
            faults,
            [
                "/serve/otlp/requestbytes unknown field `requestbytes`, expected one of `grpc`, `http`, `request_bytes`, `held_bytes`, `connections`, `requests_per_connection`, `receive_timeout`, `idle_timeout`",
                "/serve/otlp/grpc/listen `here` is not an address, expected for example `127.0.0.1:4317`",
                "/serve/forward/0/endpoint `ftp://x` is not an endpoint, expected `http://host:port` or `https://host:port`",
                "/serve/forward/0/protocol unknown variant `thrift`, expected `grpc` or `http`",
                "/serve/forward/1 the next hop has no `endpoint`",
                "/serve/forward/1/signals a next hop without signals gets nothing",
                "/serve/reconcile/0 there is no `url`",
                "/serve/reconcile/0/source there is no source `am`",
                "/serve/workers at least 1 worker is needed",
            ]
        );
    }

    #[test]
    fn nowhere_to_forward_to_is_a_fault() {
        assert_eq!(faults(json!({})), ["/serve there is no next hop: `forward` is empty"]);
        assert_eq!(ServeConfig::check(&json!({})).unwrap_err()[0].pointer, "/serve");
    }

    #[test]
    fn a_header_is_never_quoted() {
        let found =
            faults(json!({"forward": [{"endpoint": "http://h:1", "headers": {"key": 7777, "a b": "hunter2"}}]}));
        assert!(!format!("{found:?}").contains("7777"), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
