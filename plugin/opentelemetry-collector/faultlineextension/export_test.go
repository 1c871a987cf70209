package faultlineextension

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/extension"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// NewFactoryWithClock is NewFactory with a clock of the test.
func NewFactoryWithClock(clock func() time.Time) extension.Factory { return newFactory(clock) }

// Expire looks at leases now, and not in some seconds.
func Expire(ctx context.Context, of extension.Extension) []guest.Transition {
	return of.(*faultline).intake.expire(ctx)
}

// Compact compacts the journal now, if it is long.
func Compact(ctx context.Context, of extension.Extension) { of.(*faultline).intake.compact(ctx) }

// Open lists open incidents, as the plugin that marks knows them.
func Open(ctx context.Context, of extension.Extension) ([]guest.Incident, error) {
	return of.(*faultline).marks.Open(ctx)
}

// PluginJSON is the configuration of the plugin, with its secrets.
func PluginJSON(config *Config) string {
	text, err := config.document().json()
	if err != nil {
		panic(err)
	}
	return text
}

// TakesWebhooks tells whether there is to be a listener.
func TakesWebhooks(config *Config) bool { return config.takesWebhooks() }

// Incidents are what a hub tells its spokes of.
func Incidents(ctx context.Context, of extension.Extension) ([]guest.Entry, error) {
	return of.(*faultline).marks.State(ctx, guest.IncidentsOnly)
}
