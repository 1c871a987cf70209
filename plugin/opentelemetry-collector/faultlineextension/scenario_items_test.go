package faultlineextension_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// item is one span, data point or log record, as far as the scenarios show it.
type item struct {
	service, namespace, environment string
	// name is that of the span or metric, or the body of the log record.
	name       string
	attributes []keyValue
	// exemplars are the filtered attributes of each.
	exemplars [][]keyValue
}

type keyValue struct {
	key   string
	value any
}

// namesShown is how many names a group of expected.ndjson has at most.
const namesShown = 4

func fromJSON(t *testing.T, signal string, text []byte) []byte {
	t.Helper()
	var content []byte
	var err error
	switch signal {
	case "traces":
		batch, readError := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
		require.NoError(t, readError)
		content, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(batch)
	case "metrics":
		batch, readError := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(text)
		require.NoError(t, readError)
		content, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(batch)
	case "logs":
		batch, readError := (&plog.JSONUnmarshaler{}).UnmarshalLogs(text)
		require.NoError(t, readError)
		content, err = (&plog.ProtoMarshaler{}).MarshalLogs(batch)
	}
	require.NoError(t, err)
	return content
}

// generated is a batch of the generator, which is written in Rust: `BLESS=1 cargo test --test collector` writes it here.
func generated(t *testing.T, scenario string, number int) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", "generated", fmt.Sprintf("%s_%d.binpb.gz", scenario, number)))
	require.NoError(t, err, "run `BLESS=1 cargo test --test collector`")
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	return content
}

func itemsOfTraces(batch ptrace.Traces) []item {
	var items []item
	for _, resource := range batch.ResourceSpans().All() {
		origin := originOf(resource.Resource())
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				origin.name, origin.attributes = span.Name(), attributesOf(span.Attributes())
				items = append(items, origin)
			}
		}
	}
	return items
}

func itemsOfLogs(batch plog.Logs) []item {
	var items []item
	for _, resource := range batch.ResourceLogs().All() {
		origin := originOf(resource.Resource())
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				origin.name, origin.attributes = plain(record.Body().AsRaw()), attributesOf(record.Attributes())
				items = append(items, origin)
			}
		}
	}
	return items
}

func itemsOfMetrics(batch pmetric.Metrics) []item {
	var items []item
	for _, resource := range batch.ResourceMetrics().All() {
		origin := originOf(resource.Resource())
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				origin.name = metric.Name()
				items = append(items, pointsOf(origin, metric)...)
			}
		}
	}
	return items
}

func pointsOf(origin item, metric pmetric.Metric) []item {
	var items []item
	add := func(attributes pcommon.Map, exemplars pmetric.ExemplarSlice) {
		point := origin
		point.attributes = attributesOf(attributes)
		for _, exemplar := range exemplars.All() {
			point.exemplars = append(point.exemplars, attributesOf(exemplar.FilteredAttributes()))
		}
		items = append(items, point)
	}
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, point := range metric.Gauge().DataPoints().All() {
			add(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeSum:
		for _, point := range metric.Sum().DataPoints().All() {
			add(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, point := range metric.Histogram().DataPoints().All() {
			add(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, point := range metric.ExponentialHistogram().DataPoints().All() {
			add(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeSummary:
		for _, point := range metric.Summary().DataPoints().All() {
			add(point.Attributes(), pmetric.NewExemplarSlice())
		}
	}
	return items
}

func originOf(resource pcommon.Resource) item {
	text := func(keys ...string) string {
		for _, key := range keys {
			if value, ok := resource.Attributes().Get(key); ok {
				return value.AsString()
			}
		}
		return ""
	}
	return item{
		service:     text("service.name"),
		namespace:   text("service.namespace"),
		environment: text("deployment.environment.name", "deployment.environment"),
	}
}

func attributesOf(attributes pcommon.Map) []keyValue {
	var all []keyValue
	for key, value := range attributes.All() {
		all = append(all, keyValue{key, value.AsRaw()})
	}
	return all
}

func plain(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	text, _ := json.Marshal(value)
	return string(text)
}

// added tells which attributes an item got; all that it had must be there still, in their order.
func added(before, after []keyValue) (map[string]any, error) {
	kept := 0
	got := map[string]any{}
	for _, found := range after {
		switch {
		case kept < len(before) && reflect.DeepEqual(found, before[kept]):
			kept++
		default:
			got[found.key] = found.value
		}
	}
	if kept < len(before) {
		return nil, fmt.Errorf("the attribute %q was changed, moved or removed", before[kept].key)
	}
	return got, nil
}

// groups puts items together as expected.ndjson does; those without marks are one group for each service.
func groups(before, after []item) ([]group, error) {
	if len(before) != len(after) {
		return nil, fmt.Errorf("%d items went in, %d came out", len(before), len(after))
	}
	found := map[string]*group{}
	for at, item := range before {
		got, err := added(item.attributes, after[at].attributes)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", item.name, err)
		}
		for number, exemplar := range item.exemplars {
			ofExemplar, err := added(exemplar, after[at].exemplars[number])
			if err != nil {
				return nil, fmt.Errorf("an exemplar of %q: %w", item.name, err)
			}
			for key, value := range ofExemplar {
				got["exemplar "+key] = value
			}
		}
		one := group{Service: item.service, Namespace: item.namespace, Environment: item.environment, Added: got}
		key := one.key()
		if found[key] == nil {
			found[key] = &one
		}
		found[key].note(1, item.name)
	}
	return sorted(found), nil
}

// merged are groups of expected.ndjson without the reasons why items were not marked, which only other functions of the
// plugin tell.
func merged(expected []group) []group {
	found := map[string]*group{}
	for _, one := range expected {
		if one.Added == nil {
			one.Added = map[string]any{}
		}
		items, names := one.Items, one.Names
		one.Items, one.Names = 0, nil
		key := one.key()
		if found[key] == nil {
			found[key] = &one
		}
		found[key].note(items, names...)
	}
	return sorted(found)
}

func (g *group) key() string {
	text, _ := json.Marshal([]any{g.Service, g.Namespace, g.Environment, g.Added})
	return string(text)
}

func (g *group) note(items int, names ...string) {
	g.Items += items
	// Which names the unmarked groups show first depends on their reasons.
	if len(g.Added) == 0 {
		return
	}
	for _, name := range names {
		if len(g.Names) < namesShown && !slices.Contains(g.Names, name) {
			g.Names = append(g.Names, name)
		}
	}
}

func sorted(found map[string]*group) []group {
	var all []group
	for _, key := range slices.SortedFunc(maps.Keys(found), strings.Compare) {
		all = append(all, *found[key])
	}
	return all
}
