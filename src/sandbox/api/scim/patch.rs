//! PATCH of a principal: add, remove and replace, by path or by whole fields.

use serde_json::{Value, json};

use super::taken;
use crate::sandbox::call::{Fields, Object, Refusal};
use crate::sandbox::state::{Directory, Kind, State};

/// What one operation does.
#[derive(Clone, Copy, PartialEq)]
enum Op {
    Add,
    Remove,
    Replace,
}

/// Applies one operation.
pub(super) fn apply(state: &mut State, id: i64, operation: &Value) -> Result<(), Refusal> {
    let op = match operation["op"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "add" => Op::Add,
        "remove" => Op::Remove,
        "replace" => Op::Replace,
        other => {
            return Err(Refusal::identity(
                400,
                "invalidSyntax",
                format!("Unknown operation '{other}'"),
            ));
        }
    };
    let value = &operation["value"];
    match operation["path"].as_str() {
        Some(path) => apply_at(state, id, op, path, value),
        None => {
            let fields = value.as_object();
            let fields = fields.ok_or_else(|| {
                Refusal::identity(400, "noTarget", "An operation needs a path or fields")
            })?;
            fields
                .iter()
                .try_for_each(|(path, value)| apply_at(state, id, op, path, value))
        }
    }
}

fn apply_at(state: &mut State, id: i64, op: Op, path: &str, value: &Value) -> Result<(), Refusal> {
    let (attribute, chosen) = split(path);
    let chosen: Vec<Value> = chosen.map(|text| json!(text)).into_iter().collect();
    let values = if chosen.is_empty() {
        listed(value)
    } else {
        chosen
    };
    match attribute {
        "members" => change_members(state, id, op, &values),
        "roles" | "entitlements" => {
            change_values(state, id, op, attribute, &values);
            Ok(())
        }
        "groups" => Err(Refusal::identity(
            400,
            "mutability",
            "groups is read-only; change the group's members",
        )),
        "id" | "schemas" | "meta" => Ok(()),
        _ => change_field(state, id, op, attribute, value),
    }
}

/// `members[value eq "1"]` is the attribute `members` and the value `1`.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('[') {
        Some((attribute, condition)) => (attribute, condition.split('"').nth(1)),
        None => (path, None),
    }
}

/// The values of `[{"value": "x"}]`, `{"value": "x"}`, `["x"]` or `"x"`.
fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(listed).collect(),
        Value::Object(item) => item.get("value").cloned().into_iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other.clone()],
    }
}

fn change_members(state: &mut State, id: i64, op: Op, values: &[Value]) -> Result<(), Refusal> {
    if state
        .directory
        .get(id)
        .is_none_or(|principal| principal.kind != Kind::Group)
    {
        return Err(Refusal::identity(
            400,
            "invalidPath",
            "Only groups have members",
        ));
    }
    let items: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
    match op {
        Op::Add => {
            let members = member_ids(&state.directory, &items)?;
            members
                .into_iter()
                .try_for_each(|member| join(state, id, member))
        }
        Op::Replace => {
            let members = member_ids(&state.directory, &items)?;
            set_members(state, id, &members)
        }
        Op::Remove if values.is_empty() => set_members(state, id, &[]),
        Op::Remove => {
            for value in values {
                if let Some(member) = as_id(value) {
                    state.directory.leave(id, member);
                }
            }
            Ok(())
        }
    }
}

fn change_values(state: &mut State, id: i64, op: Op, field: &str, changed: &[Value]) {
    let Some(principal) = state.directory.get(id) else {
        return;
    };
    let old: Vec<Value> = principal
        .body
        .items(field)
        .iter()
        .map(|item| item["value"].clone())
        .collect();
    let new: Vec<Value> = match op {
        Op::Add => old.into_iter().chain(changed.iter().cloned()).collect(),
        Op::Replace => changed.to_vec(),
        Op::Remove if changed.is_empty() => Vec::new(),
        Op::Remove => old
            .into_iter()
            .filter(|value| !changed.contains(value))
            .collect(),
    };
    state.directory.set(id, field, values(&new));
}

fn change_field(
    state: &mut State,
    id: i64,
    op: Op,
    path: &str,
    value: &Value,
) -> Result<(), Refusal> {
    let Some(principal) = state.directory.get(id) else {
        return Ok(());
    };
    let (kind, mut body) = (principal.kind, principal.body.clone());
    if path == kind.name_field() {
        let name = value.as_str().unwrap_or_default().to_string();
        if kind != Kind::Group || name.is_empty() {
            return Err(Refusal::identity(
                400,
                "mutability",
                format!("{path} cannot be changed"),
            ));
        }
        if state
            .directory
            .find(kind, &name)
            .is_some_and(|other| other.id != id)
        {
            return Err(taken(kind, &name));
        }
    }
    let (holder, field) = match path.split_once('.') {
        Some((outer, inner)) => {
            let holder = body.entry(outer).or_insert_with(|| json!({}));
            let holder = holder.as_object_mut();
            let holder = holder.ok_or_else(|| {
                Refusal::identity(400, "invalidPath", format!("{outer} has no fields"))
            })?;
            (holder, inner)
        }
        None => (&mut body, path),
    };
    set_field(holder, op, field, value);
    state.directory.replace(id, body);
    Ok(())
}

fn set_field(holder: &mut Object, op: Op, field: &str, value: &Value) {
    match op {
        Op::Remove => drop(holder.remove(field)),
        // Clients send the text "false"; it is kept as the boolean it means.
        _ if field == "active" => drop(holder.insert(field.into(), json!(is_true(value)))),
        _ => drop(holder.insert(field.into(), value.clone())),
    }
}

/// Makes exactly these the members of a group.
pub(super) fn set_members(state: &mut State, group: i64, members: &[i64]) -> Result<(), Refusal> {
    let old = state
        .directory
        .get(group)
        .map(|principal| principal.members.clone())
        .unwrap_or_default();
    for member in old {
        state.directory.leave(group, member);
    }
    members
        .iter()
        .try_for_each(|member| join(state, group, *member))
}

fn join(state: &mut State, group: i64, member: i64) -> Result<(), Refusal> {
    if state.directory.would_loop(group, member) {
        return Err(Refusal::identity(
            400,
            "invalidValue",
            "A group cannot be a member of itself",
        ));
    }
    state.directory.join(group, member);
    Ok(())
}

/// The ids of members, which must all exist.
pub(super) fn member_ids(directory: &Directory, items: &[Value]) -> Result<Vec<i64>, Refusal> {
    let find = |item: &Value| {
        let id = as_id(&item["value"]).filter(|id| directory.get(*id).is_some());
        let text = item["value"].as_str().unwrap_or_default();
        id.ok_or_else(|| {
            Refusal::identity(
                404,
                "invalidValue",
                format!("Member with id {text} does not exist."),
            )
        })
    };
    items.iter().map(find).collect()
}

/// A list of `{"value": ..}` without repetitions, in the order given.
pub(super) fn values(values: &[Value]) -> Value {
    let mut seen: Vec<&Value> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.into_iter()
        .map(|value| json!({"value": value}))
        .collect()
}

/// A boolean, also when it comes as text.
pub(super) fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| {
        value
            .as_str()
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    })
}

fn as_id(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
