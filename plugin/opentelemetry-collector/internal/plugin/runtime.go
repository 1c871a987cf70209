// Package plugin is the plugin as the whole Collector sees it: several instances, one state for all signals and pipelines.
//
// What is committed stands on a board. An instance that is borrowed first merges what it lacks, so nothing waits for an
// instance that is busy, and what Merge has answered takes effect on every batch that begins afterwards. An instance that
// trapped, or ran past its deadline, is dropped; the next to borrow one gets a new one with the same state.
package plugin

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// Runtime is the plugin. Safe for concurrent use. It has no goroutines of its own.
type Runtime struct {
	settings  Settings
	board     *board
	pool      *pool
	interests [len(guest.Signals)]atomic.Pointer[Interest]
	// writing is held by whoever changes the board or asks for interest, so that the last answer is the newest.
	writing sync.Mutex
}

// New compiles the plugin and puts its configuration in force. Answers with warnings about the configuration.
//
// Errors: *guest.ConfigError with all faults of the configuration; a setting is out of bounds; the module is no plugin.
func New(ctx context.Context, settings Settings) (*Runtime, []guest.ConfigFault, error) {
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	engine, err := guest.NewEngine(ctx, settings.Module, guest.EngineSettings{
		Deadline:       settings.Deadline,
		MemoryMiB:      settings.MemoryMiB,
		CacheDirectory: settings.CacheDirectory,
	})
	if err != nil {
		return nil, nil, err
	}
	warnings, err := check(ctx, engine, settings)
	if err != nil {
		return nil, nil, errors.Join(err, engine.Close(ctx))
	}
	board := newBoard()
	runtime := &Runtime{settings: settings, board: board, pool: newPool(settings, engine, board)}
	runtime.writing.Lock()
	defer runtime.writing.Unlock()
	if err := runtime.pool.with(ctx, runtime.ask); err != nil {
		return nil, nil, errors.Join(err, runtime.pool.close(ctx))
	}
	return runtime, warnings, nil
}

// check gives the configuration to an instance that is used for nothing else.
func check(ctx context.Context, engine *guest.Engine, settings Settings) ([]guest.ConfigFault, error) {
	instance, err := engine.Instantiate()
	if err != nil {
		return nil, err
	}
	warnings, err := instance.Configure(settings.Config, settings.Name+"/0")
	return warnings, errors.Join(err, instance.Close(ctx))
}

// Close waits for calls under way, each of which has a deadline, and frees everything. Later calls fail with
// ErrUnavailable.
func (r *Runtime) Close(ctx context.Context) error { return r.pool.close(ctx) }

// === State ===

// Receive reads one webhook. It changes nothing: the entries of the receipt are to be committed, and then merged. Webhooks
// between Receive and Merge do not see each other; who wants duplicates to be noticed lets one wait for the other.
//
// Errors: the plugin failed, or there is no instance. Nothing was decided: the sender should try again.
func (r *Runtime) Receive(ctx context.Context, source string, webhook guest.Webhook) (guest.Receipt, error) {
	var receipt guest.Receipt
	err := r.pool.with(ctx, func(w *worker) (err error) {
		receipt, err = w.instance.Receive(source, &webhook, r.settings.Clock())
		return err
	})
	return receipt, err
}

// Merge takes committed entries into the state of all instances. When it returns, they take effect on every batch that
// begins afterwards.
//
// Errors: *guest.Refusal when the state would pass its bound; the plugin failed; there is no instance. Nothing has changed
// then.
func (r *Runtime) Merge(ctx context.Context, entries []guest.Entry) (guest.Merged, error) {
	if len(entries) == 0 {
		return guest.Merged{}, nil
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	merged, err := r.merge(ctx, entries)
	if errors.Is(err, guest.ErrTrapped) {
		// They are committed: a fault that passes should not keep them from taking effect.
		merged, err = r.merge(ctx, entries)
	}
	return merged, err
}

func (r *Runtime) merge(ctx context.Context, entries []guest.Entry) (guest.Merged, error) {
	var merged guest.Merged
	isCommitted := false
	err := r.pool.with(ctx, func(w *worker) (err error) {
		if merged, err = w.merge(entries, r.settings.Clock()); err != nil {
			return err
		}
		r.board.add(entries)
		isCommitted = true
		w.merged = int64(r.board.read().count())
		if err := r.ask(w); err != nil {
			return err
		}
		if r.board.read().wantsFolding() {
			return r.fold(w)
		}
		return nil
	})
	return r.answered(merged, isCommitted, err)
}

// answered is the answer of a merge. One that took effect is no failure, whatever the instance failed in afterwards: that
// was reported, and is left to the next, which the next batch asks what it would mark.
func (r *Runtime) answered(merged guest.Merged, isCommitted bool, err error) (guest.Merged, error) {
	var refused *guest.Refusal
	switch {
	case isCommitted && err != nil:
		for _, signal := range guest.Signals {
			r.interests[signal].Store(r.interests[signal].Load().outlived())
		}
		return merged, nil
	case isCommitted:
		return merged, nil
	case errors.As(err, &refused):
		return guest.Merged{}, refused
	default:
		return guest.Merged{}, err
	}
}

// fold puts the state in the place of the entries that it is made of, so that the board stays small.
func (r *Runtime) fold(w *worker) error {
	state, err := w.instance.State(guest.All)
	if err == nil {
		r.board.fold(state, uint64(w.merged))
	}
	return err
}

// ReplaceState puts another state in the place of all that is known: a spoke holds what its hub said last, and no more.
// Until it returns, and when it fails, what was known before is marked.
//
// Errors: as for Merge.
func (r *Runtime) ReplaceState(ctx context.Context, entries []guest.Entry) (guest.Merged, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	next := &committed{generation: r.board.read().generation + 1}
	var merged guest.Merged
	isCommitted := false
	err := r.pool.withState(ctx, func() *committed { return next }, func(w *worker) (err error) {
		if merged, err = w.merge(entries, r.settings.Clock()); err != nil {
			// It may have taken a part.
			w.generation = outdated
			return err
		}
		r.board.replace(next.generation, entries)
		isCommitted = true
		return r.ask(w)
	})
	return r.answered(merged, isCommitted, err)
}

// ClearState forgets every incident. Nothing is marked any more, whatever becomes of the plugin.
func (r *Runtime) ClearState(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.board.replace(r.board.read().generation+1, nil)
	now := r.settings.Clock()
	for _, signal := range guest.Signals {
		r.interests[signal].Store(newInterest(guest.Affected{}, now))
	}
	return r.pool.with(ctx, r.ask)
}

// Expire reports leases that ran out. It changes nothing: its entries are to be committed and merged.
func (r *Runtime) Expire(ctx context.Context) (guest.Expiry, error) {
	var expiry guest.Expiry
	err := r.pool.with(ctx, func(w *worker) (err error) {
		expiry, err = w.instance.Expire(r.settings.Clock())
		return err
	})
	return expiry, err
}

// State is the state as entries, sorted by key.
func (r *Runtime) State(ctx context.Context, extent guest.Extent) ([]guest.Entry, error) {
	var entries []guest.Entry
	err := r.pool.with(ctx, func(w *worker) (err error) {
		entries, err = w.instance.State(extent)
		return err
	})
	return entries, err
}

// Open is the incidents that are open, in the order in which they come first on an item.
func (r *Runtime) Open(ctx context.Context) ([]guest.Incident, error) {
	var open []guest.Incident
	err := r.pool.with(ctx, func(w *worker) (err error) {
		open, err = w.instance.Open(r.settings.Clock())
		return err
	})
	return open, err
}

// Find is one incident by any of its names.
//
// Errors: *guest.Refusal when there is none, or several; otherwise as for Receive.
func (r *Runtime) Find(ctx context.Context, name string) (guest.Incident, error) {
	var incident guest.Incident
	err := r.pool.with(ctx, func(w *worker) (err error) {
		incident, err = w.instance.Find(name, r.settings.Clock())
		return err
	})
	return incident, err
}

// Explain tells for each known incident whether and why it marks an item.
func (r *Runtime) Explain(ctx context.Context, asked guest.Asked) ([]guest.Explanation, error) {
	var explanations []guest.Explanation
	err := r.pool.with(ctx, func(w *worker) (err error) {
		explanations, err = w.instance.Explain(asked, r.settings.Clock())
		return err
	})
	return explanations, err
}

// === Telemetry ===

// Interest is what Marks would mark of a signal. It is asked for after every change of the state, and by whoever finds the
// answer a second old; others meanwhile go by that.
func (r *Runtime) Interest(ctx context.Context, signal guest.Signal) *Interest {
	interest := r.interests[signal].Load()
	if interest.holdsAt(r.settings.Clock()) || !r.writing.TryLock() {
		return interest
	}
	defer r.writing.Unlock()
	if err := r.pool.with(ctx, r.ask); err != nil {
		r.settings.Logger.Debug("The plugin did not say what it would mark; its last answer goes on", zap.Error(err))
	}
	return r.interests[signal].Load()
}

// ask publishes what one instance, which knows the board, would mark.
func (r *Runtime) ask(w *worker) error {
	now := r.settings.Clock()
	for _, signal := range guest.Signals {
		affected, err := w.instance.Interest(signal, now)
		if err != nil {
			return err
		}
		r.interests[signal].Store(newInterest(affected, now))
	}
	return nil
}

// Marks asks what the items of a batch get: the protobuf encoding of an export request. The answer replaces what is in
// into.
//
// Errors: *guest.Refusal when the batch cannot be read; the plugin failed; there is no instance. Batches then go on as
// they are.
func (r *Runtime) Marks(ctx context.Context, signal guest.Signal, batch []byte, into *guest.ItemMarks) error {
	return r.pool.with(ctx, func(w *worker) error {
		return w.instance.Marks(signal, batch, r.settings.Clock(), into)
	})
}

// Gaps is what the configuration leaves out, as far as instances that are not busy have seen telemetry.
func (r *Runtime) Gaps(ctx context.Context) ([]guest.Gap, error) {
	var gaps []guest.Gap
	err := r.pool.visit(ctx, func(w *worker) error {
		found, err := w.instance.Gaps(r.settings.Clock())
		gaps = append(gaps, found...)
		return err
	})
	return joined(gaps), err
}

// Counters is the sums over all instances, those included that are gone. Of one that is busy it is what it had counted when
// it was last asked, and so is of one that trapped.
func (r *Runtime) Counters(ctx context.Context) []guest.Counter {
	_ = r.pool.visit(ctx, func(w *worker) error {
		counters, err := w.instance.Counters()
		if err == nil {
			r.pool.mutex.Lock()
			w.counters = counters
			r.pool.mutex.Unlock()
		}
		return err
	})
	return r.pool.counted()
}
