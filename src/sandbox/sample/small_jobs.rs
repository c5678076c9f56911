//! The jobs of the small workspace.

use serde_json::{Value, json};

use super::Builder;
use super::small::{Compute, LEFT, PROFILE, ROBOT};

/// Makes the jobs.
pub(super) fn fill(builder: &mut Builder<'_>, compute: &Compute) {
    builder.act_as("ana@example.com");
    let nightly = create(builder, nightly(compute));
    let job = format!("jobs/{nightly}");
    builder.permit(
        &job,
        &[
            ("group_name", "data-eng", "CAN_MANAGE_RUN"),
            ("group_name", "users", "CAN_VIEW"),
        ],
    );
    create(builder, branching(compute, &nightly));
    create(builder, wide(compute));
    cycle(builder, compute);

    builder.act_as("bob@example.com");
    // Two jobs of one name.
    let hourly = |cluster: &Value| {
        json!({
            "name": "hourly", "schedule": schedule("0 0 * * * ?", "PAUSED"),
            "tasks": [{"task_key": "only", "existing_cluster_id": cluster, "notebook_task": notebook("/Users/bob@example.com/scratch")}],
        })
    };
    create(builder, hourly(&compute.shared_cluster));
    create(builder, hourly(&compute.spare_cluster));
    builder.post("/api/2.0/jobs/create", legacy(compute));
    create(builder, from_git(compute));
    create(builder, triggered(compute));

    builder.act_as(LEFT);
    create(
        builder,
        json!({
            "name": "Greg's nightly (do not touch)", "schedule": schedule("0 30 1 * * ?", "UNPAUSED"),
            "email_notifications": {"on_failure": [LEFT, "ana@example.com"]},
            "tasks": [{"task_key": "run", "existing_cluster_id": compute.shared_cluster,
                "notebook_task": notebook("/Users/greg@example.com/legacy/nightly")}],
        }),
    );
    builder.act_as(ROBOT);
    create(builder, continuous(compute));
    create(builder, json!({"name": "no tasks yet 空"}));
}

fn create(builder: &mut Builder<'_>, settings: Value) -> Value {
    builder.post("/api/2.2/jobs/create", settings)["job_id"].clone()
}

fn notebook(path: &str) -> Value {
    json!({"notebook_path": path})
}

fn schedule(cron: &str, pause_status: &str) -> Value {
    json!({"quartz_cron_expression": cron, "timezone_id": "Europe/Zurich", "pause_status": pause_status})
}

fn job_cluster(key: &str, compute: &Compute) -> Value {
    json!({
        "job_cluster_key": key,
        "new_cluster": {
            "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 2,
            "policy_id": compute.policy, "aws_attributes": {"instance_profile_arn": PROFILE},
            "spark_env_vars": {"TOKEN": "{{secrets/etl/api-token}}"},
            "init_scripts": [{"workspace": {"destination": "/Shared/init/setup.sh"}}],
        },
    })
}

fn nightly(compute: &Compute) -> Value {
    json!({
        "name": "nightly etl", "description": "Loads, cleans, publishes.", "tags": {"team": "data"},
        "schedule": schedule("0 0 2 * * ?", "UNPAUSED"), "queue": {"enabled": true},
        "email_notifications": {"on_failure": ["ana@example.com", "oncall@example.com"], "no_alert_for_skipped_runs": true},
        "webhook_notifications": {"on_failure": [{"id": "7c3a7a52-0000-4000-8000-000000000001"}]},
        "run_as": {"service_principal_name": ROBOT},
        "parameters": [{"name": "env", "default": "prod"}],
        "job_clusters": [job_cluster("main", compute)],
        "tasks": [
            {"task_key": "load", "job_cluster_key": "main", "notebook_task": {
                "notebook_path": "/Shared/etl/01 load", "base_parameters": {"in": "dbfs:/data/in"}},
                "libraries": [{"whl": "/Workspace/Shared/libs/tools-1.0-py3-none-any.whl"}], "max_retries": 2},
            {"task_key": "clean", "job_cluster_key": "main", "depends_on": [{"task_key": "load"}],
                "notebook_task": notebook("/Shared/etl/02 clean")},
            {"task_key": "publish", "existing_cluster_id": compute.shared_cluster, "run_if": "ALL_DONE",
                "depends_on": [{"task_key": "load"}, {"task_key": "clean"}],
                "notebook_task": notebook("/Shared/etl/03 publish")},
        ],
    })
}

fn branching(compute: &Compute, other: &Value) -> Value {
    json!({
        "name": "branches & loops", "max_concurrent_runs": 3, "timeout_seconds": 3600,
        "environments": [{"environment_key": "default", "spec": {
            "environment_version": "2", "dependencies": ["-r /Workspace/Shared/requirements.txt", "simplejson"]}}],
        "tasks": [
            {"task_key": "check", "condition_task": {"op": "EQUAL_TO", "left": "{{job.parameters.env}}", "right": "prod"}},
            {"task_key": "child", "depends_on": [{"task_key": "check", "outcome": "true"}],
                "run_job_task": {"job_id": other, "job_parameters": {"day": "{{job.start_time.iso_date}}"}}},
            {"task_key": "loop", "depends_on": [{"task_key": "check", "outcome": "false"}],
                "for_each_task": {"inputs": "[1,2,3]", "concurrency": 2, "task": {
                    "task_key": "loop_it", "existing_cluster_id": compute.shared_cluster,
                    "spark_python_task": {"python_file": "/Workspace/Shared/jobs/one.py", "parameters": ["{{input}}"]}}}},
            {"task_key": "serverless", "environment_key": "default",
                "spark_python_task": {"python_file": "/Workspace/Shared/jobs/one.py"}},
        ],
    })
}

/// More tasks than one answer carries.
fn wide(compute: &Compute) -> Value {
    let task = |number: usize| {
        let mut task = json!({
            "task_key": format!("t{number:03}"), "existing_cluster_id": compute.spare_cluster,
            "notebook_task": {"notebook_path": "/Shared/etl/02 clean", "base_parameters": {"part": number.to_string()}},
        });
        if number >= 10 {
            task["depends_on"] = json!([{"task_key": format!("t{:03}", number - 10)}]);
        }
        task
    };
    json!({"name": "wide", "tasks": (0..150).map(task).collect::<Vec<Value>>()})
}

/// Two jobs that run each other: the first cannot refer to the second before that exists.
fn cycle(builder: &mut Builder<'_>, compute: &Compute) {
    let settings = |name: &str, other: Option<&Value>| {
        let work = json!({"task_key": "work", "existing_cluster_id": compute.shared_cluster,
            "notebook_task": notebook("/Users/ana@example.com/load")});
        let next = other.map(|id| {
            json!({"task_key": "next", "depends_on": [{"task_key": "work"}],
            "run_job_task": {"job_id": id}})
        });
        json!({"name": name, "tasks": std::iter::once(work).chain(next).collect::<Vec<Value>>()})
    };
    let ping = create(builder, settings("ping", None));
    let pong = create(builder, settings("pong", Some(&ping)));
    let closed = settings("ping", Some(&pong));
    builder.post(
        "/api/2.2/jobs/reset",
        json!({"job_id": ping, "new_settings": closed}),
    );
}

/// As jobs were made before they had tasks.
fn legacy(compute: &Compute) -> Value {
    json!({
        "name": "old faithful", "existing_cluster_id": compute.shared_cluster,
        "notebook_task": {"notebook_path": "/Users/ana@example.com/load", "revision_timestamp": 0},
        "schedule": {"quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"},
        "max_retries": 1,
    })
}

fn from_git(compute: &Compute) -> Value {
    json!({
        "name": "from git", "git_source": {"git_url": "https://github.com/example/project", "git_provider": "gitHub", "git_branch": "main"},
        "job_clusters": [{"job_cluster_key": "pooled", "new_cluster": {
            "spark_version": "15.4.x-scala2.12", "instance_pool_id": compute.pool, "num_workers": 1}}],
        "tasks": [{"task_key": "main", "job_cluster_key": "pooled", "notebook_task": notebook("src/main")}],
    })
}

fn triggered(compute: &Compute) -> Value {
    json!({
        "name": "when files arrive",
        "trigger": {"pause_status": "UNPAUSED", "file_arrival": {"url": "/Volumes/main/raw/incoming/"}},
        "health": {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 600}]},
        "tasks": [{"task_key": "ingest", "new_cluster": {
            "spark_version": "15.4.x-scala2.12", "node_type_id": "i3.xlarge", "autoscale": {"min_workers": 1, "max_workers": 3},
            "policy_id": compute.policy}, "notebook_task": notebook("/Users/bob@example.com/jobs/ingest")}],
    })
}

fn continuous(compute: &Compute) -> Value {
    json!({
        "name": "always on", "continuous": {"pause_status": "PAUSED"},
        "tasks": [{"task_key": "stream", "existing_cluster_id": compute.spare_cluster,
            "notebook_task": notebook("/Users/b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11/robot")}],
    })
}
