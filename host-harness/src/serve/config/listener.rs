//! A port that the server opens.

use faultline_annotator::document::{Place, Read};
use faultline_annotator::settings;

use super::{Address, FilePath};

/// One listener.
#[derive(Clone, Debug)]
pub struct Listener<const PORT: u16> {
    /// Address and port, by default on this machine only.
    pub listen: Address<PORT>,
    /// Without it connections are not encrypted.
    pub tls: Option<ServerTls>,
}

/// How a listener proves who it is.
#[derive(Clone, Debug, Default)]
pub struct ServerTls {
    /// PEM: its certificate, and those between it and the authority.
    pub certificate: FilePath,
    /// PEM: the private key.
    pub key: FilePath,
    /// PEM: if given, only clients with a certificate of one of these authorities are served.
    pub client_ca: Option<FilePath>,
}

settings! {
    ServerTls { "certificate" => certificate, "key" => key, "client_ca" => client_ca }
}

// === impl Listener ===

impl<const PORT: u16> Default for Listener<PORT> {
    fn default() -> Self {
        Self { listen: Address::default(), tls: None }
    }
}

impl<const PORT: u16> Read for Listener<PORT> {
    fn read(at: &Place<'_>) -> Option<Self> {
        let object = at.object(&["listen", "tls"])?;
        let mut listener = Self::default();
        object.set("listen", &mut listener.listen);
        object.set("tls", &mut listener.tls);
        Some(listener)
    }
}
