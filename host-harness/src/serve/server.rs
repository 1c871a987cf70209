//! Puts the server together, lets it run, and takes it apart again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use axum::Router;
use hyper_util::service::TowerToHyperService;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::bearer::Tokens;
use super::buffers::{Budget, Buffers};
use super::committed::Board;
use super::config::ServerTls;
use super::connection::{self, Manner};
use super::files::Files;
use super::health::{self, Health};
use super::hub::{Hub, Ready, Start};
use super::instance::Instance;
use super::loaded::{InForce, Loaded, Unusable};
use super::metrics::Metrics;
use super::otlp::hop::{Bounds, Hop, Transport};
use super::otlp::target::Target;
use super::reload::Reload;
use super::worker::{Connection, Worker};
use super::{admin, own_metrics, reconcile, spokes, tls, webhooks};
use crate::cli::Hint;
use crate::config_file::ConfigFile;
use crate::diagnostics::Severity;
use crate::guest::{GuestBuild, Limits};
use crate::hex;
use crate::host::SetupError;
use crate::journal::{Journal, RedbJournal};
use crate::time::now;

/// What the parts share while the server runs.
struct Server {
    loaded: Loaded,
    health: Health,
    hub: Hub,
    workers: Vec<Worker>,
    board: Arc<Board>,
    in_force: InForce,
    inner_token: Arc<str>,
    stop: watch::Sender<bool>,
}

/// A port that is open, and what becomes of connections to it. They wait until the first is accepted.
struct Port {
    listener: TcpListener,
    manner: Manner,
    leads_to: Way,
}

/// Where connections lead.
enum Way {
    /// To workers.
    Otlp(Transport),
    /// To what is served here.
    Routes(Router),
}

/// Why the server did not start.
#[derive(Debug)]
pub enum Failure {
    /// The configuration has faults.
    Config(Unusable),
    /// Anything else.
    Other(anyhow::Error),
}

/// Connections to each of the listeners that are not for telemetry.
const CONNECTIONS: usize = 1024;
/// Requests under way on one of those.
const REQUESTS: usize = 64;
/// Without a request for so long, such a connection is closed.
const IDLE: Duration = Duration::from_secs(120);

/// Serves until the process is told to stop (`SIGTERM`, `SIGINT`), then drains and returns.
///
/// # Errors
/// When the configuration has faults, the journal cannot be opened, or a port cannot be had.
pub fn run(path: &Path, build: impl FnOnce(Limits) -> anyhow::Result<GuestBuild>) -> Result<(), Failure> {
    let inner_token: Arc<str> = random_token()?.into();
    let mut files = Files::new(path);
    let loaded = files.read(&inner_token)?.map_err(Failure::Config)?;
    let build = Arc::new(build(limits(&loaded))?);
    let metrics = Arc::new(Metrics::default());
    let journal_path = loaded.serve.journal.path.path();
    let journal: Box<dyn Journal> = Box::new(RedbJournal::open(journal_path)?);
    // What was acknowledged before is in force before the first port opens.
    let Ready { hub, board, warnings, thread: hub_thread } =
        Hub::start(Start { build: build.clone(), config: loaded.plugin.clone(), journal, metrics: metrics.clone() })
            .map_err(|error| not_set_up(error, &loaded))?;
    for diagnostic in loaded.file.diagnostics(Severity::Warning, &warnings).iter().chain(&loaded.warnings) {
        tracing::warn!("{}", diagnostic.one_line());
    }
    let budget = Arc::new(Budget::new(loaded.serve.otlp.held_bytes));
    let (stop, stopping) = watch::channel(false);
    let mut instances = Vec::new();
    let mut instance = |name: String| {
        let instance = Arc::new(Mutex::new(Instance::new(build.clone(), name)));
        instances.push(instance.clone());
        instance
    };
    let large = instance("large".to_owned());
    let mut workers = Vec::new();
    for number in 0..loaded.serve.workers() {
        let buffers = Buffers::new(budget.clone());
        let hop = Arc::new(Hop {
            board: board.clone(),
            instance: instance(format!("worker-{number}")),
            large: large.clone(),
            targets: ArcSwap::from_pointee(targets(&loaded, &buffers)?),
            buffers,
            metrics: metrics.clone(),
            bounds: Bounds {
                request_bytes: loaded.serve.otlp.request_bytes,
                receive_timeout: Duration::from_nanos(loaded.serve.otlp.receive_timeout.nanos()),
            },
        });
        workers.push(Worker::start(number, hop, stopping.clone())?);
    }
    let is_stopping = Arc::new(AtomicBool::new(false));
    let instances = instances.into_iter().map(health::Watched::new).collect();
    let health = Health { metrics, hub: hub.clone(), budget, instances, began: Instant::now(), is_stopping };
    let in_force = InForce::new(&loaded);
    let server = Server { loaded, health, hub, workers, board, in_force, inner_token, stop };
    // One thread: what is to be fast has threads of its own.
    let control = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let ended = control.block_on(server.serve(files));
    control.shutdown_timeout(Duration::from_secs(1));
    // The last of the ways to it is gone: it has committed what it took.
    let _ = hub_thread.join();
    tracing::info!("stopped");
    ended.map_err(Failure::Other)
}

// === impl Server ===

impl Server {
    async fn serve(mut self, files: Files) -> anyhow::Result<()> {
        // Before any port is open: whoever finds the server ready may send a signal at once, and until it is listened to,
        // it ends the process.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let instances = self.health.instances.iter().map(health::Watched::what).collect();
        let attended = self.hub.ask(move |core| core.attend(instances)).await;
        attended.map_err(|_| anyhow!("the hub ended while the server began"))?;
        let mut tasks = JoinSet::new();
        let mut reload = Reload::new(
            files,
            self.loaded.clone(),
            self.inner_token.clone(),
            self.hub.clone(),
            self.health.metrics.clone(),
            self.in_force.clone(),
            self.workers.iter().map(|worker| worker.hop.clone()).collect(),
        );
        for port in self.open()? {
            tell(&port);
            match port.leads_to {
                Way::Otlp(transport) => self.spawn_otlp(&mut tasks, port.listener, port.manner, transport),
                Way::Routes(routes) => self.spawn_routes(&mut tasks, port.listener, port.manner, routes),
            }
        }
        self.start_chores(&mut tasks, &reload.file());
        tracing::info!(version = env!("CARGO_PKG_VERSION"), workers = self.workers.len(), "serving");
        let mut look = tokio::time::interval(super::reload::INTERVAL);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => reload.reload().await,
                _ = look.tick() => reload.reload_if_changed().await,
            }
        }
        self.drain(tasks).await;
        Ok(())
    }

    /// Opens all ports, with their certificates: where one cannot be had, none has taken anything.
    fn open(&self) -> anyhow::Result<Vec<Port>> {
        let serve = &self.loaded.serve;
        let mut ports = Vec::new();
        let otlp = |name, address, tls: Option<&ServerTls>, transport| {
            let is_http2_only = transport == Transport::Grpc;
            let protocols: &[&[u8]] = if is_http2_only { &[b"h2"] } else { &[b"h2", b"http/1.1"] };
            let tls = tls.map(|tls| tls::server(tls, protocols)).transpose()?;
            let manner = Manner {
                listener: name,
                tls,
                is_http2_only,
                requests: serve.otlp.requests_per_connection,
                idle: Duration::from_nanos(serve.otlp.idle_timeout.nanos()),
            };
            anyhow::Ok(Port { listener: connection::listen(name, address)?, manner, leads_to: Way::Otlp(transport) })
        };
        let routes = |name, address, tls: Option<&ServerTls>, routes| {
            let tls = tls.map(|tls| tls::server(tls, &[b"h2", b"http/1.1"])).transpose()?;
            let manner = Manner { listener: name, tls, is_http2_only: false, requests: REQUESTS, idle: IDLE };
            anyhow::Ok(Port { listener: connection::listen(name, address)?, manner, leads_to: Way::Routes(routes) })
        };
        if let Some(grpc) = &serve.otlp.grpc {
            ports.push(otlp("otlp/grpc", grpc.listen.0, grpc.tls.as_ref(), Transport::Grpc)?);
        }
        if let Some(http) = &serve.otlp.http {
            ports.push(otlp("otlp/http", http.listen.0, http.tls.as_ref(), Transport::Http)?);
        }
        let webhooks = webhooks::router(webhooks::Webhooks {
            hub: self.hub.clone(),
            metrics: self.health.metrics.clone(),
            budget: self.health.budget.clone(),
            settings: self.in_force.webhooks.clone(),
        });
        ports.push(routes("webhooks", serve.webhooks.listen.0, serve.webhooks.tls.as_ref(), webhooks)?);
        ports.push(routes("telemetry", serve.telemetry.listen.0, None, health::router(self.health.clone()))?);
        if !serve.admin.tokens.is_empty() {
            let admin = admin::router(admin::Admin {
                hub: self.hub.clone(),
                tokens: Arc::new(Tokens::new(&serve.admin.tokens)),
                inner_token: self.inner_token.clone(),
                budget: self.health.budget.clone(),
            });
            ports.push(routes("admin", serve.admin.listen.0, serve.admin.tls.as_ref(), admin)?);
        }
        if let Some(config) = &serve.spokes {
            let (metrics, settings) = (self.health.metrics.clone(), self.in_force.spokes.clone());
            let spokes = spokes::router(spokes::Spokes::new(self.hub.clone(), self.board.clone(), metrics, settings));
            ports.push(routes("spokes", config.listen.0, config.tls.as_ref(), spokes)?);
        }
        Ok(ports)
    }

    fn spawn_otlp(&self, tasks: &mut JoinSet<()>, listener: TcpListener, manner: Manner, transport: Transport) {
        let connections = Arc::new(Semaphore::new(self.loaded.serve.otlp.connections));
        let workers: Vec<_> = self.workers.iter().map(Worker::sender).collect();
        let next = AtomicUsize::new(0);
        let stop = self.stop.subscribe();
        tasks.spawn(async move {
            let taken = |stream: tokio::net::TcpStream, permit| {
                // A connection that cannot change its runtime is gone already.
                let Ok(stream) = stream.into_std() else { return };
                let worker = &workers[next.fetch_add(1, Ordering::Relaxed) % workers.len()];
                let connection = Connection { stream, manner: manner.clone(), transport, permit };
                // A worker that has ended takes no more: the server is stopping.
                let _ = worker.send(connection);
            };
            connection::accept(listener, connections, stop, taken).await;
        });
    }

    fn spawn_routes(&self, tasks: &mut JoinSet<()>, listener: TcpListener, manner: Manner, routes: Router) {
        let stop = self.stop.subscribe();
        let metrics = self.health.metrics.clone();
        tasks.spawn(async move {
            let connections = Arc::new(Semaphore::new(CONNECTIONS));
            let taken = |stream, permit| {
                let (manner, stop, metrics) = (manner.clone(), stop.clone(), metrics.clone());
                let service = TowerToHyperService::new(routes.clone());
                tokio::spawn(async move {
                    if !connection::serve(stream, &manner, service, stop).await {
                        metrics.connection_refused(manner.listener);
                    }
                    drop(permit);
                });
            };
            connection::accept(listener, connections.clone(), stop.clone(), taken).await;
            // Those that are under way may end.
            let _ = connections.acquire_many(u32::try_from(CONNECTIONS).unwrap_or(u32::MAX)).await;
        });
    }

    fn start_chores(&self, tasks: &mut JoinSet<()>, file: &Arc<ArcSwap<ConfigFile>>) {
        for reconcile in &self.loaded.serve.reconcile {
            let chore = reconcile::run(
                reconcile.clone(),
                file.clone(),
                self.hub.clone(),
                self.health.metrics.clone(),
                self.stop.subscribe(),
            );
            tasks.spawn(chore);
        }
        if let Some(own) = &self.loaded.serve.telemetry.otlp {
            tasks.spawn(own_metrics::run(own.clone(), self.health.clone(), now(), self.stop.subscribe()));
        }
    }

    /// Takes nothing more, and waits for what is under way, but not for ever.
    async fn drain(&mut self, mut tasks: JoinSet<()>) {
        self.health.is_stopping.store(true, Ordering::Relaxed);
        let limit = Duration::from_nanos(self.loaded.serve.drain.0.nanos());
        tracing::info!(limit_secs = limit.as_secs(), "stopping: no new connections, requests under way may end");
        let _ = self.stop.send(true);
        // Nothing is sent: the channel ends when the last worker has.
        let (under_way, mut all_ended) = mpsc::channel::<()>(1);
        for mut worker in std::mem::take(&mut self.workers) {
            let under_way = under_way.clone();
            thread::spawn(move || {
                worker.join();
                drop(under_way);
            });
        }
        drop(under_way);
        let ended = async {
            all_ended.recv().await;
            while tasks.join_next().await.is_some() {}
        };
        if timeout(limit, ended).await.is_err() {
            tracing::warn!("requests were cut off: they did not end in time, and their senders will repeat them");
        }
    }
}

fn tell(Port { listener, manner, .. }: &Port) {
    let address = listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
    tracing::info!(address, tls = manner.tls.is_some(), "listening for {}", manner.listener);
}

/// The next hops of a configuration, for one worker.
pub(super) fn targets(loaded: &Loaded, buffers: &Arc<Buffers>) -> anyhow::Result<Vec<Target>> {
    loaded.serve.forward.iter().map(|forward| Target::new(forward, buffers.clone())).collect()
}

fn limits(loaded: &Loaded) -> Limits {
    let plugin = &loaded.serve.plugin;
    Limits {
        memory_bytes: plugin.memory_bytes,
        process: Duration::from_nanos(plugin.batch_timeout.nanos()),
        ..Limits::default()
    }
}

/// What nobody can guess, for requests that the admin listener has let in.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(hex::encode(&bytes))
}

fn not_set_up(error: SetupError, loaded: &Loaded) -> Failure {
    match error {
        SetupError::Config(faults) => {
            Failure::Config(Unusable::of(&loaded.file, loaded.file.diagnostics(Severity::Error, &faults)))
        }
        SetupError::Other(error) => Failure::Other(error.context(Hint {
            message: format!("cannot begin with what {} holds", loaded.serve.journal.path.path().display()),
            hint: "where the plugin wants more memory than it is given, raise `serve.plugin.memory_bytes`".to_owned(),
        })),
    }
}

// === impl Failure ===

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
