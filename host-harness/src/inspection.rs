//! What is in a component or a core module, read without running or compiling it.

mod core_module;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail};
use serde::Serialize;
use wasm_metadata::Producers;
use wasmparser::{Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

use crate::wasm_file::Kind;
use core_module::CoreModule;

/// What is in a plugin file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `component` or `module`.
    pub kind: Kind,
    /// The size of the file.
    pub bytes: usize,
    /// What it offers.
    pub exports: Vec<Interface>,
    /// What it asks its host for.
    pub imports: Vec<Interface>,
    /// What it was built with: name to version, by kind (`language`, `processed-by`, `sdk`).
    pub built_with: BTreeMap<String, BTreeMap<String, String>>,
}

/// An interface, or something that belongs to none: of a component a function, of a core module anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// For example `faultline:incident/processor@0.1.0`.
    pub name: String,
    /// Its functions: of a component as WIT, for example `open: func(now: unix-nanos) -> list<incident>`, and none when it
    /// has only types; of a core module as that has them, for example `open: func(i64) -> i32`.
    pub functions: Vec<String>,
}

// === impl Inspection ===

impl Inspection {
    /// Reads a component or a core module.
    ///
    /// # Errors
    /// When `bytes` are neither, or not well-formed.
    pub fn new(bytes: &[u8]) -> anyhow::Result<Self> {
        match Kind::of(bytes) {
            Some(Kind::Component) => Self::of_component(bytes),
            Some(Kind::Module) => {
                let CoreModule { exports, imports } = CoreModule::read(bytes)?;
                let (kind, bytes, built_with) = (Kind::Module, bytes.len(), built_with(bytes)?);
                Ok(Self { kind, bytes, exports, imports, built_with })
            }
            Some(Kind::Unknown) => bail!("it is {}", Kind::Unknown),
            None => bail!("it is not WebAssembly"),
        }
    }

    fn of_component(bytes: &[u8]) -> anyhow::Result<Self> {
        let (resolve, world) = match decode(bytes)? {
            DecodedWasm::Component(resolve, world) => (resolve, world),
            DecodedWasm::WitPackage(..) => bail!("it holds only WIT, no code"),
        };
        let world = resolve.worlds.get(world).context("it has no world")?;
        let interfaces = |items: &mut dyn Iterator<Item = (&WorldKey, &WorldItem)>| -> Vec<Interface> {
            items.filter_map(|(key, item)| Interface::new(&resolve, key, item)).collect()
        };
        Ok(Self {
            kind: Kind::Component,
            bytes: bytes.len(),
            exports: interfaces(&mut world.exports.iter()),
            imports: interfaces(&mut world.imports.iter()),
            built_with: built_with(bytes)?,
        })
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, interfaces) in [("exports", &self.exports), ("imports", &self.imports)] {
            writeln!(formatter, "\n{what}")?;
            if interfaces.is_empty() {
                writeln!(formatter, "  nothing")?;
            }
            for interface in interfaces {
                writeln!(formatter, "  {}", interface.name)?;
                for function in &interface.functions {
                    writeln!(formatter, "    {function}")?;
                }
            }
        }
        writeln!(formatter, "\nbuilt with")?;
        for (kind, builders) in &self.built_with {
            let builders: Vec<_> = builders.iter().map(|(name, version)| format!("{name} {version}")).collect();
            writeln!(formatter, "  {kind}: {}", builders.join(", "))?;
        }
        Ok(())
    }
}

/// What the tools left of themselves in the component and in the modules inside it.
fn built_with(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Payload::CustomSection(section) = payload? else { continue };
        if section.name() != "producers" {
            continue;
        }
        let producers = Producers::from_bytes(section.data(), section.data_offset())?;
        for (kind, builders) in producers.iter() {
            let builders = builders.iter().map(|(name, version)| (name.clone(), version.clone()));
            found.entry(kind.clone()).or_default().extend(builders);
        }
    }
    Ok(found)
}

// === impl Interface ===

impl Interface {
    /// `None` for types that belong to the world itself.
    fn new(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> Option<Self> {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => {
                let functions = &resolve.interfaces.get(*id)?.functions;
                let functions = functions.values().map(|function| signature(resolve, function)).collect();
                Some(Self { name, functions })
            }
            WorldItem::Function(function) => Some(Self { name, functions: vec![signature(resolve, function)] }),
            WorldItem::Type { .. } => None,
        }
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters: Vec<_> = function
        .params
        .iter()
        .map(|parameter| format!("{}: {}", parameter.name, type_name(resolve, &parameter.ty)))
        .collect();
    let result = function.result.as_ref().map(|result| format!(" -> {}", type_name(resolve, result)));
    format!("{}: func({}){}", function.name, parameters.join(", "), result.unwrap_or_default())
}

/// A type as WIT writes it.
fn type_name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return primitive(ty).to_owned() };
    let Some(definition) = resolve.types.get(*id) else { return "?".to_owned() };
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let name = |ty: &Type| type_name(resolve, ty);
    let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), name);
    match &definition.kind {
        TypeDefKind::List(item) => format!("list<{}>", name(item)),
        TypeDefKind::FixedLengthList(item, length) => format!("list<{}, {length}>", name(item)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", name(key), name(value)),
        TypeDefKind::Option(some) => format!("option<{}>", name(some)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", name(ok)),
            (ok, error) => format!("result<{}, {}>", or_nothing(ok), or_nothing(error)),
        },
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", tuple.types.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Handle(Handle::Own(resource)) => resource_name(resolve, *resource),
        TypeDefKind::Handle(Handle::Borrow(resource)) => format!("borrow<{}>", resource_name(resolve, *resource)),
        TypeDefKind::Future(item) => format!("future<{}>", or_nothing(item)),
        TypeDefKind::Stream(item) => format!("stream<{}>", or_nothing(item)),
        TypeDefKind::Type(other) => name(other),
        // These have names wherever they can be written.
        TypeDefKind::Record(_)
        | TypeDefKind::Resource
        | TypeDefKind::Flags(_)
        | TypeDefKind::Variant(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Unknown => definition.kind.as_str().to_owned(),
    }
}

fn resource_name(resolve: &Resolve, id: wit_parser::TypeId) -> String {
    resolve.types.get(id).and_then(|definition| definition.name.clone()).unwrap_or_else(|| "resource".to_owned())
}

fn primitive(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "?",
    }
}
