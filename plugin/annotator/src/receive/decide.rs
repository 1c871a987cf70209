//! What one event does to one incident.

use super::Receiver;
use crate::config::{Source, SourceKind};
use crate::digest;
use crate::entry::{IncidentRecord, Version};
use crate::incident::{IncidentState, Key, Snapshot};
use crate::limits;
use crate::sources::{Change, Event};
use crate::state::{Standing, View};
use crate::time::{Nanos, Rfc3339};
use crate::webhook::Transition;

/// What becomes of an event.
pub(super) struct Decision {
    /// To be committed; none for an event that says nothing of an incident that is known.
    pub(super) record: Option<IncidentRecord>,
    /// What it did; its services and the rule that chose them are filled in from `view`.
    pub(super) transition: Transition,
    /// The incident as it will stand.
    pub(super) view: Option<View>,
}

/// Where an event stands in time.
struct Placed {
    time: Nanos,
    timed: bool,
    reopened: bool,
    /// When the incident began again, where the event itself does not say it.
    started: Option<Nanos>,
    /// Whether the sender repeats without a count of its own, so that the receipt decides between repeats.
    by_receipt: bool,
}

pub(super) fn decide(receiver: &Receiver<'_>, name: &str, source: &Source, event: Event) -> Decision {
    let now = receiver.now;
    let key = event.key(name);
    let said = receiver.said.get(&key).map(Vec::as_slice).unwrap_or_default();
    let before = receiver.state.view_with(&key, said, now);
    let Some(record) = record(receiver, source, &key, before.as_ref(), &event) else {
        let transition = Transition {
            source: key.source.clone(),
            incident: key.to_string(),
            kind: "ignored",
            from: before.as_ref().map(View::state_name),
            to: before.as_ref().map_or("unknown", View::state_name),
            at: event.time.unwrap_or(now),
            services: Vec::new(),
            reason: match before {
                None => "the incident is not known, and this event does not open one".to_owned(),
                Some(_) if event.change == Change::End => "the incident is over already".to_owned(),
                Some(_) => "the incident is over, and this event does not open it again".to_owned(),
            },
        };
        return Decision { record: None, transition, view: None };
    };
    let after = receiver.state.view_with(&key, &[said, std::slice::from_ref(&record)].concat(), now);
    let (kind, mut reason) = describe(&event, &record, before.as_ref(), after.as_ref());
    if let Some(time) = event.time.filter(|time| *time > ahead(now)) {
        let counts = Rfc3339(record.version.time);
        reason = format!("{reason} (its sender's clock is ahead: {} counts as {counts})", Rfc3339(time));
    }
    let named = |snapshot: &Snapshot| {
        snapshot.services.as_ref().map_or(0, Vec::len).max(snapshot.targets.as_ref().map_or(0, Vec::len))
    };
    let cut = named(&event.snapshot).saturating_sub(named(&record.snapshot));
    if cut > 0 {
        reason = format!("{reason}, {cut} services beyond `limits.services_per_incident` left out");
    }
    if let Some(target) = &record.snapshot.merged_into {
        reason = format!("{reason}, merged into `{target}`");
    }
    let incident = key.to_string();
    let transition = Transition {
        source: key.source,
        incident,
        kind,
        from: before.as_ref().map(View::state_name),
        to: after.as_ref().map_or("unknown", View::state_name),
        at: record.version.time,
        services: Vec::new(),
        reason,
    };
    Decision { record: Some(record), transition, view: after }
}

fn record(
    receiver: &Receiver<'_>,
    source: &Source,
    key: &Key,
    before: Option<&View>,
    event: &Event,
) -> Option<IncidentRecord> {
    let now = receiver.now;
    let to = |state| {
        let given = event.snapshot.clone();
        // A source tells the whole incident each time; somebody else need not repeat it, nor whoever only answers by hand.
        let is_answer = source.kind == Some(SourceKind::Manual) && state == IncidentState::Acknowledged;
        let given = match before.filter(|_| is_answer || event.source.is_some()) {
            Some(view) => given.or(&view.snapshot),
            None => given,
        };
        (state, place(source, before, state, event, now), given)
    };
    let (state, placed, given) = match event.change {
        Change::To(state) => to(state),
        Change::End => {
            before.filter(|view| view.is_open())?;
            to(IncidentState::Resolved)
        }
        Change::Update => {
            let view = before.filter(|view| view.standing != Standing::Closed)?;
            let active = view.active.as_ref()?;
            let renews = event.snapshot == Snapshot::default();
            let placed = Placed {
                // An update that brings something new must win over what it adds to; a note must not.
                time: if renews || is_by_hand(event) {
                    active.version.time
                } else {
                    event.time.unwrap_or(now).min(ahead(now)).max(active.version.time)
                },
                timed: active.timed || !renews,
                reopened: active.reopened,
                started: None,
                by_receipt: !renews,
            };
            (view.state, placed, event.snapshot.clone().or(&view.snapshot))
        }
    };
    // An activity always says when it began, so that an end that does not say it finds the beginning here.
    let began = || before.filter(|view| view.standing != Standing::Closed).map_or(placed.time, |view| view.started);
    let started = match placed.started.or(given.started) {
        // A start that lies too far ahead is fixed by the first event that gives it; later ones would move it.
        Some(started) if started > ahead(now) => Some(before.map_or(ahead(now), |view| view.started.min(ahead(now)))),
        Some(started) => Some(started),
        None => (!state.is_terminal()).then(began),
    };
    let services_max = receiver.config.limits.services_per_incident;
    let snapshot = bounded(Snapshot { reopened: placed.reopened, started, ..given }, services_max);
    let sequence = if placed.by_receipt { now } else { 0 };
    let digest = content_digest(state, &snapshot);
    let mut version = Version { time: placed.time, rank: state.rank(), sequence, digest };
    if let (Change::Update, Some(active)) = (event.change, before.and_then(|view| view.active.as_ref()))
        && !placed.by_receipt
    {
        version = active.version.clone();
    }
    let owner = receiver.config.sources.get(&key.source).unwrap_or(source);
    let lease_until = if state.is_terminal() { 0 } else { now.saturating_add(owner.lease()) };
    Some(IncidentRecord {
        received: now,
        incident: key.clone(),
        version,
        timed: placed.timed,
        state,
        lease_until,
        snapshot,
    })
}

/// The latest time that a sender may give.
fn ahead(now: Nanos) -> Nanos {
    now.saturating_add(limits::AHEAD_MAX)
}

/// Whether somebody acts on an incident of another source, and says no time. The answer then takes its place among what that
/// source said: told with the time of its receipt, it would outlive an end that is on its way with an earlier time.
fn is_by_hand(event: &Event) -> bool {
    event.source.is_some() && event.time.is_none()
}

fn place(source: &Source, before: Option<&View>, state: IncidentState, event: &Event, now: Nanos) -> Placed {
    let reopened = event.snapshot.reopened;
    let by_receipt = source.kind == Some(SourceKind::Alertmanager);
    let stamped = Placed { time: now, timed: true, reopened, started: None, by_receipt };
    if is_by_hand(event)
        && let Some(active) =
            before.filter(|view| view.standing != Standing::Closed).and_then(|view| view.active.as_ref())
    {
        let time = active.version.time;
        return match state.is_terminal() {
            true => Placed { time: time.max(now), ..stamped },
            false => Placed { time, timed: active.timed, reopened: active.reopened, started: None, by_receipt: true },
        };
    }
    let Some(time) = event.time.map(|time| time.min(ahead(now))) else {
        return match source.kind {
            // A person or script speaks of the moment.
            Some(SourceKind::Manual) => {
                let again = !state.is_terminal() && before.is_some_and(|view| view.standing == Standing::Closed);
                Placed { reopened: again, started: event.snapshot.started.or(again.then_some(now)), ..stamped }
            }
            // An end needs a place among the others, and "again" means after what is known: the receipt. A beginning
            // without time says nothing against an end.
            _ if state.is_terminal() || reopened => stamped,
            _ => Placed { timed: false, ..stamped },
        };
    };
    let timed = Placed { time, timed: true, reopened, started: None, by_receipt };
    if !by_receipt {
        return timed;
    }
    let Some((view, end)) = before.and_then(|view| Some((view, view.last_terminal?))) else { return timed };
    let active = view.active.as_ref().filter(|active| active.reopened && active.version.time > end.time);
    match (state.is_terminal(), active) {
        // Two Prometheus replicas disagree: one resolved the alert, the other still sees it firing from before.
        (false, None) if time <= end.time && now > end.received.saturating_add(limits::DISAGREE_AFTER) => {
            Placed { reopened: true, started: Some(now), ..stamped }
        }
        // The one that still fires goes on firing: the same event as before, renewed.
        (false, Some(active)) if time <= end.time => {
            Placed { time: active.version.time, reopened: true, started: Some(active.version.time), ..timed }
        }
        // It ends too; its clock need not agree with the receipt that stands for its beginning.
        (true, Some(active)) if time > end.time && time <= active.version.time => stamped,
        _ => timed,
    }
}

fn bounded(mut snapshot: Snapshot, services_max: usize) -> Snapshot {
    if let Some(services) = &mut snapshot.services {
        services.truncate(services_max);
    }
    if let Some(targets) = &mut snapshot.targets {
        targets.truncate(services_max);
    }
    snapshot
}

/// Decides between different events of the same time.
fn content_digest(state: IncidentState, snapshot: &Snapshot) -> String {
    let json = serde_json::to_string(&(state, snapshot)).unwrap_or_default();
    digest::short(json.as_bytes()).chars().take(16).collect()
}

/// The kind of transition, and why the incident stands as it does.
fn describe(
    event: &Event,
    record: &IncidentRecord,
    before: Option<&View>,
    after: Option<&View>,
) -> (&'static str, String) {
    let Some(before) = before else { return (event.kind, "it is new".to_owned()) };
    let at = Rfc3339(record.version.time);
    let known = Rfc3339(before.decided_at);
    let same_state = after.is_some_and(|after| after.state_name() == before.state_name());
    let renewed = before.active.as_ref().filter(|active| {
        (active.version.time, active.version.rank) == (record.version.time, record.version.rank) && same_state
    });
    if let (Standing::Expired, Some(ended), true) = (before.standing, before.ended, after.is_some_and(View::is_open)) {
        let lease = Rfc3339(record.lease_until);
        return (
            "renewed",
            format!("heard of again after its lease ran out at {}; it now runs until {lease}", Rfc3339(ended)),
        );
    }
    if before.standing == Standing::Closed && after.is_some_and(View::is_open) {
        return ("reopened", format!("open again from {at}, after it had ended at {known}"));
    }
    if let Some(active) = renewed {
        let lease = Rfc3339(record.lease_until);
        return match event.change {
            Change::Update if active.version == record.version => {
                (event.kind, format!("its lease now runs until {lease}"))
            }
            _ if before.snapshot.title == record.snapshot.title
                && before.snapshot.services == record.snapshot.services =>
            {
                ("renewed", format!("known already; its lease now runs until {lease}"))
            }
            _ => ("updated", format!("says more than before; its lease now runs until {lease}")),
        };
    }
    if same_state && record.version.time == before.decided_at {
        return ("renewed", "known already".to_owned());
    }
    if record.version.time < before.decided_at {
        return ("stale", format!("event time {at} is before {known}, which decided"));
    }
    (event.kind, format!("event time {at}"))
}
