//! Prometheus Alertmanager with the configuration of `deploy/`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::ports::start_on_free_ports;
use super::process::ServerProcess;
use super::{binary, file, http};

/// What is changed in the file for a test: where webhooks go to, and times that nobody wants to wait.
const URL: &str = "http://faultline:4319/webhooks/alertmanager";
const TIMES: [(&str, &str); 2] =
    [("group_wait: 5s", "group_wait: 100ms"), ("group_interval: 30s", "group_interval: 1s")];

/// An Alertmanager that runs alone.
pub(crate) struct Alertmanager {
    address: SocketAddr,
    process: ServerProcess,
    /// Its configuration and data.
    _folder: TempDir,
}

// === impl Alertmanager ===

impl Alertmanager {
    /// Starts it with a configuration of the workspace, for example `deploy/alertmanager/alertmanager.yaml`. It sends
    /// webhooks to `url`, with `token` as bearer token; news of a group of alerts comes at most once a second.
    ///
    /// # Panics
    /// If it does not start, or the configuration has not what is to be changed in it exactly once.
    pub(crate) fn start(configuration: &str, url: &str, token: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut text = fs::read_to_string(file(configuration)).expect("the configuration can be read");
        for (from, to) in [(URL, url)].into_iter().chain(TIMES) {
            assert_eq!(text.matches(from).count(), 1, "{configuration} must have {from:?} once");
            text = text.replace(from, to);
        }
        fs::write(folder.path().join("alertmanager.yaml"), text).expect("the configuration can be written");
        fs::write(folder.path().join("faultline.token"), token).expect("the token can be written");
        let ([address], process) = start_on_free_ports(|[address]| {
            ServerProcess::start(
                "alertmanager",
                command(folder.path(), *address),
                folder.path(),
                (*address, "/-/ready"),
            )
        });
        Self { address, process, _folder: folder }
    }

    /// Of its API, `/api/v2`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it of alerts, as Prometheus does: a list of `{labels, annotations, startsAt, endsAt}`. An alert ends when it is
    /// told with an `endsAt` that is past.
    ///
    /// # Panics
    /// If it does not take them.
    pub(crate) fn tell(&self, alerts: &Value) {
        let headers = [("Content-Type", "application/json")];
        let answer = http::post(self.address, "/api/v2/alerts", &headers, alerts.to_string().as_bytes());
        let answer = answer.expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

fn command(folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(binary("alertmanager"));
    command
        .arg(format!("--config.file={}", folder.join("alertmanager.yaml").display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        // No peers: it would look for an address of the machine to tell them.
        .arg("--cluster.listen-address=");
    command
}
