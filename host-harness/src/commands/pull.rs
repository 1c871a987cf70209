//! `faultline pull`: a plugin out of an OCI registry.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Ending;
use crate::oci::{self, Access, PublicKey};

const AFTER_HELP: &str = "\
Examples:
  faultline pull ghcr.io/team/faultline@sha256:… -o faultline.wasm
  faultline pull --key cosign.pub ghcr.io/team/faultline:1.2
  faultline replay --plugin oci://ghcr.io/team/faultline@sha256:…   pulls it for one command

A tag can be moved to something else; a digest cannot. What was pulled by digest is kept in the user's cache.

Exit status:
  0  the file is written
  1  it is not there, is no plugin, or is not what its digest or its signature says
  2  the command line is wrong";

/// Pull a plugin from an OCI registry, and hold it to its digest and, with a key, to its signature.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Where from: a registry, a repository, and a tag or digest.
    pub reference: String,
    /// The file to write [default: the last word of the repository, with `.wasm`].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Refuse what is not signed by this key, in the form of cosign: a file in PEM, ECDSA on P-256.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Do not encrypt, also where the registry is another machine.
    #[arg(long)]
    pub plain_http: bool,
}

/// Pulls, writes the file, and prints the reference by digest.
///
/// # Errors
/// When it is not there, is not what it should be, or cannot be written. Nothing is written then.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ending> {
    let reference = oci::reference(&arguments.reference)?;
    let key = arguments.key.as_deref().map(PublicKey::read).transpose()?;
    let access = Access { key, plain_http: arguments.plain_http, ..Access::default() };
    let pulled = oci::pull(&reference, &access)?;
    let name = reference.repository().rsplit('/').next().unwrap_or_default();
    let path = arguments.output.clone().unwrap_or_else(|| Path::new(name).with_added_extension("wasm"));
    oci::write_whole(&path, &pulled.plugin)?;
    eprintln!("{}: {} bytes", path.display(), pulled.plugin.len());
    writeln!(out, "{}/{}@{}", reference.registry(), reference.repository(), pulled.digest)?;
    Ok(Ending::Fine)
}
