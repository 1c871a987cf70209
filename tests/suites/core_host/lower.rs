//! Into the guest: a value becomes parameters, and blocks of memory for what does not fit into these.

use anyhow::{Context, bail, ensure};
use wasmtime::Val;

use super::instance::Instance;
use super::layout::{Cases, Flat, Layout, Shape};
use super::value::Value;

// === impl Instance ===

impl Instance {
    /// Appends the parameters that `value` is passed as.
    pub(super) fn lower(&mut self, value: &Value<'_>, layout: &Layout, into: &mut Vec<Val>) -> anyhow::Result<()> {
        match (&layout.shape, value) {
            (Shape::Integer(8), Value::Integer(number)) => into.push(Val::I64(number.cast_signed())),
            (Shape::Integer(_), Value::Integer(number)) => into.push(narrow(*number)?),
            (Shape::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
                for ((_, field), value) in fields.iter().zip(values) {
                    self.lower(value, field, into)?;
                }
            }
            (Shape::Variant(cases), Value::Variant(case, payload)) => {
                into.push(narrow(u64::try_from(*case)?)?);
                let mut parameters = Vec::new();
                if let Some((layout, payload)) = cases.payload(*case, payload.as_deref())? {
                    self.lower(payload, layout, &mut parameters)?;
                }
                let mut parameters = parameters.into_iter();
                for flat in cases.flat() {
                    into.push(match (flat, parameters.next()) {
                        (Flat::I32, None) => Val::I32(0),
                        (Flat::I64, None) => Val::I64(0),
                        (Flat::I64, Some(Val::I32(narrow))) => Val::I64(i64::from(narrow.cast_unsigned())),
                        (_, Some(parameter)) => parameter,
                    });
                }
            }
            (Shape::Text | Shape::Bytes | Shape::List(_), _) => {
                let (address, count) = self.part(value, layout)?;
                into.extend([Val::I32(address.cast_signed()), Val::I32(count.cast_signed())]);
            }
            (shape, value) => bail!("{value:?} is not {shape:?}"),
        }
        Ok(())
    }

    /// Puts what lies elsewhere into a block of its own; answers with its address and the count of elements.
    fn part(&mut self, value: &Value<'_>, layout: &Layout) -> anyhow::Result<(u32, u32)> {
        let (address, count) = match (&layout.shape, value) {
            (Shape::Text, Value::Text(text)) => (self.block(text.as_bytes(), 1)?, text.len()),
            (Shape::Bytes, Value::Bytes(bytes)) => (self.block(bytes, 1)?, bytes.len()),
            (Shape::List(element), Value::List(values)) => {
                let mut table = vec![0; element.size * values.len()];
                for (place, value) in table.chunks_exact_mut(element.size).zip(values) {
                    self.store(value, element, place)?;
                }
                (self.block(&table, element.align)?, values.len())
            }
            (shape, value) => bail!("{value:?} is not {shape:?}"),
        };
        Ok((address, u32::try_from(count)?))
    }

    fn block(&mut self, bytes: &[u8], align: usize) -> anyhow::Result<u32> {
        let address = self.allocate(bytes.len(), align)?;
        self.write(address, bytes)?;
        Ok(address)
    }

    /// Writes `value` to the beginning of `place`, as it lies in the guest's memory.
    fn store(&mut self, value: &Value<'_>, layout: &Layout, place: &mut [u8]) -> anyhow::Result<()> {
        match (&layout.shape, value) {
            (Shape::Integer(bytes), Value::Integer(number)) => put(place, *number, *bytes)?,
            (Shape::Record(fields), Value::Record(values)) if fields.len() == values.len() => {
                for ((offset, field), value) in fields.iter().zip(values) {
                    self.store(value, field, behind(place, *offset)?)?;
                }
            }
            (Shape::Variant(cases), Value::Variant(case, payload)) => {
                put(place, u64::try_from(*case)?, cases.tag_bytes)?;
                if let Some((layout, payload)) = cases.payload(*case, payload.as_deref())? {
                    self.store(payload, layout, behind(place, cases.payload_offset)?)?;
                }
            }
            (Shape::Text | Shape::Bytes | Shape::List(_), _) => {
                let (address, count) = self.part(value, layout)?;
                put(place, u64::from(address), 4)?;
                put(behind(place, 4)?, u64::from(count), 4)?;
            }
            (shape, value) => bail!("{value:?} is not {shape:?}"),
        }
        Ok(())
    }
}

// === impl Cases ===

impl Cases {
    /// What belongs to a case and its layout, when anything does.
    fn payload<'a, 'b>(
        &'a self,
        case: usize,
        payload: Option<&'b Value<'b>>,
    ) -> anyhow::Result<Option<(&'a Layout, &'b Value<'b>)>> {
        let layout = self.payloads.get(case).with_context(|| format!("there is no case {case}"))?;
        ensure!(layout.is_some() == payload.is_some(), "case {case} with {payload:?}, and layout {layout:?}");
        Ok(layout.as_ref().zip(payload))
    }
}

/// A number of at most four bytes as a parameter.
fn narrow(number: u64) -> anyhow::Result<Val> {
    Ok(Val::I32(u32::try_from(number)?.cast_signed()))
}

fn put(place: &mut [u8], number: u64, bytes: usize) -> anyhow::Result<()> {
    let number_bytes = number.to_le_bytes();
    let (low, high) = number_bytes.split_at(bytes);
    ensure!(high.iter().all(|byte| *byte == 0), "{number} does not fit into {bytes} bytes");
    place.get_mut(..bytes).context("a layout is larger than its place")?.copy_from_slice(low);
    Ok(())
}

fn behind(place: &mut [u8], offset: usize) -> anyhow::Result<&mut [u8]> {
    place.get_mut(offset..).context("a layout is larger than its place")
}
