//! The walk of one batch: from the request down to the items, gathering edits.
//!
//! ```text
//! request ─▶ resource group ─▶ scope group ─▶ span | log record
//!                                          └▶ metric ─▶ data ─▶ point ─▶ exemplar
//! ```

use super::{
    Concern, Marking, Marks, Refusal, Signal, Tally, identity,
    items::{Item, LogRecord, Span, Timed},
    keys::key,
    plain::{pass_attributes, pass_tail},
    planted::{self, Bug},
    sink::{Insert, Position, Sink, Staged},
    steps::Steps,
    wire::{Delimited, Field, Message},
};
use crate::{
    annotation::{Annotation, AttributesField, Present},
    config::SpanMarking,
};

/// One batch under way.
pub(super) struct Walk<'a, M, S> {
    pub(super) signal: Signal,
    pub(super) batch: &'a [u8],
    pub(super) marking: &'a Marking,
    pub(super) marks: &'a mut M,
    pub(super) sink: &'a mut S,
    pub(super) present: &'a mut Present,
    pub(super) steps: Steps,
    pub(super) tally: Tally,
    /// The item that comes next.
    pub(super) position: Position,
    /// Where that lies.
    pub(super) scope: Scope,
}

/// The scope group under way, from its beginning to its end in the batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    start: usize,
    end: usize,
    /// Whether one of our keys may be in it; not known before an item is to get something.
    has_our_keys: Option<bool>,
}

/// An item read as far as its time, and what is left of it to read.
struct Head<'a, I> {
    item: I,
    tail: Message<'a>,
}

/// How far the tail of an item was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// To its end.
    Read,
    /// To the last marker.
    AlreadyMarked,
}

/// What an item gets, and where.
#[derive(Clone, Copy)]
struct Insertion {
    at: usize,
    insert: Insert,
}

/// In which field of a `Metric` a kind of data is, and in which fields its points keep attributes and exemplars.
struct PointLayout {
    data: u32,
    attributes: AttributesField,
    exemplars: Option<u32>,
}

// Field numbers. `ResourceSpans`, `ResourceLogs` and `ResourceMetrics` are alike, and so are the scopes in them.
const SCOPE_GROUPS: u32 = 2;
/// Where OTLP before 0.15 kept them: `instrumentation_library_spans` and so on, in the same shape. The Collector still
/// reads these.
const LIBRARY_GROUPS: u32 = 1000;
const SCOPE_ITEMS: u32 = 2;
const DATA_POINTS: u32 = 1;
const POINT_LAYOUTS: [PointLayout; 5] = [
    PointLayout { data: 5, attributes: AttributesField::Seven, exemplars: Some(5) }, // gauge
    PointLayout { data: 7, attributes: AttributesField::Seven, exemplars: Some(5) }, // sum
    PointLayout { data: 9, attributes: AttributesField::Nine, exemplars: Some(8) },  // histogram
    PointLayout { data: 10, attributes: AttributesField::One, exemplars: Some(11) }, // exponential histogram
    PointLayout { data: 11, attributes: AttributesField::Seven, exemplars: None },   // summary
];

// === impl Walk ===

impl<M: Marks, S: Sink> Walk<'_, M, S> {
    /// Walks a resource group. Answers by how many bytes it grows with its length.
    pub(super) fn group(&mut self, group: &Delimited<'_>) -> Result<i64, Refusal> {
        let place = self.sink.open(group)?;
        let inside = self.resource_group(group.content)?;
        self.position = Position { resource: self.position.resource.wrapping_add(1), item: 0, exemplar: None };
        self.sink.close(place, group, inside)
    }

    fn resource_group(&mut self, group: Message<'_>) -> Result<i64, Refusal> {
        let identity = identity::read(group, &mut self.steps)?;
        self.tally.resources_seen += 1;
        if identity.service.is_none() {
            self.tally.resources_without_service += 1;
        }
        let Some(concern) = self.marks.concerning(&identity) else {
            self.tally.resources_unaffected += 1;
            return Ok(0);
        };
        if !self.marking.marks(self.signal) {
            return Ok(0);
        }
        self.children(
            group,
            |number| matches!(number, SCOPE_GROUPS | LIBRARY_GROUPS),
            |walk, scope| {
                walk.scope = Scope { start: scope.at(), end: scope.end(), has_our_keys: None };
                walk.children(scope, |number| number == SCOPE_ITEMS, |walk, item| walk.scope_item(item, concern))
            },
        )
    }

    #[inline]
    fn scope_item(&mut self, item: Message<'_>, concern: Concern) -> Result<i64, Refusal> {
        match self.signal {
            Signal::Traces => {
                let entry_and_error_only = self.marking.spans == SpanMarking::EntryAndError;
                self.numbered(|walk| walk.item(item, Span::new(entry_and_error_only), concern))
            }
            Signal::Logs => self.numbered(|walk| walk.item(item, LogRecord::default(), concern)),
            Signal::Metrics => self.metric(item, concern),
        }
    }

    /// Visits the item that `position` says, and moves on to the next.
    #[inline]
    fn numbered(&mut self, visit: impl FnOnce(&mut Self) -> Result<i64, Refusal>) -> Result<i64, Refusal> {
        let grown = visit(self)?;
        self.position.item = self.position.item.wrapping_add(1);
        Ok(grown)
    }

    fn metric(&mut self, metric: Message<'_>, concern: Concern) -> Result<i64, Refusal> {
        let mut grown = 0;
        let mut fields = metric;
        let mut valid_from = None;
        while let Some(field) = fields.next(&mut self.steps)? {
            let Some((layout, data)) = metric_data(&field) else { continue };
            let valid_from = match valid_from {
                Some(known) => known,
                None => *valid_from.insert(valid_data_start(&field, fields, &mut self.steps)?),
            };
            if field.start < valid_from {
                continue;
            }
            let place = self.sink.open(&data)?;
            let inside = self.children(
                data.content,
                |number| number == DATA_POINTS,
                |walk, point| walk.numbered(|walk| walk.point(point, layout, concern)),
            )?;
            grown += self.sink.close(place, &data, inside)?;
        }
        Ok(grown)
    }

    fn point(&mut self, point: Message<'_>, layout: &PointLayout, concern: Concern) -> Result<i64, Refusal> {
        let insertion =
            if self.marking.points { self.judge(point, Timed::point(layout.attributes), concern)? } else { None };
        match layout.exemplars.filter(|_| self.marking.exemplars) {
            Some(exemplars) => self.point_with_exemplars(point, exemplars, insertion, concern),
            None => self.insert(insertion),
        }
    }

    /// Edits go by rising offset, and exemplars may lie on both sides of what the point itself gets.
    fn point_with_exemplars(
        &mut self,
        point: Message<'_>,
        exemplars: u32,
        mut insertion: Option<Insertion>,
        concern: Concern,
    ) -> Result<i64, Refusal> {
        let mut grown = 0;
        let mut number = 0;
        let mut fields = point;
        while let Some(field) = fields.next(&mut self.steps)? {
            grown += self.insert(insertion.take_if(|insertion| insertion.at <= field.start))?;
            let Some(exemplar) = field.delimited(exemplars) else { continue };
            self.position.exemplar = Some(number);
            number += 1;
            let place = self.sink.open(&exemplar)?;
            let inside = self.item(exemplar.content, Timed::exemplar(), concern)?;
            grown += self.sink.close(place, &exemplar, inside)?;
        }
        self.position.exemplar = None;
        Ok(grown + self.insert(insertion)?)
    }

    #[inline]
    fn item(&mut self, message: Message<'_>, item: impl Item, concern: Concern) -> Result<i64, Refusal> {
        let insertion = self.judge(message, item, concern)?;
        self.insert(insertion)
    }

    #[inline]
    fn insert(&mut self, insertion: Option<Insertion>) -> Result<i64, Refusal> {
        insertion.map_or(Ok(0), |Insertion { at, insert }| self.sink.insert(at, insert))
    }

    /// Visits the messages in the fields of `message` that are `wanted`, inside a place for the length of each.
    #[inline]
    fn children<'m>(
        &mut self,
        mut message: Message<'m>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(&mut Self, Message<'m>) -> Result<i64, Refusal>,
    ) -> Result<i64, Refusal> {
        let mut grown = 0;
        while let Some(field) = message.next(&mut self.steps)? {
            if !wanted(field.number) {
                continue;
            }
            let Some(child) = field.delimited(field.number) else { continue };
            if planted::has(Bug::LastItemSkipped) && message.rest().is_empty() {
                continue;
            }
            let place = self.sink.open(&child)?;
            let inside = visit(self, child.content)?;
            grown += self.sink.close(place, &child, inside)?;
        }
        Ok(grown)
    }

    /// Decides what an item gets, counts it, and stages the bytes. Out of line, so that it has the registers for itself.
    #[inline(never)]
    fn judge<I: Item>(
        &mut self,
        message: Message<'_>,
        item: I,
        concern: Concern,
    ) -> Result<Option<Insertion>, Refusal> {
        self.tally.items_seen += 1;
        // A copy, which can stay in a register.
        let mut steps = self.steps;
        let Head { mut item, tail } = head(message, item, &mut steps)?;
        let is_settled = item.needs_times_only() && item.is_time_known();
        let annotation = loop {
            let Some((from, until)) = item.time() else {
                self.steps = steps;
                self.tally.items_without_time += 1;
                return Ok(None);
            };
            let Some(annotation) = self.marks.annotation(concern, from, until) else {
                self.steps = steps;
                self.tally.items_outside_window += 1;
                return Ok(None);
            };
            let annotation = item.part_of(annotation);
            if is_settled {
                match self.scope.has_our_keys {
                    None => {
                        self.search_scope(concern);
                        continue;
                    }
                    Some(false) => {
                        self.present.clear();
                        break annotation;
                    }
                    Some(true) => {}
                }
            }
            if read_tail(tail, &mut item, annotation, self.present, &mut steps)? == Tail::AlreadyMarked {
                self.steps = steps;
                self.tally.items_already_marked += 1;
                return Ok(None);
            }
            // The tail may repeat a time, and the last one counts. All is read by now, so this happens once at most.
            if item.time() == Some((from, until)) {
                break annotation;
            }
        };
        // In front of the attributes, or where a writer would put them.
        let at = tail.at();
        self.steps = steps;
        if !item.is_wanted() {
            self.tally.items_not_entry_or_error += 1;
            return Ok(None);
        }
        match self.sink.stage(annotation, item.attributes(), self.present, at, self.position)? {
            Staged::Insert(insert) => {
                self.tally.items_marked += 1;
                Ok(Some(Insertion { at, insert }))
            }
            Staged::AlreadyMarked => {
                self.tally.items_already_marked += 1;
                Ok(None)
            }
            Staged::NothingAbsent => {
                self.tally.items_nothing_absent += 1;
                Ok(None)
            }
        }
    }

    /// Looks for our keys in the scope group under way.
    #[cold]
    fn search_scope(&mut self, concern: Concern) {
        let Scope { start, end, .. } = self.scope;
        let bytes = self.batch.get(start..end).unwrap_or_default();
        self.scope.has_our_keys = Some(self.marks.keys(concern).is_none_or(|keys| keys.may_be_in(bytes)));
    }
}

/// The points in a field of a `Metric`, if it has any.
#[inline]
fn metric_data<'m>(field: &Field<'m>) -> Option<(&'static PointLayout, Delimited<'m>)> {
    let layout = POINT_LAYOUTS.iter().find(|layout| layout.data == field.number)?;
    Some((layout, field.delimited(layout.data)?))
}

/// Where in a metric the data begins that whoever decodes it has, given the first data and what is behind it.
///
/// The kinds of data are a `oneof`: data of another kind takes the place of those before it, data of the same kind is added
/// to them. Points that nobody has must not be numbered for [`ItemMarks`](super::ItemMarks).
#[inline]
fn valid_data_start(first: &Field<'_>, mut behind: Message<'_>, steps: &mut Steps) -> Result<usize, Refusal> {
    let (mut kind, mut start) = (first.number, first.start);
    while let Some(field) = behind.next(steps)? {
        if field.number != kind && metric_data(&field).is_some() {
            (kind, start) = (field.number, field.start);
        }
    }
    Ok(start)
}

/// Reads an item as far as needed to tell its time.
///
/// The tail begins at the first field that is an attribute or stands behind where attributes belong, even if the time
/// stands behind it. Writers put fields in the order of their numbers, and then hardly a field is read twice.
#[inline(always)]
fn head<'a, I: Item>(message: Message<'a>, mut item: I, steps: &mut Steps) -> Result<Head<'a, I>, Refusal> {
    let attributes = item.attributes();
    let mut fields = message;
    if item.needs_times_only() {
        fields.pass(item.pass_usual_head(fields.rest()), steps)?;
        // Nothing but attributes can follow where a writer goes by the numbers.
        if item.is_time_known() && fields.rest().first() == Some(&attributes.tag()) {
            return Ok(Head { item, tail: fields });
        }
    }
    slow_head(fields, item, *steps).map(|(head, left)| {
        *steps = left;
        head
    })
}

/// The head of an item that is not plain, or whose time does not come before its attributes.
#[inline(never)]
fn slow_head<I: Item>(mut fields: Message<'_>, mut item: I, mut steps: Steps) -> Result<(Head<'_, I>, Steps), Refusal> {
    let attributes = item.attributes().number();
    let mut tail = None;
    loop {
        let bookmark = fields;
        let Some(field) = fields.next(&mut steps)? else { break };
        if field.number >= attributes {
            tail.get_or_insert(bookmark);
            if item.is_time_known() {
                break;
            }
        }
        item.read(&field, &mut steps)?;
    }
    Ok((Head { item, tail: tail.unwrap_or(fields) }, steps))
}

/// Reads the tail of an item, and notes which keys of `annotation` are there.
///
/// Once it is sure that the item is marked already, and would be marked otherwise, nothing more is read.
#[inline(always)]
fn read_tail<I: Item>(
    mut tail: Message<'_>,
    item: &mut I,
    annotation: &Annotation,
    present: &mut Present,
    steps: &mut Steps,
) -> Result<Tail, Refusal> {
    let attributes = item.attributes();
    let number = attributes.number();
    present.clear();
    loop {
        tail.pass(pass_attributes(tail.rest(), attributes.tag(), annotation.filter()), steps)?;
        if item.needs_times_only() {
            tail.pass(pass_tail(tail.rest(), number as u8, item.time_tags()), steps)?;
        }
        let Some(field) = tail.next(steps)? else { return Ok(Tail::Read) };
        if let Some(attribute) = field.delimited(number) {
            if let Some(index) = annotation.find(key(attribute.content, steps)?)
                && !planted::has(Bug::MarkerIgnored)
            {
                present.insert(index);
                if item.needs_times_only() && annotation.is_kept_out(present) {
                    return Ok(Tail::AlreadyMarked);
                }
            }
        } else {
            item.read(&field, steps)?;
        }
    }
}
