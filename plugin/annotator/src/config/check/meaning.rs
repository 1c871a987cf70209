//! What a configuration that reads well can still have wrong.

mod generic;

use crate::config::{Config, ServiceRule, Source, SourceKind, Unmatched};
use crate::document::{Fault, join, nearest};
use crate::limits;
use crate::names;

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// `is_faulty` tells whether what stands at a place, or below it, was a fault already, and is missing for that reason.
pub(super) fn check(config: &Config, is_faulty: &dyn Fn(&str) -> bool) -> Findings {
    let taken_out = |at: &[&str]| is_faulty(&pointer(at));
    let taken_out: &dyn Fn(&[&str]) -> bool = &taken_out;
    let mut findings = Findings::default();
    prefix(config, &mut findings);
    for (name, source) in &config.sources {
        self::source(name, source, taken_out, &mut findings);
    }
    for (index, rule) in config.services.iter().enumerate() {
        service_rule(index, rule, config, taken_out, &mut findings);
    }
    metrics(config, &mut findings);
    limits(config, &mut findings);
    if config.sources.is_empty() {
        findings.warn(&["sources"], "no source is configured: nothing will ever be marked", None);
    }
    if !config.marking.is_on() {
        findings.warn(&["marking"], "marking is off: incidents are recorded and mark nothing", None);
    }
    for (key, margin, usual) in [
        ("lookback", config.window.lookback, "5m"),
        ("grace", config.window.grace, "5m"),
        ("keep_closed", config.window.keep_closed, "1h"),
    ] {
        if margin.nanos() >= limits::HORIZON {
            let message =
                "incidents are forgotten after 76 h: a longer margin has no effect, or marks nearly everything";
            findings.warn(&["window", key], message, Some(&format!("{usual} is usual")));
        }
    }
    for (alias, name) in &config.environments {
        if alias != name && config.environments.contains_key(name) {
            let message = format!("`{name}` is an alias itself; aliases are followed once");
            findings.warn(
                &["environments", alias],
                &message,
                Some("let each alias lead to the name that telemetry has"),
            );
        }
    }
    if config.unmatched == Unmatched::All {
        let hint = "prefer rules under `services`; `gaps` lists what they miss";
        findings.warn(&["unmatched"], "an incident that matches no service will mark all telemetry", Some(hint));
    }
    findings
}

fn prefix(config: &Config, findings: &mut Findings) {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if config.prefix.is_empty() || config.prefix.len() > 64 || !config.prefix.chars().all(allowed) {
        let message = format!(
            "`{}` cannot begin an attribute's name, expected 1 to 64 of a-z, 0-9, `.`, `_`, `-`",
            config.prefix
        );
        findings.error(&["prefix"], &message, None);
    } else if !config.prefix.ends_with(['.', '_']) {
        let example = format!("attributes will be named `{}{}`", config.prefix, names::ID);
        findings.warn(&["prefix"], "the prefix does not end with `.` or `_`", Some(&example));
    }
}

fn source(name: &str, source: &Source, taken_out: &dyn Fn(&[&str]) -> bool, findings: &mut Findings) {
    let at = |key: &'static str| ["sources", name, key];
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        let message = format!(
            "`{name}` cannot name a source, expected 1 to 128 of a-z, 0-9, `.`, `_`, `-`: the name is part of a URL and of every incident's id"
        );
        findings.error(&["sources", name], &message, None);
    }
    match source.kind {
        None if taken_out(&at("kind")) => {}
        None => {
            let hint = "expected `kind: pagerduty`, `alertmanager`, `github`, `generic` or `manual`";
            findings.error(&["sources", name], &format!("source `{name}` has no `kind`"), Some(hint));
        }
        Some(kind) => {
            credentials(name, kind, source, taken_out, findings);
            generic::check(name, kind, source, taken_out, findings);
        }
    }
    for (key, list) in [("secrets", &source.secrets), ("tokens", &source.tokens)] {
        for (index, secret) in list.iter().enumerate() {
            if secret.expose().trim().is_empty() {
                let message = "an empty secret would let anybody in";
                findings.error(&["sources", name, key, &index.to_string()], message, None);
            }
        }
    }
    if let Some(lease) = source.lease {
        if lease.nanos() >= limits::HORIZON {
            let message = "a lease must be shorter than the 76 h after which events are forgotten";
            findings.error(&at("lease"), message, Some("24h is usual"));
        } else if lease.nanos() < limits::LEASE_MIN {
            findings.error(&at("lease"), "a lease below 1 m ends before any sender sends again", Some("24h is usual"));
        } else if source.kind == Some(SourceKind::Alertmanager) && lease.nanos() < 4 * crate::time::HOUR {
            let hint = "make it twice `repeat_interval` and a margin";
            let message = "Alertmanager repeats after 4 h by default: alerts will seem to end between two repeats";
            findings.warn(&at("lease"), message, Some(hint));
        }
    }
    if source.attributes.len() > limits::EXTRA_ATTRIBUTES_MAX {
        let message = format!("{} attributes, at most {}", source.attributes.len(), limits::EXTRA_ATTRIBUTES_MAX);
        findings.error(&at("attributes"), &message, None);
    }
    for key in source.attributes.keys() {
        if key.is_empty() || key.len() > limits::LABEL_BYTES_MAX {
            let message = "an attribute's name has 1 to 256 bytes";
            findings.error(&["sources", name, "attributes", key], message, None);
        }
    }
    for (list, rules) in [("match", Some(&source.matching)), ("unless", source.unless.as_ref())] {
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            if rule.labels.is_empty() {
                let message = "a rule without labels fits every incident";
                let hint = "name at least one label, or take the rule away";
                findings.error(&["sources", name, list, &index.to_string(), "labels"], message, Some(hint));
            }
        }
    }
    if source.unmatched == Some(Unmatched::All) {
        findings.warn(
            &at("unmatched"),
            "an incident of this source that matches no service will mark all telemetry",
            None,
        );
    }
}

fn credentials(
    name: &str,
    kind: SourceKind,
    source: &Source,
    taken_out: &dyn Fn(&[&str]) -> bool,
    findings: &mut Findings,
) {
    let (needed, other, given, unused, why) = match kind {
        SourceKind::Pagerduty => ("secrets", "tokens", &source.secrets, &source.tokens, "PagerDuty signs its webhooks"),
        SourceKind::Alertmanager => (
            "tokens",
            "secrets",
            &source.tokens,
            &source.secrets,
            "Alertmanager does not sign; it sends a bearer token (`http_config.authorization`)",
        ),
        SourceKind::Manual => ("tokens", "secrets", &source.tokens, &source.secrets, "requests carry a bearer token"),
        SourceKind::Github => ("secrets", "tokens", &source.secrets, &source.tokens, "GitHub signs its webhooks"),
        SourceKind::Generic if !source.secrets.is_empty() || taken_out(&["sources", name, "secrets"]) => {
            let why = "requests are signed, or carry a bearer token, not both";
            ("secrets", "tokens", &source.secrets, &source.tokens, why)
        }
        SourceKind::Generic => {
            let why = "requests carry a bearer token, or are signed with one of `secrets`";
            ("tokens", "secrets", &source.tokens, &source.secrets, why)
        }
    };
    if given.is_empty() && !taken_out(&["sources", name, needed]) {
        let message = format!("source `{name}` has no `{needed}`: anybody could send");
        findings.error(&["sources", name], &message, Some(why));
    }
    if !unused.is_empty() {
        let message = format!("`{other}` is not used by this kind of source");
        findings.error(&["sources", name, other], &message, Some(&format!("{why}: use `{needed}`")));
    }
}

fn service_rule(
    index: usize,
    rule: &ServiceRule,
    config: &Config,
    taken_out: &dyn Fn(&[&str]) -> bool,
    findings: &mut Findings,
) {
    let index = index.to_string();
    let ServiceRule { source, id, name, to } = rule;
    let unreadable = taken_out(&["services", &index, "id"]) || taken_out(&["services", &index, "name"]);
    if id.is_none() && name.is_none() && !unreadable {
        let hint = "ids survive renaming: prefer `id`";
        findings.error(&["services", &index], "a rule needs the sender's `id` or `name` of the service", Some(hint));
    }
    if id.is_some() && name.is_some() {
        let hint = "write two rules if either should do";
        findings.error(&["services", &index, "name"], "a rule has an `id` or a `name`, not both", Some(hint));
    }
    if let Some(source) = source
        && !config.sources.contains_key(source)
    {
        let hint =
            nearest(source, config.sources.keys().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
        findings.error(&["services", &index, "source"], &format!("there is no source `{source}`"), hint.as_deref());
    }
    if to.is_empty() && !taken_out(&["services", &index, "to"]) {
        let hint = "for example `to: [{ service: checkout }]`";
        findings.error(&["services", &index], "the rule leads to no service: `to` is empty", Some(hint));
    }
    for (place, target) in to.iter().enumerate() {
        if target.service.is_empty() {
            let at = ["services", &index, "to", &place.to_string(), "service"];
            findings.error(&at, "an empty `service.name` matches nothing", None);
        }
    }
    if name.as_deref().is_some_and(|name| name.trim().eq_ignore_ascii_case(names::STOCK_SERVICE)) {
        let message = "PagerDuty gives every account a service of this name: it says nothing about what is broken";
        findings.warn(&["services", &index, "name"], message, Some("name the real services, by `id`"));
    }
    let of_alerts =
        source.as_ref().and_then(|source| config.sources.get(source)?.kind) == Some(SourceKind::Alertmanager);
    if of_alerts {
        let message = "alerts name services by labels: this rule never fits";
        findings.warn(&["services", &index], message, Some("`service_labels` says which labels are read"));
    }
    let same = |other: &ServiceRule| other.source == *source && other.id == *id && other.name == *name;
    if config.services.iter().filter(|other| same(other)).count() > 1 {
        let message = "another rule has the same source, id and name; both apply";
        findings.warn(&["services", &index], message, Some("list all targets under one rule"));
    }
}

fn metrics(config: &Config, findings: &mut Findings) {
    if !config.metrics.points.is_on() {
        return;
    }
    if config.metrics.accept_identity_change {
        let hint = "`incident.active` can be joined in queries instead";
        findings.warn(
            &["metrics", "points"],
            "marked data points become new series while an incident is open",
            Some(hint),
        );
    } else {
        let message = "an attribute on a data point makes a new series: rates break, alerts reset";
        let hint = "if that is wanted, set `metrics.accept_identity_change: true`";
        findings.error(&["metrics", "points"], message, Some(hint));
    }
}

fn limits(config: &Config, findings: &mut Findings) {
    let crate::config::Limits { batch_bytes, webhook_bytes, open_incidents, alerts_per_webhook, services_per_incident } =
        config.limits;
    for (key, value, most) in [
        ("batch_bytes", batch_bytes, (1 << 31) - 1),
        ("webhook_bytes", webhook_bytes, 64 * 1024 * 1024),
        ("open_incidents", open_incidents, limits::ENTRIES_MAX / 4),
        ("alerts_per_webhook", alerts_per_webhook, limits::ENTRIES_MAX / 4),
        ("services_per_incident", services_per_incident, limits::SERVICES_PER_INCIDENT_MAX),
    ] {
        if value == 0 || value > most {
            findings.error(&["limits", key], &format!("{value} is out of range, expected 1 to {most}"), None);
        }
    }
}

// === impl Findings ===

impl Findings {
    // Not inlined, or the forty calls would be 25 kB.
    #[inline(never)]
    fn error(&mut self, at: &[&str], message: &str, hint: Option<&str>) {
        self.errors.push(fault(at, message, hint));
    }

    #[inline(never)]
    fn warn(&mut self, at: &[&str], message: &str, hint: Option<&str>) {
        self.warnings.push(fault(at, message, hint));
    }
}

fn fault(at: &[&str], message: &str, hint: Option<&str>) -> Fault {
    Fault { pointer: pointer(at), message: message.to_owned(), hint: hint.map(str::to_owned) }
}

#[inline(never)]
fn pointer(parts: &[&str]) -> String {
    parts.iter().fold(String::new(), |pointer, part| join(&pointer, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: &str) -> Vec<String> {
        Config::check(json)
            .unwrap_err()
            .into_iter()
            .map(|fault| format!("{} {}", fault.pointer, fault.message))
            .collect()
    }

    fn warnings(json: &str) -> Vec<String> {
        Config::check(json).unwrap().1.into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn a_source_without_credentials_is_refused() {
        let errors =
            errors(r#"{"sources": {"pd": {"kind": "pagerduty"}, "am": {"kind": "alertmanager", "tokens": [""]}}}"#);
        assert_eq!(
            errors,
            [
                "/sources/am/tokens/0 an empty secret would let anybody in",
                "/sources/pd source `pd` has no `secrets`: anybody could send",
            ]
        );
    }

    #[test]
    fn a_lease_beyond_the_horizon_is_refused() {
        let errors = errors(r#"{"sources": {"m": {"kind": "manual", "tokens": ["t"], "lease": "76h"}}}"#);
        assert_eq!(errors, ["/sources/m/lease a lease must be shorter than the 76 h after which events are forgotten"]);
    }

    #[test]
    fn marking_metric_points_has_to_be_said_twice() {
        assert!(errors(r#"{"metrics": {"points": "on"}}"#).first().unwrap().contains("new series"));
        let once = warnings(r#"{"metrics": {"points": "on", "accept_identity_change": true}}"#);
        assert!(once.iter().any(|warning| warning.contains("new series")));
    }

    #[test]
    fn a_rule_that_leads_nowhere_is_refused() {
        let errors = errors(
            r#"{"sources": {"pd-eu": {"kind": "pagerduty", "secrets": ["s"]}},
                "services": [{"source": "pd-us", "id": "P1"}, {"to": [{"service": ""}]}]}"#,
        );
        assert_eq!(
            errors,
            [
                "/services/0/source there is no source `pd-us`",
                "/services/0 the rule leads to no service: `to` is empty",
                "/services/1 a rule needs the sender's `id` or `name` of the service",
                "/services/1/to/0/service an empty `service.name` matches nothing",
            ]
        );
    }
}
