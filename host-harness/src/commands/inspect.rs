//! `faultline inspect`: what is in a plugin file.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::plugin_file::{self, RegistryArguments};
use super::shared::Format;
use crate::cli::Ending;
use crate::guest::EMBEDDED;
use crate::inspection::Inspection;
use crate::wasm_file::Kind;

const AFTER_HELP: &str = "\
Examples:
  faultline inspect
  faultline inspect target/guests/faultline-core.wasm
  faultline inspect -o json target/guests/faultline.wasm

Exit status:
  0  the file is a component or a core module
  1  it is something else, or cannot be read
  2  the command line is wrong";

/// What its exports alone do not tell.
const CORE_MODULE: &str = "For hosts without the component model. Functions of interfaces are called by the canonical ABI of\n\
                           components: their types are those that `faultline inspect` shows of a component, lowered.";

/// Show what a plugin file exports and imports, down to functions, its size, and what it was built with.
///
/// The file is a component, or a core module for hosts without the component model.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file, or `oci://…` for one in a registry [default: the built-in plugin].
    pub file: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// Inspects the file; it is not run.
///
/// # Errors
/// When it cannot be read or is neither component nor core module, or `out` cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let (name, bytes) = match &arguments.file {
        None => ("the built-in plugin".to_owned(), EMBEDDED.to_vec()),
        Some(path) => {
            let bytes = plugin_file::read(path, &RegistryArguments::default())?;
            (path.display().to_string(), bytes)
        }
    };
    match Kind::of(&bytes) {
        Some(Kind::Component | Kind::Module) => {}
        Some(Kind::Unknown) => bail!("{name} is {}", Kind::Unknown),
        None => bail!("{name} is not WebAssembly"),
    }
    let inspection = Inspection::new(&bytes).with_context(|| format!("{name} cannot be read"))?;
    match arguments.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&inspection)?)?,
        Format::Text => {
            writeln!(out, "{name}: {}, {} bytes", inspection.kind, inspection.bytes)?;
            if inspection.kind == Kind::Module {
                writeln!(out, "{CORE_MODULE}")?;
            }
            write!(out, "{inspection}")?;
        }
    }
    Ok(Ending::Fine)
}
