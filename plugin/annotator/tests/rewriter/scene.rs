//! Incidents as a test tells them, once for the rewriter and once for the oracle.

use std::collections::BTreeMap;

use faultline_annotator::{
    annotation::{Annotation, Group, Value},
    config::SpanMarking,
    key_search::KeySearch,
    limits,
    otlp::{Concern, EditList, ItemMarks, Marking, Marks, Refusal, ResourceIdentity, Rewriter, Signal, Tally},
};
use faultline_test_support::{
    Counts, Incidents, Judgement, MarkedSpans, Options, Owner,
    opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value},
    oracle,
};

/// One incident: whom it affects, when, and what it puts on items.
#[derive(Clone, Debug)]
pub(crate) struct TestIncident {
    /// Empty: all, those without name too.
    pub(crate) services: Vec<String>,
    /// Resources that name another namespace are left alone.
    pub(crate) namespace: Option<String>,
    /// Resources that name another environment are left alone.
    pub(crate) environment: Option<String>,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) attributes: Vec<(String, Value)>,
}

/// Several incidents, numbered as they stand; 64 at most.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) incidents: Vec<TestIncident>,
}

/// What the rewriter asks. Each combination of incidents is compiled once.
pub(crate) struct SceneMarks<'a> {
    scene: &'a Scene,
    compiled: BTreeMap<u64, Annotation>,
    keys: KeySearch,
}

/// Marks everything but metric points, as large as batches may be.
pub(crate) const EVERYTHING: Marking = Marking {
    spans: SpanMarking::All,
    logs: true,
    points: true,
    exemplars: true,
    batch_bytes_max: limits::BATCH_BYTES_MAX,
};

impl TestIncident {
    /// Affects all at any time.
    pub(crate) fn everywhere(attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().map(|(key, text)| ((*key).to_owned(), Value::Text((*text).to_owned())));
        Self {
            services: Vec::new(),
            namespace: None,
            environment: None,
            from: 0,
            until: u64::MAX,
            attributes: attributes.collect(),
        }
    }

    fn concerns(&self, owner: &Owner) -> bool {
        let agrees =
            |wanted: &Option<String>, given: &Option<String>| wanted.is_none() || given.is_none() || wanted == given;
        let named = owner.service.as_ref().is_some_and(|service| self.services.contains(service));
        (self.services.is_empty() || named)
            && agrees(&self.namespace, &owner.namespace)
            && agrees(&self.environment, &owner.environment)
    }

    fn overlaps(&self, from: u64, until: u64) -> bool {
        self.from <= until && from <= self.until
    }
}

impl Scene {
    /// One incident that marks all with these texts.
    pub(crate) fn marking_all(attributes: &[(&str, &str)]) -> Self {
        Self { incidents: vec![TestIncident::everywhere(attributes)] }
    }

    /// The scene as the rewriter asks for it.
    pub(crate) fn marks(&self) -> SceneMarks<'_> {
        let attributes = self.incidents.iter().flat_map(|incident| &incident.attributes);
        let keys = KeySearch::of(attributes.map(|(key, _)| key.as_str())).of_any_length();
        SceneMarks { scene: self, compiled: BTreeMap::new(), keys }
    }

    /// What the rewriter makes of `batch`, with a new rewriter.
    pub(crate) fn rewrite(
        &self,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
    ) -> Result<(Option<Vec<u8>>, Tally), Refusal> {
        let mut tally = Tally::default();
        let result = Rewriter::default().rewrite(signal, batch, marking, &mut self.marks(), &mut tally)?;
        Ok((result, tally))
    }

    /// The edits that [`Self::rewrite`] makes.
    pub(crate) fn edits(&self, signal: Signal, batch: &[u8], marking: &Marking) -> Result<(EditList, Tally), Refusal> {
        let mut tally = Tally::default();
        let result = Rewriter::default().edits(signal, batch, marking, &mut self.marks(), &mut tally)?;
        Ok((result, tally))
    }

    /// What [`Self::rewrite`] adds, by positions.
    pub(crate) fn item_marks(
        &self,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
    ) -> Result<(ItemMarks, Tally), Refusal> {
        let mut tally = Tally::default();
        let result = Rewriter::default().marks(signal, batch, marking, &mut self.marks(), &mut tally)?;
        Ok((result, tally))
    }

    /// What the oracle says, in the rewriter's words; none where `prost` cannot read the batch.
    pub(crate) fn judge(&self, signal: Signal, batch: &[u8], marking: &Marking) -> Option<(Option<Vec<u8>>, Tally)> {
        let Judgement { bytes, counts } = oracle::annotate(plain_signal(signal), batch, &plain(marking), self).ok()?;
        Some((bytes, tally(counts)))
    }
}

impl Incidents for Scene {
    fn concern(&self, owner: &Owner) -> bool {
        self.incidents.iter().any(|incident| incident.concerns(owner))
    }

    fn groups(&self, owner: &Owner, from: u64, until: u64) -> Vec<oracle::Group> {
        let marking =
            self.incidents.iter().filter(|incident| incident.concerns(owner) && incident.overlaps(from, until));
        marking
            .map(|incident| incident.attributes.iter().map(|(key, value)| (key.clone(), any_value(value))).collect())
            .collect()
    }
}

impl Marks for SceneMarks<'_> {
    fn concerning(&mut self, resource: &ResourceIdentity<'_>) -> Option<Concern> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let owner = Owner {
            service: resource.service.map(text),
            namespace: resource.namespace.map(text),
            environment: resource.environment.map(text),
        };
        let bits = self.scene.incidents.iter().enumerate().filter(|(_, incident)| incident.concerns(&owner));
        let concern = bits.fold(0, |bits, (index, _)| bits | 1 << index);
        (concern != 0).then_some(Concern(concern))
    }

    fn annotation(&mut self, concern: Concern, from: u64, until: u64) -> Option<&Annotation> {
        let incidents = &self.scene.incidents;
        let open = (0..incidents.len())
            .filter(|index| concern.0 & 1 << index != 0 && incidents[*index].overlaps(from, until))
            .fold(0_u64, |bits, index| bits | 1 << index);
        if open == 0 {
            return None;
        }
        Some(self.compiled.entry(open).or_insert_with(|| {
            let groups = incidents.iter().enumerate().filter(|(index, _)| open & 1 << index != 0);
            let groups: Vec<Group> =
                groups.map(|(_, incident)| Group { attributes: incident.attributes.clone() }).collect();
            Annotation::compile(&groups)
        }))
    }

    fn keys(&self, _: Concern) -> Option<&KeySearch> {
        Some(&self.keys)
    }
}

/// The oracle's word for the signal.
pub(crate) fn plain_signal(signal: Signal) -> faultline_test_support::Signal {
    match signal {
        Signal::Traces => faultline_test_support::Signal::Traces,
        Signal::Metrics => faultline_test_support::Signal::Metrics,
        Signal::Logs => faultline_test_support::Signal::Logs,
    }
}

fn plain(marking: &Marking) -> Options {
    let Marking { spans, logs, points, exemplars, batch_bytes_max: _ } = *marking;
    let spans = match spans {
        SpanMarking::All => MarkedSpans::All,
        SpanMarking::EntryAndError => MarkedSpans::EntryAndError,
        SpanMarking::Off => MarkedSpans::Off,
    };
    Options { spans, logs, points, exemplars }
}

fn tally(counts: Counts) -> Tally {
    let Counts {
        resources_seen,
        resources_without_service,
        resources_unaffected,
        items_seen,
        items_marked,
        items_already_marked,
        items_outside_window,
        items_without_time,
        items_not_entry_or_error,
        items_nothing_absent,
    } = counts;
    Tally {
        resources_seen,
        resources_without_service,
        resources_unaffected,
        items_seen,
        items_marked,
        items_already_marked,
        items_outside_window,
        items_without_time,
        items_not_entry_or_error,
        items_nothing_absent,
    }
}

/// The value as `prost` has it.
pub(crate) fn any_value(value: &Value) -> AnyValue {
    let text = |text: &String| any_value::Value::StringValue(text.clone());
    let value = match value {
        Value::Text(one) => text(one),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
        Value::Texts(several) => any_value::Value::ArrayValue(ArrayValue {
            values: several.iter().map(|one| AnyValue { value: Some(text(one)) }).collect(),
        }),
    };
    AnyValue { value: Some(value) }
}
