//! `repair`: what is damaged, mended, and what it says of that.

use dbsnap::sandbox::Sample;

use crate::support::Served;

#[test]
fn a_damaged_index_is_told_by_check_and_mended() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    let workspace = &served.running.workspace;
    workspace.put_notebook(
        "/Shared/report",
        "PYTHON",
        "# Databricks notebook source\n1",
    );
    env.output(&["backup", "--profile", "DEMO"]);
    let before = env.output(&["cat", "latest", "/Shared/report"]).stdout;
    let index = env.path(".local/share/dbsnap/store/index");
    let segment = std::fs::read_dir(index).unwrap().next().unwrap().unwrap();
    std::fs::write(segment.path(), "not an index").unwrap();

    let check = env.output(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    let text = String::from_utf8(check.stdout).unwrap();
    assert!(text.contains("repair index"), "{text}");

    let planned = env.json(&["repair", "index", "--dry-run"]);
    assert_eq!(planned["removed"].as_array().unwrap().len(), 1, "{planned}");
    assert_eq!(env.json(&["check"])["sound"], false);
    let text = env.output(&["repair", "index"]);
    assert_eq!(text.status.code(), Some(0));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("the new index has "), "{text}");
    let checked = env.json(&["check", "--read-data"]);
    assert_eq!(checked["sound"], true, "{checked}");
    let after = env.output(&["cat", "latest", "/Shared/report"]).stdout;
    assert_eq!(after, before);
}
