//! Who may do what with an object of the metastore.
//!
//! A grantee has several privileges at once, and may be denied some. They are kept as one level: their names in order.
//! `SHOW GRANTS` gives names only; whether one is a user, a machine or a group is told by its spelling.
//!
//! Invariant: what is granted further up, and only reaches down to the object, is not kept.

use std::collections::{BTreeMap, BTreeSet};

use super::Securable;
use super::describe::Row;
use super::names::quoted;
use crate::resource::{Acl, Grantee};

/// How a denied privilege begins.
const DENIED: &str = "DENIED_";

/// What `SHOW GRANTS` says of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Who may do what; without the owner.
    pub acl: Acl,
    /// Who owns it.
    pub owner: Option<String>,
}

/// Takes apart the rows of `SHOW GRANTS`: principal, action, type and key of the object.
pub fn grants_of(securable: Securable, name: &str, rows: &[Row]) -> Grants {
    let mut grants = Grants::default();
    for row in rows {
        let cell = |at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default();
        let (principal, action, object_type) = (cell(0), cell(1), cell(2));
        if principal.is_empty() || action.is_empty() || !is_own(securable, name, object_type) {
            continue;
        }
        if action == "OWN" {
            grants.owner = Some(principal.to_owned());
        } else {
            grants.acl.grant(grantee(principal), action);
        }
    }
    grants
}

/// Whether a row speaks of the object itself. What is above all databases has a type of its own each, written in several
/// ways.
fn is_own(securable: Securable, name: &str, object_type: &str) -> bool {
    let types: &[&str] = match securable {
        Securable::Top => {
            let plain = object_type.trim_end_matches('$').replace('_', " ");
            return plain.eq_ignore_ascii_case(name);
        }
        Securable::Database => &["DATABASE", "SCHEMA"],
        Securable::Table | Securable::View => &["TABLE", "VIEW"],
        Securable::Function => &["FUNCTION"],
    };
    types.contains(&object_type)
}

/// Who a name is, by its spelling: a mail address, an application id, or else a group.
fn grantee(name: &str) -> Grantee {
    let is_id = name.len() == 36
        && name.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    match (name.contains('@'), is_id) {
        (true, _) => Grantee::User(name.to_owned()),
        (false, true) => Grantee::ServicePrincipal(name.to_owned()),
        (false, false) => Grantee::Group(name.to_owned()),
    }
}

/// The statements that turn one list into another. What is taken away comes first, and a grantee who has to lose
/// something gets anew what stays: taking back a privilege takes back its denial as well.
pub fn statements(
    securable: Securable,
    name: &str,
    had: &Acl,
    wanted: &Acl,
) -> Vec<(Grantee, String)> {
    let on = securable.in_grants(name);
    let (had, wanted) = (privileges(had), privileges(wanted));
    let nothing = BTreeSet::new();
    let mut statements = Vec::new();
    for (who, before) in &had {
        let after = wanted.get(who).unwrap_or(&nothing);
        for privilege in before.difference(after) {
            let privilege = privilege.strip_prefix(DENIED).unwrap_or(privilege);
            let to = quoted(who.name());
            statements.push((
                (*who).clone(),
                format!("REVOKE {privilege} ON {on} FROM {to}"),
            ));
        }
    }
    for (who, after) in &wanted {
        let before = had.get(who).unwrap_or(&nothing);
        let is_revoked = |privilege: &str| {
            let other = match privilege.strip_prefix(DENIED) {
                Some(plain) => plain.to_owned(),
                None => format!("{DENIED}{privilege}"),
            };
            before.contains(other.as_str()) && !after.contains(other.as_str())
        };
        for privilege in after {
            if before.contains(privilege) && !is_revoked(privilege) {
                continue;
            }
            let to = quoted(who.name());
            let statement = match privilege.strip_prefix(DENIED) {
                Some(privilege) => format!("DENY {privilege} ON {on} TO {to}"),
                None => format!("GRANT {privilege} ON {on} TO {to}"),
            };
            statements.push(((*who).clone(), statement));
        }
    }
    statements
}

fn privileges(acl: &Acl) -> BTreeMap<&Grantee, BTreeSet<&str>> {
    let entries = acl.0.iter();
    entries
        .map(|(who, list)| (who, list.split(", ").collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(cells: [&str; 4]) -> Row {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    #[test]
    fn privileges_of_the_object_itself_are_kept_and_inherited_ones_are_not() {
        let rows = [
            row(["ana@example.com", "SELECT", "TABLE", "`d`.`t`"]),
            row(["ana@example.com", "MODIFY", "TABLE", "`d`.`t`"]),
            row(["data-eng", "DENIED_SELECT", "TABLE", "`d`.`t`"]),
            row(["data-eng", "USAGE", "DATABASE", "d"]),
            row(["users", "USAGE", "CATALOG$", ""]),
            row([
                "b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11",
                "OWN",
                "TABLE",
                "`d`.`t`",
            ]),
        ];
        let grants = grants_of(Securable::Table, "d.t", &rows);
        assert_eq!(
            grants.acl.to_json(),
            json!({"user:ana@example.com": "MODIFY, SELECT", "group:data-eng": "DENIED_SELECT"})
        );
        assert_eq!(
            grants.owner.as_deref(),
            Some("b7f5c2f0-3a52-4c0f-9a57-0f2f6f6c8b11")
        );
    }

    #[test]
    fn what_is_granted_on_the_catalog_is_not_granted_on_any_file() {
        let rows = [
            row(["users", "USAGE", "CATALOG$", ""]),
            row(["etl", "SELECT", "ANY_FILE", ""]),
        ];
        let grants = |name| grants_of(Securable::Top, name, &rows).acl.to_json();
        assert_eq!(grants("catalog"), json!({"group:users": "USAGE"}));
        assert_eq!(grants("any file"), json!({"group:etl": "SELECT"}));
        assert_eq!(grants("anonymous function"), json!({}));
    }

    #[test]
    fn a_list_becomes_another_by_taking_away_and_giving() {
        let acl = |value| Acl::from_json(&value).unwrap();
        let had = acl(json!({"group:g": "DENIED_SELECT, MODIFY", "user:a@x": "SELECT"}));
        let wanted = acl(json!({"group:g": "MODIFY, SELECT", "user:b@x": "DENIED_MODIFY"}));
        let texts: Vec<String> = statements(Securable::View, "d.v", &had, &wanted)
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(
            texts,
            [
                "REVOKE SELECT ON VIEW `d`.`v` FROM `a@x`",
                "REVOKE SELECT ON VIEW `d`.`v` FROM `g`",
                "DENY MODIFY ON VIEW `d`.`v` TO `b@x`",
                "GRANT SELECT ON VIEW `d`.`v` TO `g`",
            ]
        );
        assert!(statements(Securable::View, "d.v", &wanted, &wanted).is_empty());
    }
}
