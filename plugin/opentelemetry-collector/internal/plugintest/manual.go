// Package plugintest is what tests of several packages share: incidents, batches, and modules with faults.
package plugintest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

const token = "for-tests-only-0123456789abcdef"

// Config has one source, manual, by which tests open incidents. more goes behind it in the document: `, "prefix": "x."`.
func Config(more string) string {
	return fmt.Sprintf(`{"sources": {"manual": {"kind": "manual", "tokens": [%q]}}%s}`, token, more)
}

// Source is the name of the source in Config.
const Source = "manual"

// Open is a webhook that opens an incident of these services, or tells more about it.
func Open(id string, services ...string) guest.Webhook {
	return webhook(map[string]any{"action": "open", "id": id, "services": services, "severity": "critical",
		"url": "https://shop.pagerduty.example/incidents/" + id})
}

// Close is a webhook that ends an incident.
func Close(id string) guest.Webhook {
	return webhook(map[string]any{"action": "close", "id": id})
}

// Forged is a webhook of somebody who does not know the token.
func Forged() guest.Webhook {
	forged := Open("1", "checkout")
	forged.Headers = nil
	return forged
}

func webhook(body map[string]any) guest.Webhook {
	bytes, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return guest.Webhook{
		Method:  "POST",
		URL:     "/" + Source,
		Headers: []guest.Header{{Name: "Authorization", Value: []byte("Bearer " + token)}},
		Body:    bytes,
	}
}

// Now is a time for tests that need none in particular.
var Now = time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC)
