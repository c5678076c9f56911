//! What a user sees when something is wrong: whole outputs.

use dbsnap::sandbox::{Effect, Rule, Sample};

use crate::support::{Served, TestEnv, nobody, serve_always};

macro_rules! assert_run {
    ($name:literal, $env:expr, $($argument:expr),+ $(,)?) => {
        insta::assert_snapshot!($name, $env.run(&[$($argument),+]))
    };
}

#[test]
fn no_profile_and_no_host() {
    assert_run!("no-profile", TestEnv::new(), "backup");
}

#[test]
fn a_profile_and_no_file_of_profiles() {
    assert_run!(
        "no-profile-file",
        TestEnv::new(),
        "backup",
        "--profile",
        "DEMO"
    );
}

#[test]
fn a_profile_that_is_not_in_the_file() {
    let env = TestEnv::with_host("https://example.cloud.databricks.com");
    assert_run!("unknown-profile", env, "backup", "--profile", "DMEO");
}

#[test]
fn a_host_without_credentials() {
    let served = Served::start(Sample::Empty);
    assert_run!(
        "no-token",
        TestEnv::new(),
        "backup",
        "--host",
        &served.running.url,
        "--auth-type",
        "pat"
    );
}

#[test]
fn credentials_of_two_kinds() {
    let mut env = TestEnv::with_host("https://example.cloud.databricks.com");
    env.set("DATABRICKS_CLIENT_ID", "client");
    env.set("DATABRICKS_CLIENT_SECRET", "hush");
    assert_run!("two-credentials", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_token_that_is_not_accepted() {
    let served = Served::start(Sample::Empty);
    let mut env = TestEnv::new();
    env.set("DATABRICKS_HOST", &served.running.url);
    env.set("DATABRICKS_TOKEN", "dapi-expired-yesterday");
    let output = env.run(&["backup"]);
    assert!(!output.contains("dapi-expired"), "{output}");
    insta::assert_snapshot!("expired-token", output);
}

#[test]
fn a_host_where_nobody_listens() {
    let env = TestEnv::with_host(&nobody());
    assert_run!("wrong-host", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_host_that_is_no_address() {
    let env = TestEnv::with_host("ftp://example.com");
    assert_run!("no-address", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_host_that_answers_with_a_web_page() {
    let host = serve_always("text/html", "<!doctype html><title>Sign in</title>");
    let env = TestEnv::with_host(&host);
    assert_run!("html-host", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_host_that_answers_with_broken_json() {
    let host = serve_always("application/json", "{\"userName\": ");
    let env = TestEnv::with_host(&host);
    assert_run!("broken-json", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_store_that_is_not_there() {
    assert_run!("no-store", TestEnv::new(), "snapshots");
}

#[test]
fn a_store_that_is_not_there_as_json() {
    assert_run!("no-store-json", TestEnv::new(), "snapshots", "--json");
}

#[test]
fn a_store_that_is_something_else() {
    let env = TestEnv::new();
    env.write("photos/holiday.jpg", "cheese");
    assert_run!("not-a-store", env, "snapshots", "--store", "photos");
}

#[test]
fn a_store_that_is_a_file() {
    let env = TestEnv::new();
    env.write("store", "a file");
    assert_run!("store-is-a-file", env, "init", "--store", "store");
    assert_run!("store-is-a-file-read", env, "snapshots", "--store", "store");
}

#[test]
fn a_store_that_cannot_be_made() {
    // A file where a directory is needed: nobody can write there, not even root.
    let env = TestEnv::new();
    env.write("file", "in the way");
    assert_run!("store-in-a-file", env, "init", "--store", "file/store");
}

#[test]
fn a_store_that_is_there_already() {
    let env = TestEnv::new();
    assert_run!("init", env, "init");
    assert_run!("init-again", env, "init");
}

#[test]
fn a_store_of_a_newer_version() {
    let env = TestEnv::new();
    env.run(&["init", "--store", "store"]);
    let config = env.path("store/dbsnap.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let newer = text.replace("\"format\": 1", "\"format\": 99");
    assert_ne!(text, newer);
    // Its checksum would be another one as well.
    let newer = newer.replace("\"check\"", "\"checksum\"");
    env.write("store/dbsnap.json", &newer);
    assert_run!("newer-store", env, "snapshots", "--store", "store");
}

#[test]
fn snapshots_that_are_not_there() {
    let env = TestEnv::new();
    env.run(&["init"]);
    assert_run!("no-snapshots", env, "show", "latest");
    assert_run!("no-snapshot-name", env, "show", "yesterday");
    assert_run!("live-is-no-snapshot", env, "ls", "live");
}

#[test]
fn an_ambiguous_snapshot() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    // Of seventeen ids two begin with the same digit.
    for number in 0..17 {
        let tag = number.to_string();
        env.output(&[
            "backup",
            "--profile",
            "DEMO",
            "--only",
            "users",
            "--tag",
            &tag,
        ]);
    }
    let listed = env.output(&["snapshots", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let ids = listed["snapshots"].as_array().unwrap().iter();
    let mut first: Vec<char> = ids
        .map(|head| head["id"].as_str().unwrap().chars().next().unwrap())
        .collect();
    assert_eq!(first.len(), 17);
    first.sort_unstable();
    let twice = first.windows(2).find(|pair| pair[0] == pair[1]).unwrap()[0];
    let output = env.run(&["show", &twice.to_string()]);
    assert!(
        output.contains("may be any of [SHORT ID] (2026-01-02T03:"),
        "{output}"
    );
    assert!(output.contains("hint: give more of the id"));
    assert!(output.contains("--- exit code 1"));
}

#[test]
fn an_unknown_kind() {
    let env = TestEnv::with_host(&nobody());
    assert_run!(
        "unknown-kind",
        env,
        "backup",
        "--profile",
        "DEMO",
        "--only",
        "users,notebok"
    );
}

#[test]
fn kinds_the_older_tool_had_and_this_has_not_yet() {
    let env = TestEnv::with_host(&nobody());
    assert_run!(
        "metastore",
        env,
        "backup",
        "--profile",
        "DEMO",
        "--metastore"
    );
}

#[test]
fn a_rate_that_is_none() {
    let env = TestEnv::with_host(&nobody());
    assert_run!(
        "bad-rate",
        env,
        "backup",
        "--profile",
        "DEMO",
        "--rate-limit",
        "exprot=5"
    );
}

#[test]
fn a_map_file_that_is_broken_or_a_directory() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    env.write(
        "map.csv",
        "old,new\nana@a.com,ana@b.com\nbob@a.com;bob@b.com\n",
    );
    env.write("map/file", "");
    let restore = |file| env.run(&["restore", "latest", "--profile", "DEMO", "--map-file", file]);
    insta::assert_snapshot!("broken-map-file", restore("map.csv"));
    insta::assert_snapshot!("map-file-is-a-directory", restore("map"));
    insta::assert_snapshot!("no-map-file", restore("no.csv"));
}

#[test]
fn settings_with_a_misspelt_key() {
    let env = TestEnv::new();
    env.write(
        ".config/dbsnap/dbsnap.toml",
        "store = \"s\"\n[backup]\nskpi = [\"file\"]\n",
    );
    assert_run!("misspelt-settings", env, "snapshots");
}

#[test]
fn settings_that_were_named_and_are_not_there() {
    assert_run!(
        "no-settings",
        TestEnv::new(),
        "snapshots",
        "--config-file",
        "no.toml"
    );
}

#[test]
fn a_path_that_nearly_exists() {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.put_notebook(
        "/Shared/reports/weekly",
        "PYTHON",
        "# Databricks notebook source\n1",
    );
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    assert_run!("typo-in-cat", env, "cat", "latest", "/Shared/report/weekly");
    let wrong = ["--profile", "DEMO", "--path", "/Shared/reprots"];
    let output = env.run(&[&["backup"], &wrong[..]].concat());
    insta::assert_snapshot!("typo-in-backup-path", output);
    let output = env.run(&[&["restore", "latest~1"], &wrong[..]].concat());
    insta::assert_snapshot!("typo-in-restore-path", output);
    assert_run!("no-object", env, "cat", "latest~1", "weekly");
    assert_run!("no-kind", env, "cat", "latest", "jbo/nightly");
}

#[test]
fn no_command_and_an_unknown_one() {
    assert_run!("unknown-command", TestEnv::new(), "bakcup");
    assert_run!("unknown-flag", TestEnv::new(), "backup", "--profil", "X");
}

#[test]
fn a_restore_without_terminal_and_without_yes_changes_nothing() {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.put_notebook(
        "/Shared/report",
        "PYTHON",
        "# Databricks notebook source\n1",
    );
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    workspace.remove("/Shared/report");
    workspace.forget_requests();
    let restored = env.run(&["restore", "latest", "--profile", "DEMO"]);
    insta::assert_snapshot!("restore-without-terminal", restored);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(workspace.requests().to(method), 0, "{method}");
    }
}

#[test]
fn a_login_page_in_the_middle_is_a_gap_and_no_deletion() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let fault = Rule::new("/api/2.0/workspace", Effect::LoginPage);
    served.running.workspace.inject(fault);
    assert_run!("login-page-halfway", env, "backup", "--profile", "DEMO");
}

#[test]
fn a_password_file_that_is_not_there() {
    let key = ["--password-file", "nosuch"];
    assert_run!(
        "no-password-file",
        TestEnv::new(),
        "init",
        "--encrypt",
        key[0],
        key[1]
    );
}

#[test]
fn what_the_command_line_does_not_say_rightly_is_one_json_document_too() {
    let env = TestEnv::new();
    for (arguments, said, hint) in [
        (
            &["prune", "--grac", "1h"][..],
            "unexpected argument '--grac'",
            "'--grace'",
        ),
        (&["prnue"], "unrecognized subcommand 'prnue'", "'prune'"),
        (
            &["prune", "--grace", "soon"],
            "invalid value 'soon' for '--grace <TIME>'",
            "",
        ),
        (&["cat"], "required arguments were not provided", ""),
    ] {
        let document = env.json(arguments);
        let error = &document["error"];
        assert_eq!(error["exit_code"], 2, "{document}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
        assert!(!message.contains("error:") && !message.contains('\n'));
        assert!(error["hints"].to_string().contains(hint), "{document}");
        let output = env.output(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2));
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains(said), "{words}");
    }
    // What comes after `--` is no flag.
    let output = env.output(&["cat", "--", "--json", "a", "b", "c"]);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_directory_in_the_place_of_the_configuration_is_told_of_with_what_to_do() {
    let env = TestEnv::new();
    env.output(&["init"]);
    let config = env.path(".local/share/dbsnap/store/dbsnap.json");
    std::fs::remove_file(&config).unwrap();
    std::fs::create_dir(&config).unwrap();
    let refused = env.output(&["snapshots"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("hint: a directory lies where"), "{text}");
}
