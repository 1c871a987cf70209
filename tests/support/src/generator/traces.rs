//! Spans.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::KeyValue,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};

use super::{Generator, Random, SCOPES_PER_RESOURCE, Share, integer, scope, text};
use crate::Signal;

/// The trace that spans are being made for.
struct Trace {
    id: Vec<u8>,
    /// Empty before its first span.
    last_span_id: Vec<u8>,
}

const KINDS: [SpanKind; 5] =
    [SpanKind::Server, SpanKind::Client, SpanKind::Internal, SpanKind::Producer, SpanKind::Consumer];
const ROUTES: [&str; 6] = [
    "/api/v1/carts/{cartId}/items",
    "/api/v1/checkout",
    "/api/v1/products/{productId}",
    "/api/v1/orders/{orderId}/shipments",
    "/api/v1/payments/authorize",
    "/healthz",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const STACK_TRACE: &str = "java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)
\tat java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:304)
\tat com.shop.payment.GatewayClient.authorize(GatewayClient.java:87)
\tat com.shop.payment.PaymentService.charge(PaymentService.java:142)";

pub(super) fn request(generator: &Generator) -> ExportTraceServiceRequest {
    let mut random = generator.random(Signal::Traces);
    let mut trace = Trace { id: random.id(16), last_span_id: Vec::new() };
    let shares = generator.shares();
    let resource_spans = shares.chunks(SCOPES_PER_RESOURCE).map(|shares| {
        let resource = generator.resource(shares[0].resource, &mut random);
        let scopes = shares.iter().map(|share| scope_spans(generator, share, &mut trace, &mut random));
        ResourceSpans {
            scope_spans: scopes.collect(),
            resource: Some(resource),
            schema_url: "https://opentelemetry.io/schemas/1.24.0".to_owned(),
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn scope_spans(generator: &Generator, share: &Share, trace: &mut Trace, random: &mut Random) -> ScopeSpans {
    let spans = (0..share.items).map(|_| {
        if random.percent(12) {
            *trace = Trace { id: random.id(16), last_span_id: Vec::new() };
        }
        span(generator, trace, random)
    });
    ScopeSpans { spans: spans.collect(), scope: Some(scope(share.scope)), ..ScopeSpans::default() }
}

fn span(generator: &Generator, trace: &mut Trace, random: &mut Random) -> Span {
    let (one, other) = (generator.time(random), generator.time(random));
    let (start, end) = (one.min(other), one.max(other));
    let route = random.one_of(&ROUTES);
    let method = random.one_of(&METHODS);
    let failed = random.percent(4);
    let id = random.id(8);
    let parent = std::mem::replace(&mut trace.last_span_id, id.clone());
    let links = if random.percent(3) {
        vec![Link { trace_id: random.id(16), span_id: random.id(8), ..Link::default() }]
    } else {
        Vec::new()
    };
    Span {
        trace_id: trace.id.clone(),
        span_id: id,
        parent_span_id: parent,
        flags: 0x101,
        name: format!("{method} {route}"),
        kind: random.one_of(&KINDS).into(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: attributes(route, method, failed, random),
        events: if failed { vec![exception(end)] } else { Vec::new() },
        links,
        status: Some(status(failed)),
        ..Span::default()
    }
}

/// 10 to 14: the last four are not always recorded.
fn attributes(route: &str, method: &str, failed: bool, random: &mut Random) -> Vec<KeyValue> {
    let status_code = if failed { 504 } else { random.one_of(&[200, 200, 200, 201, 204, 404]) };
    let mut attributes = vec![
        text("http.request.method", method),
        text("http.route", route),
        integer("http.response.status_code", status_code),
        text("url.path", format!("/api/v1/resources/{}/{}", random.below(100_000), random.hexadecimal(12))),
        text("url.scheme", "https"),
        text("server.address", "shop.example.com"),
        integer("server.port", 8443),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", USER_AGENT),
        text("thread.name", format!("http-nio-8443-exec-{}", random.below(200))),
    ];
    let optional = [
        integer("thread.id", random.below(400) as i64),
        text("client.address", format!("203.0.113.{}", random.below(256))),
        text("session.id", random.hexadecimal(16)),
        text("code.function.name", "com.shop.api.resources.ResourceController.handleRequest"),
    ];
    attributes.extend(optional.into_iter().filter(|_| random.percent(50)));
    attributes
}

fn exception(time: u64) -> Event {
    Event {
        time_unix_nano: time,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "java.net.SocketTimeoutException"),
            text("exception.message", "Read timed out"),
            text("exception.stacktrace", STACK_TRACE),
        ],
        ..Event::default()
    }
}

fn status(failed: bool) -> Status {
    if failed {
        Status { code: StatusCode::Error.into(), message: "Read timed out".to_owned() }
    } else {
        Status::default()
    }
}
