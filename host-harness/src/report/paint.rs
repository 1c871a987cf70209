//! What the colours of a report mean. They are taken away where the output is no terminal.

use anstyle::{AnsiColor, Style};

/// Headings.
pub(super) const STRONG: Style = Style::new().bold();
/// What the plugin added.
pub(super) const ADDED: Style = AnsiColor::Green.on_default();
/// What went wrong, or was refused.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// What is there for completeness.
pub(super) const FAINT: Style = Style::new().dimmed();

/// The colour of an incident's severity.
pub(super) fn severity(severity: &str) -> Style {
    match severity {
        "critical" => AnsiColor::Red.on_default().bold(),
        "high" => AnsiColor::Red.on_default(),
        "medium" => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}
