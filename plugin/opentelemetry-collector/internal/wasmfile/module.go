package wasmfile

import (
	"bytes"
)

// SectionID numbers the sections of a module.
type SectionID byte

// The sections that a rewriter looks into.
const (
	Custom    SectionID = 0
	Types     SectionID = 1
	Imports   SectionID = 2
	Functions SectionID = 3
	Tables    SectionID = 4
	Memories  SectionID = 5
	Globals   SectionID = 6
	Exports   SectionID = 7
	Start     SectionID = 8
	Elements  SectionID = 9
	Code      SectionID = 10
	Data      SectionID = 11
	DataCount SectionID = 12
)

// order is where a section stands in a module: DataCount comes before Code.
var order = [...]SectionID{Types, Imports, Functions, Tables, Memories, Globals, Exports, Start, Elements, DataCount, Code, Data}

var header = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// Module is a module by its sections. Custom sections are left out: names and producers do nothing.
type Module struct {
	sections [DataCount + 1][]byte
}

// Parse takes a module apart. The contents of sections are not copied.
func Parse(module []byte) (*Module, error) {
	reader := NewReader(module)
	if !bytes.Equal(reader.Bytes(uint64(len(header))), header) {
		reader.Fail("it does not begin like a core module of version 1")
		return nil, reader.Err()
	}
	parsed := &Module{}
	for reader.Len() > 0 {
		id := SectionID(reader.Byte())
		content := reader.Bytes(uint64(reader.Uint32()))
		switch {
		case reader.Err() != nil:
			return nil, reader.Err()
		case id > DataCount:
			reader.Fail("section %d is unknown", id)
			return nil, reader.Err()
		case id != Custom:
			parsed.sections[id] = content
		}
	}
	return parsed, nil
}

// Section is the content of a section; empty where the module has none.
func (m *Module) Section(id SectionID) []byte { return m.sections[id] }

// Set puts another content in the place of a section.
func (m *Module) Set(id SectionID, content []byte) { m.sections[id] = content }

// Bytes puts the module together again.
func (m *Module) Bytes() []byte {
	size := len(header)
	for _, content := range m.sections {
		size += len(content) + 6
	}
	module := append(make([]byte, 0, size), header...)
	for _, id := range order {
		if content := m.sections[id]; len(content) > 0 {
			module = AppendUint32(append(module, byte(id)), uint32(len(content)))
			module = append(module, content...)
		}
	}
	return module
}

// Export is one export of a module.
type Export struct {
	Name string
	Kind byte
	// Index counts among the functions, tables, memories or globals, as Kind says.
	Index uint32
}

// KindFunction is the Kind of an export that is a function.
const KindFunction = 0

// Exports reads the section of exports.
func (m *Module) Exports() ([]Export, error) {
	reader := NewReader(m.sections[Exports])
	if reader.Len() == 0 {
		return nil, nil
	}
	var exports []Export
	for count := reader.Uint32(); count > 0 && reader.Err() == nil; count-- {
		exports = append(exports, Export{Name: reader.Name(), Kind: reader.Byte(), Index: reader.Uint32()})
	}
	return exports, reader.Err()
}

// SetExports writes the section of exports.
func (m *Module) SetExports(exports []Export) {
	content := AppendUint32(nil, uint32(len(exports)))
	for _, export := range exports {
		content = append(AppendName(content, export.Name), export.Kind)
		content = AppendUint32(content, export.Index)
	}
	m.sections[Exports] = content
}

// Bodies reads the section of code: one for each function that is no import, declarations of locals included.
func (m *Module) Bodies() ([][]byte, error) {
	reader := NewReader(m.sections[Code])
	if reader.Len() == 0 {
		return nil, nil
	}
	var bodies [][]byte
	for count := reader.Uint32(); count > 0 && reader.Err() == nil; count-- {
		bodies = append(bodies, reader.Bytes(uint64(reader.Uint32())))
	}
	return bodies, reader.Err()
}

// SetBodies writes the section of code.
func (m *Module) SetBodies(bodies [][]byte) {
	size := 5
	for _, body := range bodies {
		size += len(body) + 5
	}
	content := AppendUint32(make([]byte, 0, size), uint32(len(bodies)))
	for _, body := range bodies {
		content = append(AppendUint32(content, uint32(len(body))), body...)
	}
	m.sections[Code] = content
}

// SplitBody tells where the instructions of a body begin: behind its locals.
func SplitBody(body []byte) (locals, code []byte, err error) {
	reader := NewReader(body)
	for groups := reader.Uint32(); groups > 0 && reader.Err() == nil; groups-- {
		reader.Uint32()
		reader.Byte()
	}
	at := len(body) - reader.Len()
	return body[:at], body[at:], reader.Err()
}

// Append adds an element to a section that is a vector, and tells the index that it has there.
func (m *Module) Append(id SectionID, element []byte) (uint32, error) {
	content := m.sections[id]
	if len(content) == 0 {
		m.sections[id] = append([]byte{1}, element...)
		return 0, nil
	}
	reader := NewReader(content)
	count := reader.Uint32()
	if reader.Err() != nil {
		return 0, reader.Err()
	}
	longer := AppendUint32(make([]byte, 0, len(content)+len(element)+1), count+1)
	longer = append(longer, content[len(content)-reader.Len():]...)
	m.sections[id] = append(longer, element...)
	return count, nil
}
