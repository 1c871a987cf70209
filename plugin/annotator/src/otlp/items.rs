//! Where each kind of item keeps its time, and what else decides whether it is marked.

use super::{
    Refusal,
    plain::{Passed, pass_head, pass_span_head},
    planted::{self, Bug},
    steps::Steps,
    wire::{Field, Value},
};
use crate::annotation::{Annotation, AttributesField};

/// What is known of an item from the fields read so far. Fields may come in any order and repeat; the last one counts.
pub(super) trait Item: Copy {
    /// The field that holds its attributes.
    fn attributes(&self) -> AttributesField;

    /// The tags of the fields in which its times are, 0 where there is one only. Each is one byte, of eight bytes that
    /// follow.
    fn time_tags(&self) -> [u8; 2];

    /// The values of these fields as far as they were read; 0 where not.
    fn times(&mut self) -> &mut [u64; 2];

    /// Passes plain fields before its attributes, and takes in the times.
    #[inline]
    fn pass_usual_head<'a>(&mut self, rest: &'a [u8]) -> Passed<'a> {
        let (number, tags) = (self.attributes().number() as u8, self.time_tags());
        pass_head(rest, number, tags, self.times())
    }

    /// Takes in one field; fields that do not matter are passed too.
    fn read(&mut self, field: &Field<'_>, steps: &mut Steps) -> Result<(), Refusal>;

    /// Whether the fields to come cannot change [`Self::time`], unless one of those read repeats.
    fn is_time_known(&self) -> bool;

    /// From when until when it lasted, in Unix nanoseconds; none when it has no time. OTLP leaves out a time that is
    /// unknown, and writes 0 for the same.
    fn time(&self) -> Option<(u64, u64)>;

    /// Whether it is of a kind that is marked; known when all fields were read.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Whether its times are all that is to be known of it.
    fn needs_times_only(&self) -> bool {
        true
    }

    /// What of the annotation it gets.
    fn part_of<'a>(&self, annotation: &'a Annotation) -> &'a Annotation {
        annotation
    }
}

/// A `Span`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    /// Start and end.
    times: [u64; 2],
    /// What [`SpanMarking::EntryAndError`](crate::config::SpanMarking::EntryAndError) asks for; not read otherwise.
    entry_or_error: Option<EntryOrError>,
}

#[derive(Clone, Copy, Debug, Default)]
struct EntryOrError {
    kind: i32,
    has_parent: bool,
    status_code: i32,
}

/// A `LogRecord`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogRecord {
    /// Its own and the observed one.
    times: [u64; 2],
}

/// An item with one time: a data point or an exemplar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    attributes: AttributesField,
    time_field: u32,
    /// The second is always 0.
    times: [u64; 2],
    markers_only: bool,
}

mod span {
    //! Field numbers and values of `Span`.
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const KIND: u32 = 6;
    pub(super) const START_TIME: u32 = 7;
    pub(super) const END_TIME: u32 = 8;
    pub(super) const STATUS: u32 = 15;
    pub(super) const STATUS_CODE: u32 = 3;
    pub(super) const KIND_SERVER: i32 = 2;
    pub(super) const KIND_CONSUMER: i32 = 5;
    pub(super) const STATUS_CODE_ERROR: i32 = 2;
}

mod log_record {
    //! Field numbers of `LogRecord`.
    pub(super) const TIME: u32 = 1;
    pub(super) const OBSERVED_TIME: u32 = 11;
}

/// Field number of the time in every kind of data point.
const POINT_TIME: u32 = 3;
/// Field number of the time in an `Exemplar`.
const EXEMPLAR_TIME: u32 = 2;

/// The tag of a field of eight bytes with a number below 16.
const fn fixed64_tag(number: u32) -> u8 {
    (number as u8) << 3 | 1
}

// === impl Span ===

impl Span {
    /// A span of which nothing was read.
    pub(super) fn new(entry_and_error_only: bool) -> Self {
        Self { entry_or_error: entry_and_error_only.then(EntryOrError::default), ..Self::default() }
    }
}

impl Item for Span {
    #[inline]
    fn attributes(&self) -> AttributesField {
        AttributesField::Nine
    }

    #[inline]
    fn time_tags(&self) -> [u8; 2] {
        [fixed64_tag(span::START_TIME), fixed64_tag(span::END_TIME)]
    }

    #[inline]
    fn times(&mut self) -> &mut [u64; 2] {
        &mut self.times
    }

    #[inline]
    fn pass_usual_head<'a>(&mut self, rest: &'a [u8]) -> Passed<'a> {
        match pass_span_head(rest, &mut self.times) {
            Some(passed) => passed,
            None => pass_head(rest, self.attributes().number() as u8, self.time_tags(), &mut self.times),
        }
    }

    #[inline]
    fn read(&mut self, field: &Field<'_>, steps: &mut Steps) -> Result<(), Refusal> {
        match (field.number, field.value()) {
            (span::START_TIME, Value::Fixed64(time)) => self.times[0] = time,
            (span::END_TIME, Value::Fixed64(time)) => self.times[1] = time,
            _ => {
                if let Some(entry_or_error) = self.entry_or_error {
                    let (entry_or_error, left) = entry_or_error.after(*field, *steps)?;
                    self.entry_or_error = Some(entry_or_error);
                    *steps = left;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn is_time_known(&self) -> bool {
        !self.times.contains(&0)
    }

    #[inline]
    fn time(&self) -> Option<(u64, u64)> {
        match self.times {
            [0, 0] => None,
            [0, end] => Some((end, end)),
            // The clock was set back, or nobody ended the span: only the start is sure.
            [start, end] => Some((start, end.max(start))),
        }
    }

    #[inline]
    fn is_wanted(&self) -> bool {
        self.entry_or_error.is_none_or(|entry_or_error| entry_or_error.holds())
    }

    #[inline]
    fn needs_times_only(&self) -> bool {
        self.entry_or_error.is_none()
    }
}

// === impl EntryOrError ===

impl EntryOrError {
    /// What is known after one more field. Takes and gives values, so that a span that does not ask stays in registers.
    #[inline(never)]
    fn after(mut self, field: Field<'_>, mut steps: Steps) -> Result<(Self, Steps), Refusal> {
        match (field.number, field.value()) {
            (span::PARENT_SPAN_ID, Value::Delimited(id)) => self.has_parent = id.length() > 0,
            (span::KIND, Value::Varint(kind)) => self.kind = enumeration(kind),
            (span::STATUS, Value::Delimited(status)) => {
                let mut status = status.content;
                while let Some(field) = status.next(&mut steps)? {
                    if let (span::STATUS_CODE, Value::Varint(code)) = (field.number, field.value()) {
                        self.status_code = enumeration(code);
                    }
                }
            }
            _ => {}
        }
        Ok((self, steps))
    }

    fn holds(&self) -> bool {
        matches!(self.kind, span::KIND_SERVER | span::KIND_CONSUMER)
            || !self.has_parent
            || self.status_code == span::STATUS_CODE_ERROR
    }
}

/// An enumeration has 32 bits; a negative value comes in ten bytes, and further bits are cut, as protobuf does.
fn enumeration(value: u64) -> i32 {
    value as i32
}

// === impl LogRecord ===

impl Item for LogRecord {
    #[inline]
    fn attributes(&self) -> AttributesField {
        AttributesField::Six
    }

    #[inline]
    fn time_tags(&self) -> [u8; 2] {
        [fixed64_tag(log_record::TIME), fixed64_tag(log_record::OBSERVED_TIME)]
    }

    #[inline]
    fn times(&mut self) -> &mut [u64; 2] {
        &mut self.times
    }

    #[inline]
    fn read(&mut self, field: &Field<'_>, _steps: &mut Steps) -> Result<(), Refusal> {
        match (field.number, field.value()) {
            (log_record::TIME, Value::Fixed64(time)) => self.times[0] = time,
            (log_record::OBSERVED_TIME, Value::Fixed64(time)) => self.times[1] = time,
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn is_time_known(&self) -> bool {
        self.times[0] != 0 && !planted::has(Bug::ObservedTimePreferred)
    }

    #[inline]
    fn time(&self) -> Option<(u64, u64)> {
        let mut times = self.times;
        if planted::has(Bug::ObservedTimePreferred) {
            times.reverse();
        }
        times.into_iter().find(|time| *time != 0).map(|time| (time, time))
    }
}

// === impl Timed ===

impl Timed {
    /// A data point, of a kind that keeps its attributes in that field.
    pub(super) fn point(attributes: AttributesField) -> Self {
        Self { attributes, time_field: POINT_TIME, times: [0; 2], markers_only: false }
    }

    /// An exemplar.
    pub(super) fn exemplar() -> Self {
        Self { attributes: AttributesField::Seven, time_field: EXEMPLAR_TIME, times: [0; 2], markers_only: true }
    }
}

impl Item for Timed {
    #[inline]
    fn attributes(&self) -> AttributesField {
        self.attributes
    }

    #[inline]
    fn time_tags(&self) -> [u8; 2] {
        [fixed64_tag(self.time_field), 0]
    }

    #[inline]
    fn times(&mut self) -> &mut [u64; 2] {
        &mut self.times
    }

    #[inline]
    fn read(&mut self, field: &Field<'_>, _steps: &mut Steps) -> Result<(), Refusal> {
        if let Value::Fixed64(time) = field.value()
            && field.number == self.time_field
        {
            self.times[0] = time;
        }
        Ok(())
    }

    #[inline]
    fn is_time_known(&self) -> bool {
        self.times[0] != 0
    }

    #[inline]
    fn time(&self) -> Option<(u64, u64)> {
        let [time, _] = self.times;
        (time != 0).then_some((time, time))
    }

    #[inline]
    fn part_of<'a>(&self, annotation: &'a Annotation) -> &'a Annotation {
        if self.markers_only { annotation.markers() } else { annotation }
    }
}
