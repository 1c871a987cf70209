//! A journal that cannot grow, as on a full disk: senders of webhooks are told to come again, and all else goes on.
//!
//! A limit on the size of files has the system refuse to write behind it, and lets be written what is there already. It can be
//! set and lifted while the server runs, by whoever runs it.

#![cfg(target_os = "linux")]

use std::fs;

use faultline_load::Protocol;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use super::client::Client;
use super::servers::{Faultline, Launch, Setup, http};
use super::{sink, spans};

/// Webhooks that a journal finds room for where it cannot grow, at most: it has some free pages.
const WEBHOOKS_MAX: usize = 20_000;

/// Sets the largest size of a file, in bytes.
fn limit_files(faultline: &Faultline, bytes: Option<u64>) {
    let id = i32::try_from(faultline.id()).expect("a number of a process");
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Pid::from_raw(id), Resource::Fsize, limit).expect("limits of a child can be set");
}

/// Opens an incident; tells the status, and when to come again.
fn open(faultline: &Faultline, number: usize) -> (u16, Option<u64>) {
    let id = format!("{number}");
    let title = format!("{number}").repeat(200);
    let body = json!({ "action": "open", "id": id, "title": title, "services": ["checkout"] }).to_string();
    let headers = [("Authorization", "Bearer manual-token")];
    let answer = http::post(faultline.addresses().webhooks, "/webhooks/manual", &headers, body.as_bytes());
    let answer = answer.expect("the server answers");
    (answer.status, answer.header("retry-after").and_then(|seconds| seconds.parse().ok()))
}

/// Scenario: the journal cannot grow; webhooks and telemetry come; then it can again.
/// Guarantees: from some webhook on each gets 503 with Retry-After and takes no effect; telemetry passes, marked by what was
/// acknowledged; without a restart webhooks are taken again; a crash takes nothing of it away.
#[test]
fn while_the_journal_cannot_grow_webhooks_get_503_and_telemetry_passes() {
    let sink = sink();
    // A server that the signal of that limit ended would not be told of the error.
    let launch = Launch { shell: "trap '' XFSZ".to_owned(), ..Launch::default() };
    let setup = Setup { launch, ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc") };
    let mut faultline = Faultline::start(&setup);
    assert_eq!(open(&faultline, 0), (202, None));
    limit_files(&faultline, Some(fs::metadata(faultline.journal()).expect("there is a journal").len()));

    let taken = (1..WEBHOOKS_MAX).find(|number| open(&faultline, *number).0 != 202).expect("the journal is full");
    for _ in 0..3 {
        assert_eq!(open(&faultline, taken), (503, Some(30)));
    }
    assert_eq!(faultline.open().len(), taken, "what was not acknowledged took no effect");
    assert!(faultline.metric("faultline_journal_failures_total", &[]) >= 4.0);
    assert!(faultline.log().contains("could not be stored"), "the log says so");
    for protocol in Protocol::ALL {
        let reply = Client::of(&faultline, protocol).send(&spans(8));
        assert!(reply.code.is_success(), "{reply:?}");
    }
    assert_eq!((sink.counts().accepted.items, sink.counts().accepted.marked), (16, 16));

    limit_files(&faultline, None);
    assert_eq!(open(&faultline, taken), (202, None));
    assert_eq!(faultline.open().len(), taken + 1);
    faultline.kill();
    faultline.start_again();
    assert_eq!(faultline.open().len(), taken + 1);
}
