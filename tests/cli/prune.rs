//! `prune`: what it frees, in which steps, and that what is kept can still be read.

use dbsnap::sandbox::Sample;
use serde_json::json;

use crate::support::{Served, TestEnv};

/// Ten backups of a notebook that changes, of which only the last is kept.
fn history() -> (Served, TestEnv) {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    for n in 0..10 {
        let text = format!(
            "# Databricks notebook source\n{}",
            "spark.sql()\n".repeat(n)
        );
        let workspace = &served.running.workspace;
        workspace.put_notebook("/Shared/report", "PYTHON", &text);
        env.output(&["backup", "--profile", "DEMO"]);
    }
    (served, env)
}

#[test]
fn what_was_forgotten_is_condemned_and_then_deleted_and_the_rest_is_whole() {
    let (_served, env) = history();
    let before = env.output(&["cat", "latest", "/Shared/report"]).stdout;
    let untouched = env.json(&["prune", "--grace", "0", "--max-repack", "0"]);
    assert_eq!(untouched["condemned_packs"], 0);

    let forgotten = env.json(&["forget", "--keep-last", "1", "--prune"]);
    assert_eq!(forgotten["forgotten"].as_array().unwrap().len(), 9);
    assert_eq!(
        forgotten["prune"]["condemned_packs"], 0,
        "all of it is young"
    );

    let planned = env.json(&["prune", "--grace", "0", "--dry-run"]);
    assert_eq!(planned["dry_run"], true);
    let condemned = env.json(&["prune", "--grace", "0"]);
    assert_eq!(condemned["condemned_packs"], planned["condemned_packs"]);
    assert!(condemned["condemned_packs"].as_u64().unwrap() > 0);
    assert_eq!(condemned["deleted_packs"], 0);

    let deleted = env.json(&["prune", "--grace", "0"]);
    assert_eq!(deleted["deleted_packs"], condemned["condemned_packs"]);
    assert_eq!(deleted["deleted_bytes"], condemned["condemned_bytes"]);
    let checked = env.json(&["check", "--read-data"]);
    assert_eq!(checked["sound"], true, "{checked}");
    assert_eq!(
        env.output(&["cat", "latest", "/Shared/report"]).stdout,
        before
    );
    assert_eq!(
        env.json(&["prune", "--grace", "0"])["deleted_packs"],
        json!(0)
    );
}

#[test]
fn a_head_that_cannot_be_read_keeps_everything() {
    let (_served, env) = history();
    env.output(&["forget", "--keep-last", "2"]);
    let heads = std::fs::read_dir(env.path(".local/share/dbsnap/store/snapshots")).unwrap();
    let head = heads.map(|head| head.unwrap().path()).min().unwrap();
    std::fs::write(&head, "{").unwrap();
    let output = env.output(&["prune", "--grace", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("nothing was deleted"), "{text}");
    assert!(text.contains("does not match the name"), "{text}");
}

#[test]
fn a_store_without_snapshots_is_told_of_and_pruned_only_if_that_is_meant() {
    let (_served, env) = history();
    let snapshots = env.path(".local/share/dbsnap/store/snapshots");
    let aside = env.path("aside");
    std::fs::rename(&snapshots, &aside).unwrap();
    let check = env.output(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(
        text.contains("but no snapshot") && text.contains("lost or emptied"),
        "{text}"
    );
    assert!(
        !text.contains("is whole") && !text.contains("is damaged"),
        "{text}"
    );
    for args in [
        &["prune", "--grace", "0"][..],
        &["prune", "--grace", "0", "--dry-run"],
    ] {
        let refused = env.output(args);
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(
            text.contains("nothing was deleted") && text.contains("--without-snapshots"),
            "{text}"
        );
    }
    let backup = env.output(&["backup", "--profile", "DEMO"]);
    assert_eq!(backup.status.code(), Some(3));
    let text = String::from_utf8(backup.stderr).unwrap();
    assert!(text.contains("packs but no snapshot"), "{text}");
    // With a snapshot it looks like any other store, and yet it is told.
    let to = env.path("copy");
    let to = to.to_str().unwrap();
    for args in [
        &["check"][..],
        &["backup", "--profile", "DEMO"],
        &["snapshots"],
        &["stats"],
        &["copy", "--to", to],
        &["repair", "snapshots"],
    ] {
        let told = env.output(args);
        assert_eq!(told.status.code(), Some(3), "{args:?}");
        let text = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
        assert!(text.contains("are gone, and nobody forgot them"), "{text}");
    }
    let refused = env.output(&["prune", "--grace", "0"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.contains("has lost its snapshots") && text.contains("--without-snapshots"),
        "{text}"
    );
    for head in std::fs::read_dir(&aside).unwrap() {
        let head = head.unwrap();
        std::fs::rename(head.path(), snapshots.join(head.file_name())).unwrap();
    }
    assert_eq!(env.json(&["check", "--read-data"])["sound"], true);

    let all = env.json(&["snapshots"]);
    let ids: Vec<String> = all["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
        .collect();
    let mut forget = vec!["forget", "--force", "--prune"];
    forget.extend(ids.iter().map(String::as_str));
    let forgotten = env.json(&forget);
    assert_eq!(
        forgotten["forgotten"].as_array().unwrap().len(),
        12,
        "{forgotten}"
    );
    assert_eq!(env.output(&["check"]).status.code(), Some(3));
    let meant = ["prune", "--grace", "0", "--without-snapshots"];
    let condemned = env.json(&meant);
    assert!(condemned["condemned_packs"].as_u64().unwrap() > 0);
    assert_eq!(
        env.json(&meant)["deleted_packs"],
        condemned["condemned_packs"]
    );
    assert_eq!(env.json(&["check"])["sound"], true);
}

#[test]
fn what_was_begun_and_never_ended_is_counted_beside_the_snapshots() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    env.output(&["backup", "--profile", "DEMO"]);
    let store = env.path(".local/share/dbsnap/store");
    let head = std::fs::read_dir(store.join("snapshots")).unwrap();
    let head = head.last().unwrap().unwrap();
    std::fs::create_dir_all(store.join("pending")).unwrap();
    std::fs::copy(head.path(), store.join("pending").join(head.file_name())).unwrap();
    let report = env.json(&["prune", "--dry-run"]);
    assert_eq!(
        (&report["snapshots"], &report["unfinished"]),
        (&json!(1), &json!(1))
    );
    let text = String::from_utf8(env.output(&["prune", "--dry-run"]).stdout).unwrap();
    assert!(
        text.contains("; 1 snapshot and 1 unfinished need "),
        "{text}"
    );
}
