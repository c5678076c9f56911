//! Cluster policies and the families they may be derived from.

use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Scope, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "policies/clusters/list", list),
    route("GET", "policies/clusters/get", get),
    route("POST", "policies/clusters/create", create),
    route("POST", "policies/clusters/edit", edit),
    route("POST", "policies/clusters/delete", delete),
    route("GET", "policy-families", families),
    route("GET", "policy-families/{id}", get_family),
];

/// The built-in families: id, name, definition.
const FAMILIES: &[(&str, &str, &str)] = &[
    (
        "job-cluster",
        "Job Compute",
        r#"{"cluster_type":{"type":"fixed","value":"job"},"num_workers":{"type":"unlimited","defaultValue":4}}"#,
    ),
    (
        "personal-vm",
        "Personal Compute",
        r#"{"num_workers":{"type":"fixed","value":0,"hidden":true},"autotermination_minutes":{"type":"unlimited","defaultValue":4320,"isOptional":true}}"#,
    ),
    (
        "shared-compute",
        "Shared Compute",
        r#"{"data_security_mode":{"type":"fixed","value":"USER_ISOLATION","hidden":true},"autotermination_minutes":{"type":"fixed","value":120}}"#,
    ),
];

/// The definition of a family.
pub(crate) fn family(id: &str) -> Option<&'static str> {
    FAMILIES
        .iter()
        .find(|(known, ..)| *known == id)
        .map(|(.., definition)| *definition)
}

fn list(state: &mut State, _: &Call) -> Answer {
    Reply::list(
        "policies",
        state
            .policies
            .values()
            .cloned()
            .map(Value::Object)
            .collect(),
    )
}

fn get(state: &mut State, call: &Call) -> Answer {
    let id = call.required("policy_id")?;
    let policy = state.policies.get(id).ok_or_else(|| not_found(id))?;
    Reply::json(Value::Object(policy.clone()))
}

fn create(state: &mut State, call: &Call) -> Answer {
    let mut policy = complete(call.object()?)?;
    check_name(state, &policy, None)?;
    let id = state.ids.hex();
    policy.insert("policy_id".into(), json!(id));
    policy.insert(
        "creator_user_name".into(),
        json!(state.name_of(call.caller)),
    );
    policy.insert("created_at_timestamp".into(), json!(state.clock.now()));
    policy.insert("is_default".into(), json!(false));
    state.policies.insert(id.clone(), policy);
    Reply::json(json!({"policy_id": id}))
}

fn edit(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("policy_id")?.to_string();
    let mut policy = complete(body)?;
    check_name(state, &policy, Some(&id))?;
    let old = state.policies.get(&id).ok_or_else(|| not_found(&id))?;
    for kept in [
        "policy_id",
        "creator_user_name",
        "created_at_timestamp",
        "is_default",
    ] {
        if let Some(value) = old.get(kept) {
            policy.insert(kept.into(), value.clone());
        }
    }
    state.policies.insert(id, policy);
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let id = body.required_text("policy_id")?;
    if state
        .policies
        .get(id)
        .is_some_and(|policy| policy.flag("is_default"))
    {
        return Err(Refusal::invalid("A default policy cannot be deleted"));
    }
    state.policies.remove(id).ok_or_else(|| not_found(id))?;
    state.acls.forget(Scope::Policy, id);
    Reply::done()
}

fn families(_: &mut State, call: &Call) -> Answer {
    let from = call.query_int("page_token")?.unwrap_or(0).max(0) as usize;
    let size = call
        .query_int("max_results")?
        .filter(|size| *size > 0)
        .unwrap_or(20) as usize;
    let page: Vec<Value> = FAMILIES
        .iter()
        .skip(from)
        .take(size)
        .map(present_family)
        .collect();
    let is_last = from + page.len() >= FAMILIES.len();
    let token = if is_last {
        String::new()
    } else {
        (from + page.len()).to_string()
    };
    Reply::json(json!({"policy_families": page, "next_page_token": token}))
}

fn get_family(_: &mut State, call: &Call) -> Answer {
    let id = call.param("id");
    let found = FAMILIES.iter().find(|(known, ..)| *known == id);
    found
        .map(|family| Reply::json(present_family(family)))
        .unwrap_or_else(|| Err(not_found(id)))
}

fn present_family((id, name, definition): &(&str, &str, &str)) -> Value {
    json!({"policy_family_id": id, "name": name, "description": "", "definition": definition})
}

/// A policy as it is kept: the definition of a family policy is the family's with the overrides on top.
fn complete(body: Object) -> Result<Object, Refusal> {
    let name = body.required_text("name")?;
    if name.chars().count() > 100 {
        return Err(Refusal::invalid(
            "The name of a policy has at most 100 characters",
        ));
    }
    const FIELDS: [&str; 7] = [
        "name",
        "description",
        "definition",
        "policy_family_id",
        "policy_family_definition_overrides",
        "max_clusters_per_user",
        "libraries",
    ];
    let mut policy: Object = body
        .iter()
        .filter(|(key, _)| FIELDS.contains(&key.as_str()))
        .map(clone_pair)
        .collect();
    match body.text("policy_family_id") {
        Some(_) if body.contains_key("definition") => {
            return Err(Refusal::invalid(
                "A policy has a definition or a family, not both",
            ));
        }
        Some(id) => {
            let base = family(id)
                .ok_or_else(|| Refusal::invalid(format!("Policy family {id} does not exist")))?;
            let mut merged = parse(base)?;
            merged.extend(parse(
                body.text("policy_family_definition_overrides")
                    .unwrap_or("{}"),
            )?);
            policy.insert(
                "definition".into(),
                json!(Value::Object(merged).to_string()),
            );
        }
        None => drop(parse(body.required_text("definition")?)?),
    }
    Ok(policy)
}

fn clone_pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn parse(definition: &str) -> Result<Object, Refusal> {
    let parsed: Result<Object, _> = serde_json::from_str(definition);
    parsed.map_err(|_| Refusal::invalid("The policy definition is not a valid JSON object"))
}

fn check_name(state: &State, policy: &Object, own: Option<&str>) -> Result<(), Refusal> {
    let name = policy.text("name").unwrap_or_default();
    let is_taken = |(id, known): (&String, &Object)| {
        known.text("name") == Some(name) && own != Some(id.as_str())
    };
    match state.policies.iter().any(is_taken) {
        true => Err(Refusal::invalid(format!(
            "Policy with name '{name}' already exists"
        ))),
        false => Ok(()),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::not_found(format!("Policy {id} does not exist"))
}
