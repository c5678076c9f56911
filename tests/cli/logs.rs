//! The `logs/` directory of databrickslabs/migrate, imported.
//!
//! The fixtures are written by hand, by what is known of that tool's files; `tests/migrate` runs the tool itself.

use dbsnap::sandbox::Sample;
use serde_json::{Value, json};

use crate::support::{Served, TestEnv};

const PYTHON: &str = "# Databricks notebook source\nprint(1)\n";

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

/// A record of permissions.
fn acl(object: &str, field: &str, name: &str, who: (&str, &str), level: &str) -> Value {
    let (grantee, of) = who;
    json!({"object_id": object, field: name, "http_status_code": 200, "access_control_list": [
        {grantee: of, "all_permissions": [
            {"permission_level": level, "inherited": false},
            {"permission_level": "CAN_READ", "inherited": true, "inherited_from_object": ["/directories/0"]}]},
        {"group_name": "admins", "all_permissions": [
            {"permission_level": "CAN_MANAGE", "inherited": true, "inherited_from_object": ["/directories/"]}]}]})
}

/// Writes a small workspace as the pipeline would, below `at`.
fn write_export(env: &TestEnv, at: &str) {
    let write = |name: &str, text: &str| drop(env.write(&format!("{at}/{name}"), text));
    let ana = ("user_name", "ana@example.com");
    write("source_info.txt", "https://old.example.com");
    write(
        "users.log",
        &lines(&[
            json!({"id": "11", "userName": "ana@example.com", "active": true, "schemas": ["x"],
                "groups": [{"display": "data", "value": "21"}], "entitlements": [{"value": "allow-cluster-create"}]}),
            json!({"id": "12", "userName": "bob@example.com", "active": true, "groups": []}),
        ]),
    );
    let members = json!([{"$ref": "Users/11", "display": "Ana", "value": "11", "userName": "ana@example.com", "type": "user"}]);
    let group = json!({"id": "21", "displayName": "data", "members": members, "meta": {"resourceType": "WorkspaceGroup"}});
    write("groups/data", &group.to_string());
    write(
        "clusters.log",
        &lines(&[
            json!({"cluster_id": "c-1", "cluster_name": "etl", "num_workers": 2, "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge",
            "creator_user_name": "ana@example.com", "pinned_by_user_name": "ana@example.com"}),
        ]),
    );
    write(
        "acl_clusters.log",
        &lines(&[acl(
            "/clusters/c-1",
            "cluster_name",
            "etl",
            ("group_name", "data"),
            "CAN_RESTART",
        )]),
    );
    write(
        "jobs.log",
        &lines(&[
            json!({"job_id": 31, "creator_user_name": "ana@example.com", "settings": {"name": "nightly:::31",
            "format": "MULTI_TASK", "tasks": [{"task_key": "a", "existing_cluster_id": "c-1",
                "notebook_task": {"notebook_path": "/Users/ana@example.com/load"}}]}}),
        ]),
    );
    write(
        "acl_jobs.log",
        &lines(&[acl("/jobs/31", "job_name", "nightly:::31", ana, "IS_OWNER")]),
    );
    let node = |path: &str, id: u64| json!({"path": path, "object_id": id});
    write(
        "user_dirs.log",
        &lines(&[node("/Users", 1), node("/Users/ana@example.com", 2)]),
    );
    write(
        "acl_directories.log",
        &lines(&[
            acl(
                "/directories/1",
                "path",
                "/Users",
                ("group_name", "users"),
                "CAN_READ",
            ),
            acl(
                "/directories/2",
                "path",
                "/Users/ana@example.com",
                ana,
                "CAN_MANAGE",
            ),
        ]),
    );
    write(
        "user_workspace.log",
        &lines(&[
            node("/Users/ana@example.com/load", 3),
            node("/Users/ana@example.com/Query", 4),
        ]),
    );
    write(
        "acl_notebooks.log",
        &lines(&[
            acl(
                "/notebooks/3",
                "path",
                "/Users/ana@example.com/load",
                ("group_name", "data"),
                "CAN_RUN",
            ),
            acl(
                "/notebooks/4",
                "path",
                "/Users/ana@example.com/Query",
                ana,
                "CAN_MANAGE",
            ),
        ]),
    );
    write("artifacts/Users/ana@example.com/load.py", PYTHON);
    write(
        "artifacts/Users/ana@example.com/Query.sql",
        "-- Databricks notebook source\nselect 1\n",
    );
    write(
        "job_id_map.log",
        &lines(&[json!({"old_id": 31, "new_id": "9"})]),
    );
    write(
        "app_logs/wm_logs.log",
        "2026-01-02,03:04:05;INFO;Start export_users\n",
    );
    write("app_logs/failed_export_notebooks.log", "");
    let tasks = [
        "instance_profiles",
        "users",
        "groups",
        "workspace_items_log",
        "workspace_acls",
        "notebooks",
        "clusters",
        "instance_pools",
        "jobs",
    ];
    write(
        "checkpoint/export_tasks.log",
        &tasks.map(|task| format!("export_{task}\n")).concat(),
    );
}

#[test]
fn a_session_of_the_older_tool_becomes_a_snapshot_of_its_workspace() {
    let env = TestEnv::new();
    write_export(&env, "logs/M1");
    insta::assert_snapshot!("logs-import", env.run(&["import", "logs"]));
    insta::assert_snapshot!("logs-show", env.run(&["show", "latest"]));
    insta::assert_snapshot!(
        "logs-ls",
        env.run(&["ls", "latest", "--kind", "job,cluster,group,user"])
    );
    let cat = |arguments: &[&str]| env.run(&[&["cat", "latest"], arguments].concat());
    assert!(cat(&["/Users/ana@example.com/load"]).contains(PYTHON));
    insta::assert_snapshot!(
        "logs-cat",
        cat(&["job/nightly"]) + &cat(&["cluster/etl"]) + &cat(&["cluster/etl", "--permissions"])
    );
}

/// The older layout, without sessions, and with all sorts of trouble.
fn write_trouble(env: &TestEnv) {
    let write = |name: &str, text: &str| drop(env.write(&format!("logs/{name}"), text));
    let node = |path: &str, id: u64| json!({"path": path, "object_id": id});
    write(
        "users.log",
        "{\"id\": \"11\", \"userName\": \"ana@example.com\"}\n{\"id\": \"12\", \"userN",
    );
    write(
        "instance_pools.log",
        &lines(&[json!({"instance_pool_id": "p", "instance_pool_name": "pool"})]),
    );
    write(
        "user_workspace.log",
        &lines(&[
            node("/a", 1),
            node("/too large", 2),
            node("/page", 3),
            node("/archive", 4),
            node("/../x", 5),
        ]),
    );
    write("artifacts/a.py", PYTHON);
    write("artifacts/page.html", "<html>");
    write("artifacts/archive.dbc", "no archive");
    write(
        "failed_notebooks.log",
        &lines(&[json!({"error_code": "MAX_NOTEBOOK_SIZE_EXCEEDED", "path": "/too large"})]),
    );
    write(
        "acl_notebooks.log",
        &lines(&[acl(
            "/notebooks/1",
            "path",
            "/a",
            ("group_name", "data"),
            "CAN_RUN",
        )]),
    );
    write(
        "dbfs_mounts.log",
        &lines(&[json!({"path": "/mnt/raw", "source": "s3://raw", "encryptionType": ""})]),
    );
    write("todo.txt", "?");
}

#[test]
fn what_cannot_be_taken_is_listed_with_file_and_line() {
    let env = TestEnv::new();
    write_trouble(&env);
    insta::assert_snapshot!(
        "logs-trouble",
        env.run(&["import", "logs", "--name", "old"])
    );
    insta::assert_snapshot!("logs-trouble-gaps", env.run(&["show", "latest", "--gaps"]));
    assert_eq!(env.json(&["check"])["problems"], json!([]));
}

#[test]
fn a_directory_that_could_be_either_is_not_guessed_at() {
    let env = TestEnv::new();
    write_export(&env, "logs/M1");
    write_export(&env, "logs/M2");
    insta::assert_snapshot!("logs-several", env.run(&["import", "logs"]));
    insta::assert_snapshot!(
        "logs-at",
        env.run(&["import", "logs/M1", "--at", "/Shared"])
    );
    let mut user = json!({"id": "1", "userName": "ana@example.com"}).to_string();
    user.push('\n');
    env.write("mixed/users.log", &user);
    env.write("mixed/a.py", PYTHON);
    env.write("mixed/b.py", PYTHON);
    insta::assert_snapshot!("logs-unclear", env.run(&["import", "mixed"]));
    let kinds = |format: &str| env.json(&["import", "mixed", "--format", format])["kinds"].clone();
    assert_eq!(kinds("directory")["file"]["entries"], 1);
    assert_eq!(kinds("logs")["user"]["entries"], 1);
    env.write("project/logs/users.log", &user);
    env.write("project/a.py", PYTHON);
    insta::assert_snapshot!("logs-inside", env.run(&["import", "project"]));
}

#[test]
fn values_of_secrets_are_refused_before_anything_is_read_or_written() {
    let env = TestEnv::new();
    write_export(&env, "logs");
    env.write(
        "logs/secret_scopes/etl",
        &lines(&[json!({"name": "token", "value": "Y2FuYXJ5LTdjNDFkOQ=="})]),
    );
    insta::assert_snapshot!("logs-secrets-no-store", env.run(&["import", "logs"]));
    assert!(!env.path(".local/share/dbsnap/store").exists());
    assert_eq!(env.output(&["init"]).status.code(), Some(0));
    insta::assert_snapshot!("logs-secrets-plain", env.run(&["import", "logs"]));
    assert_eq!(env.json(&["snapshots"])["snapshots"], json!([]));
    let output = env.output(&["import", "logs", "--without-secret-values"]);
    assert_eq!(output.status.code(), Some(3));
    let shown = env.output(&["cat", "latest", "secret-scope/etl"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("token") && !shown.contains("Y2Fu"),
        "{shown}"
    );
}

#[test]
fn an_import_is_restored_into_another_workspace() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    write_export(&env, "logs");
    assert_eq!(env.output(&["import", "logs"]).status.code(), Some(3));
    insta::assert_snapshot!(
        "logs-restore",
        env.run(&[
            "restore",
            "latest",
            "--profile",
            "DEMO",
            "--yes",
            "--no-safety-snapshot",
            "--missing-users",
            "create"
        ])
    );
    let backup = env.output(&["backup", "--profile", "DEMO"]);
    assert_eq!(backup.status.code(), Some(0), "{backup:?}");
    insta::assert_snapshot!(
        "logs-restored-diff",
        env.run(&["diff", "latest~1", "latest"])
    );
}

#[test]
fn a_backup_of_the_same_workspace_is_compared_with_an_import_and_not_built_upon_it() {
    let served = Served::start(Sample::Empty);
    let env = served.env();
    write_export(&env, "logs");
    env.write("logs/source_info.txt", &served.running.url);
    assert_eq!(env.output(&["import", "logs"]).status.code(), Some(3));
    let backup = env.json(&["backup", "--profile", "DEMO"]);
    assert_eq!(backup["parent"], Value::Null);
    let diff = env.output(&["diff", "latest~1", "latest"]);
    let words = String::from_utf8(diff.stderr).unwrap();
    assert!(!words.contains("comparing two workspaces"), "{words}");
}
