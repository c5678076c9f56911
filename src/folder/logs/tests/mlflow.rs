//! Mounts, experiments and runs.

use rusqlite::Connection;

use super::*;

const BEGAN: u64 = 1_785_542_400_123;

fn experiment(id: &str, name: &str, tags: Value) -> Value {
    json!({"artifact_location": format!("dbfs:/databricks/mlflow-tracking/{id}"), "creation_time": 1,
        "experiment_id": id, "last_update_time": 2, "lifecycle_stage": "active", "name": name, "tags": tags})
}

/// A run as the older tool writes it, in JSON as Python writes it.
fn run(id: &str, experiment: &str, tags: Value) -> String {
    json!({"info": {"artifact_uri": "dbfs:/x", "end_time": BEGAN + 5, "experiment_id": experiment, "lifecycle_stage": "active",
            "run_id": id, "run_name": "first", "run_uuid": id, "start_time": BEGAN, "status": "FINISHED", "user_id": ""},
        "metrics": {"loss": 0.25}, "params": {"depth": "3"}, "tags": tags})
    .to_string()
}

/// Writes the database of runs with rows of these texts.
fn database(bench: &Bench, rows: &[&str]) {
    let database = Connection::open(bench.logs().join("mlflow_runs.db")).unwrap();
    let table = "CREATE TABLE IF NOT EXISTS runs (id TEXT UNIQUE, start_time INT, run_obj TEXT)";
    database.execute(table, []).unwrap();
    for (number, row) in (0_u32..).zip(rows) {
        let insert = "INSERT OR REPLACE INTO runs VALUES (?, 1, ?)";
        database.execute(insert, (number, row)).unwrap();
    }
}

#[test]
fn mounts_are_kept_as_a_backup_keeps_them_and_what_opens_them_is_not() {
    let bench = Bench::new();
    bench.lines(
        "dbfs_mounts.log",
        &[
            json!({"path": "/databricks-datasets", "source": "databricks-datasets", "encryptionType": ""}),
            json!({"path": "/mnt/raw", "source": "s3a://AKIA:hush-4711@raw/in", "encryptionType": "sse-s3"}),
            json!({"path": "/data", "source": "abfss://c@a.dfs.core.windows.net/", "encryptionType": ""}),
            json!({"path": "/mnt/x"}),
            json!({"error": "no access to s3a://AKIA:hush-4711@raw"}),
        ],
    );
    let imported = bench.import();
    assert_eq!(
        imported.names()[1..],
        ["mount dbfs:/data", "mount dbfs:/mnt/raw"]
    );
    assert_eq!(
        imported.body("mount dbfs:/mnt/raw"),
        json!({"source": "s3a://(withheld)@raw/in", "encryption_type": "sse-s3", "withheld": ["credentials in the source"]})
    );
    assert_eq!(
        imported.body("mount dbfs:/data"),
        json!({"source": "abfss://c@a.dfs.core.windows.net/"})
    );
    let unlisted = imported.unlisted("mount");
    assert!(unlisted.contains("line 4: it has no `path` or no `source`"));
    assert!(unlisted.contains("line 5: it records a failure"));
    assert!(!unlisted.contains("hush") && !bench.heard("hush-4711"));
    assert!(imported.report.snapshot.selection.mounts);
}

#[test]
fn experiments_are_kept_as_the_workspace_lists_them_and_those_in_the_bin_are_not() {
    let bench = Bench::new();
    let mut deleted = experiment("3", "/Shared/gone", json!({}));
    deleted["lifecycle_stage"] = json!("deleted");
    let of_notebook = json!({"mlflow.experimentType": "NOTEBOOK", "mlflow.ownerId": "7"});
    bench.lines(
        "mlflow_experiments.log",
        &[
            experiment(
                "1",
                "/Shared/churn",
                json!({"team": "b", "mlflow.ownerId": "7"}),
            ),
            experiment("2", "/Users/ana/load", of_notebook),
            deleted,
            json!({"name": "/Shared/nameless", "tags": {}}),
        ],
    );
    let mut record = acl("/experiments/1", "x", "", "data", "CAN_EDIT");
    record["http_status_code"] = json!(200);
    let nowhere = acl("/experiments/9", "x", "", "data", "CAN_EDIT");
    bench.lines("mlflow_experiments_acls.log", &[record, nowhere]);
    bench.lines(
        "app_logs/failed_export_mlflow_experiments_permissions.log",
        &[json!({"error_code": "INTERNAL_ERROR", "message": "try again"})],
    );
    let imported = bench.import();
    let (churn, load) = ("experiment /Shared/churn", "experiment /Users/ana/load");
    assert_eq!(imported.names().len(), 3, "{:?}", imported.names());
    assert_eq!(
        imported.body(churn),
        json!({"name": "/Shared/churn", "tags": [{"key": "team", "value": "b"}]})
    );
    assert_eq!(imported.get(churn).object_id.as_deref(), Some("1"));
    assert_eq!(
        imported.permissions(churn),
        json!({"group:data": "CAN_EDIT"})
    );
    assert!(imported.get(churn).gap.is_none());
    assert_eq!(
        imported.body(load),
        json!({"name": "/Users/ana/load", "of_notebook": true})
    );
    assert!(imported.gap(load).starts_with("Permissions: "));
    let unlisted = imported.unlisted("experiment");
    for reason in ["line 4: ", "object 9", "INTERNAL_ERROR: try again"] {
        assert!(unlisted.contains(reason), "{unlisted}");
    }
    assert!(bench.heard("1 deleted experiments"));
}

#[test]
fn a_page_of_experiments_that_is_full_may_have_been_the_first_of_several() {
    let bench = Bench::new();
    let experiments = |count: u64| {
        let all =
            (0..count).map(|id| experiment(&id.to_string(), &format!("/Shared/{id}"), json!({})));
        bench.lines("mlflow_experiments.log", &all.collect::<Vec<_>>());
        bench.import().unlisted("experiment")
    };
    assert_eq!(experiments(999), "");
    assert!(experiments(1000).contains("one page"));
}

#[test]
fn runs_are_read_from_their_database_and_say_what_is_lost_of_them() {
    let bench = Bench::new();
    let mut deleted = experiment("3", "/Shared/gone", json!({}));
    deleted["lifecycle_stage"] = json!("deleted");
    bench.lines(
        "mlflow_experiments.log",
        &[experiment("1", "/Shared/churn", json!({})), deleted],
    );
    let tags = json!({"mlflow.runName": "first", "mlflow.user": "ana@example.com", "mlflow.parentRunId": "p", "team": "b"});
    let not_a_number = run("c", "1", json!({})).replace("0.25", "NaN");
    database(
        &bench,
        &[
            &run("a", "1", tags),
            &run("b", "1", json!({"dbsnap.source_run_id": "a"})),
            &not_a_number,
            &run("d", "3", json!({})),
            &run("e", "8", json!({})),
            "{",
            "",
        ],
    );
    let imported = bench.import();
    let a = "run /Shared/churn/2026-08-01T00:00:00.123Z a";
    assert_eq!(
        imported.body(a),
        json!({"experiment_id": "1", "status": "FINISHED", "start_time": BEGAN, "end_time": BEGAN + 5, "run_name": "first",
            "metrics": [{"key": "loss", "value": 0.25}], "params": [{"key": "depth", "value": "3"}],
            "tags": [{"key": "team", "value": "b"}], "user": "ana@example.com", "parent_run_id": "p"})
    );
    assert!(
        imported
            .gap(a)
            .contains("neither the inputs of a run nor the step and time")
    );
    // The one that was made from it has its name, and so needs its id.
    assert_eq!(
        imported.get(&format!("{a} (id b)")).object_id.as_deref(),
        Some("b")
    );
    let c = imported.body("run /Shared/churn/2026-08-01T00:00:00.123Z c");
    assert_eq!(c["metrics"], json!([{"key": "loss", "value": "NaN"}]));
    let unlisted = imported.unlisted("run");
    for reason in [
        "does not write down which",
        "row 5: mlflow_experiments.log does not have its experiment 8",
        "row 6: it ends in the middle",
        "row 7: ",
    ] {
        assert!(unlisted.contains(reason), "{unlisted}");
    }
    assert!(bench.heard("1 runs of deleted experiments"));
    assert_eq!(imported.report.counts["run"].new, 4);
    assert!(imported.report.snapshot.selection.runs.is_some());
}

#[test]
fn a_database_that_is_none_is_a_gap_and_nothing_in_it_is_run() {
    let view = "CREATE VIEW runs AS WITH RECURSIVE x(id) AS (SELECT 1 UNION ALL SELECT id FROM x) \
                SELECT id, 1 AS start_time, id AS run_obj FROM x";
    for (made, reason) in [
        ("CREATE TABLE other (id TEXT)", "no table of runs"),
        (view, "no table of runs"),
        ("CREATE TABLE runs (id TEXT)", "no such column"),
    ] {
        let bench = Bench::new();
        let database = Connection::open(bench.logs().join("mlflow_runs.db")).unwrap();
        database.execute(made, []).unwrap();
        let unlisted = bench.import().unlisted("run");
        assert!(unlisted.contains(reason), "{made}: {unlisted}");
    }
    let bench = Bench::new();
    bench.write("mlflow_runs.db", "this is no database, however long it is");
    assert!(bench.import().unlisted("run").contains("cannot be read"));
}

#[test]
fn a_database_that_ends_in_the_middle_gives_what_it_has_and_a_gap() {
    let bench = Bench::new();
    bench.lines(
        "mlflow_experiments.log",
        &[experiment("1", "/Shared/churn", json!({}))],
    );
    let rows: Vec<String> = (0..200)
        .map(|id| run(&format!("{id:03}"), "1", json!({})))
        .collect();
    database(&bench, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let path = bench.logs().join("mlflow_runs.db");
    let bytes = fs::read(&path).unwrap();
    // A page in the middle that is garbage.
    let mut torn = bytes.clone();
    let middle = bytes.len() / 4096 / 2 * 4096;
    torn[middle..middle + 4096].fill(0xff);
    bench.write("mlflow_runs.db", &torn);
    let imported = bench.import();
    let runs = imported.report.counts["run"].new;
    assert!((2..201).contains(&runs), "{runs}");
    assert!(imported.unlisted("run").contains("cannot be read"));
    bench.write("mlflow_runs.db", &bytes);
    bench.write("mlflow_runs.db-journal", "what was being done");
    assert!(bench.import().unlisted("run").contains("was being written"));
}
