// Package marking is what the processor asks of the extension: the seam between the two.
package marking

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Annotator marks batches with the incidents that are open.
//
// Each function answers with what is to be passed on: the batch itself, in which items may have got attributes, or, where
// the batch is shared and something is to be added, a copy. Items are never lost, added or moved, and nothing fails: what
// cannot be marked goes on as it came, and is counted. Safe for concurrent use.
type Annotator interface {
	Traces(ctx context.Context, batch ptrace.Traces) ptrace.Traces
	Metrics(ctx context.Context, batch pmetric.Metrics) pmetric.Metrics
	Logs(ctx context.Context, batch plog.Logs) plog.Logs
}

// Provider is an extension that has an annotator. It is asked after the extension was started, which the Collector does
// before it starts any processor.
type Provider interface {
	Annotator() Annotator
}
