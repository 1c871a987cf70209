//! Reach: which services an incident marks, and which rule decided.
//!
//! Asked when an instance builds its table, never stored: a repaired configuration heals incidents that are open.

use crate::config::{Config, Rule, Source, SourceKind, Target, Unmatched};
use crate::incident::{ServiceReference, Severity, Snapshot};
use crate::names;
use crate::state::View;

/// Which services an incident marks, and why these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Services as telemetry names them.
    pub targets: Vec<Target>,
    /// Names to be compared without case, spaces and underscores.
    pub normalized: Vec<Target>,
    /// All services; in this environment, where one is given.
    pub everything: Option<Option<String>>,
    /// The rule that decided.
    pub reason: String,
    /// A rule is missing: no configuration says what the incident's services are in telemetry.
    pub unmatched: bool,
    /// Something keeps it from marking these services: it is a test, or too harmless, or a rule says so.
    pub held_back: bool,
}

// === impl Reach ===

impl Reach {
    /// What `view` marks under `config`. `merged` are incidents that were merged into it.
    #[must_use]
    pub fn of(config: &Config, view: &View, merged: &[View]) -> Self {
        if !config.marking.is_on() {
            return Self::nothing("marking is off".to_owned());
        }
        let Some(source) = config.sources.get(&view.key.source) else {
            return Self::nothing(format!("source `{}` is not configured", view.key.source));
        };
        let mut reach = map(config, source, &view.key.source, &view.snapshot);
        if config.carry_merged_services {
            for other in merged {
                reach.carry(map(config, source, &other.key.source, &other.snapshot), &other.key.id);
            }
        }
        match held_back(source, view) {
            Some(reason) => Self { reason, held_back: true, unmatched: false, ..reach },
            None => reach,
        }
    }

    /// Names of what it marks: `checkout`, `shop/cart (production)`, `*` for all.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        if self.held_back {
            return Vec::new();
        }
        let mut services: Vec<String> = self.targets.iter().chain(&self.normalized).map(describe).collect();
        if let Some(environment) = &self.everything {
            services.push(describe(&Target {
                service: "*".to_owned(),
                namespace: None,
                environment: environment.clone(),
            }));
        }
        services
    }

    /// Whether it marks nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held_back || self.names_nothing()
    }

    fn names_nothing(&self) -> bool {
        self.targets.is_empty() && self.normalized.is_empty() && self.everything.is_none()
    }

    fn nothing(reason: String) -> Self {
        Self { reason, ..Self::default() }
    }

    fn carry(&mut self, other: Self, from: &str) {
        if other.unmatched || other.names_nothing() {
            return;
        }
        self.reason = format!("{}; {} of `{from}`, merged into it", self.reason, other.reason);
        self.unmatched = false;
        for target in other.targets {
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
        }
        self.normalized.extend(other.normalized);
        self.everything = self.everything.take().or(other.everything);
    }
}

fn describe(target: &Target) -> String {
    let Target { service, namespace, environment } = target;
    let namespace = namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let environment = environment.as_ref().map(|environment| format!(" ({environment})")).unwrap_or_default();
    format!("{namespace}{service}{environment}")
}

/// Why an incident of this source marks nothing whatever its services, if so.
fn held_back(source: &Source, view: &View) -> Option<String> {
    if view.snapshot.test {
        return Some("it is a test".to_owned());
    }
    let severity = view.severity();
    match source.min_severity {
        None if severity == Severity::Info => {
            return Some("severity info marks only with `min_severity: info`".to_owned());
        }
        Some(least) if severity < least => {
            return Some(format!("severity {} is below `min_severity: {}`", severity.name(), least.name()));
        }
        _ => {}
    }
    match &source.unless {
        Some(rules) => {
            if let Some(index) = rules.iter().position(|rule| fits(rule, view)) {
                return Some(format!("it fits `unless[{index}]` of source `{}`", view.key.source));
            }
        }
        None if source.kind == Some(SourceKind::Alertmanager) => {
            let name = view.snapshot.labels.get("alertname").map(String::as_str).unwrap_or_default();
            if names::ALWAYS_ON_ALERTS.contains(&name) {
                return Some(format!(
                    "alert `{name}` always fires; `unless` of source `{}` can change that",
                    view.key.source
                ));
            }
        }
        None => {}
    }
    let wanted = source.matching.is_empty() || source.matching.iter().any(|rule| fits(rule, view));
    (!wanted).then(|| format!("it fits no rule under `match` of source `{}`", view.key.source))
}

fn fits(rule: &Rule, view: &View) -> bool {
    rule.labels.iter().all(|(label, wanted)| {
        let given = view.snapshot.labels.get(label).is_some_and(|value| wanted.has(value));
        given
            || match label.as_str() {
                "severity" => wanted.has(view.severity().name()),
                "kind" => wanted.has(view.kind().name()),
                "service" => {
                    view.snapshot.services.iter().flatten().any(|service| {
                        [&service.id, &service.name].into_iter().flatten().any(|value| wanted.has(value))
                    })
                }
                _ => false,
            }
    })
}

/// From the sender's references to services in telemetry.
fn map(config: &Config, source: &Source, source_name: &str, snapshot: &Snapshot) -> Reach {
    let environment = config
        .environment_labels
        .iter()
        .find_map(|label| snapshot.labels.get(label))
        .filter(|environment| !environment.is_empty())
        .map(|environment| config.environment(environment).to_owned());
    let mut reach = Reach::default();
    let mut reasons = Vec::new();
    if let Some(targets) = &snapshot.targets
        && !targets.is_empty()
    {
        reach.targets.extend(targets.iter().map(|target| within(config, target, environment.as_ref())));
        reasons.push("its sender names the service".to_owned());
    }
    for service in snapshot.services.iter().flatten() {
        if let Some((targets, reason)) = by_table(config, source_name, service) {
            reach.targets.extend(targets.into_iter().map(|target| within(config, target, environment.as_ref())));
            reasons.push(reason);
        } else if let Some(name) = normalizable(config, service) {
            let target = Target { service: normalize(name), namespace: None, environment: environment.clone() };
            reasons.push(format!("its service's name, normalised, is `{}`", target.service));
            reach.normalized.push(target);
        } else if let Some(name) = service.name.as_ref().filter(|_| source.kind == Some(SourceKind::Generic)) {
            // Whoever wrote the pointers knows what stands there; as with an alert's label, it is a name of telemetry.
            let target = Target { service: name.clone(), namespace: None, environment: environment.clone() };
            reasons.push(format!("no rule leads from `{name}`, so that it is a `service.name`"));
            reach.targets.push(target);
        }
    }
    if reach.names_nothing()
        && let Some((target, label)) = by_label(config, snapshot, environment.as_ref())
    {
        reasons.push(format!("label `{label}` names `{}`", target.service));
        reach.targets.push(target);
    }
    reach.targets.dedup();
    if !reach.names_nothing() {
        reach.reason = reasons.join("; ");
        return reach;
    }
    let missing = missing_rule(config, snapshot);
    match source.unmatched.unwrap_or(config.unmatched) {
        Unmatched::Ignore => Reach { reason: missing, unmatched: true, ..Reach::default() },
        Unmatched::All => Reach {
            everything: Some(environment),
            reason: format!("{missing}, and `unmatched: all`"),
            unmatched: true,
            ..Reach::default()
        },
    }
}

/// The target in the environment that the incident speaks of, unless the rule names one, in its canonical name.
fn within(config: &Config, target: &Target, environment: Option<&String>) -> Target {
    let named = target.environment.as_deref().map(|name| config.environment(name).to_owned());
    Target { environment: named.or_else(|| environment.cloned()), ..target.clone() }
}

/// Rules that name the service's id; only where there are none, those that name its name.
fn by_table<'a>(config: &'a Config, source: &str, service: &ServiceReference) -> Option<(Vec<&'a Target>, String)> {
    let of_source = |rule: &&crate::config::ServiceRule| rule.source.as_deref().is_none_or(|name| name == source);
    let fitting = |what: &'static str, wanted: &Option<String>| {
        let wanted = wanted.as_deref()?;
        let (places, targets): (Vec<String>, Vec<&'a Vec<Target>>) = config
            .services
            .iter()
            .enumerate()
            .filter(|(_, rule)| of_source(rule))
            .filter(|(_, rule)| (if what == "id" { &rule.id } else { &rule.name }).as_deref() == Some(wanted))
            .map(|(index, rule)| (format!("`services[{index}]`"), &rule.to))
            .unzip();
        let targets: Vec<&'a Target> = targets.into_iter().flatten().collect();
        let named: Vec<&str> = targets.iter().map(|target| target.service.as_str()).collect();
        let reason = format!("{} leads from {what} `{wanted}` to {}", places.join(", "), named.join(", "));
        (!places.is_empty()).then_some((targets, reason))
    };
    fitting("id", &service.id).or_else(|| fitting("name", &service.name))
}

fn normalizable<'a>(config: &Config, service: &'a ServiceReference) -> Option<&'a str> {
    let name = service.name.as_deref().filter(|_| config.match_normalized_names)?;
    (!name.trim().is_empty() && !name.trim().eq_ignore_ascii_case(names::STOCK_SERVICE)).then_some(name)
}

/// Lower case, without space around, with `-` for spaces and underscores.
#[must_use]
pub fn normalize(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '_'], "-")
}

fn by_label<'a>(config: &'a Config, snapshot: &Snapshot, environment: Option<&String>) -> Option<(Target, &'a String)> {
    let (label, value) = config
        .service_labels
        .iter()
        .find_map(|label| snapshot.labels.get(label).filter(|value| !value.is_empty()).map(|value| (label, value)))?;
    let stated = names::NAMESPACE_LABELS.iter().find_map(|label| snapshot.labels.get(*label).cloned());
    let (namespace, service) = match value.split_once('/') {
        // Prometheus makes `job` of OTLP data from `service.namespace` and `service.name`.
        Some((namespace, service)) if label == names::JOB_LABEL => (Some(namespace.to_owned()), service.to_owned()),
        _ => (None, value.clone()),
    };
    let target = Target { service, namespace: namespace.or(stated), environment: environment.cloned() };
    Some((target, label))
}

fn missing_rule(config: &Config, snapshot: &Snapshot) -> String {
    let named: Vec<String> = snapshot
        .services
        .iter()
        .flatten()
        .filter_map(|service| match (&service.id, &service.name) {
            (Some(id), Some(name)) => Some(format!("`{id}` (`{name}`)")),
            (Some(id), None) => Some(format!("`{id}`")),
            (None, Some(name)) => Some(format!("name `{name}`")),
            (None, None) => None,
        })
        .collect();
    if !named.is_empty() {
        return format!("no rule under `services` leads from {}", named.join(", "));
    }
    if snapshot.labels.is_empty() {
        return "it names no service".to_owned();
    }
    format!("it has none of the labels {} that name a service", quoted(&config.service_labels))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{IncidentState, Key};
    use crate::state::Standing;

    fn config(json: &str) -> Config {
        Config::check(json).unwrap().0
    }

    fn view(snapshot: Snapshot) -> View {
        View {
            key: Key { source: "pd".to_owned(), id: "Q1".to_owned() },
            state: IncidentState::Triggered,
            standing: Standing::Open,
            snapshot,
            started: 1,
            ended: None,
            lease_until: None,
            decided_at: 1,
            earlier: None,
            last_terminal: None,
            active: None,
        }
    }

    fn service(id: &str, name: &str) -> Snapshot {
        let reference = ServiceReference { id: Some(id.to_owned()), name: Some(name.to_owned()) };
        Snapshot { services: Some(vec![reference]), ..Snapshot::default() }
    }

    fn labels(labels: &[(&str, &str)]) -> Snapshot {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Snapshot { labels, ..Snapshot::default() }
    }

    const SOURCE: &str = r#""sources": {"pd": {"kind": "pagerduty", "secrets": ["s"]}}"#;

    #[test]
    fn an_id_comes_before_a_name() {
        let config = config(&format!(
            r#"{{{SOURCE}, "services": [{{"name": "Shop", "to": [{{"service": "by-name"}}]}},
                {{"id": "P1", "to": [{{"service": "by-id"}}, {{"service": "too", "environment": "prod"}}]}}]}}"#
        ));
        let reach = Reach::of(&config, &view(service("P1", "Shop")), &[]);
        assert_eq!(reach.services(), ["by-id", "too (prod)"]);
        assert_eq!(reach.reason, "`services[1]` leads from id `P1` to by-id, too");
        assert_eq!(Reach::of(&config, &view(service("P2", "Shop")), &[]).services(), ["by-name"]);
    }

    #[test]
    fn an_unmapped_service_marks_nothing_and_the_missing_rule_is_named() {
        let config = config(&format!("{{{SOURCE}}}"));
        let reach = Reach::of(&config, &view(service("P1", "Shop")), &[]);
        assert!(reach.is_empty() && reach.unmatched);
        assert_eq!(reach.reason, "no rule under `services` leads from `P1` (`Shop`)");
    }

    #[test]
    fn the_job_label_of_otlp_data_has_its_namespace_taken_off() {
        let config = config(&format!(r#"{{{SOURCE}, "environments": {{"prod": "production"}}}}"#));
        let reach = Reach::of(&config, &view(labels(&[("job", "shop/cart"), ("env", "prod")])), &[]);
        assert_eq!(reach.services(), ["shop/cart (production)"]);
    }

    #[test]
    fn names_are_normalised_only_when_asked_and_never_the_stock_service() {
        let on = config(&format!(r#"{{{SOURCE}, "match_normalized_names": true}}"#));
        let off = config(&format!("{{{SOURCE}}}"));
        assert_eq!(Reach::of(&on, &view(service("P1", "Checkout_API")), &[]).services(), ["checkout-api"]);
        assert!(Reach::of(&off, &view(service("P1", "Checkout_API")), &[]).is_empty());
        assert!(Reach::of(&on, &view(service("P1", "Default Service")), &[]).is_empty());
    }

    #[test]
    fn unmatched_incidents_mark_all_only_when_asked() {
        let config = config(&format!(r#"{{{SOURCE}, "unmatched": "all"}}"#));
        assert_eq!(Reach::of(&config, &view(service("P1", "Shop")), &[]).services(), ["*"]);
    }

    #[test]
    fn severity_match_and_unless_hold_back() {
        let source = r#""kind": "pagerduty", "secrets": ["s"]"#;
        let mapped = r#""services": [{"id": "P1", "to": [{"service": "shop"}]}]"#;
        let reason = |settings: &str, severity: Severity| {
            let config = config(&format!(r#"{{"sources": {{"pd": {{{source}{settings}}}}}, {mapped}}}"#));
            let mut snapshot = service("P1", "Shop");
            snapshot.severity = Some(severity);
            snapshot.labels.insert("team".to_owned(), "web".to_owned());
            Reach::of(&config, &view(snapshot), &[]).reason
        };
        assert_eq!(reason("", Severity::Info), "severity info marks only with `min_severity: info`");
        assert_eq!(
            reason(r#", "min_severity": "high""#, Severity::Unknown),
            "severity unknown is below `min_severity: high`"
        );
        let unless = r#", "unless": [{"labels": {"team": ["web", "app"]}}]"#;
        assert_eq!(reason(unless, Severity::High), "it fits `unless[0]` of source `pd`");
        let matching = r#", "match": [{"labels": {"team": "app"}}, {"labels": {"severity": "critical"}}]"#;
        assert_eq!(reason(matching, Severity::High), "it fits no rule under `match` of source `pd`");
        assert_eq!(reason(matching, Severity::Critical), "`services[0]` leads from id `P1` to shop");
    }
}
