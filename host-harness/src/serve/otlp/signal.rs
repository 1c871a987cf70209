//! What the protocols call the three signals. Source: OTLP specification 1.8, "OTLP/gRPC" and "OTLP/HTTP".

use crate::plugin::Signal;

/// The path of the export method.
#[must_use]
pub fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// The path for HTTP.
#[must_use]
pub fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

/// The signal of a path, of either protocol.
#[must_use]
pub fn of_path(path: &str, name: fn(Signal) -> &'static str) -> Option<Signal> {
    [Signal::Traces, Signal::Metrics, Signal::Logs].into_iter().find(|signal| name(*signal) == path)
}

/// As metrics and messages name it.
#[must_use]
pub fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// What one of it is called.
#[must_use]
pub fn item(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "metric_points",
        Signal::Logs => "log_records",
    }
}
