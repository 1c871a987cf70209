//! The end of a server, and what the next one has of it.

use std::thread;
use std::time::Duration;

use faultline_load::{Answer, Protocol, Script, Step};
use serde_json::json;

use super::servers::{Faultline, PATIENCE, Setup};
use super::{send, send_to, sink};

/// Longer than a test takes from a request to the signal.
const SLOW: Duration = Duration::from_secs(2);

/// Scenario: the server is told to stop while four requests wait for a slow next hop.
/// Guarantees: they are answered with success, and the process ends with status 0.
#[test]
fn requests_under_way_are_answered_before_the_server_ends() {
    for protocol in Protocol::ALL {
        let sink = sink();
        sink.set_script(Script::always(Step { answer: Answer::Accept, delay: SLOW }));
        let mut faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
        let addresses = faultline.addresses();
        let near = if protocol == Protocol::Grpc { addresses.grpc } else { addresses.http };
        let load = thread::spawn(move || send_to(near, protocol, 4));
        let counts = sink.wait_for(PATIENCE, |counts| counts.accepted.requests == 4);
        assert_eq!(counts.accepted.requests, 4);
        faultline.stop();
        let outcome = load.join().expect("the load ends");
        assert!(outcome.is_clean(), "{protocol:?}: {outcome:?}");
        assert!(!faultline.log().contains("cut off"), "{}", faultline.log());
    }
}

/// Scenario: the next hop does not answer within `drain`.
/// Guarantees: the server ends all the same, with status 0, and says what that means; the sender is not told of success.
#[test]
fn requests_that_do_not_end_in_time_are_cut_off_and_that_is_said() {
    let sink = sink();
    sink.set_script(Script::always(Step { answer: Answer::Accept, delay: PATIENCE }));
    let forward = vec![format!("{{ endpoint: \"http://{}\", timeout: 60s }}", sink.address(Protocol::Grpc))];
    let setup = Setup { forward, serve: "  drain: 1s\n".to_owned(), ..Setup::default() };
    let mut faultline = Faultline::start(&setup);
    let near = faultline.addresses().grpc;
    let load = thread::spawn(move || send_to(near, Protocol::Grpc, 1));
    assert_eq!(sink.wait_for(PATIENCE, |counts| counts.accepted.requests == 1).accepted.requests, 1);
    faultline.stop();
    let outcome = load.join().expect("the load ends");
    assert_eq!(outcome.accepted_requests, 0, "{outcome:?}");
    assert!(faultline.log().contains("requests were cut off"), "{}", faultline.log());
}

/// Scenario: an incident is open and marking is stopped by hand; the server is stopped and started.
/// Guarantees: both are as they were, and spans are marked once the switch is lifted.
#[test]
fn a_restart_keeps_incidents_and_the_stop_switch() {
    let sink = sink();
    let mut faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
    faultline.open_incident("1", "checkout");
    let stopped = faultline.tell_admin("/v1/marking", &json!({ "marking": "off", "reason": "too much is marked" }));
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    faultline.stop();
    faultline.start_again();
    assert_eq!(faultline.open(), ["manual:1"]);
    assert!(faultline.ready().text().contains("too much is marked"), "{}", faultline.ready().text());
    send(&faultline, 4);
    assert_eq!(sink.counts().accepted.marked, 0);
    let lifted = faultline.tell_admin("/v1/marking", &json!({ "marking": "on" }));
    assert_eq!(lifted.status, 200, "{}", lifted.text());
    send(&faultline, 4);
    assert!(sink.counts().accepted.marked > 0);
}
