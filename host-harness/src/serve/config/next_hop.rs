//! A server that the server sends to: where it is, what it speaks, how it is known.

use std::collections::BTreeMap;

use faultline_annotator::config::{Duration, Secret};
use faultline_annotator::{choices, settings};

use super::{Endpoint, FilePath, SECOND};
use crate::plugin::Signal;

/// One next hop.
#[derive(Clone, Debug)]
pub struct Forward {
    /// `http://host:port` or `https://…`. For HTTP the path before `/v1/traces`, if any.
    pub endpoint: Endpoint,
    /// What it speaks.
    pub protocol: Protocol,
    /// What it gets.
    pub signals: Vec<SignalKind>,
    /// How requests are compressed.
    pub compression: Compression,
    /// Added to every request, for example a tenant or an API key.
    pub headers: BTreeMap<String, Secret>,
    /// Headers of the sender that are handed on.
    pub pass_headers: Vec<String>,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How it is known, and how we are.
    pub tls: ClientTls,
}

/// What a next hop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP with protobuf.
    Http,
}

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignalKind {
    /// Spans.
    #[default]
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip at level 1: further levels cost more than the network does.
    Gzip,
    /// zstd at level 1.
    Zstd,
}

/// How a server is known, and how we are known to it.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// PEM: authorities to be trusted in the place of the system's.
    pub ca: Option<FilePath>,
    /// PEM: our certificate.
    pub certificate: Option<FilePath>,
    /// PEM: its private key.
    pub key: Option<FilePath>,
}

settings! {
    Forward {
        "endpoint" => endpoint,
        "protocol" => protocol,
        "signals" => signals,
        "compression" => compression,
        "headers" => headers,
        "pass_headers" => pass_headers,
        "timeout" => timeout,
        "tls" => tls,
    }
    ClientTls { "ca" => ca, "certificate" => certificate, "key" => key }
}

choices! {
    Protocol { "grpc" => Grpc, "http" => Http }
    SignalKind { "traces" => Traces, "metrics" => Metrics, "logs" => Logs }
    Compression { "none" => None, "gzip" => Gzip, "zstd" => Zstd }
}

// === impl Forward ===

impl Default for Forward {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            protocol: Protocol::Grpc,
            signals: vec![SignalKind::Traces, SignalKind::Metrics, SignalKind::Logs],
            compression: Compression::None,
            headers: BTreeMap::new(),
            pass_headers: Vec::new(),
            timeout: Duration::from_nanos(10 * SECOND),
            tls: ClientTls::default(),
        }
    }
}

// === impl SignalKind ===

impl From<SignalKind> for Signal {
    fn from(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Traces => Self::Traces,
            SignalKind::Metrics => Self::Metrics,
            SignalKind::Logs => Self::Logs,
        }
    }
}
