//! An incident as people ask for it: what it is, what it marks, and why.

use crate::incident::Severity;
use crate::reach::Reach;
use crate::state::{EventWindow, View};
use crate::time::{Nanos, Rfc3339};

/// One incident as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The incident, derived from what is known.
    pub view: View,
    /// The event time that it marks.
    pub windows: Vec<EventWindow>,
    /// What it marks, and why.
    pub reach: Reach,
}

/// Whether and why one incident marks, or does not mark, one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `<source>:<external id>`.
    pub incident: String,
    /// Whether it marks the item.
    pub marks: bool,
    /// The rule, window or setting that decided.
    pub reason: String,
}

// === impl Status ===

impl Status {
    /// Most severe, then oldest, then by id: the order on an item.
    #[must_use]
    pub fn order(&self) -> (std::cmp::Reverse<Severity>, Nanos, &crate::incident::Key) {
        (std::cmp::Reverse(self.view.severity()), self.view.started, &self.view.key)
    }

    /// Whether it marks that service at any time: what people ask about first when an item is not marked.
    #[must_use]
    pub fn concerns(&self, service: &str) -> bool {
        let Reach { targets, normalized, everything, .. } = &self.reach;
        everything.is_some()
            || targets.iter().any(|target| target.service == service)
            || normalized.iter().any(|target| target.service == crate::reach::normalize(service))
    }

    /// Whether it marks an item of that service and environment at `time`. `environment` is the canonical name.
    #[must_use]
    pub fn explain(&self, service: &str, environment: Option<&str>, time: Nanos) -> Explanation {
        let reason = match self.refusal(service, environment, time) {
            Err(reason) => return Explanation { incident: self.view.key.to_string(), marks: false, reason },
            Ok(window) => format!("within {}; {}", describe(window), self.reach.reason),
        };
        Explanation { incident: self.view.key.to_string(), marks: true, reason }
    }

    /// The window that the item lies in, or why it is not marked.
    fn refusal(&self, service: &str, environment: Option<&str>, time: Nanos) -> Result<EventWindow, String> {
        let Reach { targets, normalized, everything, reason, .. } = &self.reach;
        if self.reach.is_empty() {
            return Err(reason.clone());
        }
        let agrees = |wanted: &Option<String>| match (wanted.as_deref(), environment) {
            (Some(wanted), Some(given)) => wanted == given,
            _ => true,
        };
        let named = targets.iter().filter(|target| target.service == service);
        let alike = normalized.iter().filter(|target| target.service == crate::reach::normalize(service));
        let environments: Vec<&Option<String>> =
            named.chain(alike).map(|target| &target.environment).chain(everything).collect();
        if environments.is_empty() {
            return Err(format!("it marks only {}", self.reach.services().join(", ")));
        }
        if !environments.iter().any(|wanted| agrees(wanted)) {
            let wanted: Vec<&str> = environments.iter().filter_map(|wanted| wanted.as_deref()).collect();
            return Err(format!(
                "it marks `{service}` in {}, not in {}",
                wanted.join(", "),
                environment.unwrap_or_default()
            ));
        }
        if self.windows.is_empty() {
            let ended = Rfc3339(self.view.ended.unwrap_or_default());
            return Err(format!("it ended at {ended}, and its window is kept no longer"));
        }
        let within = |window: &&EventWindow| time >= window.from && window.until.is_none_or(|until| time <= until);
        match self.windows.iter().find(within) {
            Some(window) => Ok(*window),
            None => {
                let early = self.windows.iter().all(|window| time < window.from);
                let late = self.windows.iter().all(|window| window.until.is_some_and(|until| time > until));
                let place = if early {
                    "before"
                } else if late {
                    "after"
                } else {
                    "outside"
                };
                let windows: Vec<String> = self.windows.iter().copied().map(describe).collect();
                Err(format!("{place} {}", windows.join(" and ")))
            }
        }
    }
}

fn describe(window: EventWindow) -> String {
    match window.until {
        Some(until) => format!("its window {} to {}", Rfc3339(window.from), Rfc3339(until)),
        None => format!("its window, open since {}", Rfc3339(window.from)),
    }
}
