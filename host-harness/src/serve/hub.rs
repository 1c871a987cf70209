//! The thread that alone decides about incidents: webhooks are received, committed, merged, published, and then answered.
//!
//! What comes while one commit is under way is committed together by the next: a disk takes its time whether it is given
//! one webhook or a hundred.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;

use super::committed::Board;
use super::instance::Instance;
use super::metrics::Metrics;
use super::switch::Stop;
use crate::guest::GuestBuild;
use crate::host::{Delivery, Host, Received, SetupError};
use crate::journal::Journal;
use crate::plugin::{ConfigError, ConfigWarning, Extent, Gap, Transition};
use crate::time::{Nanos, Rfc3339, now};

/// The way to the thread. It ends when all of these are gone.
#[derive(Clone)]
pub struct Hub {
    asks: SyncSender<Ask>,
}

/// What the thread has: the plugin that decides, the journal, and whom to tell.
pub struct Core<'build> {
    /// The plugin and its journal.
    pub host: Host<'build, Box<dyn Journal>>,
    pub(super) board: Arc<Board>,
    metrics: Arc<Metrics>,
    instances: Vec<Arc<Mutex<Instance>>>,
    /// While somebody has stopped marking.
    pub(super) stop: Option<Stop>,
}

/// What the thread is started with.
pub struct Start {
    /// From which instances are made.
    pub build: Arc<GuestBuild>,
    /// For the plugin, as JSON.
    pub config: String,
    /// What is committed.
    pub journal: Box<dyn Journal>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// What the thread tells when it is ready.
pub struct Ready {
    /// The way to it.
    pub hub: Hub,
    /// Where it publishes.
    pub board: Arc<Board>,
    /// What the configuration is warned of.
    pub warnings: Vec<ConfigWarning>,
    /// Ends after the last [`Hub`].
    pub thread: thread::JoinHandle<()>,
}

enum Ask {
    Receive(Box<Delivery>, oneshot::Sender<Received>),
    Do(Box<dyn for<'build> FnOnce(&mut Core<'build>) + Send>),
}

/// The hub has more to do than it can, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The kind of a gap that only instances know of that see telemetry.
const UNRULED_SERVICE: &str = "service-without-rule";
/// Asks that wait. A sender whose webhook is not among them is told to come again.
const QUEUE: usize = 1024;
/// Webhooks that are committed together.
const GROUP: usize = 256;
/// How often leases are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often it is said that marking is stopped.
const REMINDER: Duration = Duration::from_secs(60);
/// How often the journal may be compacted.
const COMPACTION: Duration = Duration::from_secs(60);

// === impl Hub ===

impl Hub {
    /// Starts the thread, and waits until the plugin has what is committed.
    ///
    /// # Errors
    /// When the configuration has faults, or the plugin or the journal fails.
    pub fn start(start: Start) -> Result<Ready, SetupError> {
        let (asks, queue) = sync_channel(QUEUE);
        let (ready, is_ready) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                let Start { build, config, journal, metrics } = start;
                let made = Core::new(&build, config, journal, metrics);
                match made {
                    Ok((mut core, warnings)) => {
                        let board = core.board.clone();
                        if ready.send(Ok((board, warnings))).is_ok() {
                            core.run(&queue);
                        }
                    }
                    // Nobody waits for it only if the process ends.
                    Err(error) => drop(ready.send(Err(error))),
                }
            })
            .map_err(|error| SetupError::Other(anyhow::Error::from(error).context("cannot start a thread")))?;
        let answer =
            is_ready.blocking_recv().map_err(|_| SetupError::Other(anyhow!("the hub ended while it began")))?;
        let (board, warnings) = answer?;
        Ok(Ready { hub: Self { asks }, board, warnings, thread })
    }

    /// Takes one webhook in. What it answers is durable and in force.
    ///
    /// # Errors
    /// When the hub cannot take it now.
    pub async fn receive(&self, delivery: Delivery) -> Result<Received, Busy> {
        let (reply, answer) = oneshot::channel();
        self.send(Ask::Receive(Box::new(delivery), reply))?;
        answer.await.map_err(|_| Busy)
    }

    /// Runs something on the thread.
    ///
    /// # Errors
    /// When the hub cannot take it now.
    pub async fn ask<T: Send + 'static>(
        &self,
        what: impl for<'build> FnOnce(&mut Core<'build>) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (reply, answer) = oneshot::channel();
        // Who asked may have gone.
        self.send(Ask::Do(Box::new(move |core| drop(reply.send(what(core))))))?;
        answer.await.map_err(|_| Busy)
    }

    fn send(&self, ask: Ask) -> Result<(), Busy> {
        self.asks.try_send(ask).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }
}

// === impl Core ===

impl<'build> Core<'build> {
    fn new(
        build: &'build GuestBuild,
        config: String,
        journal: Box<dyn Journal>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Vec<ConfigWarning>), SetupError> {
        let at = now();
        let for_instances: Arc<str> = config.as_str().into();
        let (mut host, warnings) = Host::new(build, config, journal, "hub", at)?;
        let state = host.state(Extent::All, at)?;
        let board = Arc::new(Board::new(for_instances, state, true));
        let published = board.clone();
        host.on_commit(Box::new(move |entries| published.add(entries)));
        let mut core = Self { host, board, metrics, instances: Vec::new(), stop: None };
        core.resume_switch()?;
        Ok((core, warnings))
    }

    fn run(&mut self, queue: &Receiver<Ask>) {
        let mut tick = Instant::now() + TICK;
        let mut compaction = Instant::now() + COMPACTION;
        let mut reminder = Instant::now();
        let mut deliveries = Vec::new();
        let mut replies = Vec::new();
        loop {
            let mut next = match queue.recv_timeout(tick.saturating_duration_since(Instant::now())) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // In the order in which they came: what is asked after a webhook sees what the webhook did.
            while let Some(ask) = next.take() {
                match ask {
                    Ask::Receive(delivery, reply) => {
                        deliveries.push(*delivery);
                        replies.push(reply);
                        if deliveries.len() < GROUP {
                            next = queue.try_recv().ok();
                        }
                    }
                    Ask::Do(what) => {
                        self.receive(&mut deliveries, &mut replies);
                        what(self);
                    }
                }
            }
            self.receive(&mut deliveries, &mut replies);
            if Instant::now() >= tick {
                tick = Instant::now() + TICK;
                self.expire();
            }
            if Instant::now() >= reminder {
                reminder = Instant::now() + REMINDER;
                for by in self.stopped() {
                    tracing::warn!("marking is stopped by {by}");
                }
            }
            if self.board.wants_folding() {
                self.fold();
            }
            if Instant::now() >= compaction {
                compaction = Instant::now() + COMPACTION;
                if let Err(error) = self.host.compact(now()) {
                    tracing::warn!(reason = format!("{error:#}"), "the journal was not compacted");
                }
            }
        }
    }

    fn receive(&mut self, deliveries: &mut Vec<Delivery>, replies: &mut Vec<oneshot::Sender<Received>>) {
        if deliveries.is_empty() {
            return;
        }
        let received = match self.host.receive_all(deliveries, now()) {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(reason = format!("{error:#}"), "webhooks cannot be taken in");
                deliveries.iter().map(|_| Received::unavailable(format!("{error:#}"))).collect()
            }
        };
        for (delivery, received) in deliveries.iter().zip(&received) {
            self.tell(delivery, received);
        }
        for (reply, received) in replies.drain(..).zip(received) {
            // A sender that went away will send again, and be a duplicate.
            let _ = reply.send(received);
        }
        deliveries.clear();
        self.wake_instances();
    }

    fn tell(&self, delivery: &Delivery, received: &Received) {
        if let Some(failure) = &received.failure {
            self.metrics.journal_failed();
            tracing::error!(source = delivery.source, failure, "a webhook could not be stored; its sender got 503");
            return;
        }
        for key in &received.set_aside {
            tracing::warn!(
                source = delivery.source,
                key,
                "an entry was received more than an hour from now: a clock is wrong"
            );
        }
        self.tell_transitions(&received.transitions);
        if received.status >= 400 {
            tracing::warn!(
                source = delivery.source,
                status = received.status,
                answer = received.body,
                "a webhook was refused"
            );
        }
    }

    fn tell_transitions(&self, transitions: &[Transition]) {
        for Transition { source, incident, kind, from, to, at, services, reason } in transitions {
            self.metrics.transition(source, kind);
            let (from, at, services) = (from.as_deref().unwrap_or("new"), Rfc3339(*at), services.join(", "));
            let [incident, reason] = [incident, reason].map(|text| crate::clean::line(text));
            match kind.as_str() {
                "expired" => tracing::warn!(incident, kind, from, to, %at, services, reason, "incident"),
                _ => tracing::info!(incident, kind, from, to, %at, services, reason, "incident"),
            }
        }
    }

    fn expire(&mut self) {
        match self.host.expire(now()) {
            Ok(transitions) => {
                self.tell_transitions(&transitions);
                if !transitions.is_empty() {
                    self.wake_instances();
                }
            }
            Err(error) => {
                self.metrics.journal_failed();
                tracing::error!(reason = format!("{error:#}"), "leases that ran out could not be reported");
            }
        }
    }

    fn fold(&mut self) {
        match self.host.state(Extent::All, now()) {
            Ok(state) => self.board.fold(state),
            Err(error) => tracing::error!(reason = format!("{error:#}"), "the plugin does not tell its state"),
        }
    }

    /// Gives instances that are idle what was committed, so that no batch waits for it.
    fn wake_instances(&self) {
        let committed = self.board.read();
        let at: Nanos = now();
        for instance in &self.instances {
            match instance.try_lock() {
                // One that fails is made anew before its next batch.
                Ok(mut instance) => drop(instance.catch_up(&committed, at)),
                Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => {}
            }
        }
    }

    /// Instances that are to be kept abreast, at once too.
    pub fn attend(&mut self, instances: Vec<Arc<Mutex<Instance>>>) {
        self.instances = instances;
        self.wake_instances();
    }

    /// What the configuration leaves out: incidents that matched no service, as this thread's instance knows, and services
    /// of telemetry, as those know that see it. One that is busy is left out.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn gaps(&mut self) -> anyhow::Result<Vec<Gap>> {
        let at = now();
        let mut gaps = BTreeMap::<(String, String), Gap>::new();
        let of_instances = self.instances.iter().filter_map(|instance| Some(instance.try_lock().ok()?.gaps(at)));
        let of_telemetry: Vec<Gap> = of_instances.flatten().filter(|gap| gap.kind == UNRULED_SERVICE).collect();
        for gap in self.host.gaps(at)?.into_iter().chain(of_telemetry) {
            match gaps.entry((gap.kind.clone(), gap.subject.clone())) {
                Entry::Vacant(vacant) => drop(vacant.insert(gap)),
                Entry::Occupied(mut known) => known.get_mut().count += gap.count,
            }
        }
        Ok(gaps.into_values().collect())
    }

    /// Puts another configuration in force, here and in every instance.
    ///
    /// # Errors
    /// All its faults; the one before stays in force then.
    pub fn configure(&mut self, config: String) -> anyhow::Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>> {
        let for_instances: Arc<str> = config.as_str().into();
        let answer = self.host.configure(config, now()).context("the plugin cannot be configured")?;
        if answer.is_ok() {
            self.board.configure(for_instances);
            self.wake_instances();
        }
        Ok(answer)
    }
}
