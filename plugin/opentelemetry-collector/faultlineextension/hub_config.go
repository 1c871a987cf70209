package faultlineextension

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// ownKeys are those of the plugin's keys that say what marks look like and what is marked. A Collector that follows a hub
// sets these itself; the others come from the hub, so that all of them map services as the hub does.
var ownKeys = []string{"prefix", "traces", "logs", "metrics", "limits"}

// withHub is the configuration of a plugin that marks what a hub knows. Hub is the member `configuration` of its answer. Keys
// that are not there have the plugin's defaults, as in the hub.
//
// What is left of local, beside ownKeys, are sources and services, if webhooks are taken here too: their incidents mark as
// if there were no hub.
func (d document) withHub(hub json.RawMessage, takesWebhooks bool) (document, error) {
	result := document{}
	if len(hub) > 0 {
		if err := json.Unmarshal(hub, &result); err != nil {
			return nil, fmt.Errorf("the hub's configuration is no JSON object: %w", err)
		}
	}
	sources, err := withCredentials(result["sources"])
	if err != nil {
		return nil, err
	}
	for _, key := range ownKeys {
		delete(result, key)
		if value, ok := d[key]; ok {
			result[key] = value
		}
	}
	// Whoever says stop is heard.
	if d["marking"] == "off" || d["marking"] == false {
		result["marking"] = "off"
	}
	if takesWebhooks {
		local, _ := d["sources"].(map[string]any)
		for name, source := range local {
			if _, known := sources[name]; !known {
				sources[name] = source
			}
		}
		ofHub, _ := result["services"].([]any)
		here, _ := d["services"].([]any)
		if rules := slices.Concat(ofHub, here); len(rules) > 0 {
			result["services"] = rules
		}
	}
	if len(sources) > 0 {
		result["sources"] = sources
	}
	return result, nil
}

// withCredentials gives the hub's sources the credentials that the plugin asks for: the hub tells none. Nobody knows these,
// and no webhook goes to an instance that has them.
func withCredentials(ofHub any) (map[string]any, error) {
	sources := map[string]any{}
	if ofHub == nil {
		return sources, nil
	}
	listed, ok := ofHub.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("`sources` of the hub's configuration is no object")
	}
	for name, settings := range listed {
		source, ok := settings.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the source %q of the hub's configuration is no object", name)
		}
		source = maps.Clone(source)
		source["tokens"] = []string{rand.Text()}
		sources[name] = source
	}
	return sources, nil
}

// fromHub lists the keys that are set and not used, since the hub's are.
func (d document) fromHub(takesWebhooks bool) []string {
	var unused []string
	for key := range d {
		isUsed := slices.Contains(ownKeys, key) || key == "marking" ||
			takesWebhooks && (key == "sources" || key == "services")
		if !isUsed {
			unused = append(unused, key)
		}
	}
	slices.Sort(unused)
	return unused
}
