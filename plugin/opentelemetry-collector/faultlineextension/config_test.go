package faultlineextension_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension"
)

// resolve reads configuration as the Collector does, variables of the environment included.
func resolve(t *testing.T, uri string) *confmap.Conf {
	t.Helper()
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: []string{uri},
		ProviderFactories: []confmap.ProviderFactory{
			envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory(),
		},
		DefaultScheme: "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(context.Background())
	require.NoError(t, err)
	return conf
}

// load reads the configuration of one extension.
func load(t *testing.T, conf *confmap.Conf, id component.ID) (*faultlineextension.Config, error) {
	t.Helper()
	sub, err := conf.Sub(id.String())
	require.NoError(t, err)
	config := faultlineextension.NewFactory().CreateDefaultConfig().(*faultlineextension.Config)
	if err := sub.Unmarshal(config); err != nil {
		return nil, err
	}
	// In a map, as the Collector checks it: so that errors have their path.
	return config, confmap.Validate(map[string]map[component.ID]component.Config{"extensions": {id: config}})
}

func TestEveryKeyOfAConfigurationArrives(t *testing.T) {
	t.Setenv("PAGERDUTY_SECRET", "00123")
	t.Setenv("GRAFANA_TOKEN", "grafana-token")
	t.Setenv("PAGERDUTY_SERVICE", "P4K9ZTC")
	t.Setenv("SPOKE_TOKEN", "spoke-token")
	conf := resolve(t, "file:testdata/config.yaml")

	config, err := load(t, conf, component.MustNewID("faultline"))
	require.NoError(t, err)
	assert.Equal(t, "{}", faultlineextension.PluginJSON(config))
	assert.True(t, faultlineextension.TakesWebhooks(config))

	config, err = load(t, conf, component.MustNewIDWithName("faultline", "everything"))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"marking": "on", "prefix": "shop.incident.",
		"sources": {
			"pagerduty": {"kind": "pagerduty", "secrets": ["123456", "00123"], "min_severity": "high", "lease": "12h"},
			"grafana": {"kind": "generic", "tokens": ["grafana-token"], "fields": {"events": "/alerts", "id": "/fingerprint",
				"state": "/status", "states": {"firing": "triggered", "resolved": "resolved"}}}
		},
		"services": [{"source": "pagerduty", "id": "P4K9ZTC", "to": [{"service": "checkout", "environment": "production"}]}],
		"service_labels": ["app", "job"], "environment_labels": ["env"], "environments": {"prod": "production"},
		"match_normalized_names": true, "unmatched": "ignore", "carry_merged_services": false,
		"window": {"lookback": "1m", "grace": "2m", "keep_closed": "30m"},
		"traces": {"spans": "entry-and-error"}, "logs": {"records": "off"}, "metrics": {"points": "off", "exemplars": "on"},
		"limits": {"webhook_bytes": 2048}
	}`, faultlineextension.PluginJSON(config))
	assert.Equal(t, "0.0.0.0:4319", config.Webhooks.Get().NetAddr.Endpoint)
	assert.Equal(t, "file_storage/faultline", config.Storage.String())
	assert.Equal(t, 250*time.Millisecond, config.Timeout)
	assert.EqualValues(t, 64, config.MemoryLimitMiB)
	assert.Equal(t, 2, config.Instances)

	config, err = load(t, conf, component.MustNewIDWithName("faultline", "spoke"))
	require.NoError(t, err)
	assert.False(t, faultlineextension.TakesWebhooks(config))
	hub := config.Hub.Get()
	assert.Equal(t, "https://faultline:4322", hub.Endpoint)
	assert.Equal(t, "spoke-token", string(hub.Token))
	assert.Equal(t, 2*time.Second, hub.Interval)
	assert.Equal(t, 3*time.Second, hub.Timeout)
}

// Scenario: configurations with faults, of the extension's own keys and of the plugin's.
// Guarantees: each is found, and named by the key path that people see in their file.
func TestFaultsAreNamedByTheirKeyPath(t *testing.T) {
	for _, one := range []struct{ config, expected string }{
		{"webhoks: {}", "invalid keys: webhoks"},
		{"webhooks: {endpont: x}", "invalid keys: endpont"},
		{"timeout: 0s", "extensions::faultline: timeout: 0s is not greater than nothing"},
		{"memory_limit_mib: 5000", "extensions::faultline: memory_limit_mib: 5000 is not from 8 to 4095"},
		{"instances: -1", "extensions::faultline: instances: -1 is not from 0 to 1024"},
		{"hub: {token: t}", "extensions::faultline::hub: endpoint: it is required"},
		{"hub: {endpoint: 'faultline:4322', token: t}", "does not begin with http:// or https://"},
		{"hub: {endpoint: 'http://h:1'}", "extensions::faultline::hub: token: one of the hub's"},
		{"hub: {endpoint: 'http://h:1', token: t, interval: 0s}", "extensions::faultline::hub: interval: 0s"},
		{"sources: {pd: {kind: pagerdooty, secrets: [s]}}", "extensions::faultline: sources::pd::kind: "},
		{"sources: {pd: {kind: pagerduty}}", "sources::pd"},
		{"sources: {pd: {kind: pagerduty, secrets: [s], min_severty: high}}", "sources::pd::min_severty: "},
		{"services: [{id: P1, to: [{service: 7}]}]", "services::0::to::0::service: "},
		{"window: {grace: soon}\nunmatched: some", "window::grace: "},
		{"window: {grace: soon}\nunmatched: some", "unmatched: "},
		{"metrics: {points: on}", "metrics"},
		{"sources: {'a/b~c': {kind: x}}", "sources::a/b~c::kind: "},
	} {
		t.Run(one.config, func(t *testing.T) {
			indented := strings.ReplaceAll("\n"+one.config, "\n", "\n  ")
			_, err := load(t, resolve(t, "yaml:faultline:"+indented), component.MustNewID("faultline"))
			assert.ErrorContains(t, err, one.expected)
		})
	}
}

// Scenario: a configuration with secrets is printed, and refused.
// Guarantees: no secret is shown.
func TestSecretsAreNotShown(t *testing.T) {
	text := `
  sources:
    pd: { kind: pagerduty, secrets: [hunter2] }
    am: { kind: alertmanager, tokens: [hunter2] }
    odd: { kind: odd, secrets: [hunter2] }
  hub: { endpoint: "http://h:1", token: hunter2 }`
	conf := resolve(t, "yaml:faultline:"+text)
	config := faultlineextension.NewFactory().CreateDefaultConfig().(*faultlineextension.Config)
	sub, err := conf.Sub("faultline")
	require.NoError(t, err)
	require.NoError(t, sub.Unmarshal(config))
	printed := confmap.New()
	require.NoError(t, printed.Marshal(config))
	asJSON, err := json.Marshal(printed.ToStringMap())
	require.NoError(t, err)
	assert.Contains(t, string(asJSON), "[REDACTED]")
	assert.NotContains(t, string(asJSON), "hunter2")
	assert.NotContains(t, fmt.Sprint(confmap.Validate(config)), "hunter2")
}

// Scenario: the schema of faultline.yaml gets a key.
// Guarantees: the extension takes it too.
func TestTheKeysAreThoseOfTheSchema(t *testing.T) {
	text, err := os.ReadFile("../../../host-harness/src/configuration.schema.json")
	require.NoError(t, err)
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	// The server of faultline.yaml is what the Collector is here.
	delete(schema.Properties, "serve")
	for key := range schema.Properties {
		config := faultlineextension.NewFactory().CreateDefaultConfig()
		err := confmap.NewFromStringMap(map[string]any{key: nil}).Unmarshal(config)
		assert.NoError(t, err, key)
	}
	assert.GreaterOrEqual(t, len(schema.Properties), 15)
}
