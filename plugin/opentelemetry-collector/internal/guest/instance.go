package guest

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Instance is one running plugin. It takes one call at a time. After an error that wraps ErrTrapped it must be closed;
// calls until then answer with that error again.
type Instance struct {
	module   api.Module
	memory   api.Memory
	realloc  api.Function
	context  context.Context
	deadline time.Duration
	// until is when the call under way must have ended.
	until time.Time
	// functions are those that were called before.
	functions map[*exported]*function
	trapped   error
}

// function is an export and the one that frees its answers.
type function struct {
	call, post api.Function
	stack      [16]uint64
}

// call lowers arguments, calls, lifts the answer of size bytes, and lets the guest free it.
func (i *Instance) call(
	called *exported, size, align uint32, lower func(l *lowering) []uint64, lift func(l *lifting, answer []byte),
) error {
	if i.trapped != nil {
		return i.trapped
	}
	i.until = time.Now().Add(i.deadline * called.patience)
	if cause := i.enter(called, size, align, lower, lift); cause != nil {
		i.trapped = &CallError{Function: called.name, Cause: cause}
	}
	return i.trapped
}

func (i *Instance) enter(
	called *exported, size, align uint32, lower func(l *lowering) []uint64, lift func(l *lifting, answer []byte),
) error {
	function := i.function(called)
	lowered := lowering{ctx: i.context, memory: i.memory, realloc: i.realloc}
	copy(function.stack[:], lower(&lowered))
	if lowered.err != nil {
		return lowered.err
	}
	if err := function.call.CallWithStack(i.context, function.stack[:]); err != nil {
		return err
	}
	address := uint64(uint32(function.stack[0]))
	memory, isThere := i.memory.Read(0, i.memory.Size())
	if !isThere {
		return fmt.Errorf("its memory of %d bytes cannot be read", i.memory.Size())
	}
	lifted := liftingFrom(memory)
	lift(lifted, lifted.record(address, size, align))
	if lifted.err != nil {
		return lifted.err
	}
	function.stack[0] = address
	return function.post.CallWithStack(i.context, function.stack[:1])
}

// function finds an export. Each holds a stack of its own, so that it is kept, and made when it is first called.
func (i *Instance) function(called *exported) *function {
	found, isKnown := i.functions[called]
	if !isKnown {
		found = &function{
			call: i.module.ExportedFunction(called.export),
			post: i.module.ExportedFunction(postPrefix + called.export),
		}
		if i.functions == nil {
			i.functions = make(map[*exported]*function)
		}
		i.functions[called] = found
	}
	return found
}

// MemoryBytes is how much memory the instance has grown to.
func (i *Instance) MemoryBytes() uint64 { return uint64(i.memory.Size()) }

// Close frees the instance.
func (i *Instance) Close(ctx context.Context) error { return i.module.Close(ctx) }

func nanoseconds(now time.Time) uint64 { return uint64(max(now.UnixNano(), 0)) }

// Configure sets or replaces the configuration, a JSON document, and answers with warnings. name is unique for each
// instance, and not empty.
//
// Errors: *ConfigError with all faults, the configuration before stays in force; ErrTrapped.
func (i *Instance) Configure(config, name string) ([]ConfigFault, error) {
	var faults []ConfigFault
	var isFaulty bool
	err := i.call(configureFunction, 12, 4, func(l *lowering) []uint64 {
		address, length := l.text(config)
		nameAddress, nameLength := l.text(name)
		return []uint64{address, length, nameAddress, nameLength}
	}, func(l *lifting, answer []byte) {
		isFaulty = l.flag(answer, 0)
		faults = l.faults(answer, 4)
	})
	if err == nil && isFaulty {
		return nil, &ConfigError{Faults: faults}
	}
	return faults, err
}

// Interest tells what Marks would mark. The answer holds until the next Configure or Merge, and for a second.
func (i *Instance) Interest(signal Signal, now time.Time) (Affected, error) {
	var affected Affected
	err := i.call(interestFunction, 16, 4, func(*lowering) []uint64 {
		return []uint64{uint64(signal), nanoseconds(now)}
	}, func(l *lifting, answer []byte) {
		affected.Reach = Reach(l.choice(answer, 0, 3))
		if affected.Reach == Services {
			affected.Services = l.texts(answer, 4)
		}
		affected.EvidenceOneIn = number(answer, 12)
	})
	return affected, err
}

// Process marks one batch, the protobuf encoding of an export request.
func (i *Instance) Process(signal Signal, batch []byte, now time.Time) (Outcome, error) {
	var outcome Outcome
	err := i.call(processFunction, 12, 4, batchArguments(signal, batch, now), func(l *lifting, answer []byte) {
		outcome.Result = Result(l.choice(answer, 0, 3))
		switch outcome.Result {
		case Replaced:
			outcome.Bytes = l.bytes(answer, 4)
		case Refused:
			outcome.Reason = l.text(answer, 4)
		}
	})
	return outcome, err
}

// Marks is the same decision by the positions of items. What it answers replaces what is in into, whose memory is used
// again. Positions are the guest's word: they may be of items that there are not.
//
// Errors: *Refusal when the batch cannot be read; ErrTrapped.
func (i *Instance) Marks(signal Signal, batch []byte, now time.Time, into *ItemMarks) error {
	var refused string
	var isRefused bool
	err := i.call(marksFunction, 20, 4, batchArguments(signal, batch, now), func(l *lifting, answer []byte) {
		if isRefused = l.flag(answer, 0); isRefused {
			refused = l.text(answer, 4)
		} else {
			l.itemMarks(answer, 4, into)
		}
	})
	if err == nil && isRefused {
		return &Refusal{Reason: refused}
	}
	return err
}

func batchArguments(signal Signal, batch []byte, now time.Time) func(l *lowering) []uint64 {
	return func(l *lowering) []uint64 {
		address, length := l.bytes(batch)
		return []uint64{uint64(signal), address, length, nanoseconds(now)}
	}
}

// Receive reads one webhook of a configured source. It changes nothing: the entries of the receipt are to be committed,
// and then merged.
func (i *Instance) Receive(source string, webhook *Webhook, now time.Time) (Receipt, error) {
	var receipt Receipt
	err := i.call(receiveFunction, 36, 4, func(l *lowering) []uint64 {
		sourceAddress, sourceLength := l.text(source)
		methodAddress, methodLength := l.text(webhook.Method)
		urlAddress, urlLength := l.text(webhook.URL)
		headersAddress, headers := l.pairs(len(webhook.Headers), func(index int) (string, []byte) {
			return webhook.Headers[index].Name, webhook.Headers[index].Value
		})
		bodyAddress, bodyLength := l.bytes(webhook.Body)
		return []uint64{
			sourceAddress, sourceLength, methodAddress, methodLength, urlAddress, urlLength, headersAddress, headers,
			bodyAddress, bodyLength, nanoseconds(now),
		}
	}, func(l *lifting, answer []byte) {
		receipt.Status = uint16(number(answer, 0))
		if l.flag(answer, 4) {
			seconds := number(answer, 8)
			receipt.RetryAfterSecs = &seconds
		}
		receipt.Body = l.text(answer, 12)
		receipt.Entries = l.entries(answer, 20)
		receipt.Transitions = l.transitions(answer, 28)
	})
	return receipt, err
}

// Merge takes entries into the state: the only way in. Entries may come in any order, any number of times.
//
// Errors: *Refusal when the state would pass its bound, nothing is taken in then; ErrTrapped.
func (i *Instance) Merge(entries []Entry, now time.Time) (Merged, error) {
	var merged Merged
	var refused string
	var isRefused bool
	err := i.call(mergeFunction, 16, 4, func(l *lowering) []uint64 {
		address, count := l.pairs(len(entries), func(index int) (string, []byte) {
			return entries[index].Key, entries[index].Bytes
		})
		return []uint64{address, count, nanoseconds(now)}
	}, func(l *lifting, answer []byte) {
		if isRefused = l.flag(answer, 0); isRefused {
			refused = l.text(answer, 4)
		} else {
			merged = Merged{Changed: number(answer, 4), SetAside: l.texts(answer, 8)}
		}
	})
	if err == nil && isRefused {
		return Merged{}, &Refusal{Reason: refused}
	}
	return merged, err
}

// Expire reports incidents whose lease has run out and that were not reported yet. It changes nothing.
func (i *Instance) Expire(now time.Time) (Expiry, error) {
	var expiry Expiry
	err := i.call(expireFunction, 16, 4, at(now), func(l *lifting, answer []byte) {
		expiry = Expiry{Entries: l.entries(answer, 0), Transitions: l.transitions(answer, 8)}
	})
	return expiry, err
}

// State is the state as entries, sorted by key.
func (i *Instance) State(extent Extent) ([]Entry, error) {
	var entries []Entry
	err := i.call(stateFunction, 8, 4, func(*lowering) []uint64 {
		return []uint64{uint64(extent)}
	}, func(l *lifting, answer []byte) { entries = l.entries(answer, 0) })
	return entries, err
}

// Open is the incidents that are open: most severe first, then oldest, then by id.
func (i *Instance) Open(now time.Time) ([]Incident, error) {
	var open []Incident
	err := i.call(openFunction, 8, 4, at(now), func(l *lifting, answer []byte) {
		open = list(l, answer, 0, incidentSize, 8, l.incident)
	})
	return open, err
}

// Find is one incident, open or not, by any of its names.
//
// Errors: *Refusal when there is none, or several; ErrTrapped.
func (i *Instance) Find(name string, now time.Time) (Incident, error) {
	var incident Incident
	var refused string
	var isRefused bool
	err := i.call(findFunction, 8+incidentSize, 8, func(l *lowering) []uint64 {
		address, length := l.text(name)
		return []uint64{address, length, nanoseconds(now)}
	}, func(l *lifting, answer []byte) {
		if isRefused = l.flag(answer, 0); isRefused {
			refused = l.text(answer, 8)
		} else {
			incident = l.incident(answer[8:])
		}
	})
	if err == nil && isRefused {
		return Incident{}, &Refusal{Reason: refused}
	}
	return incident, err
}

// Explain tells for each known incident whether and why it marks an item.
func (i *Instance) Explain(asked Asked, now time.Time) ([]Explanation, error) {
	var explanations []Explanation
	err := i.call(explainFunction, 8, 4, func(l *lowering) []uint64 {
		address, length := l.text(asked.Service)
		hasNamespace, namespace, namespaceLength := l.optionalText(asked.Namespace)
		hasEnvironment, environment, environmentLength := l.optionalText(asked.Environment)
		return []uint64{
			address, length, hasNamespace, namespace, namespaceLength, hasEnvironment, environment, environmentLength,
			asked.Time, nanoseconds(now),
		}
	}, func(l *lifting, answer []byte) {
		explanations = list(l, answer, 0, 20, 4, func(element []byte) Explanation {
			return Explanation{Incident: l.text(element, 0), Marks: l.flag(element, 8), Reason: l.text(element, 12)}
		})
	})
	return explanations, err
}

// Gaps is what the configuration leaves out, as far as this instance has seen telemetry.
func (i *Instance) Gaps(now time.Time) ([]Gap, error) {
	var gaps []Gap
	err := i.call(gapsFunction, 8, 4, at(now), func(l *lifting, answer []byte) {
		gaps = list(l, answer, 0, 40, 8, func(gap []byte) Gap {
			return Gap{
				Kind:       l.text(gap, 0),
				Subject:    l.text(gap, 8),
				Detail:     l.text(gap, 16),
				Suggestion: l.text(gap, 24),
				Count:      number64(gap, 32),
			}
		})
	})
	return gaps, err
}

// Counters is all counters of this instance that are not 0.
func (i *Instance) Counters() ([]Counter, error) {
	var counters []Counter
	err := i.call(countersFunction, 8, 4, func(*lowering) []uint64 { return nil }, func(l *lifting, answer []byte) {
		counters = list(l, answer, 0, 24, 8, func(counter []byte) Counter {
			return Counter{
				Name: l.text(counter, 0),
				Labels: list(l, counter, 8, 16, 4, func(label []byte) Label {
					return Label{Key: l.text(label, 0), Value: l.text(label, 8)}
				}),
				Value: number64(counter, 16),
			}
		})
	})
	return counters, err
}

func at(now time.Time) func(*lowering) []uint64 {
	return func(*lowering) []uint64 { return []uint64{nanoseconds(now)} }
}
