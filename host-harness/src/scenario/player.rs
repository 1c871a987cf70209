//! Plays a scenario step by step.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::event::{Event, Occurrence, TelemetryEvent, TelemetryOutcome, TransitionRecord, WebhookEvent};
use super::format::{Action, Scenario, Sign, TelemetryStep, WebhookStep};
use super::generated;
use super::summary::{Summary, Tally};
use super::why::Why;
use crate::diagnostics::{Diagnostic, Severity};
use crate::hex;
use crate::host::{Host, Processed, SetupError};
use crate::journal::{Journal, MemoryJournal};
use crate::plugin::{Build, Incident, Outcome, Webhook};
use crate::signature;
use crate::telemetry::{self, Batch, SignalName};
use crate::time::{Nanos, Rfc3339};

/// A scenario under way. Each step that [`Iterator::next`] gives has been played.
pub struct Player<'build, 'scenario> {
    scenario: &'scenario Scenario,
    host: Host<'build, MemoryJournal>,
    played: usize,
    tally: Tally,
}

// === impl Player ===

impl<'build, 'scenario> Player<'build, 'scenario> {
    /// Makes an instance of the plugin and configures it.
    ///
    /// # Errors
    /// When the configuration has faults, or the plugin fails.
    pub fn new(build: &'build dyn Build, scenario: &'scenario Scenario) -> anyhow::Result<Self> {
        let config = scenario.config.to_json();
        let host = match Host::new(build, config, MemoryJournal::default(), "replay", scenario.start) {
            Ok((host, _warnings)) => host,
            Err(SetupError::Config(faults)) => {
                let diagnostics = scenario.config.diagnostics(Severity::Error, &faults);
                let lines: Vec<_> = diagnostics.iter().map(Diagnostic::one_line).collect();
                bail!("the plugin refuses the configuration of the scenario: {}", lines.join("; "));
            }
            Err(SetupError::Other(error)) => return Err(error),
        };
        Ok(Self { scenario, host, played: 0, tally: Tally::default() })
    }

    /// How many steps there are.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.scenario.steps.len()
    }

    /// The plugin as the scenario leaves it, to ask it further; it no longer needs the scenario.
    #[must_use]
    pub fn into_host(self) -> Host<'build, Box<dyn Journal>> {
        self.host.boxed()
    }

    /// Adds up what was played, and asks the plugin for the rest.
    ///
    /// # Errors
    /// When the plugin traps.
    pub fn summary(&mut self) -> anyhow::Result<Summary> {
        let now = self.scenario.end();
        let mut known = BTreeMap::new();
        for id in self.tally.incidents() {
            // A plugin forgets what is beyond its horizon; a long scenario gets there.
            if let Ok(incident) = self.host.find(&id, now) {
                known.insert(id, incident);
            }
        }
        let open = self.host.open(now)?;
        let tally = std::mem::take(&mut self.tally);
        Ok(tally.finish(self.host.counters()?, self.host.gaps(now)?, &open, known))
    }

    fn play(&mut self, number: usize) -> anyhow::Result<Event> {
        let step = &self.scenario.steps[number];
        let now = step.at;
        let what = match &step.action {
            Action::Webhook(webhook) => Occurrence::Webhook(self.webhook(webhook, now)?),
            Action::Telemetry(telemetry) => Occurrence::Telemetry(self.telemetry(telemetry, now)?),
            Action::Expire => {
                let transitions = self.host.expire(now)?;
                Occurrence::Expire { transitions: transitions.into_iter().map(TransitionRecord::from).collect() }
            }
            Action::Restart => {
                self.host.restart(now)?;
                Occurrence::Restart { entries: self.host.journal().entries()?.len() }
            }
        };
        let incidents = self.host.open(now)?;
        let ids = || incidents.iter().map(|incident: &Incident| incident.id.clone()).collect();
        let open = (!matches!(what, Occurrence::Telemetry(_))).then(ids);
        Ok(Event { at: Rfc3339(now), step: number + 1, what, open, incidents })
    }

    fn webhook(&mut self, step: &WebhookStep, now: Nanos) -> anyhow::Result<WebhookEvent> {
        let request = self.request(step)?;
        self.host.journal_mut().failing = step.commit_fails;
        let received = self.host.receive(&step.source, &request, now)?;
        self.host.journal_mut().failing = false;
        let body = serde_json::from_str(&received.body).unwrap_or(Value::String(received.body));
        Ok(WebhookEvent {
            source: step.source.clone(),
            file: step.file.clone(),
            status: received.status,
            retry_after: received.retry_after_secs,
            body,
            transitions: received.transitions.into_iter().map(TransitionRecord::from).collect(),
            failure: received.failure,
            set_aside: received.set_aside,
        })
    }

    fn request(&self, step: &WebhookStep) -> anyhow::Result<Webhook> {
        let mut body = self.scenario.file(&step.file)?;
        if let Some(length) = step.pad
            && length > body.len()
        {
            body.resize(length, b' ');
        }
        let config = self.scenario.config.root();
        let known = config.get("sources").and_then(|sources| sources.get(&step.source)).is_some();
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        headers.extend(match &step.sign {
            Sign::Configured if known => signature::sign(config, &step.source, None, &body)?,
            Sign::With(secret) if known => signature::sign(config, &step.source, Some(secret), &body)?,
            // For a source that does not exist there is no way to sign.
            Sign::Configured | Sign::With(_) | Sign::No => Vec::new(),
        });
        headers.extend(step.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(Webhook {
            method: step.method.clone(),
            url: format!("/webhooks/{}", step.source),
            headers: headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            body,
        })
    }

    fn telemetry(&mut self, step: &TelemetryStep, now: Nanos) -> anyhow::Result<TelemetryEvent> {
        let (file, batch) = self.batch(step, now)?;
        let counters = self.host.counters()?;
        let processed = self.host.process(step.signal, &batch, now)?;
        let outcome = match &processed {
            Processed::Answered(Outcome::Unchanged) => TelemetryOutcome::Unchanged,
            Processed::Answered(Outcome::Replaced(_)) => TelemetryOutcome::Replaced,
            Processed::Answered(Outcome::Refused(reason)) => TelemetryOutcome::Refused { reason: reason.clone() },
            Processed::Trapped(trap) => TelemetryOutcome::Trapped { reason: trap.to_string() },
        };
        let mut why = Why::new(&outcome, step.signal, counters, self.host.counters()?);
        let before = Batch::decode(step.signal, &batch).map(|batch| batch.items()).unwrap_or_default();
        let handed_on = processed.handed_on(batch);
        let after = match outcome {
            TelemetryOutcome::Replaced => {
                Batch::decode(step.signal, &handed_on).context("the plugin made a batch that cannot be read")?.items()
            }
            _ => before.clone(),
        };
        let host = &mut self.host;
        let changes = telemetry::changes(before, after, |item| why.not(item, |asked| host.explain(asked, now)))?;
        Ok(TelemetryEvent {
            signal: SignalName(step.signal),
            file,
            items: changes.len(),
            outcome,
            marked: changes.iter().filter(|change| change.reason.is_none()).count(),
            groups: telemetry::groups(&changes),
            sha256: hex::encode(&Sha256::digest(&handed_on)),
            changes,
            handed_on,
        })
    }

    fn batch(&self, step: &TelemetryStep, now: Nanos) -> anyhow::Result<(String, Vec<u8>)> {
        match (&step.file, &step.generate) {
            (Some(file), _) => {
                Ok((file.clone(), telemetry::read_fixture(step.signal, file, self.scenario.file(file)?)?))
            }
            (None, Some(generate)) => Ok(("generated".to_owned(), generated::batch(step.signal, generate, now))),
            (None, None) => Err(anyhow!("a step with telemetry has neither file nor generator")),
        }
    }
}

impl Iterator for Player<'_, '_> {
    type Item = anyhow::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.played;
        if number >= self.scenario.steps.len() {
            return None;
        }
        self.played += 1;
        let event = self.play(number).with_context(|| format!("step {} of {}", number + 1, self.scenario.name));
        if let Ok(event) = &event {
            self.tally.add(event);
        } else {
            // What comes after a step that failed would only mislead.
            self.played = self.scenario.steps.len();
        }
        Some(event)
    }
}
