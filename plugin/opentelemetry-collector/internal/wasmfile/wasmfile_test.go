package wasmfile

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNumbersAreReadAsTheyWereWritten(t *testing.T) {
	for _, number := range []uint32{0, 1, 127, 128, 1 << 14, math.MaxUint32} {
		reader := NewReader(AppendUint32(nil, number))
		assert.Equal(t, number, reader.Uint32())
		require.NoError(t, reader.Err())
		assert.Zero(t, reader.Len())
	}
	for number, expected := range map[int64][]byte{0: {0}, -1: {0x7f}, 63: {0x3f}, 64: {0xc0, 0}, -64: {0x40}, -65: {0xbf, 0x7f}} {
		bytes := AppendInt64(nil, number)
		assert.Equal(t, expected, bytes, number)
		reader := NewReader(bytes)
		reader.PassSigned()
		assert.Zero(t, reader.Len())
	}
}

func TestNumbersThatAreTooLongAreErrors(t *testing.T) {
	for _, bytes := range [][]byte{{}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0x1f}, {0x80, 0x80, 0x80, 0x80, 0x80, 0}} {
		reader := NewReader(bytes)
		reader.Uint32()
		assert.ErrorIs(t, reader.Err(), ErrMalformed, "%x", bytes)
		// What is read afterwards is nothing, and the first error stays.
		first := reader.Err()
		assert.Zero(t, reader.Byte())
		assert.Equal(t, first, reader.Err())
	}
	reader := NewReader([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0})
	reader.PassSigned()
	assert.ErrorIs(t, reader.Err(), ErrMalformed)
}

func TestAModuleIsPutTogetherAsItWas(t *testing.T) {
	module := []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x00" +
		"\x0a\x04\x01\x02\x00\x0b")
	parsed, err := Parse(append(module, "\x00\x05\x04name"...))
	require.NoError(t, err)
	assert.Equal(t, module, parsed.Bytes(), "but for what is custom")
	exports, err := parsed.Exports()
	require.NoError(t, err)
	assert.Equal(t, []Export{{Name: "f"}}, exports)
	parsed.SetExports(exports)
	bodies, err := parsed.Bodies()
	require.NoError(t, err)
	parsed.SetBodies(bodies)
	assert.Equal(t, module, parsed.Bytes())
	index, err := parsed.Append(Types, []byte{0x60, 0, 0})
	require.NoError(t, err)
	assert.Equal(t, uint32(1), index)
	index, err = parsed.Append(Globals, []byte{0x7f, 0, 0x41, 0, 0x0b})
	require.NoError(t, err)
	assert.Zero(t, index)
	_, err = Parse([]byte("\x00asm\x01\x00\x00\x00\x0f\x00"))
	assert.ErrorContains(t, err, "section 15 is unknown")
}

func TestInstructionsArePassedWithWhatBelongsToThem(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"block":        {0x02, 0x40},
		"br_table":     {0x0e, 2, 0, 1, 0},
		"call":         {0x10, 0x80, 1},
		"indirect":     {0x11, 1, 0},
		"select":       {0x1c, 1, 0x7f},
		"load":         {0x28, 2, 0x80, 1},
		"i32.const":    {0x41, 0xff, 0},
		"f32.const":    {0x43, 1, 2, 3, 4},
		"f64.const":    {0x44, 1, 2, 3, 4, 5, 6, 7, 8},
		"ref.null":     {0xd0, 0x70},
		"memory.copy":  {0xfc, 10, 0, 0},
		"memory.fill":  {0xfc, 11, 0},
		"table.size":   {0xfc, 16, 0},
		"v128.load":    {0xfd, 0, 4, 0},
		"v128.const":   append([]byte{0xfd, 12}, make([]byte, 16)...),
		"extract lane": {0xfd, 21, 3},
		"load lane":    {0xfd, 84, 0, 0, 1},
		"load zero":    {0xfd, 93, 0, 0},
		"i8x16.add":    {0xfd, 110},
		"i64x2.mul":    {0xfd, 0xd5, 1},
	} {
		reader := NewReader(bytes)
		reader.Next()
		assert.NoError(t, reader.Err(), name)
		assert.Zero(t, reader.Len(), name)
	}
	for name, bytes := range map[string][]byte{
		"return_call": {0x12, 0}, "atomic": {0xfe, 0, 0, 0}, "relaxed": {0xfd, 0x80, 2}, "future": {0xfc, 18},
	} {
		reader := NewReader(bytes)
		reader.Next()
		assert.ErrorIs(t, reader.Err(), ErrMalformed, name)
	}
	locals, code, err := SplitBody([]byte{2, 1, 0x7f, 3, 0x7e, 0x01, 0x0b})
	require.NoError(t, err)
	assert.Equal(t, []byte{2, 1, 0x7f, 3, 0x7e}, locals)
	assert.Equal(t, []byte{0x01, 0x0b}, code)
}
