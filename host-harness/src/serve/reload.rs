//! A configuration that is read again: on `SIGHUP`, and when its file changes. The last good one stays in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use faultline_annotator::config::Secret;

use super::bearer::Tokens;
use super::config::ServeConfig;
use super::files::Files;
use super::hub::{Busy, Hub};
use super::loaded::{InForce, Loaded};
use super::metrics::Metrics;
use super::otlp::hop::Hop;
use super::server::targets;
use crate::config_file::ConfigFile;
use crate::diagnostics::Severity;

/// Reads the configuration again, and puts it in force.
pub(super) struct Reload {
    files: Files,
    loaded: Loaded,
    inner_token: Arc<str>,
    hub: Hub,
    metrics: Arc<Metrics>,
    in_force: InForce,
    file: Arc<ArcSwap<ConfigFile>>,
    hops: Vec<Arc<Hop>>,
}

/// How often the files are looked at. Contents are compared, not times: what Kubernetes mounts changes by links.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

// === impl Reload ===

impl Reload {
    /// For a configuration that is in force, and the files that it was read from.
    pub(super) fn new(
        files: Files,
        loaded: Loaded,
        inner_token: Arc<str>,
        hub: Hub,
        metrics: Arc<Metrics>,
        in_force: InForce,
        hops: Vec<Arc<Hop>>,
    ) -> Self {
        let file = Arc::new(ArcSwap::from_pointee(loaded.file.clone()));
        Self { files, loaded, inner_token, hub, metrics, in_force, file, hops }
    }

    /// The file that is in force at any time, by which the server signs what it sends to itself.
    pub(super) fn file(&self) -> Arc<ArcSwap<ConfigFile>> {
        self.file.clone()
    }

    /// Reads again what has changed.
    pub(super) async fn reload_if_changed(&mut self) {
        if self.files.have_changed() {
            self.reload().await;
        }
    }

    /// Reads the configuration, and puts it in force if it has no faults.
    pub(super) async fn reload(&mut self) {
        let result = self.try_reload().await;
        self.metrics.reloaded(result.is_ok());
        match result {
            Ok(()) => {
                tracing::info!(path = %self.files.path().display(), "the configuration was read again and is in force");
                if has_certificates(&self.loaded.serve) {
                    tracing::info!(
                        "certificates of listeners were not read again: new ones take effect with the next start"
                    );
                }
            }
            Err(reasons) => {
                for reason in reasons {
                    tracing::error!(reason, "the configuration was not taken; the last good one stays in force");
                }
            }
        }
    }

    async fn try_reload(&mut self) -> Result<(), Vec<String>> {
        let one = |error: anyhow::Error| vec![format!("{error:#}")];
        // A faulty one is not read again until it changes.
        let loaded = self.files.read(&self.inner_token).map_err(one)?.map_err(|unusable| unusable.lines())?;
        let mut of_hops = Vec::new();
        for hop in &self.hops {
            of_hops.push(targets(&loaded, &hop.buffers).map_err(one)?);
        }
        let plugin = loaded.plugin.clone();
        let configured = self.hub.ask(move |core| core.configure(plugin)).await;
        let configured = configured.map_err(|Busy| {
            // That is no fault of the configuration: it is tried again.
            self.files.forget();
            vec!["the hub has too much to do".to_owned()]
        });
        let configured = configured?.map_err(one)?;
        let warnings = configured.map_err(|faults| {
            let diagnostics = loaded.file.diagnostics(Severity::Error, &faults);
            diagnostics.iter().map(crate::diagnostics::Diagnostic::one_line).collect::<Vec<_>>()
        })?;
        for diagnostic in loaded.file.diagnostics(Severity::Warning, &warnings).iter().chain(&loaded.warnings) {
            tracing::warn!("{}", diagnostic.one_line());
        }
        for (hop, targets) in self.hops.iter().zip(of_hops) {
            hop.targets.store(Arc::new(targets));
        }
        self.in_force.replace(&loaded);
        self.file.store(Arc::new(loaded.file.clone()));
        for key in needs_restart(&self.loaded, &loaded) {
            tracing::warn!(key, "this part of the configuration takes effect with the next start");
        }
        self.loaded = loaded;
        Ok(())
    }
}

/// Parts of `serve` that have changed and are only read at the start.
fn needs_restart<'a>(before: &'a Loaded, after: &'a Loaded) -> Vec<&'static str> {
    let (before, after) = (&before.serve, &after.serve);
    // A secret does not show in what `Debug` writes: tokens are compared by their digests, headers as they are.
    let tokens = |serve: &ServeConfig| Tokens::new(&serve.admin.tokens);
    let own_headers = |serve: &'a ServeConfig| serve.telemetry.otlp.as_ref().map(|own| exposed(&own.headers));
    let of_reconcile = |serve: &'a ServeConfig| {
        serve.reconcile.iter().map(|reconcile| exposed(&reconcile.headers)).collect::<Vec<_>>()
    };
    // Tokens and time to live of spokes take effect at once.
    let spokes =
        |serve: &ServeConfig| serve.spokes.as_ref().map(|spokes| format!("{:?} {:?}", spokes.listen, spokes.tls));
    let changed = [
        ("serve.otlp", format!("{:?}", before.otlp) != format!("{:?}", after.otlp)),
        ("serve.webhooks", format!("{:?}", before.webhooks) != format!("{:?}", after.webhooks)),
        (
            "serve.admin",
            format!("{:?}", before.admin) != format!("{:?}", after.admin) || tokens(before) != tokens(after),
        ),
        ("serve.spokes", spokes(before) != spokes(after)),
        (
            "serve.telemetry",
            format!("{:?}", before.telemetry) != format!("{:?}", after.telemetry)
                || own_headers(before) != own_headers(after),
        ),
        ("serve.journal", format!("{:?}", before.journal) != format!("{:?}", after.journal)),
        ("serve.plugin", format!("{:?}", before.plugin) != format!("{:?}", after.plugin)),
        (
            "serve.reconcile",
            format!("{:?}", before.reconcile) != format!("{:?}", after.reconcile)
                || of_reconcile(before) != of_reconcile(after),
        ),
        ("serve.workers", before.workers != after.workers),
        ("serve.drain", before.drain.0 != after.drain.0),
    ];
    changed.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
}

/// Headers with their secrets, to compare them.
fn exposed(headers: &BTreeMap<String, Secret>) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect()
}

/// Whether any listener reads a certificate at the start.
fn has_certificates(serve: &ServeConfig) -> bool {
    let of_otlp = [
        serve.otlp.grpc.as_ref().and_then(|grpc| grpc.tls.as_ref()),
        serve.otlp.http.as_ref().and_then(|http| http.tls.as_ref()),
    ];
    let of_spokes = serve.spokes.as_ref().and_then(|spokes| spokes.tls.as_ref());
    let others = [serve.webhooks.tls.as_ref(), serve.admin.tls.as_ref(), of_spokes];
    of_otlp.into_iter().chain(others).any(|tls| tls.is_some())
}
