package plugintest

import (
	"fmt"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/wasmfile"
)

// Fault is what a function of the plugin does instead of its work: instructions in the binary format.
type Fault []byte

// Instructions, as far as faults need them.
const (
	unreachable = 0x00
	loop        = 0x03
	ifThen      = 0x04
	end         = 0x0b
	br          = 0x0c
	brIf        = 0x0d
	doReturn    = 0x0f
	call        = 0x10
	drop        = 0x1a
	localGet    = 0x20
	globalGet   = 0x23
	globalSet   = 0x24
	memoryGrow  = 0x40
	i32Const    = 0x41
	i32Eqz      = 0x45
	i32Ne       = 0x47
	i32Add      = 0x6a
	i32RemU     = 0x70
	empty       = 0x40
	typeI32     = 0x7f
)

// Faults of every kind, for functions that answer with an address.
var (
	// Trap is a panic.
	Trap = Fault{unreachable}
	// Loop never ends.
	Loop = Fault{loop, empty, br, 0, end}
	// Fill never ends either, and has long instructions: 64 KiB are filled with zeros again and again.
	Fill = Fault{loop, empty, i32Const, 0, i32Const, 0, i32Const, 0x80, 0x80, 0x04, 0xfc, 11, 0, br, 0, end}
	// Exhaust takes memory until there is no more, and panics, as an allocator does.
	Exhaust = Fault{loop, empty, i32Const, 16, memoryGrow, 0, i32Const, 0x7f, i32Ne, brIf, 0, end, unreachable}
	// Outside answers with an address behind the end of memory.
	Outside = Fault{i32Const, 0x60, doReturn}
	// Misaligned answers with an address at which nothing of the contract can lie.
	Misaligned = Fault{i32Const, 1, doReturn}
)

// Echo, in marks or process, answers with the address of the batch: what it says is whatever the batch holds.
var Echo = Fault{localGet, 1, doReturn}

// Recurse calls the function that it is put into, with nothing but zeros, until the stack ends.
func Recurse(function string, parameters int) Fault {
	var fault Fault
	for index := range parameters {
		fault = append(fault, localGet, byte(index))
	}
	return append(wasmfile.AppendUint32(append(fault, call), exported(parsed(), function).Index), drop)
}

// Names of functions of the plugin.
const (
	Marks     = "faultline:incident/processor@0.1.0#marks"
	Process   = "faultline:incident/processor@0.1.0#process"
	Interest  = "faultline:incident/processor@0.1.0#interest"
	Receive   = "faultline:incident/incidents@0.1.0#receive"
	Merge     = "faultline:incident/incidents@0.1.0#merge"
	State     = "faultline:incident/incidents@0.1.0#state"
	Counters  = "faultline:incident/incidents@0.1.0#counters"
	PostMarks = "cabi_post_" + Marks
	Realloc   = "cabi_realloc"
)

// Put is a fault in one function.
type Put struct {
	Function string
	Fault    Fault
	// Each: every so many calls of an instance, the first of them being call number Each. 1: always.
	Each int
	// ByLength, for marks and process: not by calls, but with every batch whose length is a multiple of Each. An instance
	// that several faults wait for would otherwise only meet the first.
	ByLength bool
}

// Faulty is the plugin with faults.
func Faulty(faults ...Put) []byte {
	module := parsed()
	for _, put := range faults {
		index := exported(module, put.Function).Index
		counter, err := module.Append(wasmfile.Globals, []byte{typeI32, 1, i32Const, 0, end})
		check(err)
		bodies, err := module.Bodies()
		check(err)
		// The plugin imports nothing, so that the number of a function is that of its body.
		locals, code, err := wasmfile.SplitBody(bodies[index])
		check(err)
		get := wasmfile.AppendUint32([]byte{globalGet}, counter)
		body := append([]byte(nil), locals...)
		if put.ByLength {
			get = []byte{localGet, 2}
		} else {
			body = wasmfile.AppendUint32(append(append(body, get...), i32Const, 1, i32Add, globalSet), counter)
		}
		body = wasmfile.AppendInt64(append(append(body, get...), i32Const), int64(put.Each))
		body = append(append(append(body, i32RemU, i32Eqz, ifThen, empty), put.Fault...), end)
		bodies[index] = append(body, code...)
		module.SetBodies(bodies)
	}
	return module.Bytes()
}

func parsed() *wasmfile.Module {
	module, err := wasmfile.Parse(guest.Core)
	check(err)
	return module
}

func exported(module *wasmfile.Module, name string) wasmfile.Export {
	exports, err := module.Exports()
	check(err)
	for _, export := range exports {
		if export.Name == name {
			return export
		}
	}
	panic(fmt.Sprintf("the plugin does not export %s", name))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
