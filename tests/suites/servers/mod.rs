//! Real servers for suites: an OpenTelemetry Collector and Prometheus Alertmanager, started with the files in `deploy/`, and
//! an OCI registry.
//!
//! `tests/servers/install` builds them. Each listens on free ports of 127.0.0.1, keeps its files in a folder of its own,
//! is ready when `start` returns, and ends when it is dropped. When a test fails the end of its log is printed.
//!
//! ```ignore
//! mod servers;
//! let behind = Collector::start("deploy/collector/behind.yaml", &[]);
//! ```

#![allow(dead_code, unused_imports, reason = "each suite is a crate of its own and uses a part")]

mod alertmanager;
mod collector;
mod deployed;
mod faultline;
pub(crate) mod http;
mod pagerduty;
mod ports;
mod process;
pub(crate) mod registry;
mod webhooks;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use alertmanager::Alertmanager;
pub(crate) use collector::Collector;
pub(crate) use deployed::DeployedFaultline;
pub(crate) use faultline::{Addresses, Faultline, Launch, SOURCES, Setup};
pub(crate) use pagerduty::PagerDuty;
pub(crate) use registry::Registry;
pub(crate) use webhooks::{ReceivedWebhook, WebhookListener};

/// How long a thing may take that takes a second on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked for.
const PAUSE: Duration = Duration::from_millis(50);

/// The binary of a server.
///
/// # Panics
/// If it has not been built.
pub(crate) fn binary(name: &str) -> PathBuf {
    // `target/tmp`, wherever `target` is.
    let target =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder for tests lies in the target folder");
    let binary = target.join("servers").join(name);
    assert!(binary.is_file(), "{} is not there: run `tests/servers/install {name}`", binary.display());
    binary
}

/// A file of the workspace.
pub(crate) fn file(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("the package lies in the workspace").join(path)
}

/// Asks until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`]; `what` says what was waited for.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited {} s in vain for {what}", PATIENCE.as_secs());
        thread::sleep(PAUSE);
    }
}
