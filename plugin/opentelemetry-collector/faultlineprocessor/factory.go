// Package faultlineprocessor marks traces, logs and metrics with the incidents that are open. What it marks, and with what,
// is the business of the extension that it names.
package faultlineprocessor

//go:generate go tool -modfile=../internal/tools/go.mod mdatagen metadata.yaml

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineprocessor/internal/metadata"
)

// NewFactory makes the factory of the processor.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		metadata.Type,
		createDefaultConfig,
		processor.WithTraces(createTraces, metadata.TracesStability),
		processor.WithMetrics(createMetrics, metadata.MetricsStability),
		processor.WithLogs(createLogs, metadata.LogsStability),
	)
}

// capabilities: batches that several pipelines share are not cloned for this processor, which mostly changes nothing. It
// makes a copy itself of a shared batch in which something is to be marked.
var capabilities = consumer.Capabilities{MutatesData: false}

func options(marker *marker) []processorhelper.Option {
	return []processorhelper.Option{
		processorhelper.WithCapabilities(capabilities),
		processorhelper.WithStart(marker.start),
	}
}

func createTraces(
	ctx context.Context, settings processor.Settings, config component.Config, next consumer.Traces,
) (processor.Traces, error) {
	marker := newMarker(settings, config)
	return processorhelper.NewTraces(ctx, settings, config, next, marker.traces, options(marker)...)
}

func createMetrics(
	ctx context.Context, settings processor.Settings, config component.Config, next consumer.Metrics,
) (processor.Metrics, error) {
	marker := newMarker(settings, config)
	return processorhelper.NewMetrics(ctx, settings, config, next, marker.metrics, options(marker)...)
}

func createLogs(
	ctx context.Context, settings processor.Settings, config component.Config, next consumer.Logs,
) (processor.Logs, error) {
	marker := newMarker(settings, config)
	return processorhelper.NewLogs(ctx, settings, config, next, marker.logs, options(marker)...)
}
