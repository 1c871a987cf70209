// Package faultlineextension hears of incidents, by webhook or from a hub, and owns the plugin that marks telemetry. The
// processor in faultlineprocessor puts telemetry through it.
package faultlineextension

//go:generate go tool -modfile=../internal/tools/go.mod mdatagen metadata.yaml

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadata"
)

// NewFactory makes the factory of the extension.
func NewFactory() extension.Factory {
	return newFactory(time.Now)
}

// newFactory lets tests bring a clock of their own. What is measured, such as the hub's time to live, stays on the real one.
func newFactory(clock func() time.Time) extension.Factory {
	create := func(_ context.Context, settings extension.Settings, config component.Config) (extension.Extension, error) {
		return newFaultline(settings, config.(*Config), clock)
	}
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}
