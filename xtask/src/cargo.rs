//! The cargo that runs us, asked for builds and for what the workspace is made of.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};
use serde_json::Value;

/// The package of the program, and the features that releases have.
pub const PROGRAM: &str = "faultline";
const FEATURES: &str = "faultline/oci";

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Builds the program for a target with optimisation, and answers with its path.
///
/// # Errors
/// When it does not build; cargo has said why.
pub fn build(target: &str) -> anyhow::Result<PathBuf> {
    let workspace = workspace();
    let folder = target_folder(&workspace).join("release-builds");
    let mut cargo = cargo(&workspace);
    cargo.args(["build", "--release", "--locked", "--package", PROGRAM, "--features", FEATURES, "--target", target]);
    cargo.arg("--target-dir").arg(&folder);
    // No path of this machine in messages of panics.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let flags =
        [remap(&workspace, "faultline"), remap(&home.unwrap_or_default(), "cargo"), "-Cstrip=symbols".to_owned()];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    if target.ends_with("-musl") && !has("musl-gcc") {
        // The C code of `ring` and `zstd` is memory and arithmetic: it needs no more of a C library than the names that all
        // have, once it is told not to use glibc's checked ones.
        let name = target.replace('-', "_");
        cargo.env(format!("CC_{name}"), "cc");
        cargo.env(format!("CFLAGS_{name}"), "-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0");
    }
    let status = cargo.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("{PROGRAM} did not build for {target}; if the target is missing: `rustup target add {target}`");
    }
    Ok(folder.join(target).join("release").join(PROGRAM))
}

/// What `cargo metadata` says of all packages, for one target.
///
/// # Errors
/// When cargo fails.
pub fn metadata(target: &str) -> anyhow::Result<Value> {
    let mut cargo = cargo(&workspace());
    cargo.args(["metadata", "--format-version", "1", "--locked", "--features", FEATURES, "--filter-platform", target]);
    let Output { status, stdout, stderr } = cargo.output().context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo does not tell what the workspace is made of: {}", String::from_utf8_lossy(&stderr).trim());
    }
    serde_json::from_slice(&stdout).context("what cargo told is not JSON")
}

/// Where the plugins are, which every build of the program makes.
#[must_use]
pub fn guests() -> PathBuf {
    // `host-harness/build.rs` puts them there, wherever else things are built.
    workspace().join("target/guests")
}

fn target_folder(workspace: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

fn cargo(workspace: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace);
    command
}

fn has(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}
