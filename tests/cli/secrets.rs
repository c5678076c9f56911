//! Secret values: in an encrypted store when they are asked for, and nowhere else.

use std::path::Path;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dbsnap::sandbox::{Effect, Faults, Rule, Sample};
use serde_json::{Value, json};

use crate::support::{Served, TOKEN, TestEnv};

const PASSWORD: &str = "correct horse battery staple";
/// Values that are in the workspace, and must be in nothing that can be read without a key.
const SHORT: &str = "canary-7c41d9";
const LONG: &str = "canary-long-5a0e: ";

fn long() -> String {
    LONG.repeat(400)
}

/// A workspace with two canaries, and a home with an encrypted store.
fn start() -> (Served, TestEnv) {
    let served = Served::start(Sample::Small);
    let workspace = &served.running.workspace;
    for (key, value) in [("api-token", SHORT.to_owned()), ("long", long())] {
        let body = json!({"scope": "etl", "key": key, "string_value": value});
        let put = workspace.call("POST", "/api/2.0/secrets/put", body);
        assert_eq!(put.0, 200);
    }
    let mut env = served.env();
    env.write("password", &format!("{PASSWORD}\n"));
    let init = env.output(&["init", "--encrypt", "--password-file", "password"]);
    assert_eq!(code(&init), 0, "{init:?}");
    // A password takes a second to try; it is used once, and the recovery key from then on.
    let recovery = env.write("recovery", &String::from_utf8(init.stdout).unwrap());
    let check = env.output(&["check", "--structure", "--password-file", "password"]);
    assert_eq!(code(&check), 0, "{check:?}");
    env.set("DBSNAP_IDENTITY_FILE", recovery.to_str().unwrap());
    (served, env)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Everything that would give a secret away, by name.
fn needles() -> Vec<(&'static str, Vec<u8>)> {
    let mut needles: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, value) in [
        ("the short value", SHORT.to_owned()),
        ("the long value", LONG.to_owned()),
        ("the token", TOKEN.to_owned()),
        ("the password", PASSWORD.to_owned()),
    ] {
        // As it is, as the API sends it, and in the middle of something longer that is sent alike.
        let encoded = STANDARD.encode(&value);
        needles.push((
            name,
            encoded.trim_end_matches('=').as_bytes()[..16].to_vec(),
        ));
        needles.push((name, value.into_bytes()));
    }
    needles
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Fails if a secret is in the bytes, also if those are compressed frames, which are opened.
fn assert_clean(place: &str, bytes: &[u8]) {
    for (what, needle) in needles() {
        assert!(!contains(bytes, &needle), "{what} is in {place}");
    }
}

fn assert_store_is_clean(folder: &Path) {
    let mut seen = 0;
    for entry in walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
    {
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert_clean(&entry.path().display().to_string(), &bytes);
            seen += 1;
        }
    }
    assert!(seen > 0, "{}", folder.display());
}

fn run(env: &TestEnv, arguments: &[&str]) -> Output {
    let output = env.output(arguments);
    let place = format!("the output of {arguments:?}");
    assert_clean(&format!("stdout: {place}"), &output.stdout);
    assert_clean(&format!("stderr: {place}"), &output.stderr);
    output
}

/// What the search would find if values were written without a seal, as a test of the search itself.
#[test]
fn the_search_finds_what_is_written_bare() {
    let found = |text: String| {
        needles()
            .iter()
            .any(|(_, needle)| contains(text.as_bytes(), needle))
    };
    assert!(found(format!("x{SHORT}y")));
    assert!(found(format!(
        "{{\"value\":\"{}\"}}",
        STANDARD.encode(SHORT)
    )));
    assert!(found(format!(
        "{{\"value\":\"{}\"}}",
        STANDARD.encode(long())
    )));
    assert!(!found("nothing of the kind".to_owned()));
}

#[test]
fn a_whole_run_with_faults_leaves_no_secret_anywhere() {
    let (served, env) = start();
    let target = Served::start(Sample::Empty);
    env.write(
        ".databrickscfg",
        &format!(
            "[DEMO]\nhost = {}\ntoken = {TOKEN}\nretry_timeout_seconds = 5\n\n[NEW]\nhost = {}\ntoken = {TOKEN}\nretry_timeout_seconds = 5\n",
            served.running.url, target.running.url
        ),
    );
    let faults = || Faults {
        internal: 0.02,
        broken: 0.02,
        lost_answers: 0.02,
        ..Faults::default()
    };
    served.running.workspace.set_faults(faults());
    target.running.workspace.set_faults(faults());
    let refuse = |message: &str| Effect::Refuse {
        status: 400,
        code: "BAD_REQUEST".into(),
        message: message.into(),
    };
    let get = Rule::new("/api/2.0/secrets/get", refuse("not outside a cluster")).target("pass");
    served.running.workspace.inject(get);
    // The worst service repeats what it was sent.
    let message = format!("cannot take {SHORT} ({})", STANDARD.encode(SHORT));
    let put = Rule::new("/api/2.0/secrets/put", refuse(&message)).target("api-token");
    target.running.workspace.inject(put);

    let values = ["--secret-values", "-vv"];
    let backup = run(
        &env,
        &[&["backup", "--profile", "DEMO"], &values[..]].concat(),
    );
    assert_eq!(code(&backup), 3, "{backup:?}");
    let restore = ["restore", "latest", "-p", "NEW", "--yes"];
    let people = ["-vv", "--missing-users", "create"];
    run(&env, &[&restore[..], &people].concat());
    // Enough of the dice; the worst service stays what it is.
    served.running.workspace.set_faults(Faults::default());
    target.running.workspace.set_faults(Faults {
        rules: vec![Rule::new("/api/2.0/secrets/put", refuse(&message)).target("api-token")],
        ..Faults::default()
    });
    run(
        &env,
        &["backup", "--profile", "DEMO", "--secret-values", "--json"],
    );
    for arguments in [
        &["show", "latest"][..],
        &["show", "latest", "--json"],
        &["ls", "latest", "--json"],
        &["cat", "latest", "secret-scope/etl"],
        &["cat", "latest", "secret-scope/etl", "--json"],
        &["stats", "latest", "--json"],
        &["check", "--read-data"],
        &["export", "latest", "plain", "--json"],
        &["restore", "latest", "-p", "NEW", "--dry-run", "--json"],
        &[
            "restore",
            "latest",
            "-p",
            "NEW",
            "--yes",
            "--json",
            "--on-conflict",
            "overwrite",
        ],
        &[
            "restore", "latest", "-p", "NEW", "--undo", "--yes", "--json",
        ],
    ] {
        run(&env, arguments);
    }
    let new = json!({"scope": "etl", "key": "long", "string_value": format!("{SHORT} again")});
    let workspace = &served.running.workspace;
    assert_eq!(workspace.call("POST", "/api/2.0/secrets/put", new).0, 200);
    for arguments in [
        &["diff", "latest", "live", "-p", "DEMO"][..],
        &["diff", "latest", "live", "-p", "DEMO", "--json"],
    ] {
        let diff = run(&env, arguments);
        let text = String::from_utf8(diff.stdout).unwrap();
        assert!(text.contains("long"), "{text}");
    }
    let store = env.path(".local/share/dbsnap/store");
    assert!(store.join("restores").is_dir());
    assert_store_is_clean(&store);
    assert_store_is_clean(&env.path("plain"));

    // What goes into a plain store is not even read.
    workspace.forget_requests();
    let plain = TestEnv::with_host(&served.running.url);
    run(&plain, &["backup", "--profile", "DEMO", "-vv"]);
    assert_eq!(workspace.requests().to("secrets/get"), 0);
    assert_store_is_clean(&plain.path(".local/share/dbsnap/store"));
}

#[test]
fn values_come_back_and_are_shown_only_to_who_asks_for_them() {
    let (served, env) = start();
    let backup = run(&env, &["backup", "-p", "DEMO", "--secret-values", "--json"]);
    assert_eq!(code(&backup), 3, "the library in the tree is a gap");
    let asked = env.output(&["cat", "latest", "secret-scope/etl", "--secret-values"]);
    let shown: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(shown["api-token"], STANDARD.encode(SHORT));
    let none = run(
        &env,
        &["cat", "latest", "secret-scope/vault", "--secret-values"],
    );
    assert_eq!(code(&none), 1);
    let none = run(
        &env,
        &["cat", "latest", "notebook/nothing", "--secret-values"],
    );
    assert_eq!(code(&none), 1);

    let workspace = &served.running.workspace;
    let gone = json!({"scope": "etl"});
    workspace.call("POST", "/api/2.0/secrets/scopes/delete", gone);
    let restore = [
        "restore",
        "latest",
        "-p",
        "DEMO",
        "--kind",
        "secret-scopes",
        "--yes",
    ];
    assert_eq!(code(&run(&env, &restore)), 0);
    let path = "/api/2.0/secrets/get?scope=etl&key=api-token";
    let back = workspace.call("GET", path, Value::Null).1;
    assert_eq!(back["value"], STANDARD.encode(SHORT));
    assert_eq!(
        code(&run(
            &env,
            &[
                "diff",
                "latest",
                "live",
                "-p",
                "DEMO",
                "--kind",
                "secret-scopes"
            ]
        )),
        0
    );
}

#[test]
fn a_store_that_is_not_encrypted_is_refused_before_anything_is_read() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    let missing = env.output(&["backup", "-p", "DEMO", "--secret-values"]);
    assert_eq!(code(&missing), 10);
    assert_eq!(code(&env.output(&["init"])), 0);
    let output = env.output(&["backup", "-p", "DEMO", "--secret-values"]);
    assert_eq!(code(&output), 2);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("is not encrypted"), "{words}");
    assert_eq!(served.running.workspace.requests().total, 0);
}

#[test]
fn snapshots_with_values_are_copied_into_no_plain_store() {
    let (_served, env) = start();
    run(
        &env,
        &[
            "backup",
            "-p",
            "DEMO",
            "--secret-values",
            "--only",
            "secret-scopes",
        ],
    );
    let plain = env.path("plain");
    let mut bare = TestEnv::new();
    bare.set("DBSNAP_STORE", plain.to_str().unwrap());
    assert_eq!(code(&bare.output(&["init"])), 0);
    let copy = run(&env, &["copy", "--to", plain.to_str().unwrap()]);
    assert_ne!(code(&copy), 0);
    let listed = bare.json(&["snapshots"]);
    assert_eq!(listed["snapshots"], json!([]));
    assert_store_is_clean(&plain);
}

#[test]
fn values_that_are_not_in_the_snapshot_are_named_and_show_in_the_exit_code() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    env.output(&["backup", "-p", "DEMO"]);
    let gone = json!({"scope": "docker"});
    let workspace = &served.running.workspace;
    workspace.call("POST", "/api/2.0/secrets/scopes/delete", gone);
    let restore = [
        "restore",
        "latest",
        "-p",
        "DEMO",
        "--kind",
        "secret-scopes",
        "--yes",
    ];
    let output = run(&env, &restore);
    assert_eq!(code(&output), 3);
    let said =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("must be set by hand: pass, user"), "{said}");
}
