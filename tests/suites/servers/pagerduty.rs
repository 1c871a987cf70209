//! What PagerDuty sends, signed as PagerDuty signs it.

use std::fs;
use std::net::SocketAddr;

use faultline::hex;
use faultline::time::{Nanos, Rfc3339};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::file;
use super::http::{self, Answer};

/// One incident of the service `P4K9ZTC`, in the payloads of the scenario that shows the main job.
const SCENARIO: &str = "tests/scenarios/a_pagerduty_incident_marks_checkout_until_it_is_resolved";

/// PagerDuty, as far as a hub sees of it: a sender with a secret, and one incident.
pub(crate) struct PagerDuty {
    /// `POST /webhooks/pagerduty` goes there.
    pub(crate) to: SocketAddr,
    /// With which bodies are signed.
    pub(crate) secret: &'static str,
    /// When the incident was created.
    pub(crate) created: Nanos,
}

// === impl PagerDuty ===

impl PagerDuty {
    /// The incident's id on telemetry, if the source is called `pagerduty`.
    pub(crate) const INCIDENT: &str = "pagerduty:Q1CHK8M2XW9R4T";

    /// Says that the incident has begun.
    pub(crate) fn triggers(&self) -> Answer {
        self.send("pagerduty_triggered.json", self.created)
    }

    /// Says that it ended `at` that time.
    pub(crate) fn resolves(&self, at: Nanos) -> Answer {
        self.send("pagerduty_resolved.json", at)
    }

    fn send(&self, payload: &str, at: Nanos) -> Answer {
        let text = fs::read_to_string(file(SCENARIO).join(payload)).expect("the payload can be read");
        let mut body: Value = serde_json::from_str(&text).expect("the payload is JSON");
        // A window is kept for an hour after its end, and that of the scenario is long past.
        body["event"]["occurred_at"] = json!(Rfc3339(at).to_string());
        body["event"]["data"]["created_at"] = json!(Rfc3339(self.created).to_string());
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key may have any length");
        mac.update(body.as_bytes());
        let signature = format!("v1={}", hex::encode(&mac.finalize().into_bytes()));
        let headers = [("X-PagerDuty-Signature", signature.as_str()), ("Content-Type", "application/json")];
        http::post(self.to, "/webhooks/pagerduty", &headers, body.as_bytes()).expect("the hub answers")
    }
}
