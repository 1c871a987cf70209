//! The plugin that the Collector's Go module embeds is the one that this source builds.

use std::fs;
use std::path::Path;

const EMBEDDED: &str = "plugin/opentelemetry-collector/internal/guest/faultline-core.wasm";

/// Scenario: somebody builds a Collector from the Go module, with nothing of this repository but what is committed.
/// Guarantees: the plugin in it is that of the source beside it. The bytes are the same on every machine.
#[test]
fn the_embedded_plugin_is_what_this_source_builds() {
    let built = fs::read(env!("FAULTLINE_CORE")).expect("the build has made the core module");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(EMBEDDED);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &built).unwrap_or_else(|error| panic!("{EMBEDDED}: {error}"));
    }
    let embedded = fs::read(&path).unwrap_or_else(|error| panic!("{EMBEDDED}: {error}"));
    assert!(
        embedded == built,
        "{EMBEDDED} is stale ({} bytes, the build has {}): BLESS=1 cargo test --test embedded_plugin",
        embedded.len(),
        built.len()
    );
}
