//! The table, for people and as JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde::Serialize;

/// One case.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    /// Of a batch, on average.
    pub(crate) bytes: usize,
    /// One for each subject; the first is the unit.
    pub(crate) cells: Vec<Cell>,
}

/// What one subject took for a batch.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) subject: &'static str,
    pub(crate) median_micros: f64,
    /// Nine of ten rounds took longer.
    pub(crate) tenth_micros: f64,
}

// === impl Cell ===

impl Cell {
    pub(crate) fn of(subject: &'static str, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let micros = |at: usize| times.get(at).map_or(f64::NAN, |time| time.as_nanos() as f64 / 1000.0);
        Self { subject, median_micros: micros(times.len() / 2), tenth_micros: micros(times.len() / 10) }
    }
}

/// A line for each case: microseconds, and as multiples of the unit and fractions of `prost`.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = String::new();
    for Row { case, bytes, cells } in rows {
        let median =
            |name: &str| cells.iter().find(|cell| cell.subject == name).map_or(f64::NAN, |cell| cell.median_micros);
        let _ = write!(table, "{case:<30} {bytes:>9} B");
        for Cell { subject, median_micros, .. } in cells {
            let _ = write!(table, " | {subject} {median_micros:>9.3} us {:>7.3}x", median_micros / median("memcpy"));
            if !["memcpy", "prost"].contains(subject) {
                let _ = write!(table, " 1/{:<5.1}", median("prost") / median_micros);
            }
        }
        table.push('\n');
    }
    table
}

/// Writes `hot_path.json` into cargo's target directory and answers where that is.
pub(crate) fn write(rows: &[Row]) -> io::Result<PathBuf> {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = temporary.parent().unwrap_or(temporary).join("hot_path.json");
    fs::write(&path, serde_json::to_vec_pretty(rows)?)?;
    Ok(path)
}
