//! The text format that Prometheus scrapes. Source: Prometheus, "Exposition formats", version 0.0.4.

use std::fmt::Write;

use super::{Family, Kind, Point, Value};

/// All families as text.
#[must_use]
pub fn render(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = write_family(&mut text, family);
    }
    text
}

fn write_family(text: &mut String, family: &Family) -> std::fmt::Result {
    let mut name = format!("faultline_{}", family.name);
    if !family.unit.is_empty() {
        write!(name, "_{}", family.unit)?;
    }
    let kind = match family.kind {
        Kind::Counter => {
            name.push_str("_total");
            "counter"
        }
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(text, "# HELP {name} {}", family.help)?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for Point { labels, value } in &family.points {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        match value {
            Value::Count(count) => writeln!(text, "{name}{} {count}", braced(&labels, None))?,
            Value::Distribution { bounds, counts, sum } => {
                let mut below = 0;
                for (index, count) in counts.iter().enumerate() {
                    below += count;
                    let bound = bounds.get(index).map_or("+Inf".to_owned(), f64::to_string);
                    writeln!(text, "{name}_bucket{} {below}", braced(&labels, Some(&bound)))?;
                }
                writeln!(text, "{name}_sum{} {sum}", braced(&labels, None))?;
                writeln!(text, "{name}_count{} {below}", braced(&labels, None))?;
            }
        }
    }
    Ok(())
}

fn braced(labels: &[String], bound: Option<&str>) -> String {
    let bound = bound.map(|bound| format!("le=\"{bound}\""));
    let all: Vec<&str> = labels.iter().chain(&bound).map(String::as_str).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
