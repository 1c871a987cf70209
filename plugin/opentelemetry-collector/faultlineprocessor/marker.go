package faultlineprocessor

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
)

// marker hands batches to the annotator of an extension.
type marker struct {
	processor component.ID
	extension component.ID
	annotator marking.Annotator
}

func newMarker(settings processor.Settings, config component.Config) *marker {
	return &marker{processor: settings.ID, extension: config.(*Config).Extension}
}

// start finds the extension, which the Collector has started by now.
func (m *marker) start(_ context.Context, host component.Host) error {
	extension, isThere := host.GetExtensions()[m.extension]
	if !isThere {
		return fmt.Errorf("processor %s: there is no extension %s: configure it under extensions, and list it under service.extensions",
			m.processor, m.extension)
	}
	provider, isOurs := extension.(marking.Provider)
	if !isOurs {
		return fmt.Errorf("processor %s: extension %s does not own the plugin: name an extension of type faultline", m.processor,
			m.extension)
	}
	m.annotator = provider.Annotator()
	if m.annotator == nil {
		return fmt.Errorf("processor %s: extension %s was not started", m.processor, m.extension)
	}
	return nil
}

func (m *marker) traces(ctx context.Context, batch ptrace.Traces) (ptrace.Traces, error) {
	return m.annotator.Traces(ctx, batch), nil
}

func (m *marker) metrics(ctx context.Context, batch pmetric.Metrics) (pmetric.Metrics, error) {
	return m.annotator.Metrics(ctx, batch), nil
}

func (m *marker) logs(ctx context.Context, batch plog.Logs) (plog.Logs, error) {
	return m.annotator.Logs(ctx, batch), nil
}
