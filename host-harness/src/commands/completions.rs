//! `faultline completions`: what a shell needs to complete this command line.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::Ending;

const AFTER_HELP: &str = "\
Examples:
  faultline completions bash > ~/.local/share/bash-completion/completions/faultline
  faultline completions zsh > \"${fpath[1]}/_faultline\"
  faultline completions fish > ~/.config/fish/completions/faultline.fish

Exit status:
  0  done
  1  the output could not be written
  2  the command line is wrong";

/// Print a script with which a shell completes commands, options and values.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The shell.
    pub shell: Shell,
}

/// Prints the script for `command`.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(arguments: &Arguments, mut command: Command, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let name = command.get_name().to_owned();
    // Into memory first: what generates the script panics when it cannot write.
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, name, &mut script);
    out.write_all(&script)?;
    Ok(Ending::Fine)
}
