//! What every target holds of arbitrary input holds of its seeds, those of findings included; no fuzzer is needed for that.

use std::{fs, path::PathBuf};

use faultline_annotator::otlp::Signal;
use faultline_fuzz::{configuration, entries, rewriting, sinks, webhooks};

/// All together; they are part of every clone.
const SEED_BYTES_MAX: usize = 220_000;

/// Name and content, in the order of the names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = fs::read_dir(&folder).expect("each target has a folder of seeds");
    let mut seeds: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.sort_unstable();
    seeds
}

fn check_all(target: &str, check: impl Fn(&[u8])) {
    for (name, seed) in seeds(target) {
        // The output of a test that fails names the seed.
        println!("{target}/{name}");
        check(&seed);
    }
}

#[test]
fn traces() {
    check_all("traces", |seed| rewriting::check(Signal::Traces, seed));
}

#[test]
fn logs() {
    check_all("logs", |seed| rewriting::check(Signal::Logs, seed));
}

#[test]
fn metrics() {
    check_all("metrics", |seed| rewriting::check(Signal::Metrics, seed));
}

#[test]
fn all_sinks() {
    check_all("sinks", sinks::check);
}

#[test]
fn all_webhooks() {
    check_all("webhooks", webhooks::check);
}

#[test]
fn all_configurations() {
    check_all("configuration", configuration::check);
}

#[test]
fn all_entries() {
    check_all("entries", entries::check);
}

#[test]
fn seeds_stay_small() {
    let targets = ["traces", "metrics", "logs", "sinks", "webhooks", "configuration", "entries"];
    let bytes: usize = targets.into_iter().flat_map(seeds).map(|(_, seed)| seed.len()).sum();
    assert!(bytes < SEED_BYTES_MAX, "{bytes} bytes");
}
