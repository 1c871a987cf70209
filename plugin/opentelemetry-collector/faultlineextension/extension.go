package faultlineextension

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineextension/internal/metadata"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/journal"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/spoke"
)

// faultline is the extension. What it is made of is there between Start and Shutdown.
type faultline struct {
	id        component.ID
	config    *Config
	settings  component.TelemetrySettings
	clock     *hubClock
	telemetry *metadata.TelemetryBuilder

	// decides is what webhooks go to; nil when none are taken.
	decides *guarded
	// marks is what telemetry goes to. It is decides, unless a hub is followed: what the hub says is not to come into the
	// journal.
	marks  *guarded
	intake *intake
	server *http.Server
	spoke  *spoke.Spoke
	// stop ends what runs in the background, and background waits for it.
	stop       context.CancelFunc
	background sync.WaitGroup
}

var (
	_ extension.Extension             = (*faultline)(nil)
	_ extensioncapabilities.Dependent = (*faultline)(nil)
	_ marking.Provider                = (*faultline)(nil)
)

const (
	// leasesEvery is how often leases are looked at; that they no longer mark does not depend on it.
	leasesEvery = 5 * time.Second
	// journalName tells our part of the storage from others of this component.
	journalName = "journal"
)

func newFaultline(settings extension.Settings, config *Config, clock func() time.Time) (*faultline, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &faultline{
		id:        settings.ID,
		config:    config,
		settings:  settings.TelemetrySettings,
		clock:     &hubClock{clock: clock},
		telemetry: telemetry,
	}, nil
}

// Dependencies are extensions that are to be there first.
func (e *faultline) Dependencies() []component.ID {
	var ids []component.ID
	if e.config.Storage != nil {
		ids = append(ids, *e.config.Storage)
	}
	if server := e.config.Webhooks.Get(); server != nil && server.Auth.HasValue() {
		ids = append(ids, server.Auth.Get().AuthenticatorID)
	}
	if hub := e.config.Hub.Get(); hub != nil && hub.Auth.HasValue() {
		ids = append(ids, hub.Auth.Get().AuthenticatorID)
	}
	return ids
}

// Annotator is what processors put telemetry through; nil before the start.
func (e *faultline) Annotator() marking.Annotator {
	if e.marks == nil {
		return nil
	}
	return e.marks
}

// Start has everything in force before the port opens: what was committed before, most of all.
func (e *faultline) Start(ctx context.Context, host component.Host) error {
	err := e.start(ctx, host)
	if err != nil {
		// The Collector does not shut down what did not start.
		err = errors.Join(err, e.Shutdown(ctx))
	}
	return err
}

func (e *faultline) start(ctx context.Context, host component.Host) error {
	e.warn()
	var background context.Context
	background, e.stop = context.WithCancel(context.Background())
	if err := e.startPlugins(ctx); err != nil {
		return err
	}
	if err := e.observe(); err != nil {
		return err
	}
	if e.config.takesWebhooks() {
		if err := e.startIntake(ctx, host); err != nil {
			return err
		}
		e.background.Go(func() { e.lookAtLeases(background) })
		if err := e.startServer(ctx, host); err != nil {
			return err
		}
	}
	if e.config.Hub.HasValue() {
		return e.startSpoke(ctx, host)
	}
	return nil
}

// startPlugins compiles the plugin and puts its configuration in force.
func (e *faultline) startPlugins(ctx context.Context) error {
	own, err := newGuarded(ctx, e, e.config.document())
	if err != nil {
		return err
	}
	e.marks = own
	if !e.config.takesWebhooks() {
		return nil
	}
	e.decides = own
	if e.config.Hub.HasValue() {
		e.marks, err = newGuarded(ctx, e, e.config.document())
	}
	return err
}

// startIntake reads the journal, and puts in force what is in it.
func (e *faultline) startIntake(ctx context.Context, host component.Host) error {
	client := storage.NewNopClient()
	if e.config.Storage != nil {
		found, ok := host.GetExtensions()[*e.config.Storage]
		if !ok {
			return fmt.Errorf("extensions::%s::storage: there is no extension %q; list it under service::extensions", e.id, e.config.Storage)
		}
		store, ok := found.(storage.Extension)
		if !ok {
			return fmt.Errorf("extensions::%s::storage: %q is no storage extension, as file_storage is one", e.id, e.config.Storage)
		}
		var err error
		if client, err = store.GetClient(ctx, component.KindExtension, e.id, journalName); err != nil {
			return fmt.Errorf("extensions::%s::storage: %w", e.id, err)
		}
	}
	kept, entries, err := journal.Open(ctx, client, e.settings.Logger, time.Now())
	if err != nil {
		return errors.Join(err, client.Close(ctx))
	}
	e.intake = newIntake(e.decides, e.marks, kept, e.telemetry, e.settings.Logger)
	if err := e.intake.merge(ctx, entries); err != nil {
		return err
	}
	if len(entries) > 0 {
		e.settings.Logger.Info("incidents were read from the storage", zap.Int("entries", len(entries)))
	}
	return nil
}

func (e *faultline) startServer(ctx context.Context, host component.Host) error {
	config := *e.config.Webhooks.GetOrInsertDefault()
	if config.MaxRequestBodySize == 0 {
		config.MaxRequestBodySize = e.config.webhookBytes()
	}
	server, err := config.ToServer(ctx, host.GetExtensions(), e.settings, e.routes(),
		confighttp.WithErrorHandler(func(response http.ResponseWriter, _ *http.Request, message string, status int) {
			refusal(status, message).write(response)
		}))
	if err != nil {
		return fmt.Errorf("extensions::%s::webhooks: %w", e.id, err)
	}
	listener, err := config.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("extensions::%s::webhooks: %w", e.id, err)
	}
	e.server = server
	e.settings.Logger.Info("webhooks are taken", zap.Stringer("address", listener.Addr()), zap.String("path", "/webhooks/{source}"))
	e.background.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

func (e *faultline) lookAtLeases(ctx context.Context) {
	ticks := time.NewTicker(leasesEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			e.intake.expire(ctx)
			e.intake.compact(ctx)
		}
	}
}

// warn says what works, and is probably not meant.
func (e *faultline) warn() {
	logger := e.settings.Logger
	takesWebhooks, hub := e.config.takesWebhooks(), e.config.Hub.Get()
	if takesWebhooks && e.config.Storage == nil {
		logger.Warn("incidents end with this process, since no storage is set; `storage: file_storage` keeps them")
	}
	if takesWebhooks && len(e.config.Sources) == 0 {
		logger.Warn("no sources are set, so every webhook is answered with 404")
	}
	if takesWebhooks && hub != nil {
		logger.Warn("webhooks are taken beside a hub: what they say is known to this Collector alone, not to the hub or other Collectors; " +
			"let senders send to the hub")
	}
	if hub != nil {
		if unused := e.config.document().fromHub(takesWebhooks); len(unused) > 0 {
			logger.Warn("these keys are set and not used, since the hub says what they are", zap.String("keys", strings.Join(unused, ", ")))
		}
	}
	if !takesWebhooks && e.config.Storage != nil {
		logger.Warn("a storage is set and not used: what the hub says is not kept here")
	}
}

// Shutdown ends everything, whatever of it was started: webhooks first, so that those under way are answered.
func (e *faultline) Shutdown(ctx context.Context) error {
	var faults []error
	if e.server != nil {
		faults = append(faults, e.server.Shutdown(ctx))
		e.server = nil
	}
	if e.spoke != nil {
		e.spoke.Stop()
		e.spoke = nil
	}
	if e.stop != nil {
		e.stop()
	}
	e.background.Wait()
	// Its callbacks ask the plugin.
	e.telemetry.Shutdown()
	if e.intake != nil {
		faults = append(faults, e.intake.journal.Close(ctx))
		e.intake = nil
	}
	if e.decides != nil && e.decides != e.marks {
		faults = append(faults, e.decides.close(ctx))
	}
	if e.marks != nil {
		faults = append(faults, e.marks.close(ctx))
	}
	e.decides, e.marks = nil, nil
	return errors.Join(faults...)
}
