package annotate

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugintest"
)

// Benchmarks of each signal: 512 items of 20 services, of which none, a tenth or all are marked. Beside another processor:
// ../benchmark.

func BenchmarkTraces(b *testing.B) {
	benchmarkSignal(b, plugintest.Shop.Traces, func(from, to ptrace.Traces) { from.CopyTo(to) }, ptrace.NewTraces,
		func(subject subject, batch ptrace.Traces) { subject.Traces(b.Context(), batch) })
}

func BenchmarkLogs(b *testing.B) {
	benchmarkSignal(b, plugintest.Shop.Logs, func(from, to plog.Logs) { from.CopyTo(to) }, plog.NewLogs,
		func(subject subject, batch plog.Logs) { subject.Logs(b.Context(), batch) })
}

func BenchmarkMetrics(b *testing.B) {
	benchmarkSignal(b, plugintest.Shop.Metrics, func(from, to pmetric.Metrics) { from.CopyTo(to) }, pmetric.NewMetrics,
		func(subject subject, batch pmetric.Metrics) { subject.Metrics(b.Context(), batch) })
}

func benchmarkSignal[B any](
	b *testing.B, generate func(plugintest.Shop) B, copyTo func(from, to B), empty func() B, annotate func(subject, B),
) {
	services := plugintest.Services(20)
	template := generate(plugintest.Shop{Services: services, Items: 512, At: plugintest.Now})
	for _, test := range []struct {
		name     string
		affected []string
	}{
		{"nothing open", nil},
		{"none matching", []string{"elsewhere"}},
		{"a tenth", services[:2]},
		{"everything", services},
	} {
		b.Run(test.name, func(b *testing.B) {
			subject := newSubject(b, plugin.Settings{})
			if len(test.affected) > 0 {
				subject.deliver(b, plugintest.Open("1", test.affected...))
			}
			// What was marked once would be found marked.
			copies := make([]B, 64)
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				if round%len(copies) == 0 {
					b.StopTimer()
					for index := range copies {
						copies[index] = empty()
						copyTo(template, copies[index])
					}
					b.StartTimer()
				}
				annotate(subject, copies[round%len(copies)])
			}
			for _, reason := range []string{"trap", "deadline", "unavailable"} {
				require.Zero(b, subject.counts.of("held traces "+reason))
			}
		})
	}
}
