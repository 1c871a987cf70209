package faultlineextension

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/annotate"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
)

// guarded is the plugin with a configuration that can be replaced while telemetry passes: a hub's configuration may change.
type guarded struct {
	extension *faultline
	// mutex is held for reading by every call, so that none finds its plugin closed.
	mutex     sync.RWMutex
	config    string
	runtime   *plugin.Runtime
	annotator marking.Annotator
}

var _ marking.Annotator = (*guarded)(nil)

func newGuarded(ctx context.Context, extension *faultline, settings document) (*guarded, error) {
	made := &guarded{extension: extension}
	config, err := settings.json()
	if err != nil {
		return nil, err
	}
	return made, made.replace(ctx, config, nil)
}

// replace puts another configuration and another state in force.
func (g *guarded) replace(ctx context.Context, config string, state []guest.Entry) error {
	runtime, err := g.extension.newRuntime(ctx, config)
	if err != nil {
		return err
	}
	if len(state) > 0 {
		if _, err := runtime.ReplaceState(ctx, state); err != nil {
			return errors.Join(err, runtime.Close(ctx))
		}
	}
	annotator := annotate.New(runtime, newItemCounters(g.extension.telemetry))
	g.mutex.Lock()
	before := g.runtime
	g.config, g.runtime, g.annotator = config, runtime, annotator
	g.mutex.Unlock()
	if before == nil {
		return nil
	}
	return before.Close(ctx)
}

// hold puts a state in force, with the configuration that belongs to it.
func (g *guarded) hold(ctx context.Context, settings document, state []guest.Entry) error {
	config, err := settings.json()
	if err != nil {
		return err
	}
	// Only whoever holds states changes it, and that is one goroutine.
	if config != g.config {
		return g.replace(ctx, config, state)
	}
	return g.holdState(ctx, state)
}

// holdState puts a state in force, and leaves the configuration as it is.
func (g *guarded) holdState(ctx context.Context, state []guest.Entry) error {
	_, err := g.runtime.ReplaceState(ctx, state)
	return err
}

func (g *guarded) close(ctx context.Context) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.runtime == nil {
		return nil
	}
	return g.runtime.Close(ctx)
}

// newRuntime compiles the plugin, and says what is wrong with its configuration by the Collector's key paths.
func (e *faultline) newRuntime(ctx context.Context, config string) (*plugin.Runtime, error) {
	runtime, warnings, err := plugin.New(ctx, plugin.Settings{
		Config:         config,
		Name:           instanceName(e.id),
		Deadline:       e.config.Timeout,
		MemoryMiB:      e.config.MemoryLimitMiB,
		CacheDirectory: e.config.CacheDir,
		Instances:      e.config.Instances,
		Clock:          e.clock.now,
		Logger:         e.settings.Logger,
		Telemetry:      e,
	})
	path := fmt.Sprintf("extensions::%s::", e.id)
	if err != nil {
		return nil, withKeyPaths(path, err)
	}
	for _, warning := range warnings {
		e.settings.Logger.Warn("a part of the configuration is probably not meant", zap.String("warning", describe(path, warning)))
	}
	return runtime, nil
}

// withKeyPaths writes the faults of a configuration as the Collector writes its keys; other errors stay as they are.
func withKeyPaths(path string, err error) error {
	var refused *guest.ConfigError
	if !errors.As(err, &refused) {
		return err
	}
	faults := make([]error, 0, len(refused.Faults))
	for _, fault := range refused.Faults {
		faults = append(faults, errors.New(describe(path, fault)))
	}
	return errors.Join(faults...)
}

// instanceName tells the instances of one plugin from all others, here and in other processes.
func instanceName(id component.ID) string {
	return id.String() + "-" + rand.Text()
}

// Traces marks a batch; see [marking.Annotator].
func (g *guarded) Traces(ctx context.Context, batch ptrace.Traces) ptrace.Traces {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.annotator.Traces(ctx, batch)
}

// Metrics marks a batch; see [marking.Annotator].
func (g *guarded) Metrics(ctx context.Context, batch pmetric.Metrics) pmetric.Metrics {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.annotator.Metrics(ctx, batch)
}

// Logs marks a batch; see [marking.Annotator].
func (g *guarded) Logs(ctx context.Context, batch plog.Logs) plog.Logs {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.annotator.Logs(ctx, batch)
}

// Receive is that of [plugin.Runtime], as are the functions below.
func (g *guarded) Receive(ctx context.Context, source string, webhook guest.Webhook) (guest.Receipt, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.runtime.Receive(ctx, source, webhook)
}

func (g *guarded) Merge(ctx context.Context, entries []guest.Entry) (guest.Merged, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.runtime.Merge(ctx, entries)
}

func (g *guarded) Expire(ctx context.Context) (guest.Expiry, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.runtime.Expire(ctx)
}

func (g *guarded) State(ctx context.Context, extent guest.Extent) ([]guest.Entry, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.runtime.State(ctx, extent)
}

func (g *guarded) Open(ctx context.Context) ([]guest.Incident, error) {
	g.mutex.RLock()
	defer g.mutex.RUnlock()
	return g.runtime.Open(ctx)
}
