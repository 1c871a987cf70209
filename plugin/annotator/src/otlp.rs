//! OTLP on the wire: walks an export request, asks which items are concerned, and adds attributes to those.
//!
//! Protobuf is never decoded into structures. One walk finds the places and tells a sink what each item gets. Of this
//! comes a new batch, in which what is not ours stands bit for bit as it came, unknown fields included; or a list of edits
//! that makes the same of the batch ([`EditList`]); or the same by positions, for telemetry that was decoded
//! ([`ItemMarks`]). See [`Rewriter`].

pub mod applied;
mod edits;
mod groups;
mod identity;
mod item_marks;
mod items;
mod keys;
mod output;
mod plain;
#[doc(hidden)]
pub mod planted;
mod rewriter;
mod sink;
mod steps;
mod walk;
mod wire;

use std::{fmt, ops::AddAssign};

pub(crate) use self::wire::push_varint;
pub use self::{
    applied::EditList,
    groups::{ResourceGroup, ResourceGroups},
    item_marks::{ItemMark, ItemMarks},
    rewriter::Rewriter,
};
use crate::{annotation::Annotation, config::SpanMarking, key_search::KeySearch};

/// The three kinds of OTLP telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
}

/// What may be marked, and in how large a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marking {
    /// Which spans.
    pub spans: SpanMarking,
    /// Log records.
    pub logs: bool,
    /// Data points of metrics. An attribute more makes a new series.
    pub points: bool,
    /// Exemplars, in their filtered attributes, which are not part of a series.
    pub exemplars: bool,
    /// Larger batches are refused.
    pub batch_bytes_max: usize,
}

/// Who a resource is. Each is the first value of its attribute that is a string, byte for byte; it may be empty, and need
/// not be UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceIdentity<'a> {
    /// `service.name`.
    pub service: Option<&'a [u8]>,
    /// `service.namespace`.
    pub namespace: Option<&'a [u8]>,
    /// `deployment.environment.name`, or else `deployment.environment`.
    pub environment: Option<&'a [u8]>,
}

/// Which incidents concern a resource: the implementor of [`Marks`] alone knows how to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concern(pub u64);

/// What the rewriter must ask midway.
pub trait Marks {
    /// Which incidents concern this resource; asked once for each `ResourceSpans`, `ResourceLogs` and `ResourceMetrics`.
    /// `None`: none, it is left alone whole.
    fn concerning(&mut self, resource: &ResourceIdentity<'_>) -> Option<Concern>;

    /// What an item of a concerned resource gets that lasted from `from` until `until`, both in Unix nanoseconds and
    /// included, `from <= until`. `None`: it lies outside of every window.
    ///
    /// Asked once for each item that has a time, and again in the rare case that its time is repeated, with another
    /// value, behind its attributes.
    fn annotation(&mut self, concern: Concern, from: u64, until: u64) -> Option<&Annotation>;

    /// Finds the keys of all that [`Self::annotation`] gives for that concern, wherever they lie. `None`: they may be
    /// anywhere, and every attribute is read.
    fn keys(&self, _concern: Concern) -> Option<&KeySearch> {
        None
    }
}

/// What became of resources and items.
///
/// Items are counted inside concerned resources only, and where their marking is on. Each is counted as seen and as
/// exactly one of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Resources, with or without items.
    pub resources_seen: u64,
    /// Of these, those without a `service.name` that is a string.
    pub resources_without_service: u64,
    /// Of these, those that no incident concerns.
    pub resources_unaffected: u64,
    /// Spans, log records, data points and exemplars.
    pub items_seen: u64,
    /// Attributes were added.
    pub items_marked: u64,
    /// The markers of all groups were there.
    pub items_already_marked: u64,
    /// In no window.
    pub items_outside_window: u64,
    /// No time that is not 0, so no window can be told.
    pub items_without_time: u64,
    /// Spans that [`SpanMarking::EntryAndError`] leaves out.
    pub items_not_entry_or_error: u64,
    /// All keys were there, though not all markers.
    pub items_nothing_absent: u64,
}

/// Why a batch cannot be rewritten. Displays as `byte 17: length runs past the end of the message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Offset of the byte at which the walk stopped.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

// === impl Signal ===

impl Signal {
    /// `traces`, `metrics` or `logs`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

// === impl Marking ===

impl Marking {
    /// Whether anything of `signal` may be marked.
    #[must_use]
    pub fn marks(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.spans != SpanMarking::Off,
            Signal::Metrics => self.points || self.exemplars,
            Signal::Logs => self.logs,
        }
    }
}

// === impl Tally ===

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        // Taken apart whole, so that a new count is not forgotten.
        let Self {
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
        } = other;
        self.resources_seen += resources_seen;
        self.resources_without_service += resources_without_service;
        self.resources_unaffected += resources_unaffected;
        self.items_seen += items_seen;
        self.items_marked += items_marked;
        self.items_already_marked += items_already_marked;
        self.items_outside_window += items_outside_window;
        self.items_without_time += items_without_time;
        self.items_not_entry_or_error += items_not_entry_or_error;
        self.items_nothing_absent += items_nothing_absent;
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for Refusal {}
