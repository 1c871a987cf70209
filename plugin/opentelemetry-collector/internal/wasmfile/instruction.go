package wasmfile

// Opcode is an instruction without what belongs to it. Those with a prefix have it in the high byte.
type Opcode uint16

// The instructions that a rewriter tells from others.
const (
	Block        Opcode = 0x02
	Loop         Opcode = 0x03
	If           Opcode = 0x04
	End          Opcode = 0x0b
	Call         Opcode = 0x10
	CallIndirect Opcode = 0x11
	RefFunc      Opcode = 0xd2
	MemoryInit   Opcode = miscellaneous<<8 | 8
	MemoryCopy   Opcode = miscellaneous<<8 | 10
	MemoryFill   Opcode = miscellaneous<<8 | 11
	TableInit    Opcode = miscellaneous<<8 | 12
	TableCopy    Opcode = miscellaneous<<8 | 14
	TableGrow    Opcode = miscellaneous<<8 | 15
	TableFill    Opcode = miscellaneous<<8 | 17
)

const (
	miscellaneous = 0xfc
	vector        = 0xfd
)

// Instruction is one instruction where it lies.
type Instruction struct {
	Opcode Opcode
	// Index is the function that Call and RefFunc name; 0 for all others.
	Index uint32
}

// Next reads one instruction. What a runtime without proposals beyond WebAssembly 2.0 does not know is an error.
func (r *Reader) Next() Instruction {
	first := r.Byte()
	instruction := Instruction{Opcode: Opcode(first)}
	switch {
	case first == miscellaneous:
		return Instruction{Opcode: miscellaneous<<8 | Opcode(r.miscellaneous())}
	case first == vector:
		return Instruction{Opcode: vector<<8 | Opcode(r.vector()&0xff)}
	case first == byte(Call), first == byte(RefFunc):
		instruction.Index = r.Uint32()
	case first <= 0x01, first == 0x05, first == 0x0b, first == 0x0f, first == 0x1a, first == 0x1b, first == 0xd1:
	case first >= 0x45 && first <= 0xc4:
	case first >= 0x02 && first <= 0x04, first == 0x41, first == 0x42:
		r.PassSigned()
	case first == 0x0c, first == 0x0d, first >= 0x20 && first <= 0x26, first == 0x3f, first == 0x40:
		r.Uint32()
	case first == 0x0e:
		for count := r.Uint32(); count > 0 && r.Err() == nil; count-- {
			r.Uint32()
		}
		r.Uint32()
	case first == byte(CallIndirect), first >= 0x28 && first <= 0x3e:
		r.Uint32()
		r.Uint32()
	case first == 0x1c:
		r.Bytes(uint64(r.Uint32()))
	case first == 0x43:
		r.Bytes(4)
	case first == 0x44:
		r.Bytes(8)
	case first == 0xd0:
		r.Byte()
	default:
		r.Fail("instruction %#02x is unknown", first)
	}
	return instruction
}

func (r *Reader) miscellaneous() uint32 {
	second := r.Uint32()
	switch {
	case second <= 7:
	case second == 8, second == 10, second == 12, second == 14:
		r.Uint32()
		r.Uint32()
	case second <= 17:
		r.Uint32()
	default:
		r.Fail("instruction 0xfc %d is unknown", second)
	}
	return second
}

func (r *Reader) vector() uint32 {
	second := r.Uint32()
	switch {
	case second <= 11, second == 92, second == 93:
		r.Uint32()
		r.Uint32()
	case second == 12, second == 13:
		r.Bytes(16)
	case second >= 21 && second <= 34:
		r.Byte()
	case second >= 84 && second <= 91:
		r.Uint32()
		r.Uint32()
		r.Byte()
	case second > 0xff:
		r.Fail("instruction 0xfd %d is unknown", second)
	}
	return second
}
