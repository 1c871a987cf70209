package guest

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/wasmfile"
)

// way is how a guest may be kept from running for ever.
type way struct {
	name   string
	module []byte
	config wazero.RuntimeConfig
}

func ways(t testing.TB) []way {
	metered, err := metered(Core)
	require.NoError(t, err)
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(64 * pagesPerMiB)
	return []way{
		{"without a deadline", Core, config},
		{"metered", metered, config},
		{"wazero's own", Core, config.WithCloseOnContextDone(true)},
	}
}

const marking = `{"sources": {"manual": {"kind": "manual", "tokens": ["for-tests-only-0123456789abcdef"]}}, "unmatched": "all"}`

// instance makes one that marks every span between 2026 and 2027.
func (w way) instance(t testing.TB) *Instance {
	ctx := context.Background()
	engine := &Engine{settings: EngineSettings{Deadline: time.Minute}, runtime: wazero.NewRuntimeWithConfig(ctx, w.config)}
	t.Cleanup(func() { require.NoError(t, engine.Close(ctx)) })
	require.NoError(t, engine.compile(ctx, w.module))
	instance, err := engine.Instantiate()
	require.NoError(t, err)
	// The runtime looks at contexts that may end only.
	ending, cancel := context.WithTimeout(instance.context, time.Hour)
	t.Cleanup(cancel)
	instance.context = ending
	_, err = instance.Configure(marking, w.name)
	require.NoError(t, err)
	webhook := Webhook{Method: "POST", URL: "/",
		Headers: []Header{{"Authorization", []byte("Bearer for-tests-only-0123456789abcdef")}},
		Body:    []byte(`{"action": "open", "id": "1"}`)}
	receipt, err := instance.Receive("manual", &webhook, marked)
	require.NoError(t, err)
	_, err = instance.Merge(receipt.Entries, marked)
	require.NoError(t, err)
	return instance
}

var marked = time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC)

// spans is a request with so many spans of one service, each with attributes of 200 bytes.
func spans(count int) []byte {
	message := func(tag byte, content []byte) []byte {
		return append(wasmfile.AppendUint32([]byte{tag}, uint32(len(content))), content...)
	}
	span := append([]byte{0x0a, 16}, make([]byte, 16)...)
	span = append(append(span, 0x12, 8), make([]byte, 8)...)
	span = append(span, 0x2a, 1, 'n', 0x30, 2)
	for _, tag := range []byte{0x39, 0x41} {
		span = append(span, tag)
		for shift := 0; shift < 64; shift += 8 {
			span = append(span, byte(uint64(marked.UnixNano())>>shift))
		}
	}
	for key := range 10 {
		attribute := message(0x0a, []byte{'k', 'e', 'y', '0' + byte(key)})
		attribute = append(attribute, message(0x12, message(0x0a, []byte("a value")))...)
		span = append(span, message(0x4a, attribute)...)
	}
	var scope []byte
	for range count {
		scope = append(scope, message(0x12, span)...)
	}
	service := append(message(0x0a, []byte("service.name")), message(0x12, message(0x0a, []byte("checkout")))...)
	return message(0x0a, append(message(0x0a, message(0x0a, service)), message(0x12, scope)...))
}

func TestAMeteredPluginAnswersAsTheOneThatIsNot(t *testing.T) {
	ways := ways(t)
	batch := spans(100)
	expected, err := ways[0].instance(t).Process(Traces, batch, marked)
	require.NoError(t, err)
	require.Equal(t, Replaced, expected.Result)
	found, err := ways[1].instance(t).Process(Traces, batch, marked)
	require.NoError(t, err)
	assert.Equal(t, expected, found)
}

func TestFunctionsMoveUpByOneWhereverTheyAreNamed(t *testing.T) {
	// Two functions: the first calls the second, is in a table, is exported, and is where the module starts.
	module := &wasmfile.Module{}
	module.Set(wasmfile.Types, []byte{1, 0x60, 0, 0})
	module.Set(wasmfile.Functions, []byte{2, 0, 0})
	module.Set(wasmfile.Tables, []byte{1, 0x70, 0, 2})
	module.SetExports([]wasmfile.Export{{Name: "f", Index: 0}, {Name: "table", Kind: 1, Index: 0}})
	module.Set(wasmfile.Start, []byte{0})
	module.Set(wasmfile.Elements, []byte{1, 0, 0x41, 0, 0x0b, 2, 0, 1})
	module.SetBodies([][]byte{{0, 0x10, 1, 0x0b}, {0, 0xd2, 0, 0x1a, 0x0b}})
	bytes, err := metered(module.Bytes())
	require.NoError(t, err)
	moved, err := wasmfile.Parse(bytes)
	require.NoError(t, err)
	exports, err := moved.Exports()
	require.NoError(t, err)
	assert.Equal(t, []wasmfile.Export{{Name: "f", Index: 1}, {Name: "table", Kind: 1, Index: 0}}, exports)
	assert.Equal(t, []byte{1}, moved.Section(wasmfile.Start))
	assert.Equal(t, []byte{1, 0, 0x41, 0, 0x0b, 2, 1, 2}, moved.Section(wasmfile.Elements))
	bodies, err := moved.Bodies()
	require.NoError(t, err)
	require.Len(t, bodies, 3, "the third pays for copies")
	assert.Equal(t, []byte{0x10, 2, 0x0b}, bodies[0][len(bodies[0])-3:])
	assert.Equal(t, []byte{0xd2, 1, 0x1a, 0x0b}, bodies[1][len(bodies[1])-4:])
	runtime := wazero.NewRuntime(t.Context())
	defer func() { require.NoError(t, runtime.Close(t.Context())) }()
	compiled, err := runtime.CompileModule(t.Context(), bytes)
	require.NoError(t, err)
	require.Len(t, compiled.ImportedFunctions(), 1)
}

func TestAModuleThatGrowsATableIsRefused(t *testing.T) {
	module := &wasmfile.Module{}
	module.Set(wasmfile.Types, []byte{1, 0x60, 0, 0})
	module.Set(wasmfile.Functions, []byte{1, 0})
	module.SetBodies([][]byte{{0, 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a, 0x0b}})
	_, err := metered(module.Bytes())
	assert.ErrorContains(t, err, "it grows a table")
}

func FuzzMetered(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add(Core[:4096])
	f.Fuzz(func(_ *testing.T, module []byte) { _, _ = metered(module) })
}

// BenchmarkDeadline is why the plugin is metered: the same call in an instance that nothing stops, in one that is metered,
// and in one that the runtime stops. Interleaved: a round of each for each b.N.
func BenchmarkDeadline(b *testing.B) {
	batch := spans(512)
	ways := ways(b)
	instances := make([]*Instance, len(ways))
	best := make([]time.Duration, len(ways))
	for index, way := range ways {
		instances[index], best[index] = way.instance(b), math.MaxInt64
	}
	var marks ItemMarks
	for b.Loop() {
		for index, instance := range instances {
			begun := time.Now()
			for range 8 {
				if err := instance.Marks(Traces, batch, marked, &marks); err != nil || len(marks.Items) != 512 {
					b.Fatal(err, len(marks.Items))
				}
			}
			best[index] = min(best[index], time.Since(begun)/8)
		}
	}
	for index, way := range ways {
		b.Logf("%-20s %10s  %.2f  %.1f MiB", way.name, best[index], float64(best[index])/float64(best[0]),
			float64(instances[index].MemoryBytes())/(1<<20))
	}
}

// BenchmarkStart is what a start costs.
func BenchmarkStart(b *testing.B) {
	ctx := context.Background()
	for _, cache := range []string{"", b.TempDir()} {
		name := "compile"
		if cache != "" {
			name = "from the cache"
		}
		settings := EngineSettings{Deadline: time.Minute, MemoryMiB: 64, CacheDirectory: cache}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				engine, err := NewEngine(ctx, Core, settings)
				if err != nil {
					b.Fatal(err)
				}
				_ = engine.Close(ctx)
			}
		})
	}
	engine, err := NewEngine(ctx, Core, EngineSettings{Deadline: time.Minute, MemoryMiB: 64})
	require.NoError(b, err)
	defer func() { _ = engine.Close(ctx) }()
	b.Run("meter", func(b *testing.B) {
		for b.Loop() {
			_, _ = metered(Core)
		}
	})
	b.Run("instance", func(b *testing.B) {
		var memory uint64
		for b.Loop() {
			instance, err := engine.Instantiate()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := instance.Configure(marking, "1"); err != nil {
				b.Fatal(err)
			}
			memory = instance.MemoryBytes()
			_ = instance.Close(ctx)
		}
		b.ReportMetric(float64(memory)/(1<<20), "MiB")
	})
}
