//! The artifact of a plugin: manifest, configuration and layer, the same bytes for the same file at any time.
//!
//! Source: CNCF TAG Runtime, "Wasm OCI Artifact layout", version 0; the image specification of OCI, 1.1.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hex;
use crate::inspection::Inspection;
use crate::wasm_file::Kind;

/// A plugin, ready to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub(super) manifest: Vec<u8>,
    pub(super) config: Vec<u8>,
    pub(super) plugin: Vec<u8>,
}

/// What an image manifest says, as far as it concerns us.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u8,
    /// Optional in OCI 1.0.
    #[serde(default = "manifest_type")]
    media_type: String,
    config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// Names a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What a plugin is, for those who look without downloading it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component>,
}

#[derive(Serialize)]
struct Component {
    exports: Vec<String>,
    imports: Vec<String>,
}

/// Of image manifests.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_TYPE: &str = "application/wasm";
/// The name of the file, by which other tools write it to disk.
const TITLE: &str = "org.opencontainers.image.title";
/// The layout asks for a time. A real one would give the same file another digest with each push.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// 64 MiB: a plugin has less than one, and a large one with a language's runtime inside a dozen.
pub const LAYER_BYTES_MAX: u64 = 64 * 1024 * 1024;

// === impl Artifact ===

impl Artifact {
    /// That of a component or core module; `name` is the name of its file.
    ///
    /// # Errors
    /// When it is neither, or is too large.
    pub fn new(plugin: Vec<u8>, name: &str) -> anyhow::Result<Self> {
        if plugin.len() as u64 > LAYER_BYTES_MAX {
            bail!("it has {} bytes, at most {LAYER_BYTES_MAX} are pushed", plugin.len());
        }
        let inspection = Inspection::new(&plugin)?;
        let names = |interfaces: Vec<crate::inspection::Interface>| {
            let mut names: Vec<String> = interfaces.into_iter().map(|interface| interface.name).collect();
            names.sort();
            names
        };
        let (os, component) = match inspection.kind {
            Kind::Component => {
                let component = Component { exports: names(inspection.exports), imports: names(inspection.imports) };
                ("wasip2", Some(component))
            }
            // The layout has no name for a module that asks for nothing; this is the one it gives to all modules.
            _ => ("wasip1", None),
        };
        let layer_digests = [digest(&plugin)];
        let config = Config { created: CREATED, architecture: "wasm", os, layer_digests, component };
        let config = serde_json::to_vec(&config)?;
        let title = BTreeMap::from([(TITLE.to_owned(), name.to_owned())]);
        let manifest = Manifest {
            schema_version: 2,
            media_type: manifest_type(),
            config: Descriptor::new(CONFIG_TYPE, &config),
            layers: vec![Descriptor { annotations: title, ..Descriptor::new(LAYER_TYPE, &plugin) }],
        };
        Ok(Self { manifest: serde_json::to_vec(&manifest)?, config, plugin })
    }

    /// The digest of its manifest, by which it is pulled: `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }
}

// === impl Manifest ===

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is none of an image.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes).context("its manifest cannot be read")?;
        if manifest.schema_version != 2 || manifest.media_type != MANIFEST_TYPE {
            bail!("its manifest is of type `{}`, expected `{MANIFEST_TYPE}`", manifest.media_type);
        }
        Ok(manifest)
    }

    /// The one layer of WebAssembly.
    ///
    /// # Errors
    /// When it has another layout.
    pub(super) fn into_layer(self) -> anyhow::Result<Descriptor> {
        if self.config.media_type != CONFIG_TYPE {
            bail!("its configuration is of type `{}`, expected `{CONFIG_TYPE}`", self.config.media_type);
        }
        match <[Descriptor; 1]>::try_from(self.layers) {
            Ok([layer]) if layer.media_type == LAYER_TYPE => Ok(layer),
            Ok([layer]) => bail!("its layer is of type `{}`, expected `{LAYER_TYPE}`", layer.media_type),
            Err(layers) => bail!("it has {} layers, expected one of type `{LAYER_TYPE}`", layers.len()),
        }
    }
}

// === impl Descriptor ===

impl Descriptor {
    fn new(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }

    /// Holds bytes to what is said of them.
    ///
    /// # Errors
    /// When they are others.
    pub(super) fn check(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let found = digest(bytes);
        if found != self.digest || bytes.len() as u64 != self.size {
            bail!("expected {} bytes with digest {}, found {} with {found}", self.size, self.digest, bytes.len());
        }
        Ok(())
    }
}

/// Of these bytes: `sha256:…`.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(&Sha256::digest(bytes)))
}

fn manifest_type() -> String {
    MANIFEST_TYPE.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::guest::EMBEDDED;

    #[test]
    fn the_same_file_gives_the_same_digest() {
        let [first, second] = [(); 2].map(|()| Artifact::new(EMBEDDED.to_vec(), "faultline.wasm").unwrap());
        assert_eq!(first, second);
        let other = Artifact::new(EMBEDDED.to_vec(), "other.wasm").unwrap();
        assert_ne!(first.digest(), other.digest());
    }

    #[test]
    fn the_artifact_has_the_layout_of_the_cncf() {
        let artifact = Artifact::new(EMBEDDED.to_vec(), "faultline.wasm").unwrap();
        let manifest: Value = serde_json::from_slice(&artifact.manifest).unwrap();
        assert_eq!(
            manifest,
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.wasm.config.v0+json",
                    "digest": digest(&artifact.config), "size": artifact.config.len(),
                },
                "layers": [{
                    "mediaType": "application/wasm", "digest": digest(EMBEDDED), "size": EMBEDDED.len(),
                    "annotations": { "org.opencontainers.image.title": "faultline.wasm" },
                }],
            })
        );
        let config: Value = serde_json::from_slice(&artifact.config).unwrap();
        assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
        assert_eq!(config["layerDigests"], json!([digest(EMBEDDED)]));
        let exports = config["component"]["exports"].as_array().unwrap();
        assert!(exports.contains(&json!("faultline:incident/processor@0.1.0")), "{exports:?}");
    }

    #[test]
    fn an_empty_core_module_is_an_artifact_and_a_text_is_none() {
        let artifact = Artifact::new(b"\0asm\x01\0\0\0".to_vec(), "empty.wasm").unwrap();
        let config: Value = serde_json::from_slice(&artifact.config).unwrap();
        assert_eq!((&config["os"], config.get("component")), (&json!("wasip1"), None));
        assert!(Artifact::new(b"hello".to_vec(), "hello.txt").is_err());
    }

    #[test]
    fn what_is_no_plugin_is_said_with_what_it_is() {
        let read = |manifest: Value| {
            let manifest = Manifest::read(manifest.to_string().as_bytes()).and_then(Manifest::into_layer);
            manifest.unwrap_err().to_string()
        };
        let blob = |media_type: &str| json!({ "mediaType": media_type, "digest": "sha256:00", "size": 1 });
        let image = |config: &str, layers: &[&str]| {
            let layers: Vec<Value> = layers.iter().map(|layer| blob(layer)).collect();
            json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": blob(config), "layers": layers })
        };
        for (manifest, said) in [
            (image("application/vnd.oci.image.config.v1+json", &[LAYER_TYPE]), "its configuration is of type"),
            (image(CONFIG_TYPE, &[]), "it has 0 layers"),
            (image(CONFIG_TYPE, &[LAYER_TYPE, LAYER_TYPE]), "it has 2 layers"),
            (image(CONFIG_TYPE, &["application/x-tar"]), "its layer is of type `application/x-tar`"),
            (json!({ "schemaVersion": 2, "mediaType": "x", "config": blob("x"), "layers": [] }), "of type `x`"),
            (json!([]), "its manifest cannot be read"),
        ] {
            let found = read(manifest);
            assert!(found.contains(said), "{said} is not in {found}");
        }
    }

    #[test]
    fn other_bytes_than_described_are_refused() {
        let descriptor = Descriptor::new(LAYER_TYPE, b"abc");
        assert!(descriptor.check(b"abc").is_ok());
        assert!(descriptor.check(b"abd").unwrap_err().to_string().contains("expected 3 bytes with digest sha256:ba78"));
    }
}
