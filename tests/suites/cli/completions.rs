//! `faultline completions` and `faultline schema`.

use super::*;

fn script(shell: &str) -> String {
    let ran = faultline(&["completions", shell]).ends_with(0);
    assert_eq!(ran.stderr, "");
    ran.stdout
}

/// Has a shell read a script without running it; `None` when the shell is not there.
fn read_by(shell: &str, script: &str) -> Option<Output> {
    let mut child = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("the shell reads");
    Some(child.wait_with_output().expect("the shell ends"))
}

#[test]
fn completions_name_every_command_for_every_shell() {
    let help = faultline(&["--help"]).ends_with(0).stdout;
    let listed =
        help.split_once("Commands:").and_then(|(_, rest)| rest.split_once("Options:")).expect("it lists them").0;
    let commands: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"replay") && commands.contains(&"completions"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = script(shell);
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    faultline(&["completions", "tcsh"]).ends_with(2);
}

#[test]
fn shells_can_read_their_completions() {
    let ran = read_by("bash", &script("bash")).expect("there is a bash where tests run");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(!read_by("bash", "complete -F (").expect("bash").status.success(), "it would notice a mistake");
    for shell in ["zsh", "fish"] {
        if let Some(ran) = read_by(shell, &script(shell)) {
            assert!(ran.status.success(), "{shell}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}

#[test]
fn schema_is_printed_as_it_is_tested() {
    let ran = faultline(&["schema"]).ends_with(0);
    assert_eq!(ran.stdout, faultline::commands::schema::SCHEMA);
    assert_eq!(ran.json()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}
