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
