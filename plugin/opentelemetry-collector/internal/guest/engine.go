// Package guest runs the plugin: faultline-core.wasm in wazero, spoken to by the canonical ABI of the contract in wit/.
//
// An Engine is the compiled plugin, an Instance one that runs. Instances share nothing; each takes one call at a time.
package guest

import (
	"context"
	_ "embed" // The plugin is a part of this package.
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Core is faultline-core.wasm as the source of this repository builds it; a test there compares the two.
//
//go:embed faultline-core.wasm
var Core []byte

// pagesPerMiB is how many pages of WebAssembly's memory are a MiB.
const pagesPerMiB = 16

// EngineSettings bounds what an instance may take.
type EngineSettings struct {
	// Deadline is how long one call may run that a batch waits for, to about a millisecond. Calls about the state may take
	// ten times as long.
	Deadline time.Duration
	// MemoryMiB is how much memory one instance may have, 1 to 4095. An instance that wants more traps.
	MemoryMiB uint32
	// CacheDirectory is where compiled code is kept from one start to the next; empty: in this process only. Compiling takes
	// about thirty times as long as reading it from there. Whoever can write there can run code here.
	CacheDirectory string
}

// Engine is the compiled plugin. Safe for concurrent use.
type Engine struct {
	settings EngineSettings
	runtime  wazero.Runtime
	cache    wazero.CompilationCache
	module   wazero.CompiledModule
}

// NewEngine compiles a module, Core in production.
//
// Errors: the bytes are no module, want imports, or do not export what the contract says; a setting is out of bounds; or
// the directory of the cache cannot be used.
func NewEngine(ctx context.Context, module []byte, settings EngineSettings) (*Engine, error) {
	if settings.MemoryMiB < 1 || settings.MemoryMiB > 4095 {
		return nil, fmt.Errorf("a memory limit of %d MiB is not between 1 and 4095", settings.MemoryMiB)
	}
	if settings.Deadline <= 0 {
		return nil, fmt.Errorf("a deadline of %s leaves no time for any call", settings.Deadline)
	}
	module, err := metered(module)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plugin: %w", err)
	}
	engine := &Engine{settings: settings}
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(settings.MemoryMiB * pagesPerMiB)
	if settings.CacheDirectory != "" {
		engine.cache, err = wazero.NewCompilationCacheWithDir(settings.CacheDirectory)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s for compiled code: %w", settings.CacheDirectory, err)
		}
		config = config.WithCompilationCache(engine.cache)
	} else {
		config = config.WithCompilationCache(inProcess)
	}
	engine.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if err := engine.compile(ctx, module); err != nil {
		return nil, errors.Join(err, engine.Close(ctx))
	}
	return engine, nil
}

// inProcess keeps compiled code until the process ends, so that the plugin is compiled once: a Collector checks its
// configuration, starts, and starts again when that has changed, with an engine each time. There is one plugin, so it does
// not grow.
var inProcess = wazero.NewCompilationCache()

func (e *Engine) compile(ctx context.Context, module []byte) error {
	_, err := e.runtime.NewHostModuleBuilder(meterModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(lookAtTheClock), nil, []api.ValueType{api.ValueTypeI64}).
		Export(meterFunction).Instantiate(ctx)
	if err != nil {
		return fmt.Errorf("cannot offer the plugin its clock: %w", err)
	}
	if e.module, err = e.runtime.CompileModule(ctx, module); err != nil {
		return fmt.Errorf("cannot compile the plugin: %w", err)
	}
	exported := e.module.ExportedFunctions()
	for _, function := range contract {
		if err := function.check(exported); err != nil {
			return err
		}
	}
	if len(e.module.ExportedMemories()) != 1 {
		return errors.New("the module exports no memory: it is no plugin")
	}
	return nil
}

// Instantiate makes an instance. It is not configured yet: until then it passes everything unchanged.
func (e *Engine) Instantiate() (*Instance, error) {
	instance := &Instance{deadline: e.settings.Deadline}
	// Not made of the context of a batch: an instance outlives it.
	instance.context = context.WithValue(context.Background(), instanceKey{}, instance)
	instance.until = time.Now().Add(instance.deadline)
	// Without a name instances do not know of each other.
	module, err := e.runtime.InstantiateModule(instance.context, e.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("cannot make an instance of the plugin: %w", err)
	}
	instance.module, instance.memory = module, module.Memory()
	instance.realloc = module.ExportedFunction(reallocName)
	return instance, nil
}

// Close frees everything, instances included: none may be in a call.
func (e *Engine) Close(ctx context.Context) error {
	err := e.runtime.Close(ctx)
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(ctx))
	}
	return err
}

// instanceKey is under which a guest's call carries its instance.
type instanceKey struct{}

// lookAtTheClock is what a metered guest calls when a quantum is spent: it gives another, or ends the call.
func lookAtTheClock(ctx context.Context, stack []uint64) {
	instance, known := ctx.Value(instanceKey{}).(*Instance)
	if !known || time.Now().After(instance.until) {
		// The runtime turns it into the error of the call.
		panic(ErrDeadline)
	}
	stack[0] = quantum
}
