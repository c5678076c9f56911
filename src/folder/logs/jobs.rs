//! Jobs: with the name that they had before the older tool made it unique, and in the form that the API shows today.

use serde_json::{Map, Value, json};

use super::ImportError;
use super::book::add_gap;
use super::listed::{Taker, known};
use crate::manifest::Extent;

/// Fields that a job of one task had at its top and that belong to the task today.
const OF_THE_TASK: &[&str] = &[
    "existing_cluster_id",
    "new_cluster",
    "libraries",
    "notebook_task",
    "spark_jar_task",
    "spark_python_task",
    "spark_submit_task",
    "pipeline_task",
    "python_wheel_task",
    "dbt_task",
    "sql_task",
    "run_job_task",
    "max_retries",
    "min_retry_interval_millis",
    "retry_on_timeout",
];

/// What the only task of such a job is called. The service makes up a name as well, and tells it to newer clients only.
const ONLY_TASK: &str = "main";

impl Taker<'_, '_> {
    /// Takes the jobs, and those that the older tool read and left out.
    pub(super) fn jobs(&mut self) -> Result<(), ImportError> {
        let kind = known("job");
        let mut access = self.access(kind, Some(("acl_jobs.log", "job_name")))?;
        self.each("jobs.log", kind, |taker, item, spot| {
            let item = as_listed_today(item);
            let Some(mut entry) = taker.entry(kind, &item, spot)? else {
                return Ok(());
            };
            if let Some(reason) = lost_tasks(&item) {
                add_gap(&mut entry, Extent::Object, reason.to_owned());
            }
            let name = entry.key.name.clone();
            access.give(&mut entry, &name, taker.failures);
            taker.book.note(entry, spot)
        })?;
        for (item, reason, spot) in std::mem::take(&mut self.failures.jobs) {
            if let Some(mut entry) = self.entry(kind, &as_listed_today(item), &spot)? {
                add_gap(&mut entry, Extent::Permissions, reason);
                self.book.note(entry, &spot)?;
            }
        }
        access.conclude(self.book, self.export)
    }
}

/// A job's name without the id that the older tool puts behind it.
pub(super) fn bare_name<'a>(name: &'a str, id: &str) -> &'a str {
    let bare = name
        .strip_suffix(id)
        .and_then(|name| name.strip_suffix(":::"));
    bare.unwrap_or(name)
}

/// A job as version 2.2 of the API lists it.
fn as_listed_today(mut job: Value) -> Value {
    let id = job["job_id"].to_string();
    let Some(settings) = job.get_mut("settings").and_then(Value::as_object_mut) else {
        return job;
    };
    if let Some(Value::String(name)) = settings.get_mut("name") {
        *name = bare_name(name, &id).to_owned();
    }
    if !settings.contains_key("tasks") {
        lift_task(settings);
    }
    job
}

const NO_TASKS: &str = "it was exported without tasks, which the first versions of the older tool do to every job of several \
                        tasks, and later ones to those far down a long list";

/// Why a job may have more tasks than were exported, if it may.
fn lost_tasks(job: &Value) -> Option<&'static str> {
    if job["has_more"] == true {
        return Some("the older tool exports no more than the first hundred tasks of a job");
    }
    let settings = &job["settings"];
    let has_none = settings["tasks"].as_array().is_none_or(Vec::is_empty);
    (has_none && settings["format"] == "MULTI_TASK").then_some(NO_TASKS)
}

/// Makes a list of one task of what stands at the top.
fn lift_task(settings: &mut Map<String, Value>) {
    let mut task = Map::new();
    for field in OF_THE_TASK {
        if let Some(value) = settings.remove(*field) {
            task.insert((*field).to_owned(), value);
        }
    }
    if !task.is_empty() {
        task.insert("task_key".to_owned(), json!(ONLY_TASK));
        settings.insert("tasks".to_owned(), json!([task]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_jobs_own_id_is_taken_off_its_name() {
        assert_eq!(bare_name("nightly:::12", "12"), "nightly");
        assert_eq!(bare_name("nightly:::12", "2"), "nightly:::12");
        assert_eq!(bare_name("a:::b", "12"), "a:::b");
        assert_eq!(bare_name("nightly", "12"), "nightly");
    }

    #[test]
    fn a_job_of_one_task_has_a_list_of_one() {
        let job = json!({"job_id": 7, "settings": {"name": "n:::7", "timeout_seconds": 0,
            "existing_cluster_id": "c", "notebook_task": {"notebook_path": "/x"}}});
        assert_eq!(
            as_listed_today(job),
            json!({"job_id": 7, "settings": {"name": "n", "timeout_seconds": 0, "tasks": [
                {"task_key": "main", "existing_cluster_id": "c", "notebook_task": {"notebook_path": "/x"}}]}})
        );
        let empty = json!({"job_id": 7, "settings": {"name": "n"}});
        assert_eq!(as_listed_today(empty.clone()), empty);
    }
}
