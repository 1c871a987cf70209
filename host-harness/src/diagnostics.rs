//! Faults of files that people write, shown as a compiler shows its own: place, line, what to do.

use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::clean;
use crate::yaml::Place;

/// One fault, or warning, in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// What is wrong, naming the culprit.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file.
    pub path: PathBuf,
    /// JSON Pointer into the document, empty for the whole.
    pub pointer: String,
    /// Where it is; unknown when it is about the file as a whole.
    pub place: Place,
    /// Where what it contradicts is.
    pub earlier: Option<Place>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but probably says what nobody means.
    Warning,
}

/// A diagnostic as JSON.
#[derive(Serialize)]
struct Record<'a> {
    severity: Severity,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    pointer: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// As text with the line it is about, which is in `source`, the text of the file; without it when the place is
    /// unknown. Ends with a line break. Coloured; what it is written through takes the colours away where they are not
    /// wanted.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        let title = clean::line(&self.message);
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = self.path.display().to_string();
        let shown = clean::same_length(source);
        let title = level.primary_title(title.as_str());
        let mut report = if self.place.is_known() {
            let mut snippet = Snippet::source(shown.as_str())
                .path(path.as_str())
                .annotation(AnnotationKind::Primary.span(visible(&self.place.bytes, &shown)));
            if let Some(earlier) = &self.earlier {
                let first = AnnotationKind::Context.span(visible(&earlier.bytes, &shown)).label("first given here");
                snippet = snippet.annotation(first);
            }
            title.element(snippet)
        } else {
            title.element(Origin::path(path.as_str()))
        };
        let hint = self.hint.as_deref().map(clean::line);
        if let Some(hint) = &hint {
            report = report.element(Level::HELP.with_name("hint").message(hint.as_str()));
        }
        let mut text = Renderer::styled().render(&[report]);
        text.push('\n');
        text
    }

    /// As `file:line:column: message`, for messages that quote it.
    #[must_use]
    pub fn one_line(&self) -> String {
        format!("{}:{}:{}: {}", self.path.display(), self.place.line, self.place.column, self.message)
    }

    /// As a JSON object: `severity`, `file`, `line`, `column`, `pointer`, `message`, `hint`. Line and column are null
    /// when the place is unknown.
    ///
    /// # Errors
    /// Never for text that came from a file.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(Record {
            severity: self.severity,
            file: self.path.display().to_string(),
            line: self.place.is_known().then_some(self.place.line),
            column: self.place.is_known().then_some(self.place.column),
            pointer: &self.pointer,
            message: &self.message,
            hint: self.hint.as_deref(),
        })
    }
}

/// A range that can be underlined: on the boundaries of characters, on one line, and not empty except at the end.
fn visible(bytes: &Range<usize>, source: &str) -> Range<usize> {
    let start = floor_boundary(source, bytes.start);
    let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
    let end = floor_boundary(source, bytes.end).clamp(start, line_end);
    if end > start || start == line_end {
        return start..end;
    }
    start..start + source[start..].chars().next().map_or(0, char::len_utf8)
}

fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: usize, column: usize, bytes: Range<usize>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: "unknown field `b\u{1b}[2J`".to_owned(),
            hint: Some("did you mean `a`?".to_owned()),
            path: "faultline.yaml".into(),
            pointer: "/b".to_owned(),
            place: Place { line, column, bytes },
            earlier: None,
        }
    }

    fn plain(diagnostic: &Diagnostic, source: &str) -> String {
        anstream::adapter::strip_str(&diagnostic.render(source)).to_string()
    }

    #[test]
    fn shows_place_line_and_hint_and_no_foreign_control_characters() {
        let text = plain(&diagnostic(2, 1, 5..6), "a: 1\nb: \u{7}2\n");
        assert!(text.starts_with("error: unknown field `b"), "{text}");
        assert!(text.contains("faultline.yaml:2:1"), "{text}");
        assert!(text.contains("b:  2"), "{text}");
        assert!(text.contains("hint: did you mean `a`?"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }

    #[test]
    fn without_a_place_only_the_file_is_named() {
        let unknown = diagnostic(0, 0, 0..0);
        let text = plain(&unknown, "a: 1\n");
        assert!(text.contains("--> faultline.yaml\n"), "{text}");
        assert!(!text.contains("a: 1"), "{text}");
        assert_eq!(unknown.to_json().unwrap()["line"], serde_json::Value::Null);
    }

    #[test]
    fn any_range_can_be_shown() {
        for source in ["", "é", "a\n", "a\né"] {
            for start in 0..6 {
                for end in 0..6 {
                    assert!(plain(&diagnostic(1, 1, start..end), source).contains("faultline.yaml"));
                }
            }
        }
    }
}
