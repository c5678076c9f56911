//! The workspace tree: listing, status, making and deleting.

use serde_json::{Value, json};

use super::rights;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Form, Node, NodeKind, ROOT, State, clean_path};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "workspace/list", list),
    route("GET", "workspace/get-status", get_status),
    route("POST", "workspace/mkdirs", mkdirs),
    route("POST", "workspace/delete", delete),
];

fn list(state: &mut State, call: &Call) -> Answer {
    let path = clean_path(call.required("path")?)?;
    let node = state.tree.get(&path)?;
    // Filters notebooks only; everything else is listed whatever its age.
    let after = call
        .query_int("notebooks_modified_after")?
        .unwrap_or(i64::MIN);
    let is_recent =
        |node: &&Node| !matches!(node.kind, NodeKind::Notebook { .. }) || node.modified_at >= after;
    let objects = match node.children() {
        // The path of something that is not a folder lists that one object.
        None => vec![present(node, path)],
        Some(_) => {
            let prefix = path.trim_end_matches('/');
            let children = state.tree.children(node).filter(is_recent);
            children
                .filter(|child| rights::sees_node(state, call.caller, child.id))
                .map(|child| present(child, format!("{prefix}/{}", child.name)))
                .collect()
        }
    };
    Reply::list("objects", objects)
}

fn get_status(state: &mut State, call: &Call) -> Answer {
    let path = clean_path(call.required("path")?)?;
    let node = state.tree.get(&path)?;
    let mut shown = present(node, path);
    if call.flag("return_export_info")
        && let NodeKind::Notebook { form, .. } = &node.kind
    {
        shown["repos_export_format"] = json!(if *form == Form::Jupyter {
            "JUPYTER"
        } else {
            "SOURCE"
        });
    }
    if call.flag("return_git_info")
        && let Some(info) = git_info(state, node)
    {
        shown["git_info"] = info;
    }
    Reply::json(shown)
}

fn mkdirs(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let path = clean_path(body.required_text("path")?)?;
    state.make_directories(&path)?;
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let path = clean_path(body.required_text("path")?)?;
    let node = state.tree.get(&path)?;
    let is_root_folder =
        node.parent == ROOT && ["Users", "Shared", "Repos"].contains(&node.name.as_str());
    if node.id == ROOT || is_root_folder {
        return Err(Refusal::new(
            400,
            "DIRECTORY_PROTECTED",
            format!("Folder ({path}) is protected."),
        ));
    }
    let is_full = node.children().is_some_and(|children| !children.is_empty());
    if is_full && !body.flag("recursive") {
        return Err(Refusal::new(
            400,
            "DIRECTORY_NOT_EMPTY",
            format!("Folder ({path}) is not empty."),
        ));
    }
    let id = node.id;
    state.remove_node(id);
    Reply::done()
}

/// A node as listings and `get-status` show it.
fn present(node: &Node, path: String) -> Value {
    let is_repo = node.is_git() && path.starts_with("/Repos/");
    let mut shown = Object::new();
    let mut show = |name: &str, value: Value| drop(shown.insert(name.to_string(), value));
    show("path", json!(path));
    show("object_id", json!(node.id));
    if !matches!(node.kind, NodeKind::Library) {
        show("resource_id", json!(node.id.to_string()));
    }
    // Folders have no times.
    if !matches!(node.kind, NodeKind::Folder { .. } | NodeKind::Library) {
        show("created_at", json!(node.created_at));
        show("modified_at", json!(node.modified_at));
    }
    let kind = match &node.kind {
        NodeKind::Folder { .. } if is_repo => "REPO",
        NodeKind::Folder { is_git, .. } => {
            if *is_git {
                show("directory_info", json!({"is_git_folder": true}));
            }
            "DIRECTORY"
        }
        NodeKind::Notebook { language, .. } => {
            show("language", json!(language.name()));
            "NOTEBOOK"
        }
        NodeKind::File { content } => {
            show(
                "size",
                json!(content.bytes(crate::sandbox::state::Language::Python).len()),
            );
            "FILE"
        }
        NodeKind::Dashboard { resource_id, .. } => {
            show("resource_id", json!(resource_id));
            "DASHBOARD"
        }
        NodeKind::Library => "LIBRARY",
        NodeKind::Experiment => "MLFLOW_EXPERIMENT",
    };
    show("object_type", json!(kind));
    Value::Object(shown)
}

/// The git folder an object lies in.
fn git_info(state: &State, node: &Node) -> Option<Value> {
    let id = std::iter::once(node.id)
        .chain(state.tree.ancestors(node.id))
        .find(|id| state.repos.contains_key(id))?;
    let repo = state.repos.get(&id)?;
    let mut info = json!({"id": id, "path": state.tree.path_of(id)});
    for field in ["url", "provider", "branch", "head_commit_id"] {
        info[field] = repo.get(field).cloned().unwrap_or_default();
    }
    Some(info)
}
