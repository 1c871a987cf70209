//! One instance of the core module and its memory: a call is lower, call, lift, free.

use std::collections::BTreeMap;

use anyhow::Context;
use wasmtime::{
    Func, Instance as Exports, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, Val,
};

use super::contract::Function;
use super::lift::lift;
use super::value::Value;

/// One instance of the core module.
pub(super) struct Instance {
    store: Store<StoreLimits>,
    exports: Exports,
    memory: Memory,
    /// Address and size of an old block, alignment and size of a new one; answers with its address.
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    /// Exports that were called before, by name.
    found: BTreeMap<String, (Func, Option<TypedFunc<u32, ()>>)>,
}

/// More than any test uses.
const FUEL: u64 = u64::MAX;

// === impl Instance ===

impl Instance {
    /// # Errors
    /// When the module wants any import, or has not the exports that each module of a contract has.
    pub(super) fn new(module: &Module, memory_bytes: usize) -> anyhow::Result<Self> {
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        // An error where fuel is not counted.
        let _ = store.set_fuel(FUEL);
        // A linker with nothing in it: a module that imports anything does not start.
        let exports = Linker::new(module.engine()).instantiate(&mut store, module)?;
        let memory = exports.get_memory(&mut store, "memory").context("no memory is exported")?;
        let realloc = exports.get_typed_func(&mut store, "cabi_realloc")?;
        Ok(Self { store, exports, memory, realloc, found: BTreeMap::new() })
    }

    /// Calls `function` and takes its answer out of the guest's memory.
    ///
    /// # Errors
    /// When the guest traps, or its answer is none of that type. The instance is then of no further use.
    pub(super) fn call(&mut self, function: &Function, arguments: &[Value<'_>]) -> anyhow::Result<Value<'static>> {
        let mut parameters = Vec::new();
        for (value, layout) in arguments.iter().zip(&function.parameters) {
            self.lower(value, layout, &mut parameters)?;
        }
        let (exported, post) = self.find(function)?;
        let mut returned = [Val::I32(0)];
        exported.call(&mut self.store, &parameters, &mut returned)?;
        let address = returned[0].i32().context("an address is returned")?.cast_unsigned();
        let answer = lift(self.memory.data(&self.store), &function.answer, address)?;
        if let Some(post) = post {
            post.call(&mut self.store, address)?;
        }
        Ok(answer)
    }

    /// The exports of `function`.
    fn find(&mut self, function: &Function) -> anyhow::Result<(Func, Option<TypedFunc<u32, ()>>)> {
        if let Some(found) = self.found.get(&function.export) {
            return Ok(found.clone());
        }
        let exported = self.exports.get_func(&mut self.store, &function.export);
        let exported = exported.with_context(|| format!("`{}` is not exported", function.export))?;
        let post = function.post.as_ref().map(|post| self.exports.get_typed_func(&mut self.store, post));
        let found = (exported, post.transpose()?);
        self.found.insert(function.export.clone(), found.clone());
        Ok(found)
    }

    /// Bytes of memory that the instance has grown to.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    pub(super) fn fuel_used(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| FUEL - left)
    }

    /// A block of the guest's memory, which the guest will free.
    pub(super) fn allocate(&mut self, size: usize, align: usize) -> anyhow::Result<u32> {
        Ok(self.realloc.call(&mut self.store, (0, 0, u32::try_from(align)?, u32::try_from(size)?))?)
    }

    pub(super) fn write(&mut self, address: u32, bytes: &[u8]) -> anyhow::Result<()> {
        self.memory
            .write(&mut self.store, usize::try_from(address)?, bytes)
            .context("the guest gave a block outside of its memory")
    }
}
