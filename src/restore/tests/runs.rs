//! Runs of experiments, by a window of time.

use serde_json::json;

use super::law::{assert_is_back, whole};
use super::*;
use crate::manifest::Runs;
use crate::restore::{Action, Step};
use crate::sandbox::{Effect, Rule};

const RUNS: &str = "/api/2.0/mlflow/runs";

fn selection(bench: &Bench, since: Option<&str>) -> Selection {
    Selection {
        secret_values: bench.store.is_encrypted(),
        runs: Some(Runs {
            since: since.map(|time| time.parse().unwrap()),
            ..Runs::default()
        }),
        ..Selection::default()
    }
}

async fn backup(bench: &Bench, since: Option<&str>) -> Source {
    bench
        .backup_with(&bench.from, &selection(bench, since))
        .await
}

fn call(place: &Place, path: &str, body: Value) -> Value {
    let (status, answer) = place.workspace().call("POST", path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn experiment(place: &Place, name: &str) -> String {
    let path = "/api/2.0/mlflow/experiments/create";
    let made = call(place, path, json!({"name": name}));
    made["experiment_id"].as_str().unwrap().to_owned()
}

/// Makes a run that began at a second of the year 2026.
fn run_at(place: &Place, experiment: &str, second: i64) -> String {
    let begin = 1_767_225_600_000 + 1000 * second;
    let body = json!({"experiment_id": experiment, "start_time": begin, "run_name": format!("at {second}")});
    let made = call(place, &format!("{RUNS}/create"), body);
    made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
}

fn only_runs(kinds: &[&str]) -> Options {
    let mut options = whole();
    options.selection.only = kinds.iter().map(ToString::to_string).collect();
    options
}

async fn differences(bench: &Bench, source: &Source, mapping: &Mapping) -> Vec<String> {
    let now = bench
        .capture(&bench.to, &selection(bench, None))
        .await
        .unwrap();
    bench.differences_to(source, &now, mapping).await
}

fn runs_of(plan: &Plan) -> Vec<&Step> {
    plan.steps
        .iter()
        .filter(|step| step.kind == "run")
        .collect()
}

fn count(place: &Place, experiment: &str) -> usize {
    let found = call(
        place,
        &format!("{RUNS}/search"),
        json!({"experiment_ids": [experiment]}),
    );
    found["runs"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_runs_are_captured_as_those_they_were_made_from_and_recognised_in_a_second_run() {
    let bench = Bench::new(Sample::Small).await;
    let source = backup(&bench, None).await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(runs_of(&report.plan).len(), 4);
    assert_is_back(differences(&bench, &source, &report.plan.mapping).await);
    bench.to.workspace().forget_requests();
    let again = bench.restore(&source, &whole()).await;
    for step in runs_of(&again.plan) {
        assert_eq!(step.action, Action::Unchanged, "{step:?}");
    }
    assert_eq!(bench.to.workspace().requests().to("runs/create"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_keeps_its_times_its_parent_and_the_last_value_of_its_metrics() {
    let bench = Bench::new(Sample::Small).await;
    let source = backup(&bench, None).await;
    let mut options = whole();
    let table = crate::mapping::Table::Users;
    options
        .mapping
        .add_pair(table, "ana@example.com=anna@example.com")
        .unwrap();
    let report = bench.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let steps = report.plan.steps.iter().zip(&report.outcomes);
    let of = |end: &str| {
        let mut found = steps.clone().filter(|(step, _)| step.kind == "run");
        let found = found.find(|(step, _)| step.name.contains(end)).unwrap();
        let path = format!("{RUNS}/get?run_id={}", found.1.id.as_ref().unwrap());
        bench.to.workspace().call("GET", &path, Value::Null).1["run"].clone()
    };
    let (parent, child) = (of("T00:00:00.000Z"), of("T00:03:00.000Z"));
    let info = |field: &str| child["info"][field].clone();
    assert_eq!(
        (info("status"), info("run_name")),
        (json!("FAILED"), json!("depth 7"))
    );
    assert_eq!(info("start_time"), json!(1_785_542_400_000_i64 + 180_000));
    assert_eq!(info("end_time"), json!(1_785_542_400_000_i64 + 240_000));
    assert_eq!(
        child["data"]["metrics"],
        json!([{"key": "auc", "value": 0.77, "timestamp": 1_785_542_401_000_i64, "step": 1}])
    );
    let tags = child["data"]["tags"].as_array().unwrap();
    let tag = |key: &str, value: &Value| {
        assert!(
            tags.contains(&json!({"key": key, "value": value})),
            "{key}: {tags:?}"
        )
    };
    tag("mlflow.parentRunId", &parent["info"]["run_id"]);
    tag("mlflow.user", &json!("anna@example.com"));
    tag(
        "mlflow.source.name",
        &json!("/Users/anna@example.com/projects/churn/train"),
    );
    tag("note", &json!("größer ist nicht besser"));
    assert_eq!(
        child["inputs"]["dataset_inputs"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_runs_of_the_window_are_kept_and_a_narrower_window_is_no_deletion() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    for second in 0..4 {
        run_at(&bench.from, &of, second);
    }
    let none = bench.backup().await;
    assert!(!none.snapshot.kinds.contains_key("run"));
    let all = backup(&bench, None).await;
    let since = "2026-01-01T00:00:02Z";
    let some = backup(&bench, Some(since)).await;
    let kept = |source: &Source| source.snapshot.kinds["run"].totals.entries;
    assert_eq!((kept(&all), kept(&some)), (4, 2));
    let told = |before, after| bench.told(before, after).len();
    assert_eq!(
        (told(&all, &some), told(&some, &all), told(&all, &none)),
        (0, 0, 0)
    );
    // Within the window a run that is gone is gone.
    let gone = run_at(&bench.from, &of, 9);
    let before = backup(&bench, Some(since)).await;
    call(
        &bench.from,
        &format!("{RUNS}/delete"),
        json!({"run_id": gone}),
    );
    let after = backup(&bench, Some("2026-01-01T00:00:03Z")).await;
    assert_eq!(told(&before, &after), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_come_in_pages_and_long_runs_go_in_batches() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    for second in 0..2100 {
        run_at(&bench.from, &of, second);
    }
    let id = run_at(&bench.from, &of, 9000);
    let batch = |list: &str, numbers: std::ops::Range<usize>| {
        let element = |number| match list {
            "metrics" => {
                json!({"key": format!("k{number}"), "value": 1.5, "timestamp": 7, "step": number})
            }
            _ => json!({"key": format!("k{number}"), "value": "v"}),
        };
        let elements: Vec<Value> = numbers.map(element).collect();
        call(
            &bench.from,
            &format!("{RUNS}/log-batch"),
            json!({"run_id": id, list: elements}),
        );
    };
    for number in 0..3 {
        batch("params", 100 * number..100 * number + 70);
        batch("tags", 100 * number..100 * number + 70);
        batch("metrics", 1000 * number..1000 * number + 700);
    }
    bench.from.workspace().forget_requests();
    let source = backup(&bench, None).await;
    assert_eq!(source.snapshot.kinds["run"].totals.entries, 2101);
    assert_eq!(bench.from.workspace().requests().to("runs/search"), 3);
    let mut options = only_runs(&["run", "experiment"]);
    options.selection.runs = Some(Runs {
        since: Some("2026-01-01T02:00:00Z".parse().unwrap()),
        ..Runs::default()
    });
    let report = bench.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found.len(), 2100, "all but the long one are missing");
    assert!(found.iter().all(|one| one.starts_with("removed run")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_is_made_twice_although_the_answer_was_lost() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    for _ in 0..3 {
        run_at(&bench.from, &of, 5);
    }
    let there = experiment(&bench.to, "/Shared/x");
    let source = backup(&bench, None).await;
    let lost = Rule::new("/api/2.0/mlflow/runs/create", Effect::LoseAnswer);
    bench.to.workspace().inject(lost.times(2));
    let report = bench.restore(&source, &only_runs(&["run"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(count(&bench.to, &there), 3);
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_answer_was_lost_is_not_taken_for_another_that_began_at_the_same_time() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    // Both workspaces give the same ids, one after the other.
    for _ in 0..13 {
        let gone = run_at(&bench.from, &of, 4);
        let delete = format!("{RUNS}/delete");
        call(&bench.from, &delete, json!({"run_id": gone}));
    }
    let id = run_at(&bench.from, &of, 5);
    let body = json!({"run_id": id, "params": [{"key": "ours", "value": "1"}]});
    call(&bench.from, &format!("{RUNS}/log-batch"), body);
    let there = experiment(&bench.to, "/Shared/x");
    for _ in 0..12 {
        run_at(&bench.to, &there, 5);
    }
    let source = backup(&bench, None).await;
    let lost = Rule::new("/api/2.0/mlflow/runs/create", Effect::LoseAnswer);
    bench.to.workspace().inject(lost.times(1));
    let report = bench.restore(&source, &only_runs(&["run"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(count(&bench.to, &there), 13);
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert!(
        found.iter().all(|one| one.starts_with("added run")),
        "{found:?}"
    );
    assert_eq!(found.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_run_comes_back_in_its_own_workspace_under_another_id_and_the_same_name() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    let id = run_at(&bench.from, &of, 5);
    run_at(&bench.from, &of, 6);
    let source = backup(&bench, None).await;
    call(
        &bench.from,
        &format!("{RUNS}/delete"),
        json!({"run_id": id}),
    );
    let bench = Bench {
        to: bench.from,
        from: bench.to,
        ..bench
    };
    let report = bench.restore(&source, &only_runs(&["run"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(count(&bench.to, &of), 2);
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_experiment_cannot_be_made_is_skipped_with_the_reason() {
    let bench = Bench::plain(Sample::Empty).await;
    let workspace = bench.from.workspace();
    workspace
        .put_notebook("/Shared/n", "PYTHON", "# Databricks notebook source\n1")
        .unwrap();
    let (_, node) = workspace.call(
        "GET",
        "/api/2.0/workspace/get-status?path=/Shared/n",
        Value::Null,
    );
    run_at(&bench.from, &node["object_id"].to_string(), 5);
    let source = backup(&bench, None).await;
    let plan = bench.plan(&source, &whole()).await;
    let runs = runs_of(&plan);
    assert_eq!((runs.len(), runs[0].action), (1, Action::Skipped));
    assert_eq!(
        runs[0].reason,
        "belongs to experiment /Shared/n, which is not in the target"
    );
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_a_model_names_the_run_that_was_restored() {
    let bench = Bench::plain(Sample::Empty).await;
    let of = experiment(&bench.from, "/Shared/x");
    let id = run_at(&bench.from, &of, 5);
    call(
        &bench.from,
        "/api/2.0/mlflow/registered-models/create",
        json!({"name": "m"}),
    );
    let version = json!({"name": "m", "source": "s3://b/1", "run_id": id});
    call(
        &bench.from,
        "/api/2.0/mlflow/model-versions/create",
        version,
    );
    let source = backup(&bench, None).await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found, Vec::<String>::new());
}
