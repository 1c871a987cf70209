//! Incidents of which nobody has said anything for too long.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use faultline::journal::{RedbJournal, StateFile, copy};
use faultline::time::{Rfc3339, SECOND, now};
use serde_json::json;
use tempfile::TempDir;

use super::printed;
use super::servers::{Faultline, SOURCES, Setup, eventually};

/// Leaves a journal in which an incident was opened `ago`, as a server does that was stopped then.
fn leave_journal(folder: &Path, ago: u64) {
    let (config, state) = (folder.join("sources.yaml"), folder.join("state.json"));
    fs::write(&config, SOURCES).expect("the configuration can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command.args(["receive", "--source", "manual", "--sign", "--at", &Rfc3339(now() - ago).to_string(), "--config"]);
    command.arg(config).arg("--state").arg(&state).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command can be run");
    let body = json!({ "action": "open", "id": "old", "severity": "high", "services": ["checkout"] }).to_string();
    child.stdin.take().expect("it reads").write_all(body.as_bytes()).expect("it takes the body");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", printed(&output));
    let state = StateFile::open_to_write(&state).expect("the state can be read");
    let mut journal = RedbJournal::open(&folder.join("journal.redb")).expect("a journal can be made");
    copy(&state, &mut journal).expect("the journal takes the state");
}

/// Scenario: a server is started whose journal has an incident from 25 h ago; the lease is 24 h.
/// Guarantees: it is not open; that its lease ran out is a warning, and counted, once for good.
#[test]
fn a_lease_that_ran_out_is_a_warning_and_counted_once() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    leave_journal(folder.path(), 25 * 3600 * SECOND);
    let nowhere = "127.0.0.1:9".parse().expect("it is an address");
    let mut faultline = Faultline::start_in(folder, &Setup::forwarding_to(nowhere, "grpc"));
    let expiries = |faultline: &Faultline| faultline.metric("faultline_lease_expiries_total", &["source=\"manual\""]);
    eventually("the expiry to be counted", || (expiries(&faultline) > 0.0).then_some(()));
    assert_eq!(expiries(&faultline), 1.0);
    assert_eq!(faultline.open(), [""; 0]);
    let warnings = |log: &str| {
        let is_it = |line: &&str| line.contains("WARN") && line.contains("manual:old") && line.contains("expired");
        log.lines().filter(is_it).count()
    };
    assert_eq!(warnings(&faultline.log()), 1, "{}", faultline.log());

    faultline.stop();
    faultline.start_again();
    // Leases are looked at every second.
    eventually("leases to be looked at", || (faultline.metric("faultline_uptime_seconds", &[]) >= 3.0).then_some(()));
    assert_eq!(expiries(&faultline), 0.0);
    assert_eq!(warnings(&faultline.log()), 1, "{}", faultline.log());
}
