//! The listener for other hosts of the plugin, which mark by this server's incidents.

use faultline_annotator::config::{Duration, Secret};
use faultline_annotator::settings;

use super::{Address, SECOND, SPOKES, ServerTls};

/// The listener for spokes.
#[derive(Clone, Debug)]
pub struct Spokes {
    /// Address and port.
    pub listen: Address<SPOKES>,
    /// Encryption.
    pub tls: Option<ServerTls>,
    /// Bearer tokens; several while one is rotated.
    pub tokens: Vec<Secret>,
    /// How long a spoke that cannot reach this server goes on marking by what it heard last; then it marks nothing.
    pub time_to_live: Duration,
}

settings! {
    Spokes { "listen" => listen, "tls" => tls, "tokens" => tokens, "time_to_live" => time_to_live }
}

// === impl Spokes ===

impl Default for Spokes {
    fn default() -> Self {
        Self {
            listen: Address::default(),
            tls: None,
            tokens: Vec::new(),
            time_to_live: Duration::from_nanos(15 * 60 * SECOND),
        }
    }
}
