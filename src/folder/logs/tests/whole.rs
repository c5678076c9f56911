//! What is taken, and what it becomes.

use super::*;

const PYTHON: &str = "# Databricks notebook source\nprint(1)\n";

#[test]
fn objects_have_the_bodies_that_a_backup_gives_them() {
    let bench = Bench::new();
    bench.lines("users.log", &[json!({"id": "1", "userName": "ana@example.com", "displayName": "Ana", "schemas": ["x"],
        "groups": [{"value": "2"}], "roles": [{"value": "r", "type": "indirect"}], "http_status_code": 200})]);
    bench.write("groups/data", json!({"id": "2", "displayName": "data", "members": [
        {"$ref": "Users/1", "display": "Ana", "value": "1", "userName": "ana@example.com", "type": "user"}]}).to_string());
    bench.lines(
        "instance_profiles.log",
        &[json!({"instance_profile_arn": "arn:x", "is_meta_instance_profile": false})],
    );
    bench.lines(
        "instance_pools.log",
        &[json!({"instance_pool_id": "p", "instance_pool_name": "pool", "stats": {}})],
    );
    bench.lines(
        "cluster_policies.log",
        &[json!({"policy_id": "q", "name": "small", "definition": "{ \"a\": 1 }"})],
    );
    bench.lines(
        "acl_cluster_policies.log",
        &[acl(
            "/cluster-policies/q",
            "name",
            "small",
            "data",
            "CAN_USE",
        )],
    );
    let imported = bench.import();
    assert_eq!(
        imported.body("user ana@example.com"),
        json!({"userName": "ana@example.com", "displayName": "Ana"})
    );
    assert_eq!(
        imported.body("group data"),
        json!({"displayName": "data", "members": [{"value": "1"}]})
    );
    assert_eq!(imported.get("group data").object_id.as_deref(), Some("2"));
    assert_eq!(
        imported.body("instance-pool pool"),
        json!({"instance_pool_name": "pool"})
    );
    assert_eq!(
        imported.body("cluster-policy small")["definition"],
        "{\"a\":1}"
    );
    assert_eq!(
        imported.permissions("cluster-policy small"),
        json!({"group:data": "CAN_USE"})
    );
    assert!(imported.get("instance-profile arn:x").gap.is_none());
    let gap = imported.gap("instance-pool pool");
    assert_eq!(
        gap,
        "Permissions: the older tool does not read permissions of this kind"
    );
}

#[test]
fn clusters_know_their_libraries_and_those_of_jobs_are_left_out() {
    let bench = Bench::new();
    let cluster =
        |id: &str, name: &str| json!({"cluster_id": id, "cluster_name": name, "num_workers": 1});
    let mut pinned = cluster("a", "etl");
    pinned["pinned_by_user_name"] = json!("ana@example.com");
    bench.lines("clusters.log", &[pinned]);
    let mut of_a_job = cluster("b", "job-1-run-1");
    of_a_job["cluster_source"] = json!("JOB");
    let mut like_a_job = cluster("c", "mlflow-model-mine");
    like_a_job["cluster_source"] = json!("UI");
    bench.lines("skipped_clusters.log", &[of_a_job, like_a_job]);
    bench.lines(
        "attached_cluster_libs.log",
        &[
            json!({"cluster_id": "a", "http_status_code": 200, "library_statuses": [
        {"library": {"pypi": {"package": "x"}}, "status": "INSTALLED"},
        {"library": {"pypi": {"package": "y"}}, "status": "UNINSTALL_ON_RESTART"}]}),
        ],
    );
    bench.lines(
        "acl_clusters.log",
        &[acl(
            "/clusters/a",
            "cluster_name",
            "etl",
            "data",
            "CAN_RESTART",
        )],
    );
    let imported = bench.import();
    assert_eq!(
        imported.names(),
        ["cluster etl (id a)", "cluster mlflow-model-mine (id c)"]
    );
    assert_eq!(
        imported.body("cluster etl (id a)"),
        json!({"cluster_name": "etl", "num_workers": 1, "pinned": true, "libraries": [{"pypi": {"package": "x"}}]})
    );
    assert_eq!(
        imported.permissions("cluster etl (id a)"),
        json!({"group:data": "CAN_RESTART"})
    );
    let gap = imported.gap("cluster mlflow-model-mine (id c)");
    assert_eq!(gap, "Permissions: acl_clusters.log has no record of it");
}

#[test]
fn jobs_get_their_names_back_and_those_that_may_lack_tasks_say_so() {
    let bench = Bench::new();
    let job = |id: u64, settings: Value| json!({"job_id": id, "settings": settings});
    let mut long = job(
        2,
        json!({"name": "long:::2", "format": "MULTI_TASK", "tasks": [{"task_key": "a"}]}),
    );
    long["has_more"] = json!(true);
    bench.lines("jobs.log", &[
        job(1, json!({"name": "old:::1", "format": "SINGLE_TASK", "notebook_task": {"notebook_path": "/x"}})),
        long,
        job(3, json!({"name": "far down:::3", "format": "MULTI_TASK"})),
    ]);
    bench.lines(
        "acl_jobs.log",
        &[
            acl("/jobs/1", "job_name", "old:::1", "data", "CAN_VIEW"),
            acl("/jobs/2", "job_name", "long:::2", "data", "CAN_VIEW"),
            acl("/jobs/3", "job_name", "far down:::3", "data", "CAN_VIEW"),
            acl(
                "/jobs/4",
                "job_name",
                "nowhere else:::4",
                "data",
                "CAN_VIEW",
            ),
        ],
    );
    let left_out = job(
        5,
        json!({"name": "ownerless:::5", "tasks": [{"task_key": "a"}]}),
    );
    bench.lines(
        "app_logs/failed_export_jobs.log",
        &[json!({"error": "no owner", "json": left_out.to_string()})],
    );
    bench.lines(
        "app_logs/failed_export_acl_jobs.log",
        &[json!({"error": "no owner"})],
    );
    let imported = bench.import();
    assert_eq!(
        imported.body("job old (id 1)"),
        json!({"name": "old", "tasks": [{"task_key": "main", "notebook_task": {"notebook_path": "/x"}}]})
    );
    assert!(imported.get("job old (id 1)").gap.is_none());
    assert!(
        imported
            .gap("job long (id 2)")
            .contains("first hundred tasks")
    );
    assert!(
        imported
            .gap("job far down (id 3)")
            .contains("without tasks")
    );
    let only = imported.gap("job nowhere else (id 4)");
    assert_eq!(
        only,
        "Object: only its permissions are known, from acl_jobs.log line 4"
    );
    assert_eq!(
        imported.permissions("job nowhere else (id 4)"),
        json!({"group:data": "CAN_VIEW"})
    );
    assert_eq!(
        imported.gap("job ownerless (id 5)"),
        "Permissions: no owner"
    );
    assert_eq!(imported.unlisted("job"), "");
}

#[test]
fn the_tree_is_taken_with_permissions_and_homes_that_were_exported_alone() {
    let bench = Bench::new();
    bench.lines(
        "user_dirs.log",
        &[node("/Repos", 1), node("/Users/ana/Trash", 2)],
    );
    bench.lines("libraries.log", &[node("/lib", 3)]);
    let status = |id: &str, name: &str| {
        json!({"id": id, "name": name, "folder": "/", "libType": "java-jar", "files": ["1-a.jar"],
        "attachAllClusters": true, "statuses": [], "http_status_code": 200})
    };
    bench.lines(
        "lib_details.log",
        &[status("3", "lib"), status("8", "unlisted")],
    );
    bench.lines(
        "repos.log",
        &[json!({"id": 4, "path": "/Repos/ana/x", "url": "https://e/x", "branch": "main"})],
    );
    bench.lines(
        "acl_repos.log",
        &[acl("/repos/4", "path", "/Repos/ana/x", "data", "CAN_READ")],
    );
    bench.lines("user_workspace.log", &[node("/at the root", 5)]);
    bench.lines(
        "acl_notebooks.log",
        &[acl(
            "/notebooks/5",
            "path",
            "/at the root",
            "data",
            "CAN_RUN",
        )],
    );
    bench.write("artifacts/at the root.py", PYTHON);
    let home = |name: &str| format!("user_exports/bob/{name}");
    bench.lines(
        &home("user_workspace.log"),
        &[node("/at the root", 5), node("/Users/bob/x.y", 6)],
    );
    bench.write(
        &home("user_artifacts/Users/bob/x.y.r"),
        "# Databricks notebook source\n1\n",
    );
    let imported = bench.import();
    assert_eq!(
        imported.body("notebook /at the root"),
        json!({"format": "SOURCE", "language": "PYTHON"})
    );
    assert_eq!(imported.content("notebook /at the root"), PYTHON.as_bytes());
    assert_eq!(
        imported.permissions("notebook /at the root"),
        json!({"group:data": "CAN_RUN"})
    );
    assert!(imported.get("notebook /at the root").gap.is_none());
    assert_eq!(
        imported.body("notebook /Users/bob/x.y"),
        json!({"format": "SOURCE", "language": "R"})
    );
    assert_eq!(
        imported.body("workspace-object /lib"),
        json!({"object_type": "LIBRARY", "library_type": "java-jar", "files": ["1-a.jar"], "attach_all_clusters": true})
    );
    assert!(
        imported
            .gap("workspace-object /lib")
            .starts_with("Content: ")
    );
    let unlisted = imported.get("workspace-object /unlisted");
    assert_eq!(unlisted.object_id.as_deref(), Some("8"));
    assert_eq!(imported.body("git-folder /Repos/ana/x")["branch"], "main");
    assert_eq!(
        imported.permissions("git-folder /Repos/ana/x"),
        json!({"group:data": "CAN_READ"})
    );
    assert!(
        imported
            .gap("directory /Repos")
            .starts_with("Subtree: the older tool does not look into")
    );
    assert!(
        imported
            .gap("directory /Users/ana/Trash")
            .starts_with("Subtree")
    );
    assert!(imported.gap("directory /").starts_with("Permissions"));
}

#[test]
fn the_source_of_a_notebook_is_put_together_from_its_archive() {
    let bench = Bench::new();
    bench.lines("user_workspace.log", &[node("/n", 1)]);
    let notebook = json!({"version": "NotebookV1", "language": "sql", "name": "n", "commands": [
        {"command": "select 2", "position": 2.5, "commandTitle": "Two", "showCommandTitle": true, "results": {"data": "x"}},
        {"command": "%md\n# One", "position": 1.0, "commandTitle": "hidden", "showCommandTitle": false}]});
    bench.write("artifacts/n.dbc", dbc(&[("n.sql", &notebook.to_string())]));
    let imported = bench.import();
    assert_eq!(
        imported.body("notebook /n"),
        json!({"format": "SOURCE", "language": "SQL"})
    );
    let source = "-- Databricks notebook source\n-- MAGIC %md\n-- MAGIC # One\n\n-- COMMAND ----------\n\n\
        -- DBTITLE 1,Two\nselect 2\n";
    assert_eq!(
        String::from_utf8(imported.content("notebook /n")).unwrap(),
        source
    );
    assert!(imported.gap("notebook /n").starts_with("Permissions"));
}

#[test]
fn the_snapshot_says_where_it_is_from_and_what_it_did_not_look_for() {
    let bench = Bench::new();
    bench.lines("users.log", &[user("1", "ana@example.com")]);
    let head = bench.import().report.snapshot;
    assert_eq!(head.host, "logs:bench");
    assert_eq!(head.selection.only, ["user"]);
    assert!(head.complete);
    bench.write("source_info.txt", "https://old.example.com/?o=7");
    let head = bench.import().report.snapshot;
    assert_eq!(head.host, "https://old.example.com");
    let directory = bench.logs().canonicalize().unwrap();
    assert_eq!(head.imported_from.as_deref(), directory.to_str());
    bench.write("source_info.txt", "not an address \u{0}");
    assert_eq!(bench.import().report.snapshot.host, "logs:bench");
    assert!(bench.heard("source_info.txt is no address of a workspace"));
}

#[test]
fn the_same_export_gives_the_same_manifest() {
    let bench = Bench::new();
    bench.lines("user_dirs.log", &[node("/a", 1), node("/b", 2)]);
    let first = bench.import().report.snapshot.root;
    bench.lines(
        "user_dirs.log",
        &[node("/b", 2), node("/a", 1), node("/b", 2)],
    );
    assert_eq!(bench.import().report.snapshot.root, first);
}
