//! `faultline-core.wasm` behind the same trait as the component: what a host without the component model does.
//!
//! Only wasmtime's core API is used. [`contract`] reads `wit/` into [`layout`]s; [`instance`] lowers arguments and lifts
//! answers by them, which is the whole canonical ABI; [`plugin`] turns the answers into the types of the contract. A new
//! function of the contract is a line in `plugin.rs`, a new record another one.

#![allow(dead_code, unused_imports, reason = "each suite is a crate of its own and uses a part")]

mod contract;
mod instance;
mod layout;
mod lift;
mod lower;
mod plugin;
mod value;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use faultline::plugin::{Build, Plugin};
use wasmtime::{Config, Engine, Module};

pub(crate) use contract::Contract;
pub(crate) use layout::Flat;
pub(crate) use plugin::CorePlugin;

/// Set to measure another file than the one that the build made.
const OTHER_FILE: &str = "FAULTLINE_CORE_FILE";

/// The compiled core module, from which instances are made.
pub(crate) struct CoreBuild {
    module: Module,
    contract: Arc<Contract>,
    memory_bytes: usize,
}

/// The file that is tested.
pub(crate) fn file() -> PathBuf {
    std::env::var_os(OTHER_FILE).map_or_else(|| PathBuf::from(env!("FAULTLINE_CORE")), PathBuf::from)
}

// === impl CoreBuild ===

impl CoreBuild {
    /// Compiles the module; an instance may have `memory_bytes` of memory.
    pub(crate) fn new(memory_bytes: usize) -> anyhow::Result<Self> {
        Self::on(&Engine::default(), memory_bytes)
    }

    /// The same with instructions counted, for [`CorePlugin::fuel_used`].
    pub(crate) fn metered(memory_bytes: usize) -> anyhow::Result<Self> {
        Self::on(&Engine::new(Config::new().consume_fuel(true))?, memory_bytes)
    }

    fn on(engine: &Engine, memory_bytes: usize) -> anyhow::Result<Self> {
        let file = file();
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let module = Module::new(engine, bytes)?;
        let contract = Contract::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"))?;
        Ok(Self { module, contract: Arc::new(contract), memory_bytes })
    }

    /// The same with another bound, without compiling again.
    pub(crate) fn with_memory(&self, memory_bytes: usize) -> Self {
        Self { module: self.module.clone(), contract: self.contract.clone(), memory_bytes }
    }

    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }

    /// [`Build::instantiate`] with the type kept.
    pub(crate) fn plugin(&self) -> anyhow::Result<CorePlugin> {
        CorePlugin::new(&self.module, self.contract.clone(), self.memory_bytes)
    }
}

impl Build for CoreBuild {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        Ok(Box::new(self.plugin()?))
    }
}
