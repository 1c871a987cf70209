// Package benchmark measures the processor beside one that everybody knows: contrib's attributes processor, inserting four
// attributes into the same spans. It is a module of its own, so that ours does not need contrib.
//
//	go test -bench . -benchtime 31x
package benchmark

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/faultlineprocessor"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/annotate"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

const (
	spans     = 512
	resources = 20
	// batchesPerRound is how many batches each subject gets in a row: enough for the clock, too few for the machine to
	// change under them.
	batchesPerRound = 16
)

// host has one extension: ours.
type host struct{ extension extension }

func (h host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.NewID(component.MustNewType("faultline")): h.extension}
}

type extension struct {
	component.StartFunc
	component.ShutdownFunc
	annotator *annotate.Annotator
}

func (e extension) Annotator() marking.Annotator { return e.annotator }

type silent struct{}

func (silent) Received(context.Context, guest.Signal, int) {}
func (silent) Marked(context.Context, guest.Signal, int)   {}
func (silent) Refused(context.Context, guest.Signal, int)  {}
func (silent) Held(context.Context, guest.Signal, int, string) {
	panic("the plugin failed in a benchmark")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// faultline is our processor while an incident of these services is open.
func faultline(tb testing.TB, instances int, affected ...string) processor.Traces {
	ctx := context.Background()
	run, _, err := plugin.New(ctx, plugin.Settings{Config: plugintest.Config(""), Name: "benchmark", Instances: instances})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = run.Close(ctx) })
	if len(affected) > 0 {
		receipt := must(run.Receive(ctx, plugintest.Source, plugintest.Open("1042", affected...)))
		must(run.Merge(ctx, receipt.Entries))
	}
	factory := faultlineprocessor.NewFactory()
	made := must(factory.CreateTraces(ctx, processortest.NewNopSettings(factory.Type()), factory.CreateDefaultConfig(), consumertest.NewNop()))
	if err := made.Start(ctx, host{extension{annotator: annotate.New(run, silent{})}}); err != nil {
		tb.Fatal(err)
	}
	return made
}

// attributes is contrib's, for the spans of these services; none given: of all.
func attributes(tb testing.TB, services ...string) processor.Traces {
	factory := attributesprocessor.NewFactory()
	raw := map[string]any{"actions": []any{
		map[string]any{"key": "incident.active", "value": true, "action": "insert"},
		map[string]any{"key": "incident.id", "value": "manual:1042", "action": "insert"},
		map[string]any{"key": "incident.severity", "value": "critical", "action": "insert"},
		map[string]any{"key": "incident.url", "value": "https://shop.pagerduty.example/incidents/1042", "action": "insert"},
	}}
	if len(services) > 0 {
		raw["include"] = map[string]any{"match_type": "strict", "services": services}
	}
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(raw).Unmarshal(config); err != nil {
		tb.Fatal(err)
	}
	return must(factory.CreateTraces(context.Background(), processortest.NewNopSettings(factory.Type()), config, consumertest.NewNop()))
}

// idle is a processor that does nothing, by the helper that both others use: what no processor is cheaper than.
func idle(tb testing.TB) processor.Traces {
	tb.Helper()
	return must(processorhelper.NewTraces(context.Background(), processortest.NewNopSettings(component.MustNewType("idle")), nil,
		consumertest.NewNop(), func(_ context.Context, batch ptrace.Traces) (ptrace.Traces, error) { return batch, nil }))
}

// lane is what is compared: the time for a batch in each round.
type lane struct {
	name      string
	processor processor.Traces
	rounds    []time.Duration
	marked    int
}

func (l *lane) round(template ptrace.Traces) {
	batches := make([]ptrace.Traces, batchesPerRound)
	for index := range batches {
		batches[index] = ptrace.NewTraces()
		template.CopyTo(batches[index])
	}
	ctx := context.Background()
	begun := time.Now()
	for _, batch := range batches {
		if err := l.processor.ConsumeTraces(ctx, batch); err != nil {
			panic(err)
		}
	}
	l.rounds = append(l.rounds, time.Since(begun)/batchesPerRound)
	l.marked = marked(batches[0])
}

func (l *lane) median() time.Duration {
	slices.Sort(l.rounds)
	return l.rounds[len(l.rounds)/2]
}

// marked is how many spans have the attribute that both subjects add.
func marked(batch ptrace.Traces) int {
	count := 0
	for _, resource := range batch.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				if _, isMarked := span.Attributes().Get("incident.id"); isMarked {
					count++
				}
			}
		}
	}
	return count
}

func shop() ptrace.Traces {
	return plugintest.Shop{Services: plugintest.Services(resources), Items: spans, At: time.Now()}.Traces()
}

// BenchmarkAgainstAttributes takes one round for each b.N. "of all" is a multiple of the attributes processor inserting
// into all spans, "of same" of one that inserts into the spans of the same services.
func BenchmarkAgainstAttributes(b *testing.B) {
	template := shop()
	services := plugintest.Services(resources)
	cases := []struct {
		name     string
		affected []string
		// same are the services that the attributes processor is to match.
		same []string
	}{
		{"nothing open", nil, []string{"elsewhere"}},
		{"none matching", []string{"elsewhere"}, []string{"elsewhere"}},
		{"10 % of resources", services[:resources/10], services[:resources/10]},
		{"everything", services, nil},
	}
	all := &lane{name: "attributes, all", processor: attributes(b)}
	nothing := &lane{name: "a processor that does nothing", processor: idle(b)}
	lanes := []*lane{all, nothing}
	for _, test := range cases {
		lanes = append(lanes,
			&lane{name: test.name, processor: faultline(b, 1, test.affected...)},
			&lane{name: "attributes, " + test.name, processor: attributes(b, test.same...)})
	}
	for _, lane := range lanes {
		lane.round(template)
		lane.rounds = nil
	}
	for b.Loop() {
		for _, lane := range lanes {
			lane.round(template)
		}
	}
	fmt.Printf("\n%-30s %10s %8s %8s %8s\n", "512 spans", "a batch", "of all", "of same", "marked")
	fmt.Printf("%-30s %10s\n", all.name, all.median())
	fmt.Printf("%-30s %10s %8.3f\n", nothing.name, nothing.median(), float64(nothing.median())/float64(all.median()))
	for index := 2; index < len(lanes); index += 2 {
		ours, theirs := lanes[index], lanes[index+1]
		if ours.marked != theirs.marked {
			b.Errorf("%s: %d spans are marked by us, %d by them", ours.name, ours.marked, theirs.marked)
		}
		fmt.Printf("%-30s %10s %8.3f %8.3f %8d\n", ours.name, ours.median(),
			float64(ours.median())/float64(all.median()), float64(ours.median())/float64(theirs.median()), ours.marked)
	}
}

// BenchmarkGoroutines compares the throughput of one goroutine and of eight: the best of the rounds, since on a machine that
// does something else both are less. The garbage collector is off meanwhile. It would work for one goroutine on the processor
// that this one leaves idle.
func BenchmarkGoroutines(b *testing.B) {
	template := shop()
	subject := faultline(b, 0, plugintest.Services(resources)...)
	throughput := func(goroutines int) float64 {
		const batches = 64
		copies := make([]ptrace.Traces, batches)
		for index := range copies {
			copies[index] = ptrace.NewTraces()
			template.CopyTo(copies[index])
		}
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		var group sync.WaitGroup
		begun := time.Now()
		for first := range goroutines {
			group.Go(func() {
				for index := first; index < batches; index += goroutines {
					_ = subject.ConsumeTraces(context.Background(), copies[index])
				}
			})
		}
		group.Wait()
		return batches / time.Since(begun).Seconds()
	}
	var one, eight float64
	throughput(8)
	for b.Loop() {
		one, eight = max(one, throughput(1)), max(eight, throughput(8))
	}
	fmt.Printf("\n%.0f batches a second by one goroutine, %.2f times as many by eight on %d processors\n", one, eight/one,
		runtime.GOMAXPROCS(0))
}
