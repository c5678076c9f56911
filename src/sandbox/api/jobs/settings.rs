//! The settings of a job as the service keeps them: completed, normalised, checked.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::sandbox::api::compute::{check_references, hide_secrets};
use crate::sandbox::call::{Fields, Object, Refusal, object};
use crate::sandbox::state::{Kind, State};

/// The fields that sit at the top of a single-task job of version 2.0 and belong to its task later.
pub(super) const TASK_FIELDS: &[&str] = &[
    "existing_cluster_id",
    "new_cluster",
    "libraries",
    "notebook_task",
    "spark_jar_task",
    "spark_python_task",
    "spark_submit_task",
    "max_retries",
    "min_retry_interval_millis",
    "retry_on_timeout",
];

/// The task key a single-task job gets.
const ONLY_TASK: &str = "main";

/// Fills in what the service fills in, and leaves out what it never gives back.
pub(super) fn complete(mut settings: Object, is_single_task: bool) -> Object {
    if is_single_task {
        lift_task(&mut settings);
    }
    let defaults = json!({
        "name": "Untitled",
        "email_notifications": {},
        "webhook_notifications": {},
        "timeout_seconds": 0,
        "max_concurrent_runs": 1,
    });
    for (field, value) in object(defaults) {
        settings.entry(field).or_insert(value);
    }
    // Whatever is written, what is read is this.
    settings.insert("format".into(), json!("MULTI_TASK"));
    // A job that is not said to be paused runs.
    for starter in ["schedule", "trigger", "continuous"] {
        if let Some(starter) = settings.get_mut(starter).and_then(Value::as_object_mut) {
            starter.entry("pause_status").or_insert(json!("UNPAUSED"));
        }
    }
    let is_git = settings.contains_key("git_source");
    for task in settings
        .get_mut("tasks")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        complete_task(task, is_git);
    }
    for cluster in settings
        .get_mut("job_clusters")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(spec) = cluster
            .get_mut("new_cluster")
            .and_then(Value::as_object_mut)
        {
            complete_cluster(spec);
        }
    }
    settings
}

/// Refuses settings that contradict themselves or refer to what is not there.
pub(super) fn check(state: &State, settings: &Object) -> Result<(), Refusal> {
    let tasks = settings.items("tasks");
    if tasks.len() > 1000 {
        return Err(Refusal::invalid("A job has at most 1000 tasks"));
    }
    if settings
        .get("tags")
        .and_then(Value::as_object)
        .is_some_and(|tags| tags.len() > 25)
    {
        return Err(Refusal::invalid("A job has at most 25 tags"));
    }
    let mut keys = HashSet::new();
    for task in tasks {
        let key = task["task_key"].as_str().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Refusal::invalid("Every task needs a task_key"))?;
        if !keys.insert(key) {
            return Err(Refusal::invalid(format!(
                "The task key '{key}' is used twice"
            )));
        }
    }
    let clusters: HashSet<&str> = settings
        .items("job_clusters")
        .iter()
        .filter_map(|cluster| cluster["job_cluster_key"].as_str())
        .collect();
    for task in tasks {
        check_task(state, task, &keys, &clusters)?;
    }
    for cluster in settings.items("job_clusters") {
        check_cluster(state, &cluster["new_cluster"])?;
    }
    check_run_as(state, settings)
}

/// Removes a field by the name `fields_to_remove` gives it: `schedule`, or `tasks/key` for one item of a list.
pub(super) fn remove(settings: &mut Object, field: &str) {
    let Some((list, key)) = field.split_once('/') else {
        settings.remove(field);
        return;
    };
    let key_field = match list {
        "job_clusters" => "job_cluster_key",
        "environments" => "environment_key",
        "parameters" => "name",
        _ => "task_key",
    };
    if let Some(items) = settings.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(|item| item[key_field] != key);
    }
}

/// Puts the fields of the only task at the top, where version 2.0 has them.
pub(super) fn lower_task(settings: &mut Object) {
    let tasks = settings.remove("tasks").unwrap_or_default();
    for field in TASK_FIELDS {
        if let Some(value) = tasks[0].get(*field) {
            settings.insert(field.to_string(), value.clone());
        }
    }
}

fn lift_task(settings: &mut Object) {
    let mut task = object(json!({"task_key": ONLY_TASK}));
    for field in TASK_FIELDS {
        if let Some(value) = settings.remove(*field) {
            task.insert(field.to_string(), value);
        }
    }
    if task.len() > 1 {
        settings.insert("tasks".into(), json!([task]));
    }
}

fn complete_task(task: &mut Value, is_git: bool) {
    let Some(task) = task.as_object_mut() else {
        return;
    };
    let defaults = json!({
        "run_if": "ALL_SUCCESS",
        "timeout_seconds": 0,
        "email_notifications": {},
        "webhook_notifications": {},
    });
    for (field, value) in object(defaults) {
        task.entry(field).or_insert(value);
    }
    if let Some(notebook) = task.get_mut("notebook_task").and_then(Value::as_object_mut) {
        notebook
            .entry("source")
            .or_insert(json!(if is_git { "GIT" } else { "WORKSPACE" }));
    }
    // The order of dependencies is the service's own.
    if let Some(depends_on) = task.get_mut("depends_on").and_then(Value::as_array_mut) {
        depends_on.sort_by_key(|dependency| {
            dependency["task_key"]
                .as_str()
                .unwrap_or_default()
                .to_string()
        });
    }
    if let Some(spec) = task.get_mut("new_cluster").and_then(Value::as_object_mut) {
        complete_cluster(spec);
    }
    if let Some(nested) = task
        .get_mut("for_each_task")
        .and_then(|each| each.get_mut("task"))
    {
        complete_task(nested, is_git);
    }
}

fn complete_cluster(spec: &mut Object) {
    hide_secrets(spec);
    if !spec.contains_key("instance_pool_id") {
        spec.entry("enable_elastic_disk").or_insert(json!(true));
        let aws = spec.entry("aws_attributes").or_insert(json!({}));
        if let Some(aws) = aws.as_object_mut() {
            aws.entry("availability")
                .or_insert(json!("SPOT_WITH_FALLBACK"));
            aws.entry("zone_id").or_insert(json!("us-west-2a"));
        }
    }
}

fn check_task(
    state: &State,
    task: &Value,
    keys: &HashSet<&str>,
    clusters: &HashSet<&str>,
) -> Result<(), Refusal> {
    let key = task["task_key"].as_str().unwrap_or_default();
    for dependency in task["depends_on"].as_array().into_iter().flatten() {
        let on = dependency["task_key"].as_str().unwrap_or_default();
        if !keys.contains(on) || on == key {
            return Err(Refusal::invalid(format!(
                "Task '{key}' depends on '{on}', which is not another task"
            )));
        }
    }
    let cluster = task["existing_cluster_id"]
        .as_str()
        .filter(|id| !id.is_empty());
    if let Some(id) = cluster.filter(|id| !state.clusters.contains_key(*id)) {
        return Err(Refusal::invalid(format!("Cluster {id} does not exist")));
    }
    if let Some(job_cluster) = task["job_cluster_key"]
        .as_str()
        .filter(|name| !clusters.contains(name))
    {
        return Err(Refusal::invalid(format!(
            "Task '{key}' uses the unknown job cluster '{job_cluster}'"
        )));
    }
    let job = task["run_job_task"]["job_id"].as_i64();
    if let Some(id) = job.filter(|id| !state.jobs.contains_key(id)) {
        return Err(Refusal::invalid(format!("Job {id} does not exist.")));
    }
    check_cluster(state, &task["new_cluster"])?;
    match task["for_each_task"].get("task") {
        Some(nested) => check_task(state, nested, keys, clusters),
        None => Ok(()),
    }
}

fn check_cluster(state: &State, spec: &Value) -> Result<(), Refusal> {
    spec.as_object()
        .map_or(Ok(()), |spec| check_references(state, spec))
}

fn check_run_as(state: &State, settings: &Object) -> Result<(), Refusal> {
    let Some(run_as) = settings.get("run_as") else {
        return Ok(());
    };
    for (field, kind) in [
        ("user_name", Kind::User),
        ("service_principal_name", Kind::ServicePrincipal),
        ("group_name", Kind::Group),
    ] {
        if let Some(name) = run_as[field]
            .as_str()
            .filter(|name| state.directory.find(kind, name).is_none())
        {
            return Err(Refusal::invalid(format!(
                "The identity to run as, {name}, does not exist in this workspace"
            )));
        }
    }
    Ok(())
}
