//! What can be wrong with the settings that one kind of source has for itself.

use super::Findings;
use crate::config::{Fields, Property, Source, SourceKind};

pub(super) fn check(
    name: &str,
    kind: SourceKind,
    source: &Source,
    taken_out: &dyn Fn(&[&str]) -> bool,
    findings: &mut Findings,
) {
    let generic = kind == SourceKind::Generic;
    for (key, unused, hint) in [
        ("fields", source.fields.is_some() && !generic, "only `kind: generic` has it"),
        ("signature", source.signature.is_some() && !generic, "only `kind: generic` has it"),
        ("manages", source.manages && kind != SourceKind::Manual, "only `kind: manual` has it"),
    ] {
        if unused {
            findings.error(&["sources", name, key], "this kind of source does not use it", Some(hint));
        }
    }
    if !generic {
        return;
    }
    let none = Fields::default();
    let fields = source.fields.as_ref().unwrap_or(&none);
    let lacks = |property| fields.pointer(property).is_none();
    // What is lacking, whether a fault is the reason for that, and what to do.
    for (key, lacking, message, hint) in [
        (
            "id",
            lacks(Property::Id),
            "`fields` has no `id`: nothing says which incident is meant",
            "for example `id: /alert/id`",
        ),
        (
            "states",
            !lacks(Property::State) && fields.states.is_empty(),
            "`fields` has `state` and no `states`: nothing says what its words mean",
            "for example `states: { firing: triggered, ok: resolved }`",
        ),
    ] {
        if lacking && !taken_out(&["sources", name, "fields", key]) && !taken_out(&["sources", name, "fields"]) {
            findings.error(&["sources", name, "fields"], message, Some(hint));
        }
    }
    if lacks(Property::State) {
        let message = "without `state` every event opens its incident, and only its lease ends it";
        findings.warn(&["sources", name, "fields"], message, None);
    }
    if lacks(Property::Time) && lacks(Property::Started) {
        let message = "without `time` or `started` an incident that ended does not open again with the same id";
        findings.warn(&["sources", name, "fields"], message, None);
    }
    if let Some(signature) = &source.signature {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if signature.header.is_empty() || !signature.header.bytes().all(allowed) {
            let message = "expected the name of a header: letters, digits and `-`";
            findings.error(&["sources", name, "signature", "header"], message, None);
        }
        if source.secrets.is_empty() && !taken_out(&["sources", name, "secrets"]) {
            let message = "there are no `secrets` to check signatures with";
            findings.error(&["sources", name, "signature"], message, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn faults(source: &str) -> Vec<String> {
        let faults = match Config::check(&format!(r#"{{"sources": {{"g": {source}}}}}"#)) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect()
    }

    #[test]
    fn a_generic_source_says_at_least_where_the_id_is() {
        let no_id = "/sources/g/fields `fields` has no `id`: nothing says which incident is meant";
        assert_eq!(faults(r#"{"kind": "generic", "tokens": ["t"]}"#), [no_id]);
        let no_states = "/sources/g/fields `fields` has `state` and no `states`: nothing says what its words mean";
        assert_eq!(faults(r#"{"kind": "generic", "tokens": ["t"], "fields": {"state": "/a"}}"#), [no_id, no_states]);
        let faulty = r#"{"kind": "generic", "tokens": ["t"], "fields": {"id": 7, "state": "/a", "states": ["up"]}}"#;
        assert_eq!(
            faults(faulty),
            [
                "/sources/g/fields/id expected a JSON Pointer such as `/alert/id`, found `7`",
                "/sources/g/fields/states expected an object, found a list",
            ]
        );
    }

    #[test]
    fn fields_that_leave_a_question_open_are_warned_of() {
        assert_eq!(
            faults(r#"{"kind": "generic", "tokens": ["t"], "fields": {"id": "/id"}}"#),
            [
                "/sources/g/fields without `state` every event opens its incident, and only its lease ends it",
                "/sources/g/fields without `time` or `started` an incident that ended does not open again with the same id",
            ]
        );
        let whole = r#"{"id": "/id", "state": "/state", "states": {"up": "triggered"}, "started": "/since"}"#;
        assert_eq!(faults(&format!(r#"{{"kind": "generic", "secrets": ["s"], "fields": {whole}}}"#)), [""; 0]);
    }

    #[test]
    fn a_generic_source_is_signed_or_carries_a_token() {
        let fields = r#""kind": "generic", "fields": {"id": "/id"}"#;
        assert_eq!(
            faults(&format!(r#"{{{fields}, "signature": {{"header": "X Y"}}}}"#)),
            [
                "/sources/g source `g` has no `tokens`: anybody could send",
                "/sources/g/signature/header expected the name of a header: letters, digits and `-`",
                "/sources/g/signature there are no `secrets` to check signatures with",
            ]
        );
        assert_eq!(
            faults(&format!(r#"{{{fields}, "secrets": ["s"], "tokens": ["t"]}}"#)),
            ["/sources/g/tokens `tokens` is not used by this kind of source"]
        );
        assert_eq!(
            faults(&format!(r#"{{{fields}, "secrets": "hunter2"}}"#)),
            ["/sources/g/secrets expected a list of strings"]
        );
    }

    #[test]
    fn settings_of_another_kind_are_refused() {
        assert_eq!(
            faults(
                r#"{"kind": "github", "secrets": ["s"], "fields": {"id": "/id"}, "signature": {}, "manages": true}"#
            ),
            [
                "/sources/g/fields this kind of source does not use it",
                "/sources/g/signature this kind of source does not use it",
                "/sources/g/manages this kind of source does not use it",
            ]
        );
    }
}
