//! What callers see who are no administrators: what somebody has given them or their groups, and nothing else.
//!
//! A list leaves out what its caller has no permission on, without a word; the permissions of an object are told to those who
//! manage it; what is for administrators is refused.

use super::permissions::grants;
use crate::sandbox::call::{Call, Refusal};
use crate::sandbox::state::{ROOT, State};

/// Levels that come with telling and changing who may do what.
const MANAGERS: [&str; 2] = ["CAN_MANAGE", "IS_OWNER"];

/// Whether a caller is an administrator, for whom nothing is hidden.
pub(super) fn is_admin(state: &State, caller: i64) -> bool {
    caller == state.sessions.administrator || is_in(state, caller, state.directory.admins)
}

/// Refuses a caller who is no administrator.
pub(super) fn check_admin(state: &State, call: &Call) -> Result<(), Refusal> {
    match is_admin(state, call.caller) {
        true => Ok(()),
        false => Err(denied(
            "User is not an administrator of this workspace".to_owned(),
        )),
    }
}

/// Refuses a caller who does not manage an object.
pub(super) fn check_manages(
    state: &State,
    call: &Call,
    (kind, id): (&str, &str),
) -> Result<(), Refusal> {
    if has(state, call.caller, (kind, id), |level| {
        MANAGERS.contains(&level)
    }) {
        return Ok(());
    }
    let name = state.name_of(call.caller);
    Err(denied(format!(
        "{name} does not have Manage permissions on this object"
    )))
}

/// Whether a caller has any permission on an object, by its type as permissions know it and its id.
pub(super) fn sees(state: &State, caller: i64, object: (&str, &str)) -> bool {
    has(state, caller, object, |_| true)
}

/// Whether a caller sees a node of the tree. The folders of every workspace are there for everybody.
pub(super) fn sees_node(state: &State, caller: i64, id: i64) -> bool {
    let is_common = state.tree.node(id).is_some_and(|node| {
        node.parent == ROOT && ["Users", "Shared", "Repos"].contains(&node.name.as_str())
    });
    is_common || sees(state, caller, ("directories", &id.to_string()))
}

fn has(state: &State, caller: i64, (kind, id): (&str, &str), fits: impl Fn(&str) -> bool) -> bool {
    is_admin(state, caller)
        || grants(state, kind, id)
            .into_iter()
            .any(|(principal, level)| fits(level) && is_in(state, caller, principal))
}

/// Whether a caller is somebody or belongs to a group; everybody is one of the users.
fn is_in(state: &State, caller: i64, principal: i64) -> bool {
    let mut groups = state.directory.groups_of(caller).into_iter();
    caller == principal
        || principal == state.directory.users
        || groups.any(|(group, _)| group == principal)
}

fn denied(message: String) -> Refusal {
    Refusal::new(403, "PERMISSION_DENIED", message)
}
