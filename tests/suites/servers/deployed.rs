//! `faultline serve` with the configuration of `deploy/`, as it is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::faultline::Addresses;
use super::ports::start_on_free_ports;
use super::process::ServerProcess;
use super::{file, http};

/// A server whose configuration is `deploy/faultline.yaml`, and whose addresses and secrets come from the variables that
/// the file names.
pub(crate) struct DeployedFaultline {
    addresses: Addresses,
    process: ServerProcess,
    next: SocketAddr,
    protocol: String,
    /// Its journal and its log.
    folder: TempDir,
}

const CONFIGURATION: &str = "deploy/faultline.yaml";
/// What has no default: secrets.
const SECRETS: [(&str, &str); 3] = [
    ("PAGERDUTY_SECRET", DeployedFaultline::PAGERDUTY_SECRET),
    ("ALERTMANAGER_TOKEN", DeployedFaultline::ALERTMANAGER_TOKEN),
    ("FAULTLINE_TOKEN", "admin-token-of-the-deployment"),
];

// === impl DeployedFaultline ===

impl DeployedFaultline {
    /// With which PagerDuty signs.
    pub(crate) const PAGERDUTY_SECRET: &str = "pagerduty-secret-of-the-deployment";
    /// That Alertmanager sends.
    pub(crate) const ALERTMANAGER_TOKEN: &str = "alertmanager-token-of-the-deployment";

    /// Starts one that forwards to `next`, by `grpc` or `http`.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub(crate) fn start(next: SocketAddr, protocol: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let ([grpc, http, webhooks, admin, telemetry], process) =
            start_on_free_ports(|&[grpc, http, webhooks, admin, telemetry]| {
                let addresses = Addresses { grpc, http, webhooks, admin, telemetry, spokes: None };
                let command = serve(addresses, next, protocol, folder.path());
                ServerProcess::start("faultline", command, folder.path(), (telemetry, "/readyz"))
            });
        let addresses = Addresses { grpc, http, webhooks, admin, telemetry, spokes: None };
        Self { addresses, process, next, protocol: protocol.to_owned(), folder }
    }

    /// Kills it, as a crash would, lets `meanwhile` happen, and starts it again where it was.
    ///
    /// # Panics
    /// If it does not start: another process may have taken an address meanwhile.
    pub(crate) fn crashes(&mut self, meanwhile: impl FnOnce()) {
        self.process.kill();
        meanwhile();
        let command = serve(self.addresses, self.next, &self.protocol, self.folder.path());
        let started =
            ServerProcess::start("faultline", command, self.folder.path(), (self.addresses.telemetry, "/readyz"));
        self.process = started.unwrap_or_else(|error| panic!("another process is there: {error:?}"));
    }

    /// `faultline check` of the configuration, with secrets in the environment or without.
    pub(crate) fn check(has_secrets: bool) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command.arg("check").arg(file(CONFIGURATION)).env_clear();
        if has_secrets {
            command.envs(SECRETS);
        }
        command.output().expect("the command can be run")
    }

    /// What it listens on.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether an incident of that source is open, by its own metrics.
    ///
    /// # Panics
    /// If it does not tell them.
    pub(crate) fn has_open(&self, source: &str) -> bool {
        let metrics = http::get(self.addresses.telemetry, "/metrics").expect("it answers").text();
        let of_source = format!("source=\"{source}\"");
        let mut open = metrics.lines().filter(|line| line.starts_with("faultline_incidents_open{"));
        open.any(|line| line.contains(&of_source) && !line.ends_with(" 0"))
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

fn serve(addresses: Addresses, next: SocketAddr, protocol: &str, folder: &Path) -> Command {
    let Addresses { grpc, http, webhooks, admin, telemetry, spokes: _ } = addresses;
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command
        .arg("serve")
        .arg("--config")
        .arg(file(CONFIGURATION))
        .env("FAULTLINE_GRPC", grpc.to_string())
        .env("FAULTLINE_HTTP", http.to_string())
        .env("FAULTLINE_WEBHOOKS", webhooks.to_string())
        .env("FAULTLINE_ADMIN", admin.to_string())
        .env("FAULTLINE_TELEMETRY", telemetry.to_string())
        .env("FAULTLINE_NEXT", format!("http://{next}"))
        .env("FAULTLINE_NEXT_PROTOCOL", protocol)
        .env("FAULTLINE_JOURNAL", folder.join("journal.redb"))
        .envs(SECRETS);
    command
}
