//! The course of each incident: what happened to it when, and a bar of the time that it marks.

use std::io::{self, Write};

use super::paint::{ADDED, FAINT, STRONG, severity};
use crate::clean::{Clean, short};
use crate::plugin::Incident;
use crate::scenario::Timeline;
use crate::time::{Clock, Nanos};

/// Characters in a bar: with the times beside it, it fits a terminal of 80.
const BAR_WIDTH: u64 = 56;
/// Characters of a title.
const TITLE_WIDTH: usize = 60;

/// Writes all timelines below a heading, or nothing when there are none.
pub(super) fn write(out: &mut dyn Write, timelines: &[Timeline], start: Nanos, end: Nanos) -> io::Result<()> {
    if timelines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{STRONG}Incidents{STRONG:#}    █ open  ▒ also marked, by its margins  · neither\n")?;
    for timeline in timelines {
        write!(out, "  {STRONG}{}{STRONG:#}", Clean(&timeline.id))?;
        if let Some(incident) = &timeline.incident {
            let style = severity(&incident.severity);
            let Incident { severity, display, title, .. } = incident;
            write!(out, "  {style}{}{style:#}  {}", Clean(severity), Clean(display))?;
            write!(out, "{}{}", if display.is_empty() { "" } else { " " }, short(title, TITLE_WIDTH))?;
        }
        writeln!(out)?;
        let events: Vec<String> = (timeline.events.iter())
            .map(|(kind, at)| format!("{} {}", Clock { time: *at, reference: start }, Clean(kind)))
            .collect();
        writeln!(out, "    {}", events.join(", "))?;
        if let Some(incident) = &timeline.incident {
            write_incident(out, incident, start, end)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_incident(out: &mut dyn Write, incident: &Incident, start: Nanos, end: Nanos) -> io::Result<()> {
    if incident.services.is_empty() {
        return writeln!(out, "    {FAINT}marked nothing: {}{FAINT:#}", Clean(&incident.reason));
    }
    let clock = |time| Clock { time, reference: start }.to_string();
    let windows: Vec<String> = (incident.windows.iter())
        .map(|window| {
            let until = window.until.map_or_else(|| "further notice".to_owned(), clock);
            format!("{} until {until}", clock(window.from))
        })
        .collect();
    let services = incident.services.join(", ");
    writeln!(out, "    marks {ADDED}{}{ADDED:#} from {}", Clean(&services), windows.join(", and from "))?;
    if end > start {
        let bar: String = (0..BAR_WIDTH).map(|column| cell(incident, middle(column, start, end))).collect();
        writeln!(out, "    {} {bar} {}", clock(start), clock(end))?;
    }
    Ok(())
}

/// The point of time in the middle of a column.
fn middle(column: u64, start: Nanos, end: Nanos) -> Nanos {
    let share = u128::from(end - start) * u128::from(2 * column + 1) / u128::from(2 * BAR_WIDTH);
    start + Nanos::try_from(share).unwrap_or(end - start)
}

fn cell(incident: &Incident, at: Nanos) -> char {
    let marks = incident.windows.iter().any(|window| window.from <= at && window.until.is_none_or(|until| at <= until));
    // Of an incident with several windows only the last start is known: the others are drawn as windows.
    let open = incident.started <= at && incident.ended.is_none_or(|ended| at <= ended);
    match (marks, open) {
        (true, true) => '█',
        (true, false) => '▒',
        (false, _) => '·',
    }
}
