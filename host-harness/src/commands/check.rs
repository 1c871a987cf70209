//! `faultline check`: all faults of configurations at once.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::shared::{Format, PluginArguments};
use crate::cli::Ending;
use crate::config_file::{ConfigFile, Rejected};
use crate::diagnostics::{Diagnostic, Severity};
use crate::plugin::Build;
use crate::serve::config::{SECTION, ServeConfig};
use crate::yaml::Place;

const AFTER_HELP: &str = "\
Examples:
  faultline check faultline.yaml
  faultline check -o json deploy/*.yaml

Exit status:
  0  every file can be used; there may be warnings
  1  a file has faults, or cannot be read
  2  the command line is wrong";

/// Find all faults of configurations at once, each with file, line, column, and what to do about it.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The configurations, YAML or JSON.
    #[arg(required = true, value_name = "CONFIG")]
    pub files: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Which plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// What was found in one file, and the text that it was found in.
struct Findings {
    diagnostics: Vec<Diagnostic>,
    text: String,
}

/// Checks every file.
///
/// # Errors
/// When the plugin fails, or `out` cannot be written. A file that cannot be read is a finding like any other.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let build = arguments.plugin.build()?;
    let mut all = Vec::new();
    let mut faults = 0;
    for path in &arguments.files {
        let findings = check(&build, path)?;
        let errors = findings.diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
        faults += errors;
        match arguments.output {
            Format::Json => all.extend(findings.diagnostics),
            Format::Text => {
                for diagnostic in &findings.diagnostics {
                    writeln!(out, "{}", diagnostic.render(&findings.text))?;
                }
                writeln!(out, "{}: {}", path.display(), verdict(errors, findings.diagnostics.len() - errors))?;
            }
        }
    }
    if arguments.output == Format::Json {
        let records = all.iter().map(Diagnostic::to_json).collect::<serde_json::Result<Vec<_>>>()?;
        writeln!(out, "{}", serde_json::to_string_pretty(&records)?)?;
    }
    Ok(if faults == 0 { Ending::Fine } else { Ending::Findings })
}

fn check(build: &dyn Build, path: &Path) -> anyhow::Result<Findings> {
    let file = match ConfigFile::read_leniently(path) {
        Ok(Ok(file)) => file,
        Ok(Err(Rejected { diagnostics, text, .. })) => return Ok(Findings { diagnostics, text }),
        Err(error) => return Ok(Findings { diagnostics: vec![unreadable(path, &error)], text: String::new() }),
    };
    let mut plugin = build.instantiate()?;
    let mut diagnostics = file.faults();
    diagnostics.extend(match plugin.configure(&file.to_json(), "check")? {
        Ok(warnings) => file.diagnostics(Severity::Warning, &warnings),
        Err(faults) => file.diagnostics(Severity::Error, &faults),
    });
    let document = file.to_json_value();
    if document.get(SECTION).is_some() {
        diagnostics.extend(match ServeConfig::check(&document) {
            Ok((_, warnings)) => file.diagnostics(Severity::Warning, &warnings),
            Err(faults) => file.diagnostics(Severity::Error, &faults),
        });
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.place.bytes.start);
    Ok(Findings { diagnostics, text: file.text().to_owned() })
}

fn unreadable(path: &Path, error: &anyhow::Error) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        // The context of the error names the file, as the diagnostic does.
        message: format!("cannot read the configuration: {}", error.root_cause()),
        hint: None,
        path: path.to_owned(),
        pointer: String::new(),
        place: Place::default(),
        earlier: None,
    }
}

fn verdict(errors: usize, warnings: usize) -> String {
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "fine".to_owned(),
        (0, warnings) => format!("fine, with {}", count(warnings, "warning")),
        (errors, 0) => count(errors, "fault"),
        (errors, warnings) => format!("{}, {}", count(errors, "fault"), count(warnings, "warning")),
    }
}
