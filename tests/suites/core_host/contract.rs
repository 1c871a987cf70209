//! The functions of the world `plugin`, read from `wit/`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use wit_parser::abi::AbiVariant;
use wit_parser::{Resolve, SizeAlign, WorldItem};

use super::layout::{Flat, Layout};

/// The functions of the contract, by name; no two interfaces use the same.
#[derive(Debug)]
pub(crate) struct Contract {
    functions: BTreeMap<String, Function>,
}

/// One function as a core module exports it.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name in the module: `faultline:incident/processor@0.1.0#process`.
    pub(crate) export: String,
    /// The export to call once the answer is read: it frees what the answer is made of.
    pub(crate) post: Option<String>,
    pub(super) parameters: Vec<Layout>,
    /// In memory at the address that the call returns.
    pub(super) answer: Layout,
}

// === impl Contract ===

impl Contract {
    pub(super) fn read(wit: &Path) -> anyhow::Result<Self> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(wit)?;
        let world = resolve.select_world(&[package], Some("plugin"))?;
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve);
        let mut functions = BTreeMap::new();
        for (key, item) in &resolve.worlds.get(world).context("the world is there")?.exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = resolve.name_world_key(key);
            for (name, function) in &resolve.interfaces.get(*id).context("the interface is there")?.functions {
                let function = Function::of(&resolve, &sizes, &interface, function)
                    .with_context(|| format!("function `{name}` of {interface}"))?;
                ensure!(functions.insert(name.clone(), function).is_none(), "two functions are called `{name}`");
            }
        }
        Ok(Self { functions })
    }

    pub(crate) fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values()
    }
}

// === impl Function ===

impl Function {
    fn of(
        resolve: &Resolve,
        sizes: &SizeAlign,
        interface: &str,
        function: &wit_parser::Function,
    ) -> anyhow::Result<Self> {
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        ensure!(!signature.indirect_params, "more than 16 flat parameters, which the contract promises not to have");
        ensure!(signature.retptr, "the answer is a bare number, for which this host has no use so far");
        let layout = |ty| Layout::of(resolve, sizes, ty);
        let answer = layout(function.result.as_ref().context("it has no answer")?)?;
        let export = format!("{interface}#{}", function.name);
        Ok(Self {
            post: answer.has_parts().then(|| format!("cabi_post_{export}")),
            export,
            parameters: function.params.iter().map(|parameter| layout(&parameter.ty)).collect::<anyhow::Result<_>>()?,
            answer,
        })
    }

    /// The types of the core function's parameters.
    pub(crate) fn flat(&self) -> Vec<Flat> {
        self.parameters.iter().flat_map(Layout::flat).collect()
    }
}
