//! What is in a core module: names and core types. Its interfaces are only in the names of its exports.

use anyhow::{Context, bail};
use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

use super::Interface;

/// Exports and imports of a core module.
#[derive(Default)]
pub(super) struct CoreModule {
    pub(super) exports: Vec<Interface>,
    pub(super) imports: Vec<Interface>,
}

/// The type section and, by index, the type of every function, those that are imported first.
#[derive(Default)]
struct Functions {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
}

// === impl CoreModule ===

impl CoreModule {
    /// Reads a core module.
    ///
    /// # Errors
    /// When `bytes` are not a well-formed core module.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut module = Self::default();
        let mut functions = Functions::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(types) => {
                    for group in types {
                        for ty in group?.into_types() {
                            functions.types.push(match ty.composite_type.inner {
                                CompositeInnerType::Func(function) => Some(function),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let ty = functions.import(import.ty)?;
                        add(&mut module.imports, import.module, format!("{}: {ty}", import.name));
                    }
                }
                Payload::FunctionSection(indexes) => {
                    for index in indexes {
                        functions.functions.push(index?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let ty = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => functions.of(export.index)?,
                            kind => kind_name(kind)?.to_owned(),
                        };
                        // What bindings generators for components write before the canonical ABI is wrapped around it.
                        match export.name.split_once('#') {
                            Some((interface, name)) => add(&mut module.exports, interface, format!("{name}: {ty}")),
                            None => add(&mut module.exports, export.name, ty),
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }
}

/// Under its interface, which is named once, where it is first met.
fn add(interfaces: &mut Vec<Interface>, name: &str, function: String) {
    match interfaces.iter_mut().find(|interface| interface.name == name) {
        Some(interface) => interface.functions.push(function),
        None => interfaces.push(Interface { name: name.to_owned(), functions: vec![function] }),
    }
}

fn kind_name(kind: ExternalKind) -> anyhow::Result<&'static str> {
    Ok(match kind {
        ExternalKind::Func | ExternalKind::FuncExact => bail!("a function has a type, not only a kind"),
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    })
}

// === impl Functions ===

impl Functions {
    /// The type of an import; functions among these are counted too.
    fn import(&mut self, ty: TypeRef) -> anyhow::Result<String> {
        Ok(match ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                self.functions.push(index);
                self.signature(index)?
            }
            TypeRef::Table(_) => kind_name(ExternalKind::Table)?.to_owned(),
            TypeRef::Memory(_) => kind_name(ExternalKind::Memory)?.to_owned(),
            TypeRef::Global(_) => kind_name(ExternalKind::Global)?.to_owned(),
            TypeRef::Tag(_) => kind_name(ExternalKind::Tag)?.to_owned(),
        })
    }

    /// The type of a function by its index.
    fn of(&self, function: u32) -> anyhow::Result<String> {
        let ty = self.functions.get(usize::try_from(function)?);
        self.signature(*ty.with_context(|| format!("there is no function {function}"))?)
    }

    fn signature(&self, ty: u32) -> anyhow::Result<String> {
        let function = self.types.get(usize::try_from(ty)?).and_then(Option::as_ref);
        let function = function.with_context(|| format!("there is no function type {ty}"))?;
        let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let results = match function.results() {
            [] => String::new(),
            results => format!(" -> {}", list(results)),
        };
        Ok(format!("func({}){results}", list(function.params())))
    }
}
