//! Git folders.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{NodeKind, State, clean_path, split_path};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "repos", list),
    route("GET", "repos/{id}", get),
    route("POST", "repos", create),
    route("PATCH", "repos/{id}", update),
    route("DELETE", "repos/{id}", delete),
];

/// How many a page holds.
const PAGE: usize = 20;

fn list(state: &mut State, call: &Call) -> Answer {
    // Without a prefix, and with the root as one, only /Repos is listed, not the git folders elsewhere.
    let prefix = match call
        .query("path_prefix")
        .map(clean_path)
        .transpose()?
        .as_deref()
    {
        None | Some("/") => "/Repos".to_string(),
        Some(prefix) => prefix.to_string(),
    };
    let after = call.query_int("next_page_token")?.unwrap_or(i64::MIN);
    let mut shown: Vec<Value> = Vec::new();
    let mut next = None;
    for (id, repo) in state.repos.range(after.saturating_add(1)..) {
        let path = state.tree.path_of(*id);
        let is_below = path
            .strip_prefix(&prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // Folders worked on with the git command line are not listed here at all.
        if !is_below || repo.flag("is_command_line") {
            continue;
        }
        if shown.len() == PAGE {
            next = shown.last().map(|last| last["id"].to_string());
            break;
        }
        shown.push(present(*id, repo, path));
    }
    let mut body = Object::new();
    if !shown.is_empty() {
        body.insert("repos".into(), Value::Array(shown));
    }
    if let Some(token) = next {
        body.insert("next_page_token".into(), json!(token));
    }
    Reply::json(Value::Object(body))
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = existing(state, call)?;
    show(state, id)
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let url = body.required_text("url")?.to_string();
    let provider = body.required_text("provider")?.to_string();
    let caller = state.name_of(call.caller);
    let default_name = url
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".git");
    let default = format!("/Repos/{caller}/{default_name}");
    let path = clean_path(body.text("path").unwrap_or(&default))?;
    let (parent, _) = split_path(&path)?;
    state.tree.get(parent)?;
    if state.tree.find(&path).is_some() {
        return Err(Refusal::exists(format!("Path ({path}) already exists.")));
    }
    let id = state.put(
        &path,
        NodeKind::Folder {
            children: Default::default(),
            is_git: true,
        },
        false,
    )?;
    let mut repo = Object::new();
    repo.insert("url".into(), json!(url));
    repo.insert("provider".into(), json!(provider));
    repo.insert("branch".into(), json!("main"));
    repo.insert("head_commit_id".into(), json!(state.ids.commit()));
    if let Some(sparse) = body.get("sparse_checkout") {
        repo.insert("sparse_checkout".into(), sparse.clone());
    }
    state.repos.insert(id, repo);
    show(state, id)
}

fn update(state: &mut State, call: &Call) -> Answer {
    let id = existing(state, call)?;
    let body = call.object()?;
    let commit = state.ids.commit();
    let repo = state.repos.get_mut(&id).ok_or_else(|| not_found(call))?;
    if body.contains_key("sparse_checkout") != repo.contains_key("sparse_checkout")
        && body.contains_key("sparse_checkout")
    {
        return Err(Refusal::invalid(
            "Sparse checkout cannot be switched on after creation",
        ));
    }
    if let Some(sparse) = body.get("sparse_checkout") {
        repo.insert("sparse_checkout".into(), sparse.clone());
    }
    if let Some(branch) = body.text("branch") {
        repo.insert("branch".into(), json!(branch));
        repo.insert("head_commit_id".into(), json!(commit));
    } else if body.text("tag").is_some() {
        // A tag leaves the folder on no branch.
        repo.remove("branch");
        repo.insert("head_commit_id".into(), json!(commit));
    }
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let id = existing(state, call)?;
    state.remove_node(id);
    Reply::done()
}

fn show(state: &State, id: i64) -> Answer {
    let repo = state
        .repos
        .get(&id)
        .ok_or_else(|| Refusal::not_found(format!("Repo {id} does not exist.")))?;
    Reply::json(present(id, repo, state.tree.path_of(id)))
}

fn present(id: i64, repo: &Object, path: String) -> Value {
    let mut shown = repo.clone();
    shown.remove("is_command_line");
    shown.insert("id".into(), json!(id));
    shown.insert("path".into(), json!(path));
    Value::Object(shown)
}

fn existing(state: &State, call: &Call) -> Result<i64, Refusal> {
    let id = call.param_id("id")?;
    if state.repos.contains_key(&id) {
        Ok(id)
    } else {
        Err(not_found(call))
    }
}

fn not_found(call: &Call) -> Refusal {
    Refusal::not_found(format!("Repo {} does not exist.", call.param("id")))
}
