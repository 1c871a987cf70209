//! Signatures in the form of cosign, made here with keys of our own and put into the registry by oras.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use faultline::guest::EMBEDDED;
use rcgen::KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::commands::Commands;
use crate::servers::Registry;
use crate::servers::registry::oras;

const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Makes a key, and writes its public half as PEM.
fn key(commands: &Commands, name: &str) -> EcdsaKeyPair {
    let key = KeyPair::generate().expect("a key can be made");
    fs::write(commands.folder().join(name), key.public_key_pem()).expect("it can be written");
    let random = SystemRandom::new();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der(), &random).expect("the key can sign")
}

/// Does what `cosign sign` does: a payload that names `says`, signed, beside what has the digest `of`.
fn sign(registry: &Registry, commands: &Commands, key: &EcdsaKeyPair, of: &str, says: &str) {
    let critical = json!({
        "identity": { "docker-reference": registry.reference("faultline") },
        "image": { "docker-manifest-digest": says },
        "type": "cosign container image signature",
    });
    let payload = json!({ "critical": critical, "optional": null }).to_string();
    let signature = key.sign(&SystemRandom::new(), payload.as_bytes()).expect("it can be signed");
    let annotations = json!({ "payload.json": { "dev.cosignproject.cosign/signature": STANDARD.encode(signature) } });
    let files =
        [("payload.json", payload), ("annotations.json", annotations.to_string()), ("image.json", "{}".to_owned())];
    for (name, text) in files {
        fs::write(commands.folder().join(name), text).expect("it can be written");
    }
    let tag = registry.reference(&format!("faultline:{}.sig", of.replace(':', "-")));
    let config = "image.json:application/vnd.oci.image.config.v1+json";
    let layer = format!("payload.json:{PAYLOAD_TYPE}");
    let annotations = ["--annotation-file", "annotations.json", "--config", config];
    oras(commands.folder(), &[&["push", "--plain-http", &tag], annotations.as_slice(), &[&layer]].concat());
}

/// Scenario: a plugin without a signature, one signed by somebody else, one whose signature is that of another plugin, and
/// one signed by the key that is asked for.
/// Guarantees: only the last is used; the others are neither written nor run.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn with_a_key_only_what_it_signed_is_used() {
    let (mut registry, commands) = (Registry::start(), Commands::new());
    let [ours, others] = ["ours.pub", "others.pub"].map(|name| key(&commands, name));
    let by_digest = commands.succeeds(&["push", &registry.reference("faultline:1.0")]);
    let digest = by_digest.rsplit('@').next().expect("it has a digest").to_owned();
    let (by_tag, plugin) = (registry.reference("faultline:1.0"), format!("oci://{by_digest}"));
    let refused = |said: &str| {
        for reference in [&by_digest, &by_tag] {
            let told = commands.fails(&["pull", "--key", "ours.pub", reference, "-o", "pulled.wasm"]);
            for said in [said, "it has no signature by the key that is asked for", &digest, "hint: "] {
                assert!(told.contains(said), "{said} is not in\n{told}");
            }
            assert!(!commands.has("pulled.wasm"));
        }
        commands.fails(&["replay", "--plugin", &plugin, "--plugin-key", "ours.pub"]);
    };
    refused("nobody has signed it");
    sign(&registry, &commands, &others, &digest, &digest);
    refused("it is signed, but not by this key");
    let another = format!("sha256:{}", "1".repeat(64));
    sign(&registry, &commands, &ours, &digest, &another);
    refused(&format!("what is signed is {another}"));
    // Being in the cache makes nothing trusted.
    commands.succeeds(&["pull", &by_digest, "-o", "pulled.wasm"]);
    commands.remove("pulled.wasm");
    refused(&format!("what is signed is {another}"));

    sign(&registry, &commands, &ours, &digest, &digest);
    for reference in [&by_digest, &by_tag] {
        commands.succeeds(&["pull", "--key", "ours.pub", reference, "-o", "pulled.wasm"]);
        assert!(commands.read("pulled.wasm") == EMBEDDED);
        commands.remove("pulled.wasm");
    }
    let replay = commands.succeeds(&["replay", "--plugin", &plugin, "--plugin-key", "ours.pub"]);
    assert_eq!(replay, commands.succeeds(&["replay"]));

    registry.stop();
    commands.succeeds(&["replay", "--plugin", &plugin, "--plugin-key", "ours.pub"]);
    let told = commands.fails(&["replay", "--plugin", &plugin, "--plugin-key", "others.pub"]);
    assert!(told.contains("Connection refused"), "the signature that is kept is held against each key\n{told}");
}

/// Guarantees: a key that cannot be read is no reason to do without, nor is a file that has no signature.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn a_key_that_cannot_be_held_against_anything_is_refused() {
    let (registry, commands) = (Registry::start(), Commands::new());
    let by_digest = commands.succeeds(&["push", &registry.reference("faultline:1.0")]);
    fs::write(commands.folder().join("broken.pub"), "no key").expect("it can be written");
    for key in ["broken.pub", "missing.pub"] {
        let told = commands.fails(&["pull", "--key", key, &by_digest, "-o", "pulled.wasm"]);
        assert!(told.contains(&format!("cannot use {key} as a public key")), "{told}");
        assert!(!commands.has("pulled.wasm"));
    }
    key(&commands, "ours.pub");
    commands.succeeds(&["pull", &by_digest, "-o", "pulled.wasm"]);
    let told = commands.fails(&["replay", "--plugin", "pulled.wasm", "--plugin-key", "ours.pub"]);
    assert!(told.contains("has no signature"), "{told}");
}
