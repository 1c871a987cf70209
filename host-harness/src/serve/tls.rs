//! Certificates: who a listener is, whom it lets in, whom a client trusts.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::config::{ClientTls, ServerTls};

/// For a listener that speaks `protocols`, as ALPN names them.
///
/// # Errors
/// When a file cannot be read, holds nothing of its kind, or key and certificate do not belong together.
pub fn server(tls: &ServerTls, protocols: &[&[u8]]) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        Some(path) => {
            let roots = Arc::new(roots(path.path())?);
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots, provider).build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config =
        builder.with_single_cert(certificates(tls.certificate.path())?, key(tls.key.path())?).with_context(|| {
            format!("{} is not the key of {}", tls.key.path().display(), tls.certificate.path().display())
        })?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// For a client; the protocol is settled by whoever connects.
///
/// # Errors
/// As for [`server`]; also when the system has no authorities and none are configured.
pub fn client(tls: &ClientTls) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let roots = match &tls.ca {
        Some(path) => roots(path.path())?,
        None => of_system(),
    };
    let builder = builder.with_root_certificates(roots);
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(secret)) => builder
            .with_client_auth_cert(certificates(certificate.path())?, key(secret.path())?)
            .with_context(|| format!("{} is not the key of {}", secret.path().display(), certificate.path().display())),
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// The authorities of the system. Where there are none, every encrypted connection fails with that reason.
fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn roots(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .with_context(|| format!("{} holds a certificate that cannot be trusted", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates = read().with_context(|| format!("cannot read certificates from {}", path.display()))?;
    if certificates.is_empty() {
        bail!("there is no certificate in {}", path.display());
    }
    Ok(certificates)
}

fn key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("cannot read a private key from {}", path.display()))
}
