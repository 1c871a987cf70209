package annotate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

var traces = form[ptrace.Traces]{
	signal: guest.Traces,
	items:  ptrace.Traces.SpanCount,
	groups: func(batch ptrace.Traces) int { return batch.ResourceSpans().Len() },
	resource: func(batch ptrace.Traces, group int) pcommon.Resource {
		return batch.ResourceSpans().At(group).Resource()
	},
	groupItems: func(batch ptrace.Traces, group int) (items int) {
		for _, scope := range batch.ResourceSpans().At(group).ScopeSpans().All() {
			items += scope.Spans().Len()
		}
		return items
	},
	outline: func(into []byte, batch ptrace.Traces, group int) []byte {
		return appendResourceSpans(into, batch.ResourceSpans().At(group))
	},
	cursor: func(batch ptrace.Traces, group int) cursor {
		return &spanCursor{scopes: batch.ResourceSpans().At(group).ScopeSpans()}
	},
	isReadOnly: ptrace.Traces.IsReadOnly,
	copied: func(batch ptrace.Traces) ptrace.Traces {
		copied := ptrace.NewTraces()
		batch.CopyTo(copied)
		return copied
	},
}

var logs = form[plog.Logs]{
	signal:   guest.Logs,
	items:    plog.Logs.LogRecordCount,
	groups:   func(batch plog.Logs) int { return batch.ResourceLogs().Len() },
	resource: func(batch plog.Logs, group int) pcommon.Resource { return batch.ResourceLogs().At(group).Resource() },
	groupItems: func(batch plog.Logs, group int) (items int) {
		for _, scope := range batch.ResourceLogs().At(group).ScopeLogs().All() {
			items += scope.LogRecords().Len()
		}
		return items
	},
	outline: func(into []byte, batch plog.Logs, group int) []byte {
		return appendResourceLogs(into, batch.ResourceLogs().At(group))
	},
	cursor: func(batch plog.Logs, group int) cursor {
		return &logCursor{scopes: batch.ResourceLogs().At(group).ScopeLogs()}
	},
	isReadOnly: plog.Logs.IsReadOnly,
	copied: func(batch plog.Logs) plog.Logs {
		copied := plog.NewLogs()
		batch.CopyTo(copied)
		return copied
	},
}

var metrics = form[pmetric.Metrics]{
	signal: guest.Metrics,
	items:  pmetric.Metrics.DataPointCount,
	groups: func(batch pmetric.Metrics) int { return batch.ResourceMetrics().Len() },
	resource: func(batch pmetric.Metrics, group int) pcommon.Resource {
		return batch.ResourceMetrics().At(group).Resource()
	},
	groupItems: func(batch pmetric.Metrics, group int) (items int) {
		for _, scope := range batch.ResourceMetrics().At(group).ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				items += pointCount(metric)
			}
		}
		return items
	},
	outline: func(into []byte, batch pmetric.Metrics, group int) []byte {
		return appendResourceMetrics(into, batch.ResourceMetrics().At(group))
	},
	cursor: func(batch pmetric.Metrics, group int) cursor {
		return &pointCursor{scopes: batch.ResourceMetrics().At(group).ScopeMetrics()}
	},
	isReadOnly: pmetric.Metrics.IsReadOnly,
	copied: func(batch pmetric.Metrics) pmetric.Metrics {
		copied := pmetric.NewMetrics()
		batch.CopyTo(copied)
		return copied
	},
}
