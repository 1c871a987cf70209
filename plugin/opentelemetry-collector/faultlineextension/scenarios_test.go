package faultlineextension_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// scenariosMin is how many there are at least: fewer mean that some were lost.
const scenariosMin = 60

// unreadable are telemetry steps, by scenario and number, whose bytes the Collector's receivers refuse: no processor ever sees
// them. That pdata cannot read them is checked.
var unreadable = map[string]map[int]string{
	"a_length_that_only_fits_64_bits_is_refused": {
		2: "a length beyond the end", 3: "a length beyond the end",
	},
	"a_truncated_batch_passes_unchanged_with_its_byte_offset": {
		2: "it is cut off", 3: "a length beyond the end", 4: "a number of 11 bytes", 5: "wire type 7",
	},
	"gzip_or_json_sent_as_protobuf_is_refused_by_name": {
		2: "it is gzip", 3: "it is JSON",
	},
	"unknown_protobuf_fields_survive": {
		2: "some unknown fields are groups, which pdata refuses; others it drops",
	},
}

// ofHost are webhook steps that the listener answers before the plugin sees them, with words of its own.
var ofHost = map[string]map[int]string{
	"an_oversized_body_is_refused_with_413": {1: "the body is longer than `limits::webhook_bytes`"},
}

// Scenario: every folder of tests/scenarios is played through the factories of extension and processor, by HTTP and pdata.
// Guarantees: webhooks are answered, incidents are open, and items are marked as with the component.
func TestEveryScenarioEndsAsWithTheComponent(t *testing.T) {
	names := scenarioNames(t)
	require.GreaterOrEqual(t, len(names), scenariosMin)
	results := make(map[string]string, len(names))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			results[name] = "FAILED"
			play := newPlay(t, readScenario(t, name))
			for number := range play.scenario.Steps {
				play.step(t, number+1)
			}
			results[name] = play.result()
			if t.Failed() {
				results[name] = "FAILED"
			}
		})
	}
	printTable(t, names, results)
	for _, exceptions := range []map[string]map[int]string{unreadable, ofHost} {
		for name := range exceptions {
			assert.Contains(t, names, name, "an exception is for a scenario that is there")
		}
	}
}

func printTable(t *testing.T, names []string, results map[string]string) {
	t.Helper()
	var table strings.Builder
	table.WriteByte('\n')
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "scenario\tin the Collector")
	for _, name := range names {
		fmt.Fprintf(columns, "%s\t%s\n", name, results[name])
	}
	require.NoError(t, columns.Flush())
	t.Log(table.String())
}

// play is a scenario under way.
type play struct {
	scenario  scenario
	collector *collector
	// batches and webhooks are how many were compared.
	batches, webhooks int
	exceptions        []string
}

func newPlay(t *testing.T, scenario scenario) *play {
	t.Helper()
	collector := newCollector(t, scenario.config)
	collector.clock.set(scenario.start(t))
	collector.start(t)
	return &play{scenario: scenario, collector: collector}
}

func (p *play) result() string {
	result := fmt.Sprintf("same: %d webhooks, %d batches", p.webhooks, p.batches)
	if len(p.exceptions) > 0 {
		result += "; but for " + strings.Join(p.exceptions, ", ")
	}
	return result
}

func (p *play) name() string {
	return p.scenario.folder[strings.LastIndexByte(p.scenario.folder, '/')+1:]
}

func (p *play) step(t *testing.T, number int) {
	t.Helper()
	step, expected := p.scenario.Steps[number-1], p.scenario.expected[number]
	what := fmt.Sprintf("step %d: %s", number, step)
	p.collector.clock.set(expected.At)
	switch {
	case step.Webhook != "":
		p.webhook(t, number, what)
	case step.Expire:
		assert.Len(t, p.collector.expire(t), len(expected.Expire.Transitions), what)
	case step.Restart:
		p.collector.stop(t)
		p.collector.start(t)
	default:
		p.telemetry(t, number, what)
	}
	if expected.Telemetry == nil {
		assert.Equal(t, expected.Open, p.collector.open(t), "%s: open incidents", what)
	}
}

func (p *play) webhook(t *testing.T, number int, what string) {
	t.Helper()
	step, expected := p.scenario.Steps[number-1], p.scenario.expected[number].Webhook
	body := p.scenario.webhookBody(t, step)
	method := http.MethodPost
	if step.Method != "" {
		method = step.Method
	}
	request, err := http.NewRequest(method, p.collector.url("/webhooks/"+step.Source), bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	switch secret := step.Sign.(type) {
	case nil:
		addHeaders(request, sign(t, p.scenario.config, step.Source, "", body))
	case bool:
		if secret {
			addHeaders(request, sign(t, p.scenario.config, step.Source, "", body))
		}
	case string:
		addHeaders(request, sign(t, p.scenario.config, step.Source, secret, body))
	}
	for name, value := range step.Headers {
		request.Header.Set(name, value)
	}
	p.collector.storage.fail(step.Commit == "fail")
	defer p.collector.storage.fail(false)
	response, err := client.Do(request)
	require.NoError(t, err, what)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err, what)

	assert.Equal(t, expected.Status, response.StatusCode, "%s: %s", what, answer)
	p.webhooks++
	if expected.RetryAfter > 0 {
		assert.Equal(t, strconv.Itoa(expected.RetryAfter), response.Header.Get("Retry-After"), what)
	}
	if reason := ofHost[p.name()][number]; reason != "" {
		assert.NotEqual(t, asJSON(t, expected.Body), asJSON(t, answer), "%s: the exception is no longer needed", what)
		p.exceptions = append(p.exceptions, fmt.Sprintf("the words of step %d (%s)", number, reason))
		return
	}
	if expected.Failure == "" {
		assert.Equal(t, asJSON(t, expected.Body), asJSON(t, answer), what)
	}
}

func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(text, &value), "%s", text)
	return value
}

func addHeaders(request *http.Request, headers http.Header) {
	for name := range headers {
		request.Header.Set(name, headers.Get(name))
	}
}

func (p *play) telemetry(t *testing.T, number int, what string) {
	t.Helper()
	signal, expected := p.scenario.Steps[number-1].Signal, p.scenario.expected[number].Telemetry
	content := p.scenario.batch(t, number)
	before, err := readItems(signal, content)
	if reason := unreadable[p.name()][number]; reason != "" {
		assert.Error(t, err, "%s: the exception is no longer needed", what)
		p.exceptions = append(p.exceptions, fmt.Sprintf("step %d (%s)", number, reason))
		return
	}
	require.NoError(t, err, what)
	after := p.collector.consume(t, signal, content)
	found, err := groups(before, after)
	require.NoError(t, err, what)
	assert.Len(t, after, expected.Items, what)
	assert.Equal(t, merged(expected.Groups), found, what)
	p.batches++
}

// readItems reads a request as a receiver does.
func readItems(signal string, content []byte) ([]item, error) {
	switch signal {
	case "traces":
		batch, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content)
		if err != nil {
			return nil, err
		}
		return itemsOfTraces(batch), nil
	case "metrics":
		batch, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(content)
		if err != nil {
			return nil, err
		}
		return itemsOfMetrics(batch), nil
	default:
		batch, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(content)
		if err != nil {
			return nil, err
		}
		return itemsOfLogs(batch), nil
	}
}

// Scenario: a span with a field that this version of OTLP does not have.
// Guarantees: none, which is what our README says: pdata drops it, before any processor sees the span.
func TestPdataDropsFieldsThatItDoesNotKnow(t *testing.T) {
	known := []byte{0x2a, 1, 'n'}    // name: "n"
	unknown := []byte{0xc0, 0x3e, 1} // field 1000: 1
	span := append([]byte{0x12, 6}, append(known, unknown...)...)
	scope := append([]byte{0x12, byte(len(span))}, span...)
	content := append([]byte{0x0a, byte(len(scope))}, scope...)
	batch, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content)
	require.NoError(t, err)
	require.Equal(t, 1, batch.SpanCount())
	again, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(batch)
	require.NoError(t, err)
	assert.Contains(t, string(again), "n")
	assert.NotContains(t, string(again), string(unknown))
}
