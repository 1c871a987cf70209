//! `faultline check`.

use super::*;

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

/// Scenario: values come from the environment and from files; some references lead nowhere, some values cannot be used.
/// Guarantees: each is a fault with its place; no value from outside is shown.
#[test]
fn check_resolves_references_and_shows_nothing_of_them() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("faultline.yaml");
    fs::write(folder.path().join("secret"), "from-a-file\n").expect("can be written");
    let check = |text: &str| {
        fs::write(&path, text).expect("can be written");
        let mut command = command(&["check", &path.display().to_string()]);
        command.env("FAULTLINE_TEST_KIND", "letmein-kind").env("FAULTLINE_TEST_BYTES", "65536").env_remove("MISSING");
        run(command, b"")
    };
    let good = "limits: { batch_bytes: \"${env:FAULTLINE_TEST_BYTES}\" }\n";
    let text = check(good).ends_with(1).stdout;
    assert!(text.contains("expected a whole number") && !text.contains("65536"), "quotes make a text: {text}");
    let good = "limits:\n  batch_bytes: ${env:FAULTLINE_TEST_BYTES}\nmarking: ${env:MISSING:-off}\n\
                sources:\n  a: { kind: pagerduty, secrets: ['${file:secret}'] }\n";
    check(good).ends_with(0);

    let ran = check(
        "marking: ${env:MISSING}\nsources:\n  a:\n    kind: ${env:FAULTLINE_TEST_KIND}\n    secrets: ['${file:gone}']\n\
         window:\n  grace: ${file:secret}\n",
    )
    .ends_with(1);
    for expected in [
        "there is no environment variable `MISSING`",
        "faultline.yaml:1:10",
        "unknown variant `***`, expected one of `pagerduty`",
        "faultline.yaml:4:11",
        "gone: No such file",
        "faultline.yaml:5:15",
        "`***` is not a duration",
        "faultline.yaml:7:10",
        "faultline.yaml: 4 faults",
    ] {
        assert!(ran.stdout.contains(expected), "{expected} is not in\n{}", ran.stdout);
    }
    for secret in ["letmein", "from-a-file"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}", ran.stdout);
    }
}
