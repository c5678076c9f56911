//! Workspaces that give less than everything: each gives a snapshot, and a line for what could not be seen.

use dbsnap::sandbox::{Effect, Faults, Rule, Sample, Token};
use serde_json::json;

use crate::support::{Served, TestEnv};

/// A token of a user who is no administrator.
const OTHERS: &str = "dapi00000000000000000000000000000002";

fn refuse(served: &Served, path: &str, status: u16, code: &str, message: &str) {
    let effect = Effect::Refuse {
        status,
        code: code.to_owned(),
        message: message.to_owned(),
    };
    served.running.workspace.inject(Rule::new(path, effect));
}

#[test]
fn whoever_is_no_administrator_is_told_what_only_administrators_see() {
    let served = Served::start(Sample::Small);
    let workspace = &served.running.workspace;
    workspace.add_token("chloe@example.com", &Token::new(OTHERS));
    let env = TestEnv::new();
    let host = &served.running.url;
    env.write(
        ".databrickscfg",
        &format!("[DEMO]\nhost = {host}\ntoken = {OTHERS}\n"),
    );
    insta::assert_snapshot!("lesser-no-admin", env.run(&["backup", "-p", "DEMO"]));
}

#[test]
fn what_an_administrator_saw_is_not_gone_because_somebody_else_does_not_see_it() {
    let served = Served::start(Sample::Small);
    let workspace = &served.running.workspace;
    workspace.add_token("chloe@example.com", &Token::new(OTHERS));
    let env = served.env();
    env.run(&["backup", "-p", "DEMO"]);
    let host = &served.running.url;
    env.write(
        ".databrickscfg",
        &format!("[DEMO]\nhost = {host}\ntoken = {OTHERS}\n"),
    );
    assert!(
        env.run(&["backup", "-p", "DEMO"])
            .ends_with("exit code 3\n")
    );
    // All objects are there still, as far as anybody knows.
    let names = |snapshot| {
        let listed = env.run(&["ls", snapshot, "--kind", "job,cluster,notebook"]);
        let names: Vec<_> = listed.lines().skip(1).map(str::to_owned).collect();
        names
    };
    assert!(names("latest~1").len() > 40);
    assert_eq!(names("latest"), names("latest~1"));
    let shown = env.run(&["diff", "latest~1", "latest", "--stat"]);
    assert!(
        !shown.contains("\n- ") && shown.contains("unknown"),
        "{shown}"
    );
}

#[test]
fn a_workspace_without_access_lists_is_told_of_once_for_each_kind() {
    let served = Served::start(Sample::Empty);
    served
        .running
        .workspace
        .put_notebook("/Shared/a", "PYTHON", "print(1)");
    let words = "ACLs for this object type are disabled or not available in this tier";
    refuse(
        &served,
        "/api/2.0/permissions/",
        404,
        "FEATURE_DISABLED",
        words,
    );
    let env = served.env();
    let shown = env.run(&["backup", "-p", "DEMO"]);
    assert!(
        shown.contains("complete\n") && shown.ends_with("exit code 0\n"),
        "{shown}"
    );
    // Which kind is asked about first is a matter of luck.
    let mut warnings: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    warnings.sort_unstable();
    insta::assert_snapshot!("lesser-no-acls", warnings.join("\n"));
}

#[test]
fn where_the_dbfs_root_is_disabled_one_line_tells_so() {
    let served = Served::start(Sample::Empty);
    let words = "Public DBFS root is disabled. Access is denied on path: /";
    refuse(&served, "/api/2.0/dbfs/", 403, "PERMISSION_DENIED", words);
    let env = served.env();
    insta::assert_snapshot!(
        "lesser-no-dbfs",
        env.run(&["backup", "-p", "DEMO", "--dbfs", "/"])
    );
}

#[test]
fn where_machine_learning_is_disabled_one_line_tells_so_and_the_rest_is_read() {
    let words = "MLflow is disabled in this workspace";
    let backup = ["backup", "-p", "DEMO", "--runs-since", "all", "--artifacts"];
    let served = Served::start(Sample::Empty);
    refuse(&served, "/api/2.0/mlflow/", 404, "FEATURE_DISABLED", words);
    insta::assert_snapshot!("lesser-no-mlflow", served.env().run(&backup));

    // What was there before is not gone because nobody may look.
    let served = Served::start(Sample::Small);
    let env = served.env();
    let skip = ["--skip", "workspace-objects"];
    env.run(&[&backup[..], &skip].concat());
    refuse(&served, "/api/2.0/mlflow/", 404, "FEATURE_DISABLED", words);
    let shown = env.run(&[&backup[..], &skip].concat());
    insta::assert_snapshot!("lesser-mlflow-gone", shown);
    for kind in ["experiments", "runs", "run-artifacts", "registered-models"] {
        let listed = env.json(&["ls", "latest", "--kind", kind]);
        let listed = listed["objects"].as_array().unwrap();
        assert!(
            listed.iter().any(|one| one["carried_over"] == true),
            "{kind}: {listed:?}"
        );
    }
}

#[test]
fn where_nothing_runs_statements_one_line_tells_so() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    insta::assert_snapshot!(
        "lesser-no-warehouse",
        env.run(&["backup", "-p", "DEMO", "--warehouse", "Starter Warehouse"])
    );
}

/// `DBSNAP_TABLES=5000 cargo test lesser` makes as many as you like.
#[test]
fn of_many_tables_those_that_fail_are_gaps_and_all_others_are_there() {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.call("POST", "/api/2.0/sql/warehouses", json!({"name": "w"}));
    workspace.sql("CREATE DATABASE d").unwrap();
    let tables = std::env::var("DBSNAP_TABLES").map_or(500, |count| count.parse().unwrap());
    for number in 0..tables {
        let statement = format!("CREATE TABLE d.t{number} (a INT) USING csv");
        workspace.sql(&statement).unwrap();
    }
    workspace.set_faults(Faults {
        tables: 0.03,
        ..Faults::default()
    });
    let env = served.env();
    let kinds = ["--only", "databases,tables", "--warehouse", "w"];
    let output = env.output(&[&["backup", "-p", "DEMO", "--json"], &kinds[..]].concat());
    assert_eq!(output.status.code(), Some(3));
    let shown = env.json(&["show", "latest", "--gaps"]);
    let gaps = shown["gaps"]["all"].as_array().unwrap();
    let expected = tables / 50..tables / 25;
    assert!(expected.contains(&gaps.len()), "{}", gaps.len());
    assert!(
        gaps.iter()
            .all(|gap| gap.to_string().contains("FileNotFoundException"))
    );
    assert_eq!(shown["kinds"]["table"]["entries"], tables);
    assert_eq!(shown["gaps"]["count"], gaps.len());
}
