//! Tables: services, counters, gaps.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::paint::{FAINT, STRONG};
use super::text::WIDTH;
use crate::clean::{Clean, line};
use crate::scenario::{CounterRecord, GapRecord, ServiceSummary};

/// Reasons listed for one service; the rest is added up.
const REASONS_SHOWN: usize = 4;

/// Lays out rows below a header, without lines, folded to the width of a report. All cells are cleaned.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(WIDTH).unwrap_or(u16::MAX));
    table.set_header(header.iter().copied());
    for row in rows {
        // A line break is the only control character that a cell may have.
        table.add_row(row.iter().map(|cell| cell.split('\n').map(line).collect::<Vec<_>>().join("\n")));
    }
    table.trim_fmt()
}

/// Writes what was seen of each service.
pub(super) fn write_services(out: &mut dyn Write, services: &[ServiceSummary]) -> io::Result<()> {
    if services.is_empty() {
        return Ok(());
    }
    writeln!(out, "{STRONG}Services{STRONG:#}\n")?;
    let rows = services.iter().map(|summary| {
        let service = if summary.service.is_empty() { "(no service.name)" } else { &summary.service };
        vec![service.to_owned(), summary.items.to_string(), summary.marked.to_string(), reasons(summary)]
    });
    writeln!(out, "{}\n", table(&["service", "items", "marked", "why not"], rows))
}

fn reasons(summary: &ServiceSummary) -> String {
    let mut reasons: Vec<_> = summary.unmarked.iter().map(|(reason, count)| (*count, reason)).collect();
    reasons.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let mut lines: Vec<_> =
        reasons.iter().take(REASONS_SHOWN).map(|(count, reason)| format!("{count} × {reason}")).collect();
    if let Some(rest) = reasons.get(REASONS_SHOWN..).filter(|rest| !rest.is_empty()) {
        lines.push(format!("{} × for other reasons", rest.iter().map(|(count, _)| count).sum::<usize>()));
    }
    lines.join("\n")
}

/// Writes counters below a heading, or nothing when there are none.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_counters(out: &mut dyn Write, counters: &[CounterRecord]) -> io::Result<()> {
    if counters.is_empty() {
        return Ok(());
    }
    writeln!(out, "{STRONG}Counters{STRONG:#}\n")?;
    let rows = counters.iter().map(|counter| {
        let attributes: Vec<_> = counter.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![counter.name.clone(), attributes.join(" "), counter.value.to_string()]
    });
    writeln!(out, "{}\n", table(&["counter", "", "value"], rows))
}

/// Writes what the configuration leaves out, or nothing when that is nothing.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_gaps(out: &mut dyn Write, gaps: &[GapRecord]) -> io::Result<()> {
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "{STRONG}Gaps{STRONG:#}    what the configuration leaves out\n")?;
    for gap in gaps {
        let times = if gap.count == 1 { "once".to_owned() } else { format!("{} times", gap.count) };
        writeln!(out, "  {STRONG}{}{STRONG:#}  {} ({times})", Clean(&gap.subject), Clean(&gap.kind.replace('-', " ")))?;
        writeln!(out, "    {}", Clean(&gap.detail))?;
        for line in gap.suggestion.lines() {
            writeln!(out, "      {FAINT}{}{FAINT:#}", Clean(line))?;
        }
    }
    writeln!(out)
}
