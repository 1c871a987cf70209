//! What marking a batch costs, in every build and by every way in, beside copying it and beside decoding, changing and
//! encoding it with `prost`.
//!
//! All subjects run in turn within one process, over batches that rotate, and medians over the rounds are compared: on a
//! shared machine the ratios hold where the microseconds do not.
//!
//! `cargo bench` prints the table and writes it to `target/bench/`, as JSON and as a plot. `BLESS=1 cargo bench` writes it
//! to `docs/` and the README too. `cargo bench -- 512-all` measures only the cases whose name has `512-all` in it.

#[path = "../../suites/core_host/mod.rs"]
mod core_host;
#[path = "../figures.rs"]
mod figures;
#[path = "../../suites/native.rs"]
mod native;

mod builds;
mod case;
mod guest_cost;
mod measure;
mod report;
mod startup;
mod subject;

use std::fs;
use std::path::Path;

use builds::Builds;
use case::Case;
use report::Report;

fn main() -> anyhow::Result<()> {
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |case: &Case| parts.is_empty() || parts.iter().any(|part| case.name().contains(part));
    let builds = Builds::compile()?;
    let mut report = Report::of_this_machine(startup::measure(&builds)?);
    for case in Case::all().into_iter().filter(is_wanted) {
        let row = measure::run(&builds, &case)?;
        print!("{}", row.text());
        report.rows.push(row);
    }
    if !parts.is_empty() {
        return Ok(());
    }
    print!("\n{}", report.summary());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let folder = root.join("target/bench");
    report.write(&folder)?;
    println!("also in {}/hot_path.json and hot_path.svg", folder.display());
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        report.write(&root.join("docs"))?;
        let readme = root.join("README.md");
        fs::write(&readme, report.place_in(&fs::read_to_string(&readme)?)?)?;
        println!("and in docs/ and README.md");
    }
    Ok(())
}
