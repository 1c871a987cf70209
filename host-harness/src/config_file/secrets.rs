//! Takes secrets out of a text before parts of it are shown: the output of `check` ends up in the logs of CI systems.

use std::ops::Range;

use faultline_annotator::text;

use super::references::References;
use crate::yaml::{Node, Value};

/// What the keys of secrets have in them. A slip like `secret:` for `secrets:` must not print one.
const TELLTALES: [&str; 3] = ["secret", "token", "password"];

/// What is under this key goes to somebody else, and is often a token.
const HEADERS: &str = "headers";

/// Shorter texts are no secrets, and would tear holes into messages.
const SECRET_BYTES_MIN: usize = 4;

/// As many bytes of a secret in a message about it are no coincidence.
const TRACE_BYTES: usize = 8;

/// Puts `*` in the place of each byte of a secret, so that all places stay true.
pub(super) fn mask(text: &str, root: &Node) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask_below(root, false, &mut bytes);
    // Whole values were replaced by ASCII. Should a place be wrong, nothing is shown rather than something secret.
    String::from_utf8(bytes).unwrap_or_default()
}

/// The same for a text that is no YAML, line by line: what stands behind such a key, and list items below it.
pub(super) fn mask_lines(text: &str) -> String {
    let mut in_list = false;
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let key_end = line.find(':').filter(|end| is_telltale(&line[..*end]));
        let item_start = line.find('-').filter(|start| in_list && line[..*start].trim().is_empty());
        match key_end.or(item_start) {
            Some(at) => {
                masked.push_str(&line[..=at]);
                masked.extend(line[at + 1..].chars().flat_map(stand_ins));
                in_list = true;
            }
            None => {
                masked.push_str(line);
                in_list = false;
            }
        }
    }
    masked
}

/// Takes the secrets of a document out of a message about what stands at `pointer`. All that came from somewhere else is
/// secret.
pub(super) fn redact(message: &str, pointer: &str, root: &Node, references: &References) -> String {
    let mut secrets = Vec::new();
    collect(root, false, &mut secrets);
    let texts = references.values.iter().flat_map(|value| &value.texts).map(String::as_str);
    secrets.extend(texts.filter(|text| text.len() >= SECRET_BYTES_MIN));
    // Longer ones first, or what is left of them would show.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut message = message.to_owned();
    for secret in secrets {
        // Messages quote long texts in part, and without control characters.
        for shown in [secret.to_owned(), text::clean(secret, 128), text::clean(secret, 64)] {
            if !shown.is_empty() {
                message = message.replace(&shown, "***");
            }
        }
    }
    let is_about = |other: &str| {
        let below = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        below(pointer, other) || below(other, pointer)
    };
    for value in references.values.iter().filter(|value| is_about(&value.pointer)) {
        for text in &value.texts {
            message = replace_word(&message, text);
            if has_trace(&message, text) {
                return "the value that the reference stands for cannot be used here".to_owned();
            }
        }
    }
    message
}

/// Replaces a text of any length, but not within words and numbers.
fn replace_word(message: &str, text: &str) -> String {
    let mut replaced = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(text) {
        let (before, from) = rest.split_at(at);
        let behind = &from[text.len()..];
        replaced.push_str(before);
        let is_word = !replaced.ends_with(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric);
        replaced.push_str(if is_word { "***" } else { text });
        rest = behind;
    }
    replaced.push_str(rest);
    replaced
}

/// Whether a message still has a part of a secret in it.
fn has_trace(message: &str, secret: &str) -> bool {
    secret
        .as_bytes()
        .windows(TRACE_BYTES)
        .any(|part| message.as_bytes().windows(TRACE_BYTES).any(|shown| shown == part))
}

fn collect<'a>(node: &'a Node, secret: bool, secrets: &mut Vec<&'a str>) {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().for_each(|(key, child)| collect(child, secret || is_telltale(&key.text), secrets));
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, secret, secrets)),
        Value::Text(text) if secret && text.len() >= SECRET_BYTES_MIN => secrets.push(text),
        _ => {}
    }
}

fn is_telltale(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == HEADERS || TELLTALES.iter().any(|telltale| key.contains(telltale))
}

/// As many `*` as the character has bytes; white space and brackets stay, they show the structure.
fn stand_ins(character: char) -> impl Iterator<Item = char> {
    let stays = character.is_whitespace() || "[]{},\"'".contains(character);
    let (shown, count) = if stays { (character, 1) } else { ('*', character.len_utf8()) };
    std::iter::repeat_n(shown, count)
}

fn mask_below(node: &Node, secret: bool, text: &mut [u8]) {
    match &node.value {
        Value::Map(entries) => {
            entries.iter().for_each(|(key, child)| mask_below(child, secret || is_telltale(&key.text), text));
        }
        Value::List(items) => items.iter().for_each(|item| mask_below(item, secret, text)),
        _ if secret => {
            let written = with_properties(text, &node.place.bytes);
            if let Some(bytes) = text.get_mut(written) {
                let stays = |byte: &u8| matches!(byte, b'\n' | b'"' | b'\'');
                bytes.iter_mut().filter(|byte| !stays(byte)).for_each(|byte| *byte = b'*');
            }
        }
        _ => {}
    }
}

/// The range of a value and of what stands before it: a secret without quotes that begins with `!` or `&` was read as a
/// tag or an anchor.
fn with_properties(text: &[u8], value: &Range<usize>) -> Range<usize> {
    let mut start = value.start;
    while let Some(before) = text.get(..start) {
        let end = before.trim_ascii_end().len();
        let word = before[..end].iter().rposition(|byte| byte.is_ascii_whitespace() || b"[{,".contains(byte));
        let word = word.map_or(0, |at| at + 1);
        if !matches!(before[..end].get(word), Some(b'!' | b'&')) {
            break;
        }
        start = word;
    }
    start..value.end
}

#[cfg(test)]
mod tests {
    use super::super::references::Referenced;
    use super::*;
    use crate::yaml;

    #[test]
    fn no_secret_is_left_and_everything_is_where_it_was() {
        let text = "a:\n  secrets: [hün, \"ter2\"]\n  Token: 12345\n  tokens:\n    - letmein\n  kind: x\n";
        let masked = mask(text, &yaml::parse(text).unwrap());
        assert_eq!(masked, "a:\n  secrets: [****, \"****\"]\n  Token: *****\n  tokens:\n    - *******\n  kind: x\n");
        assert_eq!(mask_lines(text), masked);
    }

    #[test]
    fn a_secret_that_was_read_as_a_tag_or_an_anchor_is_masked_too() {
        let text = "secrets: [!hunter2 x, &letmein y, !opensesame, ok]\ntoken: !letmein\n";
        let masked = mask(text, &yaml::parse(text).unwrap());
        assert_eq!(masked.len(), text.len());
        for word in ["hunter2", "letmein", "opensesame"] {
            assert!(!masked.contains(word), "{masked}");
        }
    }

    #[test]
    fn a_message_does_not_quote_a_secret() {
        let root = yaml::parse("tokens: hunter2\nkind: hunter\nheaders: { x: letmein }").unwrap();
        let redact = |message: &str| redact(message, "", &root, &References::default());
        assert_eq!(redact("invalid type: string \"hunter2\""), "invalid type: string \"***\"");
        assert_eq!(redact("unknown variant `hunter`"), "unknown variant `hunter`");
        assert_eq!(redact("`letmein` cannot be sent"), "`***` cannot be sent");
    }

    fn of_reference(text: &str, pointer: &str, message: &str) -> String {
        let value = Referenced { pointer: "/a/b".to_owned(), texts: vec![text.to_owned()] };
        let references = References { values: vec![value], ..References::default() };
        redact(message, pointer, &yaml::parse("").unwrap(), &references)
    }

    #[test]
    fn what_came_from_somewhere_else_is_not_quoted() {
        assert_eq!(of_reference("soon", "/a/b", "`soon` is not a duration"), "`***` is not a duration");
        assert_eq!(of_reference("soon", "/c", "`soon` is not a duration"), "`***` is not a duration");
        assert_eq!(
            of_reference("7", "/a/b", "7 is out of range, expected 1 to 47"),
            "*** is out of range, expected 1 to 47"
        );
        assert_eq!(of_reference("on", "/c", "expected `on` or `off`"), "expected `on` or `off`");
    }

    #[test]
    fn no_part_of_what_came_from_somewhere_else_is_quoted() {
        let long = "0123456789".repeat(20);
        let message =
            of_reference(&long, "/a/b", &format!("unknown variant `{}`, expected `x`", text::clean(&long, 64)));
        assert_eq!(message, "unknown variant `***`, expected `x`");
        let message = of_reference(&long, "/a/b", &format!("`{}…` is too long", &long[..30]));
        assert_eq!(message, "the value that the reference stands for cannot be used here");
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "kind: pagerduty\nservices:\n  - id: P1\n";
        assert_eq!(mask(text, &yaml::parse(text).unwrap()), text);
        assert_eq!(mask_lines(text), text);
    }
}
