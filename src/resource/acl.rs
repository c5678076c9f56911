//! Permissions in the form dbsnap keeps them: who has which level, granted on the object itself.
//!
//! Inherited entries are not kept: they follow from the folder they come from, and writing them back would turn them into
//! direct ones. Someone may appear with a direct and several inherited entries; of several direct ones the highest counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

/// Someone in an access list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// A user, by user name.
    User(String),
    /// A group, by display name.
    Group(String),
    /// A service principal, by application id.
    ServicePrincipal(String),
}

impl Grantee {
    fn field(&self) -> &'static str {
        match self {
            Grantee::User(_) => "user_name",
            Grantee::Group(_) => "group_name",
            Grantee::ServicePrincipal(_) => "service_principal_name",
        }
    }

    /// The name alone.
    pub fn name(&self) -> &str {
        let (Grantee::User(name) | Grantee::Group(name) | Grantee::ServicePrincipal(name)) = self;
        name
    }

    fn parse(text: &str) -> Option<Self> {
        let (form, name) = text.split_once(':')?;
        match form {
            "user" => Some(Grantee::User(name.to_owned())),
            "group" => Some(Grantee::Group(name.to_owned())),
            "service-principal" => Some(Grantee::ServicePrincipal(name.to_owned())),
            _ => None,
        }
    }
}

/// `user:ana@example.com`, `group:admins`, `service-principal:<application id>`.
impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self {
            Grantee::User(_) => "user",
            Grantee::Group(_) => "group",
            Grantee::ServicePrincipal(_) => "service-principal",
        };
        write!(f, "{form}:{}", self.name())
    }
}

/// The direct permissions of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(
    /// Who has which level.
    pub BTreeMap<Grantee, String>,
);

impl Acl {
    /// From an answer of `GET /api/2.0/permissions/{type}/{id}`.
    pub fn from_answer(answer: &Value) -> Self {
        let mut acl = Self::default();
        for entry in answer["access_control_list"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let Some(grantee) = grantee_of(entry) else {
                continue;
            };
            let direct = entry["all_permissions"].as_array().into_iter().flatten();
            let direct = direct.filter(|granted| granted["inherited"] != json!(true));
            for level in direct.filter_map(|granted| granted["permission_level"].as_str()) {
                acl.grant(grantee.clone(), level);
            }
        }
        acl
    }

    /// Gives someone a level, unless they have a higher one. Privileges of SQL are neither higher nor lower than each
    /// other: they add up, and their names in order are the level.
    pub fn grant(&mut self, who: Grantee, level: &str) {
        let kept = self.0.entry(who).or_insert_with(|| level.to_owned());
        if is_privilege(level) && is_privilege(kept) {
            let all: BTreeSet<&str> = kept.split(", ").chain(level.split(", ")).collect();
            *kept = all.into_iter().collect::<Vec<_>>().join(", ");
        } else if rank(level) > rank(kept) {
            level.clone_into(kept);
        }
    }

    /// From the form kept in snapshots; `None` when it is not that.
    pub fn from_json(value: &Value) -> Option<Self> {
        let entry = |(who, level): (&String, &Value)| {
            Some((Grantee::parse(who)?, level.as_str()?.to_owned()))
        };
        value
            .as_object()?
            .iter()
            .map(entry)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The form kept in snapshots: `{"user:ana@example.com": "CAN_MANAGE"}`.
    pub fn to_json(&self) -> Value {
        let entries = self
            .0
            .iter()
            .map(|(who, level)| (who.to_string(), Value::from(level.as_str())));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    /// The body of `PUT /api/2.0/permissions/{type}/{id}`.
    pub fn to_request(&self) -> Value {
        let entry = |(who, level): (&Grantee, &String)| json!({who.field(): who.name(), "permission_level": level});
        json!({"access_control_list": self.0.iter().map(entry).collect::<Vec<_>>()})
    }

    /// The owner, for kinds that have exactly one.
    pub fn owner(&self) -> Option<&Grantee> {
        self.0
            .iter()
            .find(|(_, level)| *level == "IS_OWNER")
            .map(|(who, _)| who)
    }
}

fn grantee_of(entry: &Value) -> Option<Grantee> {
    let name = |field: &str| entry[field].as_str().map(str::to_owned);
    name("user_name")
        .map(Grantee::User)
        .or_else(|| name("group_name").map(Grantee::Group))
        .or_else(|| name("service_principal_name").map(Grantee::ServicePrincipal))
}

/// Whether it is a privilege of SQL and no level of the permissions API.
fn is_privilege(level: &str) -> bool {
    !level.starts_with("CAN_") && !level.starts_with("IS_")
}

/// Levels from low to high across all permission types; an unknown one counts as the lowest that still matters.
fn rank(level: &str) -> usize {
    const LOW_TO_HIGH: [&str; 12] = [
        "CAN_USE",
        "CAN_ATTACH_TO",
        "CAN_VIEW",
        "CAN_READ",
        "CAN_RESTART",
        "CAN_MONITOR",
        "CAN_QUERY",
        "CAN_RUN",
        "CAN_MANAGE_RUN",
        "CAN_EDIT",
        "CAN_MANAGE",
        "IS_OWNER",
    ];
    LOW_TO_HIGH
        .iter()
        .position(|known| *known == level)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_entries_are_kept_and_the_highest_of_several() {
        let answer = json!({"object_id": "/notebooks/1", "access_control_list": [
            {"user_name": "ana@example.com", "display_name": "Ana", "all_permissions": [
                {"permission_level": "CAN_MANAGE", "inherited": true, "inherited_from_object": ["/directories/2"]},
                {"permission_level": "CAN_READ", "inherited": false},
                {"permission_level": "CAN_EDIT"}]},
            {"group_name": "admins", "all_permissions": [{"permission_level": "CAN_MANAGE", "inherited": true}]},
            {"service_principal_name": "11-22", "all_permissions": [{"permission_level": "CAN_RUN", "inherited": false}]}]});
        let acl = Acl::from_answer(&answer);
        assert_eq!(
            acl.to_json(),
            json!({"user:ana@example.com": "CAN_EDIT", "service-principal:11-22": "CAN_RUN"})
        );
        assert_eq!(Acl::from_json(&acl.to_json()), Some(acl.clone()));
        assert_eq!(
            acl.to_request(),
            json!({"access_control_list": [
                {"user_name": "ana@example.com", "permission_level": "CAN_EDIT"},
                {"service_principal_name": "11-22", "permission_level": "CAN_RUN"}]})
        );
    }

    #[test]
    fn privileges_of_sql_add_up() {
        let mut acl = Acl::default();
        for level in ["SELECT", "MODIFY", "SELECT", "DENIED_CREATE, MODIFY"] {
            acl.grant(Grantee::Group("g".into()), level);
        }
        assert_eq!(
            acl.to_json(),
            json!({"group:g": "DENIED_CREATE, MODIFY, SELECT"})
        );
    }

    #[test]
    fn the_owner_is_found_and_odd_forms_are_refused() {
        let acl = Acl::from_json(&json!({"user:a@x": "IS_OWNER", "group:g": "CAN_VIEW"})).unwrap();
        assert_eq!(acl.owner(), Some(&Grantee::User("a@x".into())));
        assert_eq!(Acl::from_json(&json!({"robot:r": "CAN_VIEW"})), None);
        assert_eq!(Acl::from_json(&json!([])), None);
        assert_eq!(Acl::from_answer(&json!({})), Acl::default());
    }
}
