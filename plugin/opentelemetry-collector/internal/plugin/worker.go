package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// worker is one instance, and what it knows. Who has borrowed it alone may call it.
type worker struct {
	instance   *guest.Instance
	generation uint64
	// merged is how many groups of the board it has.
	merged int64
	// counters is what it had counted when it was last asked.
	counters []guest.Counter
}

// mergedAtOnce is how many entries one call of merge is given: a whole state at once would need a deadline of its own.
const mergedAtOnce = 2000

// newWorker makes an instance and configures it. The configuration was accepted before.
func newWorker(
	ctx context.Context, engine *guest.Engine, settings Settings, name string, generation uint64,
) (*worker, error) {
	instance, err := engine.Instantiate()
	if err != nil {
		return nil, err
	}
	_, err = instance.Configure(settings.Config, name)
	if err == nil {
		// An instance that was never asked takes every batch for a usual one, and looks only into a few for services; those
		// that come here are already few.
		_, err = instance.Interest(guest.Traces, settings.Clock())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot configure an instance of the plugin: %w", err), instance.Close(ctx))
	}
	return &worker{instance: instance, generation: generation, merged: notMerged}, nil
}

// catchUp gives the instance what it lacks of the board.
func (w *worker) catchUp(committed *committed, now time.Time) error {
	count := int64(committed.count())
	// More, when another batch has borrowed it since this one looked at the board.
	if w.merged >= count {
		return nil
	}
	for _, group := range committed.since(w.merged) {
		if _, err := w.merge(group, now); err != nil {
			return fmt.Errorf("an instance of the plugin does not take the state that another one took: %w", err)
		}
	}
	w.merged = count
	return nil
}

// merge gives entries to the instance. An instance that took a part of what it then refused knows more than the others, and
// is to be dropped.
func (w *worker) merge(entries []guest.Entry, now time.Time) (guest.Merged, error) {
	var all guest.Merged
	for part := range slices.Chunk(entries, mergedAtOnce) {
		merged, err := w.instance.Merge(part, now)
		if err != nil {
			if len(entries) > mergedAtOnce {
				w.generation = outdated
			}
			return all, err
		}
		all.Changed += merged.Changed
		all.SetAside = append(all.SetAside, merged.SetAside...)
	}
	return all, nil
}
