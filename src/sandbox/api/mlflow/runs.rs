//! Runs of experiments: what they were told, what they measured, and how they ended.

use serde_json::{Value, json};

use super::{experiments, page, page_of_query, show_tags, tag_of, tags_of};
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{MlflowRun, NodeKind, State};

pub(in crate::sandbox::api) static ROUTES: &[Route] = &[
    route("POST", "mlflow/runs/search", search),
    route("GET", "mlflow/runs/get", get),
    route("POST", "mlflow/runs/create", create),
    route("POST", "mlflow/runs/log-batch", log_batch),
    route("POST", "mlflow/runs/log-inputs", log_inputs),
    route("GET", "mlflow/metrics/get-history", history),
    route("POST", "mlflow/runs/set-tag", set_tag),
    route("POST", "mlflow/runs/update", update),
    route("POST", "mlflow/runs/delete", delete),
];

/// What one call may log.
const MOST: [(&str, usize); 3] = [("metrics", 1000), ("params", 100), ("tags", 100)];
const MOST_EXPERIMENTS: usize = 100;
const STATUSES: [&str; 5] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// The newest first. Of filters only those for the beginning are understood.
fn search(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let wanted = body.items("experiment_ids");
    if wanted.len() > MOST_EXPERIMENTS {
        return Err(Refusal::invalid(format!(
            "At most {MOST_EXPERIMENTS} experiments can be searched at once"
        )));
    }
    let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
    let (is_exact, since) = begin_in(body.text("filter").unwrap_or_default())?;
    let is_wanted = |run: &&MlflowRun| {
        let is_in_time = match is_exact {
            true => run.start_time == since,
            false => run.start_time >= since,
        };
        is_in_time && wanted.contains(&run.experiment.to_string().as_str()) && !run.is_deleted
    };
    let mut found: Vec<&MlflowRun> = state.mlflow.runs.values().filter(is_wanted).collect();
    found.sort_by(|a, b| (b.start_time, &a.id).cmp(&(a.start_time, &b.id)));
    let shown = found.into_iter().map(present).collect();
    page(
        "runs",
        shown,
        body.int("max_results"),
        50_000,
        body.text("page_token"),
    )
}

/// The time in a filter, and whether it is to be just that.
fn begin_in(filter: &str) -> Result<(bool, i64), Refusal> {
    if filter.is_empty() {
        return Ok((false, i64::MIN));
    }
    let invalid = || Refusal::invalid(format!("Invalid filter: {filter}"));
    let rest = filter
        .strip_prefix("attributes.start_time ")
        .ok_or_else(invalid)?;
    let (operator, number) = rest.split_once(' ').ok_or_else(invalid)?;
    // Clients also ask for a part of a millisecond.
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_whole = part.bytes().all(|digit| digit == b'0');
    let is_number = part.bytes().all(|digit| digit.is_ascii_digit());
    let number: i64 = whole.parse().map_err(|_| invalid())?;
    match operator {
        ">=" if is_number => Ok((false, number.saturating_add(i64::from(!is_whole)))),
        "=" if is_whole => Ok((true, number)),
        _ => Err(invalid()),
    }
}

fn get(state: &mut State, call: &Call) -> Answer {
    let run = find(state, call.required("run_id")?)?;
    Reply::json(json!({"run": present(run)}))
}

/// The run of this id.
pub(super) fn find<'a>(state: &'a State, id: &str) -> Result<&'a MlflowRun, Refusal> {
    state.mlflow.runs.get(id).ok_or_else(|| missing(id))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let given = body.required_text("experiment_id")?;
    let node: i64 = given.parse().unwrap_or(-1);
    // The first run of a notebook makes its experiment.
    if !state.mlflow.experiments.contains_key(&node)
        && matches!(
            state.tree.node(node).map(|node| &node.kind),
            Some(NodeKind::Notebook { .. })
        )
    {
        experiments::add_of_notebook(state, node, call.caller);
    }
    let (experiment, of) = experiments::find(state, given)?;
    let location = of.artifact_location.trim_end_matches('/').to_owned();
    let id = state.ids.uuid().replace('-', "");
    let mut tags = tags_of(&body)?;
    let user = state.name_of(call.caller);
    tags.entry("mlflow.user".to_owned()).or_insert(user);
    let name = body.text("run_name").filter(|name| !name.is_empty());
    let run = MlflowRun {
        experiment,
        name: name.map_or_else(|| format!("run-{}", &id[..6]), str::to_owned),
        status: "RUNNING".to_owned(),
        start_time: match body.int("start_time") {
            Some(time) => time,
            None => state.clock.now(),
        },
        end_time: None,
        tags,
        params: Default::default(),
        metrics: Default::default(),
        inputs: Vec::new(),
        is_deleted: false,
        artifact_uri: format!("{location}/{id}/artifacts"),
        id: id.clone(),
    };
    let shown = present(&run);
    state.mlflow.runs.insert(id, run);
    Reply::json(json!({"run": shown}))
}

fn log_batch(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    for (list, most) in MOST {
        if body.items(list).len() > most {
            return Err(Refusal::invalid(format!(
                "A batch logging request can contain at most {most} {list}"
            )));
        }
    }
    let tags = tags_of(&body)?;
    let run = named(state, &body)?;
    for param in body.items("params") {
        let param = param.as_object().cloned().unwrap_or_default();
        let (key, value) = tag_of(&param)?;
        if let Some(before) = run.params.get(&key).filter(|before| **before != value) {
            return Err(Refusal::invalid(format!(
                "Changing param values is not allowed. Param with key='{key}' was already logged with value='{before}'"
            )));
        }
        run.params.insert(key, value);
    }
    for metric in body.items("metrics") {
        let metric = metric.as_object().cloned().unwrap_or_default();
        let key = metric.required_text("key")?.to_owned();
        if metric.int("timestamp").is_none() {
            return Err(Refusal::invalid(format!(
                "Got invalid value None for timestamp of metric '{key}'"
            )));
        }
        let values = run.metrics.entry(key).or_default();
        // What is logged twice is there once.
        if !values.contains(&metric) {
            values.push(metric);
        }
    }
    run.tags.extend(tags);
    Reply::done()
}

/// By what the last value of a metric is the last.
fn place(value: &&Object) -> (i64, Option<i64>) {
    (value.int("step").unwrap_or(0), value.int("timestamp"))
}

fn history(state: &mut State, call: &Call) -> Answer {
    let run = find(state, call.required("run_id")?)?;
    let values = run.metrics.get(call.required("metric_key")?);
    let values = values.into_iter().flatten().cloned().map(Value::Object);
    page_of_query("metrics", values.collect(), 25_000, call)
}

fn log_inputs(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let run = named(state, &body)?;
    for input in body.items("datasets") {
        if !run.inputs.contains(input) {
            run.inputs.push(input.clone());
        }
    }
    Reply::done()
}

fn set_tag(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (key, value) = tag_of(&body)?;
    named(state, &body)?.tags.insert(key, value);
    Reply::done()
}

fn update(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let run = named(state, &body)?;
    if let Some(status) = body.text("status") {
        if !STATUSES.contains(&status) {
            return Err(Refusal::invalid(format!("Invalid run status {status}")));
        }
        run.status = status.to_owned();
    }
    if let Some(end) = body.int("end_time") {
        run.end_time = Some(end);
    }
    if let Some(name) = body.text("run_name").filter(|name| !name.is_empty()) {
        run.name = name.to_owned();
    }
    let shown = present(run)["info"].clone();
    Reply::json(json!({"run_info": shown}))
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    named(state, &body)?.is_deleted = true;
    Reply::done()
}

fn named<'a>(state: &'a mut State, body: &Object) -> Result<&'a mut MlflowRun, Refusal> {
    let id = body.required_text("run_id")?;
    state.mlflow.runs.get_mut(id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Refusal {
    Refusal::not_found(format!("Run '{id}' not found"))
}

fn present(run: &MlflowRun) -> Value {
    let mut info = json!({
        "run_id": run.id, "run_uuid": run.id, "experiment_id": run.experiment.to_string(), "user_id": "",
        "run_name": run.name, "status": run.status, "start_time": run.start_time, "artifact_uri": run.artifact_uri,
        "lifecycle_stage": if run.is_deleted { "deleted" } else { "active" },
    });
    if let Some(end) = run.end_time {
        info["end_time"] = json!(end);
    }
    let mut tags = run.tags.clone();
    tags.insert("mlflow.runName".to_owned(), run.name.clone());
    let mut data = json!({"tags": show_tags(&tags)});
    if !run.params.is_empty() {
        data["params"] = show_tags(&run.params);
    }
    if !run.metrics.is_empty() {
        let last = run
            .metrics
            .values()
            .filter_map(|values| values.iter().max_by_key(place));
        data["metrics"] = last.cloned().map(Value::Object).collect();
    }
    let mut shown = json!({"info": info, "data": data});
    if !run.inputs.is_empty() {
        shown["inputs"] = json!({"dataset_inputs": run.inputs});
    }
    shown
}
