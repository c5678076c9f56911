//! Encrypted stores, from `init --encrypt` to the worst day.

use std::fs;
use std::path::Path;

use dbsnap::sandbox::Sample;
use serde_json::Value;

use crate::support::{Served, TestEnv};

const STORE: &str = ".local/share/dbsnap/store";
const PASSWORD: &str = "correct horse battery staple";
/// What the sample workspace has and nobody may find in the store.
const CANARIES: [&str; 4] = ["ana@example.com", "report", "data.bin", "127.0.0.1"];

fn exit_code(env: &TestEnv, arguments: &[&str]) -> i32 {
    env.output(arguments).status.code().unwrap()
}

/// Creates the store and returns its recovery key.
fn init(env: &TestEnv) -> String {
    env.write("password", &format!("{PASSWORD}\n"));
    let output = env.output(&["init", "--encrypt", "--password-file", "password"]);
    assert!(output.status.success(), "{output:?}");
    let key = String::from_utf8(output.stdout).unwrap();
    assert!(key.starts_with("AGE-SECRET-KEY-1") && key.lines().count() == 1);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("recovery key") && !words.contains(PASSWORD));
    key
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let name = path.to_str().unwrap().to_owned();
            found.push((name, fs::read(path).unwrap()));
        }
    }
    found
}

fn labels(document: &Value) -> Vec<&str> {
    let keys = document["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["label"].as_str().unwrap())
        .collect()
}

#[test]
fn a_workspace_goes_into_an_encrypted_store_and_back_and_nothing_shows() {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.add_user("ana@example.com");
    workspace.put_notebook("/Users/ana@example.com/report", "PYTHON", "print(1)\n");
    workspace.put_file("/Shared/data.bin", b"print(2)");
    let mut env = served.env();
    let recovery = init(&env);
    env.write("recovery", &recovery);
    env.set(
        "DBSNAP_IDENTITY_FILE",
        env.path("recovery").to_str().unwrap(),
    );
    let backup = env.json(&["backup", "--profile", "DEMO"]);
    let id = backup["id"].as_str().unwrap().to_owned();
    let listed = env.json(&["snapshots"]);
    assert_eq!(listed["snapshots"][0]["id"], id.as_str());
    workspace.remove("/Shared/data.bin");
    let restore = ["restore", "latest", "--profile", "DEMO", "--yes"];
    assert_eq!(exit_code(&env, &restore), 0);
    assert_eq!(
        exit_code(
            &env,
            &["restore", "latest", "--profile", "DEMO", "--undo", "--yes"]
        ),
        0
    );
    assert_eq!(
        exit_code(&env, &["diff", "latest", "live", "--profile", "DEMO"]),
        0
    );
    assert_eq!(exit_code(&env, &["check", "--read-data"]), 0);
    assert_eq!(exit_code(&env, &["prune"]), 0);

    let all = files(&env.path(STORE));
    assert!(all.iter().any(|(name, _)| name.contains("/restores/")));
    for (name, bytes) in all {
        let name = name
            .strip_prefix(env.path(STORE).to_str().unwrap())
            .unwrap();
        for canary in CANARIES.iter().chain([&&id[..12], &PASSWORD]) {
            let shows = bytes
                .windows(canary.len())
                .any(|part| part == canary.as_bytes());
            assert!(!shows && !name.contains(*canary), "{canary} in {name}");
        }
    }
}

#[test]
fn without_its_key_or_with_a_wrong_one_a_store_stays_closed() {
    let mut env = TestEnv::new();
    let recovery = init(&env);
    insta::assert_snapshot!("encrypted-without-key", env.run(&["snapshots"]));
    assert_eq!(env.json(&["snapshots"])["error"]["exit_code"], 12);
    env.write("wrong", "Correct horse battery staple");
    let wrong = ["snapshots", "--password-file", "wrong"];
    insta::assert_snapshot!("encrypted-wrong-key", env.run(&wrong));
    assert_eq!(
        exit_code(&env, &["snapshots", "--password-command", "cat password"]),
        0
    );
    env.write("recovery", &recovery);
    assert_eq!(
        exit_code(&env, &["snapshots", "--identity-file", "recovery"]),
        0
    );
    env.set("DBSNAP_PASSWORD", PASSWORD);
    assert_eq!(exit_code(&env, &["snapshots"]), 0);
}

#[test]
fn the_settings_say_where_the_password_is() {
    let env = TestEnv::new();
    init(&env);
    env.write(
        ".config/dbsnap/dbsnap.toml",
        "[keys]\npassword-file = \"../../password\"\n",
    );
    assert_eq!(exit_code(&env, &["check"]), 0);
}

#[test]
fn keys_come_and_go_but_the_last_one_stays() {
    let mut env = TestEnv::new();
    let recovery = init(&env);
    env.write("recovery", &recovery);
    env.set(
        "DBSNAP_IDENTITY_FILE",
        env.path("recovery").to_str().unwrap(),
    );
    assert_eq!(
        labels(&env.json(&["key", "list"])),
        ["password", "recovery"]
    );
    insta::assert_snapshot!("key-list", env.run(&["key", "list"]));
    insta::assert_snapshot!("key-remove", env.run(&["key", "remove", "password"]));
    insta::assert_snapshot!("key-remove-last", env.run(&["key", "remove", "recovery"]));
    insta::assert_snapshot!(
        "key-remove-none",
        env.run(&["key", "remove", "recovery", "nobody"])
    );

    let added = env.json(&["key", "add", "--recovery-key", "--label", "second"]);
    assert_eq!(labels(&added), ["second"]);
    env.write("second", added["recovery_key"].as_str().unwrap());
    assert_eq!(
        exit_code(
            &env,
            &["key", "remove", "recovery", "--identity-file", "second"]
        ),
        0
    );
    assert_eq!(exit_code(&env, &["key", "list"]), 12);
    assert_eq!(
        exit_code(&env, &["key", "list", "--identity-file", "second"]),
        0
    );
    let recipient = "ana=age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let add = [
        "key",
        "add",
        "--recipient",
        recipient,
        "--identity-file",
        "second",
    ];
    insta::assert_snapshot!("key-add", env.run(&add));
}

#[test]
fn a_password_is_changed_and_the_old_one_opens_nothing_any_more() {
    let env = TestEnv::new();
    init(&env);
    env.write("new", "entirely new");
    let change = ["key", "change-password", "--password-file", "password"];
    insta::assert_snapshot!("key-change-nobody-to-ask", env.run(&change));
    let change = [&change[..], &["--new-password-file", "new"]].concat();
    insta::assert_snapshot!("key-change", env.run(&change));
    assert_eq!(
        exit_code(&env, &["key", "list", "--password-file", "password"]),
        12
    );
    assert_eq!(
        labels(&env.json(&["key", "list", "--password-file", "new"])),
        ["password", "recovery"]
    );
}

#[test]
fn a_key_and_a_store_that_is_not_encrypted_do_not_go_together() {
    let served = Served::start(Sample::Empty);
    let mut env = served.env();
    env.write("password", PASSWORD);
    let with_key = |command: &[&str]| {
        let key = ["--password-file", "password"];
        env.run(&[command, &key].concat())
    };
    insta::assert_snapshot!("key-without-encrypt", with_key(&["init"]));
    let backup = with_key(&["backup", "--profile", "DEMO"]);
    assert!(!env.path(STORE).exists(), "{backup}");
    assert!(backup.contains("dbsnap init --encrypt"), "{backup}");
    assert_eq!(exit_code(&env, &["init"]), 0);
    insta::assert_snapshot!("key-to-plain-store", with_key(&["snapshots"]));
    insta::assert_snapshot!("keys-of-plain-store", env.run(&["key", "list"]));
    env.set("DBSNAP_PASSWORD", PASSWORD);
    env.set("DBSNAP_PASSWORD_FILE", "password");
    insta::assert_snapshot!("two-passwords", env.run(&["snapshots"]));
}

#[test]
fn an_encrypted_store_is_not_created_with_too_few_keys() {
    let env = TestEnv::new();
    insta::assert_snapshot!("encrypt-without-key", env.run(&["init", "--encrypt"]));
    let recipient = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let one = [
        "init",
        "--encrypt",
        "--no-recovery-key",
        "--recipient",
        recipient,
    ];
    insta::assert_snapshot!("encrypt-one-key", env.run(&one));
    let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let output = env.output(&["init", "--encrypt", "--recipient", secret]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("secret age identity") && !words.contains(secret),
        "{words}"
    );
    assert!(!env.path(STORE).exists());
    let two = env.json(&[
        "init",
        "--encrypt",
        "--recipient",
        recipient,
        "--recipient",
        &format!("b={recipient}"),
        "--no-recovery-key",
    ]);
    assert_eq!(labels(&two), ["b", "recipient"]);
    assert!(two["recovery_key"].is_null());
}
