//! Jobs, under three versions of the API.
//!
//! Invariant: a job is kept as version 2.1 and later see it; version 2.0 is a view.

mod settings;
mod view;

use serde_json::{Value, json};

use super::permissions::set_direct;
use super::rights;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::limits::Family;
use crate::sandbox::routes::{Handler, Route, route};
use crate::sandbox::state::{Job, Scope, State};

const VERSIONS: &[&str] = &["2.0", "2.1", "2.2"];

pub(super) static ROUTES: &[Route] = &[
    route("GET", "jobs/get", get).versions(VERSIONS),
    route("GET", "jobs/list", list).versions(VERSIONS),
    route("POST", "jobs/create", create)
        .versions(VERSIONS)
        .family(Family::JobsCreate),
    post("jobs/reset", reset),
    post("jobs/update", update),
    post("jobs/delete", delete),
];

const fn post(path: &'static str, run: Handler) -> Route {
    route("POST", path, run).versions(VERSIONS)
}

/// How many jobs a workspace keeps.
const MOST_JOBS: usize = 10_000;

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call
        .query_int("job_id")?
        .ok_or_else(|| crate::sandbox::call::missing("job_id"))?;
    let job = state.jobs.get(&id).ok_or_else(|| not_found(id))?;
    if call.version == "2.0" {
        return Reply::json(view::legacy(id, job));
    }
    let page = match call.query("page_token") {
        None => 0,
        Some(token) => {
            view::parse_page(token, id).ok_or_else(|| Refusal::invalid("Invalid page token"))?
        }
    };
    Reply::json(view::page_of(id, job, page))
}

fn list(state: &mut State, call: &Call) -> Answer {
    if call.version == "2.0" {
        return list_legacy(state, call);
    }
    let expands = call.flag("expand_tasks");
    let most = if expands && call.version == "2.1" {
        25
    } else {
        100
    };
    let limit = call.query_int("limit")?.unwrap_or(20);
    if !(1..=most).contains(&limit) {
        return Err(Refusal::invalid(format!(
            "The limit must be between 1 and {most}"
        )));
    }
    let before = match call.query("page_token") {
        None => i64::MAX,
        Some(token) => {
            view::parse_position(token).ok_or_else(|| Refusal::invalid("Invalid page token"))?
        }
    };
    // The old way to page, which still works; a token wins.
    let offset = match call.query("page_token") {
        None => call.query_int("offset")?.unwrap_or(0).max(0) as usize,
        Some(_) => 0,
    };
    // One more than asked for is looked at, to know whether there is more.
    let newest_first = newest_first(state, call.query("name"), before)
        .filter(|(id, _)| rights::sees(state, call.caller, ("jobs", &id.to_string())));
    let mut page: Vec<(i64, &Job)> = newest_first.skip(offset).take(limit as usize + 1).collect();
    let has_more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page
        .last()
        .filter(|_| has_more)
        .map_or_else(String::new, |(id, _)| view::position(*id));
    let jobs: Vec<Value> = page
        .iter()
        .map(|(id, job)| view::listed(*id, job, expands))
        .collect();
    let mut body = json!({"has_more": has_more, "next_page_token": next, "prev_page_token": ""});
    if !jobs.is_empty() {
        body["jobs"] = Value::Array(jobs);
    }
    Reply::json(body)
}

/// The jobs made before the one with the id `before`; with a name, those of that name.
fn newest_first<'a>(
    state: &'a State,
    name: Option<&str>,
    before: i64,
) -> Box<dyn Iterator<Item = (i64, &'a Job)> + 'a> {
    let Some(name) = name else {
        let jobs = state.jobs.range(..before).rev();
        return Box::new(jobs.map(|(id, job)| (*id, job)));
    };
    let ids = state.job_names.get(&name.to_lowercase());
    let ids = ids.into_iter().flatten().rev();
    let ids = ids.filter(move |id| **id < before);
    Box::new(ids.filter_map(|id| Some((*id, state.jobs.get(id)?))))
}

/// Version 2.0 lists everything at once unless a limit is given, by offset.
fn list_legacy(state: &mut State, call: &Call) -> Answer {
    let offset = call.query_int("offset")?.unwrap_or(0).max(0) as usize;
    let limit = call
        .query_int("limit")?
        .filter(|limit| *limit > 0)
        .map_or(usize::MAX, |limit| limit as usize);
    let seen = state.jobs.iter().rev();
    let mut seen = seen
        .filter(|(id, _)| rights::sees(state, call.caller, ("jobs", &id.to_string())))
        .skip(offset);
    let page = seen.by_ref().take(limit);
    let jobs: Vec<Value> = page.map(|(id, job)| view::legacy(*id, job)).collect();
    if jobs.is_empty() {
        return Reply::done();
    }
    let has_more = seen.next().is_some();
    Reply::json(json!({"jobs": jobs, "has_more": has_more}))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let mut body = call.object()?;
    let acl = body.remove("access_control_list").unwrap_or_default();
    if state.jobs.len() >= MOST_JOBS {
        return Err(Refusal::new(
            400,
            "QUOTA_EXCEEDED",
            "The quota for the number of jobs has been reached.",
        ));
    }
    let is_single_task = call.version == "2.0" && !body.contains_key("tasks");
    let settings = settings::complete(body, is_single_task);
    settings::check(state, &settings)?;
    let id = state.ids.next();
    set_direct(
        state,
        Scope::Job,
        &id.to_string(),
        acl.as_array().map_or(&[], Vec::as_slice),
        call.caller,
    )?;
    let job = Job {
        settings,
        creator: state.name_of(call.caller),
        created_time: state.clock.now(),
        is_single_task,
    };
    index_name(state, id, &job.settings);
    state.jobs.insert(id, job);
    Reply::json(json!({"job_id": id}))
}

/// Replaces all settings, but an identity to run as that is not given stays.
fn reset(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = existing(state, &body)?;
    let new = body.get("new_settings").and_then(Value::as_object).cloned();
    let mut new = new.ok_or_else(|| crate::sandbox::call::missing("new_settings"))?;
    if let Some(run_as) = state.jobs[&id]
        .settings
        .get("run_as")
        .filter(|_| !new.contains_key("run_as"))
    {
        new.insert("run_as".into(), run_as.clone());
    }
    let is_single_task = call.version == "2.0" && !new.contains_key("tasks");
    store(state, id, new, is_single_task)
}

/// A shallow merge: a field that is given replaces the old one whole.
fn update(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = existing(state, &body)?;
    let changes = body.get("new_settings").and_then(Value::as_object).cloned();
    let changes = changes.unwrap_or_default();
    let mut merged = state.jobs[&id].settings.clone();
    // The fields of the only task are at the top for version 2.0, and are there merged with the others.
    let is_single_task = state.jobs[&id].is_single_task && !changes.contains_key("tasks");
    if is_single_task && call.version == "2.0" {
        settings::lower_task(&mut merged);
    }
    for field in body
        .items("fields_to_remove")
        .iter()
        .filter_map(Value::as_str)
    {
        settings::remove(&mut merged, field);
    }
    merged.extend(changes);
    store(state, id, merged, is_single_task)
}

fn store(state: &mut State, id: i64, settings: Object, is_single_task: bool) -> Answer {
    let settings = settings::complete(settings, is_single_task);
    settings::check(state, &settings)?;
    forget_name(state, id);
    index_name(state, id, &settings);
    if let Some(job) = state.jobs.get_mut(&id) {
        job.settings = settings;
        job.is_single_task = is_single_task;
    }
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let id = existing(state, &call.object()?)?;
    forget_name(state, id);
    state.jobs.remove(&id);
    state.acls.forget(Scope::Job, &id.to_string());
    Reply::done()
}

fn existing(state: &State, body: &Object) -> Result<i64, Refusal> {
    let id = body
        .int("job_id")
        .ok_or_else(|| crate::sandbox::call::missing("job_id"))?;
    if state.jobs.contains_key(&id) {
        Ok(id)
    } else {
        Err(not_found(id))
    }
}

/// A job that is not there is a 400, not a 404.
fn not_found(id: i64) -> Refusal {
    Refusal::invalid(format!("Job {id} does not exist."))
}

fn name_key(settings: &Object) -> String {
    settings.text("name").unwrap_or_default().to_lowercase()
}

fn index_name(state: &mut State, id: i64, settings: &Object) {
    let ids = state.job_names.entry(name_key(settings)).or_default();
    let position = ids.partition_point(|known| *known < id);
    ids.insert(position, id);
}

fn forget_name(state: &mut State, id: i64) {
    let Some(key) = state.jobs.get(&id).map(|job| name_key(&job.settings)) else {
        return;
    };
    if let Some(ids) = state.job_names.get_mut(&key) {
        ids.retain(|known| *known != id);
        if ids.is_empty() {
            state.job_names.remove(&key);
        }
    }
}
