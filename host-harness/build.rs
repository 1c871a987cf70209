//! Builds the guests: the component that the binary carries, so that `cargo run` needs no command before it, and the core
//! module that the tests hold equal to it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_metadata::AddMetadata;

const PACKAGE: &str = "faultline-component";
/// The profile of `Cargo.toml` for it.
const PROFILE: &str = "guest";
/// What cargo calls the result, on every target.
const FILE: &str = "faultline_component.wasm";

/// One package, two targets.
const GUESTS: [Guest; 2] = [
    Guest { target: "wasm32-wasip2", name: "faultline.wasm", variable: "FAULTLINE_COMPONENT" },
    Guest { target: "wasm32-unknown-unknown", name: "faultline-core.wasm", variable: "FAULTLINE_CORE" },
];

/// What `faultline replay` plays when it is given no scenario; named in `src/scenario/bundled.rs` too.
const BUNDLED_SCENARIO: &str = "tests/scenarios/a_pagerduty_incident_marks_checkout_until_it_is_resolved";

/// One build of the plugin.
struct Guest {
    target: &'static str,
    /// The file in `target/guests`.
    name: &'static str,
    /// Tells the path to the crate and its tests.
    variable: &'static str,
}

/// What the outer cargo sets for its own compiler, and what would change the guest or make it build somewhere else.
const NOT_FOR_THE_GUEST: [&str; 6] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() {
    let workspace = workspace();
    // The bundled scenario is embedded by a macro that cannot tell cargo what it read.
    for watched in ["plugin", "wit", "Cargo.lock", "Cargo.toml", "rust-toolchain.toml", BUNDLED_SCENARIO] {
        println!("cargo::rerun-if-changed={}", workspace.join(watched).display());
    }
    for guest in &GUESTS {
        make_sure_of_target(guest.target);
    }
    let target_directory = build(&workspace);
    for guest in &GUESTS {
        let built = target_directory.join(guest.target).join(PROFILE).join(FILE);
        let named = target_directory.join(guest.name);
        describe(&built, &named).unwrap_or_else(|error| panic!("cannot describe {}: {error:#}", built.display()));
        tell_size(guest, &named);
        // Somebody may clean `target/guests` alone.
        println!("cargo::rerun-if-changed={}", named.display());
        println!("cargo::rustc-env={}={}", guest.variable, named.display());
    }
}

fn workspace() -> PathBuf {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Where rustup does not install by itself what `rust-toolchain.toml` names, the target is missing on a fresh machine.
fn make_sure_of_target(target: &str) {
    let libraries = sysroot().join("lib/rustlib").join(target).join("lib");
    if libraries.is_dir() {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", target]).current_dir(workspace()).status();
    let reason = match added {
        Ok(status) if status.success() && libraries.is_dir() => return,
        Ok(status) => format!("`rustup target add {target}` ended with {status}"),
        Err(error) => format!("`rustup target add {target}` could not be started: {error}"),
    };
    panic!(
        "\n\nThe plugin is WebAssembly, and this Rust toolchain has no libraries for it.\n\
         {reason}.\n\n\
         Type, in the folder of the workspace:\n\n    rustup target add {target}\n\n\
         Without rustup: install the package of your system that holds Rust's standard library for {target}.\n"
    );
}

fn sysroot() -> PathBuf {
    let output = Command::new(variable("RUSTC"))
        .args(["--print", "sysroot"])
        .output()
        .unwrap_or_else(|error| panic!("cannot ask rustc for its sysroot: {error}"));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Builds for all targets at once, which cargo does side by side; answers with the target directory.
fn build(workspace: &Path) -> PathBuf {
    // Neither the outer target directory, which cargo holds locked, nor OUT_DIR, of which clippy has another one.
    let target_directory = workspace.join("target/guests");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args(["build", "--profile", PROFILE, "--package", PACKAGE, "--target-dir"])
        .arg(&target_directory)
        .current_dir(workspace);
    for guest in &GUESTS {
        cargo.args(["--target", guest.target]);
    }
    for name in NOT_FOR_THE_GUEST {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", guest_flags(workspace));
    let output = cargo.output().unwrap_or_else(|error| panic!("cannot start cargo for the guests: {error}"));
    if !output.status.success() {
        panic!(
            "\n\n{}\nThe plugin did not build (see above). If the compiler misses `core` or `std`, type:\n\n    \
             rustup target add {}\n",
            String::from_utf8_lossy(&output.stderr),
            GUESTS.map(|guest| guest.target).join(" ")
        );
    }
    target_directory
}

/// Writes into the file what it was built from, which stripping has taken out; `faultline inspect` shows it.
fn describe(built: &Path, named: &Path) -> anyhow::Result<()> {
    let mut metadata = AddMetadata::default();
    metadata.language.push(("Rust".to_owned(), "2024".to_owned()));
    metadata.processed_by.push(("rustc".to_owned(), rustc_version()));
    metadata.sdk.push(("faultline".to_owned(), variable("CARGO_PKG_VERSION")));
    fs::write(named, metadata.to_wasm(&fs::read(built)?)?)?;
    Ok(())
}

fn rustc_version() -> String {
    let output = Command::new(variable("RUSTC"))
        .arg("--version")
        .output()
        .unwrap_or_else(|error| panic!("cannot ask rustc for its version: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("rustc ").to_owned()
}

/// The instructions that every host has, and no path of this machine: the bytes must not differ from one to another.
fn guest_flags(workspace: &Path) -> String {
    let mut flags = vec![
        "-Ctarget-feature=+simd128".to_owned(),
        // Stripping is in the profile too, where cargo forgets it for a package that has a level of its own.
        "-Cstrip=symbols".to_owned(),
        // Most of the code runs once a webhook, and is 25 kB smaller so. What runs once a span does not change: the fuel
        // for a batch of 512 is the same within half a percent.
        "-Cllvm-args=-inline-threshold=50".to_owned(),
    ];
    flags.push(format!("--remap-path-prefix={}=faultline", workspace.display()));
    for index in registry_indexes() {
        flags.push(format!("--remap-path-prefix={}=registry", index.display()));
    }
    flags.join("\u{1f}")
}

/// The folders of unpacked packages, one for each registry index, whose names hold a hash of the machine's settings.
fn registry_indexes() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let Ok(folders) = fs::read_dir(home.join("registry/src")) else { return Vec::new() };
    let mut indexes: Vec<PathBuf> = folders.flatten().map(|folder| folder.path()).collect();
    indexes.sort();
    indexes
}

/// Only `cargo build -vv` shows it: as a warning it would come back with every build. `faultline inspect` tells it too.
fn tell_size(guest: &Guest, file: &Path) {
    if let Ok(metadata) = fs::metadata(file) {
        println!("{}: {} bytes ({}, {PROFILE})", guest.name, metadata.len(), guest.target);
    }
}
