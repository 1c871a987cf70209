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
    let signed = |header: &str, prefix: &str, write: fn(&[u8]) -> String| -> anyhow::Result<_> {
        let signature = write(&hmac_sha256(key("secrets")?.as_bytes(), body)?);
        Ok(vec![(header.to_owned(), format!("{prefix}{signature}"))])
    };
    match kind {
        "pagerduty" => signed("X-PagerDuty-Signature", "v1=", hex::encode),
        "github" => signed("X-Hub-Signature-256", "sha256=", hex::encode),
        "generic" if first("secrets").is_some() => {
            let setting = |name: &str| configured.get("signature")?.get(name)?.as_text();
            let write = if setting("encoding") == Some("base64") { base64 } else { hex::encode };
            signed(setting("header").unwrap_or("X-Signature"), setting("prefix").unwrap_or_default(), write)
        }
        "alertmanager" | "manual" | "generic" => {
            Ok(vec![("Authorization".to_owned(), format!("Bearer {}", key("tokens")?))])
        }
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

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, index| bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
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
  gh: { kind: github, secrets: [key] }
  plain: { kind: generic, tokens: [token] }
  signed: { kind: generic, secrets: [key] }
  splunk: { kind: generic, secrets: [key], signature: { header: X-SFX-Signature, prefix: v=, encoding: base64 } }
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
    fn signs_for_github_and_for_whatever_is_configured() {
        let digest = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        check("gh", None, &format!("X-Hub-Signature-256: sha256={digest}"));
        check("signed", None, &format!("X-Signature: {digest}"));
        check("splunk", None, "X-SFX-Signature: v=97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=");
        check("plain", None, "Authorization: Bearer token");
    }

    /// The texts are those of RFC 4648, section 10.
    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
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
        check(
            "nobody",
            None,
            "the configuration has no source \"nobody\"; it has pd, am, bare, gh, plain, signed, splunk",
        );
    }
}
