//! What other hosts of the plugin learn from the server, and who may ask.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use faultline::time::{SECOND, now, parse_time};
use faultline_annotator::entry::Entry;
use faultline_annotator::otlp::Signal;
use faultline_annotator::{Annotator, Outcome};
use faultline_load::Protocol;
use flate2::read::GzDecoder;
use prost::Message;
use serde_json::{Value, json};

use super::certificates::Authority;
use super::servers::http::{self, Answer};
use super::servers::{Faultline, PagerDuty, SOURCES, Setup, eventually};
use super::{generator, printed, send, sink};

fn setup() -> Setup {
    Setup::forwarding_to("127.0.0.1:9".parse().expect("it is an address"), "grpc")
}

/// With these keys of `serve.spokes` beside `listen`.
fn with_spokes(keys: &str) -> Setup {
    Setup { spokes: Some(keys.to_owned()), ..setup() }
}

fn document(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("it is JSON")
}

fn tag(answer: &Answer) -> String {
    answer.header("ETag").expect("it has a tag").to_owned()
}

fn marking(faultline: &Faultline) -> Value {
    document(&faultline.state(&[]))["configuration"]["marking"].clone()
}

/// A plugin as a spoke sets it up: nothing but what it was told, and a token of its own making for each source.
fn spoke(document: &Value) -> Annotator {
    let mut configuration = document["configuration"].clone();
    for source in configuration["sources"].as_object_mut().expect("there are sources").values_mut() {
        source["tokens"] = json!(["of the spoke's own making"]);
    }
    let entry = |entry: &Value| Entry {
        key: entry["key"].as_str().expect("an entry has a key").to_owned(),
        bytes: STANDARD.decode(entry["bytes"].as_str().expect("an entry has bytes")).expect("they are base64"),
    };
    let entries: Vec<Entry> = document["entries"].as_array().expect("a list").iter().map(entry).collect();
    let mut plugin = Annotator::default();
    plugin.configure(&configuration.to_string(), "spoke-1").expect("the plugin takes the configuration");
    let merged = plugin.merge(&entries, now()).expect("the plugin takes the entries");
    assert_eq!(usize::try_from(merged.changed), Ok(entries.len()), "nothing is told twice or for nothing");
    plugin
}

fn marks(plugin: &mut Annotator) -> bool {
    let batch = generator().traces().encode_to_vec();
    matches!(plugin.process(Signal::Traces, &batch, now()), Outcome::Replaced(_))
}

/// Scenario: incidents of three sources, one of them closed again; a spoke merges the state into an empty plugin.
/// Guarantees: the same incidents are open there, they mark the same services, and no delivery is told.
#[test]
fn an_empty_plugin_that_merges_the_state_has_the_same_open_incidents() {
    let faultline = Faultline::start(&setup());
    let mut plugin = spoke(&document(&faultline.state(&[])));
    assert!(plugin.open(now()).is_empty());
    assert!(!marks(&mut plugin));

    let to = faultline.addresses().webhooks;
    let pagerduty = PagerDuty { to, secret: "pagerduty-secret", created: now() - 60 * SECOND };
    assert_eq!(pagerduty.triggers().status, 202);
    faultline.open_incident("1", "cart");
    faultline.open_incident("2", "payment");
    faultline.close_incident("2");
    let by_hand = json!({ "action": "open", "id": "db-7", "severity": "critical", "services": ["search"] });
    assert_eq!(faultline.tell_admin("/v1/incidents", &by_hand).status, 202);

    let told = eventually("the state with all incidents", || {
        let told = document(&faultline.state(&[]));
        // Each has an entry, the closed one two.
        (told["entries"].as_array()?.len() >= 5).then_some(told)
    });
    let mut plugin = spoke(&told);
    let open = plugin.open(now());
    let names: Vec<String> = open.iter().map(|one| format!("{}:{}", one.view.key.source, one.view.key.id)).collect();
    assert_eq!(names, faultline.open());
    assert_eq!(names.len(), 3);
    let mut services: Vec<String> = open.iter().flat_map(|one| one.reach.services()).collect();
    services.sort();
    assert_eq!(services, ["cart", "checkout", "search"]);
    assert!(marks(&mut plugin), "by the map that leads from PagerDuty's service to `checkout`");
}

/// Scenario: a spoke asks again and again, while nothing happens, when an incident opens, and after a restart.
/// Guarantees: 304 as long as nothing but the time has changed, with the headers that a spoke goes by in both answers.
#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut faultline = Faultline::start(&with_spokes("tokens: [spoke-token], time_to_live: 90s"));
    let before = now();
    let first = faultline.state(&[]);
    let told = document(&first);
    assert_eq!((&told["version"], &told["time_to_live_seconds"]), (&json!(1), &json!(90)));
    let at: u64 = told["now_unix_nano"].as_str().expect("digits").parse().expect("a number");
    assert_eq!(parse_time(told["now"].as_str().expect("a time")).expect("it is RFC 3339"), at);
    assert!((before..=now()).contains(&at), "it is the time of the answer");
    assert_eq!(first.header("Content-Type"), Some("application/json"));
    let etag = tag(&first);
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 16, "a strong tag: {etag}");

    let check = |answer: &Answer, status| {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("Faultline-Time-To-Live"), Some("90"));
        assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
        let at: u64 = answer.header("Faultline-Now").expect("it has a time").parse().expect("a number");
        assert!((before..=now()).contains(&at));
    };
    check(&first, 200);
    for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}")] {
        let again = faultline.state(&[("If-None-Match", &known)]);
        check(&again, 304);
        assert_eq!((again.body.len(), tag(&again)), (0, etag.clone()), "{known}");
    }
    check(&faultline.state(&[("If-None-Match", "\"other\"")]), 200);

    faultline.open_incident("1", "checkout");
    let changed = eventually("another state", || {
        let answer = faultline.state(&[("If-None-Match", &etag)]);
        (answer.status == 200).then_some(answer)
    });
    check(&changed, 200);
    assert_ne!(tag(&changed), etag);
    faultline.kill();
    faultline.start_again();
    check(&faultline.state(&[("If-None-Match", &tag(&changed))]), 304);

    let counted = |status: &str| faultline.metric("faultline_spoke_requests_total", &[&format!("status=\"{status}\"")]);
    assert_eq!((counted("304"), counted("200")), (1.0, 0.0), "since the restart");
}

/// Scenario: the state is asked for without a token, and with tokens of other listeners and sources.
/// Guarantees: 401 that says nothing of incidents, counted by reason; and with the right token nothing but the state.
#[test]
fn only_a_token_of_this_listener_opens_it_and_only_for_the_state() {
    let faultline = Faultline::start(&setup());
    faultline.open_incident("very-secret-project", "checkout");
    let refused =
        |reason: &str| faultline.metric("faultline_spokes_unauthentic_total", &[&format!("reason=\"{reason}\"")]);
    let requests: [&[(&str, &str)]; 5] = [
        &[],
        &[("Authorization", "spoke-token")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Bearer admin-token")],
        &[("Authorization", "Bearer manual-token"), ("If-None-Match", "*")],
    ];
    for headers in requests {
        let answer = faultline.state_as(headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(!answer.text().contains("very-secret-project") && answer.header("ETag").is_none(), "{headers:?}");
    }
    // White space at the end of a header is no part of it: "Bearer " shows no token.
    assert_eq!((refused("no-token"), refused("wrong-token")), (3.0, 2.0));
    let spokes = faultline.addresses().spokes.expect("it has the listener");
    let own = [("Authorization", "Bearer spoke-token")];
    for path in ["/v1/incidents", "/v1/marking", "/v1/gaps", "/metrics"] {
        let answer = http::get_with(spokes, path, &own).expect("it answers");
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer = http::post(spokes, "/v1/state", &own, b"{}").expect("it answers");
    assert_eq!(answer.status, 405);
    let answer = http::get_with(faultline.addresses().admin, "/v1/incidents", &own).expect("it answers");
    assert_eq!(answer.status, 401, "a spoke is no operator");
}

/// Scenario: marking is stopped by an admin call, started again, and stopped by the configuration.
/// Guarantees: spokes hear of each, and one that goes by it marks nothing meanwhile.
#[test]
fn a_stop_of_the_hub_stops_its_spokes() {
    let faultline = Faultline::start(&setup());
    faultline.open_incident("1", "checkout");
    let becomes = |expected: &str| {
        eventually(&format!("marking to be {expected}"), || (marking(&faultline) == expected).then_some(()));
        spoke(&document(&faultline.state(&[])))
    };
    assert!(marks(&mut becomes("on")));
    faultline.tell_admin("/v1/marking", &json!({ "marking": "off" }));
    assert!(!marks(&mut becomes("off")));
    faultline.tell_admin("/v1/marking", &json!({ "marking": "on" }));
    assert!(marks(&mut becomes("on")));
    faultline.rewrite(&Setup { rest: Some(format!("marking: off\n{SOURCES}")), ..setup() });
    faultline.hang_up();
    assert!(!marks(&mut becomes("off")));
}

/// Scenario: the map of services is repaired, the token is rotated and the time to live changed, while the server runs.
/// Guarantees: all of it takes effect without a restart, and both tokens open while both are configured.
#[test]
fn spokes_heal_with_the_hubs_configuration_and_tokens_are_rotated() {
    let faultline = Faultline::start(&setup());
    let first = faultline.state(&[]);
    let status = |token: &str| faultline.state_as(&[("Authorization", &format!("Bearer {token}"))]).status;
    assert_eq!((status("spoke-token"), status("next-token")), (200, 401));
    let rest = Some(SOURCES.replace("service: checkout", "service: storefront"));
    let both = with_spokes("time_to_live: 30s, tokens: [spoke-token, next-token]");
    faultline.rewrite(&Setup { rest: rest.clone(), ..both });
    faultline.hang_up();
    let told = eventually("the other map", || {
        let answer = faultline.state(&[("If-None-Match", &tag(&first))]);
        (answer.status == 200).then(|| document(&answer))
    });
    assert_eq!(told["configuration"]["services"][0]["to"], json!([{ "service": "storefront" }]));
    eventually("the other token", || (status("next-token") == 200).then_some(()));
    assert_eq!(status("spoke-token"), 200);
    assert_eq!(document(&faultline.state(&[]))["time_to_live_seconds"], 30);
    assert!(!faultline.log().contains("takes effect with the next start"), "{}", faultline.log());

    faultline.rewrite(&Setup { rest, ..with_spokes("time_to_live: 30s, tokens: [next-token]") });
    faultline.hang_up();
    eventually("the old token to be refused", || (status("spoke-token") == 401).then_some(()));
    assert_eq!(status("next-token"), 200);
}

/// Guarantees: whoever accepts gzip gets the same in fewer bytes, and the same tag.
#[test]
fn the_state_is_compressed_for_those_who_ask() {
    let faultline = Faultline::start(&setup());
    for number in 0..20 {
        faultline.open_incident(&number.to_string(), "checkout");
    }
    let (plain, gzipped) = eventually("answers about the same state", || {
        let [plain, gzipped] =
            ["identity", "gzip, deflate"].map(|coding| faultline.state(&[("Accept-Encoding", coding)]));
        (tag(&plain) == tag(&gzipped)).then_some((plain, gzipped))
    });
    assert_eq!((plain.header("Content-Encoding"), gzipped.header("Content-Encoding")), (None, Some("gzip")));
    assert!(gzipped.body.len() * 2 < plain.body.len(), "{} of {}", gzipped.body.len(), plain.body.len());
    for answer in [&plain, &gzipped] {
        assert_eq!(answer.header("Content-Length"), Some(answer.body.len().to_string().as_str()));
    }
    let mut decoded = Vec::new();
    GzDecoder::new(&gzipped.body[..]).read_to_end(&mut decoded).expect("it is gzip");
    let [plain, decoded] = [&plain.body, &decoded].map(|body| serde_json::from_slice::<Value>(body).expect("JSON"));
    assert_eq!((&plain["configuration"], &plain["entries"]), (&decoded["configuration"], &decoded["entries"]));
}

/// Guarantees: the listener can be encrypted, and then serves nobody in clear text.
#[test]
fn the_listener_of_spokes_has_a_certificate_where_one_is_configured() {
    let authority = Authority::new();
    let keys = format!("tokens: [spoke-token], tls: {{ {} }}", authority.vouch("spokes"));
    let faultline = Faultline::start(&with_spokes(&keys));
    let address = faultline.addresses().spokes.expect("it has the listener");
    let own = [("Authorization", "Bearer spoke-token")];
    assert!(http::get_with(address, "/v1/state", &own).is_err(), "in clear text");
    let refused = || faultline.metric("faultline_connections_refused_total", &["listener=\"spokes\""]);
    eventually("the refused connection to be counted", || (refused() > 0.0).then_some(()));
    // As another host of ours would: its client trusts this authority alone.
    let hub = format!("https://{address}");
    let ca = authority.path();
    let told = faultline.incidents(&["list", "--hub", &hub, "--ca", ca.to_str().expect("the path is a text")]);
    // The path is another listener's: the answer came by TLS, and is 404.
    assert!(printed(&told).contains("404"), "{}", printed(&told));
}

/// Scenario: telemetry passes the hub itself while spokes ask.
/// Guarantees: their requests do not hold it up, nor change what is marked.
#[test]
fn the_hub_marks_while_spokes_ask() {
    let sink = sink();
    let faultline = Faultline::start(&Setup::forwarding_to(sink.address(Protocol::Grpc), "grpc"));
    faultline.open_incident("1", "checkout");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| (0..50).all(|_| [200, 304].contains(&faultline.state(&[]).status)));
        send(&faultline, 16);
        assert!(asking.join().expect("the spoke ends"));
    });
    assert!(sink.counts().accepted.marked > 0);
}
