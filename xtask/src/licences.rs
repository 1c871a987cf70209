//! The licences of what the program is made of, in one file: most of them want to be handed on with it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

use crate::packages::{Package, Packages};

const HEAD: &str = "\
The licences of the packages that are part of this program, which itself is under the licence in LICENSE.
First all packages with what they say of their licence, then each text once, with those that have it.
";

/// One file with all of them. A package whose source has no text is in the list alone.
///
/// # Errors
/// When a source cannot be read, or says nothing of a licence.
pub fn of(packages: &Packages) -> anyhow::Result<String> {
    let others: Vec<&Package> = packages.values().filter(|package| package.source.is_some()).collect();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in others {
        let Package { name, version, licence, .. } = package;
        let licence = licence.as_deref().with_context(|| format!("{name} {version} says nothing of its licence"))?;
        list.push_str(&format!("{name} {version}: {licence}\n"));
        for path in package.licence_files()? {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            texts.entry(text.trim().to_owned()).or_default().push(format!("{name} {version}"));
        }
    }
    let mut file = format!("{HEAD}\n{list}");
    for (text, of) in texts {
        let of: Vec<String> = of.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        file.push_str(&format!("\n{}\n{}\n\n{text}\n", "=".repeat(80), of.join(", ")));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, licence: Option<&str>, folder: &std::path::Path) -> (String, Package) {
        let package = Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
            source: Some("registry".to_owned()),
            folder: folder.to_owned(),
            checksum: None,
            dependencies: Default::default(),
        };
        (name.to_owned(), package)
    }

    #[test]
    fn a_text_that_two_packages_have_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE-MIT"), "do what you like\r\n").unwrap();
        fs::write(folder.path().join("lib.rs"), "no licence").unwrap();
        let packages = ["a", "b"].map(|name| package(name, Some("MIT"), folder.path()));
        let file = of(&packages.into()).unwrap();
        assert_eq!(file.matches("do what you like").count(), 1);
        assert!(file.contains("a 1.0.0, b 1.0.0\n\ndo what you like\n") && !file.contains("no licence"), "{file}");
        assert!(file.contains("a 1.0.0: MIT\nb 1.0.0: MIT\n"), "{file}");
    }

    #[test]
    fn a_package_that_says_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [package("a", None, folder.path())];
        assert_eq!(of(&packages.into()).unwrap_err().to_string(), "a 1.0.0 says nothing of its licence");
    }
}
