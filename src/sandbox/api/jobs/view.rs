//! Jobs as each version and each endpoint shows them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::settings::lower_task;
use crate::sandbox::call::{Fields, Object, object};
use crate::sandbox::state::Job;

/// How many items of each list one answer carries.
const PAGE: usize = 100;
/// The lists that are paged.
const PAGED: &[&str] = &["tasks", "job_clusters", "environments", "parameters"];

/// One page of a job: the first has everything, the later ones only the rest of the long lists.
pub(super) fn page_of(id: i64, job: &Job, page: usize) -> Value {
    let from = page * PAGE;
    let has_more = PAGED
        .iter()
        .any(|list| job.settings.items(list).len() > from + PAGE);
    let mut shown = if page == 0 {
        frame(id, job)
    } else {
        object(json!({"job_id": id}))
    };
    let mut settings = if page == 0 {
        without_lists(&job.settings)
    } else {
        Object::new()
    };
    for list in PAGED {
        let items: Vec<Value> = job
            .settings
            .items(list)
            .iter()
            .skip(from)
            .take(PAGE)
            .cloned()
            .collect();
        if !items.is_empty() {
            settings.insert(list.to_string(), Value::Array(items));
        }
    }
    shown.insert("settings".into(), Value::Object(settings));
    if has_more {
        shown.insert("has_more".into(), json!(true));
        shown.insert(
            "next_page_token".into(),
            json!(encode(&format!("{id}/{}", page + 1))),
        );
    }
    Value::Object(shown)
}

/// A job in a list: without its tasks, or with the first hundred and a mark when there are more.
pub(super) fn listed(id: i64, job: &Job, expands: bool) -> Value {
    if expands {
        let mut shown = page_of(id, job, 0);
        // The token for the rest is given by the single read only.
        shown
            .as_object_mut()
            .map(|fields| fields.remove("next_page_token"));
        return shown;
    }
    let mut shown = frame(id, job);
    shown.insert(
        "settings".into(),
        Value::Object(without_lists(&job.settings)),
    );
    Value::Object(shown)
}

/// A job as version 2.0 shows it: the task of a single-task job at the top, those of others not at all.
pub(super) fn legacy(id: i64, job: &Job) -> Value {
    let mut settings = job.settings.clone();
    if job.is_single_task {
        settings.insert("format".into(), json!("SINGLE_TASK"));
        settings.remove("webhook_notifications");
        lower_task(&mut settings);
    }
    let mut shown = frame(id, job);
    shown.insert("settings".into(), Value::Object(without_lists(&settings)));
    Value::Object(shown)
}

/// The place in a list behind a job, as a token.
pub(super) fn position(id: i64) -> String {
    encode(&format!("list/{id}"))
}

/// The job a list token points behind.
pub(super) fn parse_position(token: &str) -> Option<i64> {
    decode(token)?.strip_prefix("list/")?.parse().ok()
}

/// The page a token of this job points to.
pub(super) fn parse_page(token: &str, id: i64) -> Option<usize> {
    let text = decode(token)?;
    let (job, page) = text.split_once('/')?;
    (job == id.to_string()).then(|| page.parse().ok())?
}

fn frame(id: i64, job: &Job) -> Object {
    let creator = job.creator.as_str();
    let run_as = job.settings.get("run_as").and_then(|run_as| {
        let names = ["user_name", "service_principal_name", "group_name"];
        names.iter().find_map(|name| run_as[*name].as_str())
    });
    object(json!({
        "job_id": id,
        "creator_user_name": creator,
        "run_as_user_name": run_as.unwrap_or(creator),
        "created_time": job.created_time,
    }))
}

fn without_lists(settings: &Object) -> Object {
    settings
        .iter()
        .filter(|(name, _)| !PAGED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
