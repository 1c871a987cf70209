//! `faultline-core.wasm` is what a host without the component model needs: alone, complete, and of bounded memory.

mod core_host;
mod manual;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use core_host::{Contract, CoreBuild, CorePlugin, Flat};
use faultline::host::{Host, Processed};
use faultline::journal::MemoryJournal;
use faultline::plugin::{Build, Outcome, Plugin, Signal};
use manual::{CONFIG, NOW, open, spans_of};
use wasmtime::{ExternType, ValType};

/// Enough for the plugin and small batches.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;
const SPANS: usize = 512;
/// Until here memory grows to what the largest batch needs.
const BATCHES_BEFORE: usize = 20;
const BATCHES: usize = 200;
/// Bytes of the two files. They are fetched, cached and compiled by proxies and collectors, some of them at every start.
const COMPONENT_BYTES_MAX: u64 = 600_000;
const CORE_BYTES_MAX: u64 = 560_000;
/// Units of fuel, which is what wasmtime counts: about one for each instruction.
const FUEL_TO_MARK_MAX: u64 = 2700;
const FUEL_BY_EDITS_MAX: u64 = 1900;
const FUEL_ALREADY_MARKED_MAX: u64 = 2000;
/// WebAssembly's memory grows by pages of this many bytes.
const PAGE_BYTES: usize = 64 * 1024;

static BUILD: LazyLock<CoreBuild> =
    LazyLock::new(|| CoreBuild::new(512 * 1024 * 1024).expect("the core module compiles"));

/// An instance with the incident of `checkout`.
fn marking(build: &CoreBuild) -> CorePlugin {
    let mut plugin = build.plugin().expect("an instance can be made");
    plugin.configure(CONFIG, "test").unwrap().expect("the configuration is valid");
    let receipt = plugin.receive("manual", &open(), NOW).unwrap();
    plugin.merge(&receipt.entries, NOW).unwrap().expect("the entries are taken");
    plugin
}

fn spans(items: usize, seed: u64) -> Vec<u8> {
    spans_of("checkout", items, seed)
}

/// What linker and bindings generator leave behind besides; the last ends with the generator's version.
const LEFTOVERS: [&str; 3] = ["__data_end", "__heap_base", "cabi_realloc_wit_bindgen_"];

/// What the module must export, and of which type, according to the WIT.
fn exports(contract: &Contract) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::from([
        ("memory".to_owned(), "memory".to_owned()),
        ("cabi_realloc".to_owned(), "(i32, i32, i32, i32) -> i32".to_owned()),
    ]);
    for function in contract.functions() {
        let parameters = function.flat().into_iter().map(|flat| match flat {
            Flat::I32 => "i32",
            Flat::I64 => "i64",
        });
        let parameters: Vec<_> = parameters.collect();
        exports.insert(function.export.clone(), format!("({}) -> i32", parameters.join(", ")));
        if let Some(post) = &function.post {
            exports.insert(post.clone(), "(i32)".to_owned());
        }
    }
    exports
}

fn type_of(export: &ExternType) -> String {
    let list = |types: &mut dyn Iterator<Item = ValType>| types.map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ");
    match export {
        ExternType::Func(function) => {
            let results = list(&mut function.results());
            let arrow = if results.is_empty() { "" } else { " -> " };
            format!("({}){arrow}{results}", list(&mut function.params()))
        }
        ExternType::Memory(_) => "memory".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Scenario: a host that has nothing to give loads the module.
/// Guarantees: nothing is asked of it.
#[test]
fn the_core_module_imports_nothing() {
    let imports: Vec<_> =
        BUILD.module().imports().map(|import| format!("{}.{}", import.module(), import.name())).collect();
    assert!(imports.is_empty(), "{imports:?}");
}

/// Scenario: a host binds the module by hand, from the WIT.
/// Guarantees: all functions of the world are there with the types of the canonical ABI, and nothing else is.
#[test]
fn the_core_module_exports_the_world_and_no_more() {
    let mut found: BTreeMap<String, String> =
        BUILD.module().exports().map(|export| (export.name().to_owned(), type_of(&export.ty()))).collect();
    found.retain(|name, _| !LEFTOVERS.iter().any(|leftover| name.starts_with(leftover)));
    assert_eq!(found, exports(BUILD.contract()));
}

/// Scenario: both builds are made as the README says.
/// Guarantees: neither is larger than it may be; what a dependency adds is seen when it is added.
#[test]
fn no_build_is_larger_than_it_may_be() {
    for (name, file, bytes_max) in [
        ("faultline.wasm", PathBuf::from(env!("FAULTLINE_COMPONENT")), COMPONENT_BYTES_MAX),
        ("faultline-core.wasm", core_host::file(), CORE_BYTES_MAX),
    ] {
        let bytes = fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).len();
        assert!(bytes <= bytes_max, "{name} has {bytes} bytes, at most {bytes_max} are allowed");
    }
}

/// Scenario: one instance marks many batches.
/// Guarantees: its memory stays where the first of them took it. Fails with the feature `wee_alloc`.
#[test]
fn memory_does_not_grow_with_the_number_of_batches() {
    let mut plugin = marking(&BUILD);
    let batches: Vec<_> = (0..8).map(|seed| spans(SPANS, seed)).collect();
    let mut mark = |count: usize| {
        for batch in batches.iter().cycle().take(count) {
            let outcome = plugin.process(Signal::Traces, batch, NOW);
            assert!(matches!(outcome, Ok(Outcome::Replaced(_))), "{outcome:.200?}");
        }
        plugin.memory_bytes()
    };
    let before = mark(BATCHES_BEFORE);
    let after = mark(BATCHES);
    let grown = (after - before) / BATCHES;
    println!("{SPANS} spans a batch: {before} bytes after {BATCHES_BEFORE} batches, then {grown} a batch");
    assert!(after <= before + PAGE_BYTES, "memory grew from {before} to {after} bytes, {grown} a batch");
}

/// Scenario: a few spans that grow many times over, and behind them many that nobody marks.
/// Guarantees: memory for the result is not asked for as if all grew like the first; see `output.rs` in the annotator.
#[test]
fn a_small_first_resource_does_not_make_the_guest_ask_for_much_memory() {
    let mut plugin = marking(&BUILD);
    // Spans of a start and nothing else: `service.name` checkout, then 100 of 11 bytes.
    let resource = b"\x0a\x1c\x0a\x1a\x0a\x0cservice.name\x12\x0a\x0a\x08checkout";
    let span = [&[0x12, 9, 0x39][..], &NOW.to_le_bytes()].concat().repeat(100);
    let mut group = resource.to_vec();
    group.extend([&[0x12, 0xcc, 0x08][..], &span].concat());
    let mut batch = [&[0x0a, 0xed, 0x08][..], &group].concat();
    batch.extend(spans_of("warehouse", 8192, 1));
    let outcome = plugin.process(Signal::Traces, &batch, NOW);
    let Ok(Outcome::Replaced(marked)) = outcome else { panic!("{outcome:.200?}") };
    assert!(marked.len() > batch.len() + 5000);
    let bound = batch.len() * 11 / 4 + 2_000_000;
    assert!(plugin.memory_bytes() <= bound, "{} bytes of memory, {bound} are enough", plugin.memory_bytes());
}

/// Scenario: batches of 512 spans, of which all are to be marked, or all are marked already.
/// Guarantees: no more instructions for each span than these. The count is the same in every run and on every machine, so
/// a change that makes the hot path slower is seen here, and not only in a benchmark.
#[test]
fn a_span_takes_no_more_instructions_than_it_may() {
    let build = CoreBuild::metered(512 * 1024 * 1024).expect("the core module compiles");
    let mut plugin = marking(&build);
    let batch = spans(SPANS, 1);
    let mut fuel_of = |call: &mut dyn FnMut(&mut CorePlugin) -> Vec<u8>| {
        call(&mut plugin);
        let before = plugin.fuel_used();
        let marked = call(&mut plugin);
        ((plugin.fuel_used() - before) / SPANS as u64, marked)
    };
    let process = |plugin: &mut CorePlugin, batch: &[u8]| match plugin.process(Signal::Traces, batch, NOW) {
        Ok(Outcome::Replaced(marked)) => marked,
        Ok(Outcome::Unchanged) => batch.to_vec(),
        other => panic!("{other:.200?}"),
    };
    let (to_mark, marked) = fuel_of(&mut |plugin| process(plugin, &batch));
    let (already_marked, again) = fuel_of(&mut |plugin| process(plugin, &marked));
    assert!(marked != batch && again == marked);
    let (by_edits, _) = fuel_of(&mut |plugin| {
        plugin.edits(Signal::Traces, &batch, NOW).unwrap().expect("readable");
        Vec::new()
    });
    println!("fuel for a span: {to_mark} to mark it, {by_edits} by edits, {already_marked} where it is marked already");
    assert!(to_mark <= FUEL_TO_MARK_MAX, "{to_mark} to mark a span");
    assert!(by_edits <= FUEL_BY_EDITS_MAX, "{by_edits} to mark a span by edits");
    assert!(already_marked <= FUEL_ALREADY_MARKED_MAX, "{already_marked} to find a span marked");
}

/// Scenario: the guests are built as the README says.
/// Guarantees: the allocator that leaks is in none of them.
#[test]
fn the_default_build_is_without_wee_alloc() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", "faultline-component", "--prefix", "none"])
        .args(["--edges", "normal", "--target", "wasm32-unknown-unknown"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tree.contains("faultline-annotator "), "{tree}");
    assert!(!tree.contains("wee_alloc"), "{tree}");
}

/// Scenario: a batch needs more memory than the instance may have.
/// Guarantees: the trap costs the marks of that batch; a new instance has the state, and marks the next.
#[test]
fn a_trap_of_the_core_module_costs_one_batch() {
    let build = BUILD.with_memory(MEMORY_BYTES);
    let mut host = match Host::new(&build, CONFIG.to_owned(), MemoryJournal::default(), "test", NOW) {
        Ok((host, _warnings)) => host,
        Err(error) => panic!("the host cannot be set up: {error:?}"),
    };
    assert_eq!(host.receive("manual", &open(), NOW).unwrap().status, 202);
    let processed = host.process(Signal::Traces, &spans(32_768, 1), NOW).unwrap();
    assert!(matches!(processed, Processed::Trapped(_)), "{processed:.200?}");
    let processed = host.process(Signal::Traces, &spans(8, 1), NOW).unwrap();
    assert!(matches!(processed, Processed::Answered(Outcome::Replaced(_))), "{processed:.200?}");
}

/// Scenario: a host goes on with an instance that has trapped.
/// Guarantees: it is told so; the instance is not entered.
#[test]
fn an_instance_that_trapped_is_not_entered_again() {
    let build = BUILD.with_memory(MEMORY_BYTES);
    let mut plugin = build.plugin().expect("an instance can be made");
    plugin.process(Signal::Traces, &spans(32_768, 1), NOW).expect_err("that batch does not fit");
    let trap = plugin.counters().expect_err("the instance is gone");
    assert_eq!(trap.reason, "the instance has trapped before");
}

/// Scenario: a module of another memory limit than the plugin needs.
/// Guarantees: that is said when an instance is made.
#[test]
fn a_limit_below_what_the_core_module_needs_is_an_error_at_the_start() {
    assert!(BUILD.with_memory(4096).instantiate().is_err());
}
