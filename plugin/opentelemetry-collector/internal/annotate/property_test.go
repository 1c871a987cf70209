package annotate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

// oracle is an instance with the state of a subject, which is asked by process and by marks about whole encodings.
type oracle struct {
	*guest.Instance
	t *testing.T
}

func newOracle(t *testing.T, config string, of subject) oracle {
	t.Helper()
	engine, err := guest.NewEngine(t.Context(), guest.Core, guest.EngineSettings{
		Deadline: time.Minute, MemoryMiB: 256, CacheDirectory: plugintest.CacheDirectory,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close(t.Context())) })
	instance, err := engine.Instantiate()
	require.NoError(t, err)
	_, err = instance.Configure(config, "oracle")
	require.NoError(t, err)
	state, err := of.runtime.State(t.Context(), guest.All)
	require.NoError(t, err)
	_, err = instance.Merge(state, plugintest.Now)
	require.NoError(t, err)
	return oracle{instance, t}
}

// processed is what the component makes of a batch.
func (o oracle) processed(signal guest.Signal, batch []byte) []byte {
	outcome, err := o.Process(signal, batch, plugintest.Now)
	require.NoError(o.t, err)
	require.NotEqual(o.t, guest.Refused, outcome.Result, outcome.Reason)
	if outcome.Result == guest.Unchanged {
		return batch
	}
	return outcome.Bytes
}

// check holds the marks of an outline against those of the whole, and answers how many there are.
func (o oracle) check(signal guest.Signal, outline, batch []byte) int {
	var ofOutline, ofWhole guest.ItemMarks
	require.NoError(o.t, o.Marks(signal, outline, plugintest.Now, &ofOutline))
	require.NoError(o.t, o.Marks(signal, batch, plugintest.Now, &ofWhole))
	require.Equal(o.t, ofWhole, ofOutline)
	return len(ofWhole.Items)
}

// described is attributes in an order of their own: process puts ours in front, a host behind.
func described(attributes pcommon.Map) string {
	var texts []string
	for key, value := range attributes.All() {
		texts = append(texts, fmt.Sprintf("%q %s %q", key, value.Type(), value.AsString()))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

func describeTraces(batch ptrace.Traces) (lines []string) {
	for _, group := range batch.ResourceSpans().All() {
		lines = append(lines, "resource "+described(group.Resource().Attributes()))
		for _, scope := range group.ScopeSpans().All() {
			lines = append(lines, "scope "+scope.Scope().Name())
			for _, span := range scope.Spans().All() {
				lines = append(lines, fmt.Sprint("span ", span.Name(), span.StartTimestamp(), described(span.Attributes()),
					described(span.Events().At(0).Attributes())))
			}
		}
	}
	return lines
}

func describeLogs(batch plog.Logs) (lines []string) {
	for _, group := range batch.ResourceLogs().All() {
		lines = append(lines, "resource "+described(group.Resource().Attributes()))
		for _, scope := range group.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				lines = append(lines, fmt.Sprint("record ", record.Timestamp(), record.Body().AsString(), described(record.Attributes())))
			}
		}
	}
	return lines
}

func describeMetrics(batch pmetric.Metrics) (lines []string) {
	for _, group := range batch.ResourceMetrics().All() {
		lines = append(lines, "resource "+described(group.Resource().Attributes()))
		for _, scope := range group.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				lines = append(lines, "metric "+metric.Type().String())
				for index := range pointCount(metric) {
					point := pointAt(metric, index)
					lines = append(lines, fmt.Sprint("point ", point.time, described(point.attributes)))
					for index := range point.exemplarCount() {
						lines = append(lines, "exemplar "+described(point.exemplars.At(index).FilteredAttributes()))
					}
				}
			}
		}
	}
	return lines
}

// Scenario: batches with items in and out of the window, without times, with our attributes already, with repeated,
// empty and long keys, and resources of all kinds, under several configurations.
// Guarantees: what comes out is what the component makes of the protobuf encoding of the same batch, and an outline is
// marked as the whole.
func TestMarksMadeHereEqualWhatTheComponentWrites(t *testing.T) {
	const batches = 400
	for name, more := range map[string]string{
		"every signal":    everySignal,
		"entry and error": everySignal + `, "traces": {"spans": "entry-and-error"}`,
		"everything":      everySignal + `, "unmatched": "all"`,
		"in an environment": everySignal + `, "services": [{"name": "shop", "to": [{"service": "checkout", "namespace": "shop",
			"environment": "production"}]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			config := plugintest.Config(more)
			subject := newSubject(t, plugin.Settings{Config: config, Instances: 1})
			subject.deliver(t, plugintest.Open("1", "checkout", "shop"))
			subject.deliver(t, plugintest.Open("2", "cart", "checkout"))
			subject.deliver(t, plugintest.Open("3"))
			subject.deliver(t, plugintest.Close("2"))
			oracle := newOracle(t, config, subject)
			marked := [len(guest.Signals)]int{}
			for seed := range uint64(batches) {
				chance := chance{rand.New(rand.NewPCG(seed, 7))}
				{
					batch := chance.traces()
					bytes, err := new(ptrace.ProtoMarshaler).MarshalTraces(batch)
					require.NoError(t, err)
					var outline []byte
					for _, group := range batch.ResourceSpans().All() {
						outline = appendResourceSpans(outline, group)
					}
					marked[guest.Traces] += oracle.check(guest.Traces, outline, bytes)
					expected, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(oracle.processed(guest.Traces, bytes))
					require.NoError(t, err)
					if seed%2 == 0 {
						batch.MarkReadOnly()
					}
					require.Equal(t, describeTraces(expected), describeTraces(subject.Traces(t.Context(), batch)), "seed %d", seed)
				}
				{
					batch := chance.logs()
					bytes, err := new(plog.ProtoMarshaler).MarshalLogs(batch)
					require.NoError(t, err)
					var outline []byte
					for _, group := range batch.ResourceLogs().All() {
						outline = appendResourceLogs(outline, group)
					}
					marked[guest.Logs] += oracle.check(guest.Logs, outline, bytes)
					expected, err := new(plog.ProtoUnmarshaler).UnmarshalLogs(oracle.processed(guest.Logs, bytes))
					require.NoError(t, err)
					if seed%2 == 0 {
						batch.MarkReadOnly()
					}
					require.Equal(t, describeLogs(expected), describeLogs(subject.Logs(t.Context(), batch)), "seed %d", seed)
				}
				{
					batch := chance.metrics()
					bytes, err := new(pmetric.ProtoMarshaler).MarshalMetrics(batch)
					require.NoError(t, err)
					var outline []byte
					for _, group := range batch.ResourceMetrics().All() {
						outline = appendResourceMetrics(outline, group)
					}
					marked[guest.Metrics] += oracle.check(guest.Metrics, outline, bytes)
					expected, err := new(pmetric.ProtoUnmarshaler).UnmarshalMetrics(oracle.processed(guest.Metrics, bytes))
					require.NoError(t, err)
					if seed%2 == 0 {
						batch.MarkReadOnly()
					}
					require.Equal(t, describeMetrics(expected), describeMetrics(subject.Metrics(t.Context(), batch)), "seed %d", seed)
				}
			}
			for signal, count := range marked {
				assert.Greater(t, count, batches/4, guest.Signals[signal])
			}
		})
	}
}

func TestLengthsAreWrittenInAsFewBytesAsTheyNeed(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21} {
		for _, reserved := range []int{lengthOfItem, lengthOfGroup} {
			into, start := begin([]byte("before"), 0x0a, reserved)
			into = append(into, strings.Repeat("x", size)...)
			into = end(into, start, reserved)
			expected := appendText([]byte("before"), 0x0a, strings.Repeat("x", size))
			assert.True(t, string(expected) == string(into), "%d bytes, %d reserved", size, reserved)
		}
	}
}
