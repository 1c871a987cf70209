//! The commands as a user calls them. Long outputs are files in `tests/cli`, which `BLESS=1` rewrites.

#[path = "cli/check.rs"]
mod check;
#[path = "cli/completions.rs"]
mod completions;
#[path = "cli/inspect.rs"]
mod inspect;
mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use faultline::plugin::Signal;
use faultline::telemetry::Batch;
use serde_json::Value;
use support::{check_golden, workspace};
use tempfile::TempDir;

const OPENED: &str = "2026-03-01T10:00:30Z";
/// Inside the window of `open.json`.
const LATER: &str = "2026-03-01T10:02:00Z";

/// What a command left.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
    bytes: Vec<u8>,
}

/// Runs `faultline` in `tests/cli` as on a terminal without colours.
fn faultline(arguments: &[&str]) -> Ran {
    run(command(arguments), b"")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command
        .args(arguments)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(workspace().join("tests/cli"))
        .env("NO_COLOR", "1")
        .env_remove("CLICOLOR_FORCE");
    command
}

fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // A command that does not read its input closes it.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the command ends");
    Ran {
        status: status.code().expect("no signal ended it"),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        bytes: stdout,
    }
}

// === impl Ran ===

impl Ran {
    #[track_caller]
    fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }

    /// Both outputs with a heading each, as golden files hold them.
    fn transcript(&self) -> String {
        format!("exit status {}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

/// A folder with a state in it that holds the incident of `open.json`.
fn state() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("state.json").display().to_string();
    receive(&path, "open.json", OPENED).ends_with(0);
    (folder, path)
}

fn receive(state: &str, file: &str, at: &str) -> Ran {
    faultline(&["receive", "--source", "manual", "--sign", "--state", state, "--at", at, "-o", "json", file])
}

// === replay ===

/// Scenario: a newcomer runs `faultline replay`.
/// Guarantees: the bundled scenario, with marked telemetry while the incident is open and clean telemetry after.
#[test]
fn replay_shows_the_bundled_scenario() {
    let ran = faultline(&["replay"]).ends_with(0);
    assert_eq!(ran.stderr, "");
    check_golden("replay.txt", &ran.stdout);
}

#[test]
fn replay_shows_every_attribute_when_asked_for_detail() {
    let ran = faultline(&["replay", "--verbosity", "detailed"]).ends_with(0);
    check_golden("replay_detailed.txt", &ran.stdout);
    let basic = faultline(&["replay", "--verbosity", "basic"]).ends_with(0);
    assert!(basic.stdout.len() < ran.stdout.len() / 4);
}

#[test]
fn replay_prints_the_same_objects_as_lines_and_as_one_document() {
    let lines = faultline(&["replay", "-o", "ndjson"]).ends_with(0).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(faultline(&["replay", "-o", "json"]).ends_with(0).json(), Value::Array(lines));
}

#[test]
fn replay_colours_what_was_added_green() {
    let mut colourful = command(&["replay", "--color", "always"]);
    colourful.env_remove("NO_COLOR");
    let ran = run(colourful, b"").ends_with(0);
    assert!(ran.stdout.contains("\u{1b}[32m+ incident.id: "), "{}", ran.stdout);
    assert!(!faultline(&["replay"]).stdout.contains('\u{1b}'));
}

#[test]
fn replay_runs_another_plugin() {
    let component = workspace().join("target/guests/wasm32-wasip2/guest/faultline_component.wasm");
    let expected = faultline(&["replay"]).ends_with(0).stdout;
    let found = faultline(&["replay", "--plugin", &component.display().to_string()]).ends_with(0).stdout;
    assert_eq!(found, expected);
    let refused = faultline(&["replay", "--plugin", "open.json"]).ends_with(1);
    assert!(refused.stderr.contains("this is not a WebAssembly file"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: `faultline inspect open.json`"), "{}", refused.stderr);
}

#[test]
fn replay_names_the_place_of_a_mistake_in_a_scenario() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(folder.path().join("config.yaml"), "{}").expect("can be written");
    let scenario = "summary: s\nstart: 2026-03-01T10:00:00Z\nsteps:\n  - at: 1m\n    telemetri: a.json\n";
    fs::write(folder.path().join("scenario.yaml"), scenario).expect("can be written");
    let ran = faultline(&["replay", &folder.path().display().to_string()]).ends_with(1);
    assert!(ran.stderr.contains("scenario.yaml:5:5: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("telemetri"), "{}", ran.stderr);
}

// === receive and incidents ===

#[test]
fn a_received_incident_is_open_in_the_state_until_it_is_closed() {
    let (_folder, state) = state();
    let open = faultline(&["incidents", "--config", "faultline.yaml", "--state", &state, "--at", LATER, "-o", "json"]);
    let open = open.ends_with(0).json();
    assert_eq!(open[0]["id"], "manual:2026-031");
    assert_eq!(open[0]["services"], serde_json::json!(["checkout"]));

    let close = fs::read_to_string(workspace().join("tests/cli/open.json"))
        .expect("can be read")
        .replace("\"open\"", "\"close\"")
        .replace("10:00:00", "10:01:00");
    let mut closing =
        command(&["receive", "--source", "manual", "--sign", "--state", &state, "--at", LATER, "-o", "json"]);
    closing.arg("-");
    let closed = run(closing, close.as_bytes()).ends_with(0).json();
    assert_eq!(closed["transitions"][0]["kind"], "resolved");
    assert_eq!(closed["transitions"][0]["from"], "triggered");
    let ran = faultline(&["incidents", "--config", "faultline.yaml", "--state", &state, "--at", LATER]).ends_with(0);
    assert_eq!(ran.stdout, "No incident is open at 2026-03-01T10:02:00Z.\n");
    let one =
        faultline(&["incidents", "show", "2026-031", "--config", "faultline.yaml", "--state", &state, "--at", LATER]);
    check_golden("incident.txt", &one.ends_with(0).stdout);
}

#[test]
fn receive_says_what_became_of_the_incident_and_why() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let state = folder.path().join("state.json").display().to_string();
    let text = faultline(&["receive", "--source", "manual", "--sign", "--state", &state, "--at", OPENED, "open.json"]);
    check_golden("receive.txt", &text.ends_with(0).stdout);
    // The same again changes nothing, and says so.
    let again = receive(&state, "open.json", OPENED).ends_with(0).json();
    check_golden("receive_again.json", &format!("{again:#}\n"));
    let unmapped = receive(&state, "unmapped.json", LATER).ends_with(0).json();
    assert_eq!(unmapped["transitions"][0]["services"], serde_json::json!([]));
}

/// Scenario: a state cannot be used, then it can, and the same delivery is sent again.
/// Guarantees: nothing was kept of the first, so that the second is no duplicate.
#[test]
fn a_state_that_cannot_be_used_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let state = folder.path().join("state.json");
    let shown = state.display().to_string();
    fs::create_dir(&state).expect("can be made");
    let refused = receive(&shown, "open.json", OPENED).ends_with(1);
    assert!(refused.stderr.contains("cannot read the state"), "{}", refused.stderr);
    fs::remove_dir(&state).expect("can be removed");
    let accepted = receive(&shown, "open.json", OPENED).ends_with(0).json();
    assert_eq!(accepted["transitions"][0]["kind"], "triggered");
}

#[test]
fn a_dry_run_keeps_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let state = folder.path().join("state.json");
    let shown = state.display().to_string();
    let arguments =
        ["receive", "--source", "manual", "--sign", "--dry-run", "--state", &shown, "--at", OPENED, "open.json"];
    let ran = faultline(&arguments).ends_with(0);
    assert!(ran.stdout.starts_with("202 "), "{}", ran.stdout);
    assert!(ran.stdout.contains("dry run"), "{}", ran.stdout);
    assert_eq!(fs::read_dir(folder.path()).expect("can be listed").count(), 0);
}

#[test]
fn a_webhook_that_is_not_authentic_is_refused_and_ends_with_1() {
    let ran = faultline(&["receive", "--source", "manual", "-o", "json", "open.json"]).ends_with(1);
    assert_eq!(ran.json()["status"], 401);
    let unknown = faultline(&["receive", "--source", "nobody", "-o", "json", "open.json"]).ends_with(1);
    assert_eq!(unknown.json()["status"], 404);
}

#[test]
fn what_sign_prints_receive_accepts() {
    let headers = faultline(&["sign", "--source", "manual", "open.json"]).ends_with(0).stdout;
    assert_eq!(headers, "Authorization: Bearer manual-test-token\n");
    let arguments =
        ["receive", "--source", "manual", "--header", headers.trim(), "--at", OPENED, "-o", "json", "open.json"];
    assert_eq!(faultline(&arguments).ends_with(0).json()["status"], 202);

    let signature = faultline(&["sign", "--source", "pagerduty-eu", "open.json"]).ends_with(0).stdout;
    assert!(signature.starts_with("X-PagerDuty-Signature: v1="), "{signature}");
    let missing = faultline(&["sign", "--source", "nobody", "open.json"]).ends_with(1);
    assert!(missing.stderr.contains("it has pagerduty-eu, manual"), "{}", missing.stderr);
}

#[test]
fn a_file_that_is_no_state_is_named() {
    let ran = faultline(&["incidents", "--config", "faultline.yaml", "--state", "open.json"]).ends_with(1);
    assert!(ran.stderr.contains("open.json is not a state that faultline wrote"), "{}", ran.stderr);
}

// === annotate ===

/// Scenario: the same spans as JSON, and as protobuf with a field behind them that OTLP does not have.
/// Guarantees: both are marked alike, and the unknown field is there still.
#[test]
fn annotate_marks_json_and_protobuf_alike() {
    let (folder, state) = state();
    let annotate = |file: &str| {
        let arguments = ["annotate", "--signal", "traces", "--state", &state, "--at", LATER, file];
        faultline(&arguments).ends_with(0)
    };
    let json = annotate("spans.json");
    check_golden("annotated.json", &json.stdout);

    let spans = fs::read(workspace().join("tests/cli/spans.json")).expect("can be read");
    let mut batch = Batch::from_json(Signal::Traces, &spans).expect("it is OTLP").encode();
    // Field 60 with the number 42.
    let unknown = [0xe0, 0x03, 0x2a];
    batch.extend(unknown);
    let path = folder.path().join("batch.binpb");
    fs::write(&path, &batch).expect("can be written");
    let protobuf = annotate(&path.display().to_string()).bytes;
    let known = protobuf.strip_suffix(&unknown).expect("the unknown field is there still");
    let from_json = Batch::from_json(Signal::Traces, &json.bytes).expect("it is OTLP");
    assert_eq!(Batch::decode(Signal::Traces, known).expect("it is OTLP"), from_json);
}

#[test]
fn annotate_takes_webhooks_and_standard_input_and_writes_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out.json").display().to_string();
    let arguments =
        ["annotate", "--signal", "traces", "--webhook", "manual=open.json", "--at", LATER, "--out", &out, "-"];
    let spans = fs::read(workspace().join("tests/cli/spans.json")).expect("can be read");
    let ran = run(command(&arguments), &spans).ends_with(0);
    assert_eq!(ran.stdout, "");
    assert!(fs::read_to_string(&out).expect("was written").contains("manual:2026-031"));
}

#[test]
fn annotate_hands_on_what_it_cannot_read_and_ends_with_1() {
    let (_folder, state) = state();
    let arguments = ["annotate", "--signal", "traces", "--format", "protobuf", "--state", &state, "--at", LATER, "-"];
    let ran = run(command(&arguments), b"\x0a\xff\xff").ends_with(1);
    assert_eq!(ran.bytes, b"\x0a\xff\xff");
    assert!(ran.stderr.contains("error: the batch was refused: byte "), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: the batch was written as it came"), "{}", ran.stderr);
}

#[test]
fn annotate_hands_on_json_that_it_cannot_read() {
    let mut command = command(&["annotate", "--signal", "traces", "--format", "json"]);
    command.arg("--config").arg("faultline.yaml");
    let ran = run(command, b"{\"resourceSpans\": 7}").ends_with(1);
    assert_eq!(ran.stdout, "{\"resourceSpans\": 7}");
    assert!(
        ran.stderr.contains("not OTLP/JSON of traces") && ran.stderr.contains("written as it came"),
        "{}",
        ran.stderr
    );
}

#[test]
fn annotate_leaves_telemetry_without_an_incident_to_the_byte() {
    let spans = fs::read(workspace().join("tests/cli/spans.json")).expect("can be read");
    let ran = faultline(&["annotate", "--signal", "traces", "--at", LATER, "spans.json"]).ends_with(0);
    assert_eq!(ran.bytes, spans);
}

// === explain, gaps ===

#[test]
fn explain_names_the_rule_for_and_against() {
    let (_folder, state) = state();
    let explain = |service: &str| {
        let arguments =
            ["explain", "--service", service, "--config", "faultline.yaml", "--state", &state, "--at", LATER];
        faultline(&arguments).ends_with(0).stdout
    };
    check_golden("explain.txt", &format!("{}\n{}", explain("checkout"), explain("cart")));
}

/// Scenario: the webhook was received hours after the item that somebody asks about.
/// Guarantees: the incident is known all the same, and marks the item that lies in its window.
#[test]
fn explain_knows_incidents_that_were_received_long_after_the_item() {
    let (_folder, state) = state();
    receive(&state, "open.json", "2026-03-01T14:00:00Z").ends_with(0);
    let asked = ["explain", "--service", "checkout", "--at", LATER, "-o", "json", "--state", &state];
    let ran = faultline(&asked).ends_with(0);
    assert_eq!(ran.json().as_array().map(Vec::len), Some(1), "{}", ran.stdout);
}

#[test]
fn gaps_name_the_missing_rule() {
    let (_folder, state) = state();
    receive(&state, "unmapped.json", LATER).ends_with(0);
    let ran = faultline(&["gaps", "--config", "faultline.yaml", "--state", &state, "--at", LATER]).ends_with(0);
    check_golden("gaps.txt", &ran.stdout);
}

#[test]
fn without_any_configuration_commands_look_at_the_bundled_scenario_and_say_so() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for arguments in [&["incidents"][..], &["gaps"], &["explain", "--service", "checkout"]] {
        let mut command = command(arguments);
        command.current_dir(folder.path());
        let ran = run(command, b"").ends_with(0);
        assert!(ran.stderr.contains("this is the bundled scenario"), "{}", ran.stderr);
    }
    let mut command = command(&["receive", "--source", "manual"]);
    command.current_dir(folder.path());
    let ran = run(command, b"{}").ends_with(1);
    assert!(ran.stderr.contains("hint: write the sources of your webhooks into faultline.yaml"), "{}", ran.stderr);
}

// === all ===

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in
        [&["replay", "--verbosity", "loud"][..], &["check"], &["receive"], &["explain", "--at", "noon"], &[]]
    {
        let ran = faultline(arguments).ends_with(2);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("Usage:") || ran.stderr.contains("--help"), "{}", ran.stderr);
    }
}

#[test]
fn an_error_is_said_once_with_its_cause() {
    let ran = faultline(&["incidents", "--config", "missing.yaml"]).ends_with(1);
    check_golden("missing_file.txt", &ran.transcript());
}

/// Scenario: the reader of the output goes away at once, as `head -0` does.
/// Guarantees: the command ends quietly.
#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = command(&["replay", "--verbosity", "detailed"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the command ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
