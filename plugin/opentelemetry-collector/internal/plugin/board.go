package plugin

import (
	"slices"
	"sync/atomic"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// board is where the committed state stands, for instances to read before each call. What stands there is never changed,
// only replaced as a whole, so reading takes no lock. Whoever writes holds the lock of the runtime.
type board struct {
	current atomic.Pointer[committed]
}

// committed is what every instance is to know.
type committed struct {
	// generation grows when the state was replaced: no merge makes an instance forget, so older ones are of no use.
	generation uint64
	// base is the whole state after the first folded groups.
	base   []guest.Entry
	folded uint64
	// tail is the groups since then, in order.
	tail [][]guest.Entry
}

const (
	// slackEntries: a tail is folded into the base when it has so many entries more than the base, or …
	slackEntries = 4096
	// groupsMax: … so many groups.
	groupsMax = 1024
	// groupsKept stay in the tail when it is folded, for instances that are only a little behind.
	groupsKept = 64
)

// outdated is a generation before all others.
const outdated = 0

func newBoard() *board {
	b := &board{}
	b.current.Store(&committed{generation: outdated + 1})
	return b
}

func (b *board) read() *committed { return b.current.Load() }

// add adds a group of committed entries.
func (b *board) add(entries []guest.Entry) {
	next := *b.read()
	// Readers hold the slice before; what lies behind its end is not theirs.
	next.tail = append(next.tail, entries)
	b.current.Store(&next)
}

// replace puts another state in the place of everything.
func (b *board) replace(generation uint64, entries []guest.Entry) {
	b.current.Store(&committed{generation: generation, base: entries})
}

// fold puts a state, which holds the first count groups, in the place of most of them.
func (b *board) fold(state []guest.Entry, count uint64) {
	now := b.read()
	next := &committed{generation: now.generation, base: state, folded: now.folded, tail: now.tail}
	if count > now.folded+groupsKept {
		next.folded = count - groupsKept
		next.tail = slices.Clone(now.tail[next.folded-now.folded:])
	}
	b.current.Store(next)
}

// count is how many groups there have been in this generation.
func (c *committed) count() uint64 { return c.folded + uint64(len(c.tail)) }

// wantsFolding is whether so much was added that it should be folded.
func (c *committed) wantsFolding() bool {
	entries := 0
	for _, group := range c.tail {
		entries += len(group)
	}
	return len(c.tail) > groupsMax || entries > len(c.base)+slackEntries
}

// since is what an instance still lacks that has merged the first merged groups; notMerged: it is new. One that is far
// behind gets the base, which holds more than it lacks: merging twice is merging once.
func (c *committed) since(merged int64) [][]guest.Entry {
	if behind := merged - int64(c.folded); merged != notMerged && behind >= 0 {
		return c.tail[behind:]
	}
	return append([][]guest.Entry{c.base}, c.tail...)
}

// notMerged is what an instance has merged that is new.
const notMerged = -1
