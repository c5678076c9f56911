//! Users, groups and service principals.
//!
//! Invariant: names are unique per kind whatever their case, and every membership is known from both sides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::sandbox::call::{Fields, Object};

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    User,
    ServicePrincipal,
    Group,
}

impl Kind {
    /// The field that names one.
    pub(crate) fn name_field(self) -> &'static str {
        match self {
            Kind::User => "userName",
            Kind::ServicePrincipal => "applicationId",
            Kind::Group => "displayName",
        }
    }

    /// The collection in the identity API.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Kind::User => "Users",
            Kind::ServicePrincipal => "ServicePrincipals",
            Kind::Group => "Groups",
        }
    }

    /// The schema of one.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Kind::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            Kind::ServicePrincipal => "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal",
            Kind::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }

    /// The field that names one in permissions.
    pub(crate) fn permission_field(self) -> &'static str {
        match self {
            Kind::User => "user_name",
            Kind::ServicePrincipal => "service_principal_name",
            Kind::Group => "group_name",
        }
    }
}

/// One user, group or service principal.
pub(crate) struct Principal {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    /// Its fields, without ids, memberships and schemas.
    pub(crate) body: Object,
    /// The direct members of a group, in the order they came.
    pub(crate) members: Vec<i64>,
    /// Belongs to the account: may be used here, not edited.
    pub(crate) is_account_group: bool,
}

impl Principal {
    /// The name it is unique by.
    pub(crate) fn name(&self) -> &str {
        self.body.text(self.kind.name_field()).unwrap_or_default()
    }

    /// What it is called.
    pub(crate) fn display_name(&self) -> &str {
        self.body.text("displayName").unwrap_or_else(|| self.name())
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Directory {
    principals: BTreeMap<i64, Principal>,
    names: HashMap<(Kind, String), i64>,
    memberships: HashMap<i64, BTreeSet<i64>>,
    /// The built-in group of administrators.
    pub(crate) admins: i64,
    /// The built-in group everybody is in, without being listed.
    pub(crate) users: i64,
}

impl Directory {
    pub(crate) fn get(&self, id: i64) -> Option<&Principal> {
        self.principals.get(&id)
    }

    /// The principal of a kind with a name, in any case.
    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<&Principal> {
        self.get(*self.names.get(&(kind, name.to_lowercase()))?)
    }

    /// All of a kind, oldest first.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Principal> {
        self.principals
            .values()
            .filter(move |principal| principal.kind == kind)
    }

    /// The name a principal is unique by; empty when it is gone.
    pub(crate) fn name_of(&self, id: i64) -> &str {
        self.get(id).map_or("", Principal::name)
    }

    pub(crate) fn is_built_in(&self, id: i64) -> bool {
        id == self.admins || id == self.users
    }

    pub(crate) fn add(&mut self, id: i64, kind: Kind, body: Object) {
        let principal = Principal {
            id,
            kind,
            body,
            members: Vec::new(),
            is_account_group: false,
        };
        self.names
            .insert((kind, principal.name().to_lowercase()), id);
        self.principals.insert(id, principal);
    }

    /// Marks a group as one of the account.
    pub(crate) fn give_to_account(&mut self, group: i64) {
        if let Some(principal) = self.principals.get_mut(&group) {
            principal.is_account_group = true;
        }
    }

    /// Puts another body in the place of a principal's, keeping the name index right.
    pub(crate) fn replace(&mut self, id: i64, body: Object) {
        let Some(principal) = self.principals.get_mut(&id) else {
            return;
        };
        let kind = principal.kind;
        self.names.remove(&(kind, principal.name().to_lowercase()));
        principal.body = body;
        let name = principal.name().to_lowercase();
        self.names.insert((kind, name), id);
    }

    /// Sets one field that is not the name.
    pub(crate) fn set(&mut self, id: i64, field: &str, value: Value) {
        if let Some(principal) = self.principals.get_mut(&id) {
            principal.body.insert(field.to_string(), value);
        }
    }

    /// Takes a principal out of the workspace and out of its groups.
    pub(crate) fn remove(&mut self, id: i64) {
        let groups: Vec<i64> = self
            .memberships
            .get(&id)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for group in groups {
            self.leave(group, id);
        }
        if let Some(principal) = self.principals.remove(&id) {
            self.names
                .remove(&(principal.kind, principal.name().to_lowercase()));
            for member in principal.members {
                self.memberships.entry(member).or_default().remove(&id);
            }
        }
    }

    /// Makes `member` a direct member of `group`.
    pub(crate) fn join(&mut self, group: i64, member: i64) {
        let Some(principal) = self.principals.get_mut(&group) else {
            return;
        };
        if self.memberships.entry(member).or_default().insert(group) {
            principal.members.push(member);
        }
    }

    /// Ends a direct membership.
    pub(crate) fn leave(&mut self, group: i64, member: i64) {
        let Some(principal) = self.principals.get_mut(&group) else {
            return;
        };
        principal.members.retain(|id| *id != member);
        self.memberships.entry(member).or_default().remove(&group);
    }

    /// The groups a principal is in, directly (true) or through another group; the built-in group of everybody counts
    /// as direct for all but groups.
    pub(crate) fn groups_of(&self, id: i64) -> Vec<(i64, bool)> {
        let mut groups: Vec<(i64, bool)> = self
            .memberships
            .get(&id)
            .into_iter()
            .flatten()
            .map(|group| (*group, true))
            .collect();
        let is_member = self
            .get(id)
            .is_some_and(|principal| principal.kind != Kind::Group);
        if is_member && !groups.iter().any(|(group, _)| *group == self.users) {
            groups.push((self.users, true));
        }
        let mut next = 0;
        while next < groups.len() {
            let above = self.memberships.get(&groups[next].0).into_iter().flatten();
            let new: Vec<i64> = above
                .filter(|group| !groups.iter().any(|(known, _)| known == *group))
                .copied()
                .collect();
            groups.extend(new.into_iter().map(|group| (group, false)));
            next += 1;
        }
        groups
    }

    /// Whether adding `member` to `group` would make a group a member of itself.
    pub(crate) fn would_loop(&self, group: i64, member: i64) -> bool {
        group == member
            || self
                .groups_of(group)
                .iter()
                .any(|(above, _)| *above == member)
    }
}
