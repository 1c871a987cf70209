package faultlineprocessor

import (
	"errors"

	"go.opentelemetry.io/collector/component"
)

// Config is what can be set for the processor. Everything about incidents is set at the extension.
type Config struct {
	// Extension is the extension that owns the plugin: faultline, or faultline/name where there are several.
	Extension component.ID `mapstructure:"extension"`
}

var _ component.Config = (*Config)(nil)

// defaultExtension is the extension without a name.
var defaultExtension = component.NewID(component.MustNewType("faultline"))

func createDefaultConfig() component.Config { return &Config{Extension: defaultExtension} }

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	if c.Extension == (component.ID{}) {
		return errors.New("extension is empty: name the extension that owns the plugin, faultline by default")
	}
	return nil
}
