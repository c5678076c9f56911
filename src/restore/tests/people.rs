//! Who is not in the target, and who is called otherwise there.

use super::*;
use crate::mapping::Table;
use crate::restore::{Action, MissingUsers, PlanError, RestoreError};
use serde_json::json;

/// A workspace in which Ana has a notebook that Ben's job runs.
async fn bench() -> Bench {
    let bench = Bench::new(Sample::Empty).await;
    let from = bench.from.workspace();
    from.add_user("ana@a.com");
    from.add_user("ben@a.com");
    from.put_notebook("/Users/ana@a.com/etl/load", "PYTHON", "print(1)\n")
        .unwrap();
    from.make_directory("/Shared").unwrap();
    let job = json!({"name": "nightly", "run_as": {"user_name": "ana@a.com"},
        "tasks": [{"task_key": "load", "existing_cluster_id": "gone-1",
            "notebook_task": {"notebook_path": "/Users/ana@a.com/etl/load"}}],
        "email_notifications": {"on_failure": ["ana@a.com", "ops@b.com"]},
        "access_control_list": [{"user_name": "ben@a.com", "permission_level": "IS_OWNER"},
            {"user_name": "ana@a.com", "permission_level": "CAN_VIEW"}]});
    let cluster = json!({"cluster_name": "shared", "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1});
    let (_, made) = from.call("POST", "/api/2.1/clusters/create", cluster);
    let mut job = job;
    job["tasks"][0]["existing_cluster_id"] = made["cluster_id"].clone();
    let (status, answer) = from.call("POST", "/api/2.2/jobs/create", job);
    assert_eq!(status, 200, "{answer}");
    bench
}

fn the_job(bench: &Bench) -> Value {
    let path = "/api/2.2/jobs/list?limit=100&expand_tasks=true";
    let (_, answer) = bench.to.workspace().call("GET", path, Value::Null);
    let jobs = answer["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 1);
    jobs[0].clone()
}

fn permissions(bench: &Bench, job: &Value) -> String {
    let path = format!("/api/2.0/permissions/jobs/{}", job["job_id"]);
    let (_, answer) = bench.to.workspace().call("GET", &path, Value::Null);
    crate::resource::Acl::from_answer(&answer)
        .to_json()
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_of_someone_who_is_not_there_goes_to_the_archive_and_jobs_follow_it() {
    let bench = bench().await;
    bench.to.workspace().add_user("ben@a.com");
    let source = bench.backup().await;
    let report = bench.restore(&source, &options()).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let job = the_job(&bench);
    let settings = &job["settings"];
    let task = &settings["tasks"][0];
    assert_eq!(
        task["notebook_task"]["notebook_path"],
        "/Archive/ana@a.com/etl/load"
    );
    assert_eq!(settings["run_as"], Value::Null);
    assert_eq!(
        permissions(&bench, &job),
        r#"{"user:ben@a.com":"IS_OWNER"}"#
    );
    let (status, _) = bench.to.workspace().call(
        "GET",
        "/api/2.0/workspace/get-status?path=/Archive/ana@a.com/etl/load",
        Value::Null,
    );
    assert_eq!(status, 200);
    let summary = report.plan.summary();
    assert_eq!(summary.unmapped, ["ana@a.com", "user:ana@a.com"]);
    assert_eq!(summary.total[&Action::Archived], 3);
    let users = report.plan.steps.iter().filter(|step| step.kind == "user");
    let ana = users
        .filter(|step| step.name == "ana@a.com")
        .map(|step| step.action);
    assert_eq!(ana.collect::<Vec<_>>(), [Action::Skipped]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_domain_is_followed_everywhere() {
    let bench = bench().await;
    bench.to.workspace().add_user("Ana@b.com");
    bench.to.workspace().add_user("ben@b.com");
    let source = bench.backup().await;
    let mut options = options();
    options
        .mapping
        .add_pair(Table::Domains, "a.com=b.com")
        .unwrap();
    options.selection.skip = vec!["user".into()];
    let report = bench.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let job = the_job(&bench);
    let settings = &job["settings"];
    assert_eq!(
        settings["tasks"][0]["notebook_task"]["notebook_path"],
        "/Users/Ana@b.com/etl/load"
    );
    assert_eq!(settings["run_as"]["user_name"], "Ana@b.com");
    assert_eq!(
        settings["email_notifications"]["on_failure"],
        json!(["ana@b.com", "ops@b.com"])
    );
    assert_eq!(
        permissions(&bench, &job),
        r#"{"user:Ana@b.com":"CAN_VIEW","user:ben@b.com":"IS_OWNER"}"#
    );
    let again = bench.plan(&source, &options).await;
    assert!(!again.changes_anything(), "{:#?}", odd_steps(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_people_can_be_an_end_to_it_or_have_their_homes_left_out() {
    let bench = bench().await;
    let source = bench.backup().await;
    let skip = Options {
        missing_users: MissingUsers::Skip,
        ..options()
    };
    let plan = bench.plan(&source, &skip).await;
    let notebook = plan
        .steps
        .iter()
        .find(|step| step.kind == "notebook")
        .unwrap();
    assert_eq!(notebook.action, Action::Skipped);
    assert!(notebook.reason.contains("ana@a.com"), "{}", notebook.reason);

    let fail = Options {
        missing_users: MissingUsers::Fail,
        ..options()
    };
    let journal = bench.dir.path().join("none");
    let task = bench.task(&source, &fail, &journal, true);
    let capture = async |selection: &Selection| bench.capture(&bench.to, selection).await;
    let error = run(task, capture, |_| true).await.unwrap_err();
    let RestoreError::Plan(PlanError::MissingUsers(users)) = error else {
        panic!("{error}")
    };
    assert_eq!(users, ["ana@a.com", "ben@a.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_its_cluster_gets_a_default_one_and_the_plan_says_so() {
    let bench = bench().await;
    let source = bench.backup().await;
    let mut options = options();
    options.selection.only = vec!["job".into()];
    let report = bench.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let task = &the_job(&bench)["settings"]["tasks"][0];
    assert_eq!(task["existing_cluster_id"], Value::Null);
    assert_eq!(task["new_cluster"]["num_workers"], 1);
    let notes = &report.plan.steps[0].notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("a default job cluster")),
        "{notes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependencies_are_pulled_in_when_asked_for() {
    let bench = bench().await;
    let source = bench.backup().await;
    let mut options = options();
    options.names = vec!["nightly".into()];
    options.with_dependencies = true;
    let report = bench.restore(&source, &options).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let made = report
        .plan
        .steps
        .iter()
        .filter(|step| step.action.makes() && !step.name.is_empty());
    let made: Vec<_> = made.map(|step| (step.kind, step.target.as_str())).collect();
    assert_eq!(
        made,
        [
            ("notebook", "/Archive/ana@a.com/etl/load"),
            ("cluster", "shared"),
            ("job", "nightly")
        ]
    );
    assert!(the_job(&bench)["settings"]["tasks"][0]["existing_cluster_id"].is_string());
}
