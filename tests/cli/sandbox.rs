//! The sandbox as a process of its own.

use crate::support::TestEnv;

#[test]
#[cfg(unix)]
fn a_sandbox_that_is_stopped_tells_what_was_asked_of_every_endpoint() {
    use std::process::{Command, Stdio};

    use serde_json::{Deserializer, Value, json};

    use crate::support::TOKEN;

    let env = TestEnv::new();
    let arguments = [
        "--json",
        "--quiet",
        "--token",
        TOKEN,
        "--requests",
        "asked.json",
    ];
    let mut command = env.command(&[&["sandbox"], &arguments[..]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // It says where it listens, and then nothing more until it is stopped.
    let said = Deserializer::from_reader(child.stdout.take().unwrap()).into_iter::<Value>();
    let said = said.map(Result::unwrap).next().unwrap();
    assert_eq!(std::fs::read_to_string(env.path("asked.json")).unwrap(), "");
    let host = said["host"].as_str().unwrap();
    env.write(
        ".databrickscfg",
        &format!("[DEMO]\nhost = {host}\ntoken = {TOKEN}\n"),
    );
    env.output(&["backup", "--profile", "DEMO", "--only", "users"]);
    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(stopped.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let asked = std::fs::read(env.path("asked.json")).unwrap();
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let users = &asked["endpoints"]["GET /api/2.0/preview/scim/v2/Users"];
    let expected = json!({"asked": 1, "succeeded": 1, "succeeded_for_others": 0});
    assert_eq!(users, &expected, "{asked:#}");
    let nobody = json!({"asked": 0, "succeeded": 0, "succeeded_for_others": 0});
    for endpoint in ["POST /api/2.1/jobs/reset", "POST /oidc/v1/token"] {
        assert_eq!(asked["endpoints"][endpoint], nobody, "{endpoint}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_anybody_is_served() {
    insta::assert_snapshot!(
        "requests-nowhere",
        TestEnv::new().run(&["sandbox", "--requests", "nowhere/asked.json"])
    );
}
