package faultlineextension_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineprocessor"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// collector is what the builder makes of our parts, as far as they see of it: the extension, a storage extension, and a
// processor of each signal before a sink. It can be stopped and started again.
type collector struct {
	settings  map[string]any
	address   string
	clock     *virtualClock
	storage   *memoryStorage
	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
	core      zapcore.Core
	// around are further extensions of the host; missing is one that is configured and is not there.
	around  host
	missing *component.ID

	extension extension.Extension
	traces    processor.Traces
	metrics   processor.Metrics
	records   processor.Logs
	// One sink for each start: what was taken before is not there.
	tracesSink  *consumertest.TracesSink
	metricsSink *consumertest.MetricsSink
	logsSink    *consumertest.LogsSink
}

// host is the Collector around.
type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

var (
	extensionID = component.MustNewID("faultline")
	storageID   = component.MustNewID("memory_storage")
	// client keeps no connection, so that nothing of it is left when goroutines are counted.
	client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
)

// newCollector is one with the keys of faultline.yaml, or further ones of the extension. It is stopped with the test.
func newCollector(t *testing.T, settings map[string]any) *collector {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	made := &collector{
		settings:  settings,
		address:   freeAddress(t),
		clock:     &virtualClock{},
		storage:   newMemoryStorage(),
		telemetry: componenttest.NewTelemetry(),
		logs:      logs,
		core:      core,
	}
	t.Cleanup(func() {
		made.stop(t)
		require.NoError(t, made.telemetry.Shutdown(context.Background()))
	})
	return made
}

// start starts it; the extension first, as the Collector does.
func (c *collector) start(t *testing.T) {
	t.Helper()
	require.NoError(t, c.tryStart(t))
}

func (c *collector) tryStart(t *testing.T) error {
	t.Helper()
	factory := faultlineextension.NewFactoryWithClock(c.clock.now)
	config := factory.CreateDefaultConfig().(*faultlineextension.Config)
	require.NoError(t, confmap.NewFromStringMap(c.settings).Unmarshal(config))
	if _, ok := c.settings["hub"]; !ok || c.settings["webhooks"] != nil {
		config.Webhooks.GetOrInsertDefault().NetAddr.Endpoint = c.address
	}
	if c.storage != nil {
		config.Storage = &storageID
	}
	if err := confmap.Validate(config); err != nil {
		return err
	}
	telemetry := c.telemetry.NewTelemetrySettings()
	telemetry.Logger = zap.New(c.core)
	made, err := factory.Create(t.Context(), extension.Settings{ID: extensionID, TelemetrySettings: telemetry}, config)
	if err != nil {
		return err
	}
	around := host{extensionID: made}
	if c.storage != nil && c.missing == nil {
		around[storageID] = c.storage
	}
	maps.Copy(around, c.around)
	if err := made.Start(t.Context(), around); err != nil {
		_ = made.Shutdown(t.Context())
		return err
	}
	c.extension = made
	c.startProcessors(t, around, telemetry)
	return nil
}

func (c *collector) startProcessors(t *testing.T, around host, telemetry component.TelemetrySettings) {
	t.Helper()
	factory := faultlineprocessor.NewFactory()
	settings := processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: telemetry}
	config := factory.CreateDefaultConfig()
	c.tracesSink, c.metricsSink, c.logsSink = &consumertest.TracesSink{}, &consumertest.MetricsSink{}, &consumertest.LogsSink{}
	var err error
	c.traces, err = factory.CreateTraces(t.Context(), settings, config, c.tracesSink)
	require.NoError(t, err)
	c.metrics, err = factory.CreateMetrics(t.Context(), settings, config, c.metricsSink)
	require.NoError(t, err)
	c.records, err = factory.CreateLogs(t.Context(), settings, config, c.logsSink)
	require.NoError(t, err)
	for _, one := range []component.Component{c.traces, c.metrics, c.records} {
		require.NoError(t, one.Start(t.Context(), around))
	}
}

// stop stops it, the processors first. Storage and telemetry stay.
func (c *collector) stop(t *testing.T) {
	t.Helper()
	if c.extension == nil {
		return
	}
	// The context of a test ends before its cleanup.
	ctx := context.Background()
	for _, one := range []component.Component{c.traces, c.metrics, c.records, c.extension} {
		require.NoError(t, one.Shutdown(ctx))
	}
	c.extension = nil
}

func (c *collector) url(path string) string { return "http://" + c.address + path }

// consume gives a request to the processor of its signal, and reads the items that came out.
func (c *collector) consume(t *testing.T, signal string, content []byte) []item {
	t.Helper()
	switch signal {
	case "traces":
		batch, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content)
		require.NoError(t, err)
		before := len(c.tracesSink.AllTraces())
		require.NoError(t, c.traces.ConsumeTraces(t.Context(), batch))
		return itemsOfTraces(one(t, c.tracesSink.AllTraces()[before:]))
	case "metrics":
		batch, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(content)
		require.NoError(t, err)
		before := len(c.metricsSink.AllMetrics())
		require.NoError(t, c.metrics.ConsumeMetrics(t.Context(), batch))
		return itemsOfMetrics(one(t, c.metricsSink.AllMetrics()[before:]))
	default:
		batch, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(content)
		require.NoError(t, err)
		before := len(c.logsSink.AllLogs())
		require.NoError(t, c.records.ConsumeLogs(t.Context(), batch))
		return itemsOfLogs(one(t, c.logsSink.AllLogs()[before:]))
	}
}

// consumeAny gives a request with traces to their processor, beside others that do.
func (c *collector) consumeAny(t *testing.T, content []byte) {
	t.Helper()
	batch, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content)
	assert.NoError(t, err)
	assert.NoError(t, c.traces.ConsumeTraces(t.Context(), batch))
}

// one is the only batch that came out.
func one[T any](t *testing.T, batches []T) T {
	t.Helper()
	require.Len(t, batches, 1)
	return batches[0]
}

// expire has it look at leases, as it does every few seconds of real time.
func (c *collector) expire(t *testing.T) []guest.Transition {
	t.Helper()
	return faultlineextension.Expire(t.Context(), c.extension)
}

// open is which incidents are open.
func (c *collector) open(t *testing.T) []string {
	t.Helper()
	incidents, err := faultlineextension.Open(t.Context(), c.extension)
	require.NoError(t, err)
	ids := []string{}
	for _, incident := range incidents {
		ids = append(ids, incident.ID)
	}
	return ids
}

// virtualClock stands still; its zero value is the real clock.
type virtualClock struct {
	mutex sync.Mutex
	at    time.Time
}

func (c *virtualClock) set(at time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.at = at
}

func (c *virtualClock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return fmt.Sprint(listener.Addr())
}
