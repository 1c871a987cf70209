//! Requests of one service, made by hand, and what becomes of them.

use faultline_annotator::otlp::{Signal, Tally};

use crate::{
    scene::{EVERYTHING, Scene},
    tree::{Node, attribute, encode},
};

/// Marks `checkout` from 100 to 200.
pub(crate) fn checkout() -> Scene {
    let mut scene = Scene::marking_all(&[("incident.id", "a")]);
    let incident = &mut scene.incidents[0];
    incident.services = vec!["checkout".to_owned()];
    (incident.from, incident.until) = (100, 200);
    scene
}

pub(crate) fn ours(number: u32) -> Node {
    attribute(number, "incident.id", "a")
}

pub(crate) fn resource(service: &str) -> Node {
    Node::Message(1, vec![attribute(1, "service.name", service)])
}

/// A request with one resource group.
pub(crate) fn request(group: Vec<Node>) -> Vec<u8> {
    encode(&[Node::Message(1, group)])
}

/// A request of `checkout` with one item.
pub(crate) fn request_with(item: Vec<Node>) -> Vec<u8> {
    request(vec![resource("checkout"), Node::Message(2, vec![Node::Message(2, item)])])
}

pub(crate) fn rewrite(signal: Signal, batch: &[u8]) -> (Option<Vec<u8>>, Tally) {
    checkout().rewrite(signal, batch, &EVERYTHING).unwrap()
}

/// `item` becomes `expected` in place; `None`: nothing changes.
pub(crate) fn check(signal: Signal, item: Vec<Node>, expected: Option<Vec<Node>>) -> Tally {
    let (result, tally) = rewrite(signal, &request_with(item));
    assert_eq!(result, expected.map(request_with));
    tally
}

pub(crate) fn times(start: u64, end: u64) -> Vec<Node> {
    vec![Node::Fixed64(7, start), Node::Fixed64(8, end)]
}

pub(crate) fn refused(batch: &[u8]) -> String {
    checkout().rewrite(Signal::Traces, batch, &EVERYTHING).unwrap_err().to_string()
}
