package faultlineextension

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
)

// Config is what can be set. The empty configuration works: it takes webhooks on localhost:4319, and keeps in memory what
// they said.
type Config struct {
	// PluginConfig are the plugin's own keys, at the same level as the others.
	PluginConfig `mapstructure:",squash"`

	// Webhooks is where incident tools send to: POST /webhooks/{source}. By default localhost:4319, and closed when a hub
	// is set. Bodies may have `limits::webhook_bytes`, unless `max_request_body_size` says otherwise.
	Webhooks configoptional.Optional[confighttp.ServerConfig] `mapstructure:"webhooks"`

	// Storage is the storage extension that keeps incidents. Without one they end with the process.
	Storage *component.ID `mapstructure:"storage"`

	// Hub is a `faultline serve` whose incidents this Collector marks. By default none.
	Hub configoptional.Optional[HubConfig] `mapstructure:"hub"`

	// Timeout is how long the plugin may take for one call. What takes longer goes on unmarked.
	Timeout time.Duration `mapstructure:"timeout"`

	// MemoryLimitMiB is how much memory one instance of the plugin may have; a batch that needs more goes on unmarked.
	MemoryLimitMiB uint32 `mapstructure:"memory_limit_mib"`

	// CacheDir is a folder that keeps the compiled plugin for the next start. By default it is compiled at each start.
	CacheDir string `mapstructure:"cache_dir"`

	// Instances is how many batches can be marked at a time. 0 is one for each core.
	Instances int `mapstructure:"instances"`
}

// HubConfig says where the hub is.
type HubConfig struct {
	// ClientConfig has `endpoint`, the URL of the hub's listener `spokes`, and TLS, proxy and authenticators as every
	// HTTP client of the Collector.
	confighttp.ClientConfig `mapstructure:",squash"`

	// Token is one of the hub's `spokes.tokens`. Not needed with an authenticator.
	Token configopaque.String `mapstructure:"token"`

	// Interval is how often the hub is asked. An incident is marked so much later here than in the hub at most.
	Interval time.Duration `mapstructure:"interval"`
}

const (
	defaultEndpoint    = "localhost:4319"
	defaultHubInterval = 5 * time.Second
	defaultHubTimeout  = 10 * time.Second
	// memoryLimitMax is all that a WebAssembly memory of 32 bits can have, in MiB, less one.
	memoryLimitMax = 4095
	// memoryLimitMin is what the plugin needs to start with a state of some incidents, in MiB.
	memoryLimitMin = 8
	instancesMax   = 1024
)

var (
	_ confmap.Validator = (*Config)(nil)
	_ confmap.Validator = (*HubConfig)(nil)
)

func createDefaultConfig() component.Config {
	return &Config{
		Webhooks:       configoptional.Default(defaultWebhooks()),
		Hub:            configoptional.Default(defaultHub()),
		Timeout:        plugin.DefaultDeadline,
		MemoryLimitMiB: plugin.DefaultMemoryMiB,
	}
}

func defaultWebhooks() confighttp.ServerConfig {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	// A body has at most some MiB, and senders give up after 4 to 30 seconds.
	server.ReadHeaderTimeout = 10 * time.Second
	server.ReadTimeout = 10 * time.Second
	server.WriteTimeout = 40 * time.Second
	return server
}

func defaultHub() HubConfig {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = defaultHubTimeout
	return HubConfig{ClientConfig: client, Interval: defaultHubInterval}
}

// takesWebhooks tells whether there is to be a listener.
func (c *Config) takesWebhooks() bool {
	return c.Webhooks.HasValue() || !c.Hub.HasValue()
}

// Validate finds all faults at once, those of the plugin's own keys included.
func (c *Config) Validate() error {
	var faults []error
	if c.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("timeout: %s is not greater than nothing; the plugin must not hold up telemetry for ever", c.Timeout))
	}
	if c.MemoryLimitMiB < memoryLimitMin || c.MemoryLimitMiB > memoryLimitMax {
		faults = append(faults, fmt.Errorf("memory_limit_mib: %d is not from %d to %d", c.MemoryLimitMiB, memoryLimitMin, memoryLimitMax))
	}
	if c.Instances < 0 || c.Instances > instancesMax {
		faults = append(faults, fmt.Errorf("instances: %d is not from 0 to %d", c.Instances, instancesMax))
	}
	if len(faults) == 0 {
		faults = append(faults, c.checkPlugin())
	}
	return errors.Join(faults...)
}

// checkPlugin asks the plugin what it thinks of its keys.
func (c *Config) checkPlugin() error {
	config, err := c.document().json()
	if err != nil {
		return err
	}
	ctx := context.Background()
	checked, _, err := plugin.New(ctx, plugin.Settings{
		Config:         config,
		Name:           "check",
		Deadline:       c.Timeout,
		MemoryMiB:      c.MemoryLimitMiB,
		CacheDirectory: c.CacheDir,
		Instances:      1,
	})
	if err != nil {
		return withKeyPaths("", err)
	}
	return checked.Close(ctx)
}

// Validate checks what the client itself does not.
func (c *HubConfig) Validate() error {
	var faults []error
	hub, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		faults = append(faults, errors.New("endpoint: it is required, for example https://faultline:4322"))
	case err != nil:
		faults = append(faults, fmt.Errorf("endpoint: %w", err))
	case hub.Host == "" || hub.Scheme != "http" && hub.Scheme != "https":
		faults = append(faults, fmt.Errorf("endpoint: %q does not begin with http:// or https:// and a host", c.Endpoint))
	}
	if c.Token == "" && !c.Auth.HasValue() {
		faults = append(faults, errors.New("token: one of the hub's `spokes.tokens` is required, or `auth` with an authenticator"))
	}
	if c.Interval <= 0 {
		faults = append(faults, fmt.Errorf("interval: %s is not greater than nothing", c.Interval))
	}
	if c.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("timeout: %s is not greater than nothing", c.Timeout))
	}
	return errors.Join(faults...)
}
