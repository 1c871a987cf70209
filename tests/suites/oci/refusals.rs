//! A registry that gives something else than it should.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::commands::Commands;
use crate::servers::Registry;
use crate::servers::registry::oras;

/// Changes one byte, and nothing about the size.
fn tamper(file: &Path) {
    let mut bytes = fs::read(file).expect("the blob can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("the blob can be changed");
}

fn digest(descriptor: &Value) -> String {
    descriptor["digest"].as_str().expect("a descriptor has a digest").to_owned()
}

/// Scenario: somebody who can write the registry's disk changes one byte of the plugin; then the plugin is cut short; then
/// the manifest is changed.
/// Guarantees: none of it is used or written, whichever way it is asked for, and the message says what is wrong.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_was_changed_in_the_registry_is_refused() {
    let (registry, commands) = (Registry::start(), Commands::new());
    let by_digest = commands.succeeds(&["push", &registry.reference("faultline:1.0")]);
    let by_tag = registry.reference("faultline:1.0");
    let manifest = registry.manifest("faultline", "1.0");
    let layer = registry.blob(&digest(&manifest["layers"][0]));
    let refused = |said: &str| {
        for reference in [&by_digest, &by_tag] {
            let plugin = format!("oci://{reference}");
            for arguments in [["pull", reference, "-o", "pulled.wasm"], ["replay", "--color", "never", "--plugin"]] {
                let mut arguments = arguments.to_vec();
                if arguments[0] == "replay" {
                    arguments.push(&plugin);
                }
                let told = commands.fails(&arguments);
                assert!(told.contains(said) && told.contains(reference.as_str()), "{said} is not in\n{told}");
                assert!(told.contains("hint: "), "{told}");
                assert!(!commands.has("pulled.wasm"));
            }
        }
    };
    let whole = fs::read(&layer).expect("the blob can be read");
    tamper(&layer);
    refused("is not what its digest says");
    fs::write(&layer, &whole[..whole.len() - 1]).expect("the blob can be changed");
    refused("faultline");
    fs::write(&layer, [whole.as_slice(), b"more"].concat()).expect("the blob can be changed");
    refused("more came than the");
    fs::write(&layer, &whole).expect("the blob can be changed");
    commands.succeeds(&["pull", &by_digest, "-o", "pulled.wasm"]);
    commands.remove("pulled.wasm");
    commands.forget();
    // It stays a manifest, of as many bytes.
    let manifest = registry.blob(by_digest.rsplit('@').next().expect("it has a digest"));
    let text = fs::read_to_string(&manifest).expect("a manifest is a text");
    fs::write(&manifest, text.replace("faultline.wasm", "something.wasm")).expect("the blob can be changed");
    refused("igest");
}

/// Scenario: what is asked for is not there, is an artifact of another kind, or is no reference at all.
/// Guarantees: each is said with the reference and a way out.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_is_no_plugin_is_named() {
    let (registry, commands) = (Registry::start(), Commands::new());
    fs::write(commands.folder().join("notes.txt"), "no plugin").expect("it can be written");
    let notes = registry.reference("notes:1");
    oras(commands.folder(), &["push", "--plain-http", &notes, "notes.txt:text/plain"]);
    let missing = registry.reference("nobody/pushed:1");
    for (reference, said) in [
        (notes.as_str(), "its configuration is of type"),
        (&missing, "is it spelled right"),
        ("oci://localhost:5000/no such plugin", "is not a reference into a registry"),
    ] {
        let told = commands.fails(&["pull", reference, "-o", "pulled.wasm"]);
        assert!(told.contains(said), "{said} is not in\n{told}");
        assert!(told.contains(reference), "{reference} is not in\n{told}");
        assert!(!commands.has("pulled.wasm"));
    }
    let told = commands.fails(&["push", &registry.reference("notes:2"), "notes.txt"]);
    assert!(told.contains("notes.txt cannot be pushed"), "{told}");
    let told = commands.fails(&["push", &format!("{}@sha256:{}", registry.reference("x"), "0".repeat(64))]);
    assert!(told.contains("which only the content can decide"), "{told}");
}
