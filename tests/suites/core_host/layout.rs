//! How values of a type of the contract lie in the guest's memory, resolved once from the WIT.

use anyhow::{Context, bail};
use wit_parser::{Int, Resolve, SizeAlign, Type, TypeDefKind};

/// How values of one type lie in memory, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(super) size: usize,
    pub(super) align: usize,
    pub(super) shape: Shape,
}

/// What a value is made of.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A whole number without sign, or a bool, in so many bytes.
    Integer(usize),
    /// Address and count of UTF-8 bytes elsewhere.
    Text,
    /// Address and count of bytes elsewhere: `list<u8>`.
    Bytes,
    /// Address and count of elements elsewhere.
    List(Box<Layout>),
    /// Fields, and tuples: offset and layout of each.
    Record(Vec<(usize, Layout)>),
    /// Variants, enums, options and results.
    Variant(Cases),
}

/// One of several cases: its number, and behind it what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Cases {
    /// Bytes of the number. What is above them is padding, which holds anything.
    pub(super) tag_bytes: usize,
    pub(super) payload_offset: usize,
    pub(super) payloads: Vec<Option<Layout>>,
}

/// A value as a parameter: one of the two types that this contract needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flat {
    I32,
    I64,
}

// === impl Layout ===

impl Layout {
    pub(super) fn of(resolve: &Resolve, sizes: &SizeAlign, ty: &Type) -> anyhow::Result<Self> {
        let (size, align) = (sizes.size(ty).size_wasm32(), sizes.align(ty).align_wasm32());
        Ok(Self { size, align, shape: Shape::of(resolve, sizes, ty)? })
    }

    /// The parameters that a value of this type is passed as.
    pub(crate) fn flat(&self) -> Vec<Flat> {
        match &self.shape {
            Shape::Integer(8) => vec![Flat::I64],
            Shape::Integer(_) => vec![Flat::I32],
            Shape::Text | Shape::Bytes | Shape::List(_) => vec![Flat::I32; 2],
            Shape::Record(fields) => fields.iter().flat_map(|(_, field)| field.flat()).collect(),
            Shape::Variant(cases) => [Flat::I32].into_iter().chain(cases.flat()).collect(),
        }
    }

    /// Whether a value is a number of 32 bits.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Integer(4))
    }

    /// Whether a value has parts elsewhere in memory, which somebody must free.
    pub(crate) fn has_parts(&self) -> bool {
        match &self.shape {
            Shape::Integer(_) => false,
            Shape::Text | Shape::Bytes | Shape::List(_) => true,
            Shape::Record(fields) => fields.iter().any(|(_, field)| field.has_parts()),
            Shape::Variant(cases) => cases.payloads.iter().flatten().any(Self::has_parts),
        }
    }
}

// === impl Cases ===

impl Cases {
    /// All cases share the parameters behind their number: each is as wide as the widest that any case needs there.
    pub(super) fn flat(&self) -> Vec<Flat> {
        let mut joined: Vec<Flat> = Vec::new();
        for payload in self.payloads.iter().flatten() {
            for (index, flat) in payload.flat().into_iter().enumerate() {
                match joined.get_mut(index) {
                    Some(known) if flat == Flat::I64 => *known = Flat::I64,
                    Some(_) => {}
                    None => joined.push(flat),
                }
            }
        }
        joined
    }
}

// === impl Shape ===

impl Shape {
    fn of(resolve: &Resolve, sizes: &SizeAlign, ty: &Type) -> anyhow::Result<Self> {
        let id = match ty {
            Type::Bool | Type::U8 => return Ok(Self::Integer(1)),
            Type::U16 => return Ok(Self::Integer(2)),
            Type::U32 => return Ok(Self::Integer(4)),
            Type::U64 => return Ok(Self::Integer(8)),
            Type::String => return Ok(Self::Text),
            Type::Id(id) => *id,
            other => bail!("the contract has no use for {other:?} so far, and this host no layout"),
        };
        let layout = |ty: &Type| Layout::of(resolve, sizes, ty);
        let record = |types: Vec<&Type>| -> anyhow::Result<Self> {
            let fields = sizes.field_offsets(types).into_iter();
            let fields = fields.map(|(offset, ty)| Ok((offset.size_wasm32(), layout(ty)?)));
            fields.collect::<anyhow::Result<_>>().map(Self::Record)
        };
        let variant = |tag: Int, cases: Vec<Option<&Type>>| -> anyhow::Result<Self> {
            let payload_offset = sizes.payload_offset(tag, cases.iter().copied()).size_wasm32();
            let payloads = cases.into_iter().map(|ty| ty.map(layout).transpose()).collect::<anyhow::Result<_>>()?;
            let tag_bytes = match tag {
                Int::U8 => 1,
                Int::U16 => 2,
                Int::U32 | Int::U64 => 4,
            };
            Ok(Self::Variant(Cases { tag_bytes, payload_offset, payloads }))
        };
        match &resolve.types.get(id).context("a type of the contract is missing")?.kind {
            TypeDefKind::Type(other) => Self::of(resolve, sizes, other),
            TypeDefKind::List(Type::U8) => Ok(Self::Bytes),
            TypeDefKind::List(element) => Ok(Self::List(Box::new(layout(element)?))),
            TypeDefKind::Record(fields) => record(fields.fields.iter().map(|field| &field.ty).collect()),
            TypeDefKind::Tuple(tuple) => record(tuple.types.iter().collect()),
            TypeDefKind::Enum(cases) => variant(cases.tag(), vec![None; cases.cases.len()]),
            TypeDefKind::Variant(cases) => {
                variant(cases.tag(), cases.cases.iter().map(|case| case.ty.as_ref()).collect())
            }
            TypeDefKind::Option(some) => variant(Int::U8, vec![None, Some(some)]),
            TypeDefKind::Result(result) => variant(Int::U8, vec![result.ok.as_ref(), result.err.as_ref()]),
            other => bail!("the contract has no use for {} so far, and this host no layout", other.as_str()),
        }
    }
}
