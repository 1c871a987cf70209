//! From incidents to attributes.

use super::Marking;
use crate::annotation::{Group, Value};
use crate::incident::IncidentKind;
use crate::limits;
use crate::names;

/// The attributes of incidents that mark one item, most severe first: one group for incidents and alerts, one for
/// deployments, one for experiments.
pub(super) fn compose<'a>(prefix: &str, incidents: impl Iterator<Item = &'a Marking>) -> Vec<Group> {
    let (mut ours, mut deployments, mut experiments) = (Vec::new(), Vec::new(), Vec::new());
    for incident in incidents {
        match incident.kind {
            IncidentKind::Incident | IncidentKind::Alert => ours.push(incident),
            IncidentKind::Deployment => deployments.push(incident),
            IncidentKind::Experiment => experiments.push(incident),
        }
    }
    [
        group(&ours, |first| incident(prefix, first, &ours)),
        group(&deployments, deployment),
        group(&experiments, experiment),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn group(members: &[&Marking], attributes: impl Fn(&Marking) -> Vec<(String, Value)>) -> Option<Group> {
    let mut attributes = attributes(members.first()?);
    for (name, value) in members.iter().flat_map(|member| &member.extra) {
        if attributes.iter().all(|(other, _)| other != name) {
            attributes.push((name.clone(), Value::Text(value.clone())));
        }
    }
    Some(Group { attributes })
}

fn incident(prefix: &str, first: &Marking, all: &[&Marking]) -> Vec<(String, Value)> {
    let name = |name: &str| format!("{prefix}{name}");
    let mut attributes = vec![(name(names::ID), Value::Text(first.id()))];
    if all.len() > 1 {
        let ids = all.iter().take(limits::INCIDENT_IDS_PER_ITEM_MAX).map(|incident| incident.id()).collect();
        attributes.push((name(names::IDS), Value::Texts(ids)));
    }
    attributes.push((name(names::ACTIVE), Value::Flag(first.active)));
    attributes.push((name(names::SEVERITY), Value::Text(first.severity.name().to_owned())));
    if let Some(url) = &first.url {
        attributes.push((name(names::URL), Value::Text(url.clone())));
    }
    attributes
}

fn deployment(first: &Marking) -> Vec<(String, Value)> {
    let mut attributes = vec![(names::DEPLOYMENT_ID.to_owned(), Value::Text(first.external_id.clone()))];
    if let Some(title) = &first.title {
        attributes.push((names::DEPLOYMENT_NAME.to_owned(), Value::Text(title.clone())));
    }
    if let Some(environment) = &first.environment {
        attributes.push((names::DEPLOYMENT_ENVIRONMENT_NAME.to_owned(), Value::Text(environment.clone())));
    }
    attributes
}

fn experiment(first: &Marking) -> Vec<(String, Value)> {
    vec![(names::CHAOS_EXPERIMENT_ID.to_owned(), Value::Text(first.external_id.clone()))]
}
