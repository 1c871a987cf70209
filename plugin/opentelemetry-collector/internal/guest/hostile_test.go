package guest_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

func TestAGuestThatMisbehavesGivesAnErrorAndNoMore(t *testing.T) {
	const deadline = 100 * time.Millisecond
	for name, test := range map[string]struct {
		put        plugintest.Put
		isDeadline bool
		expected   string
	}{
		"a panic":                    {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Trap}, expected: "unreachable"},
		"an endless loop":            {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Loop}, isDeadline: true},
		"endless filling of memory":  {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Fill}, isDeadline: true},
		"exhaustion of memory":       {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Exhaust}, expected: "unreachable"},
		"an answer outside":          {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Outside}, expected: "outside of its memory"},
		"an answer out of line":      {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Misaligned}, expected: "not a multiple of 4"},
		"a block outside":            {put: plugintest.Put{Function: plugintest.Realloc, Fault: plugintest.Outside}, expected: "block outside of its memory"},
		"a loop in freeing":          {put: plugintest.Put{Function: plugintest.PostMarks, Fault: plugintest.Loop}, isDeadline: true},
		"a panic in handing out":     {put: plugintest.Put{Function: plugintest.Realloc, Fault: plugintest.Trap}, expected: "unreachable"},
		"a loop in handing out":      {put: plugintest.Put{Function: plugintest.Realloc, Fault: plugintest.Loop}, isDeadline: true},
		"the batch for its answer":   {put: plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Echo}},
		"a panic in freeing answers": {put: plugintest.Put{Function: plugintest.PostMarks, Fault: plugintest.Trap}, expected: "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			test.put.Each = 1
			engine := engine(t, plugintest.Faulty(test.put), guest.EngineSettings{Deadline: deadline, MemoryMiB: 16})
			instance, err := engine.Instantiate()
			require.NoError(t, err)
			var marks guest.ItemMarks
			begun := time.Now()
			err = instance.Marks(guest.Traces, encoded(t, "checkout"), now, &marks)
			assert.Less(t, time.Since(begun), 20*deadline)
			require.ErrorIs(t, err, guest.ErrTrapped)
			assert.Equal(t, test.isDeadline, errors.Is(err, guest.ErrDeadline), err)
			assert.ErrorContains(t, err, "the plugin failed in marks: ")
			assert.ErrorContains(t, err, test.expected)
			assert.NotContains(t, err.Error(), "\n")
			assert.LessOrEqual(t, instance.MemoryBytes(), uint64(16<<20))
			// It is not entered again, though it might answer.
			_, again := instance.Counters()
			assert.Equal(t, err, again)
		})
	}
}

// Which of the two comes first depends on how fast the machine is.
func TestRecursionEndsWithTheStackOrTheDeadline(t *testing.T) {
	put := plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Recurse(plugintest.Marks, 4), Each: 1}
	engine := engine(t, plugintest.Faulty(put), guest.EngineSettings{Deadline: 100 * time.Millisecond, MemoryMiB: 16})
	instance, err := engine.Instantiate()
	require.NoError(t, err)
	err = instance.Marks(guest.Traces, nil, now, new(guest.ItemMarks))
	require.ErrorIs(t, err, guest.ErrTrapped)
	assert.Regexp(t, "stack overflow|deadline", err.Error())
}

// The guest answers with the address of its batch, so that the batch is taken for the answer: lists that overlap, lie
// outside, or contain each other.
func TestNoAnswerMakesTheHostPanicOrTakeMuchMemory(t *testing.T) {
	module := plugintest.Faulty(plugintest.Put{Function: plugintest.Marks, Fault: plugintest.Echo, Each: 1},
		plugintest.Put{Function: plugintest.Process, Fault: plugintest.Echo, Each: 1})
	engine := engine(t, module, guest.EngineSettings{Deadline: time.Second, MemoryMiB: 16})
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		instance, err := engine.Instantiate()
		require.NoError(t, err)
		batch := make([]byte, 20+random.IntN(200))
		for index := range batch {
			if index%4 < 2 {
				batch[index] = byte(random.Uint32())
			}
		}
		batch[0] = byte(random.IntN(3))
		var marks guest.ItemMarks
		err = instance.Marks(guest.Traces, batch, now, &marks)
		assert.Less(t, len(marks.Items), 1<<20)
		if err == nil {
			_, _ = instance.Process(guest.Traces, batch, now)
		}
		require.NoError(t, instance.Close(t.Context()))
	}
}
