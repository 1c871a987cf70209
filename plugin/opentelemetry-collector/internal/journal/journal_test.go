package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a storage client that can be cut off after any number of writes, as a crash does: single writes of a batch are
// not undone, which is the least that any store promises.
type store struct {
	content map[string][]byte
	// left is how many writes there still are; negative: any number.
	left int
}

var errCut = errors.New("cut off")

func newStore() *store { return &store{content: map[string][]byte{}, left: -1} }

func (s *store) Get(_ context.Context, key string) ([]byte, error) { return s.content[key], nil }

func (s *store) Set(ctx context.Context, key string, value []byte) error {
	return s.Batch(ctx, storage.SetOperation(key, value))
}

func (s *store) Delete(ctx context.Context, key string) error {
	return s.Batch(ctx, storage.DeleteOperation(key))
}

func (s *store) Batch(_ context.Context, operations ...*storage.Operation) error {
	for _, operation := range operations {
		if s.left == 0 {
			return errCut
		}
		s.left--
		if operation.Type == storage.Set {
			s.content[operation.Key] = append([]byte(nil), operation.Value...)
		} else {
			delete(s.content, operation.Key)
		}
	}
	return nil
}

func (s *store) Close(context.Context) error { return nil }

func entry(name string) guest.Entry {
	return guest.Entry{Key: "key/" + name, Bytes: []byte(`{"name":"` + name + `"}`)}
}

func open(t *testing.T, store *store) (*Journal, []string) {
	t.Helper()
	journal, entries, err := Open(t.Context(), store, zap.NewNop(), time.Unix(1, 0))
	require.NoError(t, err)
	var names []string
	for _, one := range entries {
		assert.Equal(t, fmt.Sprintf(`{"name":%q}`, one.Key[len("key/"):]), string(one.Bytes))
		names = append(names, one.Key[len("key/"):])
	}
	return journal, names
}

func commit(t *testing.T, journal *Journal, names ...string) {
	t.Helper()
	var entries []guest.Entry
	for _, name := range names {
		entries = append(entries, entry(name))
	}
	require.NoError(t, journal.Commit(t.Context(), entries))
}

func TestWhatWasCommittedIsReadInItsOrder(t *testing.T) {
	store := newStore()
	journal, names := open(t, store)
	assert.Empty(t, names)
	commit(t, journal, "a", "b")
	commit(t, journal)
	commit(t, journal, "c")
	_, names = open(t, store)
	assert.Equal(t, []string{"a", "b", "c"}, names)
}

// Scenario: the process is cut off after each possible number of writes, of commits and of a compaction.
// Guarantees: the next start has everything whose commit was answered, and what it reads is whole.
func TestACrashAtAnyWriteLosesNothing(t *testing.T) {
	for left := range 14 {
		store := newStore()
		journal, _ := open(t, store)
		commit(t, journal, "a")
		commit(t, journal, "b")
		store.left = left
		var answered []string
		for _, name := range []string{"c", "d"} {
			if journal.Commit(t.Context(), []guest.Entry{entry(name)}) == nil {
				answered = append(answered, name)
			}
		}
		// The state: c has taken the place of b.
		isCompacted := journal.Compact(t.Context(), []guest.Entry{entry("a"), entry("c"), entry("d")}) == nil
		store.left = -1

		again, names := open(t, store)
		for _, name := range answered {
			assert.Contains(t, names, name, "after %d writes", left)
		}
		assert.Contains(t, names, "a", "after %d writes", left)
		if !isCompacted {
			assert.Contains(t, names, "b", "after %d writes", left)
		}
		commit(t, again, "e")
		require.NoError(t, again.Compact(t.Context(), []guest.Entry{entry("a")}))
		_, names = open(t, store)
		assert.Equal(t, []string{"a"}, names, "after %d writes", left)
		assert.Len(t, store.content, 2, "after %d writes: an index and a record", left)
	}
}

func TestACommitThatFailsIsNotThereAfterTheNext(t *testing.T) {
	store := newStore()
	journal, _ := open(t, store)
	store.left = 1
	require.ErrorIs(t, journal.Commit(t.Context(), []guest.Entry{entry("a")}), errCut)
	store.left = -1
	commit(t, journal, "b")
	_, names := open(t, store)
	assert.Equal(t, []string{"b"}, names)
}

// Scenario: every byte of a record is damaged in turn.
// Guarantees: reading never fails whole, entries that it gives are as they were written, and those that are lost are told.
func TestDamageToAByteCostsOneEntryAtMostUnlessItIsALength(t *testing.T) {
	for at := range encodeRecord([]guest.Entry{entry("a"), entry("b"), entry("c")}) {
		store := newStore()
		journal, _ := open(t, store)
		commit(t, journal, "a", "b", "c")
		store.content["journal/1/0"][at] ^= 0x41
		journal, names := open(t, store)
		assert.Less(t, len(names), 3, "byte %d", at)
		assert.Len(t, journal.index.Unreadable, 1, "byte %d", at)
	}
}

func TestADamagedRecordIsKeptForAWeek(t *testing.T) {
	store := newStore()
	journal, _ := open(t, store)
	commit(t, journal, "a")
	whole := store.content["journal/1/0"]
	store.content["journal/1/0"] = whole[:len(whole)-1]
	journal, names := open(t, store)
	assert.Empty(t, names)
	commit(t, journal, "b")
	require.NoError(t, journal.Compact(t.Context(), []guest.Entry{entry("b")}))
	assert.Contains(t, store.content, "journal/1/0", "compaction keeps it")

	// Somebody repairs it.
	store.content["journal/1/0"] = whole
	_, names = open(t, store)
	assert.Equal(t, []string{"a", "b"}, names)

	store.content["journal/1/0"] = whole[:3]
	_, _, err := Open(t.Context(), store, zap.NewNop(), time.Unix(1, 0).Add(unreadableKept+time.Hour))
	require.NoError(t, err)
	assert.NotContains(t, store.content, "journal/1/0")
}

func TestAStorageThatDamagesEverythingIsRefused(t *testing.T) {
	store := newStore()
	journal, _ := open(t, store)
	for number := range unreadableMax + 1 {
		commit(t, journal, fmt.Sprint(number))
		delete(store.content, key(1, uint64(number)))
	}
	_, _, err := Open(t.Context(), store, zap.NewNop(), time.Unix(1, 0))
	assert.ErrorContains(t, err, "257 records of the journal are damaged")
}

func TestItIsLongWhenItHasGrownToTwiceItsState(t *testing.T) {
	store := newStore()
	journal, _ := open(t, store)
	long := string(make([]byte, 1024))
	for range appendedMin - 1 {
		require.NoError(t, journal.Commit(t.Context(), []guest.Entry{{Key: "k", Bytes: []byte(long)}}))
		require.False(t, journal.IsLong())
	}
	commit(t, journal, "a")
	assert.True(t, journal.IsLong())
	// A state as large as all of it: compaction pays only when as much has come again.
	state := make([]guest.Entry, 2000)
	for at := range state {
		state[at] = guest.Entry{Key: fmt.Sprint(at), Bytes: []byte(long)}
	}
	require.NoError(t, journal.Compact(t.Context(), state))
	assert.False(t, journal.IsLong())
	_, entries, err := Open(t.Context(), store, zap.NewNop(), time.Unix(1, 0))
	require.NoError(t, err)
	assert.Len(t, entries, len(state))
	assert.Contains(t, store.content, "journal/2/1", "a large state is several records")
}

func FuzzNoBytesOfARecordMakeItFail(f *testing.F) {
	f.Add(encodeRecord([]guest.Entry{entry("a"), entry("b")}))
	f.Add([]byte{recordFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 0, 0, 0, 0})
	f.Add([]byte{recordFormat, 0x80})
	f.Fuzz(func(t *testing.T, record []byte) {
		entries, damage := decodeRecord(record)
		if damage == nil && string(encodeRecord(entries)) != string(record) {
			// Lengths may be written in more bytes than they need.
			again, damage := decodeRecord(encodeRecord(entries))
			require.NoError(t, damage)
			require.Equal(t, entries, again)
		}
	})
}
