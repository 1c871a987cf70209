//! `SHA256SUMS`: what `sha256sum --check` reads.

use std::fs;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

/// The name of the file.
pub const NAME: &str = "SHA256SUMS";

/// Of these bytes, as lower-case digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of all files in a folder and below, sorted by path; the file itself is left out.
///
/// # Errors
/// When something cannot be read.
pub fn of(folder: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort();
    files.retain(|path| path != NAME);
    let mut lines = String::new();
    for path in files {
        let bytes = fs::read(folder.join(&path)).with_context(|| format!("cannot read {path}"))?;
        lines.push_str(&format!("{}  {path}\n", sha256(&bytes)));
    }
    Ok(lines)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_line_and_the_list_has_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for (name, text) in [("b/c", "abc"), ("a", ""), (NAME, "old")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(
            of(folder.path()).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b/c\n"
        );
    }
}
