package faultlineextension

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadata"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/journal"
)

// intake alone decides about incidents, one webhook after the other, so that each sees what those before it did: it is
// received, committed, merged, and then answered.
type intake struct {
	// turn holds one token: whoever has it decides.
	turn chan struct{}
	// waiting counts those who want it.
	waiting atomic.Int64
	// decides is the plugin that webhooks go to; marks the one that telemetry goes to. They differ while a hub is followed
	// beside: what the hub says must not come into the journal.
	decides, marks *guarded
	journal        *journal.Journal
	// setAside are committed entries that the plugin did not take because a clock is wrong, by key.
	setAside  map[string]guest.Entry
	telemetry *metadata.TelemetryBuilder
	logger    *zap.Logger
}

const (
	// waitingMax is how many webhooks wait at a time; a sender beyond is told to come again.
	waitingMax = 1024
	// decideTimeout is how long one waits and takes in all. A sender that waits longer has given up.
	decideTimeout = 25 * time.Second
	// mergedAtOnce is how many entries one call gives to the plugin, so that its timeout is for a bounded task.
	mergedAtOnce = 2000
	// setAsideMax bounds what waits for a clock to be right. Beyond it entries are forgotten at the next compaction.
	setAsideMax = 10_000
)

func newIntake(decides, marks *guarded, kept *journal.Journal, telemetry *metadata.TelemetryBuilder, logger *zap.Logger) *intake {
	return &intake{
		turn:      make(chan struct{}, 1),
		decides:   decides,
		marks:     marks,
		journal:   kept,
		setAside:  map[string]guest.Entry{},
		telemetry: telemetry,
		logger:    logger,
	}
}

// take waits for the turn; it tells whether it was had. Whoever has it gives it back.
func (i *intake) take(ctx context.Context) bool {
	select {
	case i.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (i *intake) giveBack() { <-i.turn }

// receive takes one webhook in. What it answers with 2xx is durable and in force.
func (i *intake) receive(ctx context.Context, source string, webhook guest.Webhook) answer {
	if i.waiting.Add(1) > waitingMax {
		i.waiting.Add(-1)
		return unavailable("too many webhooks wait")
	}
	defer i.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	if !i.take(ctx) {
		return unavailable("too many webhooks wait")
	}
	defer i.giveBack()
	// From here on a sender that goes away changes nothing: half a commit helps nobody.
	ctx = context.WithoutCancel(ctx)

	receipt, err := i.decides.Receive(ctx, source, webhook)
	if err != nil {
		i.logger.Error("the plugin failed on a webhook; its sender got 503", zap.String("source", source), zap.Error(err))
		return unavailable("the plugin failed")
	}
	if err := i.commit(ctx, receipt.Entries); err != nil {
		i.logger.Error("a webhook could not be stored, or not put in force; its sender got 503", zap.String("source", source), zap.Error(err))
		return unavailable("storage failed")
	}
	i.tell(ctx, receipt.Transitions)
	if receipt.Status >= 400 {
		i.logger.Warn("a webhook was refused", zap.String("source", source),
			zap.Uint16("status", receipt.Status), zap.String("answer", receipt.Body))
	}
	return ofReceipt(receipt)
}

// expire reports leases that ran out, once each.
func (i *intake) expire(ctx context.Context) []guest.Transition {
	if !i.take(ctx) {
		return nil
	}
	defer i.giveBack()
	expiry, err := i.decides.Expire(ctx)
	if err != nil {
		i.logger.Error("the plugin does not tell which leases ran out", zap.Error(err))
		return nil
	}
	if err := i.commit(ctx, expiry.Entries); err != nil {
		i.logger.Error("leases that ran out could not be reported; it is tried again", zap.Error(err))
		return nil
	}
	i.tell(ctx, expiry.Transitions)
	return expiry.Transitions
}

// commit makes entries durable, and then puts them in force.
func (i *intake) commit(ctx context.Context, entries []guest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := i.journal.Commit(ctx, entries); err != nil {
		i.telemetry.ExtensionFaultlineStorageFailures.Add(ctx, 1)
		return err
	}
	return i.merge(ctx, entries)
}

// merge puts committed entries in force.
func (i *intake) merge(ctx context.Context, entries []guest.Entry) error {
	for len(entries) > 0 {
		part := entries[:min(len(entries), mergedAtOnce)]
		entries = entries[len(part):]
		merged, err := i.decides.Merge(ctx, part)
		if err != nil {
			return fmt.Errorf("the plugin does not take what is in the journal: %w", err)
		}
		i.noteSetAside(part, merged.SetAside)
		if i.marks != i.decides {
			if _, err := i.marks.Merge(ctx, part); err != nil {
				return fmt.Errorf("the plugin does not take what is in the journal: %w", err)
			}
		}
	}
	return nil
}

func (i *intake) noteSetAside(entries []guest.Entry, keys []string) {
	for _, key := range keys {
		i.logger.Warn("an entry was received more than an hour from now and is not used: a clock is wrong", zap.String("key", key))
		for _, entry := range entries {
			if entry.Key == key && len(i.setAside) < setAsideMax {
				i.setAside[key] = entry
			}
		}
	}
}

// compact lets the journal forget what the state no longer needs, once that is much.
func (i *intake) compact(ctx context.Context) {
	if !i.take(ctx) {
		return
	}
	defer i.giveBack()
	if !i.journal.IsLong() {
		return
	}
	state, err := i.decides.State(ctx, guest.All)
	if err == nil {
		for _, entry := range i.setAside {
			state = append(state, entry)
		}
		err = i.journal.Compact(ctx, state)
	}
	if err != nil {
		i.logger.Warn("the journal was not compacted", zap.Error(err))
	}
}

// tell logs each transition, in one line, and counts it.
func (i *intake) tell(ctx context.Context, transitions []guest.Transition) {
	for _, transition := range transitions {
		from := "new"
		if transition.From != nil {
			from = *transition.From
		}
		fields := []zap.Field{
			zap.String("incident", transition.Incident),
			zap.String("kind", transition.Kind),
			zap.String("from", from),
			zap.String("to", transition.To),
			zap.Time("at", time.Unix(0, int64(transition.At)).UTC()),
			zap.String("services", strings.Join(transition.Services, ", ")),
			zap.String("reason", transition.Reason),
		}
		source := attribute.String("source", transition.Source)
		i.telemetry.ExtensionFaultlineTransitions.Add(ctx, 1,
			metric.WithAttributes(source, attribute.String("kind", transition.Kind)))
		if transition.Kind == "expired" {
			i.telemetry.ExtensionFaultlineLeaseExpiries.Add(ctx, 1, metric.WithAttributes(source))
			i.logger.Warn("incident", fields...)
			continue
		}
		i.logger.Info("incident", fields...)
	}
}
