//! The programs that stand between load and sink.

mod collector;
mod faultline;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use faultline_load::{Encoding, Process, Protocol, Sink};
use serde_json::Value;

pub(crate) use faultline::{TOKEN, WEBHOOKS};

use crate::case::Case;

/// What can stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Faultline,
    /// The OpenTelemetry Collector, in this file.
    Collector(PathBuf),
}

/// One that runs. Ends with the value.
#[derive(Debug)]
pub(crate) struct Hop {
    child: Child,
    /// Holds configuration, journal and log.
    folder: tempfile::TempDir,
    ports: Ports,
    pub(crate) process: Process,
}

/// Where it listens. The Collector has the first only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) otlp: SocketAddr,
    pub(crate) webhooks: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) telemetry: SocketAddr,
}

/// What to do where the Collector is missing.
pub(crate) const INSTALL: &str = "run tests/servers/install";
/// Where the installer puts it.
const COLLECTOR: &str = "target/servers/otelcol";
/// Time to start, on a machine that does much else.
const START: Duration = Duration::from_secs(60);

// === impl Program ===

impl Program {
    /// Those that are there; says so where one is not.
    pub(crate) fn available(root: &Path) -> Vec<Self> {
        let collector = root.join(COLLECTOR);
        if collector.is_file() {
            return vec![Self::Faultline, Self::Collector(collector)];
        }
        eprintln!("{COLLECTOR} is not there, and nothing is compared with it: {INSTALL}");
        vec![Self::Faultline]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Faultline => "faultline",
            Self::Collector(_) => "Collector",
        }
    }

    /// Starts it with a configuration for the case, and waits until it takes connections. Where all is to be marked, an
    /// incident is open on every service when this returns.
    pub(crate) fn start(&self, case: &Case, sink: &Sink) -> anyhow::Result<Hop> {
        let ports = Ports::free()?;
        let folder = tempfile::tempdir()?;
        let downstream = sink.address(case.protocol);
        let (mut command, configuration, listens) = match self {
            Self::Faultline => {
                let configuration = faultline::configuration(case, &ports, downstream, folder.path());
                let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
                command.arg("serve");
                (command, configuration, vec![ports.otlp, ports.webhooks, ports.admin, ports.telemetry])
            }
            Self::Collector(file) => {
                (Command::new(file), collector::configuration(case, &ports, downstream), vec![ports.otlp])
            }
        };
        let file = folder.path().join("configuration.yaml");
        // JSON is YAML.
        fs::write(&file, serde_json::to_string_pretty(&configuration)?)?;
        let log = File::create(folder.path().join("log"))?;
        command.arg("--config").arg(&file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name()))?;
        let process = Process::of(child.id());
        let mut hop = Hop { child, folder, ports, process };
        for address in listens {
            hop.wait_for(address).with_context(|| format!("{} does not start:\n{}", self.name(), hop.log()))?;
        }
        if *self == Self::Faultline && case.marks {
            faultline::open_incident(&hop)?;
        }
        Ok(hop)
    }
}

// === impl Hop ===

impl Hop {
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// What it has written, the end of it.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    fn wait_for(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it ended: {status}");
            }
            anyhow::ensure!(Instant::now() < deadline, "it does not listen on {address} after {START:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

// === impl Ports ===

impl Ports {
    /// Free at this time. Held until all are found, so that no two are the same.
    fn free() -> anyhow::Result<Self> {
        let hold = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let held = [hold()?, hold()?, hold()?, hold()?];
        let [otlp, webhooks, admin, telemetry] = &held;
        Ok(Self {
            otlp: otlp.local_addr()?,
            webhooks: webhooks.local_addr()?,
            admin: admin.local_addr()?,
            telemetry: telemetry.local_addr()?,
        })
    }
}

/// As both programs call it.
fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http",
    }
}

/// As both programs call it.
fn compression_name(encoding: Encoding) -> Value {
    match encoding {
        Encoding::Identity => "none".into(),
        other => other.name().into(),
    }
}
