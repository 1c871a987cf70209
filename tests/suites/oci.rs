//! Plugins in a real registry: pushed, pulled, played, read by another tool, and refused when something is wrong with them.

#[path = "oci/commands.rs"]
mod commands;
#[path = "oci/refusals.rs"]
mod refusals;
mod servers;
#[path = "oci/signatures.rs"]
mod signatures;

use std::fs;

use faultline::guest::EMBEDDED;
use serde_json::Value;

use commands::Commands;
use servers::Registry;
use servers::registry::oras;

/// Scenario: the same plugin is pushed twice, under two tags, and pulled by each and by its digest.
/// Guarantees: it has one digest, and what comes back is what was pushed, byte for byte.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn what_is_pushed_is_pulled_by_tag_and_by_digest() {
    let (registry, commands) = (Registry::start(), Commands::new());
    let by_digest = commands.succeeds(&["push", &registry.reference("team/faultline:1.0")]);
    assert!(by_digest.starts_with(&registry.reference("team/faultline@sha256:")), "{by_digest}");
    let again = commands.succeeds(&["push", &format!("oci://{}", registry.reference("team/faultline:again"))]);
    assert_eq!(by_digest, again, "the second push has the digest of the first");
    for reference in
        [&by_digest, &registry.reference("team/faultline:1.0"), &registry.reference("team/faultline:again")]
    {
        assert_eq!(commands.succeeds(&["pull", reference, "-o", "pulled.wasm"]), by_digest);
        assert!(commands.read("pulled.wasm") == EMBEDDED, "{reference}");
        commands.remove("pulled.wasm");
    }
    commands.succeeds(&["pull", &by_digest]);
    assert!(commands.read("faultline.wasm") == EMBEDDED, "it is named after the repository");
    commands.succeeds(&["push", &registry.reference("file"), "faultline.wasm"]);
    let layer = &registry.manifest("file", "latest")["layers"][0];
    assert_eq!(layer["annotations"]["org.opencontainers.image.title"], "faultline.wasm");
}

/// Scenario: commands take a plugin of a registry; then the registry is gone.
/// Guarantees: they do what they do with the built-in one, and go on with what was pulled by digest.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn a_plugin_of_a_registry_is_used_like_the_one_that_is_built_in() {
    let (mut registry, commands) = (Registry::start(), Commands::new());
    let by_digest = format!("oci://{}", commands.succeeds(&["push", &registry.reference("faultline:1.0")]));
    let built_in = commands.succeeds(&["replay", "-o", "ndjson"]);
    assert!(built_in.lines().count() > 5, "{built_in}");
    let replay = ["replay", "-o", "ndjson", "--plugin", &by_digest];
    assert_eq!(commands.succeeds(&replay), built_in);
    let inspected: Value =
        serde_json::from_str(&commands.succeeds(&["inspect", "-o", "json", &by_digest])).expect("JSON");
    assert_eq!(inspected["bytes"], EMBEDDED.len());

    registry.stop();
    assert_eq!(commands.succeeds(&replay), built_in, "out of the cache");
    let by_tag = format!("oci://{}", registry.reference("faultline:1.0"));
    let refused = commands.fails(&["replay", "--plugin", &by_tag]);
    assert!(refused.contains("Connection refused"), "a tag may have moved: it is asked for each time\n{refused}");
    commands.forget();
    let refused = commands.fails(&replay);
    for said in [by_digest.trim_start_matches("oci://"), "/v2/", "Connection refused", "hint: "] {
        assert!(refused.contains(said), "{said} is not in\n{refused}");
    }
}

/// Scenario: oras pulls what `faultline` pushed, and `faultline` what oras pushed.
/// Guarantees: each has the same bytes, under the name that the artifact gives them.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn another_tool_reads_ours_and_we_read_its() {
    let (registry, commands) = (Registry::start(), Commands::new());
    let by_digest = commands.succeeds(&["push", &registry.reference("faultline:1.0")]);
    oras(commands.folder(), &["pull", "--plain-http", &by_digest, "--output", "by-oras"]);
    assert!(commands.read("by-oras/faultline.wasm") == EMBEDDED);
    let config = oras(commands.folder(), &["manifest", "fetch-config", "--plain-http", &by_digest]);
    let config: Value = serde_json::from_slice(&config.stdout).expect("the configuration is JSON");
    assert_eq!((&config["os"], &config["created"]), (&"wasip2".into(), &"1970-01-01T00:00:00Z".into()));

    fs::write(commands.folder().join("config.json"), config.to_string()).expect("it can be written");
    let theirs = registry.reference("by-oras:1.0");
    let config = "config.json:application/vnd.wasm.config.v0+json";
    let layer = "by-oras/faultline.wasm:application/wasm";
    oras(commands.folder(), &["push", "--plain-http", &theirs, "--config", config, layer]);
    commands.succeeds(&["pull", &theirs, "-o", "ours.wasm"]);
    assert!(commands.read("ours.wasm") == EMBEDDED);
}

/// Scenario: two registries that ask for a name, one of which has been logged in to.
/// Guarantees: its credentials are used there alone; without them the way out is said, and the password never.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn credentials_of_docker_login_are_used() {
    use servers::registry::{NAME, PASSWORD, log_in};
    let (registry, other, commands) = (Registry::start_with_login(), Registry::start_with_login(), Commands::new());
    let reference = registry.reference("faultline:1.0");
    let refused = |reference: &str| {
        let told = commands.fails(&["push", reference]);
        assert!(told.contains("docker login") && told.contains(reference), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
    };
    refused(&reference);
    log_in(&commands.docker(), registry.address(), NAME, "wrong");
    refused(&reference);
    log_in(&commands.docker(), registry.address(), NAME, PASSWORD);
    let by_digest = commands.succeeds(&["push", &reference]);
    commands.succeeds(&["pull", &by_digest, "-o", "pulled.wasm"]);
    assert!(commands.read("pulled.wasm") == EMBEDDED);
    refused(&other.reference("faultline:1.0"));
}

/// Scenario: a registry at an address that is not a loopback one, without encryption.
/// Guarantees: it is not talked to in clear text, unless that is asked for.
#[test]
#[ignore = "needs target/servers: run tests/servers/install"]
fn plain_http_beyond_this_machine_has_to_be_asked_for() {
    let (registry, commands) = (Registry::start(), Commands::new());
    commands.succeeds(&["push", &registry.reference("faultline:1.0")]);
    // Leads to this machine, and says so less clearly.
    let reference = format!("0.0.0.0:{}/faultline:1.0", registry.address().port());
    let refused = commands.fails(&["pull", &reference, "-o", "pulled.wasm"]);
    assert!(refused.contains("https://0.0.0.0:") && refused.contains("--plain-http"), "{refused}");
    commands.succeeds(&["pull", "--plain-http", &reference, "-o", "pulled.wasm"]);
    commands.succeeds(&["replay", "--plugin", &format!("oci://{reference}"), "--plain-http"]);
}
