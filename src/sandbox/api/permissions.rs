//! Permissions: direct entries, what is inherited from the folders above, and what administrators always have.
//!
//! Invariant: a write touches direct entries only, and an object that must have an owner never ends up without one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::permission_types::{Type, find, ladder_of};
use super::rights;
use super::scim::lag_key;
use crate::sandbox::call::{Answer, Call, Fields, Refusal, Reply};
use crate::sandbox::limits::Family;
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Directory, Kind, Level, NodeKind, ROOT, Scope, Stale, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "permissions/{type}/{id}", get).family(Family::PermissionsRead),
    route("PUT", "permissions/{type}/{id}", put).family(Family::PermissionsWrite),
    route("PATCH", "permissions/{type}/{id}", patch).family(Family::PermissionsWrite),
    route("GET", "permissions/{type}/{id}/permissionLevels", levels)
        .family(Family::PermissionsRead),
    // The name from before they were done; older clients still use it, and one of them ends it with a slash.
    route("GET", "preview/permissions/{type}/{id}", get).family(Family::PermissionsRead),
    route("GET", "preview/permissions/{type}/{id}/", get).family(Family::PermissionsRead),
    route("PUT", "preview/permissions/{type}/{id}", put).family(Family::PermissionsWrite),
    route("PATCH", "preview/permissions/{type}/{id}", patch).family(Family::PermissionsWrite),
];

/// Everything that anybody has been given on an object or above it.
pub(super) fn grants(state: &State, request: &str, id: &str) -> Vec<(i64, Level)> {
    let Some(kind) = find(request) else {
        return Vec::new();
    };
    let object = Object {
        kind,
        id: id.to_owned(),
    };
    let direct = state.acls.direct(kind.scope, id).into_iter().flatten();
    let direct = direct.map(|(principal, level)| (*principal, *level));
    let inherited = object.inherited(state).into_iter();
    let inherited = inherited.map(|(principal, level, _)| (principal, level));
    direct.chain(inherited).collect()
}

fn get(state: &mut State, call: &Call) -> Answer {
    let object = Object::of(state, call)?;
    rights::check_manages(state, call, (object.kind.request, &object.id))?;
    match state.lag.look(&object.lag_key()) {
        Some(Stale::Old(old)) => return Reply::json(old),
        Some(Stale::Absent) | None => {}
    }
    Reply::json(object.present(state))
}

fn put(state: &mut State, call: &Call) -> Answer {
    let object = Object::of(state, call)?;
    let entries = object.entries(state, call)?;
    if object.lists_admins(state) && entries.get(&state.directory.admins) != Some(&"CAN_MANAGE") {
        return Err(Refusal::invalid(
            "The admins group must keep CAN_MANAGE on this object.",
        ));
    }
    object.check_owner(state, &entries)?;
    object.remember(state);
    state.acls.replace(object.kind.scope, &object.id, entries);
    Reply::json(object.present(state))
}

fn patch(state: &mut State, call: &Call) -> Answer {
    let object = Object::of(state, call)?;
    let mut entries = state
        .acls
        .direct(object.kind.scope, &object.id)
        .cloned()
        .unwrap_or_default();
    entries.extend(object.entries(state, call)?);
    object.check_owner(state, &entries)?;
    object.remember(state);
    state.acls.replace(object.kind.scope, &object.id, entries);
    Reply::json(object.present(state))
}

fn levels(state: &mut State, call: &Call) -> Answer {
    let object = Object::of(state, call)?;
    let describe = |level: &Level| {
        let words = level.to_lowercase().replace('_', " ");
        json!({"permission_level": level, "description": format!("A principal {words} this object.")})
    };
    let levels: Vec<Value> = object.kind.ladder.iter().map(describe).collect();
    Reply::list("permission_levels", levels)
}

/// Gives an object the direct entries a request carries with its creation.
pub(super) fn set_direct(
    state: &mut State,
    scope: Scope,
    id: &str,
    list: &[Value],
    owner: i64,
) -> Result<(), Refusal> {
    let ladder = ladder_of(scope);
    let mut entries = BTreeMap::new();
    for item in list {
        let (principal, level) = parse_entry(state, item, ladder, false)?;
        entries.insert(principal, level);
    }
    let top = ladder.last().copied().unwrap_or("CAN_MANAGE");
    if top != "IS_OWNER" || !entries.values().any(|level| *level == top) {
        entries.insert(owner, top);
    }
    state.acls.replace(scope, id, entries);
    Ok(())
}

/// The object a call is about.
struct Object {
    kind: &'static Type,
    id: String,
}

impl Object {
    fn of(state: &State, call: &Call) -> Result<Object, Refusal> {
        let (request, id) = (call.param("type"), call.param("id"));
        let kind = find(request);
        let unknown = || Refusal::invalid(format!("'{request}' is not a valid object type"));
        let object = Object {
            kind: kind.ok_or_else(unknown)?,
            id: id.to_string(),
        };
        object.check_exists(state)?;
        Ok(object)
    }

    fn check_exists(&self, state: &State) -> Result<(), Refusal> {
        let id = self.id.as_str();
        let number = || id.parse::<i64>().unwrap_or(-1);
        let exists = match self.kind.scope {
            Scope::Node => state.tree.node(number()).is_some_and(|node| {
                match (&node.kind, self.kind.request) {
                    // The experiment of a notebook has the notebook's id, and its permissions.
                    (NodeKind::Notebook { .. }, "experiments") => {
                        state.mlflow.experiments.contains_key(&number())
                    }
                    (NodeKind::Notebook { .. }, kind) => kind == "notebooks",
                    (NodeKind::Experiment, kind) => kind == "experiments",
                    (NodeKind::Folder { is_git, .. }, kind) => {
                        kind == "directories" || (*is_git && kind == "repos")
                    }
                    (NodeKind::File { .. } | NodeKind::Dashboard { .. }, kind) => kind == "files",
                    (NodeKind::Library, _) => false,
                }
            }),
            Scope::Cluster if !state.clusters.contains_key(id) => {
                return Err(Refusal::invalid(format!("Cluster {id} does not exist")));
            }
            Scope::Cluster => true,
            Scope::Policy => state.policies.contains_key(id),
            Scope::Pool => state.pools.contains_key(id),
            Scope::Job => state.jobs.contains_key(&number()),
            Scope::Tokens => id == "tokens",
            Scope::Model => state.mlflow.model_ids.contains(id),
        };
        match exists {
            true => Ok(()),
            false => Err(Refusal::not_found(format!(
                "{} {id} does not exist.",
                self.kind.answer
            ))),
        }
    }

    /// The entries of a request, the highest level of each principal.
    fn entries(&self, state: &mut State, call: &Call) -> Result<BTreeMap<i64, Level>, Refusal> {
        let body = call.object()?;
        let rank = |level: Level| self.kind.ladder.iter().position(|known| *known == level);
        let mut entries = BTreeMap::new();
        for item in body.items("access_control_list") {
            let (principal, level) =
                parse_entry(state, item, self.kind.ladder, self.lists_admins(state))?;
            let kept = entries.entry(principal).or_insert(level);
            if rank(level) > rank(kept) {
                *kept = level;
            }
        }
        Ok(entries)
    }

    /// Whether `admins` is an ordinary entry here, which must be there, instead of an inherited one.
    fn lists_admins(&self, _: &State) -> bool {
        self.kind.scope == Scope::Tokens
            || (self.kind.scope == Scope::Node && self.id == ROOT.to_string())
    }

    fn check_owner(&self, state: &State, entries: &BTreeMap<i64, Level>) -> Result<(), Refusal> {
        if self.kind.scope != Scope::Job {
            return Ok(());
        }
        let owners: Vec<&i64> = entries
            .iter()
            .filter(|(_, level)| **level == "IS_OWNER")
            .map(|(id, _)| id)
            .collect();
        let [owner] = owners.as_slice() else {
            return Err(Refusal::invalid("The job must have exactly one owner."));
        };
        match state.directory.get(**owner).map(|principal| principal.kind) {
            Some(Kind::Group) => Err(Refusal::invalid("Groups can not be owners of jobs.")),
            _ => Ok(()),
        }
    }

    fn lag_key(&self) -> String {
        format!("permissions/{:?}/{}", self.kind.scope, self.id)
    }

    fn remember(&self, state: &mut State) {
        if state.lag.is_on() {
            let old = self.present(state);
            state.lag.remember(self.lag_key(), Some(old));
        }
    }

    fn present(&self, state: &State) -> Value {
        let mut shown: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for (principal, level) in state
            .acls
            .direct(self.kind.scope, &self.id)
            .into_iter()
            .flatten()
        {
            let permission = json!({"permission_level": level, "inherited": false});
            shown.entry(*principal).or_default().push(permission);
        }
        for (principal, level, from) in self.inherited(state) {
            let permission = json!({"permission_level": level, "inherited": true, "inherited_from_object": [from]});
            shown.entry(principal).or_default().push(permission);
        }
        if self.lists_admins(state) {
            let permission = json!({"permission_level": "CAN_MANAGE", "inherited": false});
            shown.insert(state.directory.admins, vec![permission]);
        }
        json!({
            "object_id": format!("/{}/{}", self.kind.request, self.id),
            "object_type": self.kind.answer,
            "access_control_list": present_entries(&state.directory, shown),
        })
    }

    /// What comes from above: (principal, level, object it comes from).
    fn inherited(&self, state: &State) -> Vec<(i64, Level, String)> {
        if self.kind.scope != Scope::Node {
            let top = match self.kind.scope {
                Scope::Job => "CAN_MANAGE",
                _ => self.kind.ladder.last().copied().unwrap_or("CAN_MANAGE"),
            };
            let is_listed = self.lists_admins(state);
            let from = format!("/{}/", self.kind.request);
            return if is_listed {
                Vec::new()
            } else {
                vec![(state.directory.admins, top, from)]
            };
        }
        let id = self.id.parse().unwrap_or(ROOT);
        let mut inherited = Vec::new();
        for folder in std::iter::once(id).chain(state.tree.ancestors(id)) {
            let from = format!("/directories/{folder}");
            for (principal, level) in state
                .acls
                .direct(Scope::Node, &folder.to_string())
                .into_iter()
                .flatten()
            {
                if folder != id {
                    inherited.push((*principal, *level, from.clone()));
                }
            }
            if let Some(principal) = implicit_manager(state, folder) {
                let from = if folder == id {
                    "/directories/".to_string()
                } else {
                    from
                };
                inherited.push((principal, "CAN_MANAGE", from));
            }
        }
        inherited.push((
            state.directory.admins,
            "CAN_MANAGE",
            "/directories/".to_string(),
        ));
        inherited
    }
}

/// Who manages a folder without having been given it: people and machines their homes, everybody `/Shared`.
fn implicit_manager(state: &State, folder: i64) -> Option<i64> {
    let node = state.tree.node(folder)?;
    let parent = state.tree.node(node.parent)?;
    if parent.id == ROOT && node.name == "Shared" {
        return Some(state.directory.users);
    }
    if parent.parent != ROOT || !["Users", "Repos"].contains(&parent.name.as_str()) {
        return None;
    }
    let owner = state.directory.find(Kind::User, &node.name);
    let owner = owner.or_else(|| state.directory.find(Kind::ServicePrincipal, &node.name));
    owner.map(|principal| principal.id)
}

/// The list as the service orders it, which is not the order it was sent in: people, machines, groups, each by name.
fn present_entries(directory: &Directory, entries: BTreeMap<i64, Vec<Value>>) -> Vec<Value> {
    let known = entries
        .into_iter()
        .filter_map(|(id, permissions)| Some((directory.get(id)?, permissions)));
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|(principal, _)| (principal.kind, principal.name().to_string()));
    let show = |(principal, permissions): (&crate::sandbox::state::Principal, Vec<Value>)| {
        let mut entry = json!({"all_permissions": permissions});
        entry[principal.kind.permission_field()] = json!(principal.name());
        if principal.kind != Kind::Group {
            entry["display_name"] = json!(principal.display_name());
        }
        entry
    };
    known.into_iter().map(show).collect()
}

fn parse_entry(
    state: &mut State,
    item: &Value,
    ladder: &'static [Level],
    may_name_admins: bool,
) -> Result<(i64, Level), Refusal> {
    let level = item["permission_level"].as_str().unwrap_or_default();
    let level = ladder.iter().find(|known| **known == level);
    let level = level.ok_or_else(|| {
        Refusal::invalid(format!(
            "Permission level {} is not valid for this object",
            item["permission_level"]
        ))
    })?;
    let kinds = [Kind::User, Kind::ServicePrincipal, Kind::Group];
    let named: Vec<(Kind, &str)> = kinds
        .into_iter()
        .filter_map(|kind| {
            Some((
                kind,
                item[kind.permission_field()]
                    .as_str()
                    .filter(|name| !name.is_empty())?,
            ))
        })
        .collect();
    let [(kind, name)] = named.as_slice() else {
        return Err(Refusal::invalid(
            "An entry must name exactly one user, group or service principal",
        ));
    };
    let principal = state
        .directory
        .find(*kind, name)
        .map(|principal| principal.id);
    // A principal that was just made may still be unknown here.
    let principal =
        principal.filter(|id| !matches!(state.lag.look(&lag_key(*id)), Some(Stale::Absent)));
    let unknown = || Refusal::not_found(format!("Principal: {name} does not exist"));
    let principal = principal.ok_or_else(unknown)?;
    if principal == state.directory.admins && !may_name_admins {
        return Err(Refusal::invalid(
            "Cannot modify admin permissions: the admins group always has CAN_MANAGE.",
        ));
    }
    Ok((principal, level))
}
