//! A container image of the program, made without a container engine: an OCI layout, which every tool for images can push,
//! load or run.
//!
//! It holds the program, the authorities that TLS needs, one folder that may be written to, and no shell. It runs as nobody.
//! Source: OCI image specification 1.1, `image-layout.md`, `config.md`, `manifest.md`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::archive::{Archive, gzip};
use crate::checksums::sha256;
use crate::program;

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The program. It must need no shared libraries.
    pub program: &'a [u8],
    /// Its version, which becomes the tag.
    pub version: &'a str,
    /// Its licence, and those of its parts.
    pub licences: &'a [(&'a str, &'a str)],
}

/// By number, so that an orchestrator can see that it is not root. The one that images without a shell have by custom.
pub const USER: u32 = 65_532;
const HOME: &str = "var/lib/faultline";
const PROGRAM: &str = "usr/local/bin/faultline";
const CONFIGURATION: &str = "etc/faultline";
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// OTLP by gRPC and HTTP, webhooks, admin, metrics and health, spokes.
const PORTS: [u16; 6] = [4317, 4318, 4319, 4320, 4321, 4322];
/// A real time would give the same image another digest with each build.
const CREATED: &str = "1970-01-01T00:00:00Z";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

// === impl Image ===

impl Image<'_> {
    /// Writes the layout into a folder, which is made, and answers with the digest of the manifest: `sha256:…`.
    ///
    /// # Errors
    /// When the program needs shared libraries, or the folder cannot be written to.
    pub fn write(&self, folder: &Path) -> anyhow::Result<String> {
        let architecture = program::architecture(self.program).context("the program cannot be put into an image")?;
        let tar = self.files()?.tar()?;
        let config = serde_json::to_vec(&self.config(architecture, &tar))?;
        let layer = gzip(&tar)?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": [descriptor(LAYER_TYPE, &layer)],
        }))?;
        let mut entry = descriptor(MANIFEST_TYPE, &manifest);
        entry["platform"] = json!({ "architecture": architecture, "os": "linux" });
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": self.version });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry] });

        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", blobs.display()))?;
        let write = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        for blob in [&layer, &config, &manifest] {
            write(&blobs.join(sha256(blob)), blob)?;
        }
        write(&folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        // Last: without it there is no image.
        write(&folder.join("index.json"), &serde_json::to_vec(&index)?)?;
        Ok(format!("sha256:{}", sha256(&manifest)))
    }

    fn files(&self) -> anyhow::Result<Archive> {
        let mut files = Archive::default();
        files.file(PROGRAM, 0o755, self.program.to_vec());
        files.file(AUTHORITIES, 0o644, authorities().into_bytes());
        files.folder(CONFIGURATION, 0o755, 0);
        files.folder(HOME, 0o700, USER);
        files.folder("tmp", 0o1777, 0);
        let passwd = format!("root:x:0:0:root:/:/nonexistent\nfaultline:x:{USER}:{USER}::/{HOME}:/nonexistent\n");
        files.file("etc/passwd", 0o644, passwd.into_bytes());
        files.file("etc/group", 0o644, format!("root:x:0:\nfaultline:x:{USER}:\n").into_bytes());
        for (name, text) in self.licences {
            files.file(&format!("usr/share/doc/faultline/{name}"), 0o644, text.as_bytes().to_vec());
        }
        Ok(files)
    }

    fn config(&self, architecture: &str, tar: &[u8]) -> Value {
        let ports: serde_json::Map<String, Value> =
            PORTS.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
        json!({
            "created": CREATED,
            "architecture": architecture,
            "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": [
                    "PATH=/usr/local/bin".to_owned(),
                    format!("SSL_CERT_FILE=/{AUTHORITIES}"),
                    // The one folder that is written to has the machine code made of the plugin too.
                    format!("XDG_CACHE_HOME=/{HOME}/cache"),
                ],
                "Entrypoint": [format!("/{PROGRAM}")],
                "Cmd": ["serve", "--config", format!("/{CONFIGURATION}/faultline.yaml")],
                "ExposedPorts": ports,
                "Volumes": { format!("/{HOME}"): {} },
                "WorkingDir": format!("/{HOME}"),
                "Labels": {
                    "org.opencontainers.image.title": "faultline",
                    "org.opencontainers.image.version": self.version,
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(tar))] },
            "history": [{ "created": CREATED, "created_by": "cargo run -p xtask -- dist" }],
        })
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len() })
}

/// The authorities that Mozilla trusts, as PEM: those of a pinned package, and not of whatever machine makes the image.
fn authorities() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
