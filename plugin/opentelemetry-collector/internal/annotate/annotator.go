// Package annotate marks the Collector's telemetry with what the plugin says.
//
// A batch is first compared with what the plugin is interested in, here, so that telemetry of services without an incident
// costs a look at their names. Of the others an outline goes to the plugin, which answers which item gets which attributes.
package annotate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/marking"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/plugin"
)

// Telemetry counts what becomes of items: spans, log records, data points. Safe for concurrent use.
type Telemetry interface {
	// Received: a batch came in.
	Received(ctx context.Context, signal guest.Signal, items int)
	// Marked: items, or exemplars, got attributes.
	Marked(ctx context.Context, signal guest.Signal, items int)
	// Held: items of resources that the plugin was to look at went on unmarked because it failed. The reason is
	// "unavailable", "deadline" or "trap".
	Held(ctx context.Context, signal guest.Signal, items int, reason string)
	// Refused: items went on unmarked because the plugin could not read them, or was given more than its limit.
	Refused(ctx context.Context, signal guest.Signal, items int)
}

// Annotator marks batches. It implements marking.Annotator.
type Annotator struct {
	runtime   *plugin.Runtime
	telemetry Telemetry
	// batches counts those of each signal, to find the one in so many that the plugin wants to see whole.
	batches [len(guest.Signals)]atomic.Uint32
}

var _ marking.Annotator = (*Annotator)(nil)

// New makes an annotator over a plugin. It holds nothing that must be closed.
func New(runtime *plugin.Runtime, telemetry Telemetry) *Annotator {
	return &Annotator{runtime: runtime, telemetry: telemetry}
}

// outlineBytes is how large an outline may become before it goes to the plugin: a batch of any size takes a bounded place
// there, unless one resource alone is larger.
const outlineBytes = 1 << 20

// Traces marks spans.
func (a *Annotator) Traces(ctx context.Context, batch ptrace.Traces) ptrace.Traces {
	return annotate(ctx, a, &traces, batch)
}

// Logs marks log records.
func (a *Annotator) Logs(ctx context.Context, batch plog.Logs) plog.Logs {
	return annotate(ctx, a, &logs, batch)
}

// Metrics marks data points and exemplars, where the configuration asks for that.
func (a *Annotator) Metrics(ctx context.Context, batch pmetric.Metrics) pmetric.Metrics {
	return annotate(ctx, a, &metrics, batch)
}

// form is what annotate has to know about batches of a signal.
type form[B any] struct {
	signal     guest.Signal
	items      func(batch B) int
	groups     func(batch B) int
	resource   func(batch B, group int) pcommon.Resource
	groupItems func(batch B, group int) int
	outline    func(into []byte, batch B, group int) []byte
	cursor     func(batch B, group int) cursor
	isReadOnly func(batch B) bool
	copied     func(batch B) B
}

// work is the memory that marking a batch takes, used again.
type work struct {
	outline []byte
	// groups are those that are in the outline.
	groups []int
	marks  guest.ItemMarks
}

var works = sync.Pool{New: func() any { return new(work) }}

// keptBytes: what a larger batch left behind is not kept.
const keptBytes = 4 * outlineBytes

func annotate[B any](ctx context.Context, a *Annotator, form *form[B], batch B) B {
	a.telemetry.Received(ctx, form.signal, form.items(batch))
	interest := a.runtime.Interest(ctx, form.signal)
	isWanted := a.isWanted(form.signal, interest)
	if interest.Nothing() && !isWanted {
		return batch
	}
	work := works.Get().(*work)
	for group := range form.groups(batch) {
		if !isWanted && !concerns(interest, form.resource(batch, group)) {
			continue
		}
		work.outline = form.outline(work.outline, batch, group)
		work.groups = append(work.groups, group)
		if len(work.outline) >= outlineBytes {
			batch = mark(ctx, a, form, batch, work)
		}
	}
	batch = mark(ctx, a, form, batch, work)
	if cap(work.outline) <= keptBytes {
		works.Put(work)
	}
	return batch
}

// isWanted is whether this batch is the one in so many that the plugin wants whole.
func (a *Annotator) isWanted(signal guest.Signal, interest *plugin.Interest) bool {
	oneIn := interest.EvidenceOneIn
	return oneIn > 0 && a.batches[signal].Add(1)%oneIn == 0
}

// serviceName is the attribute that interest is about.
const serviceName = "service.name"

// concerns is whether a resource may get marks. Where a key repeats, the first that is text counts, as in the plugin.
func concerns(interest *plugin.Interest, resource pcommon.Resource) bool {
	for key, value := range resource.Attributes().All() {
		if key == serviceName && value.Type() == pcommon.ValueTypeStr {
			return interest.Concerns(value.Str())
		}
	}
	return interest.Concerns("")
}

// mark asks for the marks of what is in the outline, makes them, and empties the outline. Where the batch is shared and
// something is to be added, the answer is a copy.
func mark[B any](ctx context.Context, a *Annotator, form *form[B], batch B, work *work) B {
	if len(work.groups) == 0 {
		return batch
	}
	err := a.runtime.Marks(ctx, form.signal, work.outline, &work.marks)
	if err == nil && len(work.marks.Items) > 0 {
		if form.isReadOnly(batch) {
			batch = form.copied(batch)
		}
		var marked int
		marked, err = put(form, batch, work)
		a.telemetry.Marked(ctx, form.signal, marked)
	}
	if err != nil {
		held := 0
		for _, group := range work.groups {
			held += form.groupItems(batch, group)
		}
		a.count(ctx, form.signal, held, err)
	}
	work.outline, work.groups = work.outline[:0], work.groups[:0]
	return batch
}

// count tells of items that went on as they came.
func (a *Annotator) count(ctx context.Context, signal guest.Signal, items int, err error) {
	var refused *guest.Refusal
	switch {
	case errors.As(err, &refused):
		a.telemetry.Refused(ctx, signal, items)
	case errors.Is(err, guest.ErrDeadline):
		a.telemetry.Held(ctx, signal, items, "deadline")
	case errors.Is(err, plugin.ErrUnavailable):
		a.telemetry.Held(ctx, signal, items, "unavailable")
	default:
		a.telemetry.Held(ctx, signal, items, "trap")
	}
}

// errNoSuchItem is about an answer that no plugin gives.
var errNoSuchItem = errors.New("the plugin marks items that there are not")

// put makes the marks, and answers how many it made. The plugin's positions are not believed.
func put[B any](form *form[B], batch B, work *work) (int, error) {
	var items cursor
	present := -1
	for done, mark := range work.marks.Items {
		if int(mark.Resource) >= len(work.groups) || int(mark.Attributes) >= len(work.marks.Sets) {
			return done, errNoSuchItem
		}
		if group := work.groups[mark.Resource]; group != present {
			items, present = form.cursor(batch, group), group
		}
		attributes, found := items.find(mark)
		if !found {
			return done, errNoSuchItem
		}
		add(attributes, work.marks.Sets[mark.Attributes])
	}
	return len(work.marks.Items), nil
}

// add puts in attributes behind those that are there. The plugin names only keys that are absent; should one be there after
// all, it is left as it is.
func add(attributes pcommon.Map, set []guest.Attribute) {
	attributes.EnsureCapacity(attributes.Len() + len(set))
	for index := range set {
		attribute := &set[index]
		value, isThere := attributes.GetOrPutEmpty(attribute.Key)
		if isThere {
			continue
		}
		switch attribute.Kind {
		case guest.Text:
			value.SetStr(attribute.Text)
		case guest.Flag:
			value.SetBool(attribute.Flag)
		case guest.Texts:
			texts := value.SetEmptySlice()
			texts.EnsureCapacity(len(attribute.Texts))
			for _, text := range attribute.Texts {
				texts.AppendEmpty().SetStr(text)
			}
		}
	}
}
