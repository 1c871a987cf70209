package faultlineextension

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadata"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/annotate"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// itemCounters counts what becomes of spans, log records and data points. Received is called for every batch, so what can
// be made beforehand is.
type itemCounters struct {
	telemetry *metadata.TelemetryBuilder
	// options are the attributes of each signal.
	options [len(guest.Signals)][]metric.AddOption
}

var _ annotate.Telemetry = (*itemCounters)(nil)

func newItemCounters(telemetry *metadata.TelemetryBuilder) *itemCounters {
	counters := &itemCounters{telemetry: telemetry}
	for _, signal := range guest.Signals {
		attributes := attribute.NewSet(attribute.String("signal", signal.String()))
		counters.options[signal] = []metric.AddOption{metric.WithAttributeSet(attributes)}
	}
	return counters
}

// Received implements [annotate.Telemetry].
func (c *itemCounters) Received(ctx context.Context, signal guest.Signal, items int) {
	c.telemetry.ExtensionFaultlineItemsReceived.Add(ctx, int64(items), c.options[signal]...)
}

// Marked implements [annotate.Telemetry].
func (c *itemCounters) Marked(ctx context.Context, signal guest.Signal, items int) {
	c.telemetry.ExtensionFaultlineItemsMarked.Add(ctx, int64(items), c.options[signal]...)
}

// Held implements [annotate.Telemetry].
func (c *itemCounters) Held(ctx context.Context, signal guest.Signal, items int, reason string) {
	c.telemetry.ExtensionFaultlineItemsHeld.Add(ctx, int64(items), metric.WithAttributes(
		attribute.String("signal", signal.String()), attribute.String("reason", reason)))
}

// Refused implements [annotate.Telemetry].
func (c *itemCounters) Refused(ctx context.Context, signal guest.Signal, items int) {
	c.telemetry.ExtensionFaultlineItemsRefused.Add(ctx, int64(items), c.options[signal]...)
}
