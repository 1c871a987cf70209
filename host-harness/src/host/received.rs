//! Webhooks on their way in, and what became of them.

use crate::plugin::{Transition, Webhook};

/// A webhook on its way to its source.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The configured source that it was sent to.
    pub source: String,
    /// The request.
    pub webhook: Webhook,
}

/// What became of a webhook.
#[derive(Clone, Debug)]
pub struct Received {
    /// The HTTP status for the sender.
    pub status: u16,
    /// Seconds for a `Retry-After` header, with status 503.
    pub retry_after_secs: Option<u32>,
    /// The body for the sender, JSON.
    pub body: String,
    /// What it did to each incident; none of it took effect unless `status` is below 300.
    pub transitions: Vec<Transition>,
    /// Why nothing was stored, for the operator, where the host and not the plugin is at fault.
    pub failure: Option<String>,
    /// Keys of entries that the plugin did not take in since a clock is wrong.
    pub set_aside: Vec<String>,
}

/// Seconds in `Retry-After` when the journal or the plugin fails: senders wait as long for a load balancer.
const RETRY_AFTER_SECS: u32 = 30;

// === impl Received ===

impl Received {
    /// The answer while the plugin or the journal cannot go on.
    #[must_use]
    pub fn unavailable(failure: String) -> Self {
        Self::failed("not now", Vec::new(), failure)
    }

    /// The host's own 503. The body does not say what failed: the sender can do nothing about it.
    pub(super) fn failed(message: &str, transitions: Vec<Transition>, failure: String) -> Self {
        Self {
            status: 503,
            retry_after_secs: Some(RETRY_AFTER_SECS),
            body: serde_json::json!({ "status": "unavailable", "message": message }).to_string(),
            transitions,
            failure: Some(failure),
            set_aside: Vec::new(),
        }
    }
}
