//! Libraries on clusters, and those of the tree, of which version 1.2 of the API tells: a list that is no object, and each
//! with its type and files.
//!
//! The order of a cluster's libraries is not stable: every answer starts with another one.

use serde_json::{Value, json};

use super::clusters::not_found;
use super::import::form;
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply, missing};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{ClusterState, Library, State, clean_path};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "libraries/all-cluster-statuses", all),
    route("GET", "libraries/cluster-status", of_cluster),
    route("POST", "libraries/install", install),
    route("POST", "libraries/uninstall", uninstall),
    route("GET", "libraries/list", of_tree).versions(V12),
    route("GET", "libraries/status", of_node).versions(V12),
    route("POST", "libraries/upload", upload).versions(V12),
];

/// The fields one of which a library has.
const KINDS: &[&str] = &["jar", "egg", "whl", "requirements", "pypi", "maven", "cran"];

const V12: &[&str] = &["1.2"];

fn of_tree(state: &mut State, _: &Call) -> Answer {
    let told = state.uploaded.values();
    let told = told.map(|of| json!({"id": of["id"], "name": of["name"], "folder": of["folder"]}));
    Reply::json(told.collect())
}

fn of_node(state: &mut State, call: &Call) -> Answer {
    let id = call.required("libraryId")?;
    let status = id.parse().ok().and_then(|id: i64| state.uploaded.get(&id));
    let status =
        status.ok_or_else(|| Refusal::not_found(format!("Library {id} does not exist")))?;
    Reply::json(status.clone())
}

/// A form, as the clients of former days send it.
fn upload(state: &mut State, call: &Call) -> Answer {
    let parts = form(call)?;
    let part = |name: &str| {
        let found = parts.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value).ok_or_else(|| missing(name))
    };
    let text = |name: &str| part(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let (folder, name) = (text("folder")?, text("name")?);
    let path = clean_path(&format!("{}/{name}", folder.trim_end_matches('/')))?;
    let file = format!("{}-{name}", state.ids.uuid());
    let id = state.upload_library(&path, &text("libType")?, &file, part("uri")?.clone())?;
    Reply::json(json!({"id": id.to_string()}))
}

fn all(state: &mut State, _: &Call) -> Answer {
    let ids: Vec<String> = state
        .clusters
        .keys()
        .filter(|id| state.libraries.contains_key(*id))
        .cloned()
        .collect();
    let statuses = ids.iter().map(|id| statuses(state, id)).collect();
    Reply::list("statuses", statuses)
}

fn of_cluster(state: &mut State, call: &Call) -> Answer {
    let id = call.required("cluster_id")?;
    check_cluster(state, id)?;
    Reply::json(statuses(state, id))
}

fn install(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("cluster_id")?.to_string();
    check_cluster(state, &id)?;
    // On a cluster that is not running, a library waits.
    let is_running = state
        .clusters
        .get(&id)
        .is_some_and(|cluster| cluster.state == ClusterState::Running);
    let status = if is_running { "INSTALLED" } else { "PENDING" };
    let libraries = body.items("libraries");
    if let Some(wrong) = libraries
        .iter()
        .find(|library| !KINDS.iter().any(|kind| library.get(kind).is_some()))
    {
        return Err(Refusal::invalid(format!("Unknown library {wrong}")));
    }
    let installed = state.libraries.entry(id).or_default();
    for library in libraries {
        match installed.iter_mut().find(|known| known.library == *library) {
            Some(known) => known.status = status,
            None => installed.push(Library {
                library: library.clone(),
                status,
            }),
        }
    }
    Reply::done()
}

fn uninstall(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("cluster_id")?.to_string();
    check_cluster(state, &id)?;
    let is_terminated = state
        .clusters
        .get(&id)
        .is_some_and(|cluster| cluster.state == ClusterState::Terminated);
    let removed = body.items("libraries");
    if let Some(installed) = state.libraries.get_mut(&id) {
        // A running cluster keeps it until it restarts.
        match is_terminated {
            true => installed.retain(|known| !removed.contains(&known.library)),
            false => {
                let chosen = installed
                    .iter_mut()
                    .filter(|known| removed.contains(&known.library));
                chosen.for_each(|known| known.status = "UNINSTALL_ON_RESTART");
            }
        }
    }
    Reply::done()
}

fn statuses(state: &mut State, id: &str) -> Value {
    let mut body = json!({"cluster_id": id});
    let Some(libraries) = state
        .libraries
        .get_mut(id)
        .filter(|libraries| !libraries.is_empty())
    else {
        return body;
    };
    let show = |known: &Library| json!({"library": known.library, "status": known.status, "is_library_for_all_clusters": false});
    body["library_statuses"] = libraries.iter().map(show).collect();
    libraries.rotate_left(1);
    body
}

fn check_cluster(state: &State, id: &str) -> Result<(), Refusal> {
    if state.clusters.contains_key(id) {
        Ok(())
    } else {
        Err(not_found(id))
    }
}
