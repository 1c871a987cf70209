package annotate

import (
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

// chance is a source of batches that nobody would send, and that may come.
type chance struct{ *rand.Rand }

func (c chance) time() pcommon.Timestamp {
	switch c.IntN(5) {
	case 0:
		return 0
	case 1:
		return pcommon.Timestamp(c.Uint64())
	}
	return pcommon.NewTimestampFromTime(plugintest.Now.Add(time.Duration(c.IntN(20)-15) * time.Minute))
}

func (c chance) attributes(into pcommon.Map) {
	for range c.IntN(6) {
		key := []string{"incident.id", "incident.active", "incident.severity", "incident.urls", "http.route", "", "incident.",
			strings.Repeat("k", 100+c.IntN(200)), "service.name"}[c.IntN(9)]
		switch c.IntN(5) {
		case 0:
			into.PutStr(key, "incident.id")
		case 1:
			into.PutInt(key, c.Int64())
		case 2:
			into.PutEmptySlice(key).AppendEmpty().SetStr("incident.id")
		case 3:
			into.PutEmpty(key)
		case 4:
			into.PutStr(key, strings.Repeat("v", c.IntN(300)))
		}
	}
}

func (c chance) resource(into pcommon.Resource) {
	c.attributes(into.Attributes())
	switch c.IntN(6) {
	case 0:
	case 1:
		into.Attributes().PutInt("service.name", 1)
	case 2:
		into.Attributes().PutStr("service.name", "")
	default:
		into.Attributes().PutStr("service.name", []string{"checkout", "cart", "search"}[c.IntN(3)])
	}
	if c.IntN(2) == 0 {
		into.Attributes().PutStr("deployment.environment.name", []string{"production", "staging"}[c.IntN(2)])
	}
	if c.IntN(3) == 0 {
		into.Attributes().PutStr("service.namespace", "shop")
	}
}

func (c chance) traces() ptrace.Traces {
	batch := ptrace.NewTraces()
	for range c.IntN(5) {
		group := batch.ResourceSpans().AppendEmpty()
		c.resource(group.Resource())
		for range c.IntN(4) {
			scope := group.ScopeSpans().AppendEmpty()
			scope.Scope().SetName("incident.id")
			for range c.IntN(6) {
				span := scope.Spans().AppendEmpty()
				span.SetName(strings.Repeat("n", c.IntN(200)))
				if c.IntN(2) == 0 {
					span.SetTraceID([16]byte{1})
					span.SetParentSpanID([8]byte{2})
				}
				span.SetKind(ptrace.SpanKind(c.IntN(8) - 1))
				span.SetStartTimestamp(c.time())
				span.SetEndTimestamp(c.time())
				span.Status().SetCode(ptrace.StatusCode(c.IntN(4)))
				c.attributes(span.Attributes())
				c.attributes(span.Events().AppendEmpty().Attributes())
			}
		}
	}
	return batch
}

func (c chance) logs() plog.Logs {
	batch := plog.NewLogs()
	for range c.IntN(5) {
		group := batch.ResourceLogs().AppendEmpty()
		c.resource(group.Resource())
		for range c.IntN(4) {
			scope := group.ScopeLogs().AppendEmpty()
			for range c.IntN(6) {
				record := scope.LogRecords().AppendEmpty()
				record.SetTimestamp(c.time())
				record.SetObservedTimestamp(c.time())
				record.Body().SetStr("incident.id")
				c.attributes(record.Attributes())
			}
		}
	}
	return batch
}

func (c chance) exemplars(into pmetric.ExemplarSlice) {
	for range c.IntN(3) {
		exemplar := into.AppendEmpty()
		exemplar.SetTimestamp(c.time())
		exemplar.SetIntValue(1)
		c.attributes(exemplar.FilteredAttributes())
	}
}

func (c chance) metrics() pmetric.Metrics {
	batch := pmetric.NewMetrics()
	for range c.IntN(5) {
		group := batch.ResourceMetrics().AppendEmpty()
		c.resource(group.Resource())
		for range c.IntN(4) {
			scope := group.ScopeMetrics().AppendEmpty()
			for range c.IntN(5) {
				c.metric(scope.Metrics().AppendEmpty())
			}
		}
	}
	return batch
}

func (c chance) metric(metric pmetric.Metric) {
	number := func(points pmetric.NumberDataPointSlice) {
		for range c.IntN(4) {
			point := points.AppendEmpty()
			point.SetTimestamp(c.time())
			c.attributes(point.Attributes())
			c.exemplars(point.Exemplars())
		}
	}
	switch c.IntN(6) {
	case 0:
		number(metric.SetEmptyGauge().DataPoints())
	case 1:
		number(metric.SetEmptySum().DataPoints())
	case 2:
		points := metric.SetEmptyHistogram().DataPoints()
		for range c.IntN(4) {
			point := points.AppendEmpty()
			point.SetTimestamp(c.time())
			c.attributes(point.Attributes())
			c.exemplars(point.Exemplars())
		}
	case 3:
		points := metric.SetEmptyExponentialHistogram().DataPoints()
		for range c.IntN(4) {
			point := points.AppendEmpty()
			point.SetTimestamp(c.time())
			c.attributes(point.Attributes())
			c.exemplars(point.Exemplars())
		}
	case 4:
		points := metric.SetEmptySummary().DataPoints()
		for range c.IntN(4) {
			point := points.AppendEmpty()
			point.SetTimestamp(c.time())
			c.attributes(point.Attributes())
		}
	}
}
