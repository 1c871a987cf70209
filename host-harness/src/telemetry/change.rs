//! What the plugin did to each item of a batch, found by comparing the batch before with the batch after.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;

use super::Item;
use super::value::plain;

/// How many names of items a group is shown with.
const NAMES_SHOWN: usize = 4;

/// One item, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The item as it came.
    pub item: Item,
    /// What was added, by key; attributes added to its exemplars under `exemplar <key>`. Empty when nothing was.
    pub added: BTreeMap<String, Value>,
    /// Why nothing was added; `None` when something was.
    pub reason: Option<String>,
}

/// The items of one service to which the same happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// `service.name`; empty when the resource has none.
    pub service: String,
    /// `service.namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `deployment.environment.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How many.
    pub items: usize,
    /// Different names, the first few.
    pub names: Vec<String>,
    /// What was added.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub added: BTreeMap<String, Value>,
    /// Why nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Compares the items of a batch with those of the batch that the plugin made of it. `why_not` says why nothing was added to
/// an item.
///
/// # Errors
/// When the plugin broke its promise: an item was lost, added or moved, or an attribute overwritten or removed. Also when
/// `why_not` fails.
pub fn changes(
    before: Vec<Item>,
    after: Vec<Item>,
    mut why_not: impl FnMut(&Item) -> anyhow::Result<String>,
) -> anyhow::Result<Vec<Change>> {
    ensure!(before.len() == after.len(), "{} items went into the plugin, {} came out", before.len(), after.len());
    let pairs = before.into_iter().zip(after);
    pairs
        .map(|(item, after)| {
            let mut added = BTreeMap::new();
            for (key, value) in additions(&item.attributes, &after.attributes, &item)? {
                added.insert(key.clone(), value.clone());
            }
            for (before, after) in item.exemplars.iter().zip(&after.exemplars) {
                for (key, value) in additions(before, after, &item)? {
                    added.insert(format!("exemplar {key}"), value.clone());
                }
            }
            let reason = if added.is_empty() { Some(why_not(&item)?) } else { None };
            Ok(Change { item, added, reason })
        })
        .collect()
}

/// The attributes in front of those that were there already, which must all be there still, in the same order.
fn additions<'a>(
    before: &[(String, Value)],
    after: &'a [(String, Value)],
    item: &Item,
) -> anyhow::Result<&'a [(String, Value)]> {
    let split = after.len().checked_sub(before.len()).and_then(|added| after.split_at_checked(added));
    match split {
        Some((added, kept)) if kept == before => Ok(added),
        _ => anyhow::bail!("the plugin changed attributes that {:?} had already", item.name),
    }
}

/// Puts equal changes together, sorted by service, marked ones first, then by what was added or the reason.
#[must_use]
pub fn groups(changes: &[Change]) -> Vec<Group> {
    let mut groups = BTreeMap::new();
    for change in changes {
        let Item { namespace, environment, .. } = &change.item;
        let service = change.item.service.clone().unwrap_or_default();
        let what = match &change.reason {
            Some(reason) => reason.clone(),
            None => change.added.iter().map(|(key, value)| format!("{key}={}\n", plain(value))).collect(),
        };
        let key = (service.clone(), namespace.clone(), environment.clone(), change.reason.is_some(), what);
        let group = groups.entry(key).or_insert_with(|| Group {
            service,
            namespace: namespace.clone(),
            environment: environment.clone(),
            items: 0,
            names: Vec::new(),
            added: change.added.clone(),
            reason: change.reason.clone(),
        });
        group.items += 1;
        if group.names.len() < NAMES_SHOWN && !group.names.contains(&change.item.name) {
            group.names.push(change.item.name.clone());
        }
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(service: &str, name: &str, keys: &[&str]) -> Item {
        Item {
            service: Some(service.to_owned()),
            namespace: None,
            environment: None,
            name: name.to_owned(),
            time: 0,
            fields: Vec::new(),
            attributes: keys.iter().map(|key| ((*key).to_owned(), Value::Bool(true))).collect(),
            exemplars: Vec::new(),
        }
    }

    fn compare(before: Vec<Item>, after: Vec<Item>) -> anyhow::Result<Vec<Change>> {
        changes(before, after, |item| Ok(format!("{} is not affected", item.service.as_deref().unwrap_or("?"))))
    }

    #[test]
    fn equal_changes_of_a_service_are_one_group_with_the_marked_first() {
        let before = vec![item("b", "x", &["k"]), item("b", "y", &[]), item("a", "z", &[]), item("b", "x", &[])];
        let after = vec![item("b", "x", &["k"]), item("b", "y", &["id"]), item("a", "z", &[]), item("b", "x", &["id"])];
        let groups = groups(&compare(before, after).unwrap());
        let shown: Vec<_> = groups.iter().map(|one| (one.service.as_str(), one.items, one.names.join(","))).collect();
        assert_eq!(shown, [("a", 1, "z".to_owned()), ("b", 2, "y,x".to_owned()), ("b", 1, "x".to_owned())]);
        assert_eq!(groups[1].added.keys().collect::<Vec<_>>(), ["id"]);
        assert_eq!(groups[2].reason.as_deref(), Some("b is not affected"));
    }

    #[test]
    fn a_broken_promise_is_an_error_and_not_a_line_in_a_table() {
        assert!(compare(vec![item("a", "x", &["k"])], vec![item("a", "x", &[])]).is_err());
        assert!(compare(vec![item("a", "x", &["k"])], vec![item("a", "x", &["k", "l"])]).is_err());
        assert!(compare(vec![item("a", "x", &[])], vec![]).is_err());
    }
}
