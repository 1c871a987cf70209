//! One webhook: authenticated, read, and compared with what is known. Changes nothing.

mod decide;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::authentic;
use crate::config::{Config, Source};
use crate::counters::Counters;
use crate::digest;
use crate::entry::{DeliveryRecord, Entry, IncidentRecord, Record};
use crate::incident::Key;
use crate::reach::Reach;
use crate::sources::{self, Event, Fault, Reading};
use crate::state::{State, View};
use crate::time::{Nanos, Rfc3339};
use crate::webhook::{Receipt, Transition, Webhook};
use decide::{Decision, decide};

/// Transitions that the body of a reply lists; a batch webhook can have thousands, and no sender reads the reply.
const TRANSITIONS_IN_REPLY_MAX: usize = 100;

/// Incidents that may go on as one; a chain longer than this is somebody's mistake, or mischief.
const MERGED_MAX: usize = 64;

/// What is needed to judge a webhook.
pub(crate) struct Receiver<'a> {
    pub(crate) config: &'a Config,
    pub(crate) state: &'a State,
    pub(crate) counters: &'a mut Counters,
    pub(crate) now: Nanos,
    /// What this webhook said so far; a batch may speak of one incident twice.
    pub(crate) said: BTreeMap<Key, Vec<IncidentRecord>>,
}

/// The body of a reply to a webhook that was taken.
#[derive(Serialize)]
struct Reply<'a> {
    status: &'static str,
    transitions: Vec<Listed<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    not_listed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    incident: &'a str,
    kind: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    at: String,
    services: &'a [String],
    reason: &'a str,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

// === impl Receiver ===

impl Receiver<'_> {
    pub(crate) fn receive(&mut self, source_name: &str, webhook: &Webhook) -> Receipt {
        let receipt = self.answer(source_name, webhook);
        let known = if self.config.sources.contains_key(source_name) { source_name } else { "unknown" };
        self.counters.add("webhooks", &[("source", known), ("status", &receipt.status.to_string())], 1);
        for transition in &receipt.transitions {
            self.counters.add("events", &[("kind", transition.kind), ("source", known)], 1);
        }
        receipt
    }

    fn answer(&mut self, name: &str, webhook: &Webhook) -> Receipt {
        let config = self.config;
        let Some(source) = config.sources.get(name) else {
            return Receipt::plain(404, "unknown-source", "no such source is configured");
        };
        if webhook.method != "POST" {
            return Receipt::plain(405, "method-not-allowed", "expected POST");
        }
        if webhook.body.len() > config.limits.webhook_bytes {
            let most = config.limits.webhook_bytes;
            return Receipt::plain(
                413,
                "too-large",
                &format!("the body has {} bytes, at most {most} are taken", webhook.body.len()),
            );
        }
        if let Err(rejection) = authentic::check(source, webhook) {
            self.counters.add("webhooks.unauthentic", &[("reason", rejection.name()), ("source", name)], 1);
            return Receipt::plain(401, "unauthorized", "not authentic");
        }
        match sources::read(config, name, source, webhook) {
            Err(Fault::Malformed(message)) => Receipt::plain(400, "malformed", &message),
            Err(Fault::TooLarge(message)) => Receipt::plain(413, "too-large", &message),
            Ok(Reading::Nothing { kind, reason }) => {
                // 200, whatever it was, or the sender gives up on us.
                let mut receipt = Receipt::plain(200, kind, &reason);
                receipt.transitions.push(self.aside(name, kind, reason));
                receipt
            }
            Ok(Reading::Events { delivery, events, unread, note }) => {
                let delivery = delivery.filter(|_| unread.is_empty());
                let asides = unread.into_iter().map(|(kind, reason)| self.aside(name, kind, reason)).collect();
                self.events(name, source, delivery, events, asides, note)
            }
        }
    }

    /// Authentic, and about no incident.
    fn aside(&self, source: &str, kind: &'static str, reason: String) -> Transition {
        Transition {
            source: source.to_owned(),
            incident: String::new(),
            kind,
            from: None,
            to: kind,
            at: self.now,
            services: Vec::new(),
            reason,
        }
    }

    fn events(
        &mut self,
        name: &str,
        source: &Source,
        delivery: Option<String>,
        events: Vec<Event>,
        mut transitions: Vec<Transition>,
        note: Option<String>,
    ) -> Receipt {
        let delivery = delivery.map(|id| digest::short(id.as_bytes()));
        if let Some(digest) = &delivery
            && self.state.knows_delivery(name, digest)
        {
            return self.duplicate(name, &events);
        }
        let mut entries = Vec::new();
        let mut opening = 0;
        for event in events {
            let Decision { record, mut transition, view } = decide(self, name, source, event);
            let Some(record) = record else {
                transitions.push(transition);
                continue;
            };
            let opens = transition.from.is_none() && !record.state.is_terminal();
            opening += usize::from(opens);
            if opens && self.is_full(opening) {
                let most = self.config.limits.open_incidents;
                return Receipt::not_now(&format!(
                    "{most} incidents are open, the most that `limits.open_incidents` allows"
                ));
            }
            if let Some(view) = view {
                let reach = self.reach(&view);
                transition.services = reach.services();
                transition.reason = format!("{}: {}", transition.reason, reach.reason);
                if reach.unmatched {
                    self.counters.add("incidents.unmatched", &[("source", &view.key.source)], 1);
                }
            }
            self.said.entry(record.incident.clone()).or_default().push(record.clone());
            let entry = Entry::of(&Record::Incident(Box::new(record)));
            if !entry.fits() {
                return Receipt::plain(
                    413,
                    "too-large",
                    "an incident with its labels and services is over the limit of one entry",
                );
            }
            entries.push(entry);
            transitions.push(transition);
        }
        if let Some(digest) = delivery {
            let record = DeliveryRecord { received: self.now, source: name.to_owned(), digest };
            entries.push(Entry::of(&Record::Delivery(record)));
        }
        accepted(entries, transitions, note)
    }

    /// The sender repeats a delivery whose entries are committed.
    fn duplicate(&self, name: &str, events: &[Event]) -> Receipt {
        let mut receipt = Receipt::plain(200, "duplicate", "this delivery was taken before");
        for event in events {
            let key = event.key(name);
            let state = self.state.view(&key, self.now).map(|view| view.state_name());
            receipt.transitions.push(Transition {
                source: key.source.clone(),
                incident: key.to_string(),
                kind: "duplicate",
                from: state,
                to: state.unwrap_or("unknown"),
                at: event.time.unwrap_or(self.now),
                services: Vec::new(),
                reason: "this delivery was taken before".to_owned(),
            });
        }
        receipt
    }

    /// Whether `more` incidents could not be opened.
    fn is_full(&self, more: usize) -> bool {
        match self.config.limits.open_incidents.checked_sub(more) {
            None => true,
            Some(left) => self.state.has_open(left + 1, self.now),
        }
    }

    pub(crate) fn reach(&self, view: &View) -> Reach {
        let merged = merged_into(self.state, view, self.now);
        Reach::of(self.config, view, &merged)
    }
}

/// The incidents that were merged into this one, and those merged into them.
pub(crate) fn merged_into(state: &State, view: &View, now: Nanos) -> Vec<View> {
    let mut found: Vec<View> = Vec::new();
    let mut targets = vec![view.key.clone()];
    while let Some(target) = targets.pop() {
        for key in state.merged_into(&target) {
            let known = key == view.key || found.iter().any(|other| other.key == key);
            if known || found.len() >= MERGED_MAX {
                continue;
            }
            let goes_on_there =
                |other: &View| !other.is_open() && other.snapshot.merged_into.as_deref() == Some(target.id.as_str());
            if let Some(other) = state.view(&key, now).filter(goes_on_there) {
                targets.push(key);
                found.push(other);
            }
        }
    }
    found
}

fn accepted(entries: Vec<Entry>, transitions: Vec<Transition>, note: Option<String>) -> Receipt {
    let reply = Reply {
        status: "accepted",
        transitions: transitions.iter().take(TRANSITIONS_IN_REPLY_MAX).map(Listed::of).collect(),
        not_listed: transitions.len().saturating_sub(TRANSITIONS_IN_REPLY_MAX),
        note,
    };
    let status = if entries.is_empty() { 200 } else { 202 };
    let body = serde_json::to_string(&reply).unwrap_or_default();
    Receipt { status, retry_after_secs: None, body, entries, transitions }
}

// === impl Listed ===

impl<'a> Listed<'a> {
    fn of(transition: &'a Transition) -> Self {
        let Transition { source: _, incident, kind, from, to, at, services, reason } = transition;
        Self { incident, kind, from: *from, to, at: Rfc3339(*at).to_string(), services, reason }
    }
}
