//! Versions of registered models, and their stages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::models::{find, touched};
use super::{name_in_filter, page_of_query, show_tags, tag_of, tags_of};
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Model, ModelVersion, State};

pub(in crate::sandbox::api) static ROUTES: &[Route] = &[
    route("GET", "mlflow/model-versions/search", search),
    route("GET", "mlflow/model-versions/get", get),
    route("POST", "mlflow/model-versions/create", create),
    route("PATCH", "mlflow/model-versions/update", update),
    route("DELETE", "mlflow/model-versions/delete", delete),
    route("POST", "mlflow/model-versions/set-tag", set_tag),
    route("DELETE", "mlflow/model-versions/delete-tag", delete_tag),
    route(
        "POST",
        "mlflow/databricks/model-versions/transition-stage",
        transition,
    ),
];

const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// Only with a filter for one model, newest first.
fn search(state: &mut State, call: &Call) -> Answer {
    let name = name_in_filter(call.required("filter")?)?;
    let model = state.mlflow.models.get(name);
    let versions = model
        .into_iter()
        .flat_map(|model| model.versions.iter().rev());
    let shown = versions.map(|(number, version)| present(name, *number, version));
    page_of_query("model_versions", shown.collect(), 10_000, call)
}

fn get(state: &mut State, call: &Call) -> Answer {
    let (name, version) = (call.required("name")?, call.required("version")?);
    let number = number(version)?;
    let found = find(state, name)?.versions.get(&number);
    let found = found.ok_or_else(|| missing(name, version))?;
    Reply::json(json!({"model_version": present(name, number, found)}))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = body.required_text("name")?;
    let source = body.required_text("source")?.to_owned();
    let (now, owner) = (state.clock.now(), state.name_of(call.caller));
    let text = |field: &str| body.text(field).unwrap_or_default().to_owned();
    let version = ModelVersion {
        source,
        run_id: text("run_id"),
        description: text("description"),
        stage: "None",
        tags: tags_of(&body)?,
        owner,
        created: now,
        updated: now,
    };
    let model = touched(state, name)?;
    model.last += 1;
    let shown = present(name, model.last, &version);
    model.versions.insert(model.last, version);
    Reply::json(json!({"model_version": shown}))
}

fn update(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, number, version) = named(state, &body)?;
    version.description = body.text("description").unwrap_or_default().to_owned();
    let shown = present(&name, number, version);
    Reply::json(json!({"model_version": shown}))
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let (name, version) = (call.required("name")?, call.required("version")?);
    let number = number(version)?;
    let found = find(state, name)?.versions.get(&number);
    let stage = found.ok_or_else(|| missing(name, version))?.stage;
    if ["Staging", "Production"].contains(&stage) {
        return Err(Refusal::new(
            400,
            "INVALID_STATE",
            format!("Version {version} of {name} is in the stage {stage}"),
        ));
    }
    touched(state, name)?.versions.remove(&number);
    Reply::done()
}

fn set_tag(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (key, value) = tag_of(&body)?;
    let (_, _, version) = named(state, &body)?;
    version.tags.insert(key, value);
    Reply::done()
}

fn delete_tag(state: &mut State, call: &Call) -> Answer {
    let key = call.required("key")?;
    let body = json!({"name": call.required("name")?, "version": call.required("version")?});
    let (name, _, version) = named(state, &crate::sandbox::call::object(body))?;
    match version.tags.remove(key) {
        Some(_) => Reply::done(),
        None => Err(Refusal::not_found(format!(
            "The version of {name} has no tag {key}"
        ))),
    }
}

fn transition(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let wanted = body.required_text("stage")?;
    let stage = STAGES.into_iter().find(|stage| *stage == wanted);
    let stage = stage.ok_or_else(|| Refusal::invalid(format!("Invalid stage {wanted}")))?;
    let archives = body.flag("archive_existing_versions");
    let (name, number, version) = named(state, &body)?;
    version.stage = stage;
    let shown = present(&name, number, version);
    if archives {
        let model = touched(state, &name)?;
        let others = model
            .versions
            .iter_mut()
            .filter(|(other, _)| **other != number);
        for (_, other) in others.filter(|(_, other)| other.stage == stage) {
            other.stage = "Archived";
        }
    }
    Reply::json(json!({"model_version": shown}))
}

/// The version that a request names, about to change.
fn named<'a>(
    state: &'a mut State,
    body: &Object,
) -> Result<(String, u64, &'a mut ModelVersion), Refusal> {
    let name = body.required_text("name")?.to_owned();
    let text = body.required_text("version")?;
    let number = number(text)?;
    let model = touched(state, &name)?;
    let now = model.updated;
    let version = model.versions.get_mut(&number);
    let version = version.ok_or_else(|| missing(&name, text))?;
    version.updated = now;
    Ok((name, number, version))
}

fn number(text: &str) -> Result<u64, Refusal> {
    let invalid = || Refusal::invalid(format!("Model version must be an integer, got {text}"));
    text.parse().map_err(|_| invalid())
}

fn missing(name: &str, version: &str) -> Refusal {
    Refusal::not_found(format!(
        "Model Version (name={name}, version={version}) not found"
    ))
}

/// The last version of each stage.
pub(super) fn latest(name: &str, model: &Model) -> Vec<Value> {
    let mut latest = BTreeMap::new();
    for (number, version) in &model.versions {
        latest.insert(version.stage, present(name, *number, version));
    }
    latest.into_values().collect()
}

fn present(name: &str, number: u64, version: &ModelVersion) -> Value {
    let mut shown = json!({
        "name": name,
        "version": number.to_string(),
        "creation_timestamp": version.created,
        "last_updated_timestamp": version.updated,
        "user_id": version.owner,
        "current_stage": version.stage,
        "source": version.source,
        "status": "READY",
        "status_message": "",
        "run_link": "",
    });
    for (field, text) in [
        ("run_id", &version.run_id),
        ("description", &version.description),
    ] {
        if !text.is_empty() {
            shown[field] = json!(text);
        }
    }
    if !version.tags.is_empty() {
        shown["tags"] = show_tags(&version.tags);
    }
    shown
}
