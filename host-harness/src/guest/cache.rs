//! Where compiled components are kept between runs: compiling takes a second, loading a millisecond.

use std::env;
use std::path::PathBuf;

use wasmtime::CacheConfig;

/// Where compiled components are kept.
///
/// The files are native code that later runs load as they are. So the folder must be writable for nobody else, as a
/// user's own cache folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cache {
    /// In `$XDG_CACHE_HOME/faultline`, else in the cache folder of the user.
    User,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere: every run compiles.
    Off,
}

// === impl Cache ===

impl Cache {
    /// Opens the folder, making it if need be. A folder that cannot be used is no fault: the component is then compiled.
    pub(super) fn open(&self) -> Option<wasmtime::Cache> {
        let mut config = CacheConfig::new();
        match self {
            Self::Off => return None,
            Self::Folder(folder) => {
                config.with_directory(std::path::absolute(folder).ok()?);
            }
            Self::User => {
                if let Some(folder) = user_folder() {
                    config.with_directory(folder);
                }
            }
        }
        wasmtime::Cache::new(config).ok()
    }
}

/// `None` where the system has other customs, which wasmtime knows.
fn user_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(not(unix)) || cfg!(target_os = "macos") {
        return None;
    }
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("faultline"))
}
