//! What was measured, for people and for programs.

mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use faultline_load::Latency;
use serde::{Deserialize, Serialize};

use crate::figures;

/// The newest run of each part.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) throughput: Option<Throughput>,
    pub(crate) latency: Option<Added>,
    pub(crate) webhooks: Option<Storm>,
    pub(crate) soak: Option<Soak>,
}

/// CPU time and memory under full load.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Throughput {
    /// When, as `2026-11-22`.
    pub(crate) date: String,
    pub(crate) rounds: usize,
    pub(crate) round_seconds: f64,
    pub(crate) rows: Vec<Row>,
}

/// One case.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    /// In each request.
    pub(crate) spans: usize,
    /// Of a request as it is sent, on average.
    pub(crate) bytes: usize,
    pub(crate) marks: bool,
    /// One part in so many is the most that is wanted.
    pub(crate) wanted: Option<f64>,
    pub(crate) faultline: Cost,
    pub(crate) collector: Option<Cost>,
}

/// What one program took. Medians of the rounds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) cpu_seconds_per_million: f64,
    pub(crate) cpu_least: f64,
    pub(crate) cpu_most: f64,
    pub(crate) spans_per_second: f64,
    pub(crate) resident_bytes: u64,
    /// Since it began.
    pub(crate) peak_bytes: u64,
}

/// How long requests take at a rate that all keep up with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Added {
    pub(crate) date: String,
    pub(crate) spans_per_second: u64,
    /// In each request.
    pub(crate) spans: usize,
    /// From the load to the sink without a hop.
    pub(crate) direct: Quantiles,
    pub(crate) faultline: Quantiles,
    pub(crate) collector: Option<Quantiles>,
}

/// Latencies.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) requests: u64,
    pub(crate) p50_millis: f64,
    pub(crate) p99_millis: f64,
    pub(crate) longest_millis: f64,
}

/// Webhooks at a constant rate.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Storm {
    pub(crate) date: String,
    pub(crate) webhooks: u64,
    pub(crate) seconds: f64,
    pub(crate) acknowledged: u64,
    /// Acknowledged, and not in the state.
    pub(crate) lost: u64,
    pub(crate) latency: Quantiles,
    pub(crate) cpu_seconds: f64,
    pub(crate) answers: BTreeMap<String, u64>,
}

/// A long run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Soak {
    pub(crate) date: String,
    pub(crate) minutes: u64,
    pub(crate) spans_in: u64,
    pub(crate) spans_out: u64,
    pub(crate) spans_marked: u64,
    pub(crate) webhooks: u64,
    pub(crate) webhooks_acknowledged: u64,
    /// Memory after the first tenth, and at the end.
    pub(crate) first_bytes: u64,
    pub(crate) last_bytes: u64,
    /// Of the line through all samples after the first tenth.
    pub(crate) bytes_per_hour: f64,
}

/// The figures in the README stand between these lines.
const BEGIN: &str = "<!-- figures of `BLESS=1 cargo bench --bench hop`: begin -->\n";
const END: &str = "<!-- figures of `BLESS=1 cargo bench --bench hop`: end -->\n";

// === impl Report ===

impl Report {
    pub(crate) fn of_this_machine() -> Self {
        // BBR paces each packet by a timer, which takes a tenth of the time of all programs: runs with it compare with each other.
        let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
        let control = control.map(|control| format!(", TCP with {}", control.trim())).unwrap_or_default();
        Self { machine: figures::machine() + &control, ..Self::default() }
    }

    /// Takes the parts that were not measured from the run that is kept in `folder`, if it was on a machine like this one,
    /// and writes `hop.json` and `hop.md` there.
    ///
    /// # Errors
    /// When the run that is kept cannot be read, or nothing can be written.
    pub(crate) fn keep(&mut self, folder: &Path) -> anyhow::Result<()> {
        let file = folder.join("hop.json");
        if let Ok(kept) = fs::read_to_string(&file) {
            let kept: Self = serde_json::from_str(&kept).with_context(|| format!("cannot read {}", file.display()))?;
            if kept.machine == self.machine {
                self.fill_from(kept);
            }
        }
        self.write(folder)
    }

    /// Writes `hop.json` and `hop.md` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("hop.json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(folder.join("hop.md"), self.page())?;
        Ok(())
    }

    /// Writes the README of this tree anew.
    pub(crate) fn place_in_readme(&self, root: &Path) -> anyhow::Result<()> {
        let readme = root.join("README.md");
        Ok(fs::write(&readme, self.place_in(&fs::read_to_string(&readme)?)?)?)
    }

    /// The README with these figures in their place.
    ///
    /// # Errors
    /// When the README has no place for them.
    pub(crate) fn place_in(&self, readme: &str) -> anyhow::Result<String> {
        figures::place_between(readme, BEGIN, END, &self.excerpt())
    }

    fn fill_from(&mut self, kept: Self) {
        let Self { machine: _, throughput, latency, webhooks, soak } = kept;
        self.throughput = self.throughput.take().or(throughput);
        self.latency = self.latency.take().or(latency);
        self.webhooks = self.webhooks.take().or(webhooks);
        self.soak = self.soak.take().or(soak);
    }
}

// === impl Row ===

impl Row {
    /// The Collector's CPU time in ours; none where it was not measured.
    fn fraction(&self) -> Option<f64> {
        Some(self.collector.as_ref()?.cpu_seconds_per_million / self.faultline.cpu_seconds_per_million)
    }

    /// The Collector's memory in ours.
    fn memory_fraction(&self) -> Option<f64> {
        Some(self.collector.as_ref()?.resident_bytes as f64 / self.faultline.resident_bytes as f64)
    }
}

// === impl Quantiles ===

impl Quantiles {
    pub(crate) fn of(latency: &Latency) -> Self {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        Self {
            requests: latency.count(),
            p50_millis: millis(latency.quantile(0.5)),
            p99_millis: millis(latency.quantile(0.99)),
            longest_millis: millis(latency.longest()),
        }
    }
}
