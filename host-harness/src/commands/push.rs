//! `faultline push`: a plugin into an OCI registry.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::{Ending, Hint};
use crate::guest::EMBEDDED;
use crate::oci::{self, Access, Artifact};

const AFTER_HELP: &str = "\
Examples:
  faultline push ghcr.io/team/faultline:1.2
  faultline push localhost:5000/faultline target/guests/faultline-core.wasm
  cosign sign --key cosign.key $(faultline push ghcr.io/team/faultline:1.2)

It prints the reference by digest, which is the same for the same file at any time. Credentials are those of `docker login`.

Exit status:
  0  it is there
  1  the file is no WebAssembly, or the registry did not take it
  2  the command line is wrong";

/// The name that the built-in plugin has there.
const BUILT_IN: &str = "faultline.wasm";

/// Push a plugin to an OCI registry, as a Wasm artifact that other tools read as well.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Where to: a registry, a repository, and perhaps a tag.
    pub reference: String,
    /// A component or core module [default: the built-in plugin].
    pub file: Option<PathBuf>,
    /// Do not encrypt, also where the registry is another machine.
    #[arg(long)]
    pub plain_http: bool,
}

/// Pushes, and prints the reference by digest.
///
/// # Errors
/// When the file is no plugin, or the registry does not take it.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let reference = oci::reference(&arguments.reference)?;
    let artifact = match &arguments.file {
        None => Artifact::new(EMBEDDED.to_vec(), BUILT_IN)?,
        Some(path) => {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().map_or_else(|| BUILT_IN.into(), |name| name.to_string_lossy().into_owned());
            Artifact::new(bytes, &name).with_context(|| Hint {
                message: format!("{} cannot be pushed", path.display()),
                hint: format!("`faultline inspect {}` shows what is in it", path.display()),
            })?
        }
    };
    oci::push(&reference, &artifact, &Access { plain_http: arguments.plain_http, ..Access::default() })?;
    writeln!(out, "{}/{}@{}", reference.registry(), reference.repository(), artifact.digest())?;
    Ok(Ending::Fine)
}
