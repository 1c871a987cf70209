//! What every instance of the plugin is to know, and when it last changed.
//!
//! The hub alone writes it, after a commit and before the webhook is answered; instances read it before each batch. So
//! what was acknowledged takes effect on every batch that begins afterwards, whatever an instance was busy with.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::plugin::Entry;

/// The board on which the hub publishes and from which instances read.
pub struct Board(ArcSwap<Committed>);

/// Configuration and committed entries.
#[derive(Clone)]
pub struct Committed {
    /// Grows with every publication.
    pub revision: u64,
    /// For the plugin, as JSON.
    pub config: Arc<str>,
    /// Grows when `config` changes.
    pub config_revision: u64,
    /// False while somebody has stopped all marking: no batch is looked at.
    pub is_marking: bool,
    /// The whole state after the first `folded` groups.
    base: Arc<[Entry]>,
    folded: u64,
    /// The groups since then, in order.
    tail: Vec<Arc<[Entry]>>,
}

/// A tail is folded into the base when it has so many entries more than the base, or so many groups.
const SLACK_ENTRIES: usize = 4096;
const GROUPS_MAX: usize = 1024;
/// So many groups stay in the tail when it is folded, for instances that are only a little behind.
const GROUPS_KEPT: usize = 64;

// === impl Board ===

impl Board {
    /// A board on which this state stands.
    #[must_use]
    pub fn new(config: Arc<str>, base: Vec<Entry>, is_marking: bool) -> Self {
        let committed = Committed {
            revision: 1,
            config,
            config_revision: 1,
            is_marking,
            base: base.into(),
            folded: 0,
            tail: Vec::new(),
        };
        Self(ArcSwap::from_pointee(committed))
    }

    /// What stands there.
    #[must_use]
    pub fn read(&self) -> arc_swap::Guard<Arc<Committed>> {
        self.0.load()
    }

    /// Adds a group of committed entries.
    pub fn add(&self, entries: &[Entry]) {
        if !entries.is_empty() {
            self.change(|committed| committed.tail.push(entries.into()));
        }
    }

    /// Puts another configuration in force.
    pub fn configure(&self, config: Arc<str>) {
        self.change(|committed| {
            committed.config = config;
            committed.config_revision += 1;
        });
    }

    /// Stops or resumes marking.
    pub fn set_marking(&self, is_marking: bool) {
        self.change(|committed| committed.is_marking = is_marking);
    }

    /// Whether so much was added that the state should be asked for and given to [`Self::fold`].
    #[must_use]
    pub fn wants_folding(&self) -> bool {
        let committed = self.read();
        let entries: usize = committed.tail.iter().map(|group| group.len()).sum();
        committed.tail.len() > GROUPS_MAX || entries > committed.base.len() + SLACK_ENTRIES
    }

    /// Puts a state, which holds everything that was added so far, in the place of most groups.
    pub fn fold(&self, state: Vec<Entry>) {
        self.change(|committed| {
            let folded = committed.tail.len().saturating_sub(GROUPS_KEPT);
            committed.tail.drain(..folded);
            committed.folded += u64::try_from(folded).unwrap_or_default();
            committed.base = state.into();
        });
    }

    fn change(&self, change: impl FnOnce(&mut Committed)) {
        let mut committed = Committed::clone(&self.0.load());
        change(&mut committed);
        committed.revision += 1;
        self.0.store(Arc::new(committed));
    }
}

// === impl Committed ===

impl Committed {
    /// What an instance that has merged the first `merged` groups still lacks, in order, and how many it then has. One
    /// that is far behind is given the state, which holds more than it lacks: merging twice is merging once.
    #[must_use]
    pub fn since(&self, merged: Option<u64>) -> (Vec<Arc<[Entry]>>, u64) {
        let all = self.folded + u64::try_from(self.tail.len()).unwrap_or_default();
        let behind =
            merged.and_then(|merged| merged.checked_sub(self.folded)).and_then(|known| usize::try_from(known).ok());
        let lacking = match behind {
            Some(known) => self.tail.get(known..).unwrap_or_default().to_vec(),
            None => std::iter::once(self.base.clone()).chain(self.tail.iter().cloned()).collect(),
        };
        (lacking, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize) -> Entry {
        Entry { key: format!("{number:05}"), bytes: Vec::new() }
    }

    fn keys(groups: &[Arc<[Entry]>]) -> Vec<String> {
        groups.iter().flat_map(|group| group.iter().map(|entry| entry.key.clone())).collect()
    }

    #[test]
    fn an_instance_is_given_what_it_lacks() {
        let board = Board::new("{}".into(), vec![entry(0)], true);
        let (lacking, merged) = board.read().since(None);
        assert_eq!((keys(&lacking), merged), (vec!["00000".to_owned()], 0));
        board.add(&[entry(1)]);
        board.add(&[entry(2), entry(3)]);
        let (lacking, merged) = board.read().since(Some(1));
        assert_eq!((keys(&lacking), merged), (vec!["00002".to_owned(), "00003".to_owned()], 2));
        assert!(board.read().since(Some(2)).0.is_empty());
    }

    #[test]
    fn folding_keeps_the_board_small_and_loses_nothing() {
        let board = Board::new("{}".into(), Vec::new(), true);
        let mut all = Vec::new();
        for number in 0..=GROUPS_MAX {
            assert!(!board.wants_folding());
            board.add(&[entry(number)]);
            all.push(entry(number));
        }
        assert!(board.wants_folding());
        board.fold(all);
        assert_eq!(board.read().tail.len(), GROUPS_KEPT);
        for merged in [None, Some(0), Some(500)] {
            let (lacking, now) = board.read().since(merged);
            let keys: std::collections::BTreeSet<String> = keys(&lacking).into_iter().collect();
            assert_eq!((keys.len(), now), (GROUPS_MAX + 1, 1025), "{merged:?}");
        }
        assert_eq!(board.read().since(Some(1020)).0.len(), 5);
    }
}
