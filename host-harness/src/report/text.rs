//! A replay as text: a paragraph for each step, then the course of the incidents and a summary.

use std::io::Write;

use super::paint::{ADDED, BAD, FAINT, STRONG};
use super::{Report, Verbosity, items, tables, timeline};
use crate::clean::{Clean, short};
use crate::scenario::{Event, Occurrence, Scenario, Summary, TelemetryEvent, TransitionRecord, WebhookEvent};
use crate::telemetry::Group;
use crate::time::{Clock, Nanos};

/// Lines are folded here, where they are prose.
pub(super) const WIDTH: usize = 110;
/// What stands below the time of a step.
const INDENT: &str = "          ";
/// Characters of an item's name: log records have whole sentences for a name.
const NAME_WIDTH: usize = 48;

/// Prints a replay for people.
pub struct Text<'out> {
    out: &'out mut dyn Write,
    verbosity: Verbosity,
    start: Nanos,
    end: Nanos,
}

// === impl Text ===

impl<'out> Text<'out> {
    /// Prints to `out`, with escape codes for colours in it.
    pub fn new(out: &'out mut dyn Write, verbosity: Verbosity) -> Self {
        Self { out, verbosity, start: 0, end: 0 }
    }

    fn webhook(&mut self, webhook: &WebhookEvent) -> anyhow::Result<()> {
        let style = if webhook.status < 300 { STRONG } else { BAD };
        let WebhookEvent { file, source, status, .. } = webhook;
        write!(
            self.out,
            "{STRONG}webhook{STRONG:#}    {} to {}: {style}{status}{style:#}",
            Clean(file),
            Clean(source)
        )?;
        if let Some(seconds) = webhook.retry_after {
            write!(self.out, ", try again after {seconds} s")?;
        }
        writeln!(self.out)?;
        if let Some(failure) = &webhook.failure {
            writeln!(self.out, "{INDENT}{BAD}{}{BAD:#}", Clean(failure))?;
        }
        for key in &webhook.set_aside {
            writeln!(self.out, "{INDENT}{BAD}set aside, received too far ahead: {}{BAD:#}", Clean(key))?;
        }
        // Where nothing was stored, nothing became of the transitions.
        if webhook.status < 300 {
            self.transitions(&webhook.transitions)?;
        } else if webhook.failure.is_none() {
            writeln!(self.out, "{INDENT}{}", Clean(&webhook.body.to_string()))?;
        }
        Ok(())
    }

    fn transitions(&mut self, transitions: &[TransitionRecord]) -> anyhow::Result<()> {
        for transition in transitions {
            let TransitionRecord { incident, kind, from, to, services, reason, .. } = transition;
            let name = if incident.is_empty() { "no incident" } else { incident };
            let before = from.as_deref().unwrap_or("new");
            write!(self.out, "{INDENT}{}  {} ({} → {})", Clean(name), Clean(kind), Clean(before), Clean(to))?;
            match services.as_slice() {
                [] => writeln!(self.out, "  {FAINT}marks nothing{FAINT:#}")?,
                services => writeln!(self.out, "  marks {}", Clean(&services.join(", ")))?,
            }
            if !reason.is_empty() {
                writeln!(self.out, "{INDENT}  {FAINT}{}{FAINT:#}", Clean(reason))?;
            }
        }
        Ok(())
    }

    fn telemetry(&mut self, telemetry: &TelemetryEvent) -> anyhow::Result<()> {
        let TelemetryEvent { signal, file, items, marked, outcome, .. } = telemetry;
        write!(self.out, "{STRONG}{signal:<9}{STRONG:#}  {}: ", Clean(file))?;
        match outcome.reason() {
            Some(reason) => writeln!(self.out, "{BAD}handed on as it came: {}{BAD:#}", Clean(reason))?,
            None => {
                let style = if *marked > 0 { ADDED } else { FAINT };
                writeln!(self.out, "{items} {}, {style}{marked} marked{style:#}", signal.items(*items))?;
            }
        }
        match self.verbosity {
            Verbosity::Basic => {}
            Verbosity::Normal if outcome.reason().is_some() => {}
            Verbosity::Normal => {
                let width = telemetry.groups.iter().map(|group| service(group).chars().count()).max().unwrap_or(0);
                for group in &telemetry.groups {
                    self.group(group, width)?;
                }
            }
            Verbosity::Detailed => items::write(self.out, *signal, &telemetry.changes, self.start)?,
        }
        Ok(())
    }

    fn group(&mut self, group: &Group, width: usize) -> anyhow::Result<()> {
        let mut names: Vec<String> = group.names.iter().map(|name| short(name, NAME_WIDTH)).collect();
        if group.names.len() < group.items && group.items > 1 && names.len() > 2 {
            names.push("…".to_owned());
        }
        let service = service(group);
        writeln!(self.out, "{INDENT}{service:<width$}  {} × {}", group.items, names.join(" · "))?;
        let below = width + 2;
        for (key, value) in &group.added {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(self.out, "{INDENT}{:below$}{ADDED}+ {}: {}{ADDED:#}", "", Clean(key), Clean(&value))?;
        }
        if let Some(reason) = &group.reason {
            writeln!(self.out, "{INDENT}{:below$}{FAINT}{}{FAINT:#}", "", Clean(reason))?;
        }
        Ok(())
    }
}

fn service(group: &Group) -> String {
    if group.service.is_empty() { "(no service.name)".to_owned() } else { short(&group.service, NAME_WIDTH) }
}

impl Report for Text<'_> {
    fn begin(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        (self.start, self.end) = (scenario.start, scenario.end());
        writeln!(self.out, "{STRONG}{}{STRONG:#}", Clean(&scenario.name.replace('_', " ")))?;
        for line in fold(&Clean(&scenario.summary).to_string(), WIDTH) {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        let clock = Clock { time: event.at.0, reference: self.start };
        write!(self.out, "{clock:<8}  ")?;
        match &event.what {
            Occurrence::Webhook(webhook) => self.webhook(webhook)?,
            Occurrence::Telemetry(telemetry) => self.telemetry(telemetry)?,
            Occurrence::Expire { transitions } => {
                let count = transitions.len();
                writeln!(
                    self.out,
                    "{STRONG}expire{STRONG:#}     {count} {} out",
                    if count == 1 { "lease ran" } else { "leases ran" }
                )?;
                self.transitions(transitions)?;
            }
            Occurrence::Restart { entries } => {
                writeln!(self.out, "{STRONG}restart{STRONG:#}    a new instance, given {entries} committed entries")?;
            }
        }
        writeln!(self.out)?;
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> anyhow::Result<()> {
        timeline::write(self.out, &summary.timelines, self.start, self.end)?;
        tables::write_services(self.out, &summary.services)?;
        tables::write_counters(self.out, &summary.counters)?;
        tables::write_gaps(self.out, &summary.gaps)?;
        Ok(())
    }
}

/// Breaks text at spaces into lines of at most `width` characters; longer words stay whole.
pub(super) fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_between_words() {
        assert_eq!(fold("ab cd  efgh i", 5), ["ab cd", "efgh", "i"]);
        assert_eq!(fold("abcdefgh", 3), ["abcdefgh"]);
        assert!(fold("", 5).is_empty());
    }
}
