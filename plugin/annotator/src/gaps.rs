//! What the configuration leaves out, with a rule that would close the gap.

use crate::document::nearest;
use crate::incident::ServiceReference;
use crate::reach::normalize;
use crate::status::Status;

/// Something that configuration should name but does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// `incident-without-service` or `service-without-rule`.
    pub kind: &'static str,
    /// The incident's id, or the `service.name`.
    pub subject: String,
    /// What was looked for.
    pub detail: String,
    /// A rule, as YAML.
    pub suggestion: String,
    /// How many times it was met.
    pub count: u64,
}

// === impl Gap ===

impl Gap {
    /// For an incident that matched no service. `services` are names that telemetry has.
    #[must_use]
    pub fn of_incident(status: &Status, services: &[String]) -> Self {
        let references = status.view.snapshot.services.iter().flatten();
        let rules: Vec<String> =
            references.map(|reference| rule(&status.view.key.source, reference, services)).collect();
        let suggestion = if rules.is_empty() {
            let labels = "service_labels: [<a label of this alert that names the service>]".to_owned();
            if status.view.snapshot.labels.is_empty() { "unmatched: all".to_owned() } else { labels }
        } else {
            format!("services:\n{}", rules.join("\n"))
        };
        Self {
            kind: "incident-without-service",
            subject: status.view.key.to_string(),
            detail: status.reach.reason.clone(),
            suggestion,
            count: 1,
        }
    }

    /// For a service in telemetry that no rule leads to.
    #[must_use]
    pub fn of_service(service: &str, count: u64) -> Self {
        Self {
            kind: "service-without-rule",
            subject: service.to_owned(),
            detail: format!("no rule under `services` leads to `{service}`"),
            suggestion: format!(
                "services:\n  - id: <the id of this service in your incident tool>\n    to: [{{ service: {} }}]",
                quoted(service)
            ),
            count,
        }
    }
}

fn rule(source: &str, reference: &ServiceReference, services: &[String]) -> String {
    let (key, value) = match (&reference.id, &reference.name) {
        (Some(id), _) => ("id", id.as_str()),
        (None, Some(name)) => ("name", name.as_str()),
        (None, None) => ("id", "<the service's id>"),
    };
    let name = reference.name.as_deref().map(normalize).unwrap_or_default();
    let target = nearest(&name, services.iter().map(String::as_str)).unwrap_or("<its service.name>");
    format!("  - source: {}\n    {key}: {}\n    to: [{{ service: {} }}]", quoted(source), quoted(value), quoted(target))
}

/// A YAML scalar: plain where that is safe, else as JSON, which is YAML too.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|character: char| character.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character))
        && !matches!(text.to_lowercase().as_str(), "on" | "off" | "yes" | "no" | "true" | "false" | "null" | "y" | "n");
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggested_rule_is_yaml_whatever_the_name_holds() {
        let reference = ServiceReference { id: None, name: Some("Pay: \"eu\"".to_owned()) };
        let services = ["pay-eu".to_owned()];
        assert_eq!(
            rule("pd", &reference, &services),
            "  - source: pd\n    name: \"Pay: \\\"eu\\\"\"\n    to: [{ service: pay-eu }]"
        );
        assert_eq!(quoted("off"), "\"off\"");
    }
}
