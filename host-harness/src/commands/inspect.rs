//! `faultline inspect`: what is in a plugin file.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::shared::Format;
use crate::cli::Ending;
use crate::guest::EMBEDDED;
use crate::inspection::Inspection;
use crate::wasm_file::Kind;

const AFTER_HELP: &str = "\
Examples:
  faultline inspect
  faultline inspect -o json target/guests/wasm32-wasip2/release/faultline_component.wasm

Exit status:
  0  the file is a component
  1  it is something else, or cannot be read
  2  the command line is wrong";

/// Show what a plugin file exports and imports, down to functions, its size, and what it was built with.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file [default: the built-in plugin].
    pub file: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// Inspects the file; it is not run.
///
/// # Errors
/// When it cannot be read or is no component, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let (name, bytes) = match &arguments.file {
        None => ("the built-in plugin".to_owned(), EMBEDDED.to_vec()),
        Some(path) => {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            (path.display().to_string(), bytes)
        }
    };
    match Kind::of(&bytes) {
        Some(Kind::Component) => {}
        Some(kind) => bail!("{name} is {kind}, not a component: it has no typed interfaces to show"),
        None => bail!("{name} is not WebAssembly"),
    }
    let inspection = Inspection::new(&bytes).with_context(|| format!("{name} cannot be read"))?;
    match arguments.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&inspection)?)?,
        Format::Text => {
            writeln!(out, "{name}: component, {} bytes", inspection.bytes)?;
            write!(out, "{inspection}")?;
        }
    }
    Ok(Ending::Fine)
}
