//! Annotator: the functions of the contract.

mod items;

use std::collections::BTreeMap;

use crate::config::{Config, Fault, SpanMarking};
use crate::counters::{Counter, Counters};
use crate::entry::{Entry, ExpiryRecord, Record};
use crate::gaps::Gap;
use crate::limits;
use crate::naming;
use crate::otlp::{EditList, ItemMarks, Marking, Marks, Refusal, ResourceGroups, Rewriter, Signal, Tally};
use crate::reach::Reach;
use crate::receive::{Receiver, merged_into};
use crate::state::{Extent, Merged, Standing, State, View};
use crate::status::{Explanation, Item, Status};
use crate::table::Table;
use crate::time::{Nanos, Rfc3339};
use crate::webhook::{Receipt, Transition, Webhook};
use items::Items;

/// One instance of the plugin's logic.
#[derive(Default)]
pub struct Annotator {
    config: Option<Config>,
    state: State,
    table: Table,
    /// The table does not show the last merge or configuration.
    stale: bool,
    /// The host passes only what it is told to.
    is_asked_for_interest: bool,
    rewriter: Rewriter,
    counters: Counters,
    items: Items,
}

/// Which telemetry would be marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None.
    Nothing,
    /// Possibly any.
    Everything,
    /// That of these services.
    Services(Vec<String>),
}

/// What a host must pass to [`Annotator::process`] at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// A superset of what would change.
    pub marks: Scope,
    /// One batch in so many is wanted whole, for evidence and for `gaps`; 0: none.
    pub evidence_one_in: u32,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Hand on the bytes that were passed in.
    Unchanged,
    /// Hand on these instead.
    Replaced(Vec<u8>),
    /// Not readable: hand on the bytes that were passed in. Byte offset and reason.
    Refused(String),
}

/// Leases that ran out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// To be committed and merged, so that each is reported once.
    pub entries: Vec<Entry>,
    /// One for each.
    pub transitions: Vec<Transition>,
}

// === impl Annotator ===

impl Annotator {
    /// Sets or replaces the configuration; answers with warnings. The state is kept.
    ///
    /// # Errors
    /// All faults of the document, or an empty `instance`; the configuration before stays in force.
    pub fn configure(&mut self, config: &str, instance: &str) -> Result<Vec<Fault>, Vec<Fault>> {
        if instance.is_empty() {
            let message = "the host gave no name for this instance".to_owned();
            return Err(vec![Fault { pointer: String::new(), message, hint: None }]);
        }
        let (config, warnings) = Config::check(config)?;
        self.config = Some(config);
        self.stale = true;
        Ok(warnings)
    }

    /// What [`Annotator::process`] would change.
    pub fn interest(&mut self, signal: Signal, now: Nanos) -> Affected {
        self.refresh(now);
        self.is_asked_for_interest = true;
        let marks = match &self.config {
            Some(config) if marks_signal(config, signal) && !self.table.is_idle() => {
                self.table.services().map_or(Scope::Everything, Scope::Services)
            }
            _ => Scope::Nothing,
        };
        let evidence_one_in = if self.config.is_some() { limits::SERVICES_SEEN_ONE_IN } else { 0 };
        Affected { marks, evidence_one_in: u32::try_from(evidence_one_in).unwrap_or_default() }
    }

    /// Marks one batch: an OTLP export request of that signal, as protobuf.
    pub fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Outcome {
        let marked = self.walk(signal, batch, now, |rewriter, marking, table, tally| {
            rewriter.rewrite(signal, batch, marking, table, tally)
        });
        match marked {
            Ok(None) => Outcome::Unchanged,
            Ok(Some(bytes)) => Outcome::Replaced(bytes),
            Err(reason) => Outcome::Refused(reason),
        }
    }

    /// What [`Annotator::process`] would change, as edits for the caller to make; none when it would change nothing.
    /// Counted as `process` counts.
    ///
    /// # Errors
    /// The batch is refused: byte offset and reason.
    pub fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<EditList, String> {
        let edits = self.walk(signal, batch, now, |rewriter, marking, table, tally| {
            let edits = rewriter.edits(signal, batch, marking, table, tally)?;
            Ok((!edits.is_empty()).then_some(edits))
        });
        edits.map(Option::unwrap_or_default)
    }

    /// What [`Annotator::process`] would add, by the positions of the items; nothing when it would change nothing. Counted
    /// as `process` counts.
    ///
    /// # Errors
    /// The batch is refused: byte offset and reason.
    pub fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<ItemMarks, String> {
        let marks = self.walk(signal, batch, now, |rewriter, marking, table, tally| {
            let marks = rewriter.marks(signal, batch, marking, table, tally)?;
            Ok((!marks.items.is_empty()).then_some(marks))
        });
        marks.map(Option::unwrap_or_default)
    }

    /// Calls `handle` if there is anything to mark, and counts what became of the batch: `None` is unchanged.
    fn walk<T>(
        &mut self,
        signal: Signal,
        batch: &[u8],
        now: Nanos,
        handle: impl FnOnce(&mut Rewriter, &Marking, &mut Table, &mut Tally) -> Result<Option<T>, Refusal>,
    ) -> Result<Option<T>, String> {
        self.refresh(now);
        let Some(config) = &self.config else { return Ok(None) };
        let items = self.items.of(signal);
        if self.table.is_idle() || !marks_signal(config, signal) {
            items.unchanged += 1;
            // Nothing to mark. Now and then a batch is walked for the services that no rule leads to; what cannot be
            // read there passes like the rest. A host that asks for interest passes only those that are wanted.
            let is_wanted = self.is_asked_for_interest || items.unchanged % limits::SERVICES_SEEN_ONE_IN == 1;
            if is_wanted && batch.len() <= config.limits.batch_bytes {
                for group in ResourceGroups::of(batch).map_while(Result::ok) {
                    self.table.concerning(&group.identity);
                }
            }
            return Ok(None);
        }
        let handled = handle(&mut self.rewriter, &marking(config), &mut self.table, &mut items.tally);
        match &handled {
            Ok(None) => items.unchanged += 1,
            Ok(Some(_)) => items.replaced += 1,
            Err(_) => items.refused += 1,
        }
        handled.map_err(|refusal| refusal.to_string())
    }

    /// Reads one webhook. Changes nothing but counters.
    pub fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Receipt {
        let Some(config) = &self.config else { return Receipt::not_now("the plugin is not configured") };
        Receiver { config, state: &self.state, counters: &mut self.counters, now, said: BTreeMap::new() }
            .receive(source, webhook)
    }

    /// Takes entries into the state: the only way in.
    ///
    /// # Errors
    /// When the state would pass its hard bound; nothing is taken in then.
    pub fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Merged, String> {
        let merged = self.state.merge(entries, now)?;
        self.counters.add("entries.merged", &[], merged.changed.into());
        self.counters.add("entries.foreign", &[], merged.foreign.into());
        self.counters.add("entries.set_aside", &[], u64::try_from(merged.set_aside.len()).unwrap_or(u64::MAX));
        self.stale |= merged.changed > 0;
        Ok(merged)
    }

    /// Reports incidents whose lease has run out and that were not reported yet.
    pub fn expire(&mut self, now: Nanos) -> Expiry {
        let mut expiry = Expiry::default();
        for status in self.statuses(now) {
            let View { key, standing: Standing::Expired, lease_until: Some(lease_until), .. } = &status.view else {
                continue;
            };
            if self.state.knows_expiry(key, *lease_until) {
                continue;
            }
            let record = ExpiryRecord { received: now, incident: key.clone(), lease_until: *lease_until };
            expiry.entries.push(Entry::of(&Record::Expiry(record)));
            expiry.transitions.push(Transition {
                source: key.source.clone(),
                incident: key.to_string(),
                kind: "expired",
                from: Some(status.view.state.name()),
                to: "expired",
                at: *lease_until,
                services: status.reach.services(),
                reason: format!("no word from its source until {}, when its lease ran out", Rfc3339(*lease_until)),
            });
        }
        for transition in &expiry.transitions {
            self.counters.add("leases.expired", &[("source", &transition.source)], 1);
        }
        expiry
    }

    /// The state as entries, sorted by key.
    #[must_use]
    pub fn state(&self, extent: Extent) -> Vec<Entry> {
        self.state.entries(extent)
    }

    /// The incidents that are open, in the order in which they come first on an item.
    #[must_use]
    pub fn open(&self, now: Nanos) -> Vec<Status> {
        in_order(self.statuses(now).filter(|status| status.view.is_open()).collect())
    }

    /// One incident, open or not, by any of its names.
    ///
    /// # Errors
    /// There is none, or the name is ambiguous; then the candidates are listed.
    pub fn find(&self, name: &str, now: Nanos) -> Result<Status, String> {
        let key = naming::find(name, self.state.incidents().filter_map(|key| self.state.view(key, now)))?;
        self.state
            .view(&key, now)
            .and_then(|view| self.status(view, now))
            .ok_or_else(|| "the plugin is not configured".to_owned())
    }

    /// Whether and why each known incident marks an item; those that mark it first, then those that concern its service
    /// at another time or in other surroundings.
    #[must_use]
    pub fn explain(&self, item: Item<'_>, now: Nanos) -> Vec<Explanation> {
        let Some(config) = &self.config else { return Vec::new() };
        let item = Item { environment: item.environment.map(|name| config.environment(name)), ..item };
        let (mut marking, mut concerned, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for status in in_order(self.statuses(now).collect()) {
            let explanation = status.explain(item);
            match (explanation.marks, status.concerns(item.service)) {
                (true, _) => marking.push(explanation),
                (_, true) => concerned.push(explanation),
                _ => others.push(explanation),
            }
        }
        marking.append(&mut concerned);
        marking.append(&mut others);
        marking
    }

    /// What the configuration leaves out: incidents, as known at `now`, that matched no service; and services in
    /// telemetry that no rule leads to.
    #[must_use]
    pub fn gaps(&self, now: Nanos) -> Vec<Gap> {
        let services: Vec<(String, u64)> = self.table.without_rule().collect();
        let names: Vec<String> = services.iter().map(|(name, _)| name.clone()).collect();
        let incidents = self.statuses(now).filter(|status| status.reach.unmatched).take(limits::GAPS_MAX);
        incidents
            .map(|status| Gap::of_incident(&status, &names))
            .chain(services.iter().map(|(name, count)| Gap::of_service(name, *count)))
            .collect()
    }

    /// All counters of this instance that are not 0, sorted by name and attributes.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        let mut counters = self.counters.clone();
        self.items.count_into(&mut counters);
        let overflow = self.table.overflow();
        counters.add("resources.service_not_noted", &[], overflow.services);
        counters.add("resources.incidents_cut", &[], overflow.incidents);
        counters.all()
    }

    fn refresh(&mut self, now: Nanos) {
        if !self.stale && self.table.holds_at(now) {
            return;
        }
        if let Some(config) = &self.config {
            self.table = Table::build(config, &self.state, &mut self.table, now);
            self.stale = false;
        }
    }

    fn statuses(&self, now: Nanos) -> impl Iterator<Item = Status> {
        self.state.incidents().filter_map(move |key| self.status(self.state.view(key, now)?, now))
    }

    fn status(&self, view: View, now: Nanos) -> Option<Status> {
        let config = self.config.as_ref()?;
        let (windows, _) = view.windows(&config.window, now);
        let reach = Reach::of(config, &view, &merged_into(&self.state, &view, now));
        Some(Status { view, windows, reach })
    }
}

/// In the order in which they come first on an item. Sorting brings 5 kB with each place that does it.
#[inline(never)]
fn in_order(mut statuses: Vec<Status>) -> Vec<Status> {
    statuses.sort_unstable_by(|left, right| left.order().cmp(&right.order()));
    statuses
}

fn marks_signal(config: &Config, signal: Signal) -> bool {
    match signal {
        Signal::Traces => config.traces.spans != SpanMarking::Off,
        Signal::Metrics => config.metrics.points.is_on() || config.metrics.exemplars.is_on(),
        Signal::Logs => config.logs.records.is_on(),
    }
}

fn marking(config: &Config) -> Marking {
    Marking {
        spans: config.traces.spans,
        logs: config.logs.records.is_on(),
        points: config.metrics.points.is_on(),
        exemplars: config.metrics.exemplars.is_on(),
        batch_bytes_max: config.limits.batch_bytes,
    }
}
