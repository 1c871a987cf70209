package faultlineprocessor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

// host has the extensions of a Collector.
type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

// owner is an extension that owns a plugin.
type owner struct {
	component.StartFunc
	component.ShutdownFunc
	annotator marking.Annotator
}

func (o owner) Annotator() marking.Annotator { return o.annotator }

// stranger is another extension.
type stranger struct {
	component.StartFunc
	component.ShutdownFunc
}

// replacing passes other batches on than it was given, as the annotator does with shared ones.
type replacing struct{}

func (replacing) Traces(context.Context, ptrace.Traces) ptrace.Traces      { return shop.Traces() }
func (replacing) Metrics(context.Context, pmetric.Metrics) pmetric.Metrics { return shop.Metrics() }
func (replacing) Logs(context.Context, plog.Logs) plog.Logs                { return shop.Logs() }

var shop = plugintest.Shop{Services: []string{"checkout"}, Items: 4, At: time.Unix(1772359200, 0)}

func TestWhatTheAnnotatorAnswersIsPassedOn(t *testing.T) {
	factory := NewFactory()
	settings := processortest.NewNopSettings(factory.Type())
	owners := host{defaultExtension: owner{annotator: replacing{}}}

	var spans consumertest.TracesSink
	traces, err := factory.CreateTraces(t.Context(), settings, factory.CreateDefaultConfig(), &spans)
	require.NoError(t, err)
	assert.False(t, traces.Capabilities().MutatesData)
	require.NoError(t, traces.Start(t.Context(), owners))
	require.NoError(t, traces.ConsumeTraces(t.Context(), ptrace.NewTraces()))
	assert.Equal(t, 4, spans.SpanCount())
	require.NoError(t, traces.Shutdown(t.Context()))

	var records consumertest.LogsSink
	logs, err := factory.CreateLogs(t.Context(), settings, factory.CreateDefaultConfig(), &records)
	require.NoError(t, err)
	assert.False(t, logs.Capabilities().MutatesData)
	require.NoError(t, logs.Start(t.Context(), owners))
	require.NoError(t, logs.ConsumeLogs(t.Context(), plog.NewLogs()))
	assert.Equal(t, 4, records.LogRecordCount())
	require.NoError(t, logs.Shutdown(t.Context()))

	var points consumertest.MetricsSink
	metrics, err := factory.CreateMetrics(t.Context(), settings, factory.CreateDefaultConfig(), &points)
	require.NoError(t, err)
	assert.False(t, metrics.Capabilities().MutatesData)
	require.NoError(t, metrics.Start(t.Context(), owners))
	require.NoError(t, metrics.ConsumeMetrics(t.Context(), pmetric.NewMetrics()))
	assert.Equal(t, 4, points.DataPointCount())
	require.NoError(t, metrics.Shutdown(t.Context()))
}

func TestAnExtensionThatIsNotThereIsNamed(t *testing.T) {
	factory := NewFactory()
	settings := processortest.NewNopSettings(factory.Type())
	start := func(config *Config, host component.Host) error {
		t.Helper()
		traces, err := factory.CreateTraces(t.Context(), settings, config, consumertest.NewNop())
		require.NoError(t, err)
		return traces.Start(t.Context(), host)
	}
	east := component.NewIDWithName(component.MustNewType("faultline"), "east")
	err := start(&Config{Extension: east}, host{defaultExtension: owner{annotator: replacing{}}})
	assert.ErrorContains(t, err, "there is no extension faultline/east")
	err = start(&Config{Extension: defaultExtension}, host{defaultExtension: stranger{}})
	assert.ErrorContains(t, err, "extension faultline does not own the plugin")
	err = start(&Config{Extension: defaultExtension}, host{defaultExtension: owner{}})
	assert.ErrorContains(t, err, "extension faultline was not started")
	require.NoError(t, start(&Config{Extension: east}, host{east: owner{annotator: replacing{}}}))
}

func TestTheDefaultConfigurationIsValidAndAnEmptyExtensionIsNot(t *testing.T) {
	require.NoError(t, componenttest.CheckConfigStruct(NewFactory().CreateDefaultConfig()))
	require.NoError(t, createDefaultConfig().(*Config).Validate())
	assert.ErrorContains(t, (&Config{}).Validate(), "extension is empty")
}
