//! Attributes that a source adds beside those of the prefix.

use crate::document::{Place, Read, choices};
use crate::incident::{IncidentKind, Snapshot};

/// A text with placeholders: `{id}`, `{external_id}`, `{display}`, `{number}`, `{source}`, `{kind}`, `{state}`,
/// `{severity}`, `{title}`, `{url}`, `{label:NAME}`. `{{` and `}}` are braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
    Label(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    ExternalId,
    Display,
    Number,
    Source,
    Kind,
    State,
    Severity,
    Title,
    Url,
}

/// What a template may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The configured source.
    pub source: &'a str,
    /// The id in the incident tool.
    pub external_id: &'a str,
    /// The state's name.
    pub state: &'a str,
    /// The rest.
    pub snapshot: &'a Snapshot,
}

/// A ready-made set of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The attributes of the Collector's earlier `webhookprocessor`, so that queries written for it go on working:
    /// `pagerduty.com.has_incident`, `pagerduty.com.active_incident` and `pagerduty.com.active_incident_url` for
    /// incidents and alerts, `github.com.active_deployment` for deployments, `gremlin.com.active_attack` for
    /// experiments. Source: lightstep-partner-toolkit, `collector/webhookprocessor`.
    Webhookprocessor,
}

const FIELDS: [(&str, Field); 10] = [
    ("id", Field::Id),
    ("external_id", Field::ExternalId),
    ("display", Field::Display),
    ("number", Field::Number),
    ("source", Field::Source),
    ("kind", Field::Kind),
    ("state", Field::State),
    ("severity", Field::Severity),
    ("title", Field::Title),
    ("url", Field::Url),
];

// === impl Template ===

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says which brace or placeholder is wrong, and which ones there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '{' | '}' if rest.peek() == Some(&character) => {
                    rest.next();
                    plain.push(character);
                }
                '}' => return Err("`}` without `{`; write `}}` for the character itself".to_owned()),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(character) => name.push(character),
                            None => {
                                return Err(format!("`{{{name}` has no `}}`; write `{{{{` for the character itself"));
                            }
                        }
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::named(&name)?);
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The text for one incident. `None` when a placeholder has no value there: no attribute is better than half of one.
    #[must_use]
    pub fn fill(&self, subject: Subject<'_>) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Label(name) => text.push_str(subject.snapshot.labels.get(name)?),
                Part::Field(field) => text.push_str(&field.of(subject)?),
            }
        }
        Some(text)
    }
}

impl Read for Template {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.parse(Self::parse)
    }
}

// === impl Part ===

impl Part {
    fn named(name: &str) -> Result<Self, String> {
        if let Some(label) = name.strip_prefix("label:") {
            return Ok(Self::Label(label.to_owned()));
        }
        match FIELDS.iter().find(|(known, _)| *known == name) {
            Some((_, field)) => Ok(Self::Field(*field)),
            None => {
                let known: Vec<String> = FIELDS.iter().map(|(known, _)| format!("`{{{known}}}`")).collect();
                Err(format!("unknown placeholder `{{{name}}}`, expected {} or `{{label:NAME}}`", known.join(", ")))
            }
        }
    }
}

// === impl Field ===

impl Field {
    fn of(self, subject: Subject<'_>) -> Option<String> {
        let Subject { source, external_id, state, snapshot } = subject;
        let text = match self {
            Self::Id => format!("{source}:{external_id}"),
            Self::ExternalId => external_id.to_owned(),
            Self::Display => snapshot.display.clone()?,
            Self::Number => snapshot.display.as_deref()?.trim_start_matches('#').to_owned(),
            Self::Source => source.to_owned(),
            Self::Kind => snapshot.kind.unwrap_or_default().name().to_owned(),
            Self::State => state.to_owned(),
            Self::Severity => snapshot.severity.unwrap_or_default().name().to_owned(),
            Self::Title => snapshot.title.clone()?,
            Self::Url => snapshot.url.clone()?,
        };
        (!text.is_empty()).then_some(text)
    }
}

choices! {
    Preset { "webhookprocessor" => Webhookprocessor }
}

// === impl Preset ===

impl Preset {
    /// Names and templates of the set, for incidents of one kind.
    #[must_use]
    pub fn attributes(self, kind: IncidentKind) -> Vec<(&'static str, Template)> {
        let text = |text: &str| Template { parts: vec![Part::Text(text.to_owned())] };
        let field = |field| Template { parts: vec![Part::Field(field)] };
        match (self, kind) {
            (Self::Webhookprocessor, IncidentKind::Incident | IncidentKind::Alert) => vec![
                ("pagerduty.com.has_incident", text("true")),
                ("pagerduty.com.active_incident", field(Field::Number)),
                ("pagerduty.com.active_incident_url", field(Field::Url)),
            ],
            (Self::Webhookprocessor, IncidentKind::Deployment) => {
                vec![("github.com.active_deployment", field(Field::ExternalId))]
            }
            (Self::Webhookprocessor, IncidentKind::Experiment) => {
                vec![("gremlin.com.active_attack", field(Field::ExternalId))]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, snapshot: &Snapshot) -> Option<String> {
        let subject = Subject { source: "pd", external_id: "Q1", state: "triggered", snapshot };
        Template::parse(template).unwrap().fill(subject)
    }

    #[test]
    fn placeholders_are_replaced() {
        let mut snapshot = Snapshot { display: Some("#42".to_owned()), ..Snapshot::default() };
        snapshot.labels.insert("team".to_owned(), "shop".to_owned());
        assert_eq!(fill("{id}/{number} {{{label:team}}}", &snapshot).unwrap(), "pd:Q1/42 {shop}");
    }

    #[test]
    fn a_template_without_its_value_gives_no_attribute() {
        assert_eq!(fill("see {url}", &Snapshot::default()), None);
        assert_eq!(fill("{label:team}", &Snapshot::default()), None);
    }

    #[test]
    fn an_unknown_placeholder_is_named_in_the_error() {
        assert!(Template::parse("{ids}").unwrap_err().starts_with("unknown placeholder `{ids}`, expected `{id}`"));
        assert!(Template::parse("a } b").unwrap_err().contains("without `{`"));
        assert_eq!(
            Template::parse("{label:team").unwrap_err(),
            "`{label:team` has no `}`; write `{{` for the character itself"
        );
    }
}
