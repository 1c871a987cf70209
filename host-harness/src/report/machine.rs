//! A replay as JSON: one document, or a line for each step.

use std::io::Write;

use serde::Serialize;

use super::Report;
use crate::scenario::{Event, Scenario, Summary};

/// One line for each step, and one for the summary.
pub struct Lines<'out> {
    out: &'out mut dyn Write,
}

/// The same objects as the elements of one array.
pub struct Document<'out> {
    out: &'out mut dyn Write,
    /// What stands before the next element.
    separator: &'static str,
}

/// The last object.
#[derive(Serialize)]
struct Last<'a> {
    summary: &'a Summary,
}

// === impl Lines ===

impl<'out> Lines<'out> {
    /// Prints to `out`.
    pub fn new(out: &'out mut dyn Write) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut *self.out, value)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }
}

impl Report for Lines<'_> {
    fn begin(&mut self, _scenario: &Scenario) -> anyhow::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        self.line(event)
    }

    fn end(&mut self, summary: &Summary) -> anyhow::Result<()> {
        self.line(&Last { summary })
    }
}

// === impl Document ===

impl<'out> Document<'out> {
    /// Prints to `out`.
    pub fn new(out: &'out mut dyn Write) -> Self {
        Self { out, separator: "[\n" }
    }

    fn element(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = ",\n";
        serde_json::to_writer(&mut *self.out, value)?;
        Ok(())
    }
}

impl Report for Document<'_> {
    fn begin(&mut self, _scenario: &Scenario) -> anyhow::Result<()> {
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        self.element(event)
    }

    fn end(&mut self, summary: &Summary) -> anyhow::Result<()> {
        self.element(&Last { summary })?;
        self.out.write_all(b"\n]\n")?;
        Ok(())
    }
}
