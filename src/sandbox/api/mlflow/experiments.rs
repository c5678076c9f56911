//! Experiments: nodes of the workspace tree, and those that notebooks have.

use serde_json::{Value, json};

use super::{page, page_of_query, show_tags, tag_of, tags_of};
use crate::sandbox::api::permissions::set_direct;
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Experiment, NodeKind, Scope, State, clean_path, split_path};

pub(in crate::sandbox::api) static ROUTES: &[Route] = &[
    route("GET", "mlflow/experiments/list", list),
    route("POST", "mlflow/experiments/search", search),
    route("GET", "mlflow/experiments/get", get),
    route("GET", "mlflow/experiments/get-by-name", get_by_name),
    route("POST", "mlflow/experiments/create", create),
    route("POST", "mlflow/experiments/update", update),
    route("POST", "mlflow/experiments/delete", delete),
    route("POST", "mlflow/experiments/restore", restore),
    route("POST", "mlflow/experiments/set-experiment-tag", set_tag),
];

/// What the service says of an experiment in its tags; nobody else may.
const OF_SERVICE: [&str; 4] = [
    "mlflow.ownerId",
    "mlflow.ownerEmail",
    "mlflow.experimentType",
    "mlflow.experiment.sourceName",
];

fn list(state: &mut State, call: &Call) -> Answer {
    let shown = shown(state, call.query("view_type"));
    page_of_query("experiments", shown, 1000, call)
}

fn search(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    if let Some(filter) = body.text("filter").filter(|filter| !filter.is_empty()) {
        return Err(Refusal::invalid(format!("Unsupported filter: {filter}")));
    }
    let shown = shown(state, body.text("view_type"));
    let size = body.int("max_results");
    page("experiments", shown, size, 3000, body.text("page_token"))
}

fn shown(state: &State, view: Option<&str>) -> Vec<Value> {
    let is_wanted = |experiment: &Experiment| match view.unwrap_or("ACTIVE_ONLY") {
        "ALL" => true,
        "DELETED_ONLY" => experiment.deleted.is_some(),
        _ => experiment.deleted.is_none(),
    };
    let all = state.mlflow.experiments.iter();
    all.filter(|(_, experiment)| is_wanted(experiment))
        .map(|(id, experiment)| present(state, *id, experiment))
        .collect()
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.required("experiment_id")?;
    let (id, experiment) = find(state, id)?;
    Reply::json(json!({"experiment": present(state, id, experiment)}))
}

fn get_by_name(state: &mut State, call: &Call) -> Answer {
    let name = clean_path(call.required("experiment_name")?)?;
    let node = state.tree.find(&name).map(|node| node.id);
    let found = node.and_then(|id| Some((id, state.mlflow.experiments.get(&id)?)));
    match found {
        Some((id, experiment)) => {
            Reply::json(json!({"experiment": present(state, id, experiment)}))
        }
        None => Err(Refusal::not_found(format!("Node {name} does not exist."))),
    }
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let given = body.required_text("name")?;
    let name = clean_path(given).map_err(|_| {
        Refusal::invalid(format!(
            "Got an invalid experiment name '{given}'. An experiment name must be an absolute path within the workspace."
        ))
    })?;
    let mut tags = tags_of(&body)?;
    tags.retain(|key, _| !OF_SERVICE.contains(&key.as_str()));
    split_path(&name)?;
    if let Some(node) = state.tree.find(&name) {
        return Err(match node.kind {
            NodeKind::Experiment => Refusal::exists(format!("Node named '{name}' already exists")),
            // Nobody can make the experiment of a notebook: it comes with the first run that the notebook logs.
            _ => Refusal::invalid(format!(
                "Cannot create an experiment at {name}: the path is taken by another object"
            )),
        });
    }
    let id = state.put(&name, NodeKind::Experiment, false)?;
    let location = body.text("artifact_location");
    let location = location
        .filter(|location| !location.is_empty())
        .map_or_else(
            || format!("dbfs:/databricks/mlflow-tracking/{id}"),
            str::to_owned,
        );
    add(state, id, call.caller, tags, location);
    state
        .mlflow
        .experiments
        .get_mut(&id)
        .into_iter()
        .for_each(|experiment| {
            experiment
                .tags
                .insert("mlflow.experimentType".into(), "MLFLOW_EXPERIMENT".into());
        });
    set_direct(state, Scope::Node, &id.to_string(), &[], call.caller)?;
    Reply::json(json!({"experiment_id": id.to_string()}))
}

/// Adds the experiment of a notebook.
pub(crate) fn add_of_notebook(state: &mut State, id: i64, owner: i64) {
    let tags = [("mlflow.experimentType".to_owned(), "NOTEBOOK".to_owned())];
    let location = format!("dbfs:/databricks/mlflow-tracking/{id}");
    add(state, id, owner, tags.into(), location);
}

/// Adds an experiment that a node is or has.
fn add(
    state: &mut State,
    id: i64,
    owner: i64,
    mut tags: crate::sandbox::state::Tags,
    artifact_location: String,
) {
    let now = state.clock.now();
    let source = state.tree.path_of(id);
    tags.insert("mlflow.ownerId".into(), owner.to_string());
    tags.insert("mlflow.ownerEmail".into(), state.name_of(owner));
    tags.insert("mlflow.experiment.sourceName".into(), source);
    let experiment = Experiment {
        tags,
        created: now,
        updated: now,
        artifact_location,
        deleted: None,
    };
    state.mlflow.experiments.insert(id, experiment);
}

fn update(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (id, _) = find(state, body.required_text("experiment_id")?)?;
    let name = clean_path(body.required_text("new_name")?)?;
    let (folder, last) = split_path(&name)?;
    if state.tree.find(&name).is_some() {
        return Err(Refusal::exists(format!(
            "Node named '{name}' already exists"
        )));
    }
    let folder = state.tree.get(folder)?.id;
    state.tree.relocate(id, folder, last);
    touch(state, id);
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (id, _) = find(state, body.required_text("experiment_id")?)?;
    let name = state.experiment_name(id);
    let is_own = matches!(
        state.tree.node(id).map(|node| &node.kind),
        Some(NodeKind::Experiment)
    );
    if !is_own {
        return Err(Refusal::invalid(
            "The experiment of a notebook is deleted with its notebook",
        ));
    }
    // It is in the trash, and its place is free.
    state.tree.remove(id);
    if let Some(experiment) = state.mlflow.experiments.get_mut(&id) {
        experiment.deleted = Some(name);
    }
    touch(state, id);
    Reply::done()
}

fn restore(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (id, experiment) = find(state, body.required_text("experiment_id")?)?;
    let Some(name) = experiment.deleted.clone() else {
        return Reply::done();
    };
    let (folder, last) = split_path(&name)?;
    if state.tree.find(&name).is_some() {
        return Err(Refusal::exists(format!(
            "Node named '{name}' already exists"
        )));
    }
    let folder = state.tree.get(folder)?.id;
    let now = state.clock.now();
    state
        .tree
        .insert(folder, last, id, now, NodeKind::Experiment);
    if let Some(experiment) = state.mlflow.experiments.get_mut(&id) {
        experiment.deleted = None;
    }
    touch(state, id);
    Reply::done()
}

fn set_tag(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (id, _) = find(state, body.required_text("experiment_id")?)?;
    let (key, value) = tag_of(&body)?;
    if OF_SERVICE.contains(&key.as_str()) {
        return Err(Refusal::invalid(format!("The tag {key} is the service's")));
    }
    if let Some(experiment) = state.mlflow.experiments.get_mut(&id) {
        experiment.tags.insert(key, value);
    }
    touch(state, id);
    Reply::done()
}

fn touch(state: &mut State, id: i64) {
    let now = state.clock.now();
    if let Some(experiment) = state.mlflow.experiments.get_mut(&id) {
        experiment.updated = now;
    }
}

/// The experiment of this id.
pub(super) fn find<'a>(state: &'a State, id: &str) -> Result<(i64, &'a Experiment), Refusal> {
    let missing = || Refusal::not_found(format!("Node ID {id} does not exist."));
    let number: i64 = id.parse().map_err(|_| missing())?;
    let found = state.mlflow.experiments.get(&number);
    found
        .map(|experiment| (number, experiment))
        .ok_or_else(missing)
}

fn present(state: &State, id: i64, experiment: &Experiment) -> Value {
    let mut shown = json!({
        "experiment_id": id.to_string(),
        "name": state.experiment_name(id),
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": if experiment.deleted.is_some() { "deleted" } else { "active" },
        "creation_time": experiment.created,
        "last_update_time": experiment.updated,
    });
    if !experiment.tags.is_empty() {
        shown["tags"] = show_tags(&experiment.tags);
    }
    shown
}
