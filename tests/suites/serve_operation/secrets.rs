//! Secrets stay where they are.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use faultline_load::{Protocol, Refusal, Script};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::servers::{Faultline, Setup, eventually, http};
use super::{printed, send, send_to, sink};

/// One for each place of a configuration that holds a secret; none of these words stands anywhere else.
const SECRETS: [&str; 11] = [
    "manual-token",
    "canary-of-manual",
    "canary-of-pagerduty",
    "canary-of-alertmanager",
    "canary-of-github",
    "canary-of-generic",
    "canary-of-forward",
    "canary-of-own-metrics",
    "canary-of-reconcile",
    "admin-token",
    "spoke-token",
];

fn sources(secret_file: &str) -> String {
    format!(
        "sources:
  manual: {{ kind: manual, tokens: [manual-token, canary-of-manual] }}
  pagerduty: {{ kind: pagerduty, secrets: [canary-of-pagerduty] }}
  alertmanager: {{ kind: alertmanager, tokens: [\"${{file:{secret_file}}}\"] }}
  github: {{ kind: github, secrets: [canary-of-github] }}
  generic: {{ kind: generic, tokens: [canary-of-generic], fields: {{ id: /id }} }}
"
    )
}

/// Scenario: a configuration full of secrets; webhooks are forged, next hops refuse and are not there, and a faulty
/// configuration with the same secrets comes.
/// Guarantees: none of them is in the log, in metrics, in an answer, or in what a command prints.
#[test]
fn no_secret_of_a_configuration_is_told_anywhere() {
    let (sink, alertmanager) = (sink(), sink());
    let folder = TempDir::new().expect("a temporary folder can be made");
    let secret_file = folder.path().join("alertmanager.token");
    fs::write(&secret_file, "canary-of-alertmanager\n").expect("the secret can be written");
    let sources = sources(secret_file.to_str().expect("the path is a text"));
    let (next, missing) = (sink.address(Protocol::Http), alertmanager.address(Protocol::Http));
    let forward = |endpoint| {
        format!("{{ endpoint: \"http://{endpoint}\", protocol: http, headers: {{ x-key: canary-of-forward }} }}")
    };
    let setup = Setup {
        rest: Some(sources.clone()),
        forward: vec![forward(next)],
        telemetry: format!(
            ", otlp: {{ endpoint: \"http://{next}/own\", protocol: http, interval: 1s, headers: {{ x-key: canary-of-own-metrics }} }}"
        ),
        // A sink is no Alertmanager: each answer is a failure.
        serve: format!(
            "  reconcile:\n    - {{ source: alertmanager, url: \"http://{missing}\", interval: 1s, headers: {{ Authorization: canary-of-reconcile }} }}\n"
        ),
        ..Setup::default()
    };
    let faultline = Faultline::start(&setup);
    let mut told = String::new();

    faultline.open_incident("1", "checkout");
    send(&faultline, 4);
    let used = sink.requests().into_iter().filter_map(|request| request.headers.get("x-key").cloned());
    assert!(used.into_iter().any(|value| value == "canary-of-forward"), "the secret is in use");
    sink.set_script(Script::once([Refusal::unavailable(), Refusal::new(401, 16), Refusal::new(400, 3)]));
    for _ in 0..3 {
        send_to(faultline.addresses().grpc, Protocol::Grpc, 1);
    }
    for source in ["manual", "pagerduty", "alertmanager", "github", "generic", "nobody"] {
        let forged: [&[(&str, &str)]; 3] = [
            &[],
            &[("Authorization", "Bearer forged")],
            &[("X-PagerDuty-Signature", "v1=00"), ("X-Hub-Signature-256", "sha256=00")],
        ];
        for headers in forged {
            let path = format!("/webhooks/{source}");
            let answer =
                http::post(faultline.addresses().webhooks, &path, headers, b"{\"id\": 1}").expect("it answers");
            assert!([401, 404].contains(&answer.status), "{source}: {}", answer.text());
            told.push_str(&answer.text());
        }
    }
    // Each fault stands beside a secret.
    let faulty = sources.replace("kind: github", "kind: gitbuh").replace("[canary-of-generic]", "canary-of-generic");
    let forward =
        vec![forward(next).replace("x-key:", "\"x key\":"), forward(next).replace("protocol: http", "protocol: 1")];
    for setup in [Setup { rest: Some(faulty), ..setup.clone() }, Setup { forward, ..setup.clone() }] {
        let refused = || faultline.metric("faultline_config_reloads_total", &["refused"]);
        let before = refused();
        faultline.rewrite(&setup);
        faultline.hang_up();
        eventually("the faulty configuration to be refused", || (refused() > before).then_some(()));
    }
    let failed = || faultline.metric("faultline_reconciliations_total", &["failed"]);
    eventually("an Alertmanager that does not answer as one", || (failed() > 0.0).then_some(()));
    eventually("own metrics that are not taken", || {
        faultline.log().contains("own metrics were not taken").then_some(())
    });

    for path in ["/metrics", "/readyz", "/livez"] {
        told.push_str(&http::get(faultline.addresses().telemetry, path).expect("it answers").text());
    }
    for path in ["/v1/incidents", "/v1/incidents/manual:1", "/v1/incidents/nobody", "/v1/gaps", "/v1/marking"] {
        told.push_str(&faultline.admin(path).text());
    }
    told.push_str(&faultline.tell_admin("/v1/incidents", &json!({ "action": "close", "id": "nobody" })).text());
    // Entries are in base64, which would hide what is in them.
    let state: Value = serde_json::from_slice(&faultline.state(&[]).body).expect("it is JSON");
    let entries = state["entries"].as_array().expect("there are entries");
    assert!(!entries.is_empty());
    for bytes in entries.iter().filter_map(|entry| entry["bytes"].as_str()) {
        told.push_str(&String::from_utf8_lossy(&STANDARD.decode(bytes).expect("it is base64")));
    }
    told.push_str(&state.to_string());
    told.push_str(&faultline.state_as(&[("Authorization", "Bearer canary-of-manual")]).text());
    told.push_str(&printed(&faultline.incidents(&["list"])));
    told.push_str(&printed(&faultline.incidents(&["show", "nobody"])));
    told.push_str(&faultline.log());
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} is told:\n{told}");
    }
}
