package guest

import (
	"errors"
	"fmt"
	"strings"
)

// ErrTrapped is wrapped by every error after which an instance must be dropped: it trapped, ran past its deadline, or
// answered what no plugin answers. A runtime would let it be entered again; what is in its memory is anybody's guess.
var ErrTrapped = errors.New("the instance of the plugin must be dropped")

// ErrDeadline is wrapped, beside ErrTrapped, when a call ran longer than it may.
var ErrDeadline = errors.New("it ran past its deadline")

// CallError is what went wrong in one call. It wraps ErrTrapped and its cause.
type CallError struct {
	// Function is the name in the contract, such as marks.
	Function string
	Cause    error
}

// Error names the function and the cause.
func (e *CallError) Error() string {
	// What the runtime says of a trap goes on with a trace of numbers.
	cause, _, _ := strings.Cut(e.Cause.Error(), "\nwasm stack trace")
	return fmt.Sprintf("the plugin failed in %s: %s", e.Function, cause)
}

// Unwrap gives ErrTrapped and the cause.
func (e *CallError) Unwrap() []error { return []error{ErrTrapped, e.Cause} }

// Refusal is the plugin's own word that it does not do what it was asked; the instance is as good as before.
type Refusal struct {
	// Reason is for people.
	Reason string
}

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

// ConfigError is all that is wrong with a configuration.
type ConfigError struct {
	Faults []ConfigFault
}

// Error lists the faults, one a line.
func (e *ConfigError) Error() string {
	var text strings.Builder
	for index, fault := range e.Faults {
		if index > 0 {
			text.WriteByte('\n')
		}
		if fault.Pointer != "" {
			text.WriteString(fault.Pointer + ": ")
		}
		text.WriteString(fault.Message)
		if fault.Hint != nil {
			text.WriteString("; " + *fault.Hint)
		}
	}
	return text.String()
}
