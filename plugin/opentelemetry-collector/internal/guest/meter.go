package guest

import (
	"errors"
	"fmt"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/wasmfile"
)

// The import that metered puts into a module: () -> i64, how many instructions may be executed until it is called again.
const (
	meterModule   = "faultline_host"
	meterFunction = "look_at_the_clock"
)

// quantum is how many instructions a guest executes between two looks at the clock: about a millisecond at most, usually a
// tenth of that. So long may a guest hold up Go's garbage collector, which waits for it to come out.
const quantum = 1 << 20

// copiedBytesShift: one instruction of the budget pays for 2^3 bytes where memory is copied or filled, which is less than
// a processor moves in the time of an instruction.
const copiedBytesShift = 3

// metered rewrites a module so that it asks its host for leave after each quantum of instructions. The deadline is
// enforced there: whatever the guest does, the host gets to look at the clock.
//
// A global holds what is left of the quantum. Every function, and every loop at each turn, pays at its beginning for all
// instructions that can be executed until the next one pays: those of the function outside of its loops, or those of the
// loop outside of loops within. Copying memory pays for its length. So no path is free, and what is counted is never less
// than what is executed.
//
// Why not what the runtime offers (WithCloseOnContextDone): it leaves the guest at the head of every loop. Marks of 512
// spans took 1.9 times as long with it, and 1.0 times as long metered (BenchmarkDeadline). A flag that another goroutine sets
// would be no cheaper, and wrong: while Go's garbage collector waits for the guest to come out, no other goroutine runs.
//
// The import becomes function 0, so all others move up by one. Modules that import anything are refused, as the plugin
// imports nothing; so is growing a table, which the plugin does not do and which nothing would bound.
func metered(module []byte) ([]byte, error) {
	parsed, err := wasmfile.Parse(module)
	if err != nil {
		return nil, err
	}
	if len(parsed.Section(wasmfile.Imports)) > 1 {
		return nil, errors.New("the module wants imports, and the plugin imports nothing: it is another build or no plugin")
	}
	meter, err := addMeter(parsed)
	if err != nil {
		return nil, err
	}
	if err := moveReferences(parsed); err != nil {
		return nil, err
	}
	bodies, err := parsed.Bodies()
	if err != nil {
		return nil, err
	}
	for index, body := range bodies {
		if bodies[index], err = meter.body(body); err != nil {
			return nil, fmt.Errorf("function %d: %w", index, err)
		}
	}
	bodies = append(bodies, meter.copying())
	parsed.SetBodies(bodies)
	return parsed.Bytes(), nil
}

// meter knows where its parts are in the rewritten module.
type meter struct {
	// global is the index of the budget.
	global uint32
	// copier is the index of the function through which lengths of copies pass: (i32) -> i32.
	copier uint32
}

// Value types and other bytes of the binary format.
const (
	typeI32      = 0x7f
	typeI64      = 0x7e
	typeFunction = 0x60
	typeEmpty    = 0x40

	opEnd       = 0x0b
	opIf        = 0x04
	opCall      = 0x10
	opLocalGet  = 0x20
	opGlobalGet = 0x23
	opGlobalSet = 0x24
	opI32Const  = 0x41
	opI64Const  = 0x42
	opI64LtS    = 0x53
	opI64Sub    = 0x7d
	opI32ShrU   = 0x76
	opExtendU   = 0xad
)

// addMeter adds types, the import, the global, and the declaration of the function that pays for copies.
func addMeter(module *wasmfile.Module) (meter, error) {
	leave, err := module.Append(wasmfile.Types, []byte{typeFunction, 0, 1, typeI64})
	if err != nil {
		return meter{}, err
	}
	pass, err := module.Append(wasmfile.Types, []byte{typeFunction, 1, typeI32, 1, typeI32})
	if err != nil {
		return meter{}, err
	}
	imports := wasmfile.AppendName(wasmfile.AppendUint32(nil, 1), meterModule)
	imports = append(wasmfile.AppendName(imports, meterFunction), wasmfile.KindFunction)
	module.Set(wasmfile.Imports, wasmfile.AppendUint32(imports, leave))
	global, err := module.Append(wasmfile.Globals, []byte{typeI64, 1, opI64Const, 0, opEnd})
	if err != nil {
		return meter{}, err
	}
	declared, err := module.Append(wasmfile.Functions, wasmfile.AppendUint32(nil, pass))
	return meter{global: global, copier: declared + 1}, err
}

// moveReferences adds one to every number of a function outside of code.
func moveReferences(module *wasmfile.Module) error {
	exports, err := module.Exports()
	if err != nil {
		return err
	}
	for index := range exports {
		if exports[index].Kind == wasmfile.KindFunction {
			exports[index].Index++
		}
	}
	module.SetExports(exports)
	if start := module.Section(wasmfile.Start); len(start) > 0 {
		reader := wasmfile.NewReader(start)
		module.Set(wasmfile.Start, wasmfile.AppendUint32(nil, reader.Uint32()+1))
		if reader.Err() != nil {
			return reader.Err()
		}
	}
	return moveElements(module)
}

// moveElements does so for tables. Of the forms of segments only the one that compilers write for tables of functions is
// known: active, of table 0, numbers of functions.
func moveElements(module *wasmfile.Module) error {
	content := module.Section(wasmfile.Elements)
	if len(content) == 0 {
		return nil
	}
	reader := wasmfile.NewReader(content)
	segments := reader.Uint32()
	moved := wasmfile.AppendUint32(make([]byte, 0, len(content)+64), segments)
	for ; segments > 0 && reader.Err() == nil; segments-- {
		if form := reader.Uint32(); form != 0 {
			reader.Fail("a segment of elements has form %d, and the plugin has only such of form 0", form)
		}
		at := len(content) - reader.Len()
		for reader.Err() == nil && reader.Next().Opcode != wasmfile.End {
		}
		offset := content[at : len(content)-reader.Len()]
		count := reader.Uint32()
		moved = wasmfile.AppendUint32(append(append(moved, 0), offset...), count)
		for ; count > 0 && reader.Err() == nil; count-- {
			moved = wasmfile.AppendUint32(moved, reader.Uint32()+1)
		}
	}
	module.Set(wasmfile.Elements, moved)
	return reader.Err()
}

// edit is a change in the code of a function, before it is known what everything costs.
type edit struct {
	// from and to are what is left out.
	from, to int
	// put is what stands there instead. Nil: the payment of a loop, whose number is in loop.
	put  []byte
	loop int
}

// body rewrites one function.
func (m meter) body(body []byte) ([]byte, error) {
	locals, code, err := wasmfile.SplitBody(body)
	if err != nil {
		return nil, err
	}
	// What each loop costs for one turn; the first is the function itself.
	costs := []int64{0}
	// The loop around each block that is open.
	open := []int{0}
	var edits []edit
	reader := wasmfile.NewReader(code)
	for len(open) > 0 {
		at := len(code) - reader.Len()
		instruction := reader.Next()
		if reader.Err() != nil {
			return nil, reader.Err()
		}
		behind := len(code) - reader.Len()
		around := open[len(open)-1]
		costs[around]++
		switch instruction.Opcode {
		case wasmfile.Block, wasmfile.If:
			open = append(open, around)
		case wasmfile.Loop:
			edits = append(edits, edit{from: behind, to: behind, loop: len(costs)})
			open = append(open, len(costs))
			costs = append(costs, 0)
		case wasmfile.End:
			open = open[:len(open)-1]
		case wasmfile.Call, wasmfile.RefFunc:
			moved := wasmfile.AppendUint32([]byte{byte(instruction.Opcode)}, instruction.Index+1)
			edits = append(edits, edit{from: at, to: behind, put: moved})
		case wasmfile.MemoryCopy, wasmfile.MemoryFill, wasmfile.MemoryInit, wasmfile.TableInit, wasmfile.TableCopy,
			wasmfile.TableFill:
			edits = append(edits, edit{from: at, to: at, put: wasmfile.AppendUint32([]byte{opCall}, m.copier)})
		case wasmfile.TableGrow:
			return nil, errors.New("it grows a table, which nothing would bound")
		}
	}
	metered := append(make([]byte, 0, len(body)+24*len(costs)+len(edits)), locals...)
	metered = m.payment(metered, costs[0])
	done := 0
	for _, edit := range edits {
		metered = append(metered, code[done:edit.from]...)
		if edit.put != nil {
			metered = append(metered, edit.put...)
		} else {
			metered = m.payment(metered, costs[edit.loop])
		}
		done = edit.to
	}
	return append(metered, code[done:]...), nil
}

// payment takes so many instructions from the budget, and asks for leave when it is spent.
func (m meter) payment(into []byte, instructions int64) []byte {
	into = m.global64(into, opGlobalGet)
	into = append(wasmfile.AppendInt64(append(into, opI64Const), instructions), opI64Sub)
	return m.settlement(into)
}

// settlement puts what is left, which is on the stack, into the budget, and asks for leave when it is spent.
func (m meter) settlement(into []byte) []byte {
	into = m.global64(m.global64(into, opGlobalSet), opGlobalGet)
	into = append(into, opI64Const, 0, opI64LtS, opIf, typeEmpty, opCall, 0)
	return append(m.global64(into, opGlobalSet), opEnd)
}

// copying is the function that pays for a copy: it answers with the length that it is given.
func (m meter) copying() []byte {
	body := m.global64([]byte{0}, opGlobalGet)
	body = append(body, opLocalGet, 0, opI32Const, copiedBytesShift, opI32ShrU, opExtendU, opI64Sub)
	body = m.settlement(body)
	return append(body, opLocalGet, 0, opEnd)
}

func (m meter) global64(into []byte, opcode byte) []byte {
	return wasmfile.AppendUint32(append(into, opcode), m.global)
}
