//! The commands on a workspace that answers: outputs, exit codes, and that `--json` is one document everywhere.

use std::process::Stdio;
use std::time::Duration;

use dbsnap::sandbox::{Options, Sample};
use serde_json::json;

use crate::support::{Served, TestEnv};

const SOURCE: &str = "# Databricks notebook source\nprint('ünï')\n";

/// A small workspace of which everything can be read, and a first snapshot of it.
pub(crate) fn backed_up() -> (Served, TestEnv) {
    let served = Served::start(Sample::Empty);
    let workspace = &served.running.workspace;
    workspace.add_user("ana@example.com");
    workspace.put_notebook("/Users/ana@example.com/report", "PYTHON", SOURCE);
    workspace.put_file("/Shared/data.bin", &[0, 159, 146, 150, b'\r', b'\n']);
    workspace.call(
        "POST",
        "/api/2.2/jobs/create",
        json!({"name": "nightly", "max_concurrent_runs": 1}),
    );
    let env = served.env();
    let output = env.output(&["backup", "--profile", "DEMO"]);
    assert_eq!(output.status.code(), Some(0));
    (served, env)
}

#[test]
fn a_backup_and_what_can_be_seen_of_it() {
    let (_served, env) = backed_up();
    insta::assert_snapshot!("backup", env.run(&["backup", "--profile", "DEMO"]));
    insta::assert_snapshot!("snapshots", env.run(&["snapshots"]));
    insta::assert_snapshot!("show", env.run(&["show", "latest"]));
    insta::assert_snapshot!("ls", env.run(&["ls", "latest"]));
    insta::assert_snapshot!("ls-path", env.run(&["ls", "latest", "/Shared/"]));
    insta::assert_snapshot!("cat-job", env.run(&["cat", "latest", "job/nightly"]));
    insta::assert_snapshot!("check", env.run(&["check", "--read-data"]));
}

#[test]
fn cat_writes_contents_byte_for_byte() {
    let (_served, env) = backed_up();
    let cat = |path| env.output(&["cat", "latest", path]).stdout;
    let notebook = cat("/Users/ana@example.com/report");
    assert_eq!(String::from_utf8(notebook).unwrap(), SOURCE);
    assert_eq!(cat("/Shared/data.bin"), [0, 159, 146, 150, b'\r', b'\n']);
}

#[test]
fn a_quiet_backup_prints_the_id_alone() {
    let (_served, env) = backed_up();
    let output = env.output(&["backup", "--profile", "DEMO", "--quiet"]);
    let id = String::from_utf8(output.stdout).unwrap();
    assert_eq!(id.trim_end().len(), 64, "{id}");
    assert!(output.stderr.is_empty());
    let shown = env.json(&["show", "latest"]);
    assert_eq!(shown["id"], id.trim_end());
}

#[test]
fn a_selection_is_recorded_with_the_snapshot() {
    let (_served, env) = backed_up();
    let backup = ["backup", "--profile", "DEMO", "--users", "--tag", "people"];
    env.output(&backup);
    let shown = env.json(&["show", "latest"]);
    assert_eq!(
        shown["selection"],
        json!({"only": ["user", "group", "instance-profile"]})
    );
    insta::assert_snapshot!("snapshots-tag", env.run(&["snapshots", "--tag", "people"]));
}

#[test]
fn what_cannot_be_read_is_named_and_makes_exit_code_3() {
    let served = Served::start(Sample::Small);
    let env = served.env();
    insta::assert_snapshot!("backup-partial", env.run(&["backup", "--profile", "DEMO"]));
}

#[test]
fn a_diff_says_what_changed_and_tells_scripts() {
    let (served, env) = backed_up();
    let live = ["diff", "latest", "live", "--profile", "DEMO", "--exit-code"];
    insta::assert_snapshot!("diff-nothing", env.run(&live));
    let workspace = &served.running.workspace;
    let changed = format!("{SOURCE}\n# COMMAND ----------\n\nprint(2)\n");
    workspace.put_notebook("/Users/ana@example.com/report", "PYTHON", &changed);
    workspace.relocate("/Shared/data.bin", "/Shared/moved.bin");
    workspace.add_group("auditors", &[]);
    insta::assert_snapshot!("diff-live", env.run(&live));
    insta::assert_snapshot!("diff-stat", env.run(&[&live[..], &["--stat"]].concat()));
    let of_groups = env.json(&[&live[..], &["--kind", "groups"]].concat());
    assert_eq!(of_groups["summary"]["added"], 1);
    assert_eq!(of_groups["changes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_restore_brings_back_what_was_deleted_and_an_undo_what_was_overwritten() {
    let (served, env) = backed_up();
    let workspace = &served.running.workspace;
    workspace.remove("/Shared/data.bin");
    workspace.put_notebook("/Users/ana@example.com/report", "PYTHON", "changed");
    let restore = ["restore", "latest", "--profile", "DEMO"];
    let run = |more: &[&str]| env.run(&[&restore[..], more].concat());
    insta::assert_snapshot!("restore-dry-run", run(&["--dry-run"]));
    insta::assert_snapshot!("restore-skip", run(&["--yes"]));
    let overwrite = ["--yes", "--on-conflict", "overwrite"];
    insta::assert_snapshot!("restore-overwrite", run(&overwrite));
    insta::assert_snapshot!("restore-again", run(&overwrite));
    insta::assert_snapshot!("restore-undo", run(&["--undo", "--yes"]));
    let live = env.json(&["diff", "latest", "live", "--profile", "DEMO"]);
    assert_eq!(
        live["summary"]["changed"], 1,
        "the notebook is as it was before the restore"
    );
}

#[test]
fn every_command_writes_one_document_with_json() {
    let (_served, env) = backed_up();
    for command in [
        &["init", "--store", "new"][..],
        &["backup", "--profile", "DEMO"],
        &["snapshots"],
        &["show", "latest"],
        &["ls", "latest"],
        &["cat", "latest", "/Shared/data.bin"],
        &["cat", "latest", "job/nightly"],
        &["diff", "latest~1", "latest"],
        &["diff", "latest", "live", "--profile", "DEMO"],
        &["restore", "latest", "--profile", "DEMO", "--dry-run"],
        &["restore", "latest", "--profile", "DEMO", "--yes"],
        &["forget", "--keep-last", "1", "--dry-run"],
        &["forget", "latest~1", "--dry-run"],
        &["prune", "--dry-run"],
        &["import", "."],
        &["export", "latest", "out"],
        &["check"],
        &["repair", "index", "--dry-run"],
        &["repair", "packs", "--dry-run"],
        &["completions", "bash"],
    ] {
        assert!(env.json(command).is_object(), "{command:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnv::new();
    let mut child = env
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
#[cfg(unix)]
fn an_interrupted_backup_keeps_what_it_read_and_the_next_goes_on() {
    let served = Served::start_with(Options {
        sample: Sample::Small,
        latency: Duration::from_millis(40),
        ..Options::default()
    });
    let env = served.env();
    let backup = ["backup", "--profile", "DEMO"];
    let mut command = env.command(&backup);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    while served.running.workspace.requests().to("workspace/list") < 5 {
        std::thread::yield_now();
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{words}");
    assert!(words.contains("kept for the next one"), "{words}");
    let none = env.json(&["snapshots"]);
    assert_eq!(none["snapshots"], json!([]));
    assert_eq!(env.output(&backup).status.code(), Some(3));
}

#[test]
fn what_ls_prints_of_shared_names_can_be_given_to_cat() {
    let (served, env) = backed_up();
    served.running.workspace.call(
        "POST",
        "/api/2.2/jobs/create",
        json!({"name": "nightly", "max_concurrent_runs": 2}),
    );
    env.output(&["backup", "--profile", "DEMO"]);
    let listed = env.output(&["ls", "latest", "--kind", "jobs"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    let names: Vec<&str> = listed.lines().collect();
    assert_eq!(names.len(), 2, "{listed}");
    for name in names {
        let shown = env.output(&["cat", "latest", name]);
        assert_eq!(shown.status.code(), Some(0), "{name}");
    }
}

#[test]
fn what_was_not_selected_is_not_said_to_be_missing() {
    let (_served, env) = backed_up();
    let backup = ["backup", "--profile", "DEMO"];
    env.output(
        &[
            &backup[..],
            &["--path", "/Shared", "--only", "notebooks,files"],
        ]
        .concat(),
    );
    for (name, object) in [
        ("not-selected-path", "/Users/ana@example.com/report"),
        ("not-selected-kind", "job/nightly"),
    ] {
        insta::assert_snapshot!(name, env.run(&["cat", "latest", object]));
    }
}

#[test]
fn a_mapping_that_fits_nobody_is_a_warning() {
    let (_served, env) = backed_up();
    let restore = ["restore", "latest", "--profile", "DEMO", "--dry-run"];
    let mistyped = [
        "--map-domain",
        "exmaple.com=example.org",
        "--map-user",
        "anna@example.com=ana@example.org",
    ];
    insta::assert_snapshot!(
        "mapping-of-nobody",
        env.run(&[&restore[..], &mistyped].concat())
    );
    let fitting = ["--map-domain", "example.com=example.org"];
    let output = env.output(&[&restore[..], &fitting].concat());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!words.contains("fits nobody"), "{words}");
}

#[test]
fn quiet_commands_speak_only_of_what_is_amiss() {
    let env = TestEnv::new();
    env.write("src/a.txt", "a");
    let silent = |arguments: &[&str]| {
        let output = env.output(&[arguments, &["--quiet"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(String::from_utf8(said).unwrap(), "", "{arguments:?}");
    };
    env.output(&["import", "src"]);
    env.output(&["init", "--store", "second"]);
    silent(&["check", "--read-data"]);
    silent(&["prune", "--grace", "0"]);
    silent(&["repair", "index"]);
    silent(&["repair", "packs"]);
    silent(&["repair", "snapshots"]);
    silent(&["copy", "--to", "second"]);
    silent(&["export", "latest", "out"]);
    let index = std::fs::read_dir(env.path(".local/share/dbsnap/store/index")).unwrap();
    for file in index {
        std::fs::write(file.unwrap().path(), "no index").unwrap();
    }
    let output = env.output(&["check", "--quiet"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("repair index")
    );
}

#[test]
fn names_are_shown_as_lines_that_no_terminal_obeys() {
    let env = TestEnv::new();
    env.write("src/a\u{1b}[2Jb\nc", "odd");
    env.write("src/d", "plain");
    env.output(&["import", "src", "--at", "/s"]);
    let listed = env.output(&["ls", "latest", "/s"]).stdout;
    assert_eq!(
        String::from_utf8(listed).unwrap(),
        "/s\n/s/a\\u{1b}[2Jb\\nc\n/s/d\n"
    );
    let listed = env.json(&["ls", "latest", "/s"]);
    let objects = listed["objects"].as_array().unwrap();
    assert_eq!(objects[1]["name"], "/s/a\u{1b}[2Jb\nc");
    assert_eq!(objects.len(), 3);
    insta::assert_snapshot!("ls-nothing", env.run(&["ls", "latest", "/nosuch"]));
    insta::assert_snapshot!("ls-no-path", env.run(&["ls", "latest", "jobs"]));
    let none = env.json(&["ls", "latest", "--kind", "jobs"]);
    assert_eq!(none["objects"], json!([]));
}

#[test]
fn an_object_without_a_name_is_listed_like_any_other() {
    let served = Served::start(Sample::Empty);
    let body = serde_json::json!({"spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1});
    let made = served
        .running
        .workspace
        .call("POST", "/api/2.0/clusters/create", body);
    assert_eq!(made.0, 200);
    let env = served.env();
    assert!(env.output(&["backup", "-p", "DEMO"]).status.success());
    let listed = env.json(&["ls", "latest", "--kind", "cluster"]);
    assert_eq!(listed["objects"][0]["id"], made.1["cluster_id"]);
}
