//! An OpenTelemetry Collector with a configuration of `deploy/`: a stock one, or one with Faultline inside.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use faultline_test_support::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tempfile::TempDir;

use super::ports::start_on_free_ports;
use super::process::ServerProcess;
use super::{binary, file, http};

/// A Collector. Its configuration takes addresses and the folder for its output from the variables that
/// `deploy/README.md` lists.
pub(crate) struct Collector {
    program: &'static str,
    addresses: Addresses,
    /// `None` while it is stopped.
    process: Option<ServerProcess>,
    configuration: PathBuf,
    settings: Vec<(String, String)>,
    /// Its output and its log.
    folder: TempDir,
}

/// What it listens on.
#[derive(Clone, Copy)]
struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
    webhooks: SocketAddr,
}

/// As users get it.
const STOCK: &str = "otelcol";
/// Built with the module in `plugin/opentelemetry-collector`.
const WITH_PLUGIN: &str = "otelcol-faultline";

// === impl Collector ===

impl Collector {
    /// Starts a stock one with a configuration of the workspace, for example `deploy/collector/behind.yaml`, and variables for
    /// that beside those of its own addresses and folder.
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) fn start(configuration: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_program(STOCK, configuration, settings)
    }

    /// Starts one with Faultline inside, in the same way.
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) fn start_with_plugin(configuration: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_program(WITH_PLUGIN, configuration, settings)
    }

    fn start_program(program: &'static str, configuration: &str, settings: &[(&str, &str)]) -> Self {
        let configuration = file(configuration);
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (addresses, process) = start_on_free_ports(|&[grpc, http, health, metrics, webhooks]| {
            let addresses = Addresses { grpc, http, health, metrics, webhooks };
            let command = command(program, &configuration, &settings, addresses, folder.path());
            ServerProcess::start(program, command, folder.path(), (health, "/"))
        });
        let [grpc, http, health, metrics, webhooks] = addresses;
        let addresses = Addresses { grpc, http, health, metrics, webhooks };
        Self { program, addresses, process: Some(process), configuration, settings, folder }
    }

    /// Its answer to a command of its own, such as `components`, or `validate --config FILE`.
    pub(crate) fn run(arguments: &[&str]) -> Output {
        Command::new(binary(STOCK)).args(arguments).output().expect("the Collector can be run")
    }

    /// The same of one with Faultline inside, with variables for its configuration.
    pub(crate) fn run_with_plugin(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let mut command = Command::new(binary(WITH_PLUGIN));
        command.args(arguments).envs(settings.iter().copied()).output().expect("the Collector can be run")
    }

    /// Where it takes OTLP/gRPC.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.addresses.grpc
    }

    /// Where it takes OTLP/HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.addresses.http
    }

    /// Where one with Faultline inside takes webhooks.
    pub(crate) fn webhooks(&self) -> SocketAddr {
        self.addresses.webhooks
    }

    /// The number of its process, to read what that uses; `None` while it is stopped.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::id)
    }

    /// Sends one request by OTLP/HTTP, as protobuf.
    ///
    /// # Panics
    /// If it does not answer 200.
    pub(crate) fn send(&self, signal: Signal, request: &[u8]) {
        let headers = [("Content-Type", "application/x-protobuf")];
        let path = format!("/v1/{}", name(signal));
        let answer = http::post(self.addresses.http, &path, &headers, request).expect("the Collector answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Kills it, as a crash would.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it after [`Self::stop`], at the same addresses and with the same output.
    ///
    /// # Panics
    /// If it does not start: another process may have taken an address meanwhile.
    pub(crate) fn start_again(&mut self) {
        let command = command(self.program, &self.configuration, &self.settings, self.addresses, self.folder.path());
        let started = ServerProcess::start(self.program, command, self.folder.path(), (self.addresses.health, "/"));
        self.process = Some(started.unwrap_or_else(|error| panic!("another process is there: {error:?}")));
    }

    /// The requests that its file exporter wrote so far, as OTLP/JSON in their order. It writes once a second.
    ///
    /// # Panics
    /// If a line of it is no JSON.
    pub(crate) fn written(&self, signal: Signal) -> Vec<Value> {
        self.lines(signal).iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The spans among them.
    ///
    /// # Panics
    /// If a line of it is no request of OTLP.
    pub(crate) fn written_spans(&self) -> Vec<Span> {
        let read =
            |line: &String| serde_json::from_str::<ExportTraceServiceRequest>(line).expect("a line is a request");
        let requests = self.lines(Signal::Traces);
        let resources = requests.iter().map(read).flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Whole lines: the last one may be written just now.
    fn lines(&self, signal: Signal) -> Vec<String> {
        let written =
            fs::read_to_string(self.folder.path().join(format!("{}.jsonl", name(signal)))).unwrap_or_default();
        written.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
    }

    /// A number of its own metrics, summed over all attributes; 0 if it has not counted yet. For example
    /// `otelcol_exporter_sent_spans`; the ending `_total` may be left out.
    ///
    /// # Panics
    /// If it does not answer.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = http::get(self.addresses.metrics, "/metrics").expect("the Collector tells its metrics").text();
        let of_that_name = answer.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let found = series.split('{').next()?;
            let is_it = found.strip_prefix(name).is_some_and(|ending| matches!(ending, "" | "_total"));
            is_it.then(|| value.parse::<f64>().ok()).flatten()
        });
        of_that_name.sum()
    }

    /// What it printed so far; empty while it is stopped.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().map(ServerProcess::log).unwrap_or_default()
    }
}

fn command(
    program: &str,
    configuration: &Path,
    settings: &[(String, String)],
    addresses: Addresses,
    folder: &Path,
) -> Command {
    let Addresses { grpc, http, health, metrics, webhooks } = addresses;
    let mut command = Command::new(binary(program));
    command
        .arg("--config")
        .arg(configuration)
        .env("OTLP_GRPC_ENDPOINT", grpc.to_string())
        .env("OTLP_HTTP_ENDPOINT", http.to_string())
        .env("HEALTH_ENDPOINT", health.to_string())
        .env("METRICS_HOST", metrics.ip().to_string())
        .env("METRICS_PORT", metrics.port().to_string())
        .env("WEBHOOKS_ENDPOINT", webhooks.to_string())
        .env("OUTPUT_FOLDER", folder)
        .env("STORAGE_FOLDER", folder.join("storage"))
        .envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// As in paths of OTLP/HTTP, and in files of the configurations.
fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}
