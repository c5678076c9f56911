//! The `logs/` directory of databrickslabs/migrate, imported.
//!
//! The fixtures are written by hand, by what is known of that tool's files; `tests/migrate` runs the tool itself.

use serde_json::{Value, json};

use crate::support::TestEnv;

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
            json!({"cluster_id": "c-1", "cluster_name": "etl", "num_workers": 2, "spark_version": "15.4.x-scala2.12",
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
