package annotate

import (
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// What the plugin gets to see of a batch: its outline.
//
// An outline is the protobuf encoding of an export request that has every item in its place, and of each item what a mark
// can depend on: the attributes of its resource, its times, the keys of its attributes, and of a span whether it is an
// entry or an error. Values of attributes, names, bodies, events and links are left out; they are most of the bytes. A
// property test holds the marks of an outline against what the plugin makes of the whole encoding.
//
// It is written from shared telemetry too, where taking a few resources out, to have pdata encode them, is not possible
// without a copy of all of them.

// Tags of protobuf fields: the number, and 0 for a varint, 1 for eight bytes, 2 for what has a length.
const (
	tagResourceGroup = 1<<3 | 2

	tagResource           = 1<<3 | 2
	tagScopeGroup         = 2<<3 | 2
	tagItem               = 2<<3 | 2
	tagResourceAttributes = 1<<3 | 2

	tagKey       = 1<<3 | 2
	tagValue     = 2<<3 | 2
	tagTextValue = 1<<3 | 2

	tagTraceID        = 1<<3 | 2
	tagSpanID         = 2<<3 | 2
	tagParent         = 4<<3 | 2
	tagSpanName       = 5<<3 | 2
	tagKind           = 6<<3 | 0
	tagStart          = 7<<3 | 1
	tagEnd            = 8<<3 | 1
	tagSpanAttributes = 9<<3 | 2
	tagStatus         = 15<<3 | 2
	tagStatusCode     = 3<<3 | 0

	tagLogTime       = 1<<3 | 1
	tagLogAttributes = 6<<3 | 2
	tagObserved      = 11<<3 | 1

	tagGauge       = 5<<3 | 2
	tagSum         = 7<<3 | 2
	tagHistogram   = 9<<3 | 2
	tagExponential = 10<<3 | 2
	tagSummary     = 11<<3 | 2
	tagPoint       = 1<<3 | 2
	tagPointTime   = 3<<3 | 1

	tagNumberAttributes      = 7<<3 | 2
	tagNumberExemplars       = 5<<3 | 2
	tagHistogramAttributes   = 9<<3 | 2
	tagHistogramExemplars    = 8<<3 | 2
	tagExponentialAttributes = 1<<3 | 2
	tagExponentialExemplars  = 11<<3 | 2
	tagSummaryAttributes     = 7<<3 | 2

	tagExemplarTime       = 2<<3 | 1
	tagExemplarAttributes = 7<<3 | 2
)

// Lengths come before what they measure. So many bytes are kept free for them, which is what is mostly needed; where it is
// not, what was written is moved.
const (
	lengthOfItem  = 2
	lengthOfGroup = 3
)

// begin writes a tag and keeps place for a length. It answers where the content begins.
func begin(into []byte, tag byte, lengthBytes int) ([]byte, int) {
	into = append(append(into, tag), 0, 0, 0)[:len(into)+1+lengthBytes]
	return into, len(into)
}

// end writes the length of the content that begins at start.
func end(into []byte, start, lengthBytes int) []byte {
	var length [binary.MaxVarintLen64]byte
	content := len(into) - start
	needed := binary.PutUvarint(length[:], uint64(content))
	if needed > lengthBytes {
		into = append(into, length[:needed-lengthBytes]...)
	}
	moved := start - lengthBytes + needed
	if moved != start {
		copy(into[moved:moved+content], into[start:start+content])
	}
	copy(into[start-lengthBytes:], length[:needed])
	return into[:moved+content]
}

func appendTime(into []byte, tag byte, time pcommon.Timestamp) []byte {
	return binary.LittleEndian.AppendUint64(append(into, tag), uint64(time))
}

// appendVarint writes an enumeration; one that is negative takes ten bytes, as protobuf has it.
func appendVarint(into []byte, tag byte, value int32) []byte {
	return binary.AppendUvarint(append(into, tag), uint64(int64(value)))
}

func appendText(into []byte, tag byte, text string) []byte {
	return append(binary.AppendUvarint(append(into, tag), uint64(len(text))), text...)
}

// appendKeys writes attributes with their keys and without values.
func appendKeys(into []byte, tag byte, attributes pcommon.Map) []byte {
	for key := range attributes.All() {
		if len(key) < 0x80-4 {
			into = append(into, tag, byte(len(key)+4), tagKey, byte(len(key)))
			into = append(append(into, key...), tagValue, 0)
			continue
		}
		var start int
		into, start = begin(into, tag, lengthOfItem)
		into = end(append(appendText(into, tagKey, key), tagValue, 0), start, lengthOfItem)
	}
	return into
}

// appendResource writes a resource with the values of those attributes that are text.
func appendResource(into []byte, resource pcommon.Resource) []byte {
	into, start := begin(into, tagResource, lengthOfItem)
	for key, value := range resource.Attributes().All() {
		var attribute, text int
		into, attribute = begin(into, tagResourceAttributes, lengthOfItem)
		into = appendText(into, tagKey, key)
		into, text = begin(into, tagValue, lengthOfItem)
		if value.Type() == pcommon.ValueTypeStr {
			into = appendText(into, tagTextValue, value.Str())
		}
		into = end(end(into, text, lengthOfItem), attribute, lengthOfItem)
	}
	return end(into, start, lengthOfItem)
}

// === Traces ===

func appendResourceSpans(into []byte, group ptrace.ResourceSpans) []byte {
	into, start := begin(into, tagResourceGroup, lengthOfGroup)
	into = appendResource(into, group.Resource())
	scopes := group.ScopeSpans()
	for index := range scopes.Len() {
		var scope int
		into, scope = begin(into, tagScopeGroup, lengthOfGroup)
		spans := scopes.At(index).Spans()
		for index := range spans.Len() {
			into = appendSpan(into, spans.At(index))
		}
		into = end(into, scope, lengthOfGroup)
	}
	return end(into, start, lengthOfGroup)
}

func appendSpan(into []byte, span ptrace.Span) []byte {
	into, start := begin(into, tagItem, lengthOfItem)
	// No mark depends on ids and name; the plugin reads spans faster that begin as all do.
	trace, id := span.TraceID(), span.SpanID()
	into = append(append(into, tagTraceID, byte(len(trace))), trace[:]...)
	into = append(append(into, tagSpanID, byte(len(id))), id[:]...)
	if parent := span.ParentSpanID(); !parent.IsEmpty() {
		into = append(append(into, tagParent, byte(len(parent))), parent[:]...)
	}
	into = append(into, tagSpanName, 0)
	into = appendVarint(into, tagKind, int32(span.Kind()))
	into = appendTime(into, tagStart, span.StartTimestamp())
	into = appendTime(into, tagEnd, span.EndTimestamp())
	into = appendKeys(into, tagSpanAttributes, span.Attributes())
	if code := span.Status().Code(); code != ptrace.StatusCodeUnset {
		var status int
		into, status = begin(into, tagStatus, lengthOfItem)
		into = end(appendVarint(into, tagStatusCode, int32(code)), status, lengthOfItem)
	}
	return end(into, start, lengthOfItem)
}

// === Logs ===

func appendResourceLogs(into []byte, group plog.ResourceLogs) []byte {
	into, start := begin(into, tagResourceGroup, lengthOfGroup)
	into = appendResource(into, group.Resource())
	scopes := group.ScopeLogs()
	for index := range scopes.Len() {
		var scope int
		into, scope = begin(into, tagScopeGroup, lengthOfGroup)
		records := scopes.At(index).LogRecords()
		for index := range records.Len() {
			into = appendLogRecord(into, records.At(index))
		}
		into = end(into, scope, lengthOfGroup)
	}
	return end(into, start, lengthOfGroup)
}

func appendLogRecord(into []byte, record plog.LogRecord) []byte {
	into, start := begin(into, tagItem, lengthOfItem)
	into = appendTime(into, tagLogTime, record.Timestamp())
	into = appendKeys(into, tagLogAttributes, record.Attributes())
	into = appendTime(into, tagObserved, record.ObservedTimestamp())
	return end(into, start, lengthOfItem)
}

// === Metrics ===

func appendResourceMetrics(into []byte, group pmetric.ResourceMetrics) []byte {
	into, start := begin(into, tagResourceGroup, lengthOfGroup)
	into = appendResource(into, group.Resource())
	scopes := group.ScopeMetrics()
	for index := range scopes.Len() {
		var scope int
		into, scope = begin(into, tagScopeGroup, lengthOfGroup)
		metrics := scopes.At(index).Metrics()
		for index := range metrics.Len() {
			into = appendMetric(into, metrics.At(index))
		}
		into = end(into, scope, lengthOfGroup)
	}
	return end(into, start, lengthOfGroup)
}

func appendMetric(into []byte, metric pmetric.Metric) []byte {
	into, start := begin(into, tagItem, lengthOfItem)
	if layout, hasPoints := layouts[metric.Type()]; hasPoints {
		var data int
		into, data = begin(into, layout.data, lengthOfGroup)
		for index := range pointCount(metric) {
			into = appendPoint(into, layout, pointAt(metric, index))
		}
		into = end(into, data, lengthOfGroup)
	}
	return end(into, start, lengthOfItem)
}

// layout is the tags by which kinds of metrics differ.
type layout struct {
	data, attributes, exemplars byte
}

var layouts = map[pmetric.MetricType]layout{
	pmetric.MetricTypeGauge:                {tagGauge, tagNumberAttributes, tagNumberExemplars},
	pmetric.MetricTypeSum:                  {tagSum, tagNumberAttributes, tagNumberExemplars},
	pmetric.MetricTypeHistogram:            {tagHistogram, tagHistogramAttributes, tagHistogramExemplars},
	pmetric.MetricTypeExponentialHistogram: {tagExponential, tagExponentialAttributes, tagExponentialExemplars},
	pmetric.MetricTypeSummary:              {data: tagSummary, attributes: tagSummaryAttributes},
}

func appendPoint(into []byte, layout layout, point point) []byte {
	into, start := begin(into, tagPoint, lengthOfItem)
	into = appendTime(into, tagPointTime, point.time)
	into = appendKeys(into, layout.attributes, point.attributes)
	for index := range point.exemplarCount() {
		exemplar := point.exemplars.At(index)
		var start int
		into, start = begin(into, layout.exemplars, lengthOfItem)
		into = appendTime(into, tagExemplarTime, exemplar.Timestamp())
		into = appendKeys(into, tagExemplarAttributes, exemplar.FilteredAttributes())
		into = end(into, start, lengthOfItem)
	}
	return end(into, start, lengthOfItem)
}
