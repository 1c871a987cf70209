package faultlineextension_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension"
)

const minute = time.Minute

var virtualStart = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// Scenario: the Collector is started again, with a storage.
// Guarantees: what was open is open, what was closed is closed, and a delivery from before is still a duplicate.
func TestARestartKeepsIncidents(t *testing.T) {
	collector := newCollector(t, shop())
	collector.start(t)
	collector.opens(t, "open")
	collector.opens(t, "closed")
	collector.closes(t, "closed")
	collector.stop(t)
	assert.Zero(t, collector.storage.open, "every storage client was closed")

	collector.start(t)
	assert.Equal(t, []string{"manual:open"}, collector.open(t))
	assert.Equal(t, "manual:open", collector.mark(t, "checkout"))
	assert.Empty(t, collector.mark(t, "cart"))
}

func TestWithoutAStorageIncidentsEndWithTheProcessWhichIsSaid(t *testing.T) {
	collector := newCollector(t, shop())
	collector.storage = nil
	collector.start(t)
	assert.Equal(t, 1, collector.logged("incidents end with this process"))
	collector.opens(t, "1")
	collector.stop(t)
	collector.start(t)
	assert.Empty(t, collector.open(t))
}

// Scenario: one byte of a record in the storage is damaged.
// Guarantees: the Collector starts, says which record it is, has all other incidents, and keeps the record.
func TestADamagedRecordIsReportedAndKept(t *testing.T) {
	collector := newCollector(t, shop())
	collector.start(t)
	for number := range 3 {
		collector.opens(t, fmt.Sprint(number))
	}
	collector.stop(t)
	damaged := collector.storage.kept()["journal/1/1"]
	require.NotEmpty(t, damaged)
	damaged = append([]byte(nil), damaged...)
	damaged[len(damaged)-1] ^= 1
	collector.storage.put("journal/1/1", damaged)

	for range 2 {
		collector.start(t)
		assert.Equal(t, []string{"manual:0", "manual:2"}, collector.open(t))
		collector.stop(t)
	}
	assert.Equal(t, 2, collector.logged("damaged"), "once at each start")
	assert.Equal(t, damaged, collector.storage.kept()["journal/1/1"])
}

// Scenario: webhooks come until the journal is compacted, several times, and then the Collector starts again.
// Guarantees: the storage holds no more than it must, and everything is there.
func TestTheJournalStaysSmall(t *testing.T) {
	collector := newCollector(t, shop())
	collector.start(t)
	collector.opens(t, "stays")
	for number := range 700 {
		got := collector.manual(t, fmt.Sprintf(`{"action": "update", "id": "stays", "title": "%s %d"}`, strings.Repeat("long ", 60), number))
		require.Equal(t, http.StatusAccepted, got.status, got.body)
		faultlineextension.Compact(t.Context(), collector.extension)
	}
	assert.Less(t, len(collector.storage.kept()), 600)
	assert.Contains(t, collector.storage.kept(), "journal/3/0", "it was compacted twice")
	assert.NotContains(t, collector.storage.kept(), "journal/1/0")
	collector.stop(t)
	collector.start(t)
	assert.Equal(t, []string{"manual:stays"}, collector.open(t))
}

// Scenario: things that keep the extension from starting.
// Guarantees: the error names the key and the way out, and nothing is left running (goleak looks).
func TestWhatKeepsItFromStartingIsNamed(t *testing.T) {
	for name, one := range map[string]struct {
		prepare  func(collector *collector)
		expected string
	}{
		"a storage that is not there": {
			func(c *collector) { c.missing = &storageID }, `extensions::faultline::storage: there is no extension "memory_storage"`,
		},
		"a storage that is none": {
			func(c *collector) { c.missing = &storageID; c.around = host{storageID: guard{}} },
			`extensions::faultline::storage: "memory_storage" is no storage extension`,
		},
		"a storage that fails": {
			func(c *collector) { c.storage.fail(true) }, `the storage does not give "journal/index": no space left on device`,
		},
		"an index of another version": {
			func(c *collector) { c.storage.put("journal/index", []byte(`{"format":2}`)) }, "it has format 2, and this version reads format 1",
		},
		"an index that is damaged": {
			func(c *collector) { c.storage.put("journal/index", []byte(`{"form`)) }, "restore the storage, or start with an empty one",
		},
		"an authenticator that is not there": {
			func(c *collector) {
				c.settings["webhooks"] = map[string]any{"auth": map[string]any{"authenticator": "guard"}}
			}, "extensions::faultline::webhooks: ",
		},
		"an address that is none": {
			func(c *collector) { c.address = "256.0.0.1:1" }, "extensions::faultline::webhooks: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			collector := newCollector(t, shop())
			one.prepare(collector)
			assert.ErrorContains(t, collector.tryStart(t), one.expected)
			assert.Zero(t, collector.storage.open)
		})
	}
}

func TestItAsksToBeStartedAfterWhatItNeeds(t *testing.T) {
	collector := newCollector(t, shop())
	collector.settings["webhooks"] = map[string]any{"auth": map[string]any{"authenticator": "guard"}}
	collector.around = host{component.MustNewID("guard"): guard{}}
	collector.start(t)
	needed := collector.extension.(interface{ Dependencies() []component.ID }).Dependencies()
	assert.Equal(t, []component.ID{storageID, component.MustNewID("guard")}, needed)
}
