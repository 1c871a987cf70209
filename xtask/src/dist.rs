//! `dist`: all that a release is made of, in one folder.
//!
//! | file | what |
//! |---|---|
//! | `faultline-VERSION-TARGET.tar.gz` | the program, its licences, and `deploy/` |
//! | `faultline.wasm`, `faultline-core.wasm` | the plugin |
//! | `image/` | a container image as an OCI layout: `oras cp --from-oci-layout image:VERSION REGISTRY/faultline:VERSION` |
//! | `faultline-VERSION-TARGET.cdx.json` | the parts that the program and the plugin are made of, in CycloneDX |
//! | `LICENSE`, `THIRD-PARTY-LICENCES.txt` | licences: ours, and those of the parts |
//! | `SHA256SUMS` | checksums of all these |

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::archive::{Archive, gzip};
use crate::image::Image;
use crate::{cargo, checksums, licences, packages, program, sbom};

/// What is to be made, and where.
#[derive(Clone, Debug)]
pub struct Dist {
    /// The folder; what is in it goes.
    pub output: PathBuf,
    /// The target of the program.
    pub target: String,
    /// A program that was built elsewhere.
    pub binary: Option<PathBuf>,
}

/// One whose programs need no shared library: they run on any Linux, and in an image that holds nothing else.
pub const TARGET: &str = "x86_64-unknown-linux-musl";
/// What is in the program: itself, and the plugin that it carries.
const ROOTS: [&str; 2] = ["faultline", "faultline-component"];
const PLUGINS: [&str; 2] = ["faultline.wasm", "faultline-core.wasm"];
const LICENCES: &str = "THIRD-PARTY-LICENCES.txt";
/// By this a folder is known as one that we made and may empty.
const MARKS: [&str; 2] = [checksums::NAME, "image"];

// === impl Dist ===

impl Dist {
    /// Makes everything, and says what it made.
    ///
    /// # Errors
    /// Says which step failed; what is in the folder then is not whole, and has no checksums.
    pub fn run(&self) -> anyhow::Result<()> {
        let workspace = cargo::workspace();
        self.empty()?;
        let path = match &self.binary {
            Some(path) => path.clone(),
            None => cargo::build(&self.target)?,
        };
        let bytes = read(&path)?;
        program::architecture(&bytes).with_context(|| format!("{} cannot be released", path.display()))?;
        let parts = packages::reached(&cargo::metadata(&self.target)?, &text(&workspace.join("Cargo.lock"))?, &ROOTS)?;
        let version =
            parts.values().find(|part| part.name == cargo::PROGRAM).context("there is no program")?.version.clone();
        let name = format!("faultline-{version}-{}", self.target);

        let ours = text(&workspace.join("LICENSE"))?;
        let theirs = licences::of(&parts)?;
        let licences = [("LICENSE", ours.as_str()), (LICENCES, theirs.as_str())];
        for (name, text) in licences {
            self.write(name, text.as_bytes())?;
        }
        for plugin in PLUGINS {
            let path = cargo::guests().join(plugin);
            self.write(plugin, &read(&path).context("the plugins come with a build of the program: `cargo build`")?)?;
        }
        let sbom = serde_json::to_string_pretty(&sbom::of(&parts, cargo::PROGRAM)?)?;
        self.write(&format!("{name}.cdx.json"), format!("{sbom}\n").as_bytes())?;

        let mut archive = Archive::default();
        archive.file(&format!("{name}/faultline"), 0o755, bytes.clone());
        for (file, text) in licences {
            archive.file(&format!("{name}/{file}"), 0o644, text.as_bytes().to_vec());
        }
        add(&mut archive, &workspace.join("deploy"), &format!("{name}/deploy"))?;
        self.write(&format!("{name}.tar.gz"), &gzip(&archive.tar()?)?)?;

        let image = Image { program: &bytes, version: &version, licences: &licences };
        let digest = image.write(&self.output.join("image"))?;
        let sums = checksums::of(&self.output)?;
        self.write(checksums::NAME, sums.as_bytes())?;
        print!("{sums}");
        println!("image:{version} {digest}");
        Ok(())
    }

    fn empty(&self) -> anyhow::Result<()> {
        let output = &self.output;
        if output.exists() {
            let is_empty =
                fs::read_dir(output).with_context(|| format!("cannot list {}", output.display()))?.next().is_none();
            ensure!(
                is_empty || MARKS.iter().any(|mark| output.join(mark).exists()),
                "{} is not empty, and does not look like a release: empty it, or name another folder",
                output.display()
            );
            fs::remove_dir_all(output).with_context(|| format!("cannot empty {}", output.display()))?;
        }
        fs::create_dir_all(output).with_context(|| format!("cannot make {}", output.display()))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.output.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Adds a folder of the workspace with all that is in it.
fn add(archive: &mut Archive, folder: &Path, to: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let to = format!("{to}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            add(archive, &path, &to)?;
        } else {
            archive.file(&to, 0o644, read(&path)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
