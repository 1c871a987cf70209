//! What the fuzz targets hold of arbitrary input. A property is a function that panics where it does not hold, so that a
//! test can run it on the seeds without a fuzzer.

mod additions;
pub mod configuration;
pub mod entries;
pub mod mutator;
pub mod rewriting;
#[path = "../../../plugin/annotator/tests/rewriter/scene.rs"]
mod scene;
pub mod sinks;
mod variant;
pub mod webhooks;
