//! Certificates for a test: an authority, and who it vouches for.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority, whose certificates lie in a folder as PEM.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

// === impl Authority ===

impl Authority {
    /// A new one that nobody trusts yet.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("an authority vouches for itself");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("it can be written");
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// Its own certificate, by which others know it.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for 127.0.0.1 with its key, as keys of `tls` in flow style.
    pub(crate) fn vouch(&self, name: &str) -> String {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("it is a name");
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        let [certificate_path, key_path] =
            ["pem", "key"].map(|ending| self.folder.path().join(format!("{name}.{ending}")));
        write(&certificate_path, &certificate.pem());
        write(&key_path, &key.serialize_pem());
        format!("certificate: {certificate_path:?}, key: {key_path:?}")
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("it can be written");
}
