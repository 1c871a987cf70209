//! Builds the guest that the binary carries, so that `cargo run` needs no command before it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasm_metadata::AddMetadata;

const TARGET: &str = "wasm32-wasip2";
const PACKAGE: &str = "faultline-component";
const FILE: &str = "faultline_component.wasm";

/// What `faultline replay` plays when it is given no scenario; named in `src/scenario/bundled.rs` too.
const BUNDLED_SCENARIO: &str = "tests/scenarios/a_pagerduty_incident_marks_checkout_until_it_is_resolved";

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
    make_sure_of_target();
    let component = build(&workspace);
    // Somebody may clean `target/guests` alone.
    println!("cargo::rerun-if-changed={}", component.display());
    println!("cargo::rustc-env=FAULTLINE_COMPONENT={}", component.display());
}

fn workspace() -> PathBuf {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

/// Where rustup does not install by itself what `rust-toolchain.toml` names, the target is missing on a fresh machine.
fn make_sure_of_target() {
    let libraries = sysroot().join("lib/rustlib").join(TARGET).join("lib");
    if libraries.is_dir() {
        return;
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).current_dir(workspace()).status();
    let reason = match added {
        Ok(status) if status.success() && libraries.is_dir() => return,
        Ok(status) => format!("`rustup target add {TARGET}` ended with {status}"),
        Err(error) => format!("`rustup target add {TARGET}` could not be started: {error}"),
    };
    panic!(
        "\n\nThe plugin is WebAssembly, and this Rust toolchain has no libraries for it.\n\
         {reason}.\n\n\
         Type, in the folder of the workspace:\n\n    rustup target add {TARGET}\n\n\
         Without rustup: install the package of your system that holds Rust's standard library for {TARGET}.\n"
    );
}

fn sysroot() -> PathBuf {
    let output = Command::new(variable("RUSTC"))
        .args(["--print", "sysroot"])
        .output()
        .unwrap_or_else(|error| panic!("cannot ask rustc for its sysroot: {error}"));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

fn build(workspace: &Path) -> PathBuf {
    // Neither the outer target directory, which cargo holds locked, nor OUT_DIR, of which clippy has another one.
    let target_directory = workspace.join("target/guests");
    let component = target_directory.join(TARGET).join("release").join(FILE);

    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args(["build", "--release", "--package", PACKAGE, "--target", TARGET, "--target-dir"])
        .arg(&target_directory)
        .current_dir(workspace);
    for name in NOT_FOR_THE_GUEST {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", guest_flags(workspace));
    let output = cargo.output().unwrap_or_else(|error| panic!("cannot start cargo for the guest: {error}"));
    if !output.status.success() {
        panic!(
            "\n\n{}\nThe plugin did not build for {TARGET} (see above). If the compiler misses `core` or `std`, type:\n\n    \
             rustup target add {TARGET}\n",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let named = target_directory.join("faultline.wasm");
    describe(&component, &named).unwrap_or_else(|error| panic!("cannot describe {}: {error:#}", component.display()));
    tell_size(&named);
    named
}

/// Writes into the file what it was built from, which stripping has taken out; `faultline inspect` shows it.
fn describe(component: &Path, named: &Path) -> anyhow::Result<()> {
    let mut metadata = AddMetadata::default();
    metadata.language.push(("Rust".to_owned(), "2024".to_owned()));
    metadata.processed_by.push(("rustc".to_owned(), rustc_version()));
    metadata.sdk.push(("faultline".to_owned(), variable("CARGO_PKG_VERSION")));
    fs::write(named, metadata.to_wasm(&fs::read(component)?)?)?;
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
    // Stripping is in the profile too, where cargo forgets it for a package that has a level of its own.
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned(), "-Cstrip=symbols".to_owned()];
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
fn tell_size(component: &Path) {
    if let Ok(metadata) = fs::metadata(component) {
        println!("faultline.wasm: {} bytes ({TARGET}, release)", metadata.len());
    }
}
