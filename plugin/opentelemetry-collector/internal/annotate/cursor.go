package annotate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// cursor finds the items of one resource by their positions, which must not descend. It answers with the attributes that a
// mark goes to; false where there is no such item, or it was passed.
type cursor interface {
	find(mark guest.ItemMark) (pcommon.Map, bool)
}

type spanCursor struct {
	scopes ptrace.ScopeSpansSlice
	// scope is the present one, and before how many items the scopes before it have.
	scope, before int
}

func (c *spanCursor) find(mark guest.ItemMark) (pcommon.Map, bool) {
	for ; c.scope < c.scopes.Len(); c.scope++ {
		spans := c.scopes.At(c.scope).Spans()
		if index := int(mark.Item) - c.before; index < spans.Len() {
			if index < 0 || mark.Exemplar != guest.NoExemplar {
				break
			}
			return spans.At(index).Attributes(), true
		}
		c.before += spans.Len()
	}
	return pcommon.Map{}, false
}

type logCursor struct {
	scopes        plog.ScopeLogsSlice
	scope, before int
}

func (c *logCursor) find(mark guest.ItemMark) (pcommon.Map, bool) {
	for ; c.scope < c.scopes.Len(); c.scope++ {
		records := c.scopes.At(c.scope).LogRecords()
		if index := int(mark.Item) - c.before; index < records.Len() {
			if index < 0 || mark.Exemplar != guest.NoExemplar {
				break
			}
			return records.At(index).Attributes(), true
		}
		c.before += records.Len()
	}
	return pcommon.Map{}, false
}

type pointCursor struct {
	scopes pmetric.ScopeMetricsSlice
	// metric is the present one in the present scope.
	scope, metric, before int
}

func (c *pointCursor) find(mark guest.ItemMark) (pcommon.Map, bool) {
	for ; c.scope < c.scopes.Len(); c.scope, c.metric = c.scope+1, 0 {
		metrics := c.scopes.At(c.scope).Metrics()
		for ; c.metric < metrics.Len(); c.metric++ {
			metric := metrics.At(c.metric)
			count := pointCount(metric)
			index := int(mark.Item) - c.before
			if index >= count {
				c.before += count
				continue
			}
			if index < 0 {
				return pcommon.Map{}, false
			}
			return attributesOf(pointAt(metric, index), mark.Exemplar)
		}
	}
	return pcommon.Map{}, false
}

func attributesOf(point point, exemplar int64) (pcommon.Map, bool) {
	if exemplar == guest.NoExemplar {
		return point.attributes, true
	}
	if exemplar < 0 || exemplar >= int64(point.exemplarCount()) {
		return pcommon.Map{}, false
	}
	return point.exemplars.At(int(exemplar)).FilteredAttributes(), true
}
