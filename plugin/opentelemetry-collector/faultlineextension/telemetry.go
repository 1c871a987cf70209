package faultlineextension

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// Restarted counts instances of the plugin that were replaced; see [plugin.Telemetry].
func (e *faultline) Restarted(reason string) {
	e.telemetry.ExtensionFaultlineRestarts.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
}

// series is one of the gauge of open incidents.
type series struct{ source, severity string }

// observe has the gauge of open incidents asked for whenever metrics are read.
func (e *faultline) observe() error {
	// Metrics may still be read while the extension ends; the plugin then says that it is closed.
	marks := e.marks
	var mutex sync.Mutex
	// Those that were there once, to say 0 of them from then on. There are no more than sources times severities.
	known := map[series]int64{}
	return e.telemetry.RegisterExtensionFaultlineIncidentsActiveCallback(func(ctx context.Context, observer metric.Int64Observer) error {
		open, err := marks.Open(ctx)
		if err != nil {
			e.settings.Logger.Debug("the plugin does not tell which incidents are open", zap.Error(err))
			return err
		}
		mutex.Lock()
		defer mutex.Unlock()
		for one := range known {
			known[one] = 0
		}
		for _, incident := range open {
			known[series{incident.Source, incident.Severity}]++
		}
		for one, count := range known {
			observer.Observe(count, metric.WithAttributes(
				attribute.String("source", one.source), attribute.String("severity", one.severity)))
		}
		return nil
	})
}
