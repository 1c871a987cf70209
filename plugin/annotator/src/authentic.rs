//! Whether a webhook comes from its source.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::{Encoding, Secret, Source, SourceKind};
use crate::digest;
use crate::names;
use crate::webhook::Webhook;

/// Header and prefix of PagerDuty: `v1=<hex>[,v1=<hex>…]`.
/// Source: PagerDuty developer documentation, "Verifying signatures".
const PAGERDUTY: (&str, &str) = ("X-PagerDuty-Signature", "v1=");
/// Header and prefix of GitHub: `sha256=<hex>`. The header without `-256` is SHA-1.
/// Source: GitHub documentation, "Validating webhook deliveries".
const GITHUB: (&str, &str) = ("X-Hub-Signature-256", "sha256=");

/// Why a webhook is not authentic; a counter's attribute, never part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The header is not there.
    Missing,
    /// The header does not have the form that the source documents.
    Malformed,
    /// Only signatures of versions that we do not know.
    UnknownVersion,
    /// No secret fits.
    Mismatch,
}

// === impl Rejection ===

impl Rejection {
    /// The name in counters.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownVersion => "unknown-version",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Checks signature or token. With no secret configured nothing is authentic.
pub(crate) fn check(source: &Source, webhook: &Webhook) -> Result<(), Rejection> {
    match source.kind {
        Some(SourceKind::Pagerduty) => signed(source, webhook, PAGERDUTY, Encoding::Hex),
        Some(SourceKind::Github) => signed(source, webhook, GITHUB, Encoding::Hex),
        Some(SourceKind::Generic) if !source.secrets.is_empty() => {
            let (header, prefix, encoding) =
                source.signature.as_ref().map_or((names::SIGNATURE, "", Encoding::Hex), |given| {
                    (given.header.as_str(), given.prefix.as_str(), given.encoding)
                });
            signed(source, webhook, (header, prefix), encoding)
        }
        Some(SourceKind::Alertmanager | SourceKind::Manual | SourceKind::Generic) => bearer(&source.tokens, webhook),
        None => Err(Rejection::Mismatch),
    }
}

/// HMAC-SHA256 over the body, keyed with the secret's text; a header may have several, separated by commas.
fn signed(
    source: &Source,
    webhook: &Webhook,
    (header, prefix): (&str, &str),
    encoding: Encoding,
) -> Result<(), Rejection> {
    let read = match encoding {
        Encoding::Hex => digest::from_hexadecimal,
        Encoding::Base64 => digest::from_base64,
    };
    let mut offered = Vec::new();
    let mut rejection = Rejection::Missing;
    for value in webhook.header(header) {
        let text = std::str::from_utf8(value).map_err(|_| Rejection::Malformed)?;
        for signature in text.split(',').map(str::trim).filter(|signature| !signature.is_empty()) {
            match signature.strip_prefix(prefix).map(|digits| read(digits.trim())) {
                Some(Some(bytes)) => offered.push(bytes),
                None if signature.contains('=') => rejection = Rejection::UnknownVersion,
                _ => rejection = Rejection::Malformed,
            }
        }
    }
    if offered.is_empty() {
        return Err(rejection);
    }
    // All pairs are compared, so that the time taken does not tell which one fits.
    let fits = source.secrets.iter().filter(|secret| !secret.expose().is_empty()).fold(0_u8, |fits, secret| {
        let signature = hmac_sha256(secret.expose().as_bytes(), &webhook.body);
        offered.iter().fold(fits, |fits, offered| fits | signature.as_slice().ct_eq(offered).unwrap_u8())
    });
    if fits == 1 { Ok(()) } else { Err(Rejection::Mismatch) }
}

fn bearer(tokens: &[Secret], webhook: &Webhook) -> Result<(), Rejection> {
    let header = webhook.header("Authorization").next().ok_or(Rejection::Missing)?;
    let text = std::str::from_utf8(header).map_err(|_| Rejection::Malformed)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(Rejection::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Rejection::Malformed);
    }
    // Digests are compared: their lengths are equal whatever was sent.
    let offered = digest::sha256(token.trim().as_bytes());
    let fits = tokens
        .iter()
        .filter(|token| !token.expose().is_empty())
        .fold(0_u8, |fits, token| fits | digest::sha256(token.expose().as_bytes()).ct_eq(&offered).unwrap_u8());
    if fits == 1 { Ok(()) } else { Err(Rejection::Mismatch) }
}

/// HMAC-SHA256 (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    // A key of any length is valid for HMAC; an error cannot occur, and would give a digest that fits nothing.
    Hmac::<Sha256>::new_from_slice(key).map_or([0; 32], |mac| mac.chain_update(message).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Signature;

    const BODY: &str = "{\"event\":{\"id\":\"u\",\"data\":{\"title\":\"Zahlungsdienst – Ausfall 🚨\"}}}";
    const OLD: &str = "45b1dcac83ec14dbb193180ca1b589cf0a78eb950465028b25d3c913c79cdce2";
    const NEW: &str = "53761b3453c9780ecdf483c8d9f03de71eb083131ba0be76996b3a2dca7271ad";

    fn pagerduty(secrets: &[&str], headers: &[&str]) -> Result<(), Rejection> {
        let secrets = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        let source = Source { kind: Some(SourceKind::Pagerduty), secrets, ..Source::default() };
        let headers = headers.iter().map(|value| ("x-pagerduty-signature".to_owned(), value.as_bytes().to_vec()));
        check(&source, &Webhook { headers: headers.collect(), body: BODY.into(), ..Webhook::default() })
    }

    fn manual(tokens: &[&str], header: Option<&str>) -> Result<(), Rejection> {
        let tokens = tokens.iter().map(|token| Secret::new((*token).to_owned())).collect();
        let source = Source { kind: Some(SourceKind::Manual), tokens, ..Source::default() };
        let headers = header.into_iter().map(|value| ("Authorization".to_owned(), value.as_bytes().to_vec()));
        check(&source, &Webhook { headers: headers.collect(), ..Webhook::default() })
    }

    #[test]
    fn one_of_several_signatures_fits_one_of_several_secrets() {
        let both = format!("v1={OLD}, v1={}", NEW.to_uppercase());
        assert_eq!(pagerduty(&["new-secret"], &[&both]), Ok(()));
        assert_eq!(pagerduty(&["other", "old-secret"], &[&both]), Ok(()));
        assert_eq!(pagerduty(&["new-secret"], &["v1=00", &format!("v1={NEW}")]), Ok(()));
    }

    #[test]
    fn signatures_that_do_not_fit_say_why() {
        assert_eq!(pagerduty(&["new-secret"], &[]), Err(Rejection::Missing));
        assert_eq!(pagerduty(&["new-secret"], &["v1=xyz"]), Err(Rejection::Malformed));
        assert_eq!(pagerduty(&["new-secret"], &[&format!("v2={NEW}")]), Err(Rejection::UnknownVersion));
        assert_eq!(pagerduty(&["new-secret"], &[&format!("v1={OLD}")]), Err(Rejection::Mismatch));
        assert_eq!(pagerduty(&[""], &[&format!("v1={NEW}")]), Err(Rejection::Mismatch));
        assert_eq!(pagerduty(&[], &[&format!("v1={NEW}")]), Err(Rejection::Mismatch));
    }

    fn check_signed(source: &Source, header: &str, value: &str, body: &str) -> Result<(), Rejection> {
        let headers = vec![(header.to_owned(), value.as_bytes().to_vec())];
        check(source, &Webhook { headers, body: body.into(), ..Webhook::default() })
    }

    /// The vector is that of GitHub's documentation.
    #[test]
    fn a_signature_of_github_is_its_sha256_and_no_other() {
        let secrets = vec![Secret::new("It's a Secret to Everybody".to_owned())];
        let source = Source { kind: Some(SourceKind::Github), secrets, ..Source::default() };
        let digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let check = |header: &str, value: String| check_signed(&source, header, &value, "Hello, World!");
        assert_eq!(check("X-Hub-Signature-256", format!("sha256={digest}")), Ok(()));
        assert_eq!(check("X-Hub-Signature", format!("sha256={digest}")), Err(Rejection::Missing));
        assert_eq!(check("X-Hub-Signature-256", format!("sha1={digest}")), Err(Rejection::UnknownVersion));
        assert_eq!(check("X-Hub-Signature-256", digest.to_owned()), Err(Rejection::Malformed));
        assert_eq!(check("X-Hub-Signature-256", format!("sha256={digest}00")), Err(Rejection::Mismatch));
    }

    /// Grafana's form, Flux's and Splunk's; the digests were computed elsewhere.
    #[test]
    fn a_generic_source_says_where_its_signature_stands() {
        let source = |secret: &str, signature: Option<Signature>| Source {
            kind: Some(SourceKind::Generic),
            secrets: vec![Secret::new(secret.to_owned())],
            signature,
            ..Source::default()
        };
        let plain = "3bcebf43c85d20bba6e3b6ba278af1d2ba3ab0d57de271b0ad30b833e851c5a6";
        assert_eq!(check_signed(&source("secret", None), "x-signature", plain, "test message"), Ok(()));
        let flux = Signature { prefix: "sha256=".to_owned(), ..Signature::default() };
        let digest = "add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4fff";
        let flux = source("k", Some(flux));
        assert_eq!(check_signed(&flux, "X-Signature", &format!("sha256={digest}"), "{}"), Ok(()));
        assert_eq!(check_signed(&flux, "X-Signature", digest, "{}"), Err(Rejection::Malformed));
        let base64 =
            Signature { header: "X-SFX-Signature".to_owned(), prefix: String::new(), encoding: Encoding::Base64 };
        let base64 = source("secret", Some(base64));
        let digits = "O86/Q8hdILum47a6J4rx0ro6sNV94nGwrTC4M+hRxaY=";
        assert_eq!(check_signed(&base64, "X-SFX-Signature", digits, "another message"), Err(Rejection::Mismatch));
        assert_eq!(check_signed(&base64, "X-SFX-Signature", "no digest", "test message"), Err(Rejection::Malformed));
        assert_eq!(check_signed(&base64, "X-SFX-Signature", digits, "test message"), Ok(()));
    }

    #[test]
    fn a_bearer_token_must_be_one_of_the_configured_ones() {
        assert_eq!(manual(&["a", "b"], Some("bearer b")), Ok(()));
        assert_eq!(manual(&["a"], Some("Bearer b")), Err(Rejection::Mismatch));
        assert_eq!(manual(&["a"], Some("Basic a")), Err(Rejection::Malformed));
        assert_eq!(manual(&[""], Some("Bearer ")), Err(Rejection::Malformed));
        assert_eq!(manual(&["a"], None), Err(Rejection::Missing));
    }

    #[test]
    fn the_digest_of_a_known_message_is_reproduced() {
        let mac = hmac_sha256(b"key", b"The quick brown fox jumps over the lazy dog");
        assert_eq!(digest::hexadecimal(&mac), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    }
}
