//! Artifacts that were pulled, kept by digest: a server that starts again needs no registry.
//!
//! Nothing is believed because it lies here: digests and signatures are held against what they should be with each use.

use std::env;
use std::fs;
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;

use super::artifact::{Manifest, digest};
use super::signature::Signature;

/// Where artifacts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cache {
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// What is kept of an artifact.
pub(super) struct Kept {
    pub(super) manifest: Vec<u8>,
    pub(super) plugin: Vec<u8>,
    /// What the registry had when a key was asked for.
    pub(super) signatures: Vec<Signature>,
}

/// As many are kept; those that were put here first go first.
const ARTIFACTS_MAX: usize = 16;
const MANIFEST: &str = "manifest.json";
const PLUGIN: &str = "plugin.wasm";
const SIGNATURES: &str = "signatures.json";

// === impl Cache ===

/// The user's.
impl Default for Cache {
    fn default() -> Self {
        let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        // Not below `faultline`: there wasmtime keeps what it compiled, and takes away what it does not know.
        base.map_or(Self::Off, |base| Self::Folder(base.join("faultline-plugins")))
    }
}

impl Cache {
    /// The artifact with this digest, if it is here and whole.
    pub(super) fn get(&self, digest: &str) -> Option<Kept> {
        let folder = self.folder(digest)?;
        let manifest = fs::read(folder.join(MANIFEST)).ok()?;
        let plugin = fs::read(folder.join(PLUGIN)).ok()?;
        if self::digest(&manifest) != digest {
            return None;
        }
        Manifest::read(&manifest).and_then(Manifest::into_layer).ok()?.check(&plugin).ok()?;
        let signatures = fs::read(folder.join(SIGNATURES)).ok();
        let signatures = signatures.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Some(Kept { manifest, plugin, signatures })
    }

    /// Keeps an artifact. That it cannot be kept is no fault: it is pulled again then.
    pub(super) fn put(&self, digest: &str, kept: &Kept) {
        let Some(folder) = self.folder(digest) else { return };
        if let Err(error) = write(&folder, kept) {
            tracing::warn!(reason = format!("{error:#}"), "a plugin that was pulled is not kept");
            return;
        }
        if let Some(all) = folder.parent() {
            forget(all);
        }
    }

    /// That of one artifact. A digest is digits behind a name: nothing in it leads elsewhere.
    fn folder(&self, digest: &str) -> Option<PathBuf> {
        let Self::Folder(folder) = self else { return None };
        let digits = digest.strip_prefix("sha256:")?;
        let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| folder.join(format!("sha256-{digits}")))
    }
}

fn write(folder: &Path, kept: &Kept) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut files = vec![(PLUGIN, kept.plugin.clone()), (MANIFEST, kept.manifest.clone())];
    // Those of an earlier time stay good when nobody asked for any this time.
    if !kept.signatures.is_empty() {
        files.push((SIGNATURES, serde_json::to_vec(&kept.signatures)?));
    }
    for (name, bytes) in files {
        write_whole(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes a file that is there whole or not at all, for whom the user's mask allows.
///
/// # Errors
/// When the folder is not there or cannot be written to.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Without it the file would be its owner's alone.
    #[cfg(unix)]
    builder.permissions(fs::Permissions::from_mode(0o666));
    let write = || {
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        anyhow::Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Takes away what is beyond the bound.
fn forget(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let made = |path: &Path| fs::metadata(path.join(MANIFEST)).and_then(|metadata| metadata.modified()).ok();
    let mut artifacts: Vec<(Option<SystemTime>, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("sha256-"))
        .map(|entry| (made(&entry.path()), entry.path()))
        .collect();
    artifacts.sort();
    let surplus = artifacts.len().saturating_sub(ARTIFACTS_MAX);
    for (_, artifact) in artifacts.drain(..surplus) {
        // Another process may have been faster.
        let _ = fs::remove_dir_all(artifact);
    }
}

#[cfg(test)]
mod tests {
    use super::super::artifact::Artifact;
    use super::*;

    /// The shortest core module, with a custom section that tells one from another.
    fn artifact(number: u8) -> (String, Kept) {
        let plugin = [b"\0asm\x01\0\0\0".as_slice(), &[0, 3, 1, b'n', number]].concat();
        let artifact = Artifact::new(plugin.clone(), "plugin.wasm").unwrap();
        let signatures = vec![Signature { payload: "{}".to_owned(), signature: "AA==".to_owned() }];
        (artifact.digest(), Kept { manifest: artifact.manifest, plugin, signatures })
    }

    #[test]
    fn what_was_put_in_comes_out_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::Folder(folder.path().join("plugins"));
        let (digest, kept) = artifact(1);
        assert!(cache.get(&digest).is_none());
        cache.put(&digest, &kept);
        let found = cache.get(&digest).unwrap();
        assert_eq!((found.plugin, found.signatures), (kept.plugin.clone(), kept.signatures.clone()));
        for name in [PLUGIN, MANIFEST] {
            cache.put(&digest, &kept);
            let path = cache.folder(&digest).unwrap().join(name);
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(cache.get(&digest).is_none(), "{name}");
        }
    }

    #[test]
    fn signatures_are_kept_when_the_next_one_asks_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::Folder(folder.path().to_owned());
        let (digest, kept) = artifact(1);
        cache.put(&digest, &kept);
        cache.put(&digest, &Kept { signatures: Vec::new(), ..kept });
        assert_eq!(cache.get(&digest).unwrap().signatures.len(), 1);
    }

    #[test]
    fn no_more_are_kept_than_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::Folder(folder.path().to_owned());
        for number in 0..20 {
            let (digest, kept) = artifact(number);
            cache.put(&digest, &kept);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), ARTIFACTS_MAX);
        assert!(cache.get(&artifact(19).0).is_some(), "the last one is there");
    }

    #[test]
    fn a_digest_that_leads_elsewhere_is_none() {
        let cache = Cache::Folder(PathBuf::from("plugins"));
        let too_long = format!("sha256:{}/..", "0".repeat(61));
        for digest in ["sha256:..", "sha256:", "sha512:00", "", too_long.as_str()] {
            assert_eq!(cache.folder(digest), None, "{digest}");
        }
        assert!(Cache::Off.folder(&artifact(1).0).is_none());
    }
}
