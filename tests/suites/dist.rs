//! What a release is made of, without the long build: a program of a few bytes stands for ours.

mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use faultline::guest::EMBEDDED;
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use xtask::dist::{self, Dist};

use servers::Registry;
use servers::registry::oras;

/// A program for x86-64 that needs nothing and ends at once with status 7.
const PROGRAM: [u8; 132] = {
    let mut program = [0; 132];
    let parts: [(usize, &[u8]); 8] = [
        // The head: 64-bit, little-endian, executable, x86-64, begins at 0x400078, one segment of 56 bytes behind it.
        (0, b"\x7fELF\x02\x01\x01"),
        (16, &[2, 0, 62, 0, 1]),
        (24, &[0x78, 0, 0x40]),
        (32, &[64]),
        (52, &[64, 0, 56, 0, 1]),
        // The segment: loaded, to be read and run, the whole file at 0x400000.
        (64, &[1, 0, 0, 0, 5]),
        (80, &[0, 0, 0x40]),
        // mov edi, 7; mov eax, 60; syscall
        (120, &[0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
    ];
    let mut part = 0;
    while part < parts.len() {
        let (place, bytes) = parts[part];
        let mut byte = 0;
        while byte < bytes.len() {
            program[place + byte] = bytes[byte];
            byte += 1;
        }
        part += 1;
    }
    // Sizes of the segment in the file and in memory, and its alignment.
    (program[96], program[104]) = (132, 132);
    program[113] = 0x10;
    program
};

/// Makes a release in a folder, and answers with the checksums of its files.
fn release(folder: &Path) -> BTreeMap<String, String> {
    let binary = folder.join("program");
    fs::write(&binary, PROGRAM).expect("the program can be written");
    let output = folder.join("dist");
    let dist = Dist { output: output.clone(), target: dist::TARGET.to_owned(), binary: Some(binary) };
    dist.run().expect("the release can be made");
    let sums = fs::read_to_string(output.join("SHA256SUMS")).expect("there are checksums");
    let pair = |line: &str| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned()));
    sums.lines().map(|line| pair(line).expect("a line has a sum and a name")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Paths of an archive, with owner, rights and content.
fn unpacked(gzipped: &[u8]) -> BTreeMap<String, (u64, u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(GzDecoder::new(gzipped));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("it is an archive") {
        let mut entry = entry.expect("it is whole");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("it is whole");
        let header = entry.header();
        assert_eq!(header.mtime().expect("it has a time"), 0);
        let (owner, mode) = (header.uid().expect("an owner"), header.mode().expect("rights"));
        files.insert(entry.path().expect("a path").display().to_string(), (owner, mode, content));
    }
    files
}

/// Scenario: a release is made twice, in two folders, and once more over the first.
/// Guarantees: all have the same files with the same bytes, each with its checksum, and the parts are whole.
#[test]
fn a_release_is_the_same_each_time_and_has_all_its_parts() {
    let [first, second] = [(); 2].map(|()| TempDir::new().expect("a temporary folder can be made"));
    let sums = release(first.path());
    assert_eq!(sums, release(second.path()));
    assert_eq!(sums, release(first.path()));
    let output = first.path().join("dist");
    for (name, sum) in &sums {
        assert_eq!(&sha256(&fs::read(output.join(name)).expect("it is there")), sum, "{name}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("faultline-{version}-{}", dist::TARGET);
    for wanted in ["faultline.wasm", "faultline-core.wasm", "LICENSE", "THIRD-PARTY-LICENCES.txt", "image/index.json"] {
        assert!(sums.contains_key(wanted), "{wanted} is not among {sums:?}");
    }
    assert_eq!(sums["faultline.wasm"], sha256(EMBEDDED), "the plugin that the program carries");

    let files = unpacked(&fs::read(output.join(format!("{name}.tar.gz"))).expect("it is there"));
    assert_eq!(files[&format!("{name}/faultline")], (0, 0o755, PROGRAM.to_vec()));
    assert!(files.contains_key(&format!("{name}/deploy/faultline.yaml")));
    let sbom = fs::read(output.join(format!("{name}.cdx.json"))).expect("it is there");
    let sbom: Value = serde_json::from_slice(&sbom).expect("it is JSON");
    let parts: Vec<&str> =
        sbom["components"].as_array().expect("a list").iter().filter_map(|part| part["name"].as_str()).collect();
    // Of the program, of the plugin in it, and by the feature of releases; none that only tests.
    for part in ["wasmtime", "faultline-annotator", "oci-client"] {
        assert!(parts.contains(&part), "{part} is not among {parts:?}");
    }
    assert!(!parts.contains(&"rcgen") && !parts.contains(&"jsonschema"), "{parts:?}");
    let licences = fs::read_to_string(output.join("THIRD-PARTY-LICENCES.txt")).expect("it is there");
    assert!(licences.contains("wasmtime 48.") && licences.contains("Apache License"));
}

/// Guarantees: a folder that somebody else filled is left alone, and a program that an image could not run is refused.
#[test]
fn nothing_of_others_is_emptied_and_no_image_is_made_that_cannot_run() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let output = folder.path().join("mine");
    fs::create_dir(&output).expect("it can be made");
    fs::write(output.join("letter.txt"), "dear").expect("it can be written");
    let dist = |output: &Path, binary: &Path| {
        let (output, binary) = (output.to_owned(), Some(binary.to_owned()));
        let error = Dist { output, target: dist::TARGET.to_owned(), binary }.run().expect_err("it is refused");
        format!("{error:#}")
    };
    let shared = Path::new(env!("CARGO_BIN_EXE_faultline"));
    assert!(dist(&output, shared).contains("is not empty"));
    assert!(output.join("letter.txt").is_file());
    let refused = dist(&folder.path().join("new"), shared);
    assert!(refused.contains("shared libraries"), "{refused}");
}

/// Scenario: the image is copied into a registry, and back out of it by another tool.
/// Guarantees: its digest is the one that was told, it runs as nobody, and holds the program and what it needs.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn the_image_goes_into_a_registry_and_comes_back() {
    let (folder, registry) = (TempDir::new().expect("a temporary folder can be made"), Registry::start());
    release(folder.path());
    let (version, layout) = (env!("CARGO_PKG_VERSION"), folder.path().join("dist/image"));
    let reference = registry.reference(&format!("faultline:{version}"));
    let from = format!("{}:{version}", layout.display());
    oras(folder.path(), &["cp", "--from-oci-layout", "--to-plain-http", &from, &reference]);
    let index: Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).expect("it is there")).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("it has a digest");
    let manifest = registry.manifest("faultline", version);
    assert_eq!(registry.manifest("faultline", digest), manifest);

    let config = oras(folder.path(), &["manifest", "fetch-config", "--plain-http", &reference]);
    let config: Value = serde_json::from_slice(&config.stdout).expect("it is JSON");
    assert_eq!((&config["os"], &config["architecture"]), (&"linux".into(), &"amd64".into()));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/faultline");

    let layer = manifest["layers"][0]["digest"].as_str().expect("it has a digest");
    let blob = registry.reference(&format!("faultline@{layer}"));
    oras(folder.path(), &["blob", "fetch", "--plain-http", "--output", "layer.tar.gz", &blob]);
    let files = unpacked(&fs::read(folder.path().join("layer.tar.gz")).expect("it is there"));
    assert_eq!(files["usr/local/bin/faultline"], (0, 0o755, PROGRAM.to_vec()));
    assert_eq!((files["var/lib/faultline/"].0, files["var/lib/faultline/"].1), (65_532, 0o700));
    let authorities = String::from_utf8_lossy(&files["etc/ssl/certs/ca-certificates.crt"].2).into_owned();
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
    assert!(!files.keys().any(|path| path.contains("/sh") && !path.contains("share")), "there is no shell");
}
