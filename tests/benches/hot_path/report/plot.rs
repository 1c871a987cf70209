//! The run as an SVG: how many copies of the batch each way costs, on a logarithmic scale.

use std::fmt::Write;

use super::Report;
use crate::figures::figure;

/// What is drawn in each group: subject, way, label, class.
const BARS: [(&str, Option<&str>, &str, &str); 5] = [
    ("prost", None, "prost: decode, change, encode", "prost"),
    ("component", Some("process"), "component, process", "process"),
    ("component", Some("edits"), "component, edits made by the host", "edits"),
    ("component", Some("interest"), "component, asked only about what concerns it", "interest"),
    ("native", Some("process"), "native", "native"),
];

const GROUPS: [(&str, &str); 5] = [
    ("no-incident", "no incident open"),
    ("none-matching", "none of its services"),
    ("ten-percent", "a tenth marked"),
    ("all-marked", "all marked"),
    ("already-marked", "all marked before"),
];

/// Multiples of a copy at both ends of the scale.
const FROM: f64 = 0.001;
const TO: f64 = 300.0;
const LEFT: f64 = 150.0;
const WIDTH: f64 = 560.0;
const BAR: f64 = 11.0;
const GROUP: f64 = BAR * BARS.len() as f64 + 13.0;
const TOP: f64 = 48.0;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.prost{fill:#8c959f}.process{fill:#0969da}\
.edits{fill:#54aeff}.interest{fill:#1a7f37}.native{fill:#bf8700}line{stroke:#d0d7de}.unit{stroke:#57606a}\
@media(prefers-color-scheme:dark){text{fill:#c9d1d9}line{stroke:#30363d}.unit{stroke:#8b949e}}";

// === impl Report ===

impl Report {
    pub(super) fn plot(&self) -> String {
        let height = TOP + GROUP * GROUPS.len() as f64 + 20.0 + 18.0 * BARS.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 {height}\" role=\"img\">\n<style>{STYLE}</style>\n\
             <text x=\"{LEFT}\" y=\"16\">A batch of 512 spans, in copies of that batch ({}, {})</text>\n",
            self.machine, self.date
        );
        self.scale(&mut svg);
        for (index, (situation, title)) in GROUPS.iter().enumerate() {
            self.group(&mut svg, situation, title, TOP + GROUP * index as f64);
        }
        let legend = TOP + GROUP * GROUPS.len() as f64 + 12.0;
        for (index, (.., label, class)) in BARS.iter().enumerate() {
            let y = legend + 18.0 * index as f64;
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"{}\">{label}</text>",
                LEFT + 18.0,
                y + 11.0
            );
        }
        svg + "</svg>\n"
    }

    fn scale(&self, svg: &mut String) {
        let bottom = TOP + GROUP * GROUPS.len() as f64;
        for (value, label) in
            [(0.001, "0.001×"), (0.01, "0.01×"), (0.1, "0.1×"), (1.0, "1×"), (10.0, "10×"), (100.0, "100×")]
        {
            let x = LEFT + place(value);
            let class = if label == "1×" { " class=\"unit\"" } else { "" };
            let _ = writeln!(
                svg,
                "<line{class} x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{bottom}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                TOP - 6.0,
                TOP - 12.0
            );
        }
    }

    fn group(&self, svg: &mut String, situation: &str, title: &str, top: f64) {
        let middle = top + GROUP / 2.0;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{title}</text>", LEFT - 8.0);
        let Some(row) = self.row("traces", 512, situation) else { return };
        for (index, (subject, way, _, class)) in BARS.iter().enumerate() {
            let copies = row.copies(subject, *way);
            let (y, width) = (top + BAR * index as f64, place(copies).max(1.0));
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\"/><text x=\"{:.1}\" y=\"{}\" style=\"font-size:9px\">{}×</text>",
                BAR - 1.0,
                LEFT + width + 3.0,
                y + 9.0,
                figure(copies)
            );
        }
    }
}

/// How far from the left a multiple lies.
fn place(copies: f64) -> f64 {
    (copies / FROM).log10().max(0.0) / (TO / FROM).log10() * WIDTH
}
