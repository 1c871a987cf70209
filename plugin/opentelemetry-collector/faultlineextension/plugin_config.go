package faultlineextension

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// PluginConfig is the configuration of the plugin, with the keys of faultline.yaml. The plugin itself reads and checks what
// is below them; what each means is in the table of Faultline's README.
type PluginConfig struct {
	// Marking `off` stops all marking; webhooks are still recorded.
	Marking any `mapstructure:"marking"`
	// Prefix is what the names of the attributes begin with.
	Prefix any `mapstructure:"prefix"`
	// Sources are those who may send webhooks, by name. The name is part of the URL and of every incident's id.
	Sources map[string]SourceConfig `mapstructure:"sources"`
	// Services are rules: which services of a sender are which service.name.
	Services any `mapstructure:"services"`
	// ServiceLabels are the labels of an alert that name a service.
	ServiceLabels any `mapstructure:"service_labels"`
	// EnvironmentLabels are the labels of an alert that name an environment.
	EnvironmentLabels any `mapstructure:"environment_labels"`
	// Environments are other names of environments.
	Environments any `mapstructure:"environments"`
	// MatchNormalizedNames lets "Checkout API" match "checkout-api".
	MatchNormalizedNames any `mapstructure:"match_normalized_names"`
	// Unmatched is what an incident marks that matches no service.
	Unmatched any `mapstructure:"unmatched"`
	// CarryMergedServices lets an incident that swallowed another mark the other's services too.
	CarryMergedServices any `mapstructure:"carry_merged_services"`
	// Window is the time that an incident marks.
	Window any `mapstructure:"window"`
	// Traces is what to mark in traces.
	Traces any `mapstructure:"traces"`
	// Logs is what to mark in logs.
	Logs any `mapstructure:"logs"`
	// Metrics is what to mark in metrics.
	Metrics any `mapstructure:"metrics"`
	// Limits are bounds that may be moved.
	Limits any `mapstructure:"limits"`
}

// SourceConfig is one sender of webhooks. Secrets have a type of their own, so that the Collector shows them nowhere, and that
// one from the environment is a text though it may have digits only.
type SourceConfig struct {
	// Secrets are keys of signatures; one match is enough.
	Secrets []configopaque.String `mapstructure:"secrets"`
	// Tokens are bearer tokens; one match is enough.
	Tokens []configopaque.String `mapstructure:"tokens"`
	// Settings are the other keys: kind, min_severity, match, …
	Settings map[string]any `mapstructure:",remain"`
}

// document is a JSON object with keys of the plugin's configuration.
type document map[string]any

// document gives what is set, in the form that the plugin reads.
func (c *PluginConfig) document() document {
	settings := document{
		"marking":                c.Marking,
		"prefix":                 c.Prefix,
		"services":               c.Services,
		"service_labels":         c.ServiceLabels,
		"environment_labels":     c.EnvironmentLabels,
		"environments":           c.Environments,
		"match_normalized_names": c.MatchNormalizedNames,
		"unmatched":              c.Unmatched,
		"carry_merged_services":  c.CarryMergedServices,
		"window":                 c.Window,
		"traces":                 c.Traces,
		"logs":                   c.Logs,
		"metrics":                c.Metrics,
		"limits":                 c.Limits,
	}
	maps.DeleteFunc(settings, func(_ string, value any) bool { return value == nil })
	if len(c.Sources) > 0 {
		sources := make(map[string]any, len(c.Sources))
		for name, source := range c.Sources {
			sources[name] = source.document()
		}
		settings["sources"] = sources
	}
	return settings
}

func (s SourceConfig) document() map[string]any {
	settings := make(map[string]any, len(s.Settings)+2)
	maps.Copy(settings, s.Settings)
	for key, values := range map[string][]configopaque.String{"secrets": s.Secrets, "tokens": s.Tokens} {
		if values == nil {
			continue
		}
		plain := make([]string, 0, len(values))
		for _, value := range values {
			plain = append(plain, string(value))
		}
		settings[key] = plain
	}
	return settings
}

// json is what `configure` of the plugin takes.
func (d document) json() (string, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("the configuration of the plugin cannot be written as JSON: %w", err)
	}
	return string(text), nil
}

// webhookBytesDefault is the plugin's default of `limits::webhook_bytes`.
const webhookBytesDefault = 1 << 20

// webhookBytes is how long a webhook may be, as far as the configuration can be read.
func (c *PluginConfig) webhookBytes() int64 {
	if limits, ok := c.Limits.(map[string]any); ok {
		switch bytes := limits["webhook_bytes"].(type) {
		case int:
			return int64(bytes)
		case int64:
			return bytes
		}
	}
	return webhookBytesDefault
}

// keyPath writes a JSON Pointer into the plugin's configuration as the Collector writes its keys.
func keyPath(pointer string) string {
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for at, part := range parts {
		parts[at] = unescape.Replace(part)
	}
	return strings.Join(parts, "::")
}

// describe writes a fault for people. Path is that of the extension with "::" behind it, or empty.
func describe(path string, fault guest.ConfigFault) string {
	text := path + keyPath(fault.Pointer) + ": " + fault.Message
	if fault.Pointer == "" {
		text = strings.TrimSuffix(path, "::") + ": " + fault.Message
	}
	if fault.Hint != nil {
		text += "; " + *fault.Hint
	}
	return text
}
