//! What the README says is so.

#[path = "../benches/figures.rs"]
#[allow(dead_code, reason = "the suite asks for no machine and no date")]
mod figures;
#[path = "../benches/hop/report/mod.rs"]
#[allow(dead_code, reason = "the suite reads a run and makes none")]
mod hop_report;
#[path = "../benches/hot_path/report/mod.rs"]
#[allow(dead_code, reason = "the suite reads a run and makes none")]
mod report;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use report::Report;
use support::{difference, is_blessing};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn every_path_that_a_page_links_to_exists() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "deploy/README.md",
        "docs/collector.md",
        "docs/hot_path.md",
        "plugin/opentelemetry-collector/README.md",
        "plugin/README.md",
        "wit/README.md",
        "tests/README.md",
        "tests/fuzz/README.md",
        "tests/scenarios/README.md",
    ] {
        let folder = root().join(page).parent().map(Path::to_path_buf).unwrap_or_default();
        let text = read(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") && !link.starts_with('#') {
                assert!(folder.join(link).exists(), "{page} links to {link}, which does not exist");
            }
        }
    }
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let examples = blocks(&read("README.md"), "yaml");
    assert!(!examples.is_empty(), "the README shows a configuration");
    for (number, example) in examples.iter().enumerate() {
        let file = std::env::temp_dir().join(format!("faultline-readme-{}-{number}.yaml", std::process::id()));
        std::fs::write(&file, example).expect("a temporary file can be written");
        let output = Command::new(env!("CARGO_BIN_EXE_faultline")).arg("check").arg(&file).output().expect("it runs");
        std::fs::remove_file(&file).expect("the temporary file can be removed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_picture_in_the_readme_is_what_replay_prints() {
    let replay = read("tests/cli/replay.txt");
    let readme = read("README.md");
    let picture = blocks(&readme, "text").pop().expect("the README shows the output of replay");
    for part in picture.split("[…]\n") {
        let part = part.trim_matches('\n');
        assert!(replay.contains(part), "this part of the README is not in tests/cli/replay.txt:\n{part}");
    }
}

#[test]
fn every_key_of_the_configuration_is_in_the_table() {
    let table = read("README.md");
    let source = read("plugin/annotator/src/config.rs");
    let documented = |key: &str| {
        ["`", "."].iter().any(|before| ["`", "."].iter().any(|after| table.contains(&format!("{before}{key}{after}"))))
            || table.contains(&format!("{key}?"))
            || table.contains(&format!("[{{{key}"))
            || table.contains(&format!("{key} or name"))
            || table.contains(&format!("or {key}"))
            || table.contains(&format!("{{{key}:"))
            || table.contains(&format!("{key}: ["))
    };
    let mut keys = 0;
    for line in source.lines().filter_map(|line| line.strip_prefix("    pub ")) {
        if let Some((key, _)) = line.split_once(": ")
            && !line.contains("fn ")
        {
            let key = if key == "matching" { "match" } else { key };
            assert!(documented(key), "`{key}` of plugin/annotator/src/config.rs is not in the README's table");
            keys += 1;
        }
    }
    assert!(keys > 30, "only {keys} keys were found: the test no longer reads the file right");
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let ci = read(".ci/run");
    assert!(ci.contains("cargo test --locked") && ci.contains("cargo run --locked -- replay"));
}

/// Scenario: somebody changes a figure by hand, or how the run is shown.
/// Guarantees: the README, the page and the plot show the run that is kept beside them. `BLESS=1` shows it anew.
#[test]
fn the_figures_are_those_of_one_run() {
    let report: Report = serde_json::from_str(&read("docs/hot_path.json")).expect("the run can be read");
    if is_blessing() {
        report.write(&root().join("docs")).expect("the report can be written");
        let placed = report.place_in(&read("README.md")).expect("the README has a place for the figures");
        std::fs::write(root().join("README.md"), placed).expect("the README can be written");
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    report.write(folder.path()).expect("the report can be written");
    for name in ["hot_path.json", "hot_path.md", "hot_path.svg"] {
        let shown = std::fs::read_to_string(folder.path().join(name)).expect("it was written");
        if let Some(difference) = difference(&shown, &read(&format!("docs/{name}"))) {
            panic!("docs/{name} is not of the run in hot_path.json:\n{difference}");
        }
    }
    let readme = read("README.md");
    let placed = report.place_in(&readme).expect("the README has a place for the figures");
    if let Some(difference) = difference(&placed, &readme) {
        panic!("the figures in the README are not those of docs/hot_path.json:\n{difference}");
    }
}

/// Scenario: the same for the hop, which may not have been measured yet.
/// Guarantees: the README and the page show the run that is kept, or say that there is none.
#[test]
fn the_figures_of_the_hop_are_those_of_the_run_that_is_kept() {
    let kept = root().join("docs/hop.json");
    let report: hop_report::Report = if kept.exists() {
        serde_json::from_str(&read("docs/hop.json")).expect("the run can be read")
    } else {
        hop_report::Report::default()
    };
    if is_blessing() {
        if kept.exists() {
            report.write(&root().join("docs")).expect("the report can be written");
        }
        report.place_in_readme(&root()).expect("the README has a place for the figures");
    }
    if kept.exists() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        report.write(folder.path()).expect("the report can be written");
        for name in ["hop.json", "hop.md"] {
            let shown = std::fs::read_to_string(folder.path().join(name)).expect("it was written");
            if let Some(difference) = difference(&shown, &read(&format!("docs/{name}"))) {
                panic!("docs/{name} is not of the run in hop.json:\n{difference}");
            }
        }
    }
    let readme = read("README.md");
    let placed = report.place_in(&readme).expect("the README has a place for the figures");
    if let Some(difference) = difference(&placed, &readme) {
        panic!("the figures of the hop in the README are not those of docs/hop.json:\n{difference}");
    }
}
