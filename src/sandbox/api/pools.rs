//! Instance pools.

use serde_json::{Value, json};

use super::permissions::set_direct;
use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Scope, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "instance-pools/list", list),
    route("GET", "instance-pools/get", get),
    route("POST", "instance-pools/create", create),
    route("POST", "instance-pools/edit", edit),
    route("POST", "instance-pools/delete", delete),
];

/// What an edit may change; everything else needs a new pool.
const EDITABLE: &[&str] = &[
    "instance_pool_name",
    "min_idle_instances",
    "max_capacity",
    "idle_instance_autotermination_minutes",
    "custom_tags",
    "remote_disk_throughput",
    "total_initial_remote_disk_size",
];

fn list(state: &mut State, _: &Call) -> Answer {
    let present = |pool: &Object| Value::Object(present(pool));
    Reply::list(
        "instance_pools",
        state.pools.values().map(present).collect(),
    )
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.required("instance_pool_id")?;
    let pool = state.pools.get(id).ok_or_else(|| not_found(id))?;
    Reply::json(Value::Object(present(pool)))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let mut body = call.object()?;
    let name = body.required_text("instance_pool_name")?.to_string();
    body.required_text("node_type_id")?;
    check_name(state, &name, None)?;
    let now = state.clock.now();
    let id = state.ids.dated(now, "quiet1-pool-");
    let defaults = json!({
        "min_idle_instances": 0,
        "idle_instance_autotermination_minutes": 60,
        "enable_elastic_disk": true,
        "aws_attributes": {"availability": "SPOT", "zone_id": "us-west-2a", "spot_bid_price_percent": 100},
    });
    for (field, value) in crate::sandbox::call::object(defaults) {
        body.entry(field).or_insert(value);
    }
    // The password of a private image registry never comes back.
    for image in body
        .get_mut("preloaded_docker_images")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        super::compute::hide_registry_password(image);
    }
    body.insert("instance_pool_id".into(), json!(id));
    state.pools.insert(id.clone(), body);
    set_direct(state, Scope::Pool, &id, &[], call.caller)?;
    Reply::json(json!({"instance_pool_id": id}))
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("instance_pool_id")?.to_string();
    let name = body.required_text("instance_pool_name")?.to_string();
    let pool = state.pools.get(&id).ok_or_else(|| not_found(&id))?;
    if body.get("node_type_id") != pool.get("node_type_id") {
        return Err(Refusal::invalid(
            "The node type of a pool cannot be changed and must be given unchanged",
        ));
    }
    check_name(state, &name, Some(&id))?;
    let pool = state.pools.get_mut(&id).ok_or_else(|| not_found(&id))?;
    for field in EDITABLE {
        if let Some(value) = body.get(*field) {
            pool.insert(field.to_string(), value.clone());
        }
    }
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("instance_pool_id")?;
    state.pools.remove(id).ok_or_else(|| not_found(id))?;
    state.acls.forget(Scope::Pool, id);
    Reply::done()
}

fn present(pool: &Object) -> Object {
    let mut shown = pool.clone();
    let id = pool.get("instance_pool_id").cloned().unwrap_or_default();
    shown.insert(
        "default_tags".into(),
        json!({"Vendor": "Databricks", "DatabricksInstancePoolId": id}),
    );
    shown.insert("state".into(), json!("ACTIVE"));
    shown.insert(
        "stats".into(),
        json!({"used_count": 0, "idle_count": 0, "pending_used_count": 0, "pending_idle_count": 0}),
    );
    shown.insert("status".into(), json!({}));
    shown
}

fn check_name(state: &State, name: &str, own: Option<&str>) -> Result<(), Refusal> {
    let is_taken = |(id, pool): (&String, &Object)| {
        pool.text("instance_pool_name") == Some(name) && own != Some(id.as_str())
    };
    match state.pools.iter().any(is_taken) {
        true => Err(Refusal::invalid(format!(
            "Instance pool with the name {name} already exists"
        ))),
        false => Ok(()),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::not_found(format!("Can't find an instance pool with id: {id}."))
}
