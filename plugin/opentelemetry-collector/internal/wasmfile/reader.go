// Package wasmfile reads and writes the binary format of WebAssembly modules, as far as rewriting one needs it.
//
// It exists for two callers: the meter, which puts counters into the plugin before it is compiled, and the tests, which
// put faults into it. Nothing is executed or validated here; a runtime does that with the result.
package wasmfile

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are no WebAssembly module.
var ErrMalformed = errors.New("not a WebAssembly module")

// Reader reads a part of a module from its beginning. After the first error it reads zeros, and Err tells.
type Reader struct {
	rest []byte
	err  error
}

// NewReader reads these bytes.
func NewReader(bytes []byte) *Reader { return &Reader{rest: bytes} }

// Err is what was wrong first; nil if nothing was.
func (r *Reader) Err() error { return r.err }

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) }

// Fail notes that the bytes are malformed, unless that is known already.
func (r *Reader) Fail(format string, arguments ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, arguments...))
	}
	r.rest = nil
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.rest) == 0 {
		r.Fail("it ends in the middle")
		return 0
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	return first
}

// Bytes reads so many bytes; they are not copied.
func (r *Reader) Bytes(count uint64) []byte {
	if count > uint64(len(r.rest)) {
		r.Fail("it ends in the middle")
		return nil
	}
	part := r.rest[:count]
	r.rest = r.rest[count:]
	return part
}

// Uint32 reads an unsigned LEB128 of at most 32 bits.
func (r *Reader) Uint32() uint32 {
	var value uint64
	for shift := 0; shift < 35; shift += 7 {
		next := r.Byte()
		value |= uint64(next&0x7f) << shift
		if next < 0x80 {
			if value > 0xffff_ffff {
				r.Fail("a number is larger than 32 bits")
			}
			return uint32(value)
		}
	}
	r.Fail("a number is longer than 32 bits")
	return 0
}

// PassSigned passes a signed LEB128 of at most 64 bits, whose value nobody needs.
func (r *Reader) PassSigned() {
	for range 10 {
		if r.Byte() < 0x80 {
			return
		}
	}
	r.Fail("a number is longer than 64 bits")
}

// Name reads a length and so many bytes of text.
func (r *Reader) Name() string { return string(r.Bytes(uint64(r.Uint32()))) }

// AppendUint32 writes an unsigned LEB128.
func AppendUint32(into []byte, value uint32) []byte {
	for value >= 0x80 {
		into = append(into, byte(value)|0x80)
		value >>= 7
	}
	return append(into, byte(value))
}

// AppendInt64 writes a signed LEB128.
func AppendInt64(into []byte, value int64) []byte {
	for {
		low := byte(value & 0x7f)
		value >>= 7
		if (value == 0 && low&0x40 == 0) || (value == -1 && low&0x40 != 0) {
			return append(into, low)
		}
		into = append(into, low|0x80)
	}
}

// AppendName writes a length and the bytes of a text.
func AppendName(into []byte, name string) []byte {
	return append(AppendUint32(into, uint32(len(name))), name...)
}
