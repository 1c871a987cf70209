package faultlineextension_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// reply is what a sender got.
type reply struct {
	status int
	header http.Header
	body   string
}

// shop are settings with a source of each kind that these tests send from.
func shop() map[string]any {
	return map[string]any{
		"sources": map[string]any{
			"manual":    map[string]any{"kind": "manual", "tokens": []any{"manual-token"}},
			"pagerduty": map[string]any{"kind": "pagerduty", "secrets": []any{"pagerduty-secret"}},
		},
		"services": []any{
			map[string]any{"source": "pagerduty", "id": "P4K9ZTC", "to": []any{map[string]any{"service": "checkout"}}},
		},
	}
}

// send makes a request to the listener.
func (c *collector) send(t *testing.T, method, path string, header http.Header, body []byte) reply {
	t.Helper()
	request, err := http.NewRequest(method, c.url(path), bytes.NewReader(body))
	require.NoError(t, err)
	addHeaders(request, header)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header, string(text)}
}

// manual sends a webhook of the source `manual`.
func (c *collector) manual(t *testing.T, body string) reply {
	t.Helper()
	return c.send(t, http.MethodPost, "/webhooks/manual", http.Header{"Authorization": {"Bearer manual-token"}}, []byte(body))
}

// opens has an incident opened, of the service checkout.
func (c *collector) opens(t *testing.T, id string) {
	t.Helper()
	got := c.manual(t, fmt.Sprintf(`{"action": "open", "id": %q, "severity": "high", "services": ["checkout"]}`, id))
	require.Equal(t, http.StatusAccepted, got.status, got.body)
}

// closes has it closed.
func (c *collector) closes(t *testing.T, id string) {
	t.Helper()
	got := c.manual(t, fmt.Sprintf(`{"action": "close", "id": %q}`, id))
	require.Equal(t, http.StatusAccepted, got.status, got.body)
}

// spanOf is a request with one span of now.
func spanOf(t *testing.T, service string) []byte {
	t.Helper()
	batch := ptrace.NewTraces()
	resource := batch.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetName("PlaceOrder")
	now := uint64(time.Now().UnixNano())
	span.SetStartTimestamp(timestamp(now - 1000))
	span.SetEndTimestamp(timestamp(now))
	content, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(batch)
	require.NoError(t, err)
	return content
}

// mark is the incident that a span of the service is marked with now; empty when it is not.
func (c *collector) mark(t *testing.T, service string) string {
	t.Helper()
	items := c.consume(t, "traces", spanOf(t, service))
	require.Len(t, items, 1)
	for _, attribute := range items[0].attributes {
		if attribute.key == "incident.id" {
			return attribute.value.(string)
		}
	}
	return ""
}

func timestamp(nanos uint64) pcommon.Timestamp { return pcommon.Timestamp(nanos) }

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 10*time.Millisecond, what)
}

// logged is how many lines of the log have this message.
func (c *collector) logged(part string) int {
	count := 0
	for _, entry := range c.logs.All() {
		if strings.Contains(entry.Message, part) {
			count++
		}
	}
	return count
}
