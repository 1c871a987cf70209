//! `faultline schema`: what may stand in a configuration, for editors and other programs.

use std::io::Write;

use clap::Args;

use crate::cli::Ending;

/// JSON Schema (2020-12) of the configuration, plugin and server in one. Tests hold it equal to what is read.
pub const SCHEMA: &str = include_str!("../configuration.schema.json");

const AFTER_HELP: &str = "\
Examples:
  faultline schema > faultline.schema.json

With this first line an editor that speaks to a YAML language server completes and explains every key:
  # yaml-language-server: $schema=faultline.schema.json

What passes the schema can still be wrong, for example lead to a source that does not exist: `faultline check` finds that too.

Exit status:
  0  done
  1  the output could not be written
  2  the command line is wrong";

/// Print the JSON Schema of the configuration.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {}

/// Prints the schema.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write) -> anyhow::Result<Ending> {
    out.write_all(SCHEMA.as_bytes())?;
    Ok(Ending::Fine)
}
