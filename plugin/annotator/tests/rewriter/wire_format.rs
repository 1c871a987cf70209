//! The traps of protobuf, each by name: lengths, tags, wire types, and what is no protobuf at all.

use faultline_annotator::{
    config::SpanMarking,
    limits,
    otlp::{Marking, Refusal, Rewriter, Signal, Tally},
};

use crate::{
    requests::*,
    scene::{EVERYTHING, Scene},
    tree::{Node, attribute, encode},
};

#[test]
fn lengths_longer_than_needed_become_as_short_as_they_can() {
    let padded = |width, ours: Option<Node>| {
        let span = times(150, 160).into_iter().chain(ours).collect();
        let pad = |number, fields| {
            if width == 0 { Node::Message(number, fields) } else { Node::Padded(number, width, fields) }
        };
        encode(&[pad(1, vec![resource("checkout"), pad(2, vec![pad(2, span)])])])
    };
    for width in 1..=10 {
        assert_eq!(rewrite(Signal::Traces, &padded(width, None)).0, Some(padded(0, Some(ours(9)))), "width {width}");
    }
}

/// Scenario: an attribute of nine bytes, in messages whose lengths were padded by nine.
/// Guarantees: a message that keeps its size, and those around it, are written anew all the same.
#[test]
fn a_message_that_loses_as_much_padding_as_it_gains_is_still_written() {
    let scene = Scene::marking_all(&[("k", "")]);
    let batch = |width, ours: Option<Node>| {
        let span = times(150, 160).into_iter().chain(ours).collect();
        encode(&[Node::Message(1, vec![Node::Message(2, vec![Node::Padded(2, width, span)])])])
    };
    let (before, expected) = (batch(10, None), batch(1, Some(attribute(9, "k", ""))));
    assert_eq!(before.len(), expected.len());
    assert_eq!(scene.rewrite(Signal::Traces, &before, &EVERYTHING).unwrap().0, Some(expected));
}

#[test]
fn padding_of_messages_in_which_nothing_changes_is_kept() {
    let scope = |span| Node::Padded(2, 4, vec![Node::Padded(2, 5, span)]);
    let untouched = Node::Padded(1, 3, vec![resource("checkout"), scope(times(1, 2))]);
    let touched = |span| Node::Message(1, vec![resource("checkout"), Node::Message(2, vec![Node::Message(2, span)])]);
    let batch = encode(&[untouched.clone(), touched(times(150, 160))]);
    let expected = encode(&[untouched, touched([times(150, 160), vec![ours(9)]].concat())]);
    assert_eq!(rewrite(Signal::Traces, &batch).0, Some(expected));
}

#[test]
fn a_known_field_of_another_wire_type_is_unknown() {
    let strange = vec![Node::Varint(1, 1), Node::Fixed64(2, 2), Node::Group(2, vec![Node::Varint(2, 2)])];
    let batch = |span| {
        let scope = Node::Message(2, [strange.clone(), vec![Node::Message(2, span)]].concat());
        encode(&[Node::Varint(1, 9), Node::Message(1, [strange.clone(), vec![resource("checkout"), scope]].concat())])
    };
    let span = [times(150, 160), vec![Node::Fixed32(7, 1)]].concat();
    assert_eq!(rewrite(Signal::Traces, &batch(span.clone())).0, Some(batch([span, vec![ours(9)]].concat())));
}

#[test]
fn groups_nested_too_deep_are_refused_with_their_offset() {
    let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
    assert_eq!(rewrite(Signal::Traces, &nested(limits::GROUP_DEPTH_MAX)).0, None);
    assert_eq!(refused(&nested(limits::GROUP_DEPTH_MAX + 1)), "byte 64: groups are nested too deep");
}

#[test]
fn malformed_tags_are_refused_with_their_offset() {
    assert_eq!(refused(&[0x02, 0]), "byte 0: field number is 0");
    assert_eq!(refused(&[0x0e]), "byte 0: wire type is none of 0 to 5");
    assert_eq!(refused(&[0x0c]), "byte 0: end of a group that did not begin");
    assert_eq!(refused(&[0x0a, 0x05, 0x0a]), "byte 1: length runs past the end of the message");
}

#[test]
fn a_fault_inside_a_concerned_item_refuses_the_whole_batch_and_counts_nothing() {
    let good = Node::Message(2, times(150, 160));
    let bad = Node::Bytes(2, vec![0x07]);
    let batch = request(vec![resource("checkout"), Node::Message(2, vec![good, bad])]);
    let mut tally = Tally { items_marked: 5, ..Tally::default() };
    let result = Rewriter::default().rewrite(Signal::Traces, &batch, &EVERYTHING, &mut checkout().marks(), &mut tally);
    assert_eq!(result, Err(Refusal { offset: batch.len() - 1, reason: "field number is 0" }));
    assert_eq!(tally, Tally { items_marked: 5, ..Tally::default() });
}

#[test]
fn what_is_not_protobuf_at_all_is_called_by_its_name() {
    assert_eq!(refused(&[0x1f, 0x8b, 8, 0, 0]), "byte 0: looks like gzip: decompress first");
    assert_eq!(refused(&[0x28, 0xb5, 0x2f, 0xfd, 4, 0]), "byte 0: looks like zstd: decompress first");
    assert_eq!(refused(br#"{"resourceSpans":[]}"#), "byte 0: looks like JSON: convert to protobuf first");
    assert_eq!(refused(b"\n  [ {} ]"), "byte 0: looks like JSON: convert to protobuf first");
}

#[test]
fn a_batch_larger_than_its_limit_is_refused_and_one_as_large_is_not() {
    let batch = request_with(times(150, 160));
    let limit = |batch_bytes_max| Marking { batch_bytes_max, ..EVERYTHING };
    assert!(checkout().rewrite(Signal::Traces, &batch, &limit(batch.len())).unwrap().0.is_some());
    let refusal = checkout().rewrite(Signal::Traces, &batch, &limit(batch.len() - 1)).unwrap_err();
    assert_eq!(refusal, Refusal { offset: batch.len() - 1, reason: "batch is larger than its limit" });
}

#[test]
fn an_empty_batch_is_unchanged() {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        assert_eq!(rewrite(signal, &[]), (None, Tally::default()));
    }
}

#[test]
fn with_marking_off_resources_are_counted_and_items_not_read() {
    let marking = Marking { spans: SpanMarking::Off, logs: false, points: false, exemplars: false, ..EVERYTHING };
    let batch = request(vec![resource("checkout"), Node::Bytes(2, vec![0xff])]);
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let (result, tally) = checkout().rewrite(signal, &batch, &marking).unwrap();
        assert_eq!((result, tally), (None, Tally { resources_seen: 1, ..Tally::default() }));
    }
}

#[test]
fn a_rewriter_that_refused_a_batch_rewrites_the_next() {
    let scene = checkout();
    let mut rewriter = Rewriter::default();
    let mut tally = Tally::default();
    let good = request_with(times(150, 160));
    let bad = [good.clone(), vec![0x07]].concat();
    let mut run = |batch: &[u8]| rewriter.rewrite(Signal::Traces, batch, &EVERYTHING, &mut scene.marks(), &mut tally);
    let expected = Some(request_with([times(150, 160), vec![ours(9)]].concat()));
    assert_eq!(run(&good), Ok(expected.clone()));
    assert!(run(&bad).is_err());
    assert_eq!(run(&good), Ok(expected));
}
