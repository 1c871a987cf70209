//! Signatures in the form of cosign: who vouches for an artifact.
//!
//! Beside an artifact with the digest `sha256:HEX`, the tag `sha256-HEX.sig` names a manifest whose layers are *payloads*:
//! JSON that names the digest. The signature of a payload is an annotation of its layer: ECDSA over P-256 with SHA-256, as
//! ASN.1, in base64. Source: sigstore/cosign, `specs/SIGNATURE_SPEC.md`.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::artifact::{Descriptor, Manifest};

/// A key of somebody who signs artifacts: `cosign.pub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The point, uncompressed.
    point: Vec<u8>,
}

/// A signature with what it signs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Signature {
    /// JSON that names the digest of a manifest.
    pub(super) payload: String,
    /// As it stands in the annotation.
    pub(super) signature: String,
}

/// What a payload says, as far as it concerns us.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What a hint adds: newer forms are not looked for.
pub(super) const FORM: &str = "cosign 3 stores a signature where it is looked for with `--new-bundle-format=false`";
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const KIND: &str = "cosign container image signature";
/// A payload is 250 bytes; an optional part may hold what somebody wanted to say besides.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 64 * 1024;
/// Signatures that are looked at: several keys sign one artifact, but not hundreds.
pub(super) const SIGNATURES_MAX: usize = 32;
/// Before the point of a key on P-256, as every tool writes it: a sequence of the algorithm `id-ecPublicKey` with the curve
/// `prime256v1`, and a string of 65 bytes without unused bits (RFC 5480, 2).
const KEY_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte of a point that is not compressed, and how many bytes it has.
const UNCOMPRESSED: u8 = 4;
const POINT_BYTES: usize = 65;

// === impl PublicKey ===

impl PublicKey {
    /// Reads a key in PEM, as `cosign generate-key-pair` writes it.
    ///
    /// # Errors
    /// When it cannot be read, or is of another kind.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            let der = SubjectPublicKeyInfoDer::from_pem_file(path).map_err(|error| anyhow!("{error}"))?;
            Self::from_der(&der)
        };
        read().with_context(|| format!("cannot use {} as a public key", path.display()))
    }

    fn from_der(der: &[u8]) -> anyhow::Result<Self> {
        match der.strip_prefix(&KEY_HEAD) {
            Some(point) if point.len() == POINT_BYTES && point.first() == Some(&UNCOMPRESSED) => {
                Ok(Self { point: point.to_vec() })
            }
            _ => bail!("expected a key of ECDSA on P-256, as `cosign generate-key-pair` makes it"),
        }
    }

    /// Holds that one of these vouches for the digest.
    ///
    /// # Errors
    /// Why none does.
    pub(super) fn verify_any(&self, signatures: &[Signature], digest: &str) -> anyhow::Result<()> {
        let mut last = anyhow!("nobody has signed it");
        for signature in signatures {
            match self.verify(signature, digest) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Holds that this one does.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn verify(&self, signature: &Signature, digest: &str) -> anyhow::Result<()> {
        let bytes = STANDARD.decode(&signature.signature).context("a signature is not base64")?;
        // Before anything in the payload is believed, or even read.
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(signature.payload.as_bytes(), &bytes)
            .map_err(|_| anyhow!("it is signed, but not by this key"))?;
        let Payload { critical } =
            serde_json::from_str(&signature.payload).context("what is signed is no payload of cosign")?;
        if critical.kind != KIND {
            bail!("what is signed is of type `{}`, expected `{KIND}`", critical.kind);
        }
        if critical.image.digest != digest {
            bail!("what is signed is {}", critical.image.digest);
        }
        Ok(())
    }
}

/// The tag that signatures of `digest` have.
pub(super) fn tag(digest: &str) -> String {
    format!("{}.sig", digest.replacen(':', "-", 1))
}

/// Payloads of a manifest of signatures, each with its signature.
pub(super) fn payloads(manifest: Manifest) -> Vec<(Descriptor, String)> {
    let is_signed = |layer: Descriptor| {
        let signature = layer.annotations.get(ANNOTATION).cloned()?;
        (layer.media_type == PAYLOAD_TYPE).then_some((layer, signature))
    };
    manifest.layers.into_iter().filter_map(is_signed).take(SIGNATURES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:0000";

    fn key() -> (PublicKey, EcdsaKeyPair) {
        let key = KeyPair::generate().unwrap();
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der(), &SystemRandom::new());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cosign.pub");
        std::fs::write(&path, key.public_key_pem()).unwrap();
        (PublicKey::read(&path).unwrap(), signer.unwrap())
    }

    fn sign(signer: &EcdsaKeyPair, payload: &str) -> Signature {
        let bytes = signer.sign(&SystemRandom::new(), payload.as_bytes()).unwrap();
        Signature { payload: payload.to_owned(), signature: STANDARD.encode(bytes) }
    }

    fn payload(digest: &str, kind: &str) -> String {
        json!({ "critical": { "identity": {}, "image": { "docker-manifest-digest": digest }, "type": kind } })
            .to_string()
    }

    #[test]
    fn a_signature_holds_for_its_digest_and_its_key_alone() {
        let ((key, signer), (other, _)) = (key(), key());
        let signature = sign(&signer, &payload(DIGEST, KIND));
        assert!(key.verify(&signature, DIGEST).is_ok());
        let refused = |key: &PublicKey, signature: &Signature, digest: &str| {
            key.verify(signature, digest).unwrap_err().to_string()
        };
        assert_eq!(refused(&other, &signature, DIGEST), "it is signed, but not by this key");
        assert_eq!(refused(&key, &signature, "sha256:1111"), "what is signed is sha256:0000");
        let changed = Signature { payload: payload("sha256:1111", KIND), ..signature.clone() };
        assert_eq!(refused(&key, &changed, "sha256:1111"), "it is signed, but not by this key");
        let no_base64 = Signature { signature: "?".to_owned(), ..signature };
        assert_eq!(refused(&key, &no_base64, DIGEST), "a signature is not base64");
    }

    #[test]
    fn what_else_the_key_signed_vouches_for_nothing() {
        let (key, signer) = key();
        for payload in [payload(DIGEST, "a letter"), "{}".to_owned(), DIGEST.to_owned()] {
            assert!(key.verify(&sign(&signer, &payload), DIGEST).is_err(), "{payload}");
        }
    }

    #[test]
    fn one_signature_among_others_is_enough_and_none_is_not() {
        let ((key, signer), (_, other)) = (key(), key());
        let [ours, others] = [&signer, &other].map(|signer| sign(signer, &payload(DIGEST, KIND)));
        assert!(key.verify_any(&[others.clone(), ours.clone(), others.clone()], DIGEST).is_ok());
        assert!(key.verify_any(&[others], DIGEST).is_err());
        assert_eq!(key.verify_any(&[], DIGEST).unwrap_err().to_string(), "nobody has signed it");
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pub");
        for text in [ed25519.public_key_pem(), "no key".to_owned(), String::new()] {
            std::fs::write(&path, text).unwrap();
            assert!(format!("{:#}", PublicKey::read(&path).unwrap_err()).contains("key.pub as a public key: "));
        }
    }

    #[test]
    fn the_tag_of_signatures_is_that_of_cosign() {
        assert_eq!(tag("sha256:abc"), "sha256-abc.sig");
    }
}
