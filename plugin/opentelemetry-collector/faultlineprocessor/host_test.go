package faultlineprocessor

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
)

// hostWithAnnotator is a Collector whose extension marks nothing.
type hostWithAnnotator struct{}

func newHostWithAnnotator() component.Host { return hostWithAnnotator{} }

func (hostWithAnnotator) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{defaultExtension: idle{}}
}

// idle is an extension, and an annotator that hands on what it is given.
type idle struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ marking.Provider = idle{}

func (i idle) Annotator() marking.Annotator { return i }

func (idle) Traces(_ context.Context, batch ptrace.Traces) ptrace.Traces { return batch }

func (idle) Metrics(_ context.Context, batch pmetric.Metrics) pmetric.Metrics { return batch }

func (idle) Logs(_ context.Context, batch plog.Logs) plog.Logs { return batch }
