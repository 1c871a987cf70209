//! Faults that a rewriter could well have, for the tests of the tests.
//!
//! Without the feature `planted-bugs`, which only the package in `tests/planted` has on, there is none, and the compiler
//! takes each place out where one could be.

#[cfg(feature = "planted-bugs")]
use std::cell::Cell;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A length that takes a byte more than before is written one too small.
    WidenedLength,
    /// What follows the last resource group is lost.
    UnknownFieldDropped,
    /// Keys that an item has do not keep ours out.
    MarkerIgnored,
    /// A field that stands last in its message is not visited.
    LastItemSkipped,
    /// A log record counts by its observed time, and by its own only without that.
    ObservedTimePreferred,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on this thread's rewriters have that fault, or none.
#[cfg(feature = "planted-bugs")]
pub fn choose(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

/// Whether the fault is there.
#[cfg(feature = "planted-bugs")]
pub(super) fn has(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

/// Whether the fault is there: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub(super) const fn has(_: Bug) -> bool {
    false
}
