//! A configuration that is changed while the server runs.

use faultline_load::Protocol;

use super::certificates::Authority;
use super::servers::{Faultline, SOURCES, Setup, eventually};
use super::{send, sink};

const RELOADS: &str = "faultline_config_reloads_total";

fn wait_for(faultline: &Faultline, result: &str, count: f64) {
    let what = format!("{count} configurations with the result {result}");
    let label = format!("result=\"{result}\"");
    eventually(&what, || (faultline.metric(RELOADS, &[&label]) >= count).then_some(()));
}

/// Scenario: under load the configuration names another next hop, and the server is told to read it.
/// Guarantees: every request is taken once, by the one or by the other, and from some time on by the other alone.
#[test]
fn another_next_hop_takes_over_without_losing_a_request() {
    let (before, after) = (sink(), sink());
    let setup = |sink: &faultline_load::Sink| Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc");
    let faultline = Faultline::start(&setup(&before));
    let mut sent = send(&faultline, 16);
    assert_eq!(before.counts().accepted.items, sent);
    faultline.rewrite(&setup(&after));
    faultline.hang_up();
    eventually("the other next hop to get something", || {
        sent += send(&faultline, 16);
        (after.counts().accepted.items > 0).then_some(())
    });
    assert_eq!(before.counts().accepted.items + after.counts().accepted.items, sent);
    wait_for(&faultline, "in-force", 1.0);
    before.reset();
    sent = send(&faultline, 16);
    assert_eq!(before.counts().accepted.items, 0);
    assert!(after.counts().accepted.items >= sent);
}

/// Scenario: a file with `marking: off` is put in the place of the configuration, and nobody sends a signal; then the one
/// before.
/// Guarantees: it takes effect, shows in `/readyz`, and is lifted again.
#[test]
fn a_file_in_the_place_of_the_configuration_takes_effect_by_itself() {
    let sink = sink();
    let setup = Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc");
    let faultline = Faultline::start(&setup);
    faultline.open_incident("1", "checkout");
    faultline.rewrite(&Setup { rest: Some(format!("marking: off\n{SOURCES}")), ..setup.clone() });
    wait_for(&faultline, "in-force", 1.0);
    assert!(faultline.metric("faultline_marking_stopped", &["by=\"configuration\""]) > 0.0);
    let ready = faultline.ready().text();
    assert!(ready.contains("marking is stopped by the configuration"), "{ready}");
    send(&faultline, 4);
    assert_eq!(sink.counts().accepted.marked, 0);

    faultline.rewrite(&setup);
    wait_for(&faultline, "in-force", 2.0);
    assert_eq!(faultline.ready().text(), "ready\n");
    send(&faultline, 4);
    assert!(sink.counts().accepted.marked > 0);
}

/// Scenario: three faulty configurations come one after another: of the plugin's part, of the server's, and no YAML at all.
/// Guarantees: each is told with its place and not used: what was in force goes on, until a good one comes.
#[test]
fn a_faulty_configuration_is_told_with_its_place_and_not_used() {
    let sink = sink();
    let setup = Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc");
    let faultline = Faultline::start(&setup);
    faultline.open_incident("1", "checkout");
    let faulty = [
        (Setup { rest: Some(format!("unmatched: some\n{SOURCES}")), ..setup.clone() }, "faultline.yaml:1:12: "),
        (Setup { forward: vec!["{ endpoint: \"ftp://nowhere\" }".to_owned()], ..setup.clone() }, "`ftp://nowhere`"),
        (Setup { rest: Some(format!("{SOURCES}}}\n")), ..setup.clone() }, "faultline.yaml:7:1: "),
    ];
    for (count, (setup, told)) in (1_u8..).zip(&faulty) {
        faultline.rewrite(setup);
        faultline.hang_up();
        wait_for(&faultline, "refused", count.into());
        let log = faultline.log();
        assert!(log.contains("the last good one stays in force"), "{log}");
        assert!(log.contains(told), "{told} is not in\n{log}");
        sink.reset();
        send(&faultline, 4);
        assert!(sink.counts().accepted.marked > 0, "the incident goes on");
    }
    assert_eq!(faultline.metric(RELOADS, &["in-force"]), 0.0);
    faultline.rewrite(&setup);
    wait_for(&faultline, "in-force", 1.0);
    assert_eq!(faultline.open(), ["manual:1"]);
}

/// Scenario: a time-out of connections, the number of workers, and how long to drain change.
/// Guarantees: what can only be read at the start is named, so that nobody waits for its effect.
#[test]
fn what_takes_effect_with_the_next_start_is_named() {
    let sink = sink();
    let setup = Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc");
    let faultline = Faultline::start(&setup);
    let serve = "  workers: 3\n  drain: 20s\n".to_owned();
    faultline.rewrite(&Setup { serve, otlp: "    idle_timeout: 5m\n".to_owned(), ..setup });
    faultline.hang_up();
    wait_for(&faultline, "in-force", 1.0);
    let log = faultline.log();
    for key in ["serve.workers", "serve.otlp", "serve.drain"] {
        let is_named = |line: &str| line.contains("takes effect with the next start") && line.contains(key);
        assert!(log.lines().any(is_named), "{key} is not named in\n{log}");
    }
    assert!(!log.contains("serve.journal"), "{log}");
}

/// Scenario: the keys that an Alertmanager and the taker of own metrics are shown are rotated, and nothing else changes; a
/// listener has a certificate.
/// Guarantees: both are named as waiting for the next start, and so are certificates, for the old ones are still in use.
#[test]
fn rotated_keys_of_headers_and_certificates_are_named_as_waiting_for_the_next_start() {
    let sink = sink();
    let address = sink.address(Protocol::Http);
    let authority = Authority::new();
    let setup = |key: &str| Setup {
        admin: format!(", tls: {{ {} }}", authority.vouch("admin")),
        telemetry: format!(
            ", otlp: {{ endpoint: \"http://{address}/own\", protocol: http, headers: {{ x-key: {key} }} }}"
        ),
        serve: format!(
            "  reconcile:\n    - {{ source: alertmanager, url: \"http://{address}\", headers: {{ x-key: {key} }} }}\n"
        ),
        ..Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc")
    };
    let faultline = Faultline::start(&setup("old"));
    faultline.rewrite(&setup("new"));
    faultline.hang_up();
    wait_for(&faultline, "in-force", 1.0);
    let is_logged = |parts: &[&str]| {
        let log = faultline.log();
        log.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
    };
    for key in ["serve.telemetry", "serve.reconcile"] {
        eventually(key, || is_logged(&["takes effect with the next start", key]));
    }
    eventually("certificates", || is_logged(&["certificates of listeners were not read again"]));
    assert!(!faultline.log().contains("serve.admin"), "{}", faultline.log());
}
