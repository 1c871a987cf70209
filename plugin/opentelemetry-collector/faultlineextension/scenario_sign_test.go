package faultlineextension_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// sign gives the headers with which a sender of the configured kind proves that a body is its own. Secret "" is the first
// that is configured.
func sign(t *testing.T, config map[string]any, source, secret string, body []byte) http.Header {
	t.Helper()
	headers := http.Header{}
	sources, _ := config["sources"].(map[string]any)
	configured, known := sources[source].(map[string]any)
	if !known {
		// There is no way to sign for a source that does not exist.
		return headers
	}
	key := func(list string) string {
		if secret != "" {
			return secret
		}
		keys, _ := configured[list].([]any)
		require.NotEmpty(t, keys, "the source %q has no %q", source, list)
		return keys[0].(string)
	}
	digest := func() []byte {
		mac := hmac.New(sha256.New, []byte(key("secrets")))
		mac.Write(body)
		return mac.Sum(nil)
	}
	_, hasSecrets := configured["secrets"]
	switch kind := configured["kind"]; {
	case kind == "pagerduty":
		headers.Set("X-PagerDuty-Signature", "v1="+hex.EncodeToString(digest()))
	case kind == "github":
		headers.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(digest()))
	case kind == "generic" && hasSecrets:
		signature, _ := configured["signature"].(map[string]any)
		setting := func(name, otherwise string) string {
			if text, ok := signature[name].(string); ok {
				return text
			}
			return otherwise
		}
		text := hex.EncodeToString(digest())
		if setting("encoding", "hex") == "base64" {
			text = base64.StdEncoding.EncodeToString(digest())
		}
		headers.Set(setting("header", "X-Signature"), setting("prefix", "")+text)
	default:
		headers.Set("Authorization", "Bearer "+key("tokens"))
	}
	return headers
}
