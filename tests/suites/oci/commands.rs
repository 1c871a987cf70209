//! `faultline` in a folder of its own: nothing of the user's is read or written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which commands run, with a home, a cache and credentials.
pub(crate) struct Commands {
    folder: TempDir,
}

// === impl Commands ===

impl Commands {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder can be made") }
    }

    /// Where they run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the credentials of `docker login` are.
    pub(crate) fn docker(&self) -> PathBuf {
        self.folder().join("docker")
    }

    /// Runs one that must succeed, and answers with what it printed, without the last line break.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "faultline {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("it prints text").trim_end().to_owned()
    }

    /// Runs one that must fail with status 1, print no result, and answers with what it said.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8(output.stderr).expect("it prints text");
        assert_eq!(output.status.code(), Some(1), "faultline {arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "faultline {arguments:?} printed a result");
        errors
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command.env_clear().current_dir(self.folder());
        command.env("HOME", self.folder()).env("XDG_CACHE_HOME", self.cache()).env("DOCKER_CONFIG", self.docker());
        command.args(arguments).output().expect("faultline can be run")
    }

    /// A file that was written.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Takes a file away again.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.folder().join(name)).expect("it is there");
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.folder().join(name).exists()
    }

    /// Empties the cache of plugins that were pulled.
    pub(crate) fn forget(&self) {
        fs::remove_dir_all(self.cache().join("faultline-plugins")).expect("something was pulled");
    }

    fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }
}
