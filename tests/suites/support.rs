//! What the suites share: where the workspace is, and how expected texts are compared.

#![allow(dead_code, reason = "each suite is a crate of its own and uses a part")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use faultline::guest::Cache;
use similar::TextDiff;

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").to_owned()
}

/// Where tests keep the compiled component: not where the user does.
pub(crate) fn cache() -> Cache {
    Cache::Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join("faultline"))
}

/// Whether expected files are to be rewritten.
pub(crate) fn is_blessing() -> bool {
    env::var_os("BLESS").is_some_and(|value| value == "1")
}

/// What differs, as a diff with `-` for what was expected; `None` when nothing does.
pub(crate) fn difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let diff = TextDiff::from_lines(expected, found);
    Some(diff.unified_diff().context_radius(2).header("expected", "found").to_string())
}

/// Compares `found` with the file `tests/cli/<name>`, or rewrites that.
pub(crate) fn check_golden(name: &str, found: &str) {
    let path = workspace().join("tests/cli").join(name);
    if is_blessing() {
        fs::write(&path, found).expect("the golden file can be written");
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}\nrun `BLESS=1 cargo test --test cli`", path.display()));
    if let Some(difference) = difference(&expected, found) {
        panic!("tests/cli/{name} differs:\n{difference}");
    }
}
