//! A batch to which the list of edits was applied is the batch that the rewriter gives.

use faultline_annotator::otlp::{
    EditList, Signal,
    applied::{InvalidEdits, RESULT_BYTES_MAX, apply},
};
use faultline_test_support::Generator;
use proptest::{collection, prelude::*};

use crate::{
    cases::with_cases,
    scene::{EVERYTHING, Scene, plain_signal},
    strategies::{generators, irregular, markings, scenes, signals},
};

/// What the list makes of the batch, in the rewriter's words.
pub(crate) fn applied(list: &EditList, batch: &[u8]) -> Option<Vec<u8>> {
    let mut output = b"what was there before".to_vec();
    list.apply(batch, &mut output).expect("the list fits the batch it was made for");
    (!list.is_empty()).then_some(output)
}

proptest! {
    #![proptest_config(with_cases(96))]

    #[test]
    fn applied_edits_equal_the_rewritten_batch(
        generator in generators(0..24_usize),
        signal in signals(),
        before in scenes(),
        scene in scenes(),
        marking in markings(),
    ) {
        let batch = irregular(&generator, signal);
        let marked = before.rewrite(signal, &batch, &EVERYTHING).unwrap().0;
        for batch in [Some(batch), marked].into_iter().flatten() {
            let (list, tally) = scene.edits(signal, &batch, &marking).unwrap();
            prop_assert_eq!((applied(&list, &batch), tally), scene.rewrite(signal, &batch, &marking).unwrap());
        }
    }

    /// Scenario: a list from a plugin that nobody trusts.
    /// Guarantees: it is applied as it says or refused whole; nothing panics, and the output is as large as it says.
    #[test]
    fn any_numbers_are_applied_or_refused_whole(
        batch in collection::vec(any::<u8>(), 0..40),
        inserts in collection::vec(any::<u8>(), 0..20),
        edits in collection::vec(prop_oneof![8 => 0..45_u32, 1 => any::<u32>()], 0..24),
    ) {
        let before = b"before".to_vec();
        let mut output = before.clone();
        match apply(&batch, &edits, &inserts, RESULT_BYTES_MAX, &mut output) {
            Err(_) => prop_assert_eq!(output, before),
            Ok(()) => {
                let sum = |at: usize| edits.iter().skip(at).step_by(4).map(|number| *number as usize).sum::<usize>();
                prop_assert_eq!(output.len() + sum(1), batch.len() + sum(3));
            }
        }
    }
}

#[test]
fn an_unchanged_batch_gives_an_empty_list() {
    let batch = Generator { items: 4, ..Generator::default() }.bytes(plain_signal(Signal::Logs));
    let (list, _) = Scene { incidents: Vec::new() }.edits(Signal::Logs, &batch, &EVERYTHING).unwrap();
    assert_eq!(list, EditList::default());
}

#[test]
fn what_many_items_get_is_in_the_list_once() {
    let batch = Generator { items: 512, ..Generator::default() }.bytes(plain_signal(Signal::Traces));
    let url = "u".repeat(1000);
    let (list, tally) =
        Scene::marking_all(&[("incident.url", &url)]).edits(Signal::Traces, &batch, &EVERYTHING).unwrap();
    assert_eq!(tally.items_marked, 512);
    // Beside the annotation, lengths of at most three bytes for each span, scope and resource.
    assert!(list.inserts.len() < 1100 + 3 * (512 + 20 + 10), "{} bytes", list.inserts.len());
}

#[test]
fn a_list_for_another_batch_is_refused() {
    let scene = Scene::marking_all(&[("incident.id", "a")]);
    let batch = Generator { items: 8, ..Generator::default() }.bytes(plain_signal(Signal::Traces));
    let (list, _) = scene.edits(Signal::Traces, &batch, &EVERYTHING).unwrap();
    let refused = list.apply(&batch[..batch.len() / 2], &mut Vec::new());
    assert!(matches!(refused, Err(InvalidEdits::OutsideBatch(_))), "{refused:?}");
}
