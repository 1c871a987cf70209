//! The three forms of an answer agree: a new batch, edits, and marks by position.

use faultline_annotator::otlp::{EditList, ItemMark, ItemMarks, Signal};
use faultline_test_support::{
    applier::{self, Mark},
    shape::with_library_groups_as_scopes,
};

use crate::{
    rewriting::written_anew,
    scene::{any_value, plain_signal},
    variant::Variant,
};

/// Whatever the bytes are: edits that are applied give the rewritten batch; marks are as many as it has; all three count
/// and refuse alike. Where `prost` reads the batch, marks that it puts on give what it reads in the rewritten one.
pub fn check(input: &[u8]) {
    let Some((Variant { scene, marking }, signal, batch)) = Variant::split_with_signal(input) else { return };
    let rewritten = scene.rewrite(signal, batch, &marking);
    let edited = scene.edits(signal, batch, &marking).map(|(list, tally)| (applied(&list, batch), tally));
    assert_eq!(edited, rewritten);
    match (scene.item_marks(signal, batch, &marking), rewritten) {
        (Err(refusal), rewritten) => assert_eq!(rewritten, Err(refusal)),
        (Ok((marks, tally)), rewritten) => {
            let (bytes, expected_tally) = rewritten.expect("what is not refused as marks is not refused at all");
            assert_eq!(tally, expected_tally);
            assert_eq!(tally.items_marked, marks.items.len() as u64);
            check_order(&marks);
            check_applied(&marks, signal, batch, bytes.as_deref().unwrap_or(batch));
        }
    }
}

fn applied(list: &EditList, batch: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    list.apply(batch, &mut output).expect("the list fits the batch it was made for");
    (!list.is_empty()).then_some(output)
}

/// Items in the order of the batch, each once; sets that differ, each used.
fn check_order(marks: &ItemMarks) {
    assert!(marks.items.is_sorted_by(|left, right| left < right), "{:?}", marks.items);
    for (index, set) in marks.sets.iter().enumerate() {
        assert!(!set.is_empty() && !marks.sets[..index].contains(set), "set {index}: {set:?}");
        assert!(marks.items.iter().any(|mark| mark.attributes as usize == index), "set {index} is not used");
    }
}

fn check_applied(marks: &ItemMarks, signal: Signal, batch: &[u8], rewritten: &[u8]) {
    let batch = with_library_groups_as_scopes(batch);
    if written_anew(signal, &batch).is_none() {
        return;
    }
    let set = |set: &Vec<(String, _)>| set.iter().map(|(key, value)| (key.clone(), any_value(value))).collect();
    let sets: Vec<_> = marks.sets.iter().map(set).collect();
    let mark = |mark: &ItemMark| {
        let ItemMark { resource, item, exemplar, attributes } = *mark;
        Mark { resource, item, exemplar, set: attributes }
    };
    let items: Vec<Mark> = marks.items.iter().map(mark).collect();
    let applied = applier::apply(plain_signal(signal), &batch, &sets, &items).expect("prost read it before");
    let rewritten = written_anew(signal, &with_library_groups_as_scopes(rewritten));
    assert_eq!(Some(applied), rewritten, "marks that prost puts on are those of the rewritten batch");
}
