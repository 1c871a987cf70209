//! The component under wasmtime: no files, no sockets, no environment; a bound on memory and on the time of each call.

mod cache;
mod imports;
mod limits;
mod ticker;

use std::time::Duration;

use anyhow::Context;
use wasmtime::component::{Component, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub use cache::Cache;
pub use limits::Limits;

use crate::bindings::{Plugin as Bindings, PluginPre};
use crate::plugin::{
    Affected, Asked, Build, ConfigError, ConfigWarning, Counter, Edits, Entry, Expiry, Explanation, Extent, Gap,
    Incident, ItemMarks, Merged, Outcome, Plugin, Receipt, Signal, Trap, Webhook,
};
use crate::time::Nanos;
use limits::Meter;

/// The component that this binary was built with.
pub const EMBEDDED: &[u8] = include_bytes!(env!("FAULTLINE_COMPONENT"));

/// A compiled component, from which instances are made.
pub struct GuestBuild {
    engine: Engine,
    component: PluginPre<Host>,
    limits: Limits,
}

/// One instance of the component.
pub struct Guest {
    store: Store<Host>,
    bindings: Bindings,
    limits: Limits,
}

/// What the host keeps for one instance.
struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    meter: Meter,
}

// === impl GuestBuild ===

impl GuestBuild {
    /// Compiles a component, or takes its compiled form from `cache`.
    ///
    /// # Errors
    /// When `bytes` are not a component, do not export what the contract says, or import what the host does not give.
    pub fn new(bytes: &[u8], limits: Limits, cache: Cache) -> anyhow::Result<Self> {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        config.cache(cache.open());
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, bytes).map_err(|error| not_a_component(bytes, error.into()))?;
        let linker = imports::linker(&engine)?;
        let component = linker.instantiate_pre(&component).map_err(anyhow::Error::from).context(
            "the plugin asks for something that plugins are not given, such as files, sockets, HTTP or a clock",
        )?;
        let component = PluginPre::new(component)
            .map_err(anyhow::Error::from)
            .context("the plugin does not export what `faultline:incident@0.1.0` says")?;
        ticker::start(&engine);
        Ok(Self { engine, component, limits })
    }

    /// Makes one instance; [`Build::instantiate`] with the type kept.
    ///
    /// # Errors
    /// When the limit on memory is below what the component has from the start, or the machine has no more.
    pub fn guest(&self) -> anyhow::Result<Guest> {
        let host = Host { wasi: imports::nothing(), table: ResourceTable::new(), meter: Meter::new(&self.limits) };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.meter);
        store.set_hostcall_fuel(self.limits.answer_bytes);
        store.set_epoch_deadline(ticker::ticks(self.limits.call));
        let bindings = self.component.instantiate(&mut store).map_err(anyhow::Error::from).with_context(|| {
            format!("cannot instantiate the plugin within {} bytes of memory", self.limits.memory_bytes)
        })?;
        Ok(Guest { store, bindings, limits: self.limits.clone() })
    }
}

impl Build for GuestBuild {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        Ok(Box::new(self.guest()?))
    }
}

/// The compiler says "failed to parse"; people should hear what they gave it.
fn not_a_component(bytes: &[u8], error: anyhow::Error) -> anyhow::Error {
    match crate::wasm_file::Kind::of(bytes) {
        Some(crate::wasm_file::Kind::Component) => error.context("the component does not compile"),
        Some(kind) => anyhow::anyhow!("{kind} where a WebAssembly component is wanted"),
        None => anyhow::anyhow!("this is not a WebAssembly file"),
    }
}

// === impl Guest ===

impl Guest {
    /// Calls into the component within `limit`, and turns whatever keeps the call from returning into a [`Trap`].
    fn call<T>(
        &mut self,
        call: &'static str,
        limit: Duration,
        function: impl FnOnce(&mut Store<Host>, &Bindings) -> wasmtime::Result<T>,
    ) -> Result<T, Trap> {
        self.store.data_mut().meter.denied = None;
        self.store.set_epoch_deadline(ticker::ticks(limit));
        function(&mut self.store, &self.bindings)
            .map_err(|error| Trap { call, reason: reason(&error, limit, &self.store.data().meter) })
    }

    /// Bytes of memory that the instance has grown to; it never shrinks.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store.data().meter.grown()
    }

    fn call_incidents<T>(
        &mut self,
        call: &'static str,
        function: impl FnOnce(
            &mut Store<Host>,
            &crate::bindings::exports::faultline::incident::incidents::Guest,
        ) -> wasmtime::Result<T>,
    ) -> Result<T, Trap> {
        let limit = self.limits.call;
        self.call(call, limit, |store, bindings| function(store, bindings.faultline_incident_incidents()))
    }
}

/// What ended a call, in words for an operator; the guest's stack, which differs from build to build, is left out.
fn reason(error: &wasmtime::Error, limit: Duration, meter: &Meter) -> String {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => format!("ran longer than its limit of {} ms", limit.as_millis()),
        _ if let Some(denied) = meter.denied => {
            format!("wanted {denied} bytes of memory, over its limit of {}", meter.memory_bytes())
        }
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

impl Plugin for Guest {
    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        self.call("configure", self.limits.call, |store, bindings| {
            bindings.faultline_incident_processor().call_configure(store, config, instance)
        })
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        self.call("interest", self.limits.call, |store, bindings| {
            bindings.faultline_incident_processor().call_interest(store, signal, now)
        })
    }

    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        self.call("process", self.limits.process, |store, bindings| {
            bindings.faultline_incident_processor().call_process(store, signal, batch, now)
        })
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        self.call("edits", self.limits.process, |store, bindings| {
            bindings.faultline_incident_processor().call_edits(store, signal, batch, now)
        })
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        self.call("marks", self.limits.process, |store, bindings| {
            bindings.faultline_incident_processor().call_marks(store, signal, batch, now)
        })
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        self.call_incidents("receive", |store, incidents| incidents.call_receive(store, source, webhook, now))
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        self.call_incidents("merge", |store, incidents| incidents.call_merge(store, entries, now))
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        self.call_incidents("expire", |store, incidents| incidents.call_expire(store, now))
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        self.call_incidents("state", |store, incidents| incidents.call_state(store, what))
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        self.call_incidents("open", |store, incidents| incidents.call_open(store, now))
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        self.call_incidents("find", |store, incidents| incidents.call_find(store, name, now))
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        let Asked { service, namespace, environment, time } = asked;
        self.call_incidents("explain", |store, incidents| {
            incidents.call_explain(store, service, namespace, environment, time, now)
        })
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        self.call_incidents("gaps", |store, incidents| incidents.call_gaps(store, now))
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        self.call_incidents("counters", |store, incidents| incidents.call_counters(store))
    }
}

// === impl Host ===

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
