//! The history of metrics: all values, and not only the last.

use serde_json::json;

use super::law::whole;
use super::*;
use crate::manifest::{Extent, Runs};
use crate::restore::Action;
use crate::sandbox::{Effect, Faults, Rule};

const HISTORY: &str = "/api/2.0/mlflow/metrics/get-history";

fn selection(metric_history: bool) -> Selection {
    Selection {
        only: ["experiment", "run"].map(str::to_owned).into(),
        runs: Some(Runs {
            metric_history,
            ..Runs::default()
        }),
        ..Selection::default()
    }
}

async fn backup(bench: &Bench) -> Source {
    bench.backup_with(&bench.from, &selection(true)).await
}

fn call(place: &Place, path: &str, body: Value) -> Value {
    let path = format!("/api/2.0/mlflow/{path}");
    let (status, answer) = place.workspace().call("POST", &path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Makes a run with so many values of one metric, the last ones first, and one of another.
fn run(place: &Place, values: i64) -> String {
    let made = call(place, "experiments/create", json!({"name": "/Shared/x"}));
    let body = json!({"experiment_id": made["experiment_id"], "start_time": 1_767_225_600_000_i64});
    let made = call(place, "runs/create", body);
    let run = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let steps: Vec<i64> = (0..values).rev().collect();
    for steps in steps.chunks(1000) {
        log(place, &run, "loss", steps);
    }
    log(place, &run, "auc", &[7]);
    run
}

fn log(place: &Place, run: &str, key: &str, steps: &[i64]) {
    let value =
        |step: &i64| json!({"key": key, "value": 0.5 * *step as f64, "timestamp": 9, "step": step});
    let metrics: Vec<Value> = steps.iter().map(value).collect();
    call(
        place,
        "runs/log-batch",
        json!({"run_id": run, "metrics": metrics}),
    );
}

fn end(place: &Place, run: &str) {
    let body = json!({"run_id": run, "status": "FINISHED", "end_time": 1_767_225_700_000_i64});
    call(place, "runs/update", body);
}

/// The steps of a metric that a run has.
fn steps(place: &Place, run: &str, key: &str) -> Vec<i64> {
    let path = format!("{HISTORY}?run_id={run}&metric_key={key}");
    let answer = place.workspace().call("GET", &path, Value::Null).1;
    let values = answer["metrics"].as_array().unwrap().iter();
    let mut steps: Vec<i64> = values
        .map(|value| value["step"].as_i64().unwrap())
        .collect();
    steps.sort_unstable();
    steps
}

fn asked(bench: &Bench) -> u64 {
    bench.from.workspace().requests().to("get-history")
}

async fn differences(bench: &Bench, source: &Source, mapping: &Mapping) -> Vec<String> {
    let now = bench.capture(&bench.to, &selection(true)).await.unwrap();
    bench.differences_to(source, &now, mapping).await
}

fn made(report: &RestoreReport) -> String {
    let mut steps = report.plan.steps.iter().zip(&report.outcomes);
    let made = steps.find(|(step, _)| step.kind == "run").unwrap();
    made.1.id.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_values_of_a_metric_come_back_and_are_not_logged_twice() {
    let bench = Bench::plain(Sample::Empty).await;
    let id = run(&bench.from, 2500);
    end(&bench.from, &id);
    let source = backup(&bench).await;
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let there = made(&report);
    assert_eq!(
        steps(&bench.to, &there, "loss"),
        (0..2500).collect::<Vec<_>>()
    );
    assert_eq!(steps(&bench.to, &there, "auc"), [7]);
    let found = differences(&bench, &source, &report.plan.mapping).await;
    assert_eq!(found, Vec::<String>::new());
    let again = bench.plan(&source, &whole()).await;
    let of_run = again.steps.iter().find(|step| step.kind == "run").unwrap();
    assert_eq!(of_run.action, Action::Unchanged, "{of_run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_the_target_lacks_are_logged_where_the_last_ones_are_the_same() {
    let bench = Bench::plain(Sample::Empty).await;
    // One that goes on: of one that has ended what is known would do.
    run(&bench.from, 3);
    let short = bench.backup_with(&bench.from, &selection(false)).await;
    let source = backup(&bench).await;
    let report = bench.restore(&short, &whole()).await;
    let there = made(&report);
    assert_eq!(steps(&bench.to, &there, "loss"), [2]);
    log(&bench.to, &there, "loss", &[0]);
    let report = bench.restore(&source, &whole()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let of_run = report
        .plan
        .steps
        .iter()
        .find(|step| step.kind == "run")
        .unwrap();
    let paths: Vec<_> = of_run
        .differences
        .iter()
        .map(|change| &change.path)
        .collect();
    assert_eq!(
        (of_run.action, &paths[..]),
        (Action::Update, &[&"metrics.history".to_owned()][..])
    );
    assert_eq!(steps(&bench.to, &there, "loss"), [0, 1, 2]);
    // They came in another order there.
    let again = bench.plan(&source, &whole()).await;
    let of_run = again.steps.iter().find(|step| step.kind == "run").unwrap();
    assert_eq!(of_run.action, Action::Unchanged, "{of_run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_has_ended_is_asked_once_and_one_that_goes_on_every_time() {
    let bench = Bench::plain(Sample::Empty).await;
    let id = run(&bench.from, 3);
    bench.backup_with(&bench.from, &selection(false)).await;
    assert_eq!(asked(&bench), 0, "nobody asked for it");
    for total in [2, 4] {
        backup(&bench).await;
        assert_eq!(asked(&bench), total);
    }
    end(&bench.from, &id);
    let ended = backup(&bench).await;
    assert_eq!(asked(&bench), 6);
    let same = backup(&bench).await;
    assert_eq!(asked(&bench), 6);
    assert_eq!(bench.told(&ended, &same), Vec::<String>::new());
    log(&bench.from, &id, "loss", &[3]);
    let more = backup(&bench).await;
    assert_eq!(asked(&bench), 8);
    assert_eq!(bench.told(&same, &more).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_nobody_asked_for_is_not_missed_and_one_that_cannot_be_read_is_a_gap() {
    let bench = Bench::plain(Sample::Empty).await;
    run(&bench.from, 3);
    let without = bench.backup_with(&bench.from, &selection(false)).await;
    let with = backup(&bench).await;
    let none = Vec::<String>::new();
    assert_eq!(bench.told(&without, &with), none);
    assert_eq!(bench.told(&with, &without), none);
    let refuse = Effect::Refuse {
        status: 403,
        code: "PERMISSION_DENIED".to_owned(),
        message: "no".to_owned(),
    };
    let workspace = bench.from.workspace();
    workspace.inject(Rule::new(HISTORY, refuse).target("loss"));
    let gap = backup(&bench).await;
    workspace.set_faults(Faults::default());
    let tree = Tree::open(&gap.store, &gap.snapshot.root).unwrap();
    let entries: Vec<_> = tree
        .kind(&crate::resource::KindName::known("run"))
        .map(Result::unwrap)
        .collect();
    let found = entries[0].gap.as_ref().unwrap();
    assert_eq!(found.extent, Extent::Content);
    assert!(
        found
            .reason
            .starts_with("the history of the metric loss is unknown"),
        "{found:?}"
    );
    assert!(
        entries[0].body.is_some() && entries[0].content.is_some(),
        "as it was before"
    );
}
