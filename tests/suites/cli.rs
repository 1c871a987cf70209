//! The commands as a user calls them. Long outputs are files in `tests/cli`, which `BLESS=1` rewrites.

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
    let component = workspace().join("target/guests/wasm32-wasip2/release/faultline_component.wasm");
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

// === check ===

fn check_broken(name: &str, faults: usize) {
    let file = format!("{name}.yaml");
    let ran = faultline(&["check", &file]).ends_with(1);
    check_golden(&format!("{name}.txt"), &ran.stdout);
    let found = faultline(&["check", "-o", "json", &file]).ends_with(1).json();
    let found = found.as_array().expect("an array");
    let errors = found.iter().filter(|one| one["severity"] == "error").count();
    assert_eq!(errors, faults, "{found:#?}");
    for one in found {
        let place = format!("{file}:{}:{}", one["line"], one["column"]);
        assert!(one["line"].as_u64().is_some_and(|line| line > 0), "{one}");
        assert!(ran.stdout.contains(&place), "{place} is not in\n{}", ran.stdout);
    }
    let places: Vec<_> = found.iter().map(|one| (one["line"].as_u64(), one["column"].as_u64())).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn check_finds_all_unknown_keys() {
    check_broken("broken_keys", 7);
}

#[test]
fn check_finds_all_impossible_values() {
    check_broken("broken_values", 7);
}

#[test]
fn check_finds_all_sources_that_cannot_work() {
    check_broken("broken_sources", 7);
}

#[test]
fn check_finds_all_rules_that_mean_nothing() {
    check_broken("broken_rules", 8);
}

/// Scenario: the faults are in the lines of secrets.
/// Guarantees: the lines are shown, the secrets are not.
#[test]
fn check_prints_no_secret() {
    for name in ["broken_keys", "broken_values", "broken_sources", "broken_twice", "broken_syntax"] {
        let shown = faultline(&["check", &format!("{name}.yaml")]).ends_with(1).stdout;
        assert!(shown.contains("****"), "{shown}");
        assert!(!shown.contains("-test-"), "{shown}");
    }
}

/// Scenario: keys are given twice, and other things are wrong as well.
/// Guarantees: all of it is found in one run, in the order of the file.
#[test]
fn check_finds_keys_that_are_given_twice_and_all_else() {
    check_broken("broken_twice", 5);
}

/// Scenario: the syntax is wrong, which hides what comes after it.
/// Guarantees: the place of the mistake.
#[test]
fn check_finds_where_the_syntax_is_wrong() {
    check_broken("broken_syntax", 1);
}

#[test]
fn check_is_content_with_the_configurations_of_all_scenarios() {
    let scenarios = fs::read_dir(workspace().join("tests/scenarios")).expect("can be listed");
    let configs: Vec<PathBuf> = scenarios
        .map(|entry| entry.expect("can be listed").path().join("config.yaml"))
        .filter(|path| path.is_file())
        .collect();
    let mut arguments = vec!["check".to_owned()];
    arguments.extend(configs.iter().map(|path| path.display().to_string()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = faultline(&arguments).ends_with(0);
    assert_eq!(ran.stdout.lines().filter(|line| line.contains(": fine")).count(), configs.len());
}

#[test]
fn check_shows_the_line_and_column_of_a_mistake_in_the_syntax() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("faultline.yaml").display().to_string();
    for (text, place, line) in
        [("sources: [\n  }\n", "1:10", "1 | sources: ["), ("marking: on\nsources:\n  pd: @x\n", "3:7", "3 |   pd: @x")]
    {
        fs::write(&path, text).expect("can be written");
        let ran = faultline(&["check", &path]).ends_with(1);
        assert!(ran.stdout.contains(&format!("{path}:{place}\n")), "{}", ran.stdout);
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
}

/// Scenario: between files with faults are some that cannot be read: missing, a folder, not UTF-8.
/// Guarantees: each of them is a fault, and the files after them are looked at too.
#[test]
fn check_goes_on_behind_a_file_that_cannot_be_read() {
    let ran = faultline(&["check", "broken_keys.yaml", "missing.yaml", "faultline.yaml"]).ends_with(1);
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.contains("error: cannot read the configuration: No such file"), "{}", ran.stdout);
    for verdict in ["broken_keys.yaml: 7 faults\n", "missing.yaml: 1 fault\n", "faultline.yaml: fine\n"] {
        assert!(ran.stdout.contains(verdict), "{}", ran.stdout);
    }

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bytes = folder.path().join("bytes.yaml").display().to_string();
    fs::write(&bytes, b"marking: \xff\n").expect("can be written");
    let directory = folder.path().display().to_string();
    let files = ["check", "-o", "json", "missing.yaml", &directory, &bytes, "broken_keys.yaml"];
    let found = faultline(&files).ends_with(1).json();
    let found = found.as_array().expect("an array");
    assert_eq!(found.len(), 3 + 7);
    for (one, file) in found.iter().zip(["missing.yaml", &directory, &bytes]) {
        assert_eq!((one["file"].as_str(), one["severity"].as_str()), (Some(file), Some("error")));
        assert!(one["line"].is_null() && one["column"].is_null(), "{one}");
    }
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
    let one = faultline(&["incidents", "2026-031", "--config", "faultline.yaml", "--state", &state, "--at", LATER]);
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

// === explain, gaps, inspect ===

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

#[test]
fn inspect_shows_the_contract_and_no_way_out() {
    let ran = faultline(&["inspect"]).ends_with(0);
    for function in [
        "configure",
        "interest",
        "process",
        "receive",
        "merge",
        "expire",
        "state",
        "open",
        "find",
        "explain",
        "gaps",
        "counters",
    ] {
        assert!(ran.stdout.contains(&format!("\n    {function}: func(")), "{function} is not in\n{}", ran.stdout);
    }
    let found = faultline(&["inspect", "-o", "json"]).ends_with(0).json();
    let exports: Vec<_> =
        found["exports"].as_array().expect("an array").iter().map(|one| one["name"].clone()).collect();
    let name = |interface: &str| format!("faultline:incident/{interface}@0.1.0");
    assert_eq!(exports, [name("types"), name("processor"), name("incidents")]);
    // Versions of WASI follow the standard library, so that only the interfaces are compared.
    for import in found["imports"].as_array().expect("an array") {
        let import = import["name"].as_str().expect("a text");
        assert!(import.starts_with("wasi:cli/") || import.starts_with("wasi:io/"), "{import}");
    }
}

#[test]
fn inspect_shows_a_core_module_with_its_core_types() {
    let core = workspace().join("target/guests/faultline-core.wasm").display().to_string();
    let ran = faultline(&["inspect", &core]).ends_with(0);
    assert!(ran.stdout.starts_with(&format!("{core}: a core WebAssembly module, ")), "{}", ran.stdout);
    let process = "  faultline:incident/processor@0.1.0\n    configure: func(i32, i32, i32, i32) -> i32\n";
    assert!(ran.stdout.contains(process), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nimports\n  nothing\n"), "{}", ran.stdout);
    let found = faultline(&["inspect", "-o", "json", &core]).ends_with(0).json();
    assert_eq!(found["kind"], "module");
    assert_eq!(found["imports"].as_array().map(Vec::len), Some(0));
    assert!(found["built_with"]["sdk"]["faultline"].is_string(), "{found}");
}

/// Scenario: a core module that has a function from its host and gives it on.
/// Guarantees: both are listed, each with its type, whatever the order of their indexes.
#[test]
fn inspect_lists_what_a_core_module_asks_for() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("module.wasm").display().to_string();
    let sections: [&[u8]; 4] = [
        b"\0asm\x01\0\0\0",
        // Types: (i32, i64) -> f32, and () -> ().
        b"\x01\x0a\x02\x60\x02\x7f\x7e\x01\x7d\x60\0\0",
        // Imports: `clock.now` of the first type.
        b"\x02\x0d\x01\x05clock\x03now\0\0",
        // Exports: that function as `again`.
        b"\x07\x09\x01\x05again\0\0",
    ];
    fs::write(&path, sections.concat()).expect("can be written");
    let ran = faultline(&["inspect", &path]).ends_with(0);
    assert!(ran.stdout.contains("\nimports\n  clock\n    now: func(i32, i64) -> f32\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nexports\n  again\n    func(i32, i64) -> f32\n"), "{}", ran.stdout);
}

#[test]
fn inspect_says_what_a_file_is_that_is_no_plugin() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("newer.wasm").display().to_string();
    fs::write(&path, b"\0asm\x02\0\0\0").expect("can be written");
    let ran = faultline(&["inspect", &path]).ends_with(1);
    assert!(ran.stderr.contains("is WebAssembly of an unknown version"), "{}", ran.stderr);
    let ran = faultline(&["inspect", "open.json"]).ends_with(1);
    assert!(ran.stderr.contains("open.json is not WebAssembly"), "{}", ran.stderr);
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
