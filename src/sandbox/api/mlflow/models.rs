//! Registered models of the workspace.

use serde_json::{Value, json};

use super::versions;
use super::{page_of_query, show_tags, tag_of, tags_of};
use crate::sandbox::api::permissions::set_direct;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Model, Scope, State};

pub(in crate::sandbox::api) static ROUTES: &[Route] = &[
    route("GET", "mlflow/registered-models/list", list),
    route("GET", "mlflow/registered-models/search", list),
    route("GET", "mlflow/databricks/registered-models/get", get_whole),
    route("POST", "mlflow/registered-models/create", create),
    route("PATCH", "mlflow/registered-models/update", update),
    route("POST", "mlflow/registered-models/rename", rename),
    route("DELETE", "mlflow/registered-models/delete", delete),
    route("POST", "mlflow/registered-models/set-tag", set_tag),
    route("DELETE", "mlflow/registered-models/delete-tag", delete_tag),
];

const LONGEST_NAME: usize = 256;

fn list(state: &mut State, call: &Call) -> Answer {
    let models = state.mlflow.models.iter();
    let shown = models.map(|(name, model)| present(name, model)).collect();
    page_of_query("registered_models", shown, 1000, call)
}

/// What only this service has: the id, by which permissions know the model.
fn get_whole(state: &mut State, call: &Call) -> Answer {
    let name = call.required("name")?;
    let model = find(state, name)?;
    let mut shown = present(name, model);
    shown["id"] = json!(model.id);
    shown["permission_level"] = json!("CAN_MANAGE");
    Reply::json(json!({"registered_model_databricks": shown}))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = body.required_text("name")?.to_owned();
    check_name(state, &name)?;
    let now = state.clock.now();
    let model = Model {
        id: state.ids.uuid().replace('-', ""),
        description: description(&body),
        tags: tags_of(&body)?,
        owner: state.name_of(call.caller),
        created: now,
        updated: now,
        versions: Default::default(),
        last: 0,
    };
    state.mlflow.model_ids.insert(model.id.clone());
    set_direct(state, Scope::Model, &model.id, &[], call.caller)?;
    let shown = present(&name, &model);
    state.mlflow.models.insert(name, model);
    Reply::json(json!({"registered_model": shown}))
}

fn update(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = body.required_text("name")?;
    let model = touched(state, name)?;
    model.description = description(&body);
    let shown = present(name, model);
    Reply::json(json!({"registered_model": shown}))
}

fn rename(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, new) = (
        body.required_text("name")?,
        body.required_text("new_name")?.to_owned(),
    );
    find(state, name)?;
    check_name(state, &new)?;
    touched(state, name)?;
    let model = state
        .mlflow
        .models
        .remove(name)
        .ok_or_else(|| missing(name))?;
    let shown = present(&new, &model);
    state.mlflow.models.insert(new, model);
    Reply::json(json!({"registered_model": shown}))
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let name = call.required("name")?;
    let model = find(state, name)?;
    if let Some((number, version)) = model
        .versions
        .iter()
        .find(|(_, version)| ["Staging", "Production"].contains(&version.stage))
    {
        return Err(Refusal::new(
            400,
            "INVALID_STATE",
            format!(
                "Version {number} of {name} is in the stage {}",
                version.stage
            ),
        ));
    }
    let id = model.id.clone();
    state.mlflow.models.remove(name);
    state.mlflow.model_ids.remove(&id);
    state.acls.forget(Scope::Model, &id);
    Reply::done()
}

fn set_tag(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (key, value) = tag_of(&body)?;
    let model = touched(state, body.required_text("name")?)?;
    model.tags.insert(key, value);
    Reply::done()
}

fn delete_tag(state: &mut State, call: &Call) -> Answer {
    let (name, key) = (call.required("name")?, call.required("key")?);
    let model = touched(state, name)?;
    match model.tags.remove(key) {
        Some(_) => Reply::done(),
        None => Err(Refusal::not_found(format!(
            "The model {name} has no tag {key}"
        ))),
    }
}

pub(super) fn find<'a>(state: &'a State, name: &str) -> Result<&'a Model, Refusal> {
    let model = state.mlflow.models.get(name);
    model.ok_or_else(|| missing(name))
}

/// A model that is about to change.
pub(super) fn touched<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Model, Refusal> {
    let now = state.clock.now();
    let model = state.mlflow.models.get_mut(name);
    let model = model.ok_or_else(|| missing(name))?;
    model.updated = now;
    Ok(model)
}

fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!("RegisteredModel '{name}' does not exist."))
}

fn check_name(state: &State, name: &str) -> Result<(), Refusal> {
    if name.len() > LONGEST_NAME || name.contains(['/', ':', '.', '%']) {
        return Err(Refusal::invalid(format!(
            "Invalid model name '{name}': it must be at most 256 characters, without / : . %"
        )));
    }
    match state.mlflow.models.contains_key(name) {
        true => Err(Refusal::exists(format!(
            "RegisteredModel '{name}' already exists."
        ))),
        false => Ok(()),
    }
}

fn description(body: &Object) -> Option<String> {
    let text = body.text("description");
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A model as lists show it: without the id. What is empty is left out.
fn present(name: &str, model: &Model) -> Value {
    let mut shown = json!({
        "name": name,
        "creation_timestamp": model.created,
        "last_updated_timestamp": model.updated,
        "user_id": model.owner,
    });
    if let Some(description) = &model.description {
        shown["description"] = json!(description);
    }
    if !model.tags.is_empty() {
        shown["tags"] = show_tags(&model.tags);
    }
    let latest = versions::latest(name, model);
    if !latest.is_empty() {
        shown["latest_versions"] = Value::Array(latest);
    }
    shown
}
