package guest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"
)

const (
	processor = "faultline:incident/processor@0.1.0#"
	incidents = "faultline:incident/incidents@0.1.0#"

	reallocName = "cabi_realloc"
	// postPrefix begins the names of the exports that free answers.
	postPrefix = "cabi_post_"
)

// exported is one function of the contract as a core module exports it. All answer with an address.
type exported struct {
	// name is the one in the contract.
	name string
	// export is the one in the module.
	export     string
	parameters []api.ValueType
	// patience is how many deadlines it may take.
	patience time.Duration
}

// Batches wait for some functions, nobody for the others. These may be given a whole state, and take as long as that is
// large.
const (
	forBatches = 1
	forStates  = 10
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// The functions of the contract. A text, a list, or an option of a number takes two parameters, a time one of 64 bits.
var (
	configureFunction = &exported{"configure", processor + "configure", []api.ValueType{i32, i32, i32, i32}, forStates}
	interestFunction  = &exported{"interest", processor + "interest", []api.ValueType{i32, i64}, forBatches}
	processFunction   = &exported{"process", processor + "process", []api.ValueType{i32, i32, i32, i64}, forBatches}
	marksFunction     = &exported{"marks", processor + "marks", []api.ValueType{i32, i32, i32, i64}, forBatches}
	receiveFunction   = &exported{"receive", incidents + "receive",
		[]api.ValueType{i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i64}, forStates}
	mergeFunction   = &exported{"merge", incidents + "merge", []api.ValueType{i32, i32, i64}, forStates}
	expireFunction  = &exported{"expire", incidents + "expire", []api.ValueType{i64}, forStates}
	stateFunction   = &exported{"state", incidents + "state", []api.ValueType{i32}, forStates}
	openFunction    = &exported{"open", incidents + "open", []api.ValueType{i64}, forStates}
	findFunction    = &exported{"find", incidents + "find", []api.ValueType{i32, i32, i64}, forStates}
	explainFunction = &exported{"explain", incidents + "explain",
		[]api.ValueType{i32, i32, i32, i32, i32, i32, i32, i32, i64, i64}, forStates}
	gapsFunction     = &exported{"gaps", incidents + "gaps", []api.ValueType{i64}, forStates}
	countersFunction = &exported{"counters", incidents + "counters", nil, forStates}
)

var contract = []*exported{
	configureFunction, interestFunction, processFunction, marksFunction, receiveFunction, mergeFunction, expireFunction,
	stateFunction, openFunction, findFunction, explainFunction, gapsFunction, countersFunction,
}

// check holds the exports of a module against what is called here: to call a function with parameters of other types
// would be a fault of ours.
func (e *exported) check(exports map[string]api.FunctionDefinition) error {
	for _, wanted := range []exported{
		{export: e.export, parameters: e.parameters},
		{export: postPrefix + e.export, parameters: []api.ValueType{i32}},
		{export: reallocName, parameters: []api.ValueType{i32, i32, i32, i32}},
	} {
		found, isThere := exports[wanted.export]
		if !isThere {
			return fmt.Errorf("the module does not export %s: it is no plugin, or one of another contract", wanted.export)
		}
		answers := 1
		if wanted.export == postPrefix+e.export {
			answers = 0
		}
		if !slices.Equal(found.ParamTypes(), wanted.parameters) || len(found.ResultTypes()) != answers {
			return fmt.Errorf("the module's %s has other parameters than the contract says: it is of another version",
				wanted.export)
		}
	}
	return nil
}
