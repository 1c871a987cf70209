//! Text from outside, made fit to be kept and shown.

/// Cuts `text` to at most `bytes_max` bytes, on a character's boundary.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// One line without control characters, cut to `bytes_max` bytes: a title may not move a terminal's cursor, and may not
/// turn the direction of what stands behind it.
#[must_use]
pub fn clean(text: &str, bytes_max: usize) -> String {
    let cleaned: String = text.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect();
    cut(cleaned.trim(), bytes_max).trim_end().to_owned()
}

/// An `http` or `https` link of at most `bytes_max` bytes; `None` for anything else: relative ones lead nowhere, other
/// schemes run scripts.
#[must_use]
pub fn link(text: &str, bytes_max: usize) -> Option<String> {
    let text = text.trim();
    let web = text.starts_with("https://") || text.starts_with("http://");
    (web && text.len() <= bytes_max && !text.chars().any(|character| is_unsafe(character) || character == ' '))
        .then(|| text.to_owned())
}

/// Control characters, line separators, and the marks that reorder text (Unicode Technical Report 36, section 2.10).
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(cut("naïve", 3), "na");
        assert_eq!(cut("naïve", 4), "naï");
        assert_eq!(cut("ab", 9), "ab");
    }

    #[test]
    fn escape_codes_and_direction_marks_are_taken_out() {
        assert_eq!(clean("a\u{1b}[31mred\n\u{202e}b", 99), "a [31mred  b");
    }

    #[test]
    fn only_web_links_are_kept() {
        assert_eq!(link(" https://example.com/1 ", 99).as_deref(), Some("https://example.com/1"));
        assert_eq!(link("javascript:alert(1)", 99), None);
        assert_eq!(link("?orgId=1", 99), None);
        assert_eq!(link("https://example.com/1", 9), None);
    }
}
