//! The headers with which a sender proves that a webhook is its own, for test webhooks.

use anyhow::{Context, bail};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hex;
use crate::yaml::{Node, Value};

/// Signs `body` as a webhook of a configured source, with the source's first secret or token, or with `secret`.
///
/// Returns header names and values.
///
/// # Errors
/// When the configuration has no such source, or it has no secret to sign with.
pub fn sign(config: &Node, source: &str, secret: Option<&str>, body: &[u8]) -> anyhow::Result<Vec<(String, String)>> {
    let configured = find_source(config, source)?;
    let kind = configured
        .get("kind")
        .and_then(Node::as_text)
        .with_context(|| format!("the source {source:?} has no `kind`"))?;
    let first = |list: &str| {
        let Some(Value::List(items)) = configured.get(list).map(|node| &node.value) else { return None };
        items.first().and_then(Node::as_text)
    };
    let key = |list: &str| {
        secret.or_else(|| first(list)).with_context(|| format!("the source {source:?} has no `{list}` to sign with"))
    };
    match kind {
        "pagerduty" => {
            let value = format!("v1={}", hex::encode(&hmac_sha256(key("secrets")?.as_bytes(), body)?));
            Ok(vec![("X-PagerDuty-Signature".to_owned(), value)])
        }
        "alertmanager" | "manual" => Ok(vec![("Authorization".to_owned(), format!("Bearer {}", key("tokens")?))]),
        other => bail!("this faultline does not know how senders of kind {other:?} sign"),
    }
}

fn find_source<'a>(config: &'a Node, source: &str) -> anyhow::Result<&'a Node> {
    let sources = config.get("sources");
    if let Some(found) = sources.and_then(|sources| sources.get(source)) {
        return Ok(found);
    }
    match sources.map(|sources| &sources.value) {
        Some(Value::Map(entries)) if !entries.is_empty() => {
            let names: Vec<_> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
            bail!("the configuration has no source {source:?}; it has {}", names.join(", "))
        }
        _ => bail!("the configuration has no sources"),
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    const CONFIG: &str = "
sources:
  pd: { kind: pagerduty, secrets: [key, older] }
  am: { kind: alertmanager, tokens: [token] }
  bare: { kind: manual }
";

    fn check(source: &str, secret: Option<&str>, expected: &str) {
        let config = yaml::parse(CONFIG).unwrap();
        let body = b"The quick brown fox jumps over the lazy dog";
        let text = match sign(&config, source, secret, body) {
            Ok(headers) => headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect(),
            Err(error) => error.to_string(),
        };
        assert_eq!(text, expected);
    }

    /// The widely published test vector of HMAC-SHA-256 for this key and sentence.
    #[test]
    fn signs_for_pagerduty_with_the_first_secret() {
        let digest = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        check("pd", None, &format!("X-PagerDuty-Signature: v1={digest}"));
    }

    #[test]
    fn a_secret_that_is_given_goes_before_those_configured() {
        check("am", None, "Authorization: Bearer token");
        check("am", Some("other"), "Authorization: Bearer other");
        check("bare", Some("other"), "Authorization: Bearer other");
    }

    #[test]
    fn says_what_is_missing() {
        check("bare", None, "the source \"bare\" has no `tokens` to sign with");
        check("nobody", None, "the configuration has no source \"nobody\"; it has pd, am, bare");
    }
}
