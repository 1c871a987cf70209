//! Counters of one instance.

use std::collections::BTreeMap;

/// Monotonic counts by name and attributes. The sets of names and attributes are bounded: both come from the program and
/// from the configuration, never from a payload.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    counts: BTreeMap<Name, u64>,
}

/// A counter's name and its attributes.
type Name = (&'static str, Vec<(&'static str, String)>);

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// For example `items.marked`.
    pub name: String,
    /// Sorted by key.
    pub attributes: Vec<(String, String)>,
    /// How many.
    pub value: u64,
}

// === impl Counters ===

impl Counters {
    /// Adds to one counter. `attributes` are given sorted by key.
    pub fn add(&mut self, name: &'static str, attributes: &[(&'static str, &str)], count: u64) {
        if count == 0 {
            return;
        }
        let attributes = attributes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let value = self.counts.entry((name, attributes)).or_default();
        *value = value.saturating_add(count);
    }

    /// All counters that are not 0, sorted by name and attributes.
    #[must_use]
    pub fn all(&self) -> Vec<Counter> {
        self.counts
            .iter()
            .map(|((name, attributes), value)| Counter {
                name: (*name).to_owned(),
                attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
                value: *value,
            })
            .collect()
    }
}
