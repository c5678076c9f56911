//! The caller's own git credentials; their tokens never come back.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

pub(super) static ROUTES: &[Route] = &[
    route("GET", "git-credentials", list),
    route("GET", "git-credentials/{id}", get),
    route("POST", "git-credentials", create),
    route("PATCH", "git-credentials/{id}", update),
    route("DELETE", "git-credentials/{id}", delete),
];

fn list(state: &mut State, _: &Call) -> Answer {
    Reply::list(
        "credentials",
        state
            .git_credentials
            .values()
            .cloned()
            .map(Value::Object)
            .collect(),
    )
}

fn get(state: &mut State, call: &Call) -> Answer {
    let credential = state
        .git_credentials
        .get(&call.param_id("id")?)
        .ok_or_else(|| not_found(call))?;
    Reply::json(Value::Object(credential.clone()))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let mut body = call.object()?;
    let provider = body.required_text("git_provider")?;
    if state
        .git_credentials
        .values()
        .any(|known| known.text("git_provider") == Some(provider))
    {
        let message = format!("Only one Git credential is supported for {provider}");
        return Err(Refusal::new(400, "RESOURCE_ALREADY_EXISTS", message));
    }
    let id = state.ids.next();
    body.insert("credential_id".into(), json!(id));
    store(state, id, body)
}

fn update(state: &mut State, call: &Call) -> Answer {
    let id = call.param_id("id")?;
    let mut credential = state
        .git_credentials
        .get(&id)
        .cloned()
        .ok_or_else(|| not_found(call))?;
    credential.extend(call.object()?);
    credential.insert("credential_id".into(), json!(id));
    store(state, id, credential)
}

fn delete(state: &mut State, call: &Call) -> Answer {
    state
        .git_credentials
        .remove(&call.param_id("id")?)
        .ok_or_else(|| not_found(call))?;
    Reply::done()
}

fn store(state: &mut State, id: i64, mut credential: Object) -> Answer {
    credential.remove("personal_access_token");
    state.git_credentials.insert(id, credential.clone());
    Reply::json(Value::Object(credential))
}

fn not_found(call: &Call) -> Refusal {
    Refusal::not_found(format!(
        "Git credential with id {} does not exist.",
        call.param("id")
    ))
}
