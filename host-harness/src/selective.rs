//! A plugin that is asked about as little as possible: what concerns no incident is not copied to it, and what it would
//! change is changed here, where the batch lies.
//!
//! `interest` says which services are marked. Of a batch only the resources of those are passed, to `edits` instead of
//! `process`; the plugin then writes no second batch, and needs half the memory. Its edits are checked before they are made:
//! they must ascend, and stay inside what was passed.

use std::collections::BTreeSet;
use std::ops::Range;

use faultline_annotator::otlp::{EditList, ResourceGroups, applied};

use crate::plugin::{
    Affected, Asked, Build, ConfigError, ConfigWarning, Counter, Edits, Entry, Expiry, Explanation, Extent, Gap,
    Incident, ItemMarks, Merged, Outcome, Plugin, Receipt, Scope, Signal, Trap, Webhook,
};
use crate::time::{Nanos, SECOND};

/// A plugin whose `process` asks for `interest` and `edits`. All else is handed on to the plugin within.
///
/// The outcome is that of the plugin's own `process`, but that what is not passed is not counted, not refused, and does not
/// count toward the limit on a batch. One batch in `evidence_one_in` is passed whole.
pub struct Selective<P> {
    plugin: P,
    /// Of each signal.
    interests: [Interest; 3],
    /// The parts of a batch that are passed, when these are several. Kept for its memory, as is the next.
    passed: Vec<u8>,
    runs: Vec<Range<usize>>,
}

/// A build whose plugins are [`Selective`].
pub struct SelectiveBuild<B>(pub B);

/// What became of a batch whose result goes into a buffer of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Hand on the batch; the buffer was not touched.
    Unchanged,
    /// Hand on the buffer.
    Replaced,
    /// Not readable as an export request, or over a limit: hand on the batch.
    Refused(String),
}

/// The last answer of `interest`.
#[derive(Default)]
struct Interest {
    /// When it was asked for; never, or the answer no longer holds.
    asked: Option<Nanos>,
    concerned: Concerned,
    /// One batch in so many is passed whole; 0: none.
    whole_one_in: u32,
    /// Batches since one was.
    since_whole: u32,
}

/// [`Scope`], to be looked up.
#[derive(Default)]
enum Concerned {
    #[default]
    Nothing,
    Everything,
    Services(BTreeSet<Vec<u8>>),
}

/// What of a batch is passed to the plugin.
enum Selection {
    Nothing,
    Whole,
    /// The runs.
    Parts,
}

/// For so long an answer of `interest` holds, the contract says.
const INTEREST_HOLDS: Nanos = SECOND;

/// As much as a plugin's answer may hold otherwise: a plugin that lists absurd edits must not take the host's memory.
const OUTPUT_BYTES_MAX: usize = 256 * 1024 * 1024;

// === impl Selective ===

impl<P: Plugin> Selective<P> {
    /// Wraps a plugin that nobody else calls: what is known of its interests would not hold.
    pub fn new(plugin: P) -> Self {
        Self { plugin, interests: Default::default(), passed: Vec::new(), runs: Vec::new() }
    }

    /// The plugin within, to look at.
    pub fn inner(&self) -> &P {
        &self.plugin
    }

    /// Marks one batch; where something was added, the result replaces what is in `output`, whose memory is used again.
    ///
    /// # Errors
    /// When the plugin traps, or answers with edits that do not fit what it was passed: a plugin that does so cannot be
    /// relied upon, and is to be replaced like one that trapped.
    pub fn mark(&mut self, signal: Signal, batch: &[u8], now: Nanos, output: &mut Vec<u8>) -> Result<Marked, Trap> {
        let selection = self.select(signal, batch, now)?;
        let answer = match selection {
            Selection::Nothing => return Ok(Marked::Unchanged),
            Selection::Whole => self.plugin.edits(signal, batch, now)?,
            Selection::Parts => self.plugin.edits(signal, &self.passed, now)?,
        };
        let Edits { mut edits, inserts } = match answer {
            Ok(edits) => edits,
            Err(reason) => return Ok(Marked::Refused(reason)),
        };
        if edits.is_empty() {
            return Ok(Marked::Unchanged);
        }
        let is_placed = matches!(selection, Selection::Whole) || place(&mut edits, &self.runs);
        let applied = if is_placed {
            applied::apply(batch, &edits, &inserts, OUTPUT_BYTES_MAX, output).map_err(|invalid| invalid.to_string())
        } else {
            Err("an edit reaches beyond the parts that were passed".to_owned())
        };
        match applied {
            Ok(()) => Ok(Marked::Replaced),
            Err(reason) => Err(Trap { call: "edits", reason: format!("the edits do not fit the batch: {reason}") }),
        }
    }

    /// Decides what of the batch is passed, and puts it together if it is only a part.
    fn select(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Selection, Trap> {
        let Self { plugin, interests, passed, runs } = self;
        let [traces, metrics, logs] = interests;
        let interest = match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        };
        if !interest.holds_at(now) {
            let Affected { marks, evidence_one_in } = plugin.interest(signal, now)?;
            interest.asked = Some(now);
            interest.concerned = marks.into();
            interest.whole_one_in = evidence_one_in;
        }
        interest.since_whole = interest.since_whole.saturating_add(1);
        if interest.whole_one_in > 0 && interest.since_whole >= interest.whole_one_in {
            interest.since_whole = 0;
            return Ok(Selection::Whole);
        }
        Ok(match &interest.concerned {
            Concerned::Nothing => Selection::Nothing,
            Concerned::Everything => Selection::Whole,
            Concerned::Services(services) => {
                let selection = find_runs(batch, services, runs);
                if matches!(selection, Selection::Parts) {
                    passed.clear();
                    for run in runs {
                        passed.extend_from_slice(batch.get(run.clone()).unwrap_or_default());
                    }
                }
                selection
            }
        })
    }

    fn forget_interests(&mut self) {
        self.interests.iter_mut().for_each(|interest| interest.asked = None);
    }
}

/// Finds the stretches of the batch that belong to `services`.
fn find_runs(batch: &[u8], services: &BTreeSet<Vec<u8>>, runs: &mut Vec<Range<usize>>) -> Selection {
    runs.clear();
    let mut is_whole = true;
    for group in ResourceGroups::of(batch) {
        // The plugin says what is wrong with a batch that cannot be read.
        let Ok(group) = group else { return Selection::Whole };
        if !group.identity.service.is_some_and(|service| services.contains(service)) {
            is_whole = false;
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == group.range.start => run.end = group.range.end,
            _ => runs.push(group.range),
        }
    }
    match runs.is_empty() {
        true => Selection::Nothing,
        false if is_whole => Selection::Whole,
        false => Selection::Parts,
    }
}

/// Turns offsets in the parts that were passed, put together, into offsets in the batch. False when an edit reaches from
/// one part into the next, or the edits do not ascend.
fn place(edits: &mut [u32], runs: &[Range<usize>]) -> bool {
    let mut runs = runs.iter();
    // Where the present run begins and ends in what was passed, and what is to be added to find it in the batch.
    let (mut start, mut end, mut shift) = (0, 0, 0);
    for edit in edits.chunks_exact_mut(EditList::NUMBERS_PER_EDIT) {
        let [at, delete, ..] = edit else { return false };
        let from = *at as usize;
        // Nothing is put in at the very beginning of a part, which is the tag of a resource group: so what is put in where
        // two parts meet belongs to the first.
        while from > end {
            let Some(run) = runs.next() else { return false };
            (start, end, shift) = (end, end + run.len(), run.start - end);
        }
        if from <= start || *delete as usize > end - from {
            return false;
        }
        let Ok(placed) = u32::try_from(from + shift) else { return false };
        *at = placed;
    }
    true
}

impl<P: Plugin> Plugin for Selective<P> {
    fn configure(
        &mut self,
        config: &str,
        instance: &str,
    ) -> Result<Result<Vec<ConfigWarning>, Vec<ConfigError>>, Trap> {
        self.forget_interests();
        self.plugin.configure(config, instance)
    }

    fn interest(&mut self, signal: Signal, now: Nanos) -> Result<Affected, Trap> {
        self.plugin.interest(signal, now)
    }

    fn process(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Outcome, Trap> {
        let mut output = Vec::new();
        Ok(match self.mark(signal, batch, now, &mut output)? {
            Marked::Unchanged => Outcome::Unchanged,
            Marked::Replaced => Outcome::Replaced(output),
            Marked::Refused(reason) => Outcome::Refused(reason),
        })
    }

    fn edits(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<Edits, String>, Trap> {
        self.plugin.edits(signal, batch, now)
    }

    fn marks(&mut self, signal: Signal, batch: &[u8], now: Nanos) -> Result<Result<ItemMarks, String>, Trap> {
        self.plugin.marks(signal, batch, now)
    }

    fn receive(&mut self, source: &str, webhook: &Webhook, now: Nanos) -> Result<Receipt, Trap> {
        self.plugin.receive(source, webhook, now)
    }

    fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Result<Merged, String>, Trap> {
        self.forget_interests();
        self.plugin.merge(entries, now)
    }

    fn expire(&mut self, now: Nanos) -> Result<Expiry, Trap> {
        self.plugin.expire(now)
    }

    fn state(&mut self, what: Extent) -> Result<Vec<Entry>, Trap> {
        self.plugin.state(what)
    }

    fn open(&mut self, now: Nanos) -> Result<Vec<Incident>, Trap> {
        self.plugin.open(now)
    }

    fn find(&mut self, name: &str, now: Nanos) -> Result<Result<Incident, String>, Trap> {
        self.plugin.find(name, now)
    }

    fn explain(&mut self, asked: Asked<'_>, now: Nanos) -> Result<Vec<Explanation>, Trap> {
        self.plugin.explain(asked, now)
    }

    fn gaps(&mut self, now: Nanos) -> Result<Vec<Gap>, Trap> {
        self.plugin.gaps(now)
    }

    fn counters(&mut self) -> Result<Vec<Counter>, Trap> {
        self.plugin.counters()
    }
}

// === impl SelectiveBuild ===

impl<B: Build> Build for SelectiveBuild<B> {
    fn instantiate(&self) -> anyhow::Result<Box<dyn Plugin>> {
        Ok(Box::new(Selective::new(self.0.instantiate()?)))
    }
}

// === impl Interest ===

impl Interest {
    fn holds_at(&self, now: Nanos) -> bool {
        self.asked.is_some_and(|asked| (asked..asked.saturating_add(INTEREST_HOLDS)).contains(&now))
    }
}

// === impl Concerned ===

impl From<Scope> for Concerned {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Nothing => Self::Nothing,
            Scope::Everything => Self::Everything,
            Scope::Services(services) => Self::Services(services.into_iter().map(String::into_bytes).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Edits at these offsets that leave out so many bytes, in parts of ten bytes that lie at 100 and 200.
    fn placed(edits: &[(u32, u32)]) -> Option<Vec<u32>> {
        let mut numbers: Vec<u32> = edits.iter().flat_map(|(at, delete)| [*at, *delete, 0, 0]).collect();
        let is_placed = place(&mut numbers, &[100..110, 200..210]);
        is_placed.then(|| numbers.chunks(4).map(|edit| edit[0]).collect())
    }

    #[test]
    fn edits_in_parts_are_placed_where_these_lie_in_the_batch() {
        assert_eq!(placed(&[]), Some(vec![]));
        assert_eq!(placed(&[(1, 2), (9, 1), (12, 0), (20, 0)]), Some(vec![101, 109, 202, 210]));
    }

    #[test]
    fn where_two_parts_meet_what_is_put_in_belongs_to_the_first() {
        assert_eq!(placed(&[(10, 0), (11, 0)]), Some(vec![110, 201]));
    }

    #[test]
    fn edits_that_leave_their_part_are_refused() {
        for edits in [&[(9, 2)][..], &[(0, 0)], &[(21, 0)], &[(20, 1)], &[(15, 0), (5, 0)], &[(u32::MAX, u32::MAX)]] {
            assert_eq!(placed(edits), None, "{edits:?}");
        }
    }
}
