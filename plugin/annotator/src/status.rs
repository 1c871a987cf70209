//! An incident as people ask for it: what it is, what it marks, and why.

use crate::config::Target;
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

/// What is asked about: an item of telemetry.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// `service.name` of its resource.
    pub service: &'a str,
    /// `service.namespace`.
    pub namespace: Option<&'a str>,
    /// `deployment.environment.name`.
    pub environment: Option<&'a str>,
    /// Its own time.
    pub time: Nanos,
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
        self.reach.everything.is_some() || self.named(service).next().is_some()
    }

    /// Whether it marks an item. Its environment is given by the canonical name.
    #[must_use]
    pub fn explain(&self, item: Item<'_>) -> Explanation {
        let (marks, reason) = match self.judge(item) {
            Ok(window) => (true, format!("within {}; {}", describe(window), self.reach.reason)),
            Err(reason) => (false, reason),
        };
        Explanation { incident: self.view.key.to_string(), marks, reason }
    }

    /// The window that the item lies in, or why it is not marked.
    fn judge(&self, item: Item<'_>) -> Result<EventWindow, String> {
        if self.reach.is_empty() {
            return Err(self.reach.reason.clone());
        }
        let surroundings = |target: &Target| {
            agree(target.namespace.as_deref(), item.namespace) && agree(target.environment.as_deref(), item.environment)
        };
        let everywhere =
            self.reach.everything.as_ref().is_some_and(|environment| agree(environment.as_deref(), item.environment));
        if !everywhere && !self.named(item.service).any(surroundings) {
            let marks = if self.view.is_open() { "marks" } else { "marked" };
            return Err(format!("it {marks} only {}", self.reach.services().join(", ")));
        }
        if self.windows.is_empty() {
            let ended = Rfc3339(self.view.ended.unwrap_or_default());
            return Err(format!("it ended at {ended}, and its window is kept no longer"));
        }
        let time = item.time;
        if time == 0 {
            return Err("the item has no time of its own".to_owned());
        }
        let within = |window: &&EventWindow| time >= window.from && window.until.is_none_or(|until| time <= until);
        self.windows.iter().find(within).copied().ok_or_else(|| {
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
            format!("{place} {}", windows.join(" and "))
        })
    }

    /// The targets that have that name.
    fn named<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Target> {
        let Reach { targets, normalized, .. } = &self.reach;
        let alike = normalized.iter().filter(|target| target.service == crate::reach::normalize(service));
        targets.iter().filter(move |target| target.service == service).chain(alike)
    }
}

/// What telemetry does not say cannot disagree.
fn agree(wanted: Option<&str>, given: Option<&str>) -> bool {
    match (wanted, given) {
        (Some(wanted), Some(given)) => wanted == given,
        _ => true,
    }
}

fn describe(window: EventWindow) -> String {
    match window.until {
        Some(until) => format!("its window {} to {}", Rfc3339(window.from), Rfc3339(until)),
        None => format!("its window, open since {}", Rfc3339(window.from)),
    }
}
