//! `forget`: what stays and why, what is refused, and what the store holds afterwards.

use std::fs::File;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use dbsnap::sandbox::{Effect, Rule, Sample};
use serde_json::Value;

use crate::support::{Served, TestEnv};

/// Takes a snapshot at a time, and lets the store have got it a little later.
fn backup_at(env: &TestEnv, time: &str, more: &[&str]) {
    let arguments = [&["backup", "--profile", "DEMO"], more].concat();
    let mut command = env.command(&arguments);
    let output = command.env("DBSNAP_TEST_NOW", time).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let time: DateTime<Utc> = time.parse().unwrap();
    date_heads(env, time, time + TimeDelta::minutes(10));
}

/// Sets the time at which the store got the heads of a time.
fn date_heads(env: &TestEnv, time: DateTime<Utc>, stored: DateTime<Utc>) {
    for (of, path) in heads(env) {
        if of == time {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(stored.into()).unwrap();
        }
    }
}

/// The files of the heads with their times, oldest first.
fn heads(env: &TestEnv) -> Vec<(DateTime<Utc>, PathBuf)> {
    let entries = std::fs::read_dir(env.path(".local/share/dbsnap/store/snapshots")).unwrap();
    let mut heads: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let time = name.split('-').next().unwrap();
            let time = NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S%.3fZ").unwrap();
            (time.and_utc(), entry.path())
        })
        .collect();
    heads.sort();
    heads
}

/// Three days with a partial snapshot, a selection, a tag and a restore among them.
fn history() -> (Served, TestEnv) {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    let notebook = "/Shared/report";
    workspace.put_notebook(notebook, "PYTHON", "# Databricks notebook source\n1");
    let env = served.env();
    backup_at(&env, "2025-12-29T10:00:00Z", &["--tag", "release"]);
    backup_at(&env, "2025-12-29T22:00:00Z", &[]);
    backup_at(&env, "2025-12-30T10:00:00Z", &[]);
    workspace.inject(Rule::new("/api/2.2/jobs/list", Effect::LoginPage).times(1));
    backup_at(&env, "2025-12-30T22:00:00Z", &[]);
    backup_at(&env, "2025-12-30T23:00:00Z", &["--only", "users"]);
    backup_at(&env, "2025-12-31T10:00:00Z", &["--tag", "keep"]);
    let safety = ["--path", notebook, "--tag", "before-restore"];
    backup_at(&env, "2025-12-31T11:00:00Z", &safety);
    backup_at(&env, "2025-12-31T22:00:00Z", &[]);
    (served, env)
}

/// One workspace and as many snapshots as there are times.
fn snapshots_of(times: &[&str]) -> (Served, TestEnv) {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    for time in times {
        backup_at(&env, time, &["--only", "users"]);
    }
    (served, env)
}

fn ids(env: &TestEnv) -> Vec<String> {
    let listed = env.json(&["snapshots"]);
    let listed = listed["snapshots"].as_array().unwrap().iter();
    listed
        .map(|head| head["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_policy_says_what_stays_and_why_and_forgets_the_rest() {
    let (_served, env) = history();
    let forget = ["forget", "--keep-daily", "2", "--keep-tag", "release"];
    let dry_run = [&forget[..], &["--dry-run"]].concat();
    insta::assert_snapshot!("forget-dry-run", env.run(&dry_run));
    assert_eq!(heads(&env).len(), 8);
    insta::assert_snapshot!("forget", env.run(&forget));
    insta::assert_snapshot!("forget-left", env.run(&["snapshots"]));
    insta::assert_snapshot!("forget-again", env.run(&forget));
    assert_eq!(env.output(&["check"]).status.code(), Some(0));
}

#[test]
fn the_document_of_a_program_tells_the_same() {
    let (_served, env) = history();
    let document = env.json(&["forget", "--keep-last", "1", "--dry-run"]);
    let series = document["series"].as_array().unwrap();
    let of = |series: &Value| series["snapshots"].as_array().unwrap().len();
    assert_eq!(series.iter().map(of).collect::<Vec<_>>(), [6, 1, 1]);
    assert_eq!(series[2]["before_restore"], true);
    let newest = &series[0]["snapshots"][5];
    assert_eq!(
        newest["reasons"],
        serde_json::json!(["newest complete", "last"])
    );
    assert_eq!(document["forgotten"], serde_json::json!([]));
    let going = document["to_forget"].clone();
    assert_eq!(going.as_array().unwrap().len(), 4);
    let document = env.json(&["forget", "--keep-last", "1"]);
    assert_eq!(document["forgotten"], going);
    assert_eq!(ids(&env).len(), 4);
}

#[test]
fn without_a_rule_nothing_is_forgotten() {
    let (_served, env) = snapshots_of(&["2025-12-29T10:00:00Z", "2025-12-30T10:00:00Z"]);
    insta::assert_snapshot!("forget-no-rule", env.run(&["forget"]));
    for no_rule in [
        &["--keep-last", "0"][..],
        &["--keep-within", "0d"],
        &["--keep-id", "3f2a"],
        &["--keep-safety-within", "9d"],
    ] {
        let output = env.output(&[&["forget"], no_rule].concat());
        assert_eq!(output.status.code(), Some(2), "{no_rule:?}");
    }
    let both = env.run(&["forget", "latest", "--keep-last", "1"]);
    insta::assert_snapshot!("forget-both", both);
    let bad = env.run(&["forget", "--keep-within", "30"]);
    insta::assert_snapshot!("forget-bad-span", bad);
    assert_eq!(heads(&env).len(), 2);
}

#[test]
fn the_settings_of_a_profile_are_for_its_workspace() {
    let (_served, env) = snapshots_of(&["2025-12-28T10:00:00Z", "2025-12-29T10:00:00Z"]);
    let other = Served::start(Sample::Empty);
    let demo = std::fs::read_to_string(env.path(".databrickscfg")).unwrap();
    let added = format!("{demo}[OTHER]\nhost = {}\ntoken = x\n", other.running.url);
    env.write(".databrickscfg", &added);
    env.write(
        ".config/dbsnap/dbsnap.toml",
        "[retention]\nkeep-last = 9\n[profiles.DEMO.retention]\nkeep-last = 1\n",
    );
    let quiet = |more: &[&str]| {
        let output = env.output(&[&["forget", "--dry-run", "--quiet"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(quiet(&[]), "");
    assert_eq!(quiet(&["--profile", "DEMO"]), format!("{}\n", ids(&env)[0]));
    insta::assert_snapshot!(
        "forget-other-profile",
        env.run(&["forget", "--profile", "OTHER"])
    );
    insta::assert_snapshot!(
        "forget-unknown-profile",
        env.run(&["forget", "--profile", "NOBODY"])
    );
    let host = ["--profile", "OTHER", "--workspace", "127.0.0.1"];
    assert_eq!(quiet(&host), "", "the rules of the settings are used");
    insta::assert_snapshot!(
        "forget-unknown-workspace",
        env.run(&["forget", "--workspace", "adb-17"])
    );
}

#[test]
fn snapshots_are_forgotten_by_name_but_not_the_last_or_a_protected_one() {
    let (_served, env) = snapshots_of(&["2025-12-28T10:00:00Z", "2025-12-29T10:00:00Z"]);
    backup_at(
        &env,
        "2025-12-30T10:00:00Z",
        &["--only", "users", "--tag", "keep"],
    );
    insta::assert_snapshot!("forget-protected", env.run(&["forget", "latest"]));
    insta::assert_snapshot!("forget-date", env.run(&["forget", "2025-12-29"]));
    insta::assert_snapshot!(
        "forget-by-name-dry-run",
        env.run(&["forget", "latest~1", "-n"])
    );
    let by_name = ["forget", "latest~1", "latest~2"];
    insta::assert_snapshot!("forget-by-name", env.run(&by_name));
    assert_eq!(ids(&env).len(), 1);
    let forced = env.output(&["forget", "latest", "--force", "--quiet"]);
    assert_eq!(forced.status.code(), Some(0));
    assert_eq!(ids(&env).len(), 0);
    backup_at(&env, "2025-12-31T10:00:00Z", &["--only", "users"]);
    insta::assert_snapshot!("forget-last", env.run(&["forget", "latest"]));
    assert_eq!(ids(&env).len(), 1);
}

#[test]
fn a_snapshot_that_cannot_be_read_stays_and_is_named() {
    let days = [
        "2025-12-28T10:00:00Z",
        "2025-12-29T10:00:00Z",
        "2025-12-30T10:00:00Z",
    ];
    let (_served, env) = snapshots_of(&days);
    let (_, damaged) = heads(&env).remove(0);
    std::fs::write(&damaged, "{}").unwrap();
    let forget = ["forget", "--keep-last", "1"];
    insta::assert_snapshot!("forget-unreadable", env.run(&forget));
    assert_eq!(heads(&env).len(), 2);
    let name = damaged.file_name().unwrap().to_str().unwrap();
    let id = &name.split('-').nth(1).unwrap()[..12];
    insta::assert_snapshot!("forget-unreadable-by-name", env.run(&["forget", id]));
    insta::assert_snapshot!(
        "forget-unreadable-forced",
        env.run(&["forget", id, "--force"])
    );
    assert_eq!(heads(&env).len(), 1);
}

#[test]
fn a_time_that_the_store_does_not_confirm_is_shown_and_pushes_nothing_out() {
    let days = [
        "2025-12-28T10:00:00Z",
        "2025-12-29T10:00:00Z",
        "2025-12-30T10:00:00Z",
    ];
    let (_served, env) = snapshots_of(&days);
    let made_up = [
        "2026-05-01T00:00:00Z",
        "2026-05-02T00:00:00Z",
        "2026-05-03T00:00:00Z",
    ];
    for time in made_up {
        backup_at(&env, time, &["--only", "users"]);
        let stored = "2025-12-30T11:00:00Z".parse().unwrap();
        date_heads(&env, time.parse().unwrap(), stored);
    }
    let output = env.run(&["forget", "--keep-daily", "3", "--dry-run"]);
    insta::assert_snapshot!("forget-times", output);
}

#[test]
fn what_cannot_be_removed_is_a_failure_or_listed() {
    let (_served, env) = snapshots_of(&["2025-12-28T10:00:00Z", "2025-12-29T10:00:00Z"]);
    env.write(
        ".config/dbsnap/dbsnap.toml",
        "[retention]\nkeep-last = 1\nkeep-id = [\"0123456789\"]\n",
    );
    // A version that may be read and not written: nothing can be removed, not even by root.
    let config = env.path(".local/share/dbsnap/store/dbsnap.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    settings["features"]["write"] = serde_json::json!(["of-the-future"]);
    std::fs::write(&config, settings.to_string()).unwrap();
    insta::assert_snapshot!("forget-refused", env.run(&["forget"]));
    assert_eq!(heads(&env).len(), 2);
}
