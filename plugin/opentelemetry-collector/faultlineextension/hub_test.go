package faultlineextension_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadatatest"
)

const spokeToken = "spoke-token"

// fakeHub answers as `faultline serve` does; what it knows comes from an extension that takes webhooks.
type fakeHub struct {
	server   *httptest.Server
	incident *collector

	mutex         sync.Mutex
	configuration map[string]any
	timeToLive    float64
	// ahead is by how much its clock is ahead.
	ahead time.Duration
	// down: it answers 503, as a proxy does before one that is stopped. hangs: it takes requests, and does not answer.
	down, hangs bool
	// asked counts requests by the status of their answer.
	asked map[int]int
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	hub := &fakeHub{
		incident: newCollector(t, shop()),
		configuration: map[string]any{"marking": "on", "sources": map[string]any{
			"manual": map[string]any{"kind": "manual"}, "pagerduty": map[string]any{"kind": "manual"},
		}},
		timeToLive: 900,
		asked:      map[int]int{},
	}
	hub.incident.start(t)
	hub.server = httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		hub.answer(t, response, request)
	}))
	t.Cleanup(hub.server.Close)
	return hub
}

func (h *fakeHub) answer(t *testing.T, response http.ResponseWriter, request *http.Request) {
	h.mutex.Lock()
	hangs := h.hangs
	h.mutex.Unlock()
	if hangs {
		<-request.Context().Done()
		return
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	status := h.status(t, response, request)
	h.asked[status]++
}

func (h *fakeHub) status(t *testing.T, response http.ResponseWriter, request *http.Request) int {
	switch {
	case h.down:
		response.WriteHeader(http.StatusServiceUnavailable)
		return http.StatusServiceUnavailable
	case request.URL.Path != "/v1/state" || request.Header.Get("Authorization") != "Bearer "+spokeToken:
		response.WriteHeader(http.StatusUnauthorized)
		return http.StatusUnauthorized
	}
	entries, err := faultlineextension.Incidents(request.Context(), h.incident.extension)
	assert.NoError(t, err)
	type entry struct {
		Key   string `json:"key"`
		Bytes []byte `json:"bytes"`
	}
	told := []entry{}
	for _, one := range entries {
		told = append(told, entry{one.Key, one.Bytes})
	}
	content, err := json.Marshal(map[string]any{"configuration": h.configuration, "entries": told})
	assert.NoError(t, err)
	digest := sha256.Sum256(content)
	etag := `"` + hex.EncodeToString(digest[:]) + `"`
	now := strconv.FormatInt(time.Now().Add(h.ahead).UnixNano(), 10)
	response.Header().Set("ETag", etag)
	response.Header().Set("Faultline-Now", now)
	response.Header().Set("Faultline-Time-To-Live", strconv.FormatFloat(h.timeToLive, 'f', -1, 64))
	if request.Header.Get("If-None-Match") == etag {
		response.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	assert.NoError(t, json.NewEncoder(response).Encode(map[string]any{
		"version": 1, "now_unix_nano": now, "time_to_live_seconds": h.timeToLive,
		"configuration": h.configuration, "entries": told,
	}))
	return http.StatusOK
}

// set changes something about it.
func (h *fakeHub) set(change func()) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	change()
}

func (h *fakeHub) answers(status int) int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.asked[status]
}

// spoke is a Collector that follows it.
func (h *fakeHub) spoke(t *testing.T, settings map[string]any) *collector {
	t.Helper()
	settings["hub"] = map[string]any{"endpoint": h.server.URL, "token": spokeToken, "interval": "20ms", "timeout": "1m"}
	spoke := newCollector(t, settings)
	if settings["webhooks"] == nil {
		spoke.storage = nil
	}
	spoke.start(t)
	return spoke
}

// Scenario: an incident opens at the hub, and is closed there.
// Guarantees: it is marked here meanwhile; a state that has not changed is not sent again.
func TestASpokeMarksWhatItsHubKnows(t *testing.T) {
	hub := newFakeHub(t)
	spoke := hub.spoke(t, map[string]any{})
	eventually(t, "the first answer", func() bool { return hub.answers(http.StatusOK) > 0 })
	assert.Empty(t, spoke.mark(t, "checkout"))

	hub.incident.opens(t, "1")
	eventually(t, "the mark", func() bool { return spoke.mark(t, "checkout") == "manual:1" })
	assert.Empty(t, spoke.mark(t, "cart"))
	eventually(t, "answers without a body", func() bool { return hub.answers(http.StatusNotModified) > 2 })
	assert.Equal(t, 2, hub.answers(http.StatusOK))

	hub.incident.closes(t, "1")
	eventually(t, "its end", func() bool { return len(spoke.open(t)) == 0 })
}

// Scenario: the hub stops, and comes back before a restart of anything.
// Guarantees: marks go on for the time to live, then end, with a warning and a count; they are back with the hub.
func TestMarksEndWithTheTimeToLiveAndComeBack(t *testing.T) {
	hub := newFakeHub(t)
	hub.set(func() { hub.timeToLive = 3 })
	hub.incident.opens(t, "1")
	spoke := hub.spoke(t, map[string]any{})
	eventually(t, "the mark", func() bool { return spoke.mark(t, "checkout") == "manual:1" })

	hub.set(func() { hub.down = true })
	stopped := time.Now()
	eventually(t, "a request that is refused", func() bool { return hub.answers(http.StatusServiceUnavailable) > 0 })
	assert.Equal(t, "manual:1", spoke.mark(t, "checkout"), "the last answer still holds")
	eventually(t, "the end of the marks", func() bool { return spoke.mark(t, "checkout") == "" })
	assert.Greater(t, time.Since(stopped), 2*time.Second)
	eventually(t, "the warning", func() bool { return spoke.logged("nothing is marked until it is back") == 1 })

	hub.set(func() { hub.down = false })
	eventually(t, "the mark again", func() bool { return spoke.mark(t, "checkout") == "manual:1" })
	assert.Equal(t, 1, spoke.logged("the hub cannot be followed"), "a hub that is away is one line")
	assert.Equal(t, 1, spoke.logged("the hub answers again"))
	metadatatest.AssertEqualExtensionFaultlineHubLapses(t, spoke.telemetry,
		[]metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}

// Scenario: the hub takes a request and never answers, and the Collector would wait for a minute.
// Guarantees: marks end with the time to live all the same.
func TestAHubThatHangsDoesNotKeepMarksAlive(t *testing.T) {
	hub := newFakeHub(t)
	hub.set(func() { hub.timeToLive = 1 })
	hub.incident.opens(t, "1")
	spoke := hub.spoke(t, map[string]any{})
	eventually(t, "the mark", func() bool { return spoke.mark(t, "checkout") == "manual:1" })
	hub.set(func() { hub.hangs = true })
	eventually(t, "the end of the marks", func() bool { return spoke.mark(t, "checkout") == "" })
	hub.set(func() { hub.hangs = false })
}

// Scenario: the hub's clock is three hours ahead, or behind.
// Guarantees: its incidents are marked all the same, though entries from that far ahead would be set aside by this clock; the
// log says so.
func TestClocksMayDiffer(t *testing.T) {
	for _, ahead := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			hub := newFakeHub(t)
			hub.incident.stop(t)
			hub.incident.clock.set(time.Now().Add(ahead))
			hub.incident.start(t)
			hub.set(func() { hub.ahead = ahead })
			// It began when the services' clocks, which are right, say.
			got := hub.incident.manual(t, `{"action": "open", "id": "1", "services": ["checkout"], "started_at": "`+
				time.Now().Add(-minute).UTC().Format(time.RFC3339)+`"}`)
			require.Equal(t, http.StatusAccepted, got.status, got.body)
			spoke := hub.spoke(t, map[string]any{})
			eventually(t, "the incident", func() bool { return len(spoke.open(t)) == 1 })
			assert.Equal(t, 1, spoke.logged("the hub's clock is not this machine's"))
			if ahead > 0 {
				assert.Equal(t, "manual:1", spoke.mark(t, "checkout"))
			}
		})
	}
}

// Scenario: the hub's map of services gets a rule, and its stop switch is used.
// Guarantees: both hold here too; what marks look like is this Collector's own.
func TestTheHubSaysWhatIsMarkedAndTheSpokeWithWhat(t *testing.T) {
	hub := newFakeHub(t)
	body, err := os.ReadFile(pagerdutyScenario + "pagerduty_triggered.json")
	require.NoError(t, err)
	signed := sign(t, hub.incident.settings, "pagerduty", "", body)
	got := hub.incident.send(t, http.MethodPost, "/webhooks/pagerduty", signed, body)
	require.Equal(t, http.StatusAccepted, got.status, got.body)
	spoke := hub.spoke(t, map[string]any{"prefix": "shop.incident.", "services": []any{}})
	eventually(t, "the incident", func() bool { return len(spoke.open(t)) == 1 })
	assert.Equal(t, 1, spoke.logged("these keys are set and not used"))
	marked := func() string {
		for _, attribute := range spoke.consume(t, "traces", spanOf(t, "checkout"))[0].attributes {
			if attribute.key == "shop.incident.id" {
				return attribute.value.(string)
			}
		}
		return ""
	}
	assert.Empty(t, marked(), "no rule leads to the service")

	hub.set(func() { hub.configuration["services"] = hub.incident.settings["services"] })
	eventually(t, "the repaired map", func() bool { return marked() == "pagerduty:Q1CHK8M2XW9R4T" })
	hub.set(func() { hub.configuration["marking"] = "off" })
	eventually(t, "the stop", func() bool { return marked() == "" })
}

// Scenario: answers of something that is no hub of this version, and a token that is wrong.
// Guarantees: nothing of them is used, and the log names what is wrong.
func TestWhatIsNoAnswerOfAHubIsNotUsed(t *testing.T) {
	for name, one := range map[string]struct {
		body, expected string
		status         int
	}{
		"another version": {`{"version": 2}`, "the hub speaks version 2", 200},
		"no JSON":         {`<html>`, "is not what a hub says", 200},
		"no time to live": {`{"version": 1, "now_unix_nano": "1"}`, "the time to live", 200},
		"no clock":        {`{"version": 1, "time_to_live_seconds": 9, "now_unix_nano": "x"}`, "the hub's clock", 200},
		"a wrong token":   {``, "none of its `spokes.tokens`", 401},
		"not modified":    {``, "was not asked that", 304},
		"bad settings":    {`{"version": 1, "time_to_live_seconds": 9, "now_unix_nano": "1", "configuration": {"sources": 1}}`, "is no object", 200},
		"faulty settings": {`{"version": 1, "time_to_live_seconds": 9, "now_unix_nano": "1", "configuration": {"unmatched": 1}}`, "unmatched", 200},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
				response.WriteHeader(one.status)
				_, _ = response.Write([]byte(one.body))
			}))
			t.Cleanup(server.Close)
			spoke := newCollector(t, map[string]any{
				"hub": map[string]any{"endpoint": server.URL, "token": spokeToken, "interval": "1h"},
			})
			spoke.storage = nil
			spoke.start(t)
			eventually(t, "the warning", func() bool { return spoke.logged("the hub cannot be followed") == 1 })
			warning := spoke.logs.FilterMessageSnippet("the hub cannot be followed").All()[0]
			assert.Contains(t, warning.ContextMap()["error"], one.expected)
			assert.Empty(t, spoke.mark(t, "checkout"))
		})
	}
}

// Scenario: webhooks are taken beside a hub that then stops.
// Guarantees: there is a warning; both incidents are marked, and after the time to live that of the webhook still is; nothing that
// the hub said is in the storage.
func TestWebhooksBesideAHubAreWarnedOfAndKept(t *testing.T) {
	hub := newFakeHub(t)
	hub.set(func() { hub.timeToLive = 3 })
	hub.incident.opens(t, "of-hub")
	settings := shop()
	settings["webhooks"] = map[string]any{}
	spoke := hub.spoke(t, settings)
	assert.Equal(t, 1, spoke.logged("webhooks are taken beside a hub"))
	eventually(t, "the hub's", func() bool { return len(spoke.open(t)) == 1 })
	spoke.opens(t, "of-webhook")
	assert.ElementsMatch(t, []string{"manual:of-hub", "manual:of-webhook"}, spoke.open(t))

	hub.set(func() { hub.down = true })
	eventually(t, "the end of the hub's", func() bool { return len(spoke.open(t)) == 1 })
	assert.Equal(t, "manual:of-webhook", spoke.mark(t, "checkout"))
	for key, value := range spoke.storage.kept() {
		assert.NotContains(t, string(value), "of-hub", key)
	}
	spoke.stop(t)
	spoke.start(t)
	assert.Equal(t, []string{"manual:of-webhook"}, spoke.open(t))
}
