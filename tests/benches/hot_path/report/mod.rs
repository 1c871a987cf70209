//! What was measured, for people, for programs, and as a plot.

mod markdown;
mod plot;

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::figures;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When, as `2026-11-22`.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) startup: Startup,
    pub(crate) rows: Vec<Row>,
}

/// What beginning costs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Startup {
    /// Compiling the component.
    pub(crate) compile_millis: f64,
    /// An instance, its configuration, and a first batch of 8 spans.
    pub(crate) component_micros: f64,
    pub(crate) core_micros: f64,
    pub(crate) component_bytes: usize,
    pub(crate) core_bytes: usize,
}

/// One case.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) signal: String,
    pub(crate) items: usize,
    pub(crate) situation: String,
    /// Of a batch, on average.
    pub(crate) bytes: usize,
    pub(crate) cells: Vec<Cell>,
    pub(crate) guest: GuestCost,
}

/// What one subject took for a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// `memcpy`, `prost`, or a build.
    pub(crate) subject: String,
    /// How the build was used.
    pub(crate) way: Option<String>,
    pub(crate) median_micros: f64,
    /// Nine of ten rounds took longer.
    pub(crate) tenth_micros: f64,
}

/// What the batches cost inside the guest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GuestCost {
    /// Memory of the component after `process`, and after `edits`.
    pub(crate) process_bytes: usize,
    pub(crate) edits_bytes: usize,
    /// WebAssembly instructions of the core module for each item, as wasmtime counts them.
    pub(crate) process_fuel: u64,
    pub(crate) edits_fuel: u64,
    pub(crate) marks_fuel: u64,
}

/// The table in the README stands between these lines.
const BEGIN: &str = "<!-- figures of `BLESS=1 cargo bench`: begin -->\n";
const END: &str = "<!-- figures of `BLESS=1 cargo bench`: end -->\n";

// === impl Report ===

impl Report {
    pub(crate) fn of_this_machine(startup: Startup) -> Self {
        Self { date: figures::today(), machine: figures::machine(), startup, rows: Vec::new() }
    }

    /// The lines that stand behind the table.
    pub(crate) fn summary(&self) -> String {
        let Startup { compile_millis, component_micros, core_micros, component_bytes, core_bytes } = &self.startup;
        format!(
            "{}, {}\ncomponent {component_bytes} bytes, compiled in {compile_millis:.0} ms; \
             instance, configuration and first batch {component_micros:.0} us\n\
             core module {core_bytes} bytes; instance, configuration and first batch {core_micros:.0} us\n",
            self.machine, self.date
        )
    }

    /// Writes `hot_path.json`, `hot_path.md` and `hot_path.svg` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("hot_path.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("hot_path.md"), self.page())?;
        fs::write(folder.join("hot_path.svg"), self.plot())
    }

    /// The README with this table in its place.
    ///
    /// # Errors
    /// When the README has no place for it.
    pub(crate) fn place_in(&self, readme: &str) -> anyhow::Result<String> {
        figures::place_between(readme, BEGIN, END, &self.excerpt())
    }

    fn row(&self, signal: &str, items: usize, situation: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.signal == signal && row.items == items && row.situation == situation)
    }
}

// === impl Row ===

impl Row {
    /// A block of lines: microseconds, as multiples of a copy, and as fractions of `prost`.
    pub(crate) fn text(&self) -> String {
        let Self { signal, items, situation, bytes, cells: _, guest } = self;
        let (memcpy, prost) = (self.micros("memcpy", None), self.micros("prost", None));
        let mut text = format!("{signal}, {items} items, {situation}: {bytes} bytes\n");
        let _ = writeln!(text, "  copy {memcpy:.3} us, prost {prost:.1} us ({:.0}x)", prost / memcpy);
        for build in ["native", "core", "component"] {
            let _ = write!(text, "  {build:<10}");
            for way in ["process", "edits", "marks", "interest"] {
                let micros = self.micros(build, Some(way));
                let fraction = prost / micros;
                let _ = write!(text, "{way:>9} {micros:>9.3} us {:>7.3}x 1/{fraction:<8.1}", micros / memcpy);
            }
            text.push('\n');
        }
        let GuestCost { process_bytes, edits_bytes, process_fuel, edits_fuel, marks_fuel } = guest;
        let _ = writeln!(
            text,
            "  guest: {:.2} MB by process, {:.2} MB by edits; fuel an item: {process_fuel}, {edits_fuel}, {marks_fuel} (marks)",
            *process_bytes as f64 / 1e6,
            *edits_bytes as f64 / 1e6,
        );
        text
    }

    fn micros(&self, subject: &str, way: Option<&str>) -> f64 {
        let cell = self.cells.iter().find(|cell| cell.subject == subject && cell.way.as_deref() == way);
        cell.map_or(f64::NAN, |cell| cell.median_micros)
    }

    /// As a multiple of a copy.
    fn copies(&self, subject: &str, way: Option<&str>) -> f64 {
        self.micros(subject, way) / self.micros("memcpy", None)
    }
}

// === impl Cell ===

impl Cell {
    pub(crate) fn of((subject, way): (&str, Option<&str>), mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let micros = |at: usize| times.get(at).map_or(f64::NAN, |time| time.as_nanos() as f64 / 1000.0);
        Self {
            subject: subject.to_owned(),
            way: way.map(str::to_owned),
            median_micros: micros(times.len() / 2),
            tenth_micros: micros(times.len() / 10),
        }
    }
}
