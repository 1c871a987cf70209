//! The traps of OTLP, each by name: what a resource, a time, a key, a kind of point means. Those of protobuf are in
//! `wire_format.rs`.

#[cfg(feature = "planted-bugs")]
use faultline_annotator::otlp::planted::Bug;
use faultline_annotator::{
    config::SpanMarking,
    otlp::{Marking, ResourceGroups, ResourceIdentity, Signal},
};

use crate::{
    requests::*,
    scene::{EVERYTHING, Scene},
    tree::{Node, attribute, encode, text},
};

/// Planted bugs, and the tests here that notice them.
#[cfg(feature = "planted-bugs")]
pub(crate) const CLAIMS: &[(Bug, fn())] = &[
    (Bug::MarkerIgnored, a_marker_is_found_whatever_the_order_inside_its_key_value),
    (Bug::LastItemSkipped, field_1000_is_walked_like_scopes),
    (Bug::ObservedTimePreferred, a_log_record_without_time_counts_by_its_observed_time),
];

// === Resources ===

#[test]
fn a_resource_may_stand_behind_its_scopes() {
    let group = |ours: Option<Node>| {
        let span = times(150, 160).into_iter().chain(ours).collect();
        request(vec![Node::Message(2, vec![Node::Message(2, span)]), resource("checkout")])
    };
    assert_eq!(rewrite(Signal::Traces, &group(None)).0, Some(group(Some(ours(9)))));
}

#[test]
fn a_resource_may_be_absent() {
    let batch = request(vec![Node::Message(2, vec![Node::Message(2, times(150, 160))])]);
    let (result, tally) = rewrite(Signal::Traces, &batch);
    assert_eq!(result, None);
    assert_eq!((tally.resources_seen, tally.resources_without_service, tally.resources_unaffected), (1, 1, 1));
    let anything = Scene::marking_all(&[("incident.id", "a")]);
    assert!(anything.rewrite(Signal::Traces, &batch, &EVERYTHING).unwrap().0.is_some());
}

#[test]
fn a_resource_that_occurs_twice_is_one_with_the_attributes_of_both() {
    let scopes = |ours: Option<Node>| {
        Node::Message(2, vec![Node::Message(2, times(150, 160).into_iter().chain(ours).collect())])
    };
    let host = Node::Message(1, vec![attribute(1, "host.name", "h")]);
    let group = |ours| request(vec![host.clone(), scopes(ours), resource("checkout"), resource("cart")]);
    assert_eq!(rewrite(Signal::Traces, &group(None)).0, Some(group(Some(ours(9)))));
    let reversed = request(vec![resource("cart"), scopes(None), resource("checkout")]);
    assert_eq!(rewrite(Signal::Traces, &reversed).0, None, "the first name wins");
}

/// Service, namespace and environment of each resource in a request.
fn identities(batch: &[u8]) -> Vec<[Option<String>; 3]> {
    let text = |part: Option<&[u8]>| part.map(|part| String::from_utf8(part.to_vec()).unwrap());
    let identities = ResourceGroups::of(batch).map(|group| group.unwrap().identity);
    identities
        .map(|ResourceIdentity { service, namespace, environment }| [service, namespace, environment].map(text))
        .collect()
}

fn identity(attributes: Vec<Node>) -> [Option<String>; 3] {
    let mut identities = identities(&request(vec![Node::Message(1, attributes)]));
    assert_eq!(identities.len(), 1);
    identities.remove(0)
}

fn named(service: &str) -> [Option<String>; 3] {
    [Some(service.to_owned()), None, None]
}

#[test]
fn the_first_string_among_repeated_service_names_wins() {
    let number = Node::Message(1, vec![text(1, "service.name"), Node::Message(2, vec![Node::Varint(3, 7)])]);
    let without_value = Node::Message(1, vec![text(1, "service.name")]);
    assert_eq!(identity(vec![number.clone()]), [None, None, None]);
    let several = vec![number, without_value, attribute(1, "service.name", "one"), attribute(1, "service.name", "two")];
    assert_eq!(identity(several), named("one"));
}

#[test]
fn a_value_may_come_before_its_key_and_the_last_of_both_counts() {
    let value = |value: &str| Node::Message(2, vec![text(1, value)]);
    let reversed = Node::Message(1, vec![value("late"), text(1, "other"), value("checkout"), text(1, "service.name")]);
    assert_eq!(identity(vec![reversed]), named("checkout"));
    let turned_number = Node::Message(2, vec![text(1, "checkout"), Node::Varint(3, 1)]);
    assert_eq!(identity(vec![Node::Message(1, vec![text(1, "service.name"), turned_number])]), [None, None, None]);
    let turned_text = Node::Message(2, vec![Node::Varint(3, 1), text(1, "checkout")]);
    assert_eq!(identity(vec![Node::Message(1, vec![text(1, "service.name"), turned_text])]), named("checkout"));
}

#[test]
fn the_deprecated_environment_counts_only_without_the_present_one() {
    let old = attribute(1, "deployment.environment", "old");
    let new = attribute(1, "deployment.environment.name", "new");
    let namespace = attribute(1, "service.namespace", "shop");
    let expected = |environment: &str| [None, Some("shop".to_owned()), Some(environment.to_owned())];
    assert_eq!(identity(vec![old.clone(), namespace.clone()]), expected("old"));
    assert_eq!(identity(vec![old, namespace, new]), expected("new"));
}

#[test]
fn who_resources_are_is_told_of_each_once_without_a_look_into_scopes() {
    let broken_scope = Node::Bytes(2, vec![0xff]);
    let batch = encode(&[
        Node::Message(1, vec![resource("one"), broken_scope]),
        Node::Message(1, Vec::new()),
        Node::Message(1, vec![resource("two")]),
    ]);
    assert_eq!(identities(&batch), [named("one"), [None, None, None], named("two")]);
}

#[test]
fn field_1000_is_walked_like_scopes() {
    let group = |ours: Option<Node>| {
        let span = times(150, 160).into_iter().chain(ours).collect();
        request(vec![resource("checkout"), Node::Message(1000, vec![Node::Message(2, span)])])
    };
    assert_eq!(rewrite(Signal::Traces, &group(None)).0, Some(group(Some(ours(9)))));
}

#[test]
fn a_resource_that_is_not_concerned_is_copied_unread_beside_one_that_is() {
    let broken = Node::Message(1, vec![resource("cart"), Node::Bytes(2, vec![0x12, 0xff])]);
    let concerned = |span| Node::Message(1, vec![resource("checkout"), Node::Message(2, vec![Node::Message(2, span)])]);
    let batch = encode(&[broken.clone(), concerned(times(150, 160)), broken.clone()]);
    let expected = encode(&[broken.clone(), concerned([times(150, 160), vec![ours(9)]].concat()), broken]);
    let (result, tally) = rewrite(Signal::Traces, &batch);
    assert_eq!(result, Some(expected));
    assert_eq!((tally.resources_seen, tally.resources_unaffected, tally.items_marked), (3, 2, 1));
}

#[test]
fn attributes_of_resources_scopes_events_and_links_are_left_alone() {
    let foreign = attribute(1, "incident.id", "not on the span");
    let nested =
        |number| Node::Message(number, vec![attribute(3, "incident.id", "x"), attribute(4, "incident.id", "y")]);
    let batch = |ours: Option<Node>| {
        let mut span = times(150, 160);
        span.extend(ours);
        span.extend([nested(11), nested(13)]);
        let resource = Node::Message(1, vec![attribute(1, "service.name", "checkout"), foreign.clone()]);
        request(vec![resource, Node::Message(2, vec![nested(1), Node::Message(2, span)])])
    };
    assert_eq!(rewrite(Signal::Traces, &batch(None)).0, Some(batch(Some(ours(9)))));
}

// === Times ===

#[test]
fn a_span_is_marked_when_it_overlaps_the_window_ends_included() {
    for (start, end, marked) in [(1, 99, false), (1, 100, true), (200, 300, true), (201, 300, false), (1, 1000, true)] {
        let expected = marked.then(|| [times(start, end), vec![ours(9)]].concat());
        let tally = check(Signal::Traces, times(start, end), expected);
        assert_eq!(tally.items_outside_window, u64::from(!marked));
    }
}

#[test]
fn a_span_whose_end_is_missing_or_before_its_start_counts_by_its_start() {
    for span in [vec![Node::Fixed64(7, 150)], times(150, 0), times(150, 20)] {
        check(Signal::Traces, span.clone(), Some([span, vec![ours(9)]].concat()));
    }
    for span in [vec![Node::Fixed64(7, 50)], times(250, 150)] {
        assert_eq!(check(Signal::Traces, span, None).items_outside_window, 1);
    }
}

#[test]
fn a_span_without_a_start_counts_by_its_end_and_without_both_has_no_time() {
    let span = vec![Node::Fixed64(8, 150)];
    check(Signal::Traces, span.clone(), Some([span, vec![ours(9)]].concat()));
    for span in [Vec::new(), times(0, 0), vec![Node::Varint(7, 150)]] {
        assert_eq!(check(Signal::Traces, span, None).items_without_time, 1);
    }
}

#[test]
fn times_may_follow_the_attributes() {
    let theirs = attribute(9, "k", "v");
    let span = [vec![theirs.clone()], times(150, 160)].concat();
    check(Signal::Traces, span, Some([vec![ours(9), theirs], times(150, 160)].concat()));
    let marked = [vec![ours(9)], times(150, 160)].concat();
    assert_eq!(check(Signal::Traces, marked, None).items_already_marked, 1);
}

#[test]
fn of_a_repeated_time_the_last_counts() {
    let moved_in = [times(1, 2), times(150, 160)].concat();
    check(Signal::Traces, moved_in.clone(), Some([moved_in, vec![ours(9)]].concat()));
    // Behind the attributes of an item that was in the window, and has a key of ours.
    let key_of_ours = || attribute(9, "incident.ids", "a");
    let moved_out = [times(150, 160), vec![key_of_ours()], times(1, 2)].concat();
    assert_eq!(check(Signal::Traces, moved_out, None).items_outside_window, 1);
    let made_nothing = [times(150, 160), vec![key_of_ours()], times(0, 0)].concat();
    assert_eq!(check(Signal::Traces, made_nothing, None).items_without_time, 1);
}

/// The price of leaving an item early; no writer repeats a time.
#[test]
fn a_time_repeated_behind_the_attributes_of_an_item_outside_the_window_is_not_seen() {
    let span = [times(1, 2), vec![attribute(9, "k", "v")], times(150, 160)].concat();
    assert_eq!(check(Signal::Traces, span, None).items_outside_window, 1);
}

/// The same price for not reading the attributes where none of ours can be.
#[test]
fn a_time_repeated_behind_attributes_of_others_is_not_seen() {
    let span = |ours: Option<Node>| {
        let span = times(150, 160).into_iter().chain(ours).chain([attribute(9, "k", "v")]);
        span.chain(times(1, 2)).collect::<Vec<_>>()
    };
    check(Signal::Traces, span(None), Some(span(Some(ours(9)))));
}

/// The same price for leaving an item at its marker.
#[test]
fn a_time_repeated_behind_the_marker_of_an_item_is_not_seen() {
    let span = [times(150, 160), vec![ours(9)], times(1, 2)].concat();
    assert_eq!(check(Signal::Traces, span, None).items_already_marked, 1);
}

#[test]
fn an_item_is_left_at_its_marker_and_what_follows_is_not_read() {
    let span = [times(150, 160), vec![ours(9), Node::Bytes(9, vec![0xff])]].concat();
    assert_eq!(check(Signal::Traces, span, None).items_already_marked, 1);
}

#[test]
fn an_item_outside_the_window_is_left_before_its_attributes_are_read() {
    let span = [times(1, 2), vec![Node::Bytes(9, vec![0xff])]].concat();
    assert_eq!(check(Signal::Traces, span, None).items_outside_window, 1);
}

#[test]
fn a_log_record_without_time_counts_by_its_observed_time() {
    let observed = Node::Fixed64(11, 150);
    check(Signal::Logs, vec![observed.clone()], Some(vec![ours(6), observed.clone()]));
    check(
        Signal::Logs,
        vec![Node::Fixed64(1, 0), observed.clone()],
        Some(vec![Node::Fixed64(1, 0), ours(6), observed.clone()]),
    );
    let read_late = [Node::Fixed64(1, 150), Node::Fixed64(11, 1)];
    let [time, observed_late] = read_late.clone();
    check(Signal::Logs, read_late.to_vec(), Some(vec![time, ours(6), observed_late]));
    let outside = vec![Node::Fixed64(1, 1), observed];
    assert_eq!(check(Signal::Logs, outside, None).items_outside_window, 1);
    assert_eq!(check(Signal::Logs, vec![text(3, "INFO")], None).items_without_time, 1);
}

// === Keys ===

#[test]
fn a_marker_is_found_whatever_the_order_inside_its_key_value() {
    let value = Node::Message(2, vec![text(1, "theirs")]);
    let value_first = Node::Message(9, vec![value.clone(), text(1, "incident.id")]);
    let key_twice = Node::Message(9, vec![text(1, "other"), value.clone(), text(1, "incident.id")]);
    let without_value = Node::Message(9, vec![text(1, "incident.id")]);
    let padded = Node::Padded(9, 6, vec![Node::Padded(1, 3, Vec::new()), text(1, "incident.id"), value]);
    for marker in [value_first, key_twice, without_value, padded] {
        let tally = check(Signal::Traces, [times(150, 160), vec![marker]].concat(), None);
        assert_eq!(tally.items_already_marked, 1);
    }
}

#[test]
fn a_key_that_is_overridden_or_only_pointed_to_is_no_marker() {
    let overridden = Node::Message(9, vec![text(1, "incident.id"), text(1, "other")]);
    let pointed_to = Node::Message(9, vec![Node::Varint(3, 1), text(2, "")]);
    let wrong_type = Node::Message(9, vec![Node::Varint(1, 1)]);
    let not_an_attribute = Node::Varint(9, 1);
    let longer = attribute(9, "incident.ids", "a");
    for theirs in [overridden, pointed_to, wrong_type, longer] {
        let marked = [times(150, 160), vec![ours(9), theirs.clone()]].concat();
        check(Signal::Traces, [times(150, 160), vec![theirs]].concat(), Some(marked));
    }
    let marked = [times(150, 160), vec![ours(9), not_an_attribute.clone()]].concat();
    check(Signal::Traces, [times(150, 160), vec![not_an_attribute]].concat(), Some(marked));
}

#[test]
fn ours_go_in_front_of_what_belongs_behind_them_whatever_its_order() {
    let (first, last) = (attribute(9, "a", "1"), attribute(9, "b", "2"));
    for rest in [
        vec![first.clone(), Node::Varint(10, 1), last.clone(), Node::Varint(12, 1), text(3, "state")],
        vec![Node::Varint(10, 1), first, text(3, "state"), last],
        vec![Node::Varint(10, 1), text(3, "state")],
        vec![],
    ] {
        let marked = [times(150, 160), vec![ours(9)], rest.clone()].concat();
        check(Signal::Traces, [times(150, 160), rest].concat(), Some(marked));
    }
}

// === Entry and error ===

fn entry_and_error(span: Vec<Node>) -> (bool, u64) {
    let marking = Marking { spans: SpanMarking::EntryAndError, ..EVERYTHING };
    let batch = request_with(span);
    let (result, tally) = checkout().rewrite(Signal::Traces, &batch, &marking).unwrap();
    assert_eq!(tally.items_marked, u64::from(result.is_some()));
    (result.is_some(), tally.items_not_entry_or_error)
}

#[test]
fn entry_spans_roots_and_errors_are_told_from_others() {
    let parent = Node::Bytes(4, vec![1; 8]);
    let with = |more: Vec<Node>| [vec![parent.clone()], times(150, 160), more].concat();
    let status = |code| Node::Message(15, vec![text(2, "m"), Node::Varint(3, code)]);
    assert_eq!(entry_and_error(with(vec![])), (false, 1));
    for (kind, marked) in [(0, false), (1, false), (2, true), (3, false), (4, false), (5, true)] {
        assert_eq!(entry_and_error(with(vec![Node::Varint(6, kind)])).0, marked, "kind {kind}");
    }
    for (code, marked) in [(0, false), (1, false), (2, true)] {
        assert_eq!(entry_and_error(with(vec![status(code)])).0, marked, "status code {code}");
    }
    assert_eq!(entry_and_error(times(150, 160)), (true, 0), "no parent");
    assert_eq!(
        entry_and_error([vec![Node::Bytes(4, Vec::new())], times(150, 160)].concat()),
        (true, 0),
        "empty parent"
    );
}

#[test]
fn of_repeated_kinds_parents_and_statuses_the_last_counts() {
    let parent = Node::Bytes(4, vec![1; 8]);
    let status = |fields| Node::Message(15, fields);
    let kinds = [vec![parent.clone(), Node::Varint(6, 2), Node::Varint(6, 3)], times(150, 160)].concat();
    assert_eq!(entry_and_error(kinds), (false, 1));
    let parent_behind = [times(150, 160), vec![attribute(9, "k", "v"), parent.clone()]].concat();
    assert_eq!(entry_and_error(parent_behind), (false, 1));
    let joined =
        [vec![parent.clone()], times(150, 160), vec![status(vec![Node::Varint(3, 2)]), status(vec![text(2, "m")])]];
    assert_eq!(entry_and_error(joined.concat()), (true, 0), "a status without a code leaves the one before");
    let cleared = [vec![parent], times(150, 160), vec![status(vec![Node::Varint(3, 2), Node::Varint(3, 0)])]];
    assert_eq!(entry_and_error(cleared.concat()), (false, 1));
}

#[test]
fn an_enumeration_in_ten_bytes_is_cut_to_32_bits() {
    let parent = Node::Bytes(4, vec![1; 8]);
    let kind = |value| entry_and_error([vec![parent.clone(), Node::Varint(6, value)], times(150, 160)].concat()).0;
    assert!(!kind(u64::MAX - 1), "-2 is no kind");
    assert!(kind((1 << 32) + 2), "protobuf cuts the upper bits");
}

// === Metrics ===

/// One metric with one point, in the field of `data`.
fn metric(data: u32, point: Vec<Node>) -> Vec<Node> {
    vec![text(1, "name"), Node::Message(data, vec![Node::Message(1, point), Node::Varint(2, 2)]), text(12, "")]
}

#[test]
fn every_kind_of_point_gets_ours_where_it_keeps_attributes() {
    for (data, number) in [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)] {
        let time = vec![Node::Fixed64(2, 1), Node::Fixed64(3, 150)];
        let point = if number == 1 { [vec![ours(1)], time.clone()] } else { [time.clone(), vec![ours(number)]] };
        check(Signal::Metrics, metric(data, time), Some(metric(data, point.concat())));
    }
}

#[test]
fn an_exemplar_is_judged_by_its_own_time_and_without_its_point() {
    let exemplar = |time, ours: Option<Node>| [Node::Fixed64(2, time)].into_iter().chain(ours).collect::<Vec<_>>();
    let marking = Marking { points: false, ..EVERYTHING };
    for (data, exemplars) in [(5, 5), (7, 5), (9, 8), (10, 11)] {
        let point = |ours: Option<Node>| {
            vec![
                Node::Fixed64(3, 1),
                Node::Message(exemplars, exemplar(150, ours)),
                Node::Message(exemplars, exemplar(1, None)),
                Node::Message(exemplars, Vec::new()),
            ]
        };
        let batch = request_with(metric(data, point(None)));
        let (result, tally) = checkout().rewrite(Signal::Metrics, &batch, &marking).unwrap();
        assert_eq!(result, Some(request_with(metric(data, point(Some(ours(7)))))));
        assert_eq!((tally.items_seen, tally.items_marked), (3, 1));
        assert_eq!((tally.items_outside_window, tally.items_without_time), (1, 1));
    }
}

#[test]
fn exemplars_on_both_sides_of_the_attributes_of_their_point_are_marked_with_it() {
    let exemplar = |ours: Option<Node>| Node::Message(5, [Node::Fixed64(2, 150)].into_iter().chain(ours).collect());
    let time = Node::Fixed64(3, 150);
    let theirs = attribute(7, "k", "v");
    let before = vec![exemplar(None), time.clone(), theirs.clone(), exemplar(None), exemplar(None)];
    let marked = exemplar(Some(ours(7)));
    let after = vec![marked.clone(), time, ours(7), theirs, marked.clone(), marked];
    check(Signal::Metrics, metric(7, before), Some(metric(7, after)));
}

/// Scenario: a metric with a gauge and then a sum, which whoever decodes it reads as the sum alone.
/// Guarantees: the sum's points are marked and counted, and nothing else; a kind that continues counts with all its parts.
#[test]
fn of_several_kinds_of_data_in_one_metric_the_last_counts() {
    let time = || Node::Fixed64(3, 150);
    let data = |kind, points: Vec<Node>| Node::Message(kind, vec![Node::Message(1, points)]);
    let gauge = || data(5, vec![time()]);
    let sum = |ours: Option<Node>| data(7, [time()].into_iter().chain(ours).collect());
    let replaced = |ours: Option<Node>| vec![gauge(), sum(ours.clone()), text(1, "name"), sum(ours)];
    let tally = check(Signal::Metrics, replaced(None), Some(replaced(Some(ours(7)))));
    assert_eq!((tally.items_seen, tally.items_marked), (2, 2));
    let interrupted = |ours: Option<Node>| vec![sum(None), gauge(), sum(ours)];
    let tally = check(Signal::Metrics, interrupted(None), Some(interrupted(Some(ours(7)))));
    assert_eq!((tally.items_seen, tally.items_marked), (1, 1));
}
