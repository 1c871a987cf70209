//! Takes secrets out of a text before parts of it are shown: the output of `check` ends up in the logs of CI systems.

use std::ops::Range;

use crate::yaml::{Node, Value};

/// What the keys of secrets have in them. A slip like `secret:` for `secrets:` must not print one.
const TELLTALES: [&str; 3] = ["secret", "token", "password"];

/// Shorter texts are no secrets, and would tear holes into messages.
const SECRET_BYTES_MIN: usize = 4;

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

/// Takes the secrets of a document out of a message about it.
pub(super) fn redact(message: &str, root: &Node) -> String {
    let mut secrets = Vec::new();
    collect(root, false, &mut secrets);
    // Longer ones first, or what is left of them would show.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(message.to_owned(), |message, secret| message.replace(secret, "***"))
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
    TELLTALES.iter().any(|telltale| key.contains(telltale))
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
        let root = yaml::parse("tokens: hunter2\nkind: hunter").unwrap();
        assert_eq!(redact("invalid type: string \"hunter2\"", &root), "invalid type: string \"***\"");
        assert_eq!(redact("unknown variant `hunter`", &root), "unknown variant `hunter`");
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "kind: pagerduty\nservices:\n  - id: P1\n";
        assert_eq!(mask(text, &yaml::parse(text).unwrap()), text);
        assert_eq!(mask_lines(text), text);
    }
}
