package plugin

import (
	"errors"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// Defaults of Settings.
const (
	// DefaultDeadline is far beyond what any call takes, and short enough for a pipeline to wait.
	DefaultDeadline = time.Second
	// DefaultMemoryMiB has room for the largest state that the plugin takes, and a large batch beside it. Memory is only
	// taken when it is needed: an instance begins with about 1 MiB.
	DefaultMemoryMiB = 512
)

// Settings is how the plugin is run.
type Settings struct {
	// Config is the plugin's configuration, a JSON document with secrets in place.
	Config string
	// Name begins the names of instances, and tells those of this process from others.
	Name string
	// Deadline is how long a batch may wait for one call; 0: DefaultDeadline. There is no switch to turn it off, as it costs next to
	// nothing, and a guest without one could stop the whole Collector.
	Deadline time.Duration
	// MemoryMiB is how much memory one instance may have; 0: DefaultMemoryMiB.
	MemoryMiB uint32
	// CacheDirectory is where compiled code is kept between starts; empty: nowhere.
	CacheDirectory string
	// Instances is how many there may be; 0: one for each processor that Go uses.
	Instances int
	// Clock is the time that incidents are judged by; nil: time.Now.
	Clock func() time.Time
	// Logger is told what people should know; nil: nobody is told.
	Logger *zap.Logger
	// Telemetry counts; nil: nobody counts.
	Telemetry Telemetry
	// Module is the plugin; nil: the one that is embedded. Tests bring others.
	Module []byte
}

// Telemetry counts what becomes of instances. Safe for concurrent use.
type Telemetry interface {
	// Restarted: an instance was dropped, because it trapped ("trap") or ran past its deadline ("deadline"). A new one
	// takes its place.
	Restarted(reason string)
}

type noTelemetry struct{}

func (noTelemetry) Restarted(string) {}

// withDefaults fills in what was left out.
func (s Settings) withDefaults() (Settings, error) {
	if s.Name == "" {
		return s, errors.New("instances of the plugin need a name, to tell theirs from those of other processes")
	}
	if s.Deadline == 0 {
		s.Deadline = DefaultDeadline
	}
	if s.MemoryMiB == 0 {
		s.MemoryMiB = DefaultMemoryMiB
	}
	if s.Instances <= 0 {
		s.Instances = runtime.GOMAXPROCS(0)
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Telemetry == nil {
		s.Telemetry = noTelemetry{}
	}
	if s.Module == nil {
		s.Module = guest.Core
	}
	return s, nil
}
