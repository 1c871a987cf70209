package guest

// The canonical ABI of the component model, for the types of this contract: how values lie in the guest's memory.
//
// Arguments are lowered into blocks that the guest hands out and later frees. Answers are lifted from the address that a
// call returns, before any other call, and copied: memory moves when it grows. The guest is not believed: every address,
// count, case and text is checked, and no answer can be larger than the memory that it lies in.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

// === Lowering ===

// lowering puts arguments into the guest's memory. After the first error it does nothing, and err tells.
type lowering struct {
	ctx     context.Context
	memory  api.Memory
	realloc api.Function
	stack   [4]uint64
	err     error
}

// block asks the guest for memory. It must be asked for all parts of an argument before their table is written: the guest
// may move nothing, but its memory may grow.
func (l *lowering) block(size, align uint64) uint32 {
	if l.err != nil || size == 0 {
		// What has no bytes needs no place, only an address that is aligned.
		return uint32(align)
	}
	if size > 1<<31 {
		l.err = fmt.Errorf("an argument has %d bytes, more than any guest's memory", size)
		return 0
	}
	l.stack = [4]uint64{0, 0, align, size}
	if l.err = l.realloc.CallWithStack(l.ctx, l.stack[:]); l.err != nil {
		return 0
	}
	return uint32(l.stack[0])
}

// bytes puts bytes into a block of their own.
func (l *lowering) bytes(value []byte) (address, length uint64) {
	block := l.block(uint64(len(value)), 1)
	if l.err == nil && len(value) > 0 && !l.memory.Write(block, value) {
		l.err = errors.New("it handed out a block outside of its memory")
	}
	return uint64(block), uint64(len(value))
}

// text puts a text into a block. The guest does not look whether a text is UTF-8, so none that is not is sent.
func (l *lowering) text(value string) (address, length uint64) {
	value = strings.ToValidUTF8(value, "\uFFFD")
	block := l.block(uint64(len(value)), 1)
	if l.err == nil && len(value) > 0 && !l.memory.WriteString(block, value) {
		l.err = errors.New("it handed out a block outside of its memory")
	}
	return uint64(block), uint64(len(value))
}

// optionalText gives case, address and length.
func (l *lowering) optionalText(value *string) (present, address, length uint64) {
	if value == nil {
		return 0, 0, 0
	}
	address, length = l.text(*value)
	return 1, address, length
}

// pairs puts a list of a text and bytes each into a table.
func (l *lowering) pairs(count int, pair func(index int) (string, []byte)) (address, length uint64) {
	table := make([]byte, 0, 16*count)
	for index := range count {
		first, second := pair(index)
		for _, part := range [2]func() (uint64, uint64){
			func() (uint64, uint64) { return l.text(first) },
			func() (uint64, uint64) { return l.bytes(second) },
		} {
			address, length := part()
			table = binary.LittleEndian.AppendUint32(table, uint32(address))
			table = binary.LittleEndian.AppendUint32(table, uint32(length))
		}
	}
	block := l.block(uint64(len(table)), 4)
	if l.err == nil && len(table) > 0 && !l.memory.Write(block, table) {
		l.err = errors.New("it handed out a block outside of its memory")
	}
	return uint64(block), uint64(count)
}

// === Lifting ===

// lifting reads an answer. After the first error it reads zeros, and err tells.
type lifting struct {
	memory []byte
	// budget is how many bytes the parts of the answer may still have. Parts of an honest answer do not overlap, so all of
	// them fit into the memory; a thousand lists in one place would not.
	budget uint64
	err    error
}

func liftingFrom(memory []byte) *lifting {
	return &lifting{memory: memory, budget: uint64(len(memory))}
}

func (l *lifting) fail(format string, arguments ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("it answered what no plugin answers: "+format, arguments...)
	}
}

// none is what is read where nothing can be: as many zeros as the largest element has bytes.
var none [256]byte

// block is so many elements at an address.
func (l *lifting) block(address, count, size, align uint32) []byte {
	bytes := uint64(count) * uint64(size)
	switch {
	case l.err != nil:
	case address%align != 0:
		l.fail("address %d is not a multiple of %d", address, align)
	case uint64(address)+bytes > uint64(len(l.memory)):
		l.fail("%d bytes at %d lie outside of its memory of %d", bytes, address, len(l.memory))
	case bytes > l.budget:
		l.fail("parts of it overlap")
	default:
		l.budget -= bytes
		return l.memory[address : uint64(address)+bytes]
	}
	return none[:0]
}

// record is the record at an address.
func (l *lifting) record(address uint64, size, align uint32) []byte {
	if record := l.block(uint32(address), 1, size, align); l.err == nil {
		return record
	}
	return none[:size]
}

func number(record []byte, at int) uint32   { return binary.LittleEndian.Uint32(record[at:]) }
func number64(record []byte, at int) uint64 { return binary.LittleEndian.Uint64(record[at:]) }

// choice is the number of a case, of which there are so many.
func (l *lifting) choice(record []byte, at int, cases byte) byte {
	if record[at] >= cases {
		l.fail("case %d of %d", record[at], cases)
		return 0
	}
	return record[at]
}

func (l *lifting) flag(record []byte, at int) bool { return l.choice(record, at, 2) == 1 }

// bytes are those whose address and length stand there.
func (l *lifting) bytes(record []byte, at int) []byte {
	return append([]byte(nil), l.block(number(record, at), number(record, at+4), 1, 1)...)
}

func (l *lifting) text(record []byte, at int) string {
	bytes := l.block(number(record, at), number(record, at+4), 1, 1)
	if !utf8.Valid(bytes) {
		l.fail("a text is not UTF-8")
		return ""
	}
	return string(bytes)
}

func (l *lifting) optionalText(record []byte, at int) *string {
	if !l.flag(record, at) {
		return nil
	}
	text := l.text(record, at+4)
	return &text
}

func (l *lifting) optional64(record []byte, at int) *uint64 {
	if !l.flag(record, at) {
		return nil
	}
	value := number64(record, at+8)
	return &value
}

// list lifts each element of the list whose address and count stand there.
func list[T any](l *lifting, record []byte, at int, size, align uint32, element func(element []byte) T) []T {
	count := number(record, at+4)
	block := l.block(number(record, at), count, size, align)
	if l.err != nil || count == 0 {
		return nil
	}
	lifted := make([]T, 0, count)
	for ; len(block) > 0 && l.err == nil; block = block[size:] {
		lifted = append(lifted, element(block[:size:size]))
	}
	return lifted
}

func (l *lifting) texts(record []byte, at int) []string {
	return list(l, record, at, 8, 4, func(element []byte) string { return l.text(element, 0) })
}

// === The records of the contract: sizes and offsets follow from their fields ===

func (l *lifting) faults(record []byte, at int) []ConfigFault {
	return list(l, record, at, 28, 4, func(fault []byte) ConfigFault {
		return ConfigFault{Pointer: l.text(fault, 0), Message: l.text(fault, 8), Hint: l.optionalText(fault, 16)}
	})
}

func (l *lifting) entries(record []byte, at int) []Entry {
	return list(l, record, at, 16, 4, func(entry []byte) Entry {
		return Entry{Key: l.text(entry, 0), Bytes: l.bytes(entry, 8)}
	})
}

func (l *lifting) transitions(record []byte, at int) []Transition {
	return list(l, record, at, 72, 8, func(transition []byte) Transition {
		return Transition{
			Source:   l.text(transition, 0),
			Incident: l.text(transition, 8),
			Kind:     l.text(transition, 16),
			From:     l.optionalText(transition, 24),
			To:       l.text(transition, 36),
			At:       number64(transition, 48),
			Services: l.texts(transition, 56),
			Reason:   l.text(transition, 64),
		}
	})
}

// incidentSize is that of the record incident, which is aligned to 8.
const incidentSize = 144

func (l *lifting) incident(incident []byte) Incident {
	return Incident{
		ID:         l.text(incident, 0),
		Source:     l.text(incident, 8),
		ExternalID: l.text(incident, 16),
		Display:    l.text(incident, 24),
		Kind:       l.text(incident, 32),
		State:      l.text(incident, 40),
		Open:       l.flag(incident, 48),
		Severity:   l.text(incident, 52),
		Title:      l.text(incident, 60),
		URL:        l.text(incident, 68),
		Started:    number64(incident, 80),
		Ended:      l.optional64(incident, 88),
		LeaseUntil: l.optional64(incident, 104),
		Windows: list(l, incident, 120, 24, 8, func(window []byte) Window {
			return Window{From: number64(window, 0), Until: l.optional64(window, 8)}
		}),
		Services: l.texts(incident, 128),
		Reason:   l.text(incident, 136),
	}
}

func (l *lifting) attributes(record []byte, at int) []Attribute {
	return list(l, record, at, 20, 4, func(element []byte) Attribute {
		attribute := Attribute{Key: l.text(element, 0), Kind: ValueKind(l.choice(element, 8, 3))}
		switch attribute.Kind {
		case Text:
			attribute.Text = l.text(element, 12)
		case Flag:
			attribute.Flag = l.flag(element, 12)
		case Texts:
			attribute.Texts = l.texts(element, 12)
		}
		return attribute
	})
}

// itemMarks is lifted into memory that is there: it is the only answer that a batch waits for.
func (l *lifting) itemMarks(record []byte, at int, into *ItemMarks) {
	into.Sets = list(l, record, at, 8, 4, func(set []byte) []Attribute { return l.attributes(set, 0) })
	block := l.block(number(record, at+8), number(record, at+12), 20, 4)
	into.Items = into.Items[:0]
	for ; len(block) >= 20; block = block[20:] {
		mark := ItemMark{
			Resource:   number(block, 0),
			Item:       number(block, 4),
			Exemplar:   NoExemplar,
			Attributes: number(block, 16),
		}
		if l.flag(block, 8) {
			mark.Exemplar = int64(number(block, 12))
		}
		into.Items = append(into.Items, mark)
	}
}
