//! The run as Markdown: an excerpt for the README, and the whole as a page.

use std::fmt::Write;

use super::{GuestCost, Report, Row, Startup};
use crate::figures::figure;

/// The columns of the README.
const EXCERPT: [(&str, &str, &str); 5] = [
    ("native", "process", "native"),
    ("core", "process", "core module"),
    ("component", "process", "component"),
    ("component", "edits", "by edits"),
    ("component", "interest", "with interest"),
];

const SITUATIONS: [(&str, &str); 6] = [
    ("no-incident", "no incident open"),
    ("none-matching", "an incident, none of its services"),
    ("ten-percent", "a tenth marked"),
    ("all-marked", "all marked"),
    ("outside-window", "all outside of the window"),
    ("already-marked", "all marked before"),
];

// === impl Report ===

impl Report {
    /// Of 512 spans every situation, of the rest what marking all takes.
    pub(super) fn excerpt(&self) -> String {
        let titles: Vec<&str> = EXCERPT.iter().map(|(.., title)| *title).collect();
        let mut text = format!("| a batch of | copy | prost | {} |\n|---|---|---|", titles.join(" | "));
        text.push_str(&"---|".repeat(EXCERPT.len()));
        text.push('\n');
        let is_shown = |row: &&Row| row.situation == "all-marked" || row.signal == "traces" && row.items == 512;
        for row in self.rows.iter().filter(is_shown) {
            let (memcpy, prost) = (row.micros("memcpy", None), row.micros("prost", None));
            let _ = write!(text, "| {} | {} µs | {} µs |", row.title(), figure(memcpy), figure(prost));
            for (build, way, _) in EXCERPT {
                let _ = write!(text, " {} |", row.ratios(build, way));
            }
            text.push('\n');
        }
        let Startup { component_micros, component_bytes, core_bytes, .. } = &self.startup;
        let _ = writeln!(
            text,
            "\n{}, {}, one run; multiples of a copy of the batch, and fractions of what decoding, changing and encoding with \
             `prost` takes. Medians of 45 rounds. A new instance \
             handles its first batch after {component_micros:.0} µs; the component has {component_bytes} bytes, the core \
             module {core_bytes}.",
            self.machine, self.date
        );
        text
    }

    /// All that was measured.
    pub(super) fn page(&self) -> String {
        let mut text = format!(
            "# The hot path, measured\n\nMade by `BLESS=1 cargo bench`. {}, {}. Each figure is the median time for a batch as a \
             multiple of a copy of it, and as a fraction of `prost`. The core module is called by the dynamic host of the tests, \
             whose lifting of thousands of small records is most of what its `marks` take.\n\n![The same as a plot](hot_path.svg)\n",
            self.machine, self.date
        );
        for row in &self.rows {
            let (memcpy, prost) = (row.micros("memcpy", None), row.micros("prost", None));
            let _ = write!(
                text,
                "\n## {}\n\n{} bytes; a copy {} µs, `prost` {} µs.\n\n| | `process` | `edits`, made by the host | `marks` | \
                 `edits` of what `interest` says |\n|---|---|---|---|---|\n",
                row.title(),
                row.bytes,
                figure(memcpy),
                figure(prost)
            );
            for build in ["native", "core", "component"] {
                let ratios = ["process", "edits", "marks", "interest"].map(|way| row.ratios(build, way));
                let _ = writeln!(text, "| {build} | {} |", ratios.join(" | "));
            }
            let GuestCost { process_bytes, edits_bytes, process_fuel, edits_fuel, marks_fuel } = &row.guest;
            let _ = writeln!(text, "| fuel an item | {process_fuel} | {edits_fuel} | {marks_fuel} | |");
            let _ = writeln!(text, "| memory of the guest | {process_bytes} | {edits_bytes} | | |");
        }
        text
    }
}

// === impl Row ===

impl Row {
    pub(super) fn title(&self) -> String {
        let items = match self.signal.as_str() {
            "traces" => "spans",
            "metrics" => "data points",
            _ => "log records",
        };
        let situation = SITUATIONS.iter().find(|(name, _)| *name == self.situation);
        let situation = situation.map_or(self.situation.as_str(), |(_, words)| words);
        format!("{} {items}, {situation}", self.items)
    }

    fn ratios(&self, build: &str, way: &str) -> String {
        let copies = self.copies(build, Some(way));
        if !copies.is_finite() {
            return "–".to_owned();
        }
        let fraction = self.micros("prost", None) / self.micros(build, Some(way));
        format!("{}× · 1/{}", figure(copies), figure(fraction))
    }
}
