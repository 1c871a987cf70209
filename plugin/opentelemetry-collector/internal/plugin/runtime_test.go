package plugin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m) }

// clock is moved by hand.
type clock struct{ nanoseconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanoseconds.Store(plugintest.Now.UnixNano())
	return c
}

func (c *clock) now() time.Time { return time.Unix(0, c.nanoseconds.Load()) }

func (c *clock) advance(by time.Duration) { c.nanoseconds.Add(int64(by)) }

// restarts counts what is told.
type restarts struct{ trap, deadline atomic.Int64 }

func (r *restarts) Restarted(reason string) {
	switch reason {
	case "trap":
		r.trap.Add(1)
	case "deadline":
		r.deadline.Add(1)
	default:
		panic(reason)
	}
}

func runtimeOf(t testing.TB, settings Settings) *Runtime {
	t.Helper()
	if settings.Config == "" {
		settings.Config = plugintest.Config("")
	}
	if settings.Clock == nil {
		settings.Clock = newClock().now
	}
	if settings.Deadline == 0 {
		settings.Deadline = time.Minute
	}
	settings.Name, settings.CacheDirectory = "test", plugintest.CacheDirectory
	runtime, warnings, err := New(t.Context(), settings)
	require.NoError(t, err)
	require.Empty(t, warnings)
	t.Cleanup(func() { require.NoError(t, runtime.Close(context.Background())) })
	return runtime
}

func deliver(t testing.TB, runtime *Runtime, webhook guest.Webhook) []guest.Entry {
	t.Helper()
	receipt, err := runtime.Receive(t.Context(), plugintest.Source, webhook)
	require.NoError(t, err)
	require.Equal(t, uint16(202), receipt.Status, receipt.Body)
	_, err = runtime.Merge(t.Context(), receipt.Entries)
	require.NoError(t, err)
	return receipt.Entries
}

func batchOf(t testing.TB, service string) []byte {
	t.Helper()
	shop := plugintest.Shop{Services: []string{service}, Items: 4, At: plugintest.Now}
	batch, err := new(ptrace.ProtoMarshaler).MarshalTraces(shop.Traces())
	require.NoError(t, err)
	return batch
}

func marksOf(t testing.TB, runtime *Runtime, service string) int {
	t.Helper()
	var marks guest.ItemMarks
	require.NoError(t, runtime.Marks(t.Context(), guest.Traces, batchOf(t, service), &marks))
	return len(marks.Items)
}

// holding borrows every instance at once, so that the next call finds the one that came back last.
func holding(t testing.TB, runtime *Runtime, count int) {
	t.Helper()
	var hold func(left int) error
	hold = func(left int) error {
		return runtime.pool.with(t.Context(), func(*worker) error {
			if left == 1 {
				return nil
			}
			return hold(left - 1)
		})
	}
	require.NoError(t, hold(count))
	require.Len(t, runtime.pool.idle, count)
}

func TestReceivingChangesNothingAndMergingTakesEffectOnEveryInstance(t *testing.T) {
	runtime := runtimeOf(t, Settings{Instances: 3})
	holding(t, runtime, 3)
	receipt, err := runtime.Receive(t.Context(), plugintest.Source, plugintest.Open("1", "checkout"))
	require.NoError(t, err)
	assert.Zero(t, marksOf(t, runtime, "checkout"))
	assert.True(t, runtime.Interest(t.Context(), guest.Traces).Nothing())
	_, err = runtime.Merge(t.Context(), receipt.Entries)
	require.NoError(t, err)
	interest := runtime.Interest(t.Context(), guest.Traces)
	assert.True(t, interest.Concerns("checkout"))
	assert.False(t, interest.Concerns("cart"))
	assert.True(t, runtime.Interest(t.Context(), guest.Metrics).Nothing(), "by default no metric is marked")

	var group sync.WaitGroup
	all := make(chan struct{})
	var arrived atomic.Int64
	for range 3 {
		group.Go(func() {
			assert.NoError(t, runtime.pool.with(t.Context(), func(w *worker) error {
				// Each has another instance: nobody gives one back before all have one.
				if arrived.Add(1) == 3 {
					close(all)
				}
				<-all
				var marks guest.ItemMarks
				err := w.instance.Marks(guest.Traces, batchOf(t, "checkout"), plugintest.Now, &marks)
				assert.Len(t, marks.Items, 4)
				return err
			}))
		})
	}
	group.Wait()

	deliver(t, runtime, plugintest.Close("1"))
	open, err := runtime.Open(t.Context())
	require.NoError(t, err)
	assert.Empty(t, open)
}

func TestTheLastInstanceToComeBackIsTheFirstToGo(t *testing.T) {
	runtime := runtimeOf(t, Settings{Instances: 4})
	for range 10 {
		marksOf(t, runtime, "checkout")
	}
	assert.Len(t, runtime.pool.idle, 1, "one goroutine needs one instance")
	holding(t, runtime, 4)
	last := runtime.pool.idle[3]
	require.NoError(t, runtime.pool.with(t.Context(), func(w *worker) error {
		assert.Same(t, last, w)
		return nil
	}))
}

func TestInterestFollowsTheTime(t *testing.T) {
	clock := newClock()
	runtime := runtimeOf(t, Settings{Clock: clock.now})
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	before := runtime.Interest(t.Context(), guest.Traces)
	clock.advance(999 * time.Millisecond)
	assert.Same(t, before, runtime.Interest(t.Context(), guest.Traces))
	clock.advance(time.Millisecond)
	assert.NotSame(t, before, runtime.Interest(t.Context(), guest.Traces))
	// The lease runs out, and what is kept of its window an hour later.
	clock.advance(27 * time.Hour)
	assert.True(t, runtime.Interest(t.Context(), guest.Traces).Nothing())
	// A clock that is set back is a reason to ask again, too.
	clock.advance(-26 * time.Hour)
	assert.True(t, runtime.Interest(t.Context(), guest.Traces).Concerns("checkout"))
}

func TestALeaseThatRanOutIsReportedOnce(t *testing.T) {
	clock := newClock()
	runtime := runtimeOf(t, Settings{Clock: clock.now})
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	clock.advance(25 * time.Hour)
	expiry, err := runtime.Expire(t.Context())
	require.NoError(t, err)
	require.Len(t, expiry.Transitions, 1)
	_, err = runtime.Merge(t.Context(), expiry.Entries)
	require.NoError(t, err)
	expiry, err = runtime.Expire(t.Context())
	require.NoError(t, err)
	assert.Empty(t, expiry.Transitions)
}

func TestPeopleAreAnswered(t *testing.T) {
	runtime := runtimeOf(t, Settings{Instances: 2})
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	deliver(t, runtime, plugintest.Open("2"))
	incident, err := runtime.Find(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "manual:1", incident.ID)
	var refusal *guest.Refusal
	_, err = runtime.Find(t.Context(), "3")
	require.ErrorAs(t, err, &refusal)
	explanations, err := runtime.Explain(t.Context(), guest.Asked{Service: "checkout", Time: uint64(plugintest.Now.UnixNano())})
	require.NoError(t, err)
	assert.Len(t, explanations, 2)

	holding(t, runtime, 2)
	for range 3 {
		marksOf(t, runtime, "unruled")
	}
	gaps, err := runtime.Gaps(t.Context())
	require.NoError(t, err)
	var subjects []string
	for _, gap := range gaps {
		subjects = append(subjects, fmt.Sprintf("%s %s %d", gap.Kind, gap.Subject, gap.Count))
	}
	assert.Equal(t, []string{"incident-without-service manual:2 1", "service-without-rule unruled 3"}, subjects)
}

func TestASpokeHoldsWhatItsHubSaidLast(t *testing.T) {
	hub, spoke := runtimeOf(t, Settings{}), runtimeOf(t, Settings{Instances: 2})
	holding(t, spoke, 2)
	deliver(t, hub, plugintest.Open("1", "checkout"))
	state := func() []guest.Entry {
		entries, err := hub.State(t.Context(), guest.IncidentsOnly)
		require.NoError(t, err)
		return entries
	}
	first := state()
	merged, err := spoke.ReplaceState(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, uint32(len(first)), merged.Changed)
	assert.Equal(t, 4, marksOf(t, spoke, "checkout"))

	// The hub was set up anew, and knows another incident only.
	other := runtimeOf(t, Settings{})
	deliver(t, other, plugintest.Open("2", "cart"))
	entries, err := other.State(t.Context(), guest.IncidentsOnly)
	require.NoError(t, err)
	_, err = spoke.ReplaceState(t.Context(), entries)
	require.NoError(t, err)
	assert.Zero(t, marksOf(t, spoke, "checkout"))
	assert.Equal(t, 4, marksOf(t, spoke, "cart"))
	assert.False(t, spoke.Interest(t.Context(), guest.Traces).Concerns("checkout"))

	require.NoError(t, spoke.ClearState(t.Context()))
	assert.Zero(t, marksOf(t, spoke, "cart"))
	assert.True(t, spoke.Interest(t.Context(), guest.Traces).Nothing())
	_, err = spoke.ReplaceState(t.Context(), first)
	require.NoError(t, err)
	assert.Equal(t, 4, marksOf(t, spoke, "checkout"))
}

func TestAStateThatCannotBeTakenLeavesTheOneBefore(t *testing.T) {
	module := plugintest.Faulty(plugintest.Put{Function: plugintest.Merge, Fault: plugintest.Trap, Each: 2})
	runtime := runtimeOf(t, Settings{Module: module, Instances: 1})
	// The first merge of every instance works, the second traps, and is tried again by a new instance, for which it is the
	// second after the state that it had to catch up with.
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	assert.Equal(t, 4, marksOf(t, runtime, "checkout"))
	receipt, err := runtime.Receive(t.Context(), plugintest.Source, plugintest.Open("2", "cart"))
	require.NoError(t, err)
	_, err = runtime.Merge(t.Context(), receipt.Entries)
	require.ErrorIs(t, err, guest.ErrTrapped)
	assert.Equal(t, 4, marksOf(t, runtime, "checkout"))
	assert.Zero(t, marksOf(t, runtime, "cart"))
}

func TestABatchBehindAMergeAsksAgainWhereTheInstanceFailedToSay(t *testing.T) {
	// An instance is asked when it is made, and for three signals at the start: the fifth is the first after the merge.
	module := plugintest.Faulty(plugintest.Put{Function: plugintest.Interest, Fault: plugintest.Trap, Each: 5})
	var restarts restarts
	runtime := runtimeOf(t, Settings{Module: module, Instances: 1, Telemetry: &restarts})
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	assert.Equal(t, int64(1), restarts.trap.Load())
	assert.True(t, runtime.Interest(t.Context(), guest.Traces).Concerns("checkout"))
}

func TestABoardStaysSmall(t *testing.T) {
	clock := newClock()
	runtime := runtimeOf(t, Settings{Clock: clock.now, Instances: 1})
	for range groupsMax + 10 {
		clock.advance(time.Second)
		deliver(t, runtime, plugintest.Open("1", "checkout"))
	}
	committed := runtime.board.read()
	assert.LessOrEqual(t, len(committed.tail), groupsKept+10)
	assert.Less(t, len(committed.base), groupsMax)
	state, err := runtime.State(t.Context(), guest.All)
	require.NoError(t, err)
	// A new instance is given what stands there, and knows as much.
	runtime.pool.retire(t.Context(), runtime.pool.idle)
	runtime.pool.idle = nil
	again, err := runtime.State(t.Context(), guest.All)
	require.NoError(t, err)
	assert.Equal(t, state, again)
}

func TestAnInstanceThatIsFarBehindIsGivenTheBase(t *testing.T) {
	board := newBoard()
	for number := range groupsMax + 1 {
		assert.False(t, board.read().wantsFolding())
		board.add([]guest.Entry{{Key: fmt.Sprint(number)}})
	}
	assert.True(t, board.read().wantsFolding())
	board.fold([]guest.Entry{{Key: "all"}}, groupsMax+1)
	committed := board.read()
	assert.Equal(t, uint64(groupsMax+1), committed.count())
	assert.Equal(t, "all", committed.since(notMerged)[0][0].Key)
	assert.Equal(t, "all", committed.since(5)[0][0].Key)
	assert.Len(t, committed.since(groupsMax-1), 2)
	assert.Empty(t, committed.since(groupsMax+1))
	// Folding a few groups, which all stay, loses none.
	board = newBoard()
	board.add([]guest.Entry{{Key: "one"}})
	board.fold([]guest.Entry{{Key: "all"}}, 1)
	assert.Equal(t, uint64(1), board.read().count())
}

func TestCountersOutliveTheirInstances(t *testing.T) {
	var restarts restarts
	module := plugintest.Faulty(plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Trap, Each: 3})
	runtime := runtimeOf(t, Settings{Module: module, Instances: 1, Telemetry: &restarts})
	deliver(t, runtime, plugintest.Open("1", "checkout"))
	marked := func() uint64 {
		for _, counter := range runtime.Counters(t.Context()) {
			if counter.Name == "items.marked" {
				return counter.Value
			}
		}
		return 0
	}
	for range 2 {
		assert.Equal(t, 4, marksOf(t, runtime, "checkout"))
	}
	assert.Equal(t, uint64(8), marked())
	var marks guest.ItemMarks
	require.ErrorIs(t, runtime.Marks(t.Context(), guest.Traces, batchOf(t, "checkout"), &marks), guest.ErrTrapped)
	assert.Equal(t, int64(1), restarts.trap.Load())
	assert.Equal(t, uint64(8), marked())
	// The new instance has the state of the one before.
	assert.Equal(t, 4, marksOf(t, runtime, "checkout"))
	assert.Equal(t, uint64(12), marked())
}

func TestWhoeverWaitsForAnInstanceMayStopWaiting(t *testing.T) {
	runtime := runtimeOf(t, Settings{Instances: 1})
	require.NoError(t, runtime.pool.with(t.Context(), func(*worker) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := runtime.Marks(ctx, guest.Traces, nil, new(guest.ItemMarks))
		assert.ErrorIs(t, err, ErrUnavailable)
		assert.ErrorIs(t, err, context.Canceled)
		// Nobody waits to ask for counters and gaps.
		assert.Empty(t, runtime.Counters(t.Context()))
		return nil
	}))
}

func TestNothingIsCalledAfterClosing(t *testing.T) {
	runtime := runtimeOf(t, Settings{})
	require.NoError(t, runtime.Close(t.Context()))
	assert.ErrorIs(t, runtime.Marks(t.Context(), guest.Traces, nil, new(guest.ItemMarks)), ErrUnavailable)
	_, err := runtime.Merge(t.Context(), []guest.Entry{{Key: "a"}})
	assert.ErrorIs(t, err, ErrUnavailable)
}

func TestSettingsThatCannotWorkAreNamed(t *testing.T) {
	_, _, err := New(t.Context(), Settings{Config: `{"sources": 1, "nothing": 2}`, Name: "test"})
	var faulty *guest.ConfigError
	require.ErrorAs(t, err, &faulty)
	assert.Len(t, faulty.Faults, 2)
	_, _, err = New(t.Context(), Settings{Config: "{}"})
	assert.ErrorContains(t, err, "need a name")
	_, _, err = New(t.Context(), Settings{Config: "{}", Name: "test", MemoryMiB: 5000})
	assert.ErrorContains(t, err, "5000 MiB")
}

func TestAnInstanceThatCannotBeMadeIsNotTriedForEveryBatch(t *testing.T) {
	runtime := runtimeOf(t, Settings{Instances: 1, MemoryMiB: 2})
	// More state than the memory holds: merging it traps in every instance.
	entries := make([]guest.Entry, 20000)
	for index := range entries {
		entries[index] = guest.Entry{Key: fmt.Sprintf("later/%d", index), Bytes: []byte(`9 {"a": "much of something that is known to a later version"}`)}
	}
	_, err := runtime.Merge(t.Context(), entries)
	require.Error(t, err)
	assert.Zero(t, marksOf(t, runtime, "checkout"), "the state is as before, and instances work")
	runtime.board.add(entries)
	made := runtime.pool.made
	for range 100 {
		err := runtime.Marks(t.Context(), guest.Traces, batchOf(t, "checkout"), new(guest.ItemMarks))
		require.ErrorIs(t, err, ErrUnavailable)
	}
	assert.LessOrEqual(t, runtime.pool.made-made, uint64(2))
	require.False(t, errors.Is(err, ErrUnavailable))
}
