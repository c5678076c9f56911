//! Global init scripts, kept in the order they run in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::rights;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

pub(super) static ROUTES: &[Route] = &[
    route("GET", "global-init-scripts", list),
    route("GET", "global-init-scripts/{id}", get),
    route("POST", "global-init-scripts", create),
    route("PATCH", "global-init-scripts/{id}", update),
    route("DELETE", "global-init-scripts/{id}", delete),
];

/// The largest script.
const LIMIT: usize = 64 * 1024;

/// The list has no contents.
fn list(state: &mut State, call: &Call) -> Answer {
    rights::check_admin(state, call)?;
    let scripts = state
        .init_scripts
        .iter()
        .enumerate()
        .map(|(position, script)| {
            let mut shown = present(script, position);
            shown.remove("script");
            Value::Object(shown)
        });
    Reply::list("scripts", scripts.collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    rights::check_admin(state, call)?;
    let position = position_of(state, call)?;
    Reply::json(Value::Object(present(
        &state.init_scripts[position],
        position,
    )))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, script) = (body.required_text("name")?, body.required_text("script")?);
    check_script(script)?;
    let (id, now, author) = (
        state.ids.hex(),
        state.clock.now(),
        state.name_of(call.caller),
    );
    let kept = json!({
        "script_id": id, "name": name, "script": script, "enabled": body.flag("enabled"),
        "created_by": author, "created_at": now, "updated_by": author, "updated_at": now,
    });
    // Without a position the script comes last; with one, those behind it move on.
    let last = state.init_scripts.len();
    let position = body
        .int("position")
        .map_or(last, |position| (position.max(0) as usize).min(last));
    state
        .init_scripts
        .insert(position, crate::sandbox::call::object(kept));
    Reply::json(json!({"script_id": id}))
}

fn update(state: &mut State, call: &Call) -> Answer {
    let position = position_of(state, call)?;
    let body = call.object()?;
    if let Some(script) = body.text("script") {
        check_script(script)?;
    }
    let (now, author) = (state.clock.now(), state.name_of(call.caller));
    let mut script = state.init_scripts.remove(position);
    for field in ["name", "script", "enabled"] {
        if let Some(value) = body.get(field) {
            script.insert(field.into(), value.clone());
        }
    }
    script.insert("updated_at".into(), json!(now));
    script.insert("updated_by".into(), json!(author));
    let wanted = body
        .int("position")
        .map_or(position, |position| position.max(0) as usize);
    state
        .init_scripts
        .insert(wanted.min(state.init_scripts.len()), script);
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let position = position_of(state, call)?;
    state.init_scripts.remove(position);
    Reply::done()
}

fn present(script: &Object, position: usize) -> Object {
    let mut shown = script.clone();
    shown.insert("position".into(), json!(position));
    shown
}

fn position_of(state: &State, call: &Call) -> Result<usize, Refusal> {
    let id = call.param("id");
    let position = state
        .init_scripts
        .iter()
        .position(|script| script.text("script_id") == Some(id));
    position
        .ok_or_else(|| Refusal::not_found(format!("The global init script {id} does not exist.")))
}

fn check_script(script: &str) -> Result<(), Refusal> {
    match STANDARD.decode(script) {
        Ok(bytes) if bytes.len() <= LIMIT => Ok(()),
        Ok(_) => Err(Refusal::invalid("A global init script has at most 64 KB")),
        Err(_) => Err(Refusal::invalid("The script is not valid base64")),
    }
}
