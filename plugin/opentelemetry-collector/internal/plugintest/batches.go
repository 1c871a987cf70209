package plugintest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Shop is telemetry as production sends it: items spread evenly over services, one resource and two scopes for each. An
// item lies within the minute before At.
type Shop struct {
	Services []string
	Items    int
	At       time.Time
}

// Services makes so many names: service-00, service-01, …
func Services(count int) []string {
	services := make([]string, count)
	for index := range services {
		services[index] = fmt.Sprintf("service-%02d", index)
	}
	return services
}

const scopesPerResource = 2

func (s Shop) random() *rand.Rand { return rand.New(rand.NewPCG(1, uint64(s.Items))) }

func (s Shop) time(random *rand.Rand) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(s.At.Add(-time.Duration(random.Int64N(int64(time.Minute)))))
}

// shares calls each for every scope of every service, with how many items it gets.
func (s Shop) shares(each func(service, scope, items int)) {
	places := len(s.Services) * scopesPerResource
	for place := range places {
		items := s.Items*(place+1)/places - s.Items*place/places
		each(place/scopesPerResource, place%scopesPerResource, items)
	}
}

func (s Shop) resource(service int, resource pcommon.Resource, random *rand.Rand) {
	attributes := resource.Attributes()
	attributes.PutStr("telemetry.sdk.language", "java")
	attributes.PutStr("telemetry.sdk.version", "1.55.0")
	attributes.PutStr("service.name", s.Services[service])
	attributes.PutStr("service.instance.id", fmt.Sprintf("%016x", random.Uint64()))
	attributes.PutStr("deployment.environment.name", "production")
	attributes.PutStr("k8s.pod.name", fmt.Sprintf("%s-%08x", s.Services[service], random.Uint32()))
	attributes.PutStr("host.name", fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", random.IntN(256), random.IntN(256)))
	attributes.PutInt("process.pid", random.Int64N(30000))
}

// Traces has about 700 bytes a span: 12 attributes, and on some an event with an exception.
func (s Shop) Traces() ptrace.Traces {
	random := s.random()
	batch := ptrace.NewTraces()
	s.shares(func(service, scope, items int) {
		if scope == 0 {
			s.resource(service, batch.ResourceSpans().AppendEmpty().Resource(), random)
		}
		spans := batch.ResourceSpans().At(service).ScopeSpans().AppendEmpty()
		spans.Scope().SetName([]string{"io.opentelemetry.tomcat-10.0", "io.opentelemetry.jdbc"}[scope])
		for range items {
			s.span(spans.Spans().AppendEmpty(), random)
		}
	})
	return batch
}

func (s Shop) span(span ptrace.Span, random *rand.Rand) {
	var trace [16]byte
	var id [8]byte
	for index := range trace {
		trace[index] = byte(random.IntN(255) + 1)
	}
	copy(id[:], trace[4:])
	span.SetTraceID(trace)
	span.SetSpanID(id)
	if random.IntN(4) > 0 {
		copy(id[:], trace[8:])
		span.SetParentSpanID(id)
	}
	span.SetName([]string{"GET /api/orders/{id}", "POST /api/cart", "SELECT orders", "shop.v1.Checkout/PlaceOrder"}[random.IntN(4)])
	span.SetKind(ptrace.SpanKind(random.IntN(5) + 1))
	start := s.time(random)
	span.SetStartTimestamp(start)
	span.SetEndTimestamp(start + pcommon.Timestamp(random.IntN(1e6)))
	attributes := span.Attributes()
	attributes.PutStr("http.request.method", "GET")
	attributes.PutInt("http.response.status_code", int64(200+random.IntN(4)*100))
	attributes.PutStr("http.route", "/api/orders/{id}")
	attributes.PutStr("url.path", fmt.Sprintf("/api/orders/%d", random.Uint32()))
	attributes.PutStr("url.scheme", "https")
	attributes.PutStr("server.address", "shop.example")
	attributes.PutInt("server.port", 443)
	attributes.PutStr("client.address", fmt.Sprintf("203.0.113.%d", random.IntN(256)))
	attributes.PutStr("network.protocol.version", "1.1")
	attributes.PutStr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	attributes.PutInt("thread.id", random.Int64N(400))
	attributes.PutStr("thread.name", fmt.Sprintf("http-nio-8443-exec-%d", random.IntN(200)))
	if random.IntN(25) == 0 {
		span.Status().SetCode(ptrace.StatusCodeError)
		event := span.Events().AppendEmpty()
		event.SetName("exception")
		event.SetTimestamp(start)
		event.Attributes().PutStr("exception.type", "java.lang.IllegalStateException")
		event.Attributes().PutStr("exception.stacktrace", "at com.shop.Checkout.place(Checkout.java:41)")
	}
}

// Logs has records with three attributes.
func (s Shop) Logs() plog.Logs {
	random := s.random()
	batch := plog.NewLogs()
	s.shares(func(service, scope, items int) {
		if scope == 0 {
			s.resource(service, batch.ResourceLogs().AppendEmpty().Resource(), random)
		}
		records := batch.ResourceLogs().At(service).ScopeLogs().AppendEmpty().LogRecords()
		for range items {
			record := records.AppendEmpty()
			record.SetTimestamp(s.time(random))
			record.SetObservedTimestamp(s.time(random))
			record.Body().SetStr(fmt.Sprintf("request %08x took %d ms", random.Uint32(), random.IntN(1000)))
			record.Attributes().PutStr("logger.name", "com.shop.payment.Gateway")
			record.Attributes().PutStr("thread.name", fmt.Sprintf("http-nio-8443-exec-%d", random.IntN(200)))
			record.Attributes().PutInt("thread.id", random.Int64N(400))
		}
	})
	return batch
}

// Metrics has sums of four points with three attributes each.
func (s Shop) Metrics() pmetric.Metrics {
	random := s.random()
	batch := pmetric.NewMetrics()
	s.shares(func(service, scope, items int) {
		if scope == 0 {
			s.resource(service, batch.ResourceMetrics().AppendEmpty().Resource(), random)
		}
		metrics := batch.ResourceMetrics().At(service).ScopeMetrics().AppendEmpty().Metrics()
		for item := range items {
			if item%4 == 0 {
				metric := metrics.AppendEmpty()
				metric.SetName("http.server.requests")
				metric.SetEmptySum().SetIsMonotonic(true)
			}
			point := metrics.At(metrics.Len() - 1).Sum().DataPoints().AppendEmpty()
			point.SetTimestamp(s.time(random))
			point.SetIntValue(random.Int64N(1e6))
			point.Attributes().PutStr("http.request.method", "GET")
			point.Attributes().PutStr("http.route", "/api/orders/{id}")
			point.Attributes().PutInt("http.response.status_code", int64(200+random.IntN(4)*100))
		}
	})
	return batch
}
