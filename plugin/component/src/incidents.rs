//! `faultline:incident/incidents`.

use faultline_annotator::state::{self, EventWindow};
use faultline_annotator::status::{self, Status};
use faultline_annotator::{entry, gaps, webhook};

use crate::bindings::exports::faultline::incident::incidents::{
    Counter, Entry, Expiry, Explanation, Extent, Gap, Guest, Incident, Merged, Receipt, Transition, UnixNanos, Webhook,
    Window,
};
use crate::{Component, with_annotator};

impl Guest for Component {
    fn receive(source: String, webhook: Webhook, now: UnixNanos) -> Receipt {
        let Webhook { method, url, headers, body } = webhook;
        let webhook = webhook::Webhook { method, url, headers, body };
        let receipt = with_annotator(|annotator| annotator.receive(&source, &webhook, now));
        Receipt {
            status: receipt.status,
            retry_after_secs: receipt.retry_after_secs,
            body: receipt.body,
            entries: entries(receipt.entries),
            transitions: transitions(receipt.transitions),
        }
    }

    fn merge(entries: Vec<Entry>, now: UnixNanos) -> Result<Merged, String> {
        let entries: Vec<entry::Entry> =
            entries.into_iter().map(|Entry { key, bytes }| entry::Entry { key, bytes }).collect();
        let merged = with_annotator(|annotator| annotator.merge(&entries, now))?;
        Ok(Merged { changed: merged.changed, set_aside: merged.set_aside })
    }

    fn expire(now: UnixNanos) -> Expiry {
        let expiry = with_annotator(|annotator| annotator.expire(now));
        Expiry { entries: entries(expiry.entries), transitions: transitions(expiry.transitions) }
    }

    fn state(what: Extent) -> Vec<Entry> {
        let extent = match what {
            Extent::IncidentsOnly => state::Extent::IncidentsOnly,
            Extent::All => state::Extent::All,
        };
        entries(with_annotator(|annotator| annotator.state(extent)))
    }

    fn open(now: UnixNanos) -> Vec<Incident> {
        with_annotator(|annotator| annotator.open(now)).into_iter().map(incident).collect()
    }

    fn find(name: String, now: UnixNanos) -> Result<Incident, String> {
        with_annotator(|annotator| annotator.find(&name, now)).map(incident)
    }

    fn explain(
        service: String,
        namespace: Option<String>,
        environment: Option<String>,
        time: UnixNanos,
        now: UnixNanos,
    ) -> Vec<Explanation> {
        let item = status::Item {
            service: &service,
            namespace: namespace.as_deref(),
            environment: environment.as_deref(),
            time,
        };
        with_annotator(|annotator| annotator.explain(item, now))
            .into_iter()
            .map(|explanation| Explanation {
                incident: explanation.incident,
                marks: explanation.marks,
                reason: explanation.reason,
            })
            .collect()
    }

    fn gaps(now: UnixNanos) -> Vec<Gap> {
        let gap = |gap: gaps::Gap| {
            let gaps::Gap { kind, subject, detail, suggestion, count } = gap;
            Gap { kind: kind.to_owned(), subject, detail, suggestion, count }
        };
        with_annotator(|annotator| annotator.gaps(now)).into_iter().map(gap).collect()
    }

    fn counters() -> Vec<Counter> {
        with_annotator(|annotator| annotator.counters())
            .into_iter()
            .map(|counter| Counter { name: counter.name, attributes: counter.attributes, value: counter.value })
            .collect()
    }
}

fn entries(entries: Vec<entry::Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry::Entry { key, bytes }| Entry { key, bytes }).collect()
}

fn transitions(transitions: Vec<webhook::Transition>) -> Vec<Transition> {
    let transition = |transition: webhook::Transition| {
        let webhook::Transition { source, incident, kind, from, to, at, services, reason } = transition;
        Transition {
            source,
            incident,
            kind: kind.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
            at,
            services,
            reason,
        }
    };
    transitions.into_iter().map(transition).collect()
}

fn incident(status: Status) -> Incident {
    let Status { view, windows, reach } = status;
    Incident {
        id: view.key.to_string(),
        kind: view.kind().name().to_owned(),
        state: view.state_name().to_owned(),
        open: view.is_open(),
        severity: view.severity().name().to_owned(),
        started: view.started,
        ended: view.ended,
        lease_until: view.lease_until,
        windows: windows.into_iter().map(|EventWindow { from, until }| Window { from, until }).collect(),
        services: reach.services(),
        reason: reach.reason,
        display: view.snapshot.display.unwrap_or_default(),
        title: view.snapshot.title.unwrap_or_default(),
        url: view.snapshot.url.unwrap_or_default(),
        source: view.key.source,
        external_id: view.key.id,
    }
}
