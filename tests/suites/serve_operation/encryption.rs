//! TLS on every side: two servers in a row, so that each way of being a server is met by a way of being a client.

use std::fs;
use std::process::Command;

use faultline_load::{Code, Protocol, Sink};
use tempfile::TempDir;

use super::certificates::Authority;
use super::servers::{Faultline, Setup};
use super::{printed, send, send_to, sink};

/// A server that takes OTLP by TLS, from clients with a certificate of `authority` alone.
fn behind(authority: &Authority, sink: &Sink) -> Faultline {
    let tls = format!(", tls: {{ {}, client_ca: {:?} }}", authority.vouch("behind"), authority.path());
    Faultline::start(&Setup { listener: tls, ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc") })
}

/// A server that forwards to it, with these keys of `tls`.
fn in_front(behind: &Faultline, protocol: Protocol, tls: &str) -> Faultline {
    let (address, name) = match protocol {
        Protocol::Grpc => (behind.addresses().grpc, "grpc"),
        Protocol::Http => (behind.addresses().http, "http"),
    };
    let forward = format!("{{ endpoint: \"https://{address}\", protocol: {name}, tls: {{ {tls} }} }}");
    Faultline::start(&Setup { forward: vec![forward], ..Setup::default() })
}

#[test]
fn telemetry_goes_by_mutual_tls_by_either_protocol() {
    let (authority, sink) = (Authority::new(), sink());
    let behind = behind(&authority, &sink);
    let tls = format!("ca: {:?}, {}", authority.path(), authority.vouch("in_front"));
    for protocol in Protocol::ALL {
        sink.reset();
        let front = in_front(&behind, protocol, &tls);
        let sent = send(&front, 8);
        assert_eq!(sink.counts().accepted.items, sent, "{protocol:?}");
    }
    assert_eq!(behind.metric("faultline_connections_refused_total", &[]), 0.0);
}

/// Scenario: a next hop whose authority is another one than the configured.
/// Guarantees: nothing is sent to it, the sender is told to try again, and whoever looks finds out why.
#[test]
fn a_next_hop_of_another_authority_gets_nothing() {
    let (authority, other, sink) = (Authority::new(), Authority::new(), sink());
    let behind = behind(&authority, &sink);
    let tls = format!("ca: {:?}, {}", other.path(), authority.vouch("in_front"));
    check_refused(&in_front(&behind, Protocol::Grpc, &tls), &behind, &sink);
}

/// Scenario: a client without a certificate, and one whose certificate is of another authority.
/// Guarantees: a listener with `client_ca` serves neither.
#[test]
fn a_client_without_a_certificate_of_the_authority_is_not_served() {
    let (authority, other, sink) = (Authority::new(), Authority::new(), sink());
    let behind = behind(&authority, &sink);
    let without = format!("ca: {:?}", authority.path());
    let of_other = format!("ca: {:?}, {}", authority.path(), other.vouch("stranger"));
    for tls in [without, of_other] {
        check_refused(&in_front(&behind, Protocol::Grpc, &tls), &behind, &sink);
    }
}

fn check_refused(front: &Faultline, behind: &Faultline, sink: &Sink) {
    let refused = || behind.metric("faultline_connections_refused_total", &["listener=\"otlp/grpc\""]);
    let before = refused();
    let outcome = send_to(front.addresses().grpc, Protocol::Grpc, 1);
    assert_eq!(outcome.answers.keys().copied().collect::<Vec<_>>(), [Code::Grpc(14)], "unavailable for the moment");
    assert!(front.metric("faultline_exporter_send_failed_spans_total", &["retryable=\"true\""]) > 0.0);
    super::servers::eventually("the refused connection to be counted", || (refused() > before).then_some(()));
    assert_eq!(sink.counts().accepted.requests, 0);
}

/// Scenario: the admin listener has a certificate; `faultline incidents` is told its authority, another one, and none.
/// Guarantees: it talks to it in the first case alone.
#[test]
fn the_admin_listener_is_asked_by_tls() {
    let (authority, other) = (Authority::new(), Authority::new());
    let admin = format!(", tls: {{ {} }}", authority.vouch("admin"));
    let nowhere = "127.0.0.1:9".parse().expect("it is an address");
    let faultline = Faultline::start(&Setup { admin, ..Setup::forwarding_to(nowhere, "grpc") });
    let hub = format!("https://{}", faultline.addresses().admin);
    let list = |authority: &[&str]| faultline.incidents(&[&["list", "--hub", &hub], authority].concat());
    let (ours, others) = (authority.path(), other.path());
    let [ours, others] = [&ours, &others].map(|path| path.to_str().expect("the path is a text"));
    let told = list(&["--ca", ours]);
    assert!(told.status.success(), "{}", printed(&told));
    assert!(printed(&told).contains("No incident is open"), "{}", printed(&told));
    for authority in [["--ca", others].as_slice(), &[]] {
        let told = list(authority);
        assert_eq!(told.status.code(), Some(1), "{}", printed(&told));
        assert!(printed(&told).contains("certificate"), "{}", printed(&told));
    }
}

/// Scenario: the certificate of the listener that is opened last is not there.
/// Guarantees: the server does not start and names it; no other listener has taken anything by then.
#[test]
fn without_a_certificate_of_one_listener_none_takes_anything() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let (path, missing) = (folder.path().join("faultline.yaml"), folder.path().join("missing.pem"));
    let configuration = format!(
        "serve:
  otlp: {{ grpc: {{ listen: \"127.0.0.1:0\" }}, http: {{ listen: \"127.0.0.1:0\" }} }}
  webhooks: {{ listen: \"127.0.0.1:0\" }}
  telemetry: {{ listen: \"127.0.0.1:0\" }}
  spokes: {{ listen: \"127.0.0.1:0\", tokens: [spoke-token], tls: {{ certificate: {missing:?}, key: {missing:?} }} }}
  journal: {{ path: {:?} }}
  forward: [{{ endpoint: \"http://127.0.0.1:1\" }}]
",
        folder.path().join("journal.redb")
    );
    fs::write(&path, configuration).expect("the configuration can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_faultline")).arg("serve").arg("--config").arg(&path).output();
    let output = output.expect("the command can be run");
    let printed = printed(&output);
    assert!(!output.status.success(), "{printed}");
    assert!(printed.contains("cannot read certificates from"), "{printed}");
    assert!(!printed.contains("listening for"), "{printed}");
}
