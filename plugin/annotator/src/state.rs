//! The incident state: a join semilattice of journal entries.
//!
//! Entries fall into slots: for each incident three registers (terminal, active with event time, active without), for
//! each delivery and each reported expiry one slot. In a slot an entry is kept unless another one is at least as great in
//! all that is ever asked of it: version, time of receipt, lease. What is kept is therefore a function of the *set* of
//! entries that were merged, whatever their order and repetition, and so is what is forgotten: everything received more
//! than the horizon before the newest receipt. (A register that kept only its maximum would not do: the maximum may be
//! forgotten before a lesser version that was received later.)

mod slot;
mod view;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry as MapEntry};

pub use view::{Active, EventWindow, Standing, Terminal, View};

use crate::entry::{Entry, IncidentRecord, Record};
use crate::incident::Key;
use crate::limits;
use crate::time::Nanos;
use slot::{Held, Register, Slot};

/// All that is known of incidents, deliveries and reported expiries.
#[derive(Clone, Debug, Default)]
pub struct State {
    slots: BTreeMap<Slot, Vec<Held>>,
    by_receipt: BTreeSet<(Nanos, Slot)>,
    newest_receipt: Nanos,
    entries: usize,
    bytes: usize,
    /// The incident that others were merged into, the id of each of these, and how many entries say so: several registers of
    /// one incident may.
    merged: BTreeMap<(Key, String), usize>,
    /// Slots of active incidents with and without event time.
    active_registers: usize,
}

/// Which part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Incidents.
    IncidentsOnly,
    /// Everything, entries of unknown kinds included.
    All,
}

/// What `merge` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// How many entries were new and are part of the state.
    pub changed: u32,
    /// Keys of entries received too far ahead of `now`.
    pub set_aside: Vec<String>,
    /// Entries of a version or kind that this program does not know; kept, not applied.
    pub foreign: u32,
}

// === impl State ===

impl State {
    /// Joins entries into the state; those received more than an hour after `now` are set aside.
    ///
    /// # Errors
    /// When an entry is over its limit, or the state would pass [`limits::ENTRIES_MAX`] or [`limits::STATE_BYTES_MAX`].
    /// Nothing is joined then.
    pub fn merge(&mut self, entries: &[Entry], now: Nanos) -> Result<Merged, String> {
        let mut merged = Merged::default();
        let mut joining = Vec::new();
        let (mut more_entries, mut more_bytes) = (0_usize, 0_usize);
        for entry in entries {
            if !entry.fits() {
                return Err(format!(
                    "entry `{}` has {} bytes, at most {} are taken",
                    crate::text::cut(&entry.key, 200),
                    entry.bytes.len(),
                    limits::ENTRY_BYTES_MAX
                ));
            }
            let (slot, held) = Held::read(entry);
            if held.received.is_some_and(|received| received > now.saturating_add(limits::RECEIVED_AHEAD_MAX)) {
                merged.set_aside.push(entry.key.clone());
                continue;
            }
            if self.has_at_least(&slot, &held) {
                continue;
            }
            more_entries += 1;
            more_bytes += held.size();
            joining.push((slot, held));
        }
        let (entries_after, bytes_after) = (self.entries + more_entries, self.bytes + more_bytes);
        if entries_after > limits::ENTRIES_MAX || bytes_after > limits::STATE_BYTES_MAX {
            return Err(format!(
                "the state would have {entries_after} entries and {bytes_after} bytes, at most {} and {} are held: \
                 close incidents that are over, or shorten the leases of sources that never close theirs",
                limits::ENTRIES_MAX,
                limits::STATE_BYTES_MAX
            ));
        }
        for (slot, held) in joining {
            let foreign = matches!(slot, Slot::Foreign(_));
            if self.join(slot, held) {
                merged.changed += 1;
                merged.foreign += u32::from(foreign);
            }
        }
        self.forget();
        Ok(merged)
    }

    /// The state as entries, sorted by key: byte for byte the same wherever the same entries were merged.
    #[must_use]
    pub fn entries(&self, extent: Extent) -> Vec<Entry> {
        let wanted = |slot: &Slot| extent == Extent::All || matches!(slot, Slot::Incident(..));
        let mut entries: Vec<Entry> = self
            .slots
            .iter()
            .filter(|(slot, _)| wanted(slot))
            .flat_map(|(_, held)| held.iter().map(|held| held.entry.clone()))
            .collect();
        entries.sort_unstable();
        entries
    }

    /// Whether a delivery was committed before.
    #[must_use]
    pub fn knows_delivery(&self, source: &str, digest: &str) -> bool {
        self.slots.contains_key(&Slot::Delivery { source: source.to_owned(), digest: digest.to_owned() })
    }

    /// Whether the end of this lease was reported before.
    #[must_use]
    pub fn knows_expiry(&self, incident: &Key, lease_until: Nanos) -> bool {
        self.slots.contains_key(&Slot::Expiry(incident.clone(), lease_until))
    }

    /// Whether `limit` incidents are open at `now`, or more.
    #[must_use]
    pub fn has_open(&self, limit: usize, now: Nanos) -> bool {
        // Every open incident has an active register; only when these reach the limit are they looked at.
        self.active_registers >= limit
            && self.incidents().filter(|key| self.view(key, now).is_some_and(|view| view.is_open())).count() >= limit
    }

    /// How many entries of unknown versions and kinds are held.
    #[must_use]
    pub fn foreign(&self) -> usize {
        self.slots.keys().filter(|slot| matches!(slot, Slot::Foreign(_))).count()
    }

    /// The incidents that are known, in order.
    pub fn incidents(&self) -> impl Iterator<Item = &Key> {
        let mut last = None;
        self.slots.keys().filter_map(move |slot| match slot {
            Slot::Incident(key, _) if last != Some(key) => {
                last = Some(key);
                Some(key)
            }
            _ => None,
        })
    }

    /// One incident as it stands at `now`; `None` when it is not known.
    #[must_use]
    pub fn view(&self, incident: &Key, now: Nanos) -> Option<View> {
        View::of(incident, &self.registers(incident), now)
    }

    /// The same, as it will stand when `records` of this incident too are merged.
    #[must_use]
    pub fn view_with(&self, incident: &Key, records: &[IncidentRecord], now: Nanos) -> Option<View> {
        let mut registers = self.registers(incident);
        registers.extend(records);
        View::of(incident, &registers, now)
    }

    /// The incidents of which some entry says that they were merged into `target`.
    #[must_use]
    pub fn merged_into(&self, target: &Key) -> Vec<Key> {
        self.merged
            .range((target.clone(), String::new())..)
            .take_while(|((other, _), _)| other == target)
            .map(|((_, id), _)| Key { source: target.source.clone(), id: id.clone() })
            .collect()
    }

    fn registers(&self, incident: &Key) -> Vec<&IncidentRecord> {
        [Register::Terminal, Register::Active, Register::Untimed]
            .into_iter()
            .filter_map(|register| self.slots.get(&Slot::Incident(incident.clone(), register)))
            .flatten()
            .filter_map(|held| match &held.record {
                Some(Record::Incident(record)) => Some(&**record),
                _ => None,
            })
            .collect()
    }

    fn has_at_least(&self, slot: &Slot, held: &Held) -> bool {
        let forgotten = held.received.is_some_and(|received| received < self.horizon());
        forgotten || self.slots.get(slot).is_some_and(|others| others.iter().any(|other| other.covers(held)))
    }

    fn join(&mut self, slot: Slot, held: Held) -> bool {
        if self.has_at_least(&slot, &held) {
            return false;
        }
        let mut others = self.take(&slot);
        others.retain(|other| !held.covers(other));
        others.push(held);
        self.put(slot, others);
        true
    }

    /// Takes a slot out, with all that is noted of it elsewhere.
    fn take(&mut self, slot: &Slot) -> Vec<Held> {
        let Some(taken) = self.slots.remove(slot) else { return Vec::new() };
        self.active_registers = self.active_registers.saturating_sub(usize::from(slot.is_active()));
        for held in &taken {
            self.entries = self.entries.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(held.size());
            if let Some(received) = held.received {
                self.by_receipt.remove(&(received, slot.clone()));
            }
            if let Some(pair) = held.merger()
                && let MapEntry::Occupied(mut saying) = self.merged.entry(pair)
            {
                *saying.get_mut() -= 1;
                if *saying.get() == 0 {
                    saying.remove();
                }
            }
        }
        taken
    }

    /// Puts a slot in, unless it is empty.
    fn put(&mut self, slot: Slot, others: Vec<Held>) {
        if others.is_empty() {
            return;
        }
        self.active_registers += usize::from(slot.is_active());
        for held in &others {
            self.entries += 1;
            self.bytes += held.size();
            if let Some(received) = held.received {
                self.newest_receipt = self.newest_receipt.max(received);
                self.by_receipt.insert((received, slot.clone()));
            }
            if let Some(pair) = held.merger() {
                *self.merged.entry(pair).or_default() += 1;
            }
        }
        self.slots.insert(slot, others);
    }

    /// What was received before this is forgotten.
    fn horizon(&self) -> Nanos {
        self.newest_receipt.saturating_sub(limits::HORIZON)
    }

    fn forget(&mut self) {
        let horizon = self.horizon();
        while let Some((_, slot)) = self.by_receipt.first().filter(|(received, _)| *received < horizon).cloned() {
            let mut others = self.take(&slot);
            others.retain(|other| other.received.is_none_or(|received| received >= horizon));
            self.put(slot, others);
        }
    }
}
