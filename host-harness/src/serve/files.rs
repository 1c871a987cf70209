//! The files of a configuration: read, and found again when one of them has changed.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::loaded::{Loaded, Unusable};

/// The file of a configuration and those that it names, with what they held when they were last read.
pub(super) struct Files {
    path: PathBuf,
    named: Vec<PathBuf>,
    /// `None` where they are to be read again whatever they hold.
    digest: Option<[u8; 32]>,
}

/// What reading a configuration comes to; the faults of one are an answer.
type Reading = anyhow::Result<Result<Loaded, Unusable>>;

// === impl Files ===

impl Files {
    /// Those of the configuration at `path`, not yet read.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), named: Vec::new(), digest: None }
    }

    /// Where the configuration is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether any of them holds something else than when they were last read.
    pub(super) fn have_changed(&self) -> bool {
        self.digest != Some(self.look())
    }

    /// Has them count as changed, so that they are read again.
    pub(super) fn forget(&mut self) {
        self.digest = None;
    }

    /// Reads the configuration. `inner_token` as for [`Loaded::read`].
    ///
    /// # Errors
    /// Those of [`Loaded::read`].
    pub(super) fn read(&mut self, inner_token: &str) -> Reading {
        self.read_by(|path| Loaded::read(path, inner_token))
    }

    fn read_by(&mut self, read: impl Fn(&Path) -> Reading) -> Reading {
        // Looked at first: what is written while they are read then counts as a change, and is not missed.
        self.digest = Some(self.look());
        let reading = read(&self.path);
        if !self.take_names(&reading) {
            return reading;
        }
        // Others are named than those that were looked at.
        self.digest = Some(self.look());
        let reading = read(&self.path);
        self.take_names(&reading);
        reading
    }

    /// Takes over which files are named, and tells whether that is news.
    fn take_names(&mut self, reading: &Reading) -> bool {
        let named = match reading {
            Ok(Ok(loaded)) => loaded.file.files(),
            Ok(Err(unusable)) => &unusable.files,
            Err(_) => return false,
        };
        let is_news = self.named != named;
        self.named = named.to_vec();
        is_news
    }

    fn look(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for path in std::iter::once(&self.path).chain(&self.named) {
            // A file that is not there is another state than an empty one.
            match std::fs::read(path) {
                Ok(bytes) => {
                    digest.update([1]);
                    digest.update(Sha256::digest(bytes));
                }
                Err(_) => digest.update([0]),
            }
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const FORWARD: &str = "serve: { forward: [{ endpoint: \"http://127.0.0.1:1\" }] }\n";

    fn files(folder: &TempDir, text: &str) -> Files {
        let path = folder.path().join("faultline.yaml");
        fs::write(&path, text).unwrap();
        Files::new(&path)
    }

    #[test]
    fn what_is_written_while_files_are_read_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(&folder, FORWARD);
        files.read("").unwrap().unwrap();
        assert!(!files.have_changed());
        files
            .read_by(|path| {
                let reading = Loaded::read(path, "");
                fs::write(path, format!("marking: off\n{FORWARD}")).unwrap();
                reading
            })
            .unwrap()
            .unwrap();
        assert!(files.have_changed());
        files.read("").unwrap().unwrap();
        assert!(!files.have_changed());
        files.forget();
        assert!(files.have_changed(), "what could not be put in force is tried again");
    }

    #[test]
    fn a_file_that_a_configuration_names_counts_from_the_first_reading_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(&folder, &format!("prefix: ${{file:prefix}}\n{FORWARD}"));
        let prefix = folder.path().join("prefix");
        files.read("").unwrap().unwrap_err();
        assert!(!files.have_changed(), "a faulty one is not read again until it changes");
        fs::write(&prefix, "incident").unwrap();
        assert!(files.have_changed());
        files.read("").unwrap().unwrap();
        assert!(!files.have_changed());
        fs::write(&prefix, "outage").unwrap();
        assert!(files.have_changed());
    }
}
