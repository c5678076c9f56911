//! The law: capture, restore into an empty workspace, capture again: nothing differs.

use super::*;
use crate::restore::{Action, MissingUsers, OnConflict};

pub(super) fn whole() -> Options {
    Options {
        missing_users: MissingUsers::Create,
        on_conflict: OnConflict::Overwrite,
        keep_schedules: true,
        ..options()
    }
}

/// What no API brings back, or what has no owner any more.
pub(super) const BEYOND_REACH: [&str; 10] = [
    "removed dashboard /Users/ana@example.com/Sales.lvdash.json:",
    // Greg has left: his home is in the archive, his job belongs to whoever restored it.
    "added directory /Archive:",
    // It comes to be when the notebook logs its first run.
    "removed experiment /Users/ana@example.com/projects/pricing/elasticity:",
    // The head of the branch is what one gets.
    "changed git-folder /Repos/ana@example.com/project: head_commit_id",
    "changed git-folder /Users/chloe@example.com/forecast: head_commit_id",
    "removed group acct-analysts:",
    "changed job Greg's nightly (do not touch): user:admin@example.com",
    // The files of its version are where only the first workspace reads them.
    "changed registered-model l'été prochain: versions",
    // What is in a vault is not a workspace's to bring back.
    "changed secret-scope vault: keys[signing-key]",
    "removed workspace-object /Users/bob@example.com/oldlib:",
];

/// Nothing differs but [`BEYOND_REACH`], in whatever order it is told.
pub(super) fn assert_is_back(mut differences: Vec<String>) {
    let mut expected = BEYOND_REACH;
    expected.sort_unstable();
    differences.sort_unstable();
    assert_eq!(differences, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_workspace_is_captured_as_the_one_it_was_restored_from() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let differences = bench.differences(&source, &report.plan.mapping).await;
    assert_eq!(differences, BEYOND_REACH);

    // A second run finds everything in its place.
    bench.to.workspace().forget_requests();
    let again = bench.restore(&source, &whole()).await;
    let changing = again.plan.steps.iter().filter(|step| step.action.writes());
    let changing: Vec<_> = changing
        .map(|step| (&step.target, &step.differences))
        .collect();
    assert_eq!(changing, []);
    assert_eq!(bench.to.workspace().requests().to("POST"), 0);
    assert_eq!(bench.to.workspace().requests().to("PUT"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_law_holds_for_long_paths_and_names_that_look_like_something_else() {
    let bench = Bench::new(Sample::Empty).await;
    let workspace = bench.from.workspace();
    let long = format!("/Shared/{}/{}", "long ".repeat(30).trim(), "ü".repeat(145));
    assert!(long.chars().count() >= 300);
    let odd = [
        "a.py",
        "a",
        "a.ipynb",
        "..hidden",
        "100%25",
        "a?b=c&d#e",
        "tab\there",
        "\"quoted\"",
        "ends in space ",
        "😀",
    ];
    workspace.make_directory("/Shared/odd");
    workspace.make_directory(long.rsplit_once('/').unwrap().0);
    workspace
        .put_notebook(&long, "SQL", "-- Databricks notebook source\nselect 1")
        .unwrap();
    for (number, name) in odd.iter().enumerate() {
        let path = format!("/Shared/odd/{name}");
        match number % 2 {
            0 => workspace.put_file(&path, name.as_bytes()),
            _ => workspace.put_notebook(&path, "PYTHON", "# Databricks notebook source\n1"),
        }
        .unwrap();
    }
    let source = bench.backup().await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(
        bench.differences(&source, &report.plan.mapping).await,
        Vec::<String>::new()
    );
    assert_eq!(bench.to.workspace().tree_size(), workspace.tree_size());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_nothing_that_was_restored_starts_on_its_own_and_a_second_run_does_nothing() {
    let bench = Bench::new(Sample::Small).await;
    let source = bench.backup().await;
    let first = bench.restore(&source, &options()).await;
    assert_eq!(failures(&first), Vec::<String>::new());
    let (_, jobs) = bench
        .to
        .workspace()
        .call("GET", "/api/2.2/jobs/list?limit=100", Value::Null);
    assert!(!jobs["jobs"].as_array().unwrap().is_empty());
    assert!(!jobs.to_string().contains("UNPAUSED"), "{jobs}");
    let second = bench.plan(&source, &options()).await;
    let changing = second.steps.iter().filter(|step| step.action.writes());
    let changing: Vec<_> = changing
        .map(|step| (&step.target, &step.differences))
        .collect();
    assert_eq!(changing, []);
    let made = |plan: &Plan| plan.steps.iter().filter(|step| step.action.makes()).count();
    assert!(made(&first.plan) > 50);
    let unchanged = second.summary().total[&Action::Unchanged];
    assert!(unchanged >= made(&first.plan) - 1, "{unchanged}");
}
