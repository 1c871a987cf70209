//! The real plugin with one more branch: it traps on batches of a certain length.
//!
//! What the plugin does otherwise stays as it is, so that a test sees what a bug in it would cost. The branch is put before
//! the body of `edits`, which is what a server asks for.

use faultline::guest::EMBEDDED;
use wasmparser::{BinaryReader, ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// Magic and version, of components and of modules.
const HEADER_BYTES: usize = 8;
/// Of a component.
const CORE_MODULE: u8 = 1;
/// Of a module.
const CODE: u8 = 10;
const EDITS: &str = "faultline:incident/processor@0.1.0#edits";
/// Which parameter of `edits` is the length of the batch: signal, address, length, time.
const LENGTH_PARAMETER: u8 = 2;

/// The plugin that is built in, but `edits` traps on a batch of exactly so many bytes.
///
/// # Panics
/// If the plugin is not built as it was when this was written.
pub(crate) fn trapping_on(batch_bytes: usize) -> Vec<u8> {
    let mut planted = 0;
    let trapping = with_sections(EMBEDDED, |id, module| {
        let index = (id == CORE_MODULE).then(|| defined_index(module)).flatten()?;
        planted += 1;
        Some(with_sections(module, |id, code| (id == CODE).then(|| with_branch(code, index, batch_bytes))))
    });
    assert_eq!(planted, 1, "one core module exports `edits`");
    trapping
}

/// A component or module in which `change` replaces the contents of some sections, each with its id.
fn with_sections(binary: &[u8], mut change: impl FnMut(u8, &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let (header, mut rest) = binary.split_at(HEADER_BYTES);
    let mut changed = header.to_vec();
    while let Some((id, behind)) = rest.split_first() {
        let (content, next) = sized(behind);
        changed.push(*id);
        put_sized(&mut changed, &change(*id, content).unwrap_or_else(|| content.to_vec()));
        rest = next;
    }
    changed
}

/// The index of `edits` among the functions that the module defines; none if it does not export it.
fn defined_index(module: &[u8]) -> Option<u32> {
    let (mut imported, mut exported) = (0, None);
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("the plugin is well-formed") {
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports().map(|import| import.expect("an import").ty);
                imported = imports.filter(|ty| matches!(ty, TypeRef::Func(_))).count();
            }
            Payload::ExportSection(exports) => {
                let mut exports = exports.into_iter().map(|export| export.expect("an export"));
                exported = exports.find(|export| export.kind == ExternalKind::Func && export.name == EDITS);
            }
            _ => {}
        }
    }
    Some(exported?.index - u32::try_from(imported).expect("a few imports"))
}

/// The section of all bodies, with a branch at the beginning of one.
fn with_branch(code: &[u8], index: u32, batch_bytes: usize) -> Vec<u8> {
    let (count, mut rest) = number(code);
    let mut changed = Vec::with_capacity(code.len() + 32);
    put_number(&mut changed, count);
    for at in 0..count {
        let (body, next) = sized(rest);
        if at == u64::from(index) {
            let reader = FunctionBody::new(BinaryReader::new(body, 0)).get_operators_reader();
            let (locals, operators) = body.split_at(reader.expect("a body").original_position());
            put_sized(&mut changed, &[locals, &branch(batch_bytes), operators].concat());
        } else {
            put_sized(&mut changed, body);
        }
        rest = next;
    }
    changed
}

/// `if length == batch_bytes { unreachable }`.
fn branch(batch_bytes: usize) -> Vec<u8> {
    const LOCAL_GET: u8 = 0x20;
    const CONST: u8 = 0x41;
    const EQUAL: u8 = 0x46;
    const IF_UNREACHABLE_END: [u8; 4] = [0x04, 0x40, 0x00, 0x0b];
    let mut operators = vec![LOCAL_GET, LENGTH_PARAMETER, CONST];
    // A signed number: one more group of seven bits keeps the sign bit clear.
    let mut value = batch_bytes;
    while value >= 0x40 {
        operators.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    operators.push(value as u8);
    operators.push(EQUAL);
    operators.extend(IF_UNREACHABLE_END);
    operators
}

/// Bytes behind their number, and what follows them.
fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = number(bytes);
    rest.split_at(usize::try_from(length).expect("less than memory"))
}

fn put_sized(output: &mut Vec<u8>, content: &[u8]) {
    put_number(output, content.len() as u64);
    output.extend_from_slice(content);
}

/// An unsigned number in LEB128, and what follows it.
fn number(bytes: &[u8]) -> (u64, &[u8]) {
    let length = 1 + bytes.iter().position(|byte| *byte < 0x80).expect("a number ends");
    let (digits, rest) = bytes.split_at(length);
    (digits.iter().rev().fold(0, |value, digit| value << 7 | u64::from(digit & 0x7f)), rest)
}

fn put_number(output: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        output.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    output.push(value as u8);
}
