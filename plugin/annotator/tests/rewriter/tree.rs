//! Protobuf by hand: messages as no library writes them.

use faultline_test_support::wire::varint;

/// One field.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Varint(u32, u64),
    Fixed32(u32, u32),
    Fixed64(u32, u64),
    Bytes(u32, Vec<u8>),
    Message(u32, Vec<Node>),
    /// Its length takes so many bytes, however few it needs.
    Padded(u32, usize, Vec<Node>),
    Group(u32, Vec<Node>),
}

/// Fields that OTLP does not know, one of each wire type, numbered from `first`.
pub(crate) fn unknown(first: u32) -> Vec<Node> {
    vec![
        Node::Varint(first, u64::MAX),
        Node::Fixed64(first + 1, 2),
        Node::Bytes(first + 2, b"\x0a\xffnot a message".to_vec()),
        Node::Group(first + 3, vec![Node::Group(first, vec![Node::Varint(1, 1)]), Node::Bytes(9, b"x".to_vec())]),
        Node::Fixed32(first + 4, 5),
    ]
}

/// A `KeyValue` with a text, in field `number`.
pub(crate) fn attribute(number: u32, key: &str, value: &str) -> Node {
    Node::Message(number, vec![text(1, key), Node::Message(2, vec![text(1, value)])])
}

/// A text.
pub(crate) fn text(number: u32, value: &str) -> Node {
    Node::Bytes(number, value.as_bytes().to_vec())
}

/// The bytes of a message with these fields.
pub(crate) fn encode(fields: &[Node]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        push(&mut bytes, field);
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, field: &Node) {
    let tag = |number: &u32, wire_type: u64| varint(u64::from(*number) << 3 | wire_type, 1);
    match field {
        Node::Varint(number, value) => bytes.extend([tag(number, 0), varint(*value, 1)].concat()),
        Node::Fixed64(number, value) => bytes.extend([&tag(number, 1)[..], &value.to_le_bytes()].concat()),
        Node::Fixed32(number, value) => bytes.extend([&tag(number, 5)[..], &value.to_le_bytes()].concat()),
        Node::Bytes(number, content) => {
            bytes.extend([&tag(number, 2)[..], &varint(content.len() as u64, 1), content].concat());
        }
        Node::Message(number, fields) => push(bytes, &Node::Bytes(*number, encode(fields))),
        Node::Padded(number, width, fields) => {
            let content = encode(fields);
            bytes.extend([tag(number, 2), varint(content.len() as u64, *width), content].concat());
        }
        Node::Group(number, fields) => bytes.extend([tag(number, 3), encode(fields), tag(number, 4)].concat()),
    }
}
