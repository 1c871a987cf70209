//! The registry of the distribution project, which most others are made of.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::start_on_free_ports;
use super::process::ServerProcess;
use super::{binary, http};

/// A registry with storage of its own.
pub(crate) struct Registry {
    address: SocketAddr,
    /// `None` while it is stopped.
    process: Option<ServerProcess>,
    folder: TempDir,
}

/// Who may use a registry that asks: name, password, and its line in a file of `htpasswd` (bcrypt).
pub(crate) const NAME: &str = "faultline";
pub(crate) const PASSWORD: &str = "canary-of-registry";
const HTPASSWD: &str = "faultline:$2y$04$abcdefghijklmnopqrstuujEKWrDyfTZWvGAOg09NIQkPvG9xmEXa\n";

// === impl Registry ===

impl Registry {
    /// Starts one that everybody may use.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one that only [`NAME`] may use, with [`PASSWORD`].
    pub(crate) fn start_with_login() -> Self {
        Self::start_with("auth: { htpasswd: { realm: test, path: htpasswd } }\n")
    }

    fn start_with(configuration: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("the names can be written");
        let ([address], process) = start_on_free_ports(|[address]| {
            let text = format!(
                "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: storage }} }}\n\
                 http: {{ addr: \"{address}\", secret: of-the-test }}\n{configuration}"
            );
            fs::write(folder.path().join("registry.yaml"), text).expect("the configuration can be written");
            let mut command = Command::new(binary("registry"));
            command.args(["serve", "registry.yaml"]).current_dir(folder.path());
            // Or it looks for somebody who takes its own traces.
            command.env("OTEL_TRACES_EXPORTER", "none");
            ServerProcess::start("registry", command, folder.path(), (*address, "/"))
        });
        Self { address, process: Some(process), folder }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A reference to something in it: `repository:tag` or `repository@digest`.
    pub(crate) fn reference(&self, what: &str) -> String {
        format!("{}/{what}", self.address)
    }

    /// Ends it; its storage stays.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// The file in which it keeps a blob: `sha256:…`.
    ///
    /// # Panics
    /// If it has none.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").expect("a digest names its algorithm");
        let blobs = self.folder.path().join("storage/docker/registry/v2/blobs/sha256");
        let file = blobs.join(&digits[..2]).join(digits).join("data");
        assert!(file.is_file(), "{} is not there", file.display());
        file
    }

    /// A manifest, as it gives it to whoever asks: of a repository, by tag or digest.
    ///
    /// # Panics
    /// If it has none.
    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Value {
        let path = format!("/v2/{repository}/manifests/{name}");
        let accept = [("Accept", "application/vnd.oci.image.manifest.v1+json")];
        let answer = http::get_with(self.address, &path, &accept).expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("a manifest is JSON")
    }
}

/// Writes the file that `docker login` would write for a registry, into a folder for `DOCKER_CONFIG`.
pub(crate) fn log_in(folder: &Path, address: SocketAddr, name: &str, password: &str) {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    let config = json!({ "auths": { address.to_string(): { "auth": auth } } });
    fs::create_dir_all(folder).expect("the folder can be made");
    fs::write(folder.join("config.json"), config.to_string()).expect("the credentials can be written");
}

/// Runs `oras`, another tool for registries, in a folder.
///
/// # Panics
/// If it fails.
pub(crate) fn oras(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("oras"));
    // Its own credentials and cache, and no proxy.
    command.env_clear().env("HOME", folder).args(arguments).current_dir(folder);
    let output = command.output().expect("oras can be run");
    let told = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "oras {arguments:?}: {}", String::from_utf8_lossy(&told));
    output
}
