//! The permissions that a restored object is to have.
//!
//! Invariant: pure; nobody gets more than the snapshot says, but for the one owner that some objects must have.

use crate::mapping::Mapping;
use crate::resource::{Acl, Grantee, Kind};

/// The one group whose rights the service keeps to itself.
const ADMINS: &str = "admins";
const OWNER: &str = "IS_OWNER";

/// The direct permissions of an object in the target, and who had to be dropped. `heir` gets what must have an owner and
/// has none that the target knows; who has a permission there already (`had`) is known there, though no list of users names
/// them: the metastore keeps the grants of those who left.
pub(super) fn wanted(
    kind: &Kind,
    path: &str,
    acl: &Acl,
    mapping: &Mapping,
    (heir, had): (Option<&Grantee>, Option<&Acl>),
) -> (Acl, Vec<Grantee>) {
    let (mut wanted, mut dropped) = mapping.acl(acl);
    dropped.retain(|who| {
        let renamed = mapping.renamed_grantee(who);
        let is_there = had.is_some_and(|had| had.0.contains_key(&renamed));
        if let Some(level) = acl.0.get(who).filter(|_| is_there) {
            wanted.grant(renamed, level);
        }
        !is_there
    });
    let admins = Grantee::Group(ADMINS.to_owned());
    match kind.node().is_some() && path == "/" {
        // Everywhere else they inherit their rights from here, and naming them is refused. Here it is refused not to.
        true => wanted.grant(admins, "CAN_MANAGE"),
        // In the metastore they have what was granted to them, as everybody.
        false if kind.securable().is_some() => {}
        false => drop(wanted.0.remove(&admins)),
    }
    if kind.has_owner()
        && !matches!(
            wanted.owner(),
            Some(Grantee::User(_) | Grantee::ServicePrincipal(_))
        )
    {
        wanted.0.retain(|_, level| level != OWNER);
        if let Some(heir) = heir {
            wanted.grant(heir.clone(), OWNER);
        }
    }
    (wanted, dropped)
}

/// Makes sure of an owner where there must be one.
pub(super) fn with_owner(kind: &Kind, mut acl: Acl, caller: &Grantee) -> Acl {
    if kind.has_owner() && acl.owner().is_none() {
        acl.grant(caller.clone(), OWNER);
    }
    acl
}

/// Whether the caller could not manage the object any more, were it not an administrator.
pub(super) fn shuts_out(acl: &Acl, caller: &Grantee) -> bool {
    let level = acl.0.get(caller).map(String::as_str);
    !matches!(level, Some("CAN_MANAGE" | OWNER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Known;
    use crate::resource::kind;
    use serde_json::{Value, json};

    fn of(kind_name: &str, path: &str, acl: Value, users: &[&str]) -> (Value, Vec<String>) {
        let mut mapping = Mapping::default();
        let pair = |name: &&str| ((*name).to_owned(), (*name).to_owned());
        mapping.restrict_to(Known {
            users: users.iter().map(pair).collect(),
            groups: [pair(&"admins")].into(),
            ..Known::default()
        });
        let (acl, dropped) = wanted(
            kind(kind_name).unwrap(),
            path,
            &Acl::from_json(&acl).unwrap(),
            &mapping,
            (Some(&Grantee::User("me@x".into())), None),
        );
        (
            acl.to_json(),
            dropped.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn a_job_whose_owner_is_gone_belongs_to_whoever_restores_it() {
        let acl = json!({"user:left@x": "IS_OWNER", "user:ana@x": "CAN_VIEW"});
        assert_eq!(
            of("job", "j", acl, &["ana@x"]),
            (
                json!({"user:me@x": "IS_OWNER", "user:ana@x": "CAN_VIEW"}),
                vec!["user:left@x".to_owned()]
            )
        );
    }

    #[test]
    fn who_has_a_permission_in_the_target_is_known_there_though_nobody_lists_them() {
        let mut mapping = Mapping::default();
        mapping.restrict_to(Known::default());
        let acl = |value| Acl::from_json(&value).unwrap();
        let snapshot = acl(json!({"user:left@x": "SELECT", "user:gone@x": "SELECT"}));
        let had = acl(json!({"user:left@x": "MODIFY"}));
        let kind = kind("database").unwrap();
        let (wanted, dropped) = wanted(kind, "staging", &snapshot, &mapping, (None, Some(&had)));
        assert_eq!(wanted.to_json(), json!({"user:left@x": "SELECT"}));
        assert_eq!(dropped, [Grantee::User("gone@x".to_owned())]);
    }

    #[test]
    fn administrators_are_named_on_the_root_and_nowhere_else() {
        let acl = json!({"group:admins": "CAN_MANAGE"});
        assert_eq!(of("directory", "/", acl.clone(), &[]).0, acl);
        assert_eq!(of("directory", "/", json!({}), &[]).0, acl);
        assert_eq!(of("directory", "/a", acl, &[]).0, json!({}));
    }

    #[test]
    fn what_is_left_without_anybody_stays_without_anybody() {
        let acl = json!({"user:left@x": "CAN_MANAGE", "group:admins": "CAN_MANAGE"});
        assert_eq!(
            of("notebook", "/n", acl, &[]),
            (json!({}), vec!["user:left@x".to_owned()])
        );
    }
}
