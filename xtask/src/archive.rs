//! Archives whose bytes depend on nothing but what is in them: sorted, without times, owners and rights given.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// What will be in an archive: by path, in the order of paths, so that a folder comes before what is in it.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// `None` is a folder.
    content: Option<Vec<u8>>,
    mode: u32,
    owner: u32,
}

/// Further levels take several times as long for a hundredth of the size.
const LEVEL: u32 = 6;

// === impl Archive ===

impl Archive {
    /// Adds a file of root's, and the folders above it.
    pub fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.folders_above(path);
        self.entries.insert(path.to_owned(), Entry { content: Some(content), mode, owner: 0 });
    }

    /// Adds a folder, and those above it.
    pub fn folder(&mut self, path: &str, mode: u32, owner: u32) {
        self.folders_above(path);
        self.entries.insert(format!("{path}/"), Entry { content: None, mode, owner });
    }

    fn folders_above(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            let folder = Entry { content: None, mode: 0o755, owner: 0 };
            self.entries.entry(format!("{}/", &path[..end])).or_insert(folder);
        }
    }

    /// As tar.
    ///
    /// # Errors
    /// When a path is too long for the format.
    pub fn tar(&self) -> anyhow::Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        for (path, Entry { content, mode, owner }) in &self.entries {
            let content = content.as_deref().unwrap_or_default();
            let mut header = Header::new_ustar();
            header.set_entry_type(if path.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
            header.set_path(path).with_context(|| format!("{path} cannot be archived"))?;
            header.set_mode(*mode);
            header.set_uid((*owner).into());
            header.set_gid((*owner).into());
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).with_context(|| format!("{path} cannot be archived"))?;
        }
        Ok(builder.into_inner()?)
    }
}

/// Compressed by gzip, without a name, a time or a system.
///
/// # Errors
/// When memory is short.
pub fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn archive(order: &[usize]) -> Archive {
        let mut archive = Archive::default();
        for step in order {
            match step {
                0 => archive.file("usr/bin/b", 0o755, b"two".to_vec()),
                1 => archive.file("usr/bin/a", 0o644, b"one".to_vec()),
                _ => archive.folder("var/lib/x", 0o700, 65_532),
            }
        }
        archive
    }

    #[test]
    fn the_order_in_which_things_are_added_does_not_show() {
        assert_eq!(archive(&[0, 1, 2]).tar().unwrap(), archive(&[2, 1, 0]).tar().unwrap());
    }

    #[test]
    fn a_reader_finds_paths_rights_owners_and_no_time() {
        let tar = archive(&[0, 1, 2]).tar().unwrap();
        let mut reader = tar::Archive::new(tar.as_slice());
        let mut found = Vec::new();
        for entry in reader.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 0);
            let path = entry.path().unwrap().display().to_string();
            found.push((path, header.mode().unwrap(), header.uid().unwrap(), content));
        }
        let row = |path: &str, mode, owner, content: &str| (path.to_owned(), mode, owner, content.to_owned());
        assert_eq!(
            found,
            [
                row("usr/", 0o755, 0, ""),
                row("usr/bin/", 0o755, 0, ""),
                row("usr/bin/a", 0o644, 0, "one"),
                row("usr/bin/b", 0o755, 0, "two"),
                row("var/", 0o755, 0, ""),
                row("var/lib/", 0o755, 0, ""),
                row("var/lib/x/", 0o700, 65_532, ""),
            ]
        );
    }

    #[test]
    fn what_is_compressed_comes_back_and_has_no_time() {
        let compressed = gzip(b"hello hello hello").unwrap();
        assert_eq!(compressed[4..8], [0; 4], "the time of RFC 1952");
        let mut text = String::new();
        GzDecoder::new(&compressed[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello hello hello");
    }
}
