//! Rewrites batches, one after another, in memory that is kept.

use super::{
    Marking, Marks, Refusal, Signal, Tally,
    edits::{Edits, MESSAGE_BYTES_MAX},
    steps::Steps,
    walk::Walk,
    wire::Message,
};
use crate::{annotation::Present, config::SpanMarking};

/// Adds attributes to the items of OTLP export requests.
///
/// A batch costs one allocation, for the result, and none when it stays unchanged; what else is needed is kept for the
/// next batch.
///
/// Fields may come in any order, with unknown fields and groups between them; lengths may be padded. Only what is walked
/// is checked: resources, and in those that are concerned everything on the way to the attributes of an item. An item
/// whose time comes before its attributes and lies outside of every window is left there and then, so that a repeated
/// time behind its attributes, which no writer makes, does not count.
#[derive(Debug, Default)]
pub struct Rewriter {
    edits: Edits,
    present: Present,
}

const BATCH_TOO_LARGE: &str = "batch is larger than its limit";
const MESSAGE_TOO_LARGE: &str = "batch is larger than 2 GiB, which is what protobuf allows";

// === impl Rewriter ===

impl Rewriter {
    /// Marks the items of one export request of that signal; `Ok(None)` when nothing was to be added.
    ///
    /// Attributes go behind the last one of an item, or where a writer would have put the first. Where `marking` is off
    /// for the signal, resources are still visited and counted.
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
        let steps = Steps::for_batch(batch.len());
        let (result, counts) =
            self.rewrite_within(steps, signal, batch, marking, marks).map_err(|refusal| recognise(batch, refusal))?;
        *tally += counts;
        Ok(result)
    }

    /// Asks `marks` which incidents concern each resource of the request, and changes nothing. Takes time for each
    /// resource, however many items it has.
    ///
    /// # Errors
    ///
    /// When the batch is not readable as protobuf down to its resources, or has 2 GiB or more.
    pub fn visit_resources(&mut self, signal: Signal, batch: &[u8], marks: &mut impl Marks) -> Result<(), Refusal> {
        let marking = Marking {
            spans: SpanMarking::Off,
            logs: false,
            points: false,
            exemplars: false,
            batch_bytes_max: usize::MAX,
        };
        self.rewrite(signal, batch, &marking, marks, &mut Tally::default()).map(drop)
    }

    fn rewrite_within(
        &mut self,
        steps: Steps,
        signal: Signal,
        batch: &[u8],
        marking: &Marking,
        marks: &mut impl Marks,
    ) -> Result<(Option<Vec<u8>>, Tally), Refusal> {
        check_size(batch.len(), marking.batch_bytes_max)?;
        let Self { edits, present } = self;
        edits.begin(batch.len());
        let mut walk = Walk { signal, marking, marks, edits, present, steps, tally: Tally::default() };
        let grown = walk.request(Message::whole(batch))?;
        let tally = walk.tally;
        let result = if edits.is_empty() { None } else { Some(edits.write(batch, grown)?) };
        Ok((result, tally))
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
    use crate::annotation::{Annotation, Group, Value};

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

    fn steps_taken(batch: &[u8]) -> u64 {
        (0..)
            .find(|&steps| {
                let walked = Rewriter::default().rewrite_within(
                    Steps::limited(steps),
                    Signal::Traces,
                    batch,
                    &MARKING,
                    &mut always(),
                );
                match walked {
                    Ok(_) => true,
                    Err(refusal) => {
                        assert_eq!(refusal.reason, "step budget spent");
                        false
                    }
                }
            })
            .unwrap()
    }

    #[test]
    fn a_walk_whose_budget_is_spent_is_refused() {
        let batch = request(&[0x39, 1, 0, 0, 0, 0, 0, 0, 0]);
        let needed = steps_taken(&batch);
        assert_eq!(needed, 5, "one field each of request, scope group and span, and that of the resource group twice");
        let refusal = Rewriter::default()
            .rewrite_within(Steps::limited(needed - 1), Signal::Traces, &batch, &MARKING, &mut always())
            .unwrap_err();
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
    fn a_batch_of_2_gib_is_refused_even_without_a_limit() {
        let largest = MESSAGE_BYTES_MAX as usize;
        assert_eq!(check_size(largest, usize::MAX), Ok(()));
        assert_eq!(check_size(largest + 1, usize::MAX), Err(Refusal { offset: largest, reason: MESSAGE_TOO_LARGE }));
    }
}
