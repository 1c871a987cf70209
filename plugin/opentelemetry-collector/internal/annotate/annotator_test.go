package annotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m) }

// counts is what was told, by name: "received traces", "held logs trap", "restarted deadline".
type counts struct {
	mutex sync.Mutex
	all   map[string]int
}

func (c *counts) add(name string, items int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.all == nil {
		c.all = make(map[string]int)
	}
	c.all[name] += items
}

func (c *counts) of(name string) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.all[name]
}

func (c *counts) Received(_ context.Context, signal guest.Signal, items int) {
	c.add("received "+signal.String(), items)
}

func (c *counts) Marked(_ context.Context, signal guest.Signal, items int) {
	c.add("marked "+signal.String(), items)
}

func (c *counts) Held(_ context.Context, signal guest.Signal, items int, reason string) {
	c.add("held "+signal.String()+" "+reason, items)
}

func (c *counts) Refused(_ context.Context, signal guest.Signal, items int) {
	c.add("refused "+signal.String(), items)
}

func (c *counts) Restarted(reason string) { c.add("restarted "+reason, 1) }

// everySignal has metric points and exemplars marked too.
const everySignal = `, "metrics": {"points": "on", "exemplars": "on", "accept_identity_change": true}`

type subject struct {
	*Annotator
	runtime *plugin.Runtime
	counts  *counts
}

func newSubject(t testing.TB, settings plugin.Settings) subject {
	t.Helper()
	counts := &counts{}
	settings.Name, settings.Telemetry, settings.CacheDirectory = "test", counts, plugintest.CacheDirectory
	if settings.Config == "" {
		settings.Config = plugintest.Config(everySignal)
	}
	if settings.Clock == nil {
		settings.Clock = func() time.Time { return plugintest.Now }
	}
	if settings.Deadline == 0 {
		settings.Deadline = time.Minute
	}
	runtime, _, err := plugin.New(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, runtime.Close(context.Background())) })
	return subject{New(runtime, counts), runtime, counts}
}

func (s subject) deliver(t testing.TB, webhook guest.Webhook) {
	t.Helper()
	receipt, err := s.runtime.Receive(t.Context(), plugintest.Source, webhook)
	require.NoError(t, err)
	require.Equal(t, uint16(202), receipt.Status)
	_, err = s.runtime.Merge(t.Context(), receipt.Entries)
	require.NoError(t, err)
}

func tracesOf(services ...string) ptrace.Traces {
	return plugintest.Shop{Services: services, Items: 4 * len(services), At: plugintest.Now}.Traces()
}

func copyOf(batch ptrace.Traces) ptrace.Traces {
	copied := ptrace.NewTraces()
	batch.CopyTo(copied)
	return copied
}

func protobuf(t testing.TB, batch ptrace.Traces) []byte {
	t.Helper()
	bytes, err := new(ptrace.ProtoMarshaler).MarshalTraces(batch)
	require.NoError(t, err)
	return bytes
}

// markedServices is how many spans of each service carry incident.id.
func markedServices(batch ptrace.Traces) map[string]int {
	marked := make(map[string]int)
	for _, group := range batch.ResourceSpans().All() {
		service, _ := group.Resource().Attributes().Get("service.name")
		for _, scope := range group.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				if _, isMarked := span.Attributes().Get("incident.id"); isMarked {
					marked[service.AsString()]++
				}
			}
		}
	}
	return marked
}

func TestOnlyServicesOfTheIncidentAreMarkedAndNothingElseChanges(t *testing.T) {
	subject := newSubject(t, plugin.Settings{})
	batch := tracesOf("cart", "checkout", "search")
	before := protobuf(t, batch)
	assert.Equal(t, before, protobuf(t, subject.Traces(t.Context(), batch)))
	subject.deliver(t, plugintest.Open("1", "checkout"))
	marked := subject.Traces(t.Context(), batch)
	assert.Equal(t, map[string]int{"checkout": 4}, markedServices(marked))
	assert.Equal(t, 24, subject.counts.of("received traces"))
	assert.Equal(t, 4, subject.counts.of("marked traces"))
	for _, scope := range marked.ResourceSpans().At(1).ScopeSpans().All() {
		for _, span := range scope.Spans().All() {
			span.Attributes().RemoveIf(func(key string, _ pcommon.Value) bool { return strings.HasPrefix(key, "incident.") })
		}
	}
	assert.Equal(t, before, protobuf(t, marked))
	subject.deliver(t, plugintest.Close("1"))
}

func TestMarkingTwiceEqualsMarkingOnce(t *testing.T) {
	subject := newSubject(t, plugin.Settings{})
	subject.deliver(t, plugintest.Open("1", "checkout"))
	once := protobuf(t, subject.Traces(t.Context(), tracesOf("checkout")))
	twice := subject.Traces(t.Context(), subject.Traces(t.Context(), tracesOf("checkout")))
	assert.Equal(t, once, protobuf(t, twice))
}

func TestASharedBatchIsCopiedOnlyWhereSomethingIsMarked(t *testing.T) {
	subject := newSubject(t, plugin.Settings{})
	subject.deliver(t, plugintest.Open("1", "checkout"))
	for _, test := range []struct {
		batch    ptrace.Traces
		isCopied bool
	}{
		{tracesOf("cart", "search"), false},
		{tracesOf("cart", "checkout"), true},
		// It is looked at, and none of its items is in the window.
		{plugintest.Shop{Services: []string{"checkout"}, Items: 4, At: plugintest.Now.Add(-time.Hour)}.Traces(), false},
	} {
		before := copyOf(test.batch)
		test.batch.MarkReadOnly()
		passedOn := subject.Traces(t.Context(), test.batch)
		assert.Equal(t, test.isCopied, passedOn != test.batch)
		assert.Equal(t, !test.isCopied, passedOn.IsReadOnly())
		assert.Equal(t, test.isCopied, len(markedServices(passedOn)) > 0)
		assert.Equal(t, protobuf(t, before), protobuf(t, test.batch), "what others hold too has not changed")
	}
	// What nobody else holds is marked where it lies.
	owned := tracesOf("checkout")
	assert.True(t, subject.Traces(t.Context(), owned) == owned)
	assert.NotEmpty(t, markedServices(owned))

	records := plugintest.Shop{Services: []string{"checkout"}, Items: 4, At: plugintest.Now}.Logs()
	records.MarkReadOnly()
	assert.False(t, subject.Logs(t.Context(), records).IsReadOnly())
	points := plugintest.Shop{Services: []string{"checkout"}, Items: 4, At: plugintest.Now}.Metrics()
	points.MarkReadOnly()
	assert.False(t, subject.Metrics(t.Context(), points).IsReadOnly())
}

func TestOneBatchInSoManyIsShownWholeSoThatGapsAreKnown(t *testing.T) {
	subject := newSubject(t, plugin.Settings{Instances: 1})
	seen := func() (count uint64) {
		gaps, err := subject.runtime.Gaps(t.Context())
		require.NoError(t, err)
		for _, gap := range gaps {
			if gap.Subject == "unruled" {
				count = gap.Count
			}
		}
		return count
	}
	for range 63 {
		subject.Traces(t.Context(), tracesOf("unruled"))
	}
	assert.Zero(t, seen())
	subject.Traces(t.Context(), tracesOf("unruled"))
	assert.Equal(t, uint64(1), seen())
}

func TestALargeBatchGoesInPartsAndIsMarkedInAllOfThem(t *testing.T) {
	subject := newSubject(t, plugin.Settings{Instances: 1})
	services := plugintest.Services(40)
	subject.deliver(t, plugintest.Open("1", services...))
	shop := plugintest.Shop{Services: services, Items: 20000, At: plugintest.Now}
	var outline []byte
	batch := shop.Traces()
	for _, group := range batch.ResourceSpans().All() {
		outline = appendResourceSpans(outline, group)
	}
	require.Greater(t, len(outline), 3*outlineBytes)
	subject.Traces(t.Context(), batch)
	assert.Equal(t, 20000, subject.counts.of("marked traces"))
	for service, count := range markedServices(batch) {
		assert.Equal(t, 500, count, service)
	}
}

func TestWhatThePluginRefusesGoesOnAndIsCounted(t *testing.T) {
	subject := newSubject(t, plugin.Settings{Config: plugintest.Config(`, "limits": {"batch_bytes": 4096}`)})
	subject.deliver(t, plugintest.Open("1", "checkout"))
	batch := plugintest.Shop{Services: []string{"checkout"}, Items: 100, At: plugintest.Now}.Traces()
	before := protobuf(t, batch)
	assert.Equal(t, before, protobuf(t, subject.Traces(t.Context(), batch)))
	assert.Equal(t, 100, subject.counts.of("refused traces"))
	assert.Zero(t, subject.counts.of("marked traces"))
}

func TestPositionsThatThereAreNotAreNotBelieved(t *testing.T) {
	batch := tracesOf("checkout")
	set := [][]guest.Attribute{{{Key: "added", Kind: guest.Texts, Texts: []string{"a"}}, {Key: "url.path", Text: "overwritten"}}}
	for _, test := range []struct {
		marks []guest.ItemMark
		made  int
	}{
		{[]guest.ItemMark{{Resource: 1, Exemplar: guest.NoExemplar}}, 0},
		{[]guest.ItemMark{{Item: 4, Exemplar: guest.NoExemplar}}, 0},
		{[]guest.ItemMark{{Item: 1 << 31, Exemplar: guest.NoExemplar}}, 0},
		{[]guest.ItemMark{{Attributes: 1, Exemplar: guest.NoExemplar}}, 0},
		{[]guest.ItemMark{{Exemplar: 0}}, 0},
		{[]guest.ItemMark{{Item: 3, Exemplar: guest.NoExemplar}, {Item: 0, Exemplar: guest.NoExemplar}}, 1},
	} {
		work := &work{groups: []int{0}, marks: guest.ItemMarks{Sets: set, Items: test.marks}}
		made, err := put(&traces, batch, work)
		assert.ErrorIs(t, err, errNoSuchItem)
		assert.Equal(t, test.made, made)
	}
	work := &work{groups: []int{0}, marks: guest.ItemMarks{Sets: set, Items: []guest.ItemMark{{Exemplar: guest.NoExemplar}}}}
	_, err := put(&traces, batch, work)
	require.NoError(t, err)
	path, _ := batch.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().Get("url.path")
	assert.NotEqual(t, "overwritten", path.Str(), "an attribute that is there is never overwritten")
	points := plugintest.Shop{Services: []string{"checkout"}, Items: 4, At: plugintest.Now}.Metrics()
	for _, mark := range []guest.ItemMark{{Item: 4, Exemplar: guest.NoExemplar}, {Exemplar: 0}, {Exemplar: 1 << 32}} {
		work.marks.Items = []guest.ItemMark{mark}
		_, err := put(&metrics, points, work)
		assert.ErrorIs(t, err, errNoSuchItem)
	}
}

// Scenario: instances panic, loop and exhaust their memory, in every function that batches and webhooks go through, while
// webhooks arrive and several goroutines send traces, logs and metrics.
// Guarantees: every item that goes in comes out; an incident that was merged is marked by whatever instance answers.
func TestNothingIsLostWhileInstancesFailAndWebhooksArrive(t *testing.T) {
	module := plugintest.Faulty(
		plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Trap, Each: 7, ByLength: true},
		plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Loop, Each: 23, ByLength: true},
		plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Exhaust, Each: 17, ByLength: true},
		plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Outside, Each: 11, ByLength: true},
		plugintest.Put{Function: plugintest.Interest, Fault: plugintest.Trap, Each: 41},
		plugintest.Put{Function: plugintest.Receive, Fault: plugintest.Trap, Each: 5},
	)
	subject := newSubject(t, plugin.Settings{Module: module, Instances: 4, Deadline: 100 * time.Millisecond, MemoryMiB: 16})
	subject.deliver(t, plugintest.Open("first", "checkout"))
	const senders, batches = 6, 60
	// Lengths of batches decide about faults.
	items := func(number int) int { return 10 + number%29 }
	var sent int
	for number := range batches {
		sent += senders / 3 * items(number)
	}
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for number := range batches {
				shop := plugintest.Shop{Services: []string{"cart", "checkout"}, Items: items(number), At: plugintest.Now}
				switch sender % 3 {
				case 0:
					assert.Equal(t, shop.Items, subject.Traces(t.Context(), shop.Traces()).SpanCount())
				case 1:
					assert.Equal(t, shop.Items, subject.Logs(t.Context(), shop.Logs()).LogRecordCount())
				case 2:
					assert.Equal(t, shop.Items, subject.Metrics(t.Context(), shop.Metrics()).DataPointCount())
				}
			}
		})
	}
	var refused, taken int
	group.Go(func() {
		// An instance has to live long enough to meet its fault, as it does at the latest once the batches have ended.
		for number := 0; number < 40 || (refused == 0 && number < 1000); number++ {
			receipt, err := subject.runtime.Receive(t.Context(), plugintest.Source, plugintest.Open(fmt.Sprint(number), "cart"))
			if err == nil {
				_, err = subject.runtime.Merge(t.Context(), receipt.Entries)
			}
			if err != nil {
				assert.True(t, errors.Is(err, guest.ErrTrapped) || errors.Is(err, plugin.ErrUnavailable), err)
				refused++
				continue
			}
			taken++
			subject.runtime.Counters(t.Context())
		}
	})
	group.Wait()
	assert.NotZero(t, refused)
	assert.NotZero(t, taken)
	open, err := subject.runtime.Open(t.Context())
	for err != nil {
		open, err = subject.runtime.Open(t.Context())
	}
	assert.Len(t, open, taken+1)
	for _, signal := range guest.Signals {
		name := signal.String()
		assert.Equal(t, sent, subject.counts.of("received "+name))
		assert.NotZero(t, subject.counts.of("marked "+name))
		assert.NotZero(t, subject.counts.of("held "+name+" trap"))
		assert.Zero(t, subject.counts.of("refused "+name))
	}
	assert.NotZero(t, subject.counts.of("restarted trap"))
	assert.NotZero(t, subject.counts.of("restarted deadline"))
}
