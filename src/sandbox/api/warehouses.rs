//! SQL warehouses.
//!
//! A warehouse that is stopped starts with the first statement.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

pub(super) static ROUTES: &[Route] = &[
    route("GET", "sql/warehouses", list),
    route("POST", "sql/warehouses", create),
    route("GET", "sql/warehouses/{id}", get),
    route("DELETE", "sql/warehouses/{id}", delete),
];

fn list(state: &mut State, _: &Call) -> Answer {
    let all = state.sql.warehouses.values().cloned();
    Reply::list("warehouses", all.map(Value::Object).collect())
}

fn create(state: &mut State, call: &Call) -> Answer {
    let mut body = call.object()?;
    let name = body.required_text("name")?;
    let is_taken = |other: &crate::sandbox::call::Object| other.text("name") == Some(name);
    if state.sql.warehouses.values().any(is_taken) {
        return Err(Refusal::invalid(format!(
            "A warehouse named {name} exists already"
        )));
    }
    let id = state.ids.hex().to_lowercase();
    let creator = state.name_of(call.caller);
    for (field, value) in [
        ("id", json!(id)),
        ("creator_name", json!(creator)),
        ("state", json!("STOPPED")),
    ] {
        body.insert(field.into(), value);
    }
    body.entry("cluster_size")
        .or_insert_with(|| json!("2X-Small"));
    body.entry("auto_stop_mins").or_insert_with(|| json!(120));
    state.sql.warehouses.insert(id.clone(), body);
    Reply::json(json!({"id": id}))
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let warehouse = state.sql.warehouses.get(id).ok_or_else(|| not_found(id))?;
    Reply::json(Value::Object(warehouse.clone()))
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let removed = state.sql.warehouses.remove(id);
    removed.ok_or_else(|| not_found(id))?;
    Reply::done()
}

pub(super) fn not_found(id: &str) -> Refusal {
    Refusal::not_found(format!("SQL warehouse {id} does not exist."))
}
