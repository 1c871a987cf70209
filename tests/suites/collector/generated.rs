//! Batches of the generator for the tests of the Go module, which cannot run it.

use std::fs;
use std::io::Read;
use std::path::Path;

use faultline::plugin::Signal as PluginSignal;
use faultline::scenario::{Action, Scenario};
use faultline_test_support::{Generator, Signal};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};

use super::support::{is_blessing, workspace};

const FOLDER: &str = "plugin/opentelemetry-collector/faultlineextension/testdata/generated";
/// How long before its step a generated item begins, as `faultline replay` has it.
const SPREAD: u64 = 60 * faultline::time::SECOND;

/// Scenario: a scenario has a step that generates its batch.
/// Guarantees: the Go module has the very bytes. `BLESS=1` writes them.
#[test]
fn the_go_module_has_the_batches_that_scenarios_generate() {
    let mut expected = 0;
    for entry in fs::read_dir(workspace().join("tests/scenarios")).expect("the folder can be listed") {
        let folder = entry.expect("its entries can be listed").path();
        if !folder.is_dir() {
            continue;
        }
        let scenario = Scenario::read(&folder).expect("the scenario can be read");
        for (step, number) in scenario.steps.iter().zip(1..) {
            let Action::Telemetry(telemetry) = &step.action else { continue };
            let Some(generate) = &telemetry.generate else { continue };
            let generator = Generator {
                seed: generate.seed,
                items: generate.items,
                services: generate.services.clone(),
                from: step.at.saturating_sub(SPREAD),
                until: step.at,
                environment: None,
                namespace: None,
            };
            let signal = match telemetry.signal {
                PluginSignal::Traces => Signal::Traces,
                PluginSignal::Metrics => Signal::Metrics,
                PluginSignal::Logs => Signal::Logs,
            };
            let path = workspace().join(FOLDER).join(format!("{}_{number}.binpb.gz", scenario.name));
            check(&path, &generator.bytes(signal));
            expected += 1;
        }
    }
    let there = fs::read_dir(workspace().join(FOLDER)).expect("the folder can be listed").count();
    assert_eq!(there, expected, "{FOLDER} has files that no scenario needs");
}

fn check(path: &Path, batch: &[u8]) {
    if is_blessing() {
        let mut packed = Vec::new();
        GzEncoder::new(batch, Compression::best()).read_to_end(&mut packed).expect("bytes can be compressed");
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, packed).expect("the file can be written");
        return;
    }
    let packed = fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}\nrun `BLESS=1 cargo test --test collector`", path.display()));
    let mut found = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut found).expect("the file is gzip");
    assert!(found == batch, "{} is another batch; run `BLESS=1 cargo test --test collector`", path.display());
}
