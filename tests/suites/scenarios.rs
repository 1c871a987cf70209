//! Every scenario on every build: what it prints is what its folder expects, and all builds hand on the same bytes.
//!
//! `BLESS=1` rewrites what is expected, from the component; the other builds must equal it even then.

mod by_marks;
mod core_host;
mod native;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use by_marks::{ByMarks, plain_signal};
use core_host::CoreBuild;
use faultline::guest::{EMBEDDED, GuestBuild, Limits};
use faultline::plugin::Build;
use faultline::report::{Lines, Report};
use faultline::scenario::{Occurrence, Player, Scenario};
use faultline::selective::SelectiveBuild;
use faultline_test_support::applier;
use libtest_mimic::{Arguments, Failed, Trial};
use native::Native;
use support::{difference, is_blessing, workspace};

/// Fewer folders than this mean that some were lost, not that a scenario was given up.
const SCENARIOS_MIN: usize = 15;
const EXPECTED: &str = "expected.ndjson";

/// What one build made of a scenario.
struct Played {
    ndjson: String,
    /// The bytes handed on at each telemetry step.
    handed_on: Vec<Vec<u8>>,
    /// The same as any host has them that decodes telemetry: without fields that it does not know.
    decoded: Vec<Option<Vec<u8>>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let component =
        GuestBuild::new(EMBEDDED, Limits::default(), support::cache()).expect("the embedded component compiles");
    let component = Arc::new(component);
    let core = Arc::new(CoreBuild::new(Limits::default().memory_bytes).expect("the core module compiles"));
    let folders = folders();
    let count = folders.len();
    let mut trials = vec![Trial::test("no_scenario_was_lost", move || {
        if count < SCENARIOS_MIN {
            return Err(format!("{count} scenarios, at least {SCENARIOS_MIN} are expected").into());
        }
        Ok(())
    })];
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (build, place) = (component.clone(), folder.clone());
        trials.push(Trial::test(format!("{name}::component"), move || component_is_as_expected(&*build, &place)));
        let (build, place) = (component.clone(), folder.clone());
        trials.push(Trial::test(format!("{name}::native"), move || is_as_the_component(&Native, &*build, &place)));
        let (build, other, place) = (component.clone(), core.clone(), folder.clone());
        trials.push(Trial::test(format!("{name}::core"), move || is_as_the_component(&*other, &*build, &place)));
        let (build, place) = (component.clone(), folder.clone());
        trials.push(Trial::test(format!("{name}::by_edits"), move || edits_do_the_same(&build, &place)));
        let build = component.clone();
        trials.push(Trial::test(format!("{name}::by_marks"), move || marks_do_the_same(&build, &folder)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("tests/scenarios")).expect("the folder of scenarios can be listed");
    let mut folders: Vec<_> =
        entries.map(|entry| entry.expect("can be listed").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Scenario: the component plays the folder.
/// Guarantees: it prints what the folder expects, to the byte.
fn component_is_as_expected(build: &dyn Build, folder: &Path) -> Result<(), Failed> {
    let played = play(build, folder)?;
    let path = folder.join(EXPECTED);
    if is_blessing() {
        fs::write(&path, &played.ndjson)?;
        return Ok(());
    }
    let expected = fs::read_to_string(&path).map_err(|error| {
        format!("{}: {error}\nrun `BLESS=1 cargo test --test scenarios`, then review the file", path.display())
    })?;
    same(&expected, &played.ndjson)
}

/// Scenario: another build, the annotator compiled for this machine or the core module, plays the folder beside the
/// component.
/// Guarantees: both print the same and hand on the same bytes at each step.
fn is_as_the_component(build: &dyn Build, component: &dyn Build, folder: &Path) -> Result<(), Failed> {
    let (expected, found) = (play(component, folder)?, play(build, folder)?);
    same(&expected.ndjson, &found.ndjson)?;
    if expected.handed_on != found.handed_on {
        return Err("the builds print the same but hand on different bytes".into());
    }
    Ok(())
}

/// Scenario: a host asks for `interest` and `edits` instead of `process`.
/// Guarantees: it hands on the same bytes.
fn edits_do_the_same(build: &Arc<GuestBuild>, folder: &Path) -> Result<(), Failed> {
    let expected = play(&**build, folder)?;
    let found = play(&SelectiveBuild(build.clone()), folder)?;
    if expected.handed_on != found.handed_on {
        return Err("edits make other bytes than process".into());
    }
    Ok(())
}

/// Scenario: a host decodes telemetry and asks for `marks`.
/// Guarantees: it hands on the same telemetry.
fn marks_do_the_same(build: &GuestBuild, folder: &Path) -> Result<(), Failed> {
    let (expected, found) = (play(build, folder)?, play(&ByMarks(build), folder)?);
    if expected.decoded != found.decoded {
        return Err("marks make other telemetry than process".into());
    }
    Ok(())
}

fn play(build: &dyn Build, folder: &Path) -> Result<Played, Failed> {
    let shown = |error: anyhow::Error| Failed::from(format!("{error:#}"));
    let scenario = Scenario::read(folder).map_err(shown)?;
    let mut player = Player::new(build, &scenario).map_err(shown)?;
    let mut ndjson = Vec::new();
    let (mut handed_on, mut decoded) = (Vec::new(), Vec::new());
    let mut lines = Lines::new(&mut ndjson);
    for event in &mut player {
        let event = event.map_err(shown)?;
        lines.event(&event).map_err(shown)?;
        if let Occurrence::Telemetry(telemetry) = event.what {
            decoded.push(applier::apply(plain_signal(telemetry.signal.0), &telemetry.handed_on, &[], &[]).ok());
            handed_on.push(telemetry.handed_on);
        }
    }
    lines.end(&player.summary().map_err(shown)?).map_err(shown)?;
    Ok(Played { ndjson: String::from_utf8(ndjson)?, handed_on, decoded })
}

fn same(expected: &str, found: &str) -> Result<(), Failed> {
    difference(expected, found).map_or(Ok(()), |difference| Err(difference.into()))
}
