//! A webhook as it arrived, and the answer to it.

use crate::entry::Entry;
use crate::time::Nanos;

/// An HTTP request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Webhook {
    /// Upper case.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// In the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// After content decoding, otherwise untouched: signatures are over these bytes.
    pub body: Vec<u8>,
}

/// The answer to one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// HTTP status.
    pub status: u16,
    /// Seconds for `Retry-After`, with status 503.
    pub retry_after_secs: Option<u32>,
    /// JSON.
    pub body: String,
    /// To be committed before `status` is sent.
    pub entries: Vec<Entry>,
    /// One for each incident that the webhook spoke of.
    pub transitions: Vec<Transition>,
}

/// What one webhook, or the passing of time, did to one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The configured source.
    pub source: String,
    /// `<source>:<external id>`; empty when the event was about no incident.
    pub incident: String,
    /// What kind of event: `triggered`, `resolved`, `renewed`, … (wit/incidents.wit lists them).
    pub kind: &'static str,
    /// State before.
    pub from: Option<&'static str>,
    /// State after.
    pub to: &'static str,
    /// When it happened.
    pub at: Nanos,
    /// What it marks.
    pub services: Vec<String>,
    /// Why.
    pub reason: String,
}

// === impl Webhook ===

impl Webhook {
    /// All values of a header, in order. Names are compared without case (RFC 9110, section 5.1).
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The first value of a header, as text; `None` when it is absent or not UTF-8.
    #[must_use]
    pub fn header_text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.header(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }
}

// === impl Receipt ===

impl Receipt {
    /// An answer that stores nothing: `{"status": word, "message": …}`.
    #[must_use]
    pub fn plain(status: u16, word: &str, message: &str) -> Self {
        let body = serde_json::json!({ "status": word, "message": message }).to_string();
        Self { status, retry_after_secs: None, body, entries: Vec::new(), transitions: Vec::new() }
    }

    /// 503: the sender should try again.
    #[must_use]
    pub fn not_now(message: &str) -> Self {
        let receipt = Self::plain(503, "unavailable", message);
        Self { retry_after_secs: Some(crate::limits::RETRY_AFTER_SECS), ..receipt }
    }
}
