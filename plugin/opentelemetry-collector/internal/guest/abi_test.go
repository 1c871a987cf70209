package guest

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
)

// everything lifts each record of the contract from an address.
func everything(memory []byte, address uint64) []*lifting {
	var all []*lifting
	each := func(size, align uint32, lift func(l *lifting, record []byte)) {
		l := liftingFrom(memory)
		lift(l, l.record(address, size, align))
		all = append(all, l)
	}
	each(12, 4, func(l *lifting, record []byte) { l.faults(record, 4) })
	each(36, 4, func(l *lifting, record []byte) {
		l.text(record, 12)
		l.entries(record, 20)
		l.transitions(record, 28)
	})
	each(20, 4, func(l *lifting, record []byte) { l.itemMarks(record, 4, new(ItemMarks)) })
	each(8, 4, func(l *lifting, record []byte) { list(l, record, 0, incidentSize, 8, l.incident) })
	each(12, 4, func(l *lifting, record []byte) { l.bytes(record, 4); l.optionalText(record, 0); l.texts(record, 4) })
	return all
}

// Fuzzing: any memory is taken for an answer. Nothing panics, and no more is taken from it than there is.
func FuzzLifting(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	f.Add(make([]byte, 256), uint64(8))
	// A list of lists of itself.
	self := make([]byte, 1024)
	for at := 0; at < len(self); at += 8 {
		binary.LittleEndian.PutUint32(self[at:], 0)
		binary.LittleEndian.PutUint32(self[at+4:], 40)
	}
	f.Add(self, uint64(0))
	f.Fuzz(func(t *testing.T, memory []byte, address uint64) {
		for _, lifted := range everything(memory, address) {
			if lifted.budget > uint64(len(memory)) {
				t.Fatalf("more was taken than there is")
			}
		}
	})
}

func TestPartsThatOverlapAreRefused(t *testing.T) {
	memory := make([]byte, 64)
	// A list of four texts, each the whole memory.
	binary.LittleEndian.PutUint32(memory[4:], 4)
	for at := 0; at < 32; at += 8 {
		binary.LittleEndian.PutUint32(memory[at+4:], 64)
	}
	binary.LittleEndian.PutUint32(memory[4:], 4)
	l := liftingFrom(memory)
	l.texts(memory[:8], 0)
	assert.ErrorContains(t, l.err, "parts of it overlap")
}

func TestACaseThatThereIsNotIsRefused(t *testing.T) {
	l := liftingFrom(make([]byte, 8))
	assert.False(t, l.flag([]byte{2}, 0))
	assert.ErrorContains(t, l.err, "case 2 of 2")
	// What was wrong first is told.
	l.fail("more")
	assert.ErrorContains(t, l.err, "case 2 of 2")
}

func TestATextThatIsNotUTF8IsRefused(t *testing.T) {
	memory := []byte{8, 0, 0, 0, 1, 0, 0, 0, 0xff}
	l := liftingFrom(memory)
	assert.Empty(t, l.text(memory, 0))
	assert.ErrorContains(t, l.err, "not UTF-8")
}
