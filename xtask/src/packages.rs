//! The packages that a program is made of, without those that only build or test it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// As the registry calls it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its author says of its licence, as SPDX.
    pub licence: Option<String>,
    /// Where its source came from; none for packages of the workspace.
    pub source: Option<String>,
    /// The folder of its source on this machine.
    pub folder: PathBuf,
    /// SHA-256 of what the registry gave, by `Cargo.lock`.
    pub checksum: Option<String>,
    /// What it depends on: ids.
    pub dependencies: BTreeSet<String>,
}

/// Packages by cargo's ids.
pub type Packages = BTreeMap<String, Package>;

/// All that the packages with these names lead to, themselves included.
///
/// # Errors
/// When `metadata` is not what `cargo metadata` prints, or one of the names is not in it.
pub fn reached(metadata: &Value, lock: &str, roots: &[&str]) -> anyhow::Result<Packages> {
    let packages = list(metadata, "/packages")?;
    let nodes = list(metadata, "/resolve/nodes")?;
    let dependencies: BTreeMap<&str, BTreeSet<String>> =
        nodes.iter().filter_map(|node| Some((text(node, "id")?, dependencies(node)))).collect();
    let checksums = checksums(lock);
    let by_id: BTreeMap<&str, &Value> =
        packages.iter().filter_map(|package| Some((text(package, "id")?, package))).collect();
    let mut waiting = Vec::new();
    for root in roots {
        let is_root = |package: &&Value| text(package, "name") == Some(root) && package["source"].is_null();
        let found = packages.iter().find(is_root).and_then(|package| text(package, "id"));
        waiting.push(found.with_context(|| format!("the workspace has no package `{root}`"))?.to_owned());
    }
    let mut reached = Packages::new();
    while let Some(id) = waiting.pop() {
        if reached.contains_key(&id) {
            continue;
        }
        let package = by_id.get(id.as_str()).with_context(|| format!("there is no package {id}"))?;
        let name = text(package, "name").context("a package has no name")?.to_owned();
        let version = text(package, "version").context("a package has no version")?.to_owned();
        let manifest = text(package, "manifest_path").context("a package has no folder")?;
        let dependencies = dependencies.get(id.as_str()).cloned().unwrap_or_default();
        waiting.extend(dependencies.iter().cloned());
        let package = Package {
            licence: text(package, "license").map(str::to_owned),
            source: text(package, "source").map(str::to_owned),
            folder: Path::new(manifest).parent().unwrap_or(Path::new("")).to_owned(),
            checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
            name,
            version,
            dependencies,
        };
        reached.insert(id, package);
    }
    Ok(reached)
}

/// Those of a node that end up in what it builds: not for its build script, not for its tests.
fn dependencies(node: &Value) -> BTreeSet<String> {
    let is_normal = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    };
    let dependencies = node["deps"].as_array().into_iter().flatten().filter(is_normal);
    dependencies.filter_map(|dependency| text(dependency, "pkg").map(str::to_owned)).collect()
}

/// Checksums of a `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            Some(line.trim_end_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) = (value("name"), value("version"), value("checksum")) {
            checksums.insert((name, version), checksum);
        }
    }
    checksums
}

fn list<'a>(value: &'a Value, pointer: &str) -> anyhow::Result<&'a Vec<Value>> {
    value.pointer(pointer).and_then(Value::as_array).with_context(|| format!("cargo did not tell {pointer}"))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

// === impl Package ===

impl Package {
    /// Files of its source that hold licences and notices, sorted by name.
    ///
    /// # Errors
    /// When its folder cannot be listed.
    pub fn licence_files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder).with_context(|| format!("cannot list {}", self.folder.display()))?;
        let is_licence = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            path.is_file()
                && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|word| name.starts_with(word))
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_licence).collect();
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A program that uses `a`, builds with `b`, is tested with `c`; `a` uses `d`.
    pub(crate) fn metadata() -> Value {
        let package = |name: &str, source: Value| {
            json!({
                "id": format!("id-{name}"), "name": name, "version": "1.0.0", "license": "MIT", "source": source,
                "manifest_path": format!("/somewhere/{name}/Cargo.toml"),
            })
        };
        let registry = json!("registry+https://github.com/rust-lang/crates.io-index");
        let uses = |name: &str, kind: Value| json!({ "pkg": format!("id-{name}"), "dep_kinds": [{ "kind": kind }] });
        json!({
            "packages": [
                package("program", Value::Null), package("a", registry.clone()), package("b", registry.clone()),
                package("c", registry.clone()), package("d", registry),
            ],
            "resolve": { "nodes": [
                { "id": "id-program", "deps": [uses("a", Value::Null), uses("b", json!("build")), uses("c", json!("dev"))] },
                { "id": "id-a", "deps": [uses("d", Value::Null), uses("program", json!("dev"))] },
                { "id": "id-b", "deps": [] }, { "id": "id-c", "deps": [] }, { "id": "id-d", "deps": [] },
            ] },
        })
    }

    pub(crate) const LOCK: &str = "\
version = 4

[[package]]
name = \"a\"
version = \"1.0.0\"
source = \"registry+https://github.com/rust-lang/crates.io-index\"
checksum = \"00aa\"
dependencies = [
 \"d\",
]

[[package]]
name = \"program\"
version = \"1.0.0\"
";

    #[test]
    fn what_is_in_the_program_is_reached_and_nothing_else() {
        let packages = reached(&metadata(), LOCK, &["program"]).unwrap();
        let names: Vec<&str> = packages.values().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "d", "program"]);
        assert_eq!(packages["id-a"].checksum.as_deref(), Some("00aa"));
        assert_eq!(packages["id-program"].checksum, None);
        assert!(reached(&metadata(), LOCK, &["nobody"]).unwrap_err().to_string().contains("`nobody`"));
    }
}
