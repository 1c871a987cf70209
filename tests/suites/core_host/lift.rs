//! Out of the guest: reads a value from its memory, and believes none of its addresses.

use std::borrow::Cow;

use anyhow::{Context, ensure};

use super::layout::{Layout, Shape};
use super::value::Value;

/// Reads the value at `address`.
///
/// # Errors
/// When any part of it lies outside of `memory`, is misaligned, is text that is not UTF-8, or has a case that there is not.
pub(super) fn lift(memory: &[u8], layout: &Layout, address: u32) -> anyhow::Result<Value<'static>> {
    let address = usize::try_from(address)?;
    ensure!(address.is_multiple_of(layout.align), "address {address} is not a multiple of {}", layout.align);
    value(memory, layout, block(memory, address, layout.size)?)
}

/// Reads the value that begins `place`.
fn value(memory: &[u8], layout: &Layout, place: &[u8]) -> anyhow::Result<Value<'static>> {
    Ok(match &layout.shape {
        Shape::Integer(bytes) => Value::Integer(number(place, 0, *bytes)?),
        Shape::Text => {
            let bytes = elsewhere(memory, place, 1)?.to_vec();
            Value::Text(Cow::Owned(String::from_utf8(bytes).context("a text of the guest is not UTF-8")?))
        }
        Shape::Bytes => Value::Bytes(Cow::Owned(elsewhere(memory, place, 1)?.to_vec())),
        Shape::List(element) if element.is_number() => {
            let numbers = elsewhere(memory, place, 4)?.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
            Value::Numbers(numbers.collect())
        }
        Shape::List(element) => {
            let table = elsewhere(memory, place, element.size)?;
            let elements = table.chunks_exact(element.size).map(|place| value(memory, element, place));
            Value::List(elements.collect::<anyhow::Result<_>>()?)
        }
        Shape::Record(fields) => {
            let fields = fields.iter().map(|(offset, field)| value(memory, field, behind(place, *offset)?));
            Value::Record(fields.collect::<anyhow::Result<_>>()?)
        }
        Shape::Variant(cases) => {
            let case = usize::try_from(number(place, 0, cases.tag_bytes)?)?;
            let payload = cases.payloads.get(case).with_context(|| format!("there is no case {case}"))?;
            let payload = payload.as_ref().map(|layout| value(memory, layout, behind(place, cases.payload_offset)?));
            Value::Variant(case, payload.transpose()?.map(Box::new))
        }
    })
}

/// The elements whose address and count begin `place`.
fn elsewhere<'a>(memory: &'a [u8], place: &[u8], element_bytes: usize) -> anyhow::Result<&'a [u8]> {
    let (address, count) = (usize::try_from(number(place, 0, 4)?)?, usize::try_from(number(place, 4, 4)?)?);
    block(memory, address, count.checked_mul(element_bytes).context("the guest counts more than there can be")?)
}

fn block(memory: &[u8], address: usize, size: usize) -> anyhow::Result<&[u8]> {
    let block = address.checked_add(size).and_then(|end| memory.get(address..end));
    block.with_context(|| format!("{size} bytes at {address} are outside of the guest's memory"))
}

fn number(place: &[u8], offset: usize, bytes: usize) -> anyhow::Result<u64> {
    let bytes = behind(place, offset)?.get(..bytes).context("a layout is larger than its place")?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn behind(place: &[u8], offset: usize) -> anyhow::Result<&[u8]> {
    place.get(offset..).context("a layout is larger than its place")
}
