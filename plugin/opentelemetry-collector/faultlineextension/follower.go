package faultlineextension

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/spoke"
)

// hubClock is the clock that incidents are judged by. With a hub it is the hub's: leases, and whether an entry comes from
// the future, are told by the clock of whoever received the webhooks. The times of spans and records are their own, and
// compared with those of incidents as they came.
type hubClock struct {
	clock func() time.Time
	// ahead is by how many nanoseconds the hub's clock is ahead of this machine's.
	ahead atomic.Int64
}

func (c *hubClock) now() time.Time {
	return c.clock().Add(time.Duration(c.ahead.Load()))
}

// follower puts in force what the hub says.
type follower struct{ *faultline }

var _ spoke.Follower = follower{}

func (e *faultline) startSpoke(ctx context.Context, host component.Host) error {
	config := e.config.Hub.Get()
	client, err := config.ToClient(ctx, host.GetExtensions(), e.settings)
	if err != nil {
		return fmt.Errorf("extensions::%s::hub: %w", e.id, err)
	}
	e.spoke = spoke.Start(spoke.Settings{
		Endpoint: config.Endpoint,
		Token:    string(config.Token),
		Client:   client,
		Interval: config.Interval,
		Follower: follower{e},
		Logger:   e.settings.Logger,
	})
	return nil
}

// SetAhead implements [spoke.Follower].
func (f follower) SetAhead(ahead time.Duration) {
	f.clock.ahead.Store(int64(ahead))
}

// Apply implements [spoke.Follower].
func (f follower) Apply(ctx context.Context, state spoke.State) error {
	takesWebhooks := f.config.takesWebhooks()
	settings, err := f.config.document().withHub(state.Configuration, takesWebhooks)
	if err != nil {
		return err
	}
	entries := state.Entries
	if takesWebhooks {
		own, giveBack, err := f.own(ctx)
		if err != nil {
			return err
		}
		defer giveBack()
		entries = append(own, entries...)
	}
	if err := f.marks.hold(ctx, settings, entries); err != nil {
		return fmt.Errorf("the plugin does not take what the hub says: %w", err)
	}
	f.settings.Logger.Debug("the hub's state is in force", zap.Int("entries", len(state.Entries)))
	return nil
}

// Drop implements [spoke.Follower].
func (f follower) Drop(ctx context.Context) {
	f.telemetry.ExtensionFaultlineHubLapses.Add(ctx, 1)
	var entries []guest.Entry
	if f.config.takesWebhooks() {
		own, giveBack, err := f.own(ctx)
		if err != nil {
			// What came by webhook is marked again when the hub is back; what the hub said must not be marked.
			f.settings.Logger.Error("the plugin does not tell what came by webhook", zap.Error(err))
		} else {
			defer giveBack()
			entries = own
		}
	}
	// Its configuration stays: without incidents it marks nothing, and it is most likely that of the next answer too.
	if err := f.marks.holdState(ctx, entries); err != nil {
		f.settings.Logger.Error("what the hub said last cannot be forgotten", zap.Error(err))
	}
}

// own is what came by webhook, and is not to change until giveBack is called.
func (f follower) own(ctx context.Context) (entries []guest.Entry, giveBack func(), err error) {
	if !f.intake.take(ctx) {
		return nil, nil, ctx.Err()
	}
	entries, err = f.decides.State(ctx, guest.All)
	if err != nil {
		f.intake.giveBack()
		return nil, nil, err
	}
	return entries, f.intake.giveBack, nil
}

// Polled implements [spoke.Follower].
func (f follower) Polled(ctx context.Context, result spoke.Result) {
	f.telemetry.ExtensionFaultlineHubPolls.Add(ctx, 1, metric.WithAttributes(attribute.String("result", string(result))))
}
