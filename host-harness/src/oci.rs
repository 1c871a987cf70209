//! Plugins in OCI registries: pushed, pulled, and held to their digests and signatures.
//!
//! An artifact has the layout of the CNCF's "Wasm OCI Artifact": an image manifest, a configuration that says what the
//! WebAssembly exports and imports, and one layer, the file itself. Other tools for such artifacts read ours, and we theirs.
//!
//! What comes from a registry is believed by its digest alone: the manifest's is that of the reference, the layer's and the
//! configuration's are in the manifest. With a key the manifest's digest must be signed besides, in the form of cosign.

mod artifact;
mod cache;
mod credentials;
mod registry;
mod signature;

use anyhow::Context;
pub use oci_client::Reference;

pub use artifact::{Artifact, LAYER_BYTES_MAX};
pub use cache::Cache;
pub(crate) use cache::write_whole;
pub use signature::PublicKey;

use crate::cli::Hint;
use artifact::Manifest;
use registry::Registry;

/// What stands before a reference where a file could stand as well.
pub const SCHEME: &str = "oci://";

/// How a registry is talked to, and what is asked of what it gives.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Whose signature an artifact must have; without a key any will do that has the right digest.
    pub key: Option<PublicKey>,
    /// Without encryption also where the registry is another machine.
    pub plain_http: bool,
    /// Where artifacts that were pulled are kept.
    pub cache: Cache,
}

/// What was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The file.
    pub plugin: Vec<u8>,
    /// The digest of the manifest: `sha256:…`. With it the same is had again, whatever becomes of a tag.
    pub digest: String,
}

/// Reads a reference, with `oci://` before it or without: `ghcr.io/team/plugin:1.2`, `localhost:5000/plugin@sha256:…`.
///
/// # Errors
/// Says what is wrong with it.
pub fn reference(text: &str) -> anyhow::Result<Reference> {
    text.strip_prefix(SCHEME).unwrap_or(text).parse().with_context(|| Hint {
        message: format!("`{text}` is not a reference into a registry"),
        hint: "expected for example `ghcr.io/team/plugin:1.2` or `localhost:5000/plugin@sha256:…`".to_owned(),
    })
}

/// Puts an artifact into a registry, under the tag of the reference. What is there already is not sent again.
///
/// # Errors
/// Names the reference and the request that failed, and what to do.
pub fn push(reference: &Reference, artifact: &Artifact, access: &Access) -> anyhow::Result<()> {
    if reference.digest().is_some() {
        let hint = format!("give it a tag, or none for `latest`; its digest is {}", artifact.digest());
        return Err(Hint::error(format!("{reference} names a digest, which only the content can decide"), hint));
    }
    Registry::open(reference, access.plain_http)?.push(artifact)
}

/// Gets an artifact out of a registry, or out of the cache where its reference has a digest that is there.
///
/// # Errors
/// Names the reference and the request that failed, and what to do. With a key also when there is no signature by it:
/// nothing is downloaded but the manifest then.
pub fn pull(reference: &Reference, access: &Access) -> anyhow::Result<Pulled> {
    if let Some(digest) = reference.digest()
        && let Some(kept) = access.cache.get(digest)
    {
        let is_trusted =
            access.key.as_ref().is_none_or(|key| kept.signatures.iter().any(|one| key.verify(one, digest).is_ok()));
        if is_trusted {
            return Ok(Pulled { plugin: kept.plugin, digest: digest.to_owned() });
        }
    }
    let registry = Registry::open(reference, access.plain_http)?;
    let (manifest, digest) = registry.manifest(reference)?;
    let signatures = match &access.key {
        None => Vec::new(),
        Some(key) => {
            let signatures = registry.signatures(&digest)?;
            key.verify_any(&signatures, &digest).with_context(|| Hint {
                message: format!(
                    "{reference} ({digest}) is not used: it has no signature by the key that is asked for"
                ),
                hint: format!("sign it with `cosign sign --key …`, or check who made it; {}", signature::FORM),
            })?;
            signatures
        }
    };
    let layer = Manifest::read(&manifest)
        .and_then(Manifest::into_layer)
        .with_context(|| format!("{reference} ({digest}) is no plugin"))?;
    let plugin = match access.cache.get(&digest) {
        Some(kept) => kept.plugin,
        None => registry.blob(&layer, LAYER_BYTES_MAX)?,
    };
    let kept = cache::Kept { manifest, plugin, signatures };
    access.cache.put(&digest, &kept);
    Ok(Pulled { plugin: kept.plugin, digest })
}
