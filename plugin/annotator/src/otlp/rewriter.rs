//! Rewrites batches, one after another, in memory that is kept.

use super::{
    EditList, ItemMarks, Marking, Marks, Refusal, Signal, Tally,
    edits::{Edits, MESSAGE_BYTES_MAX, TOO_LARGE},
    groups::next_group,
    item_marks::Gathering,
    output::Output,
    sink::{Position, Sink},
    steps::Steps,
    walk::{Scope, Walk},
    wire::{Delimited, Message},
};
use crate::annotation::Present;

/// Adds attributes to the items of OTLP export requests.
///
/// A batch costs one allocation, for the result, and none when it stays unchanged; what else is needed is kept for the
/// next batch.
///
/// Fields may come in any order, with unknown fields and groups between them; lengths may be padded. Only what is walked
/// is checked: resources, and in those that are concerned everything on the way to the attributes of an item. An item
/// whose time comes before its attributes is left as soon as it is sure what it gets: there, when it lies outside of every
/// window, or when no key of ours is in the bytes around it; and at its marker, when it is marked already. So a repeated
/// time behind that, which no writer makes, does not count, and what follows is not checked.
#[derive(Debug, Default)]
pub struct Rewriter {
    edits: Edits,
    present: Present,
}

/// One batch to walk.
struct Task<'a> {
    signal: Signal,
    batch: &'a [u8],
    marking: &'a Marking,
    steps: Steps,
}

const BATCH_TOO_LARGE: &str = "batch is larger than its limit";
const MESSAGE_TOO_LARGE: &str = "batch is larger than 2 GiB, which is what protobuf allows";

// === impl Rewriter ===

impl Rewriter {
    /// Marks the items of one export request of that signal; `Ok(None)` when nothing was to be added.
    ///
    /// Attributes go in front of those that an item has, which is where a writer would have put the first. Where `marking`
    /// is off for the signal, resources are still visited and counted.
    ///
    /// # Errors
    ///
    /// When the batch is not readable as protobuf where the walk goes, is larger than `marking.batch_bytes_max`, or when
    /// it or the result had 2 GiB or more. Nothing is added to `tally` then; `marks` may have been asked.
    pub fn rewrite(
        &mut self,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
        marks: &mut impl Marks,
        tally: &mut Tally,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Self { edits, present } = self;
        edits.begin(batch.len());
        let mut output = Output::of(batch);
        let task = Task::new(signal, batch, marking);
        task.walk(marks, edits, present, tally, |edits, group, grown| output.take(edits, group, grown))?;
        Ok(output.finish())
    }

    /// What [`Self::rewrite`] would do to the batch, for a caller who does it where the batch lies: see
    /// [`applied`](super::applied). Empty when nothing is to be added.
    ///
    /// # Errors
    ///
    /// As [`Self::rewrite`].
    pub fn edits(
        &mut self,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
        marks: &mut impl Marks,
        tally: &mut Tally,
    ) -> Result<EditList, Refusal> {
        let Self { edits, present } = self;
        edits.begin(batch.len());
        let mut growth = 0;
        // The list itself may find no memory; then nothing is counted.
        let mut counts = Tally::default();
        let task = Task::new(signal, batch, marking);
        task.walk(marks, edits, present, &mut counts, |_, _, grown| {
            growth += grown;
            check_result_size(batch.len(), growth)
        })?;
        let list = edits.list()?;
        *tally += counts;
        Ok(list)
    }

    /// What [`Self::rewrite`] would add, by the positions of the items, for a caller who holds them decoded.
    ///
    /// # Errors
    ///
    /// As [`Self::rewrite`].
    pub fn marks(
        &mut self,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
        marks: &mut impl Marks,
        tally: &mut Tally,
    ) -> Result<ItemMarks, Refusal> {
        let mut gathering = Gathering::default();
        Task::new(signal, batch, marking).walk(marks, &mut gathering, &mut self.present, tally, |_, _, _| Ok(()))?;
        Ok(gathering.finish())
    }
}

// === impl Task ===

impl<'a> Task<'a> {
    fn new(signal: Signal, batch: &'a [u8], marking: &'a Marking) -> Self {
        Self { signal, batch, marking, steps: Steps::for_batch(batch.len()) }
    }

    /// Walks the whole batch; behind each resource group calls `finish` with it and by how many bytes it grew. Counts
    /// nothing when the batch is refused.
    fn walk<S: Sink>(
        &self,
        marks: &mut impl Marks,
        sink: &mut S,
        present: &mut Present,
        tally: &mut Tally,
        finish: impl FnMut(&mut S, &Delimited<'_>, i64) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let counts =
            self.walk_groups(marks, sink, present, finish).map_err(|refusal| recognise(self.batch, refusal))?;
        *tally += counts;
        Ok(())
    }

    fn walk_groups<S: Sink>(
        &self,
        marks: &mut impl Marks,
        sink: &mut S,
        present: &mut Present,
        mut finish: impl FnMut(&mut S, &Delimited<'_>, i64) -> Result<(), Refusal>,
    ) -> Result<Tally, Refusal> {
        let Self { signal, batch, marking, steps } = *self;
        check_size(batch.len(), marking.batch_bytes_max)?;
        let (tally, position, scope) = (Tally::default(), Position::default(), Scope::default());
        let mut walk = Walk { signal, batch, marking, marks, sink, present, steps, tally, position, scope };
        let mut request = Message::whole(batch);
        while let Some((_, group)) = next_group(&mut request, &mut walk.steps)? {
            let grown = walk.group(&group)?;
            finish(walk.sink, &group, grown)?;
        }
        Ok(walk.tally)
    }
}

fn check_size(length: usize, batch_bytes_max: usize) -> Result<(), Refusal> {
    if length > batch_bytes_max {
        return Err(Refusal { offset: batch_bytes_max, reason: BATCH_TOO_LARGE });
    }
    if length as u64 > MESSAGE_BYTES_MAX {
        return Err(Refusal { offset: MESSAGE_BYTES_MAX as usize, reason: MESSAGE_TOO_LARGE });
    }
    Ok(())
}

fn check_result_size(length: usize, grown: i64) -> Result<(), Refusal> {
    if length as i64 + grown > MESSAGE_BYTES_MAX as i64 {
        return Err(Refusal { offset: 0, reason: TOO_LARGE });
    }
    Ok(())
}

/// A batch that was refused may be something else altogether; saying so saves its sender a search. What can be read as
/// protobuf is never judged by its looks.
fn recognise(batch: &[u8], refusal: Refusal) -> Refusal {
    let looks = match batch {
        [0x1f, 0x8b, ..] => "looks like gzip: decompress first",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "looks like zstd: decompress first",
        _ if matches!(batch.trim_ascii_start(), [b'{' | b'[', ..]) => "looks like JSON: convert to protobuf first",
        _ => return refusal,
    };
    // A limit is a limit whatever the bytes are.
    if [BATCH_TOO_LARGE, MESSAGE_TOO_LARGE].contains(&refusal.reason) {
        refusal
    } else {
        Refusal { offset: 0, reason: looks }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Concern, ResourceIdentity},
        *,
    };
    use crate::{
        annotation::{Annotation, Group, Value},
        config::SpanMarking,
    };

    /// Marks everything.
    struct Always(Annotation);

    impl Marks for Always {
        fn concerning(&mut self, _: &ResourceIdentity<'_>) -> Option<Concern> {
            Some(Concern(0))
        }

        fn annotation(&mut self, _: Concern, _: u64, _: u64) -> Option<&Annotation> {
            Some(&self.0)
        }
    }

    fn always() -> Always {
        Always(Annotation::compile(&[Group { attributes: vec![("k".to_owned(), Value::Flag(true))] }]))
    }

    const MARKING: Marking = Marking {
        spans: SpanMarking::EntryAndError,
        logs: true,
        points: true,
        exemplars: true,
        batch_bytes_max: 1 << 20,
    };

    /// A request with one span.
    fn request(span: &[u8]) -> Vec<u8> {
        [1, 2, 2].iter().rev().fold(span.to_vec(), |inner, number| {
            let mut outer = vec![number << 3 | 2];
            super::super::push_varint(&mut outer, inner.len() as u64);
            [outer, inner].concat()
        })
    }

    fn walk_in(steps: Steps, batch: &[u8]) -> Result<(), Refusal> {
        let task = Task { steps, ..Task::new(Signal::Traces, batch, &MARKING) };
        let Rewriter { mut edits, mut present } = Rewriter::default();
        edits.begin(batch.len());
        task.walk(&mut always(), &mut edits, &mut present, &mut Tally::default(), |_, _, _| Ok(()))
    }

    fn steps_taken(batch: &[u8]) -> u64 {
        (0..)
            .find(|&steps| match walk_in(Steps::limited(steps), batch) {
                Ok(()) => true,
                Err(refusal) => {
                    assert_eq!(refusal.reason, "step budget spent");
                    false
                }
            })
            .unwrap()
    }

    #[test]
    fn a_walk_whose_budget_is_spent_is_refused() {
        let batch = request(&[0x39, 1, 0, 0, 0, 0, 0, 0, 0]);
        let needed = steps_taken(&batch);
        assert_eq!(needed, 5, "one field each of request, scope group and span, and that of the resource group twice");
        let refusal = walk_in(Steps::limited(needed - 1), &batch).unwrap_err();
        assert_eq!(refusal.reason, "step budget spent");
    }

    #[test]
    fn the_costliest_span_stays_within_the_budget_per_byte() {
        // Attributes before the times, a time repeated behind them, and nothing but fields of the least size.
        let time = |tag: u8, value: u8| [tag, value, 0, 0, 0, 0, 0, 0, 0];
        let span = [&[0x4a, 0].repeat(500)[..], &time(0x39, 1), &time(0x41, 2), &time(0x39, 3)].concat();
        let batch = request(&span);
        assert!(steps_taken(&batch) <= crate::limits::STEPS_PER_BYTE_MAX * batch.len() as u64);
    }

    #[test]
    fn a_batch_over_its_limit_is_refused_whatever_it_holds() {
        let marking = Marking { batch_bytes_max: 3, ..MARKING };
        for batch in [[0x1f, 0x8b, 0, 0], [0; 4]] {
            let refusal = Rewriter::default()
                .rewrite(Signal::Logs, &batch, &marking, &mut always(), &mut Tally::default())
                .unwrap_err();
            assert_eq!(refusal.to_string(), "byte 3: batch is larger than its limit");
        }
    }

    #[test]
    fn a_result_of_2_gib_is_refused() {
        assert_eq!(check_result_size(10, MESSAGE_BYTES_MAX as i64 - 10), Ok(()));
        assert_eq!(check_result_size(10, MESSAGE_BYTES_MAX as i64 - 9).unwrap_err().reason, TOO_LARGE);
    }

    #[test]
    fn a_batch_of_2_gib_is_refused_even_without_a_limit() {
        let largest = MESSAGE_BYTES_MAX as usize;
        assert_eq!(check_size(largest, usize::MAX), Ok(()));
        assert_eq!(check_size(largest + 1, usize::MAX), Err(Refusal { offset: largest, reason: MESSAGE_TOO_LARGE }));
    }
}
