//! What the server takes as a hop between a sender and a backend, beside the OpenTelemetry Collector in the same place.
//!
//! Both run as programs of their own between the same load and the same sink, in turn; their own CPU time is read from the
//! system after the sink has got everything, and medians over the rounds are compared. On a shared machine the ratios hold
//! where the seconds do not.
//!
//! ```text
//! cargo bench --bench hop                       CPU and memory against the Collector, and latency
//! cargo bench --bench hop -- --quick            the same in two minutes, to look at while working
//! cargo bench --bench hop -- http               only the cases whose name has `http` in it
//! cargo bench --bench hop -- --webhooks         10,000 webhooks in a minute
//! cargo bench --bench hop -- --soak 10          ten minutes of telemetry and webhooks: does memory grow?
//! ```
//!
//! The figures come into `target/bench/hop.json` and `hop.md`, and with `BLESS=1` into `docs/` and the README too, each
//! part in the place of the same part of an earlier run. The Collector is `target/servers/otelcol`, which
//! `tests/servers/install` builds; without it the server is measured alone. The server is the program of this build.

#[path = "../figures.rs"]
mod figures;

mod arguments;
mod case;
mod client;
mod hop;
mod latency;
mod report;
mod soak;
mod throughput;
mod webhooks;

use std::path::Path;

use arguments::Arguments;
use case::Case;
use hop::Program;
use report::Report;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::of_this_program()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let programs = Program::available(&root);
    let is_blessing = std::env::var_os("BLESS").is_some_and(|value| value == "1") && !arguments.is_partial();
    if is_blessing {
        anyhow::ensure!(!arguments.effort.is_quick, "a quick run is no figure to keep");
        let compares = arguments.soak_minutes.is_none() && !arguments.webhooks;
        anyhow::ensure!(programs.len() == 2 || !compares, "there is nothing to compare with: {}", hop::INSTALL);
    }
    let mut report = measure(&arguments, &programs)?;
    print!("{}", report.text());
    if arguments.is_partial() {
        return Ok(());
    }
    let folder = root.join("target/bench");
    report.keep(&folder)?;
    println!("also in {}/hop.json and hop.md", folder.display());
    if is_blessing {
        report.keep(&root.join("docs"))?;
        report.place_in_readme(&root)?;
        println!("and in docs/ and README.md");
    }
    Ok(())
}

/// The parts that were asked for.
fn measure(arguments: &Arguments, programs: &[Program]) -> anyhow::Result<Report> {
    let effort = &arguments.effort;
    let mut report = Report::of_this_machine();
    if let Some(minutes) = arguments.soak_minutes {
        report.soak = Some(soak::run(minutes)?);
    } else if arguments.webhooks {
        report.webhooks = Some(webhooks::run(effort)?);
    } else {
        let wanted: Vec<Case> = Case::all().into_iter().filter(|case| arguments.wants(case.name)).collect();
        if !wanted.is_empty() {
            report.throughput = Some(throughput::run(&wanted, programs, effort)?);
        }
        if arguments.wants(latency::NAME) {
            report.latency = Some(latency::run(programs, effort)?);
        }
    }
    Ok(report)
}
