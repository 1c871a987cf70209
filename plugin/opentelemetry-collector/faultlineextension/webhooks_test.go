package faultlineextension_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadatatest"
)

const pagerdutyScenario = "../../../tests/scenarios/a_pagerduty_incident_marks_checkout_until_it_is_resolved/"

// Scenario: PagerDuty's webhook with a valid signature, one that is forged, and one without.
// Guarantees: the first opens the incident; the others get 401, and nothing is stored.
func TestOnlyAnAuthenticWebhookOpensAnIncident(t *testing.T) {
	collector := newCollector(t, shop())
	collector.start(t)
	body, err := os.ReadFile(pagerdutyScenario + "pagerduty_triggered.json")
	require.NoError(t, err)

	for _, header := range []http.Header{nil, sign(t, collector.settings, "pagerduty", "a-guess", body)} {
		got := collector.send(t, http.MethodPost, "/webhooks/pagerduty", header, body)
		assert.Equal(t, http.StatusUnauthorized, got.status, got.body)
	}
	assert.Empty(t, collector.storage.kept())
	assert.Empty(t, collector.open(t))

	got := collector.send(t, http.MethodPost, "/webhooks/pagerduty", sign(t, collector.settings, "pagerduty", "", body), body)
	assert.Equal(t, http.StatusAccepted, got.status, got.body)
	assert.Equal(t, "application/json", got.header.Get("Content-Type"))
	assert.NotEmpty(t, collector.storage.kept())
	assert.Equal(t, 1, collector.logged("incident"), "one line for the transition")

	metadatatest.AssertEqualExtensionFaultlineWebhooks(t, collector.telemetry, []metricdata.DataPoint[int64]{
		{Value: 2, Attributes: attribute.NewSet(attribute.String("source", "pagerduty"), attribute.Int("http.response.status_code", 401))},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("source", "pagerduty"), attribute.Int("http.response.status_code", 202))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}

// Scenario: the storage fails, and later does not.
// Guarantees: 503 with Retry-After, and no effect; the same webhook sent again is taken, and is no duplicate.
func TestAWebhookThatCannotBeStoredHasNoEffect(t *testing.T) {
	collector := newCollector(t, shop())
	collector.start(t)
	open := `{"action": "open", "id": "1", "services": ["checkout"]}`

	collector.storage.fail(true)
	got := collector.manual(t, open)
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Equal(t, "30", got.header.Get("Retry-After"))
	assert.NotContains(t, got.body, errStorage.Error(), "a sender is not told what is wrong with our disk")
	assert.Empty(t, collector.mark(t, "checkout"))
	assert.Empty(t, collector.open(t))
	// What stores nothing needs no storage.
	got = collector.send(t, http.MethodPost, "/webhooks/manual", http.Header{"Authorization": {"Bearer wrong"}}, []byte(open))
	assert.Equal(t, http.StatusUnauthorized, got.status)

	collector.storage.fail(false)
	got = collector.manual(t, open)
	assert.Equal(t, http.StatusAccepted, got.status, got.body)
	assert.NotContains(t, got.body, "duplicate")
	assert.Equal(t, "manual:1", collector.mark(t, "checkout"))
	metadatatest.AssertEqualExtensionFaultlineStorageFailures(t, collector.telemetry,
		[]metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}

// Scenario: a body that is longer than its limit, one that is compressed, one that says it is and is not, a path that is none.
// Guarantees: each is answered, in JSON, and counted.
func TestWhatTheListenerAnswersItself(t *testing.T) {
	settings := shop()
	settings["limits"] = map[string]any{"webhook_bytes": 2048}
	collector := newCollector(t, settings)
	collector.start(t)
	authorized := func(encoding string) http.Header {
		header := http.Header{"Authorization": {"Bearer manual-token"}}
		if encoding != "" {
			header.Set("Content-Encoding", encoding)
		}
		return header
	}

	got := collector.send(t, http.MethodPost, "/webhooks/manual", authorized(""), bytes.Repeat([]byte(" "), 2049))
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	assert.JSONEq(t, `{"status": "too-large", "message": "the body has more than 2048 bytes"}`, got.body)

	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := writer.Write([]byte(`{"action": "open", "id": "packed", "services": ["checkout"]}`))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	got = collector.send(t, http.MethodPost, "/webhooks/manual", authorized("gzip"), packed.Bytes())
	assert.Equal(t, http.StatusAccepted, got.status, got.body)
	assert.Equal(t, "manual:packed", collector.mark(t, "checkout"))

	got = collector.send(t, http.MethodPost, "/webhooks/manual", authorized("gzip"), []byte("no gzip"))
	assert.Equal(t, http.StatusBadRequest, got.status)
	assert.Contains(t, got.body, `"status":"refused"`)

	got = collector.send(t, http.MethodPost, "/webhooks/nobody", nil, nil)
	assert.Equal(t, http.StatusNotFound, got.status)
	got = collector.send(t, http.MethodGet, "/", nil, nil)
	assert.Equal(t, http.StatusNotFound, got.status)
}

// guard is an authenticator extension that lets in who says the word.
type guard struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionauth.Server = guard{}

func (guard) Authenticate(ctx context.Context, headers map[string][]string) (context.Context, error) {
	if words := headers["X-Word"]; len(words) == 1 && words[0] == "sesame" {
		return ctx, nil
	}
	return ctx, errors.New("who are you")
}

func TestAnAuthenticatorExtensionStandsBeforeThePlugin(t *testing.T) {
	settings := shop()
	settings["webhooks"] = map[string]any{"auth": map[string]any{"authenticator": "guard"}}
	collector := newCollector(t, settings)
	collector.around = host{component.MustNewID("guard"): guard{}}
	collector.start(t)
	body := []byte(`{"action": "open", "id": "1", "services": ["checkout"]}`)
	header := http.Header{"Authorization": {"Bearer manual-token"}}

	got := collector.send(t, http.MethodPost, "/webhooks/manual", header, body)
	assert.Equal(t, http.StatusUnauthorized, got.status)
	assert.Empty(t, collector.open(t))
	header.Set("X-Word", "sesame")
	got = collector.send(t, http.MethodPost, "/webhooks/manual", header, body)
	assert.Equal(t, http.StatusAccepted, got.status, got.body)
}

// Scenario: telemetry of three signals passes while webhooks come from several senders at once.
// Guarantees: items in are items out, and every incident is open in the end.
func TestWebhooksAndTelemetryComeAtTheSameTime(t *testing.T) {
	const senders, incidents, batches = 4, 8, 50
	collector := newCollector(t, shop())
	collector.start(t)
	span := spanOf(t, "checkout")
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for number := range incidents {
				collector.opens(t, fmt.Sprintf("%d-%d", sender, number))
			}
		})
		group.Go(func() {
			for range batches {
				collector.consumeAny(t, span)
			}
		})
	}
	group.Wait()
	assert.Equal(t, senders*batches, collector.tracesSink.SpanCount())
	assert.Len(t, collector.open(t), senders*incidents)
	assert.NotEmpty(t, collector.mark(t, "checkout"))
	metadatatest.AssertEqualExtensionFaultlineItemsReceived(t, collector.telemetry, []metricdata.DataPoint[int64]{
		{Value: senders*batches + 1, Attributes: attribute.NewSet(attribute.String("signal", "traces"))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	metadatatest.AssertEqualExtensionFaultlineIncidentsActive(t, collector.telemetry, []metricdata.DataPoint[int64]{
		{Value: senders * incidents, Attributes: attribute.NewSet(attribute.String("source", "manual"), attribute.String("severity", "high"))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}

// Scenario: a lease runs out.
// Guarantees: the incident marks no more, which is one warning and one count, however often leases are looked at.
func TestALeaseThatRunsOutIsReportedOnce(t *testing.T) {
	settings := shop()
	settings["sources"].(map[string]any)["manual"].(map[string]any)["lease"] = "1h"
	collector := newCollector(t, settings)
	collector.clock.set(virtualStart)
	collector.start(t)
	collector.opens(t, "1")
	assert.Empty(t, collector.expire(t))
	collector.clock.set(virtualStart.Add(61 * minute))
	assert.Len(t, collector.expire(t), 1)
	assert.Empty(t, collector.expire(t))
	assert.Empty(t, collector.open(t))
	metadatatest.AssertEqualExtensionFaultlineLeaseExpiries(t, collector.telemetry, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("source", "manual"))},
	}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}
