//! Single values of the section: addresses, endpoints, paths.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use faultline_annotator::document::{Place, Read};
use faultline_annotator::text;
use http::Uri;

/// An address to listen on. `:8080` is a port of this machine only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<const PORT: u16>(pub SocketAddr);

/// Where to send to: scheme `http` or `https`, host, port, and perhaps a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint(pub Uri);

/// A file. A relative path begins in the folder where the server was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

// === impl Address ===

impl<const PORT: u16> Default for Address<PORT> {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT))
    }
}

impl<const PORT: u16> fmt::Display for Address<PORT> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<const PORT: u16> Read for Address<PORT> {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.parse(|given| {
            let whole = if given.starts_with(':') { format!("127.0.0.1{given}") } else { given.to_owned() };
            whole.parse().map(Self).map_err(|_| {
                format!("`{}` is not an address, expected for example `127.0.0.1:{PORT}`", text::clean(given, 64))
            })
        })
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether one was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.authority().is_some()
    }

    /// The endpoint with `path` behind its own.
    #[must_use]
    pub fn join(&self, path: &str) -> Uri {
        let own = self.0.path().trim_end_matches('/');
        let mut parts = self.0.clone().into_parts();
        // Both are paths of valid URIs: so is the one behind the other.
        parts.path_and_query = format!("{own}{path}").parse().ok();
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Read for Endpoint {
    fn read(at: &Place<'_>) -> Option<Self> {
        at.parse(|given| {
            let is_one = |uri: &Uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some_and(|host| !host.is_empty())
                    && uri.query().is_none()
                    && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
            };
            given.parse().ok().filter(is_one).map(Self).ok_or_else(|| {
                // What stands before an `@` is a password.
                let shown = if given.contains('@') {
                    "what stands here".to_owned()
                } else {
                    format!("`{}`", text::clean(given, 128))
                };
                format!("{shown} is not an endpoint, expected `http://host:port` or `https://host:port`")
            })
        })
    }
}

// === impl FilePath ===

impl FilePath {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether one was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !self.0.as_os_str().is_empty()
    }
}

impl Read for FilePath {
    fn read(at: &Place<'_>) -> Option<Self> {
        Some(Self(PathBuf::from(at.text()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_endpoint_stays_before_that_of_the_signal() {
        let endpoint = |text: &str| Endpoint(text.parse().unwrap());
        assert_eq!(endpoint("http://h:4318").join("/v1/traces"), "http://h:4318/v1/traces");
        assert_eq!(endpoint("https://h/otlp/").join("/v1/traces"), "https://h/otlp/v1/traces");
    }
}
