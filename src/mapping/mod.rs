//! Who and what is called otherwise in another workspace: users, domains, groups, service principals, paths.
//!
//! One [`Mapping`] is used everywhere a principal or a path occurs: in homes, permissions, members, `run_as`, owners and
//! notifications.
//!
//! Invariant: a mapping never makes anything wider. Who has no name in the target is told to the caller and dropped.

mod file;
mod ids;
mod paths;
mod rewrite;

use std::collections::BTreeMap;

use crate::resource::{Acl, Grantee, Principal};

pub use file::{MappingError, PairError};
pub use ids::Ids;
pub use paths::Home;
pub(crate) use paths::{home_of, is_at_or_below};
pub use rewrite::Unresolved;

/// What is called otherwise in another workspace. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    users: BTreeMap<String, String>,
    domains: BTreeMap<String, String>,
    groups: BTreeMap<String, String>,
    service_principals: BTreeMap<String, String>,
    paths: BTreeMap<String, String>,
    beneath: Option<Beneath>,
    homes: BTreeMap<String, Home>,
    known: Option<Known>,
}

/// Everybody who has a name in the target, by that name in lower case.
///
/// The values are the names as the target spells them: the service compares names without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// User names.
    pub users: BTreeMap<String, String>,
    /// Display names of groups.
    pub groups: BTreeMap<String, String>,
    /// Application ids of service principals.
    pub service_principals: BTreeMap<String, String>,
}

/// The place beneath which restored paths are put, and what is put there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Beneath {
    target: String,
    only: Vec<String>,
}

/// A table of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// User names.
    Users,
    /// The part of user names behind the `@`.
    Domains,
    /// Display names of groups.
    Groups,
    /// Application ids of service principals.
    ServicePrincipals,
    /// Paths, with everything below them.
    Paths,
}

impl Table {
    /// What one of its entries is called, for messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Table::Users => "user",
            Table::Domains => "domain",
            Table::Groups => "group",
            Table::ServicePrincipals => "service principal",
            Table::Paths => "path",
        }
    }
}

impl Mapping {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts everything that is at or below one of `only` beneath `target`.
    pub fn put_beneath(&mut self, target: &str, only: Vec<String>) {
        let target = format!("/{}", target.trim_matches('/'));
        self.beneath = (target != "/").then_some(Beneath { target, only });
    }

    /// Restricts the mapping to principals that the target knows: everybody else has no name there.
    pub fn restrict_to(&mut self, known: Known) {
        self.known = Some(known);
    }

    /// Takes note that someone has another name than any table says.
    pub fn learn(&mut self, table: Table, old: &str, new: &str) {
        self.table(table).insert(key(table, old), new.to_owned());
        if let Some(known) = &mut self.known {
            let names = match table {
                Table::Users => &mut known.users,
                Table::Groups => &mut known.groups,
                Table::ServicePrincipals => &mut known.service_principals,
                Table::Domains | Table::Paths => return,
            };
            names.insert(new.to_lowercase(), new.to_owned());
        }
    }

    /// What a principal is called in the target; `None` when nobody there is.
    pub fn principal(&self, what: Principal, name: &str) -> Option<String> {
        let renamed = self.renamed(what, name);
        let Some(known) = &self.known else {
            return Some(renamed);
        };
        let find = |names: &BTreeMap<String, String>| names.get(&renamed.to_lowercase()).cloned();
        match what {
            Principal::User => find(&known.users),
            Principal::Group => find(&known.groups),
            Principal::ServicePrincipal => find(&known.service_principals),
            Principal::Any => find(&known.users)
                .or_else(|| find(&known.service_principals))
                .or_else(|| find(&known.groups)),
            Principal::Email => Some(renamed),
        }
    }

    /// What a principal is called by the tables alone, whether or not there is one of that name.
    pub fn renamed(&self, what: Principal, name: &str) -> String {
        let user = || self.user(name);
        let by = |table: &BTreeMap<String, String>| table.get(&name.to_lowercase()).cloned();
        let renamed = match what {
            Principal::User | Principal::Email => user(),
            Principal::Group => by(&self.groups),
            Principal::ServicePrincipal => by(&self.service_principals),
            Principal::Any => user()
                .or_else(|| by(&self.service_principals))
                .or_else(|| by(&self.groups)),
        };
        renamed.unwrap_or_else(|| name.to_owned())
    }

    /// The permissions with everybody called as in the target, and those who have no name there.
    pub fn acl(&self, acl: &Acl) -> (Acl, Vec<Grantee>) {
        let (mut mapped, mut dropped) = (Acl::default(), Vec::new());
        for (who, level) in &acl.0 {
            match self.grantee(who) {
                Some(known) => mapped.grant(known, level),
                None => dropped.push(who.clone()),
            }
        }
        (mapped, dropped)
    }

    /// The same grantee as the target calls it.
    pub fn grantee(&self, who: &Grantee) -> Option<Grantee> {
        Some(match who {
            Grantee::User(name) => Grantee::User(self.principal(Principal::User, name)?),
            Grantee::Group(name) => Grantee::Group(self.principal(Principal::Group, name)?),
            Grantee::ServicePrincipal(name) => {
                Grantee::ServicePrincipal(self.principal(Principal::ServicePrincipal, name)?)
            }
        })
    }

    /// What a grantee is called by the tables alone, whether or not there is one of that name.
    pub fn renamed_grantee(&self, who: &Grantee) -> Grantee {
        match who {
            Grantee::User(name) => Grantee::User(self.renamed(Principal::User, name)),
            Grantee::Group(name) => Grantee::Group(self.renamed(Principal::Group, name)),
            Grantee::ServicePrincipal(name) => {
                Grantee::ServicePrincipal(self.renamed(Principal::ServicePrincipal, name))
            }
        }
    }

    fn user(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        if let Some(new) = self.users.get(&name) {
            return Some(new.clone());
        }
        let (local, domain) = name.rsplit_once('@')?;
        let new = self.domains.get(domain)?;
        Some(format!("{local}@{new}"))
    }

    fn table(&mut self, table: Table) -> &mut BTreeMap<String, String> {
        match table {
            Table::Users => &mut self.users,
            Table::Domains => &mut self.domains,
            Table::Groups => &mut self.groups,
            Table::ServicePrincipals => &mut self.service_principals,
            Table::Paths => &mut self.paths,
        }
    }
}

/// Paths are told apart by case, names of people are not.
fn key(table: Table, name: &str) -> String {
    match table {
        Table::Paths => name.to_owned(),
        _ => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mapping(pairs: &[(Table, &str)]) -> Mapping {
        let mut mapping = Mapping::default();
        for (table, pair) in pairs {
            mapping.add_pair(*table, pair).unwrap();
        }
        mapping
    }

    fn known(users: &[&str], groups: &[&str]) -> Known {
        let names = |names: &[&str]| {
            let pair = |name: &&str| (name.to_lowercase(), (*name).to_owned());
            names.iter().map(pair).collect()
        };
        Known {
            users: names(users),
            groups: names(groups),
            ..Known::default()
        }
    }

    #[test]
    fn a_user_rule_wins_over_the_rule_for_the_domain_and_case_does_not_matter() {
        let mapping = mapping(&[
            (Table::Users, "Ana@old.com=ana.b@new.com"),
            (Table::Domains, "old.com=new.com"),
        ]);
        let user = |name| mapping.principal(Principal::User, name).unwrap();
        assert_eq!(user("ANA@old.com"), "ana.b@new.com");
        assert_eq!(user("Ben@OLD.com"), "ben@new.com");
        assert_eq!(user("eve@elsewhere.com"), "eve@elsewhere.com");
        assert_eq!(
            mapping.principal(Principal::Any, "ben@old.com").unwrap(),
            "ben@new.com"
        );
    }

    #[test]
    fn who_is_not_in_the_target_has_no_name_but_an_address_remains_one() {
        let mut mapping = mapping(&[(Table::Domains, "a.com=b.com")]);
        mapping.restrict_to(known(&["Ana@b.com"], &["data"]));
        assert_eq!(
            mapping.principal(Principal::User, "ana@a.com").as_deref(),
            Some("Ana@b.com")
        );
        assert_eq!(mapping.principal(Principal::User, "ben@a.com"), None);
        assert_eq!(
            mapping.principal(Principal::Email, "ben@a.com").as_deref(),
            Some("ben@b.com")
        );
        assert_eq!(
            mapping.principal(Principal::Any, "data").as_deref(),
            Some("data")
        );
    }

    #[test]
    fn permissions_of_two_who_become_one_are_the_higher_and_strangers_are_dropped() {
        let mut mapping = mapping(&[(Table::Users, "a@x=c@x"), (Table::Users, "b@x=c@x")]);
        mapping.restrict_to(known(&["c@x"], &[]));
        let acl = Acl::from_json(
            &json!({"user:a@x": "CAN_READ", "user:b@x": "CAN_MANAGE", "group:g": "CAN_RUN"}),
        )
        .unwrap();
        let (mapped, dropped) = mapping.acl(&acl);
        assert_eq!(mapped.to_json(), json!({"user:c@x": "CAN_MANAGE"}));
        assert_eq!(dropped, [Grantee::Group("g".into())]);
    }
}
