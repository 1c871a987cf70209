//! Table: what each service is marked with, compiled from configuration and state.
//!
//! Built anew after each merge and configuration, and when time alone changes it; never changed in between. Per resource
//! the hot path asks it once (which incidents concern this service?), per item once (which of these at that time?).

mod compose;

use std::collections::BTreeMap;

use crate::annotation::Annotation;
use crate::config::{Config, Target};
use crate::incident::{IncidentKind, Severity};
use crate::key_search::KeySearch;
use crate::limits;
use crate::otlp::{Concern, Marks, ResourceIdentity};
use crate::reach::{Reach, normalize};
use crate::receive::merged_into;
use crate::state::{EventWindow, State, View};
use crate::time::Nanos;
use compose::compose;

/// What each service is marked with.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Those that mark anything, in the order in which they come first on an item.
    incidents: Vec<Marking>,
    /// Services that incidents mark, and those that a rule leads to, which may have no incident at the moment.
    by_service: BTreeMap<Vec<u8>, Vec<Narrowed>>,
    by_normalized: BTreeMap<String, Vec<Narrowed>>,
    everything: Vec<Narrowed>,
    environments: Vec<(String, String)>,
    prefix: String,
    built_at: Nanos,
    changes_at: Option<Nanos>,
    /// Lists of incidents that concern some resource, most severe first; a [`Concern`] is an index.
    concerns: Vec<Vec<u32>>,
    /// For each of these, what finds all keys that it puts on items.
    searches: Vec<KeySearch>,
    concern_of: BTreeMap<Vec<u32>, usize>,
    annotations: Vec<Annotation>,
    annotation_of: BTreeMap<(u64, u64), usize>,
    /// The last answer; most items get the same as the one before.
    recent: Option<Recent>,
    /// For combinations beyond [`limits::ANNOTATIONS_KEPT_MAX`].
    passing: Annotation,
    fitting: Vec<u32>,
    /// Services in telemetry that no rule leads to.
    without_rule: BTreeMap<Vec<u8>, u64>,
    /// Resources of services beyond [`limits::GAPS_MAX`], and incidents beyond [`limits::INCIDENTS_PER_SERVICE_MAX`].
    overflow: Overflow,
}

/// What did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Resources whose service was not noted for `gaps`.
    pub services: u64,
    /// Resources on which not all incidents could be marked.
    pub incidents: u64,
}

/// What the items of a concern get that lie between two times, whole.
#[derive(Clone, Copy, Debug)]
struct Recent {
    concern: Concern,
    /// Both included.
    from: u64,
    until: u64,
    /// Index of the annotation; none outside of every window.
    annotation: Option<usize>,
}

/// An incident that marks something.
#[derive(Clone, Debug)]
struct Marking {
    source: String,
    external_id: String,
    kind: IncidentKind,
    severity: Severity,
    active: bool,
    url: Option<String>,
    title: Option<String>,
    environment: Option<String>,
    windows: Vec<EventWindow>,
    /// Attributes of its source, filled in.
    extra: Vec<(String, String)>,
}

/// One incident for a service, narrowed to a namespace and environment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Narrowed {
    incident: u32,
    namespace: Option<String>,
    environment: Option<String>,
}

// === impl Table ===

impl Table {
    /// Builds the table for `now`. What was noted for `gaps` is taken over from the table before.
    #[must_use]
    pub fn build(config: &Config, state: &State, before: &mut Self, now: Nanos) -> Self {
        let mut table = Self {
            built_at: now,
            prefix: config.prefix.clone(),
            environments: config.environments.iter().map(|(alias, name)| (alias.clone(), name.clone())).collect(),
            overflow: before.overflow,
            ..Self::default()
        };
        for target in config.services.iter().flat_map(|rule| &rule.to) {
            table.by_service.entry(target.service.clone().into_bytes()).or_default();
        }
        let mut marking: Vec<(View, Vec<EventWindow>, Reach)> = Vec::new();
        for view in state.incidents().filter_map(|key| state.view(key, now)) {
            let (windows, changes_at) = view.windows(&config.window, now);
            if windows.is_empty() {
                continue;
            }
            table.changes_at = [table.changes_at, changes_at].into_iter().flatten().min();
            let reach = Reach::of(config, &view, &merged_into(state, &view, now));
            if !reach.is_empty() {
                marking.push((view, windows, reach));
            }
        }
        marking.sort_unstable_by(|(left, ..), (right, ..)| order(left).cmp(&order(right)));
        for (view, windows, reach) in marking {
            table.add(config, view, windows, reach);
        }
        // Taking out those that have a rule now would bring 5 kB of balancing trees.
        for (service, count) in std::mem::take(&mut before.without_rule) {
            if !table.by_service.contains_key(&service) {
                table.without_rule.insert(service, count);
            }
        }
        table
    }

    /// Whether the table holds at `now`: time has not gone back, nor reached the next change.
    #[must_use]
    pub fn holds_at(&self, now: Nanos) -> bool {
        now >= self.built_at && self.changes_at.is_none_or(|changes_at| now < changes_at)
    }

    /// Whether nothing is marked.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.incidents.is_empty()
    }

    /// The services that may be marked; `None` for all.
    #[must_use]
    pub fn services(&self) -> Option<Vec<String>> {
        // A name that is compared without case cannot be listed for a host that compares bytes.
        if !self.everything.is_empty() || !self.by_normalized.is_empty() {
            return None;
        }
        let marked = self.by_service.iter().filter(|(_, narrowed)| !narrowed.is_empty());
        Some(marked.map(|(service, _)| String::from_utf8_lossy(service).into_owned()).collect())
    }

    /// Services in telemetry that no rule leads to, with the number of resources seen.
    pub fn without_rule(&self) -> impl Iterator<Item = (String, u64)> {
        self.without_rule.iter().map(|(service, count)| (String::from_utf8_lossy(service).into_owned(), *count))
    }

    /// What did not fit.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    fn add(&mut self, config: &Config, view: View, windows: Vec<EventWindow>, reach: Reach) {
        let Ok(incident) = u32::try_from(self.incidents.len()) else { return };
        let Reach { targets, normalized, everything, .. } = reach;
        let environment = targets.iter().find_map(|target| target.environment.clone());
        let narrowed = |target: &Target| Narrowed {
            incident,
            namespace: target.namespace.clone(),
            environment: target.environment.clone(),
        };
        for target in &targets {
            self.by_service.entry(target.service.clone().into_bytes()).or_default().push(narrowed(target));
        }
        for target in &normalized {
            self.by_normalized.entry(target.service.clone()).or_default().push(narrowed(target));
        }
        if let Some(environment) = everything {
            self.everything.push(Narrowed { incident, namespace: None, environment });
        }
        self.incidents.push(Marking::of(config, view, windows, environment));
    }

    /// Collects into `fitting` the incidents that concern the resource, and notes its service if no rule leads to it.
    #[inline(always)]
    fn collect_fitting(&mut self, resource: &ResourceIdentity<'_>) {
        let mut fitting = std::mem::take(&mut self.fitting);
        fitting.clear();
        let named = resource.service.and_then(|service| self.by_service.get(service));
        if let (None, Some(service)) = (named, resource.service) {
            note(service, &mut self.without_rule, &mut self.overflow);
        }
        let normalized = match resource.service {
            Some(service) if !self.by_normalized.is_empty() => {
                self.by_normalized.get(&normalize(&String::from_utf8_lossy(service)))
            }
            _ => None,
        };
        if named.is_none_or(Vec::is_empty) && normalized.is_none() && self.everything.is_empty() {
            // So it is with most resources.
            self.fitting = fitting;
            return;
        }
        for narrowed in named.into_iter().chain(normalized).chain([&self.everything]).flatten() {
            if self.fits(narrowed, resource) {
                fitting.push(narrowed.incident);
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        if fitting.len() > limits::INCIDENTS_PER_SERVICE_MAX {
            fitting.truncate(limits::INCIDENTS_PER_SERVICE_MAX);
            self.overflow.incidents += 1;
        }
        self.fitting = fitting;
    }

    /// What finds the keys that the fitting incidents put on items, alone or with others of them.
    fn search(&self) -> KeySearch {
        let members = self.fitting.iter().filter_map(|incident| self.incidents.get(usize::try_from(*incident).ok()?));
        // Which incident comes first, and whether there are several, differs from item to item.
        let groups: Vec<_> =
            members.flat_map(|incident| compose(&self.prefix, [incident, incident].into_iter())).collect();
        KeySearch::of(groups.iter().flat_map(|group| &group.attributes).map(|(key, _)| key.as_str()))
    }

    /// What a resource does not say cannot disagree.
    fn fits(&self, narrowed: &Narrowed, resource: &ResourceIdentity<'_>) -> bool {
        let agrees = |wanted: &Option<String>, given: Option<&[u8]>| match (wanted, given) {
            (Some(wanted), Some(given)) => wanted.as_bytes() == given,
            _ => true,
        };
        let canonical = |name| {
            let found = self.environments.binary_search_by(|(alias, _)| alias.as_bytes().cmp(name));
            found.ok().and_then(|at| self.environments.get(at)).map_or(name, |(_, canonical)| canonical.as_bytes())
        };
        agrees(&narrowed.namespace, resource.namespace)
            && agrees(&narrowed.environment, resource.environment.map(canonical))
    }

    /// Finds what an item gets, compiling it where it is new. The index of the annotation, none where it is not kept but
    /// passing.
    #[cold]
    fn find_annotation(&mut self, concern: Concern, mask: u64) -> Option<usize> {
        if let Some(index) = self.annotation_of.get(&(concern.0, mask)) {
            return Some(*index);
        }
        let members = self.concerns.get(usize::try_from(concern.0).ok()?)?;
        let chosen = members
            .iter()
            .enumerate()
            .filter(|(bit, _)| mask >> bit & 1 == 1)
            .filter_map(|(_, incident)| self.incidents.get(usize::try_from(*incident).ok()?));
        let annotation = Annotation::compile(&compose(&self.prefix, chosen));
        if self.annotations.len() >= limits::ANNOTATIONS_KEPT_MAX {
            self.passing = annotation;
            return None;
        }
        let index = self.annotations.len();
        self.annotation_of.insert((concern.0, mask), index);
        self.annotations.push(annotation);
        Some(index)
    }

    /// Compares the item with every window of the concern.
    #[cold]
    fn annotate_anew(&mut self, concern: Concern, from: u64, until: u64) -> Option<&Annotation> {
        let members = self.concerns.get(usize::try_from(concern.0).ok()?)?;
        let mut mask = 0_u64;
        let mut recent = Some(Recent { concern, from: 0, until: u64::MAX, annotation: None });
        for (bit, incident) in members.iter().enumerate() {
            let incident = usize::try_from(*incident).ok().and_then(|incident| self.incidents.get(incident));
            for window in incident.into_iter().flat_map(|incident| &incident.windows) {
                let end = window.until.unwrap_or(u64::MAX);
                mask |= u64::from(until >= window.from && from <= end) << bit;
                recent = recent.and_then(|recent| recent.beside(window.from, end, from, until));
            }
        }
        let index = if mask == 0 { None } else { self.find_annotation(concern, mask) };
        if mask != 0 && index.is_none() {
            return Some(&self.passing);
        }
        self.recent = recent.map(|recent| Recent { annotation: index, ..recent });
        self.annotations.get(index?)
    }
}

/// Notes a service that no rule leads to.
fn note(service: &[u8], without_rule: &mut BTreeMap<Vec<u8>, u64>, overflow: &mut Overflow) {
    if let Some(count) = without_rule.get_mut(service) {
        *count += 1;
    } else if without_rule.len() < limits::GAPS_MAX {
        let end = service.len().min(limits::LABEL_BYTES_MAX);
        without_rule.insert(service.get(..end).unwrap_or_default().to_vec(), 1);
    } else {
        overflow.services += 1;
    }
}

/// Most severe, then oldest, then by id.
fn order(view: &View) -> (std::cmp::Reverse<Severity>, Nanos, &crate::incident::Key) {
    (std::cmp::Reverse(view.severity()), view.started, &view.key)
}

impl Marks for Table {
    #[inline(always)]
    fn concerning(&mut self, resource: &ResourceIdentity<'_>) -> Option<Concern> {
        self.collect_fitting(resource);
        if self.fitting.is_empty() {
            return None;
        }
        let index = match self.concern_of.get(self.fitting.as_slice()) {
            Some(index) => *index,
            None => {
                let index = self.concerns.len();
                self.concern_of.insert(self.fitting.clone(), index);
                self.searches.push(self.search());
                self.concerns.push(self.fitting.clone());
                index
            }
        };
        u64::try_from(index).ok().map(Concern)
    }

    #[inline]
    fn annotation(&mut self, concern: Concern, from: u64, until: u64) -> Option<&Annotation> {
        match self.recent {
            Some(recent) if recent.concern == concern && recent.from <= from && until <= recent.until => {
                self.annotations.get(recent.annotation?)
            }
            _ => self.annotate_anew(concern, from, until),
        }
    }

    fn keys(&self, concern: Concern) -> Option<&KeySearch> {
        self.searches.get(usize::try_from(concern.0).ok()?)
    }
}

// === impl Recent ===

impl Recent {
    /// Narrowed so that every item within stands to the window `[start, end]` as the item `[from, until]` does. None when
    /// one end of the window lies inside the item: a shorter item next to it could stand otherwise.
    fn beside(self, start: u64, end: u64, from: u64, until: u64) -> Option<Self> {
        if end < from {
            Some(Self { from: self.from.max(end + 1), ..self })
        } else if until < start {
            Some(Self { until: self.until.min(start - 1), ..self })
        } else if start <= from && until <= end {
            Some(Self { from: self.from.max(start), until: self.until.min(end), ..self })
        } else {
            None
        }
    }
}

// === impl Marking ===

impl Marking {
    fn of(config: &Config, view: View, windows: Vec<EventWindow>, environment: Option<String>) -> Self {
        let subject = crate::config::Subject {
            source: &view.key.source,
            external_id: &view.key.id,
            state: view.state_name(),
            snapshot: &view.snapshot,
        };
        let source = config.sources.get(&view.key.source);
        let mut extra: Vec<(String, String)> = source
            .into_iter()
            .flat_map(|source| &source.attributes)
            .filter_map(|(name, template)| Some((name.clone(), template.fill(subject)?)))
            .collect();
        for (name, template) in
            source.and_then(|source| source.preset).into_iter().flat_map(|preset| preset.attributes(view.kind()))
        {
            if let Some(value) = template.fill(subject) {
                extra.push((name.to_owned(), value));
            }
        }
        Self {
            kind: view.kind(),
            severity: view.severity(),
            active: view.is_open(),
            windows,
            extra,
            environment,
            url: view.snapshot.url,
            title: view.snapshot.title.or(view.snapshot.display),
            source: view.key.source,
            external_id: view.key.id,
        }
    }

    fn id(&self) -> String {
        format!("{}:{}", self.source, self.external_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every window and every two items of ten instants.
    /// Guarantees: an item within what was remembered stands to the window as the item before it did.
    #[test]
    fn what_is_remembered_of_one_item_holds_for_all_within() {
        let spans: Vec<(u64, u64)> = (0..10).flat_map(|from| (from..10).map(move |until| (from, until))).collect();
        let whole = Recent { concern: Concern(0), from: 0, until: u64::MAX, annotation: None };
        let mut remembered = 0;
        for &(start, end) in &spans {
            let overlaps = |(from, until): (u64, u64)| until >= start && from <= end;
            for &item in &spans {
                let Some(recent) = whole.beside(start, end, item.0, item.1) else { continue };
                assert!(recent.from <= item.0 && item.1 <= recent.until, "the item itself lies within");
                for &other in spans.iter().filter(|other| recent.from <= other.0 && other.1 <= recent.until) {
                    remembered += 1;
                    assert_eq!(overlaps(other), overlaps(item), "{other:?} beside {item:?} in {start} to {end}");
                }
            }
        }
        assert!(remembered > 1000);
    }

    #[test]
    fn a_window_without_end_and_one_from_the_beginning_have_no_neighbours_beyond() {
        let whole = Recent { concern: Concern(0), from: 0, until: u64::MAX, annotation: None };
        let recent = whole.beside(5, u64::MAX, 7, 9).unwrap();
        assert_eq!((recent.from, recent.until), (5, u64::MAX));
        let recent = whole.beside(0, 5, 1, 2).unwrap();
        assert_eq!((recent.from, recent.until), (0, 5));
    }
}
