//! A plugin that is named on the command line: a file, or `oci://…` for one in a registry.

use std::fs;
use std::path::Path;
#[cfg(feature = "oci")]
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

#[cfg(not(feature = "oci"))]
use crate::cli::Hint;
#[cfg(feature = "oci")]
use crate::oci::{self, Access, PublicKey};

/// What is asked of a plugin that comes from a registry. Nothing where it comes from a file.
#[derive(Args, Clone, Debug, Default)]
pub struct RegistryArguments {
    /// Refuse a plugin of a registry that is not signed by this key, in the form of cosign: a file in PEM.
    #[cfg(feature = "oci")]
    #[arg(long, value_name = "FILE", requires = "plugin")]
    pub plugin_key: Option<PathBuf>,
    /// Do not encrypt, also where the registry of the plugin is another machine.
    #[cfg(feature = "oci")]
    #[arg(long, requires = "plugin")]
    pub plain_http: bool,
}

/// What stands before a reference into a registry.
const SCHEME: &str = "oci://";

/// Reads the file, or pulls it.
///
/// # Errors
/// When it cannot be had, or is not what its digest or signature says.
pub fn read(path: &Path, registry: &RegistryArguments) -> anyhow::Result<Vec<u8>> {
    match path.to_str().filter(|text| text.starts_with(SCHEME)) {
        Some(reference) => registry.pull(reference),
        None => registry.read(path),
    }
}

// === impl RegistryArguments ===

#[cfg(feature = "oci")]
impl RegistryArguments {
    fn pull(&self, reference: &str) -> anyhow::Result<Vec<u8>> {
        let reference = oci::reference(reference)?;
        let key = self.plugin_key.as_deref().map(PublicKey::read).transpose()?;
        let pulled = oci::pull(&reference, &Access { key, plain_http: self.plain_http, ..Access::default() })?;
        tracing::info!(%reference, digest = pulled.digest, signed = self.plugin_key.is_some(), "the plugin was pulled");
        Ok(pulled.plugin)
    }

    fn read(&self, path: &Path) -> anyhow::Result<Vec<u8>> {
        // Whoever asks for a signature must not get what has none.
        anyhow::ensure!(
            self.plugin_key.is_none(),
            "{} is a file, which has no signature that --plugin-key could be held against",
            path.display()
        );
        read_file(path)
    }
}

#[cfg(not(feature = "oci"))]
impl RegistryArguments {
    fn pull(&self, reference: &str) -> anyhow::Result<Vec<u8>> {
        Err(Hint::error(
            format!("{reference} is in a registry, and this `faultline` was built without what it needs for those"),
            "take a release, or build it with `--features oci`",
        ))
    }

    fn read(&self, path: &Path) -> anyhow::Result<Vec<u8>> {
        read_file(path)
    }
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the plugin {}", path.display()))
}
