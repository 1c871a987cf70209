//! `faultline serve`, the program that is tested, as its users start it.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::eventually;
use super::http::{self, Answer};
use super::ports::start_on_free_ports;
use super::process::ServerProcess;

/// A server with a journal of its own.
pub(crate) struct Faultline {
    addresses: Addresses,
    /// `None` while it is stopped.
    process: Option<ServerProcess>,
    launch: Launch,
    folder: TempDir,
}

/// How its process is started; the default is as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    /// Further arguments of the command.
    pub(crate) arguments: Vec<String>,
    /// A command of `sh` before it, for what it is to inherit: limits, signals that are ignored.
    pub(crate) shell: String,
}

/// What a server is to do; the default forwards nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    /// Below `serve.forward`, in flow style: `{ endpoint: "http://…", protocol: grpc }`.
    pub(crate) forward: Vec<String>,
    /// Further lines below `serve.otlp`, at their indentation.
    pub(crate) otlp: String,
    /// Further keys of both listeners of `serve.otlp`, in flow style behind a comma: `, tls: { … }`.
    pub(crate) listener: String,
    /// Further keys of `serve.admin`, in the same form.
    pub(crate) admin: String,
    /// Keys of `serve.spokes` beside `listen`, in flow style, in the place of `tokens: [spoke-token]`.
    pub(crate) spokes: Option<String>,
    /// Further keys of `serve.telemetry`, in the form of those of `serve.admin`.
    pub(crate) telemetry: String,
    /// Further lines below `serve`, at their indentation.
    pub(crate) serve: String,
    /// The rest of the configuration, in the place of [`SOURCES`].
    pub(crate) rest: Option<String>,
    /// How it is started.
    pub(crate) launch: Launch,
}

/// What it listens on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) webhooks: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) telemetry: SocketAddr,
    /// `None` where it is not configured.
    pub(crate) spokes: Option<SocketAddr>,
}

/// A source of each kind that tests send from.
pub(crate) const SOURCES: &str = "\
sources:
  manual: { kind: manual, tokens: [manual-token] }
  pagerduty: { kind: pagerduty, secrets: [pagerduty-secret] }
  alertmanager: { kind: alertmanager, tokens: [alertmanager-token] }
services:
  - { source: pagerduty, id: P4K9ZTC, to: [{ service: checkout }] }
";
const ADMIN: &str = "Bearer admin-token";

// === impl Faultline ===

impl Faultline {
    /// Starts it.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder can be made"), setup)
    }

    /// Starts it in a folder that may hold a journal already: `journal.redb`.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub(crate) fn start_in(folder: TempDir, setup: &Setup) -> Self {
        let named = |&[grpc, http, webhooks, admin, telemetry, spokes]: &[SocketAddr; 6]| {
            let spokes = Some(spokes);
            Addresses { grpc, http, webhooks, admin, telemetry, spokes }
        };
        let (addresses, process) = start_on_free_ports(|free| {
            let addresses = named(free);
            write(folder.path(), &setup.configuration(addresses, folder.path()));
            run(folder.path(), addresses.telemetry, &setup.launch)
        });
        Self { addresses: named(&addresses), process: Some(process), launch: setup.launch.clone(), folder }
    }

    /// What it listens on.
    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Where its journal is.
    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal.redb")
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Asks it to end (`SIGTERM`), and waits until it has.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        signal(process.id(), "TERM");
        assert!(process.wait().success(), "it ends well");
    }

    /// Starts it again on the same ports, with the same journal.
    pub(crate) fn start_again(&mut self) {
        self.process = None;
        let started = eventually("the ports to be free again", || {
            run(self.folder.path(), self.addresses.telemetry, &self.launch).ok()
        });
        self.process = Some(started);
    }

    /// Replaces its configuration file.
    pub(crate) fn rewrite(&self, setup: &Setup) {
        write(self.folder.path(), &setup.configuration(self.addresses, self.folder.path()));
    }

    /// Has it read its configuration again.
    pub(crate) fn hang_up(&self) {
        signal(self.id(), "HUP");
    }

    /// What it logged since it was started first, whether it runs or not.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("faultline.log")).expect("the log can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a webhook of the manual source.
    pub(crate) fn manual(&self, body: &Value) -> Answer {
        let headers = [("Authorization", "Bearer manual-token")];
        http::post(self.addresses.webhooks, "/webhooks/manual", &headers, body.to_string().as_bytes())
            .expect("it answers")
    }

    /// Opens an incident of a service by hand.
    ///
    /// # Panics
    /// If that is not accepted.
    pub(crate) fn open_incident(&self, id: &str, service: &str) {
        let answer = self.manual(&json!({ "action": "open", "id": id, "severity": "high", "services": [service] }));
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Closes it.
    ///
    /// # Panics
    /// If that is not accepted.
    pub(crate) fn close_incident(&self, id: &str) {
        let answer = self.manual(&json!({ "action": "close", "id": id }));
        assert_eq!(answer.status, 202, "{}", answer.text());
    }

    /// Asks the admin listener.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        http::get_with(self.addresses.admin, path, &[("Authorization", ADMIN)]).expect("it answers")
    }

    /// Tells the admin listener something.
    pub(crate) fn tell_admin(&self, path: &str, body: &Value) -> Answer {
        let headers = [("Authorization", ADMIN), ("Content-Type", "application/json")];
        http::post(self.addresses.admin, path, &headers, body.to_string().as_bytes()).expect("it answers")
    }

    /// Asks for the state as a spoke does, with further headers.
    pub(crate) fn state(&self, headers: &[(&str, &str)]) -> Answer {
        let own = [("Authorization", "Bearer spoke-token")];
        self.state_as(&[&own, headers].concat())
    }

    /// The same with these headers alone.
    pub(crate) fn state_as(&self, headers: &[(&str, &str)]) -> Answer {
        let spokes = self.addresses.spokes.expect("this server has the listener");
        http::get_with(spokes, "/v1/state", headers).expect("it answers")
    }

    /// The ids of open incidents.
    ///
    /// # Panics
    /// If they are not told.
    pub(crate) fn open(&self) -> Vec<String> {
        let answer = self.admin("/v1/incidents");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let open: Vec<Value> = serde_json::from_slice(&answer.body).expect("a list");
        open.iter().filter_map(|incident| incident["id"].as_str().map(str::to_owned)).collect()
    }

    /// The sum of a metric over all its series whose line contains each of `parts`.
    ///
    /// # Panics
    /// If metrics are not told.
    pub(crate) fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let answer = http::get(self.addresses.telemetry, "/metrics").expect("it answers");
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let is_of = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
                && parts.iter().all(|part| line.contains(part))
        };
        let values = text.lines().filter(is_of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Runs `faultline incidents` against it, as its operators do.
    pub(crate) fn incidents(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
        command.arg("incidents").args(arguments).env("FAULTLINE_TOKEN", "admin-token");
        command.env("FAULTLINE_HUB", format!("http://{}", self.addresses.admin)).current_dir(self.folder.path());
        command.output().expect("the command can be run")
    }

    /// What `/readyz` says.
    pub(crate) fn ready(&self) -> Answer {
        http::get(self.addresses.telemetry, "/readyz").expect("it answers")
    }
}

// === impl Setup ===

impl Setup {
    /// One that forwards to `address`.
    pub(crate) fn forwarding_to(address: SocketAddr, protocol: &str) -> Self {
        Self { forward: vec![format!("{{ endpoint: \"http://{address}\", protocol: {protocol} }}")], ..Self::default() }
    }

    fn configuration(&self, addresses: Addresses, folder: &Path) -> String {
        let Addresses { grpc, http, webhooks, admin, telemetry, spokes } = addresses;
        let Self { listener, admin: of_admin, telemetry: of_telemetry, .. } = self;
        let spokes = spokes.expect("this server has the listener");
        let of_spokes = self.spokes.as_deref().unwrap_or("tokens: [spoke-token]");
        let mut text = self.rest.clone().unwrap_or_else(|| SOURCES.to_owned());
        let journal = folder.join("journal.redb");
        // Writing to a string cannot fail.
        write!(
            text,
            "serve:
  otlp:
    grpc: {{ listen: \"{grpc}\"{listener} }}
    http: {{ listen: \"{http}\"{listener} }}
{}  webhooks: {{ listen: \"{webhooks}\" }}
  admin: {{ listen: \"{admin}\", tokens: [admin-token]{of_admin} }}
  spokes: {{ listen: \"{spokes}\", {of_spokes} }}
  telemetry: {{ listen: \"{telemetry}\"{of_telemetry} }}
  journal: {{ path: {journal:?} }}
{}  forward:
",
            self.otlp, self.serve
        )
        .unwrap_or_default();
        for forward in &self.forward {
            text.push_str(&format!("    - {forward}\n"));
        }
        text
    }
}

fn write(folder: &Path, configuration: &str) {
    // In one step, as editors and Kubernetes do it.
    let next = folder.join("faultline.yaml.next");
    fs::write(&next, configuration).expect("the configuration can be written");
    fs::rename(next, folder.join("faultline.yaml")).expect("the configuration can be put in its place");
}

fn run(folder: &Path, telemetry: SocketAddr, launch: &Launch) -> Result<ServerProcess, super::process::AddressInUse> {
    // `exec`, so that the process is the server and no shell.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{}\nexec \"$0\" \"$@\"", launch.shell)).arg(env!("CARGO_BIN_EXE_faultline"));
    command.arg("serve").arg("--config").arg(folder.join("faultline.yaml")).args(&launch.arguments);
    ServerProcess::start("faultline", command, folder, (telemetry, "/readyz"))
}

fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &id.to_string()]).status().expect("`kill` is there");
    assert!(status.success(), "process {id} takes signals");
}
