//! Experiments and registered models.

use serde_json::json;

use super::law::whole;
use super::*;
use crate::restore::{Action, OnConflict};

const CREATE: &str = "/api/2.0/mlflow/experiments/create";
const SET_TAG: &str = "/api/2.0/mlflow/experiments/set-experiment-tag";

/// Only these kinds, and nothing they refer to.
fn only(kinds: &[&str]) -> Options {
    let mut options = whole();
    options.selection.only = kinds.iter().map(ToString::to_string).collect();
    options
}

fn call(place: &Place, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = place.workspace().call(method, path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn experiment(place: &Place, name: &str, tags: Value) -> String {
    let made = call(place, "POST", CREATE, json!({"name": name, "tags": tags}));
    made["experiment_id"].as_str().unwrap().to_owned()
}

fn tags(place: &Place, id: &str) -> Vec<(String, String)> {
    let path = format!("/api/2.0/mlflow/experiments/get?experiment_id={id}");
    let found = call(place, "GET", &path, Value::Null);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tags = found["experiment"]["tags"].as_array().unwrap().iter();
    let tags = tags.map(|tag| (text(&tag["key"]), text(&tag["value"])));
    tags.filter(|(key, _)| !key.starts_with("mlflow."))
        .collect()
}

fn step<'a>(plan: &'a Plan, kind: &str, name: &str) -> &'a super::super::Step {
    let mut steps = plan.steps.iter();
    let found = steps.find(|step| step.kind == kind && step.name == name);
    found.unwrap_or_else(|| panic!("no step for {kind} {name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_comes_back_alone_with_the_folders_it_lies_in() {
    let bench = Bench::new(Sample::Empty).await;
    bench.from.workspace().make_directory("/Shared/a/b");
    experiment(
        &bench.from,
        "/Shared/a/b/x",
        json!([{"key": "k", "value": "v"}]),
    );
    let source = bench.backup().await;
    let report = bench.restore(&source, &only(&["experiment"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let none = Vec::<String>::new();
    assert_eq!(bench.differences(&source, &report.plan.mapping).await, none);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_experiments_of_one_who_left_are_in_the_archive() {
    let bench = Bench::new(Sample::Small).await;
    // One of them has neither users nor the folders of homes.
    for kinds in [vec![], vec!["experiment".to_owned()]] {
        let selection = Selection {
            only: kinds,
            ..Selection::default()
        };
        let source = bench.backup_with(&bench.from, &selection).await;
        let plan = bench.plan(&source, &whole()).await;
        let old = step(
            &plan,
            "experiment",
            "/Users/greg@example.com/old experiment",
        );
        assert_eq!(old.action, Action::Archived, "{:?}", selection.only);
        assert_eq!(old.target, "/Archive/greg@example.com/old experiment");
        assert_eq!(old.body.as_ref().unwrap()["name"], old.target.as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_are_set_and_what_no_call_takes_away_is_said_to_stay() {
    let bench = Bench::new(Sample::Empty).await;
    let kept = json!([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]);
    experiment(&bench.from, "/Shared/x", kept);
    let other = json!([{"key": "a", "value": "other"}, {"key": "c", "value": "3"}]);
    let id = experiment(&bench.to, "/Shared/x", other);
    let source = bench.backup().await;
    let left = Options {
        on_conflict: OnConflict::Skip,
        ..only(&["experiment"])
    };
    let plan = bench.plan(&source, &left).await;
    assert_eq!(
        step(&plan, "experiment", "/Shared/x").action,
        Action::Conflict
    );

    let report = bench.restore(&source, &only(&["experiment"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        tags(&bench.to, &id),
        [pair("a", "1"), pair("b", "2"), pair("c", "3")]
    );
    let said = &step(&report.plan, "experiment", "/Shared/x").lost;
    assert_eq!(
        *said,
        ["tags \"c\" of the target stays: the API does not take it away"]
    );
    let again = bench.plan(&source, &only(&["experiment"])).await;
    assert_eq!(
        step(&again, "experiment", "/Shared/x").action,
        Action::Unchanged
    );
    assert!(again.leaves_something());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_experiment_of_a_notebook_is_said_to_be_out_of_reach_until_it_is_there() {
    let bench = Bench::new(Sample::Small).await;
    let tag = |place: &Place, value: &str| {
        let path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=%2FUsers%2Fana@example.com%2Fprojects%2Fpricing%2Felasticity";
        let found = call(place, "GET", path, Value::Null);
        let id = found["experiment"]["experiment_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let body = json!({"experiment_id": id, "key": "k", "value": value});
        call(place, "POST", SET_TAG, body);
        id
    };
    tag(&bench.from, "kept");
    let source = bench.backup().await;
    let plan = bench.plan(&source, &whole()).await;
    let skipped = step(
        &plan,
        "experiment",
        "/Users/ana@example.com/projects/pricing/elasticity",
    );
    assert_eq!(skipped.action, Action::Skipped);
    assert!(skipped.reason.contains("first run"), "{}", skipped.reason);
    assert_eq!(
        step(
            &plan,
            "notebook",
            "/Users/ana@example.com/projects/pricing/elasticity"
        )
        .action,
        Action::Create
    );

    // In the workspace itself it is there, and only its tags are written.
    let bench = Bench {
        to: bench.from,
        from: bench.to,
        ..bench
    };
    let id = tag(&bench.to, "changed");
    let report = bench.restore(&source, &only(&["experiment"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(tags(&bench.to, &id), [("k".to_owned(), "kept".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_differs_gets_its_words_its_tags_and_its_permissions_back() {
    let bench = Bench::new(Sample::Empty).await;
    let models = "/api/2.0/mlflow/registered-models";
    let create = format!("{models}/create");
    let make = |place: &Place, description: &str, tags: Value| {
        let body = json!({"name": "m", "description": description, "tags": tags});
        call(place, "POST", &create, body);
    };
    let kept = json!([{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]);
    make(&bench.from, "what it is", kept);
    let other = json!([{"key": "a", "value": "other"}, {"key": "c", "value": "3"}]);
    make(&bench.to, "something else", other);
    let path = "/api/2.0/mlflow/databricks/registered-models/get?name=m";
    let whole = call(&bench.from, "GET", path, Value::Null);
    let id = whole["registered_model_databricks"]["id"].as_str().unwrap();
    let entries = json!({"access_control_list": [
        {"group_name": "users", "permission_level": "CAN_READ"},
        {"user_name": "admin@example.com", "permission_level": "CAN_MANAGE"}]});
    let permissions = format!("/api/2.0/permissions/registered-models/{id}");
    call(&bench.from, "PUT", &permissions, entries);
    let source = bench.backup().await;
    let report = bench.restore(&source, &only(&["registered-model"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let none = Vec::<String>::new();
    assert_eq!(bench.differences(&source, &report.plan.mapping).await, none);
    assert_eq!(report.plan.permissions.len(), 1);
}

/// Makes a model with these versions, by their sources.
fn model(place: &Place, name: &str, sources: &[&str]) {
    let models = "/api/2.0/mlflow/registered-models/create";
    call(place, "POST", models, json!({"name": name}));
    let tags = json!([{"key": "t", "value": "1"}]);
    for source in sources {
        let body = json!({"name": name, "source": source, "description": "d", "tags": tags});
        call(place, "POST", "/api/2.0/mlflow/model-versions/create", body);
    }
}

fn transition(place: &Place, name: &str, version: &str, stage: &str) {
    let body = json!({"name": name, "version": version, "stage": stage});
    let path = "/api/2.0/mlflow/databricks/model-versions/transition-stage";
    call(place, "POST", path, body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_come_back_with_numbers_stages_and_tags_and_what_differs_is_set() {
    let bench = Bench::new(Sample::Empty).await;
    model(&bench.from, "m", &["s3://b/1", "s3://b/2", "s3://b/3"]);
    transition(&bench.from, "m", "2", "Production");
    model(&bench.to, "m", &["s3://b/1", "s3://b/2"]);
    let version = json!({"name": "m", "version": "1", "key": "t", "value": "other"});
    call(
        &bench.to,
        "POST",
        "/api/2.0/mlflow/model-versions/set-tag",
        version,
    );
    let source = bench.backup().await;
    let report = bench.restore(&source, &only(&["registered-model"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let none = Vec::<String>::new();
    assert_eq!(bench.differences(&source, &report.plan.mapping).await, none);
    assert_eq!(
        odd_steps(&bench.plan(&source, &only(&["registered-model"])).await),
        none
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_was_deleted_comes_back_in_its_own_workspace_with_files_only_that_reads() {
    let bench = Bench::new(Sample::Empty).await;
    let own = "dbfs:/databricks/mlflow-tracking/1/2/artifacts/model";
    model(&bench.from, "m", &[own]);
    let source = bench.backup().await;
    let elsewhere = bench.plan(&source, &only(&["registered-model"])).await;
    let said = &step(&elsewhere, "registered-model", "m").lost;
    assert!(
        said[0].contains("only the workspace it comes from"),
        "{said:?}"
    );

    let bench = Bench {
        to: bench.from,
        from: bench.to,
        ..bench
    };
    let delete = "/api/2.0/mlflow/registered-models/delete?name=m";
    call(&bench.to, "DELETE", delete, Value::Null);
    let report = bench.restore(&source, &only(&["registered-model"])).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let none = Vec::<String>::new();
    assert_eq!(bench.differences(&source, &report.plan.mapping).await, none);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_got_another_number_is_told_and_none_is_made_after_it() {
    let bench = Bench::new(Sample::Empty).await;
    model(&bench.from, "m", &["s3://b/1", "s3://b/2", "s3://b/3"]);
    // A number that was given is not seen any more.
    model(&bench.to, "m", &["s3://b/1", "s3://passing"]);
    let delete = "/api/2.0/mlflow/model-versions/delete?name=m&version=2";
    call(&bench.to, "DELETE", delete, Value::Null);
    let source = bench.backup().await;
    let report = bench.restore(&source, &only(&["registered-model"])).await;
    let failures = failures(&report);
    assert!(
        failures[0].contains("version 2") && failures[0].contains("number \\\"3\\\""),
        "{failures:?}"
    );
    let path = "/api/2.0/mlflow/model-versions/search?filter=name%3D%27m%27";
    let there = call(&bench.to, "GET", path, Value::Null);
    assert_eq!(there["model_versions"].as_array().unwrap().len(), 2);
}
