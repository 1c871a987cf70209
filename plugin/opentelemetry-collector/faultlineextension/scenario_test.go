package faultlineextension_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	yaml "go.yaml.in/yaml/v3"
)

// scenariosFolder has one folder for each scenario; its README says what they are made of.
const scenariosFolder = "../../../tests/scenarios"

// scenario is a folder of tests/scenarios, read.
type scenario struct {
	folder string
	Start  string
	Steps  []step
	// expected has what the component did in each step, by its number from 1.
	expected map[int]expectedStep
	// config is config.yaml, below the keys of the extension.
	config map[string]any
}

// step is one entry of `steps`; exactly one of the first five is set.
type step struct {
	Telemetry string
	Generate  *struct{}
	Webhook   string
	Expire    bool
	Restart   bool

	At      string
	Signal  string
	Source  string
	Sign    any
	Headers map[string]string
	Method  string
	Pad     int
	Commit  string
}

// expectedStep is one line of expected.ndjson, as far as any build must do the same.
type expectedStep struct {
	At        time.Time          `json:"at"`
	Step      int                `json:"step"`
	Webhook   *expectedWebhook   `json:"webhook"`
	Telemetry *expectedTelemetry `json:"telemetry"`
	Expire    *struct {
		Transitions []json.RawMessage `json:"transitions"`
	} `json:"expire"`
	// Open are the ids of open incidents; nil after telemetry.
	Open []string `json:"open"`
}

type expectedWebhook struct {
	Status     int             `json:"status"`
	RetryAfter int             `json:"retry_after"`
	Body       json.RawMessage `json:"body"`
	// Failure is set where the host answers and not the plugin.
	Failure string `json:"failure"`
}

type expectedTelemetry struct {
	Items   int     `json:"items"`
	Outcome string  `json:"outcome"`
	Marked  int     `json:"marked"`
	Groups  []group `json:"groups"`
}

// group are the items of one service that got the same.
type group struct {
	Service     string         `json:"service"`
	Namespace   string         `json:"namespace"`
	Environment string         `json:"environment"`
	Items       int            `json:"items"`
	Names       []string       `json:"names"`
	Added       map[string]any `json:"added"`
}

// scenarioNames are all folders, in their order.
func scenarioNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(scenariosFolder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func readScenario(t *testing.T, name string) scenario {
	t.Helper()
	read := scenario{folder: filepath.Join(scenariosFolder, name), expected: map[int]expectedStep{}}
	require.NoError(t, yaml.Unmarshal(read.file(t, "scenario.yaml"), &read))
	require.NoError(t, yaml.Unmarshal(read.file(t, "config.yaml"), &read.config))
	lines := bufio.NewScanner(bytes.NewReader(read.file(t, "expected.ndjson")))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line expectedStep
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Step > 0 {
			read.expected[line.Step] = line
		}
	}
	require.NoError(t, lines.Err())
	require.Len(t, read.expected, len(read.Steps), "expected.ndjson has a line for each step")
	return read
}

func (s scenario) file(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.folder, name))
	require.NoError(t, err)
	return content
}

// batch is the OTLP request of a step, as protobuf.
func (s scenario) batch(t *testing.T, number int) []byte {
	t.Helper()
	step := s.Steps[number-1]
	switch content := []byte(nil); {
	case step.Generate != nil:
		return generated(t, filepath.Base(s.folder), number)
	case strings.HasSuffix(step.Telemetry, ".hex"):
		return fromHex(t, s.file(t, step.Telemetry))
	case strings.HasSuffix(step.Telemetry, ".binpb"):
		return s.file(t, step.Telemetry)
	default:
		content = s.file(t, step.Telemetry)
		return fromJSON(t, step.Signal, content)
	}
}

// fromHex reads hexadecimal text with white space between bytes and comments from # to the end of the line.
func fromHex(t *testing.T, text []byte) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		code, _, _ := strings.Cut(line, "#")
		for _, word := range strings.Fields(code) {
			digits.WriteString(word)
		}
	}
	content, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return content
}

// webhookBody is the file of a step with its padding.
func (s scenario) webhookBody(t *testing.T, step step) []byte {
	t.Helper()
	body := s.file(t, step.Webhook)
	if missing := step.Pad - len(body); missing > 0 {
		body = append(body, bytes.Repeat([]byte(" "), missing)...)
	}
	return body
}

// at is when the step is, by the virtual clock.
func (s scenario) at(t *testing.T, number int) time.Time {
	t.Helper()
	return s.expected[number].At
}

func (s scenario) start(t *testing.T) time.Time {
	t.Helper()
	start, err := time.Parse(time.RFC3339Nano, s.Start)
	require.NoError(t, err)
	return start
}

func (s step) String() string {
	switch {
	case s.Webhook != "":
		return fmt.Sprintf("webhook %s to %s", s.Webhook, s.Source)
	case s.Telemetry != "":
		return fmt.Sprintf("%s of %s", s.Signal, s.Telemetry)
	case s.Generate != nil:
		return "generated " + s.Signal
	case s.Expire:
		return "expire"
	default:
		return "restart"
	}
}
