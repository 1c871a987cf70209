//! Text from outside, made safe to show: a title must not move the cursor, change colours, or begin a line of its own.

use std::fmt;

/// Displays text on one line: control characters, and marks that turn the direction of writing, as `\u{…}`.
#[derive(Clone, Copy, Debug)]
pub struct Clean<'a>(pub &'a str);

/// [`Clean`] as a new text.
#[must_use]
pub fn line(text: &str) -> String {
    Clean(text).to_string()
}

/// [`Clean`], cut after `characters` with `…` in the place of what is missing.
#[must_use]
pub fn short(text: &str, characters: usize) -> String {
    let clean = line(text);
    match clean.char_indices().nth(characters) {
        None => clean,
        Some(_) => clean.chars().take(characters.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Text of several lines in which everything unsafe has a stand-in of as many bytes, so that places in it stay true.
#[must_use]
pub fn same_length(text: &str) -> String {
    let stand_in = |character: char| match (is_unsafe(character), character.len_utf8()) {
        (false, _) => character,
        (true, 1) => ' ',
        (true, 2) => '·',
        (true, _) => char::REPLACEMENT_CHARACTER,
    };
    text.chars()
        .map(|character| if matches!(character, '\n' | '\t') { character } else { stand_in(character) })
        .collect()
}

// === impl Clean ===

impl fmt::Display for Clean<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' | '\r' | '\t' => formatter.write_str(" ")?,
                _ if is_unsafe(character) => write!(formatter, "{}", character.escape_unicode())?,
                _ => write!(formatter, "{character}")?,
            }
        }
        Ok(())
    }
}

/// Control characters of both sets, and the invisible ones that reorder or hide what is around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hostile_title_reaches_the_terminal() {
        let title = "ok\u{1b}[31mred\u{9b}2J\r\nnext\u{202e}evil\u{0}";
        assert_eq!(line(title), r"ok\u{1b}[31mred\u{9b}2J  next\u{202e}evil\u{0}");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        assert_eq!(line("Prüfung läuft · 検査 🚨"), "Prüfung läuft · 検査 🚨");
    }

    #[test]
    fn stand_ins_keep_the_places() {
        let text = "a\u{7}b\n\u{9b}c\u{202e}d";
        let shown = same_length(text);
        assert_eq!(shown, "a b\n·c\u{fffd}d");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(short("äöü", 3), "äöü");
        assert_eq!(short("äöüß", 3), "äö…");
    }
}
