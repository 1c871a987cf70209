//! One registry as we talk to it: the requests, their bounds, and their errors in words.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use std::{io, sync};

use anyhow::{Context, bail};
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode, Result as Answer};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use tokio::io::AsyncWrite;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use super::artifact::{Artifact, Descriptor, MANIFEST_TYPE, Manifest, digest};
use super::credentials;
use super::signature::{self, PAYLOAD_BYTES_MAX, Signature};
use crate::cli::Hint;
use crate::serve::client;

/// A registry, and the artifact in it that is talked about.
pub(super) struct Registry {
    client: Client,
    runtime: Runtime,
    reference: Reference,
    auth: RegistryAuth,
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

/// A registry that does not take a connection is as good as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long, an answer will not come any more.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// One request and its answer, a large plugin on a slow line included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// More than any manifest that registries take: 4 MiB (OCI distribution specification, "Pushing Manifests").
const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

// === impl Registry ===

impl Registry {
    /// The registry of a reference. It is not asked anything yet.
    ///
    /// # Errors
    /// When there are credentials for it that cannot be used, or the machine lacks what a client needs.
    pub(super) fn open(reference: &Reference, plain_http: bool) -> anyhow::Result<Self> {
        static PROVIDER: sync::Once = sync::Once::new();
        // One that another part of the process has chosen is as good.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let registry = reference.resolve_registry();
        let protocol = if plain_http || is_loopback(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            // A plugin is for every machine: an index of several is another kind of artifact.
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("faultline/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).context("cannot make a client for registries")?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
        let auth = credentials::of(registry)?;
        Ok(Self { client, runtime, reference: reference.clone(), auth })
    }

    /// Runs a request to its end, and says of an error which one it was.
    fn ask<T>(&self, what: &str, request: impl Future<Output = Answer<T>>) -> anyhow::Result<T> {
        self.try_ask(what, request)?.map_err(|error| self.failed(what, &error))
    }

    /// The same with the registry's own answer; an error when there is none.
    fn try_ask<T>(&self, what: &str, request: impl Future<Output = Answer<T>>) -> anyhow::Result<Answer<T>> {
        // Within the runtime, whose clock it is.
        let answer = self.runtime.block_on(async { timeout(REQUEST_TIMEOUT, request).await });
        answer
            .with_context(|| format!("cannot {what} {}: no answer in {} s", self.reference, REQUEST_TIMEOUT.as_secs()))
    }

    /// Puts an artifact there; the manifest last, so that whoever finds it finds the rest.
    ///
    /// # Errors
    /// Names the request that failed.
    pub(super) fn push(&self, artifact: &Artifact) -> anyhow::Result<()> {
        let Self { client, reference, auth, .. } = self;
        self.ask("log in to push", client.auth(reference, auth, RegistryOperation::Push))?;
        for (name, blob) in [("the configuration", &artifact.config), ("the plugin", &artifact.plugin)] {
            let digest = digest(blob);
            let is_there = client.blob_exists(reference, &digest);
            if !self.ask(&format!("look for {name} of"), is_there)? {
                self.ask(&format!("push {name} of"), client.push_blob(reference, blob.clone(), &digest))?;
            }
        }
        let manifest = artifact.manifest.clone();
        let pushed = client.push_manifest_raw(reference, manifest, HeaderValue::from_static(MANIFEST_TYPE));
        self.ask("push the manifest of", pushed).map(drop)
    }

    /// The manifest of a reference, and its digest, which is that of the reference where it has one.
    ///
    /// # Errors
    /// When there is none, or one with another digest.
    pub(super) fn manifest(&self, reference: &Reference) -> anyhow::Result<(Vec<u8>, String)> {
        let pulled = self.client.pull_manifest_raw(reference, &self.auth, &[MANIFEST_TYPE]);
        self.checked_manifest(reference, self.ask("pull the manifest of", pulled)?.0.into())
    }

    fn checked_manifest(&self, reference: &Reference, manifest: Vec<u8>) -> anyhow::Result<(Vec<u8>, String)> {
        if manifest.len() > MANIFEST_BYTES_MAX {
            bail!("the manifest of {reference} has {} bytes, at most {MANIFEST_BYTES_MAX} are read", manifest.len());
        }
        let found = digest(&manifest);
        match reference.digest() {
            Some(wanted) if wanted != found => Err(self.other_bytes(format!("a manifest with the digest {found}"))),
            _ => Ok((manifest, found)),
        }
    }

    /// All signatures of an artifact; none where nobody has signed it.
    ///
    /// # Errors
    /// When the registry does not say whether there are any, or gives other bytes than it should.
    pub(super) fn signatures(&self, digest: &str) -> anyhow::Result<Vec<Signature>> {
        let Self { reference, .. } = self;
        let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
        let tag = Reference::with_tag(registry, repository, signature::tag(digest));
        let pulled = self.client.pull_manifest_raw(&tag, &self.auth, &[MANIFEST_TYPE]);
        let what = "look for signatures of";
        let manifest = match self.try_ask(what, pulled)? {
            Ok((manifest, _)) => self.checked_manifest(&tag, manifest.into())?.0,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(what, &error)),
        };
        let manifest = Manifest::read(&manifest).with_context(|| format!("{tag} holds no signatures"))?;
        let mut signatures = Vec::new();
        for (payload, signature) in signature::payloads(manifest) {
            let payload = String::from_utf8_lossy(&self.blob(&payload, PAYLOAD_BYTES_MAX)?).into_owned();
            signatures.push(Signature { payload, signature });
        }
        Ok(signatures)
    }

    /// The bytes that a manifest names.
    ///
    /// # Errors
    /// When they are more than `bytes_max`, not there, or others than it names.
    pub(super) fn blob(&self, descriptor: &Descriptor, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
        let Descriptor { digest, size, .. } = descriptor;
        let fits = usize::try_from(*size).ok().filter(|_| *size <= bytes_max);
        let Some(bytes_max) = fits else {
            bail!("{} has a part of {size} bytes ({digest}), at most {bytes_max} are read", self.reference);
        };
        let mut blob = Bounded { bytes: Vec::new(), bytes_max };
        let pulled = self.client.pull_blob(&self.reference, digest.as_str(), &mut blob);
        match self.ask("pull a part of", pulled) {
            Ok(()) => {}
            // The client has compared digests as well; ours is the message that says what to make of it.
            Err(_) if blob.bytes.len() as u64 == *size => {}
            Err(error) => return Err(error),
        }
        descriptor.check(&blob.bytes).map_err(|error| self.other_bytes(error.to_string()))?;
        Ok(blob.bytes)
    }

    fn other_bytes(&self, found: String) -> anyhow::Error {
        Hint::error(
            format!("{} is not what its digest says, and is not used: {found}", self.reference),
            format!("{} was changed or is broken: ask whoever runs it", self.reference.registry()),
        )
    }

    fn failed(&self, what: &str, error: &OciDistributionError) -> anyhow::Error {
        let (registry, reference) = (self.reference.registry(), &self.reference);
        let hint = if is_forbidden(error) {
            format!(
                "`docker login {registry}` with somebody who may; DOCKER_CONFIG names another folder for credentials"
            )
        } else if is_missing(error) {
            "is it spelled right, and was it pushed? a registry may also hide what one may not see".to_owned()
        } else if matches!(error, OciDistributionError::DigestError(_)) {
            format!("{registry} was changed or is broken: ask whoever runs it")
        } else {
            let scheme = "encrypted, except for loopback addresses and with --plain-http";
            format!("is {registry} there, and does it speak HTTP for registries? connections are {scheme}")
        };
        Hint::error(format!("cannot {what} {reference}: {}", in_words(error)), hint)
    }
}

/// The error with the request, and what is at the bottom of it.
fn in_words(error: &OciDistributionError) -> String {
    let text = error.to_string();
    let below = client::reason(error as &(dyn Error + 'static));
    if text.contains(&below) { text } else { format!("{text}: {below}") }
}

fn codes(error: &OciDistributionError) -> impl Iterator<Item = &OciErrorCode> {
    let envelope = match error {
        OciDistributionError::RegistryError { envelope, .. } => Some(envelope),
        _ => None,
    };
    envelope.into_iter().flat_map(|envelope| envelope.errors.iter().map(|error| &error.code))
}

/// The status of an answer that has nothing else to say.
fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        _ => None,
    }
}

fn is_missing(error: &OciDistributionError) -> bool {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    matches!(error, OciDistributionError::ImageManifestNotFoundError(_))
        || status(error) == Some(404)
        || codes(error).any(|code| matches!(code, ManifestUnknown | NameUnknown | NotFound))
}

fn is_forbidden(error: &OciDistributionError) -> bool {
    use OciDistributionError::{AuthenticationFailure, UnauthorizedError};
    matches!(error, AuthenticationFailure(_) | UnauthorizedError { .. })
        || matches!(status(error), Some(401 | 403))
        || codes(error).any(|code| matches!(code, OciErrorCode::Unauthorized | OciErrorCode::Denied))
}

/// Whether what is sent to a registry stays on this machine.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host = host.map_or(registry, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

// === impl Bounded ===

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            let error =
                io::Error::other(format!("more came than the {} bytes that the manifest names", self.bytes_max));
            return Poll::Ready(Err(error));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.0.1", "[::1]:5000"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in
            ["ghcr.io", "10.0.0.1:5000", "localhost.example.org:5000", "127.0.0.1.example.org", "[::2]:5000"]
        {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
