//! `faultline inspect`.

use super::*;

#[test]
fn inspect_shows_the_contract_and_no_way_out() {
    let ran = faultline(&["inspect"]).ends_with(0);
    for function in [
        "configure",
        "interest",
        "process",
        "receive",
        "merge",
        "expire",
        "state",
        "open",
        "find",
        "explain",
        "gaps",
        "counters",
    ] {
        assert!(ran.stdout.contains(&format!("\n    {function}: func(")), "{function} is not in\n{}", ran.stdout);
    }
    let found = faultline(&["inspect", "-o", "json"]).ends_with(0).json();
    let exports: Vec<_> =
        found["exports"].as_array().expect("an array").iter().map(|one| one["name"].clone()).collect();
    let name = |interface: &str| format!("faultline:incident/{interface}@0.1.0");
    assert_eq!(exports, [name("types"), name("processor"), name("incidents")]);
    // Versions of WASI follow the standard library, so that only the interfaces are compared.
    for import in found["imports"].as_array().expect("an array") {
        let import = import["name"].as_str().expect("a text");
        assert!(import.starts_with("wasi:cli/") || import.starts_with("wasi:io/"), "{import}");
    }
}

#[test]
fn inspect_shows_a_core_module_with_its_core_types() {
    let core = workspace().join("target/guests/faultline-core.wasm").display().to_string();
    let ran = faultline(&["inspect", &core]).ends_with(0);
    assert!(ran.stdout.starts_with(&format!("{core}: a core WebAssembly module, ")), "{}", ran.stdout);
    let process = "  faultline:incident/processor@0.1.0\n    configure: func(i32, i32, i32, i32) -> i32\n";
    assert!(ran.stdout.contains(process), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nimports\n  nothing\n"), "{}", ran.stdout);
    let found = faultline(&["inspect", "-o", "json", &core]).ends_with(0).json();
    assert_eq!(found["kind"], "module");
    assert_eq!(found["imports"].as_array().map(Vec::len), Some(0));
    assert!(found["built_with"]["sdk"]["faultline"].is_string(), "{found}");
}

/// Scenario: a core module that has a function from its host and gives it on.
/// Guarantees: both are listed, each with its type, whatever the order of their indexes.
#[test]
fn inspect_lists_what_a_core_module_asks_for() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("module.wasm").display().to_string();
    let sections: [&[u8]; 4] = [
        b"\0asm\x01\0\0\0",
        // Types: (i32, i64) -> f32, and () -> ().
        b"\x01\x0a\x02\x60\x02\x7f\x7e\x01\x7d\x60\0\0",
        // Imports: `clock.now` of the first type.
        b"\x02\x0d\x01\x05clock\x03now\0\0",
        // Exports: that function as `again`.
        b"\x07\x09\x01\x05again\0\0",
    ];
    fs::write(&path, sections.concat()).expect("can be written");
    let ran = faultline(&["inspect", &path]).ends_with(0);
    assert!(ran.stdout.contains("\nimports\n  clock\n    now: func(i32, i64) -> f32\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nexports\n  again\n    func(i32, i64) -> f32\n"), "{}", ran.stdout);
}

#[test]
fn inspect_says_what_a_file_is_that_is_no_plugin() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("newer.wasm").display().to_string();
    fs::write(&path, b"\0asm\x02\0\0\0").expect("can be written");
    let ran = faultline(&["inspect", &path]).ends_with(1);
    assert!(ran.stderr.contains("is WebAssembly of an unknown version"), "{}", ran.stderr);
    let ran = faultline(&["inspect", "open.json"]).ends_with(1);
    assert!(ran.stderr.contains("open.json is not WebAssembly"), "{}", ran.stderr);
}
