//! An application with the OpenTelemetry SDK, as its authors set it up: spans in batches, OTLP with gzip.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use faultline::time::Nanos;
use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Builder, Runtime};

use super::{Identity, Way};

/// A service with a tracer.
pub(crate) struct Application {
    provider: SdkTracerProvider,
    /// On which the exporter's connection lives.
    _runtime: Runtime,
}

/// How long a span takes.
const LENGTH: Duration = Duration::from_millis(20);

// === impl Application ===

impl Application {
    /// One that is called `service`, and exports to `address`.
    pub(crate) fn new(service: &str, address: SocketAddr, way: Way) -> Self {
        // With the feature `oci` reqwest, which exports by HTTP here, is built without a cryptography of its own. An error says that
        // there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
        let exporter = match way {
            Way::Grpc => {
                let _context = runtime.enter();
                let builder = SpanExporter::builder().with_tonic().with_compression(Compression::Gzip);
                builder.with_endpoint(format!("http://{address}")).build()
            }
            Way::Http => {
                let builder = SpanExporter::builder().with_http().with_compression(Compression::Gzip);
                builder.with_endpoint(format!("http://{address}/v1/traces")).build()
            }
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.expect("the exporter can be made"))
            .with_resource(Resource::builder_empty().with_service_name(service.to_owned()).build())
            .build();
        Self { provider, _runtime: runtime }
    }

    /// Records `count` spans that began at that time, exports them, and tells which they are.
    ///
    /// # Panics
    /// If the Collector does not take them.
    pub(crate) fn records(&self, count: usize, began: Nanos) -> Vec<Identity> {
        let tracer = self.provider.tracer("application");
        let began = UNIX_EPOCH + Duration::from_nanos(began);
        let spans = (0..count).map(|_| {
            let builder = tracer.span_builder("POST /orders").with_kind(SpanKind::Server).with_start_time(began);
            let mut span = tracer.build(builder);
            span.end_with_timestamp(began + LENGTH);
            let context = span.span_context();
            (context.trace_id().to_bytes().to_vec(), context.span_id().to_bytes().to_vec())
        });
        let spans = spans.collect();
        self.provider.force_flush().expect("the Collector takes the spans");
        spans
    }
}
