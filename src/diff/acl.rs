//! Permissions, principal by principal.
//!
//! Invariant: nobody's level changes without a line that names them.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// What changed for one principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AclChange {
    /// `user:ana@example.com`, `group:data`, `service-principal:<application id>`.
    pub principal: String,
    /// The level it had; `None` when it had none.
    pub before: Option<String>,
    /// The level it has; `None` when it has none.
    pub after: Option<String>,
}

/// All principals whose level differs, sorted, or `None` when one of the values is no list of permissions. A missing
/// value is a list without anybody.
pub fn acl_changes(before: Option<&Value>, after: Option<&Value>) -> Option<Vec<AclChange>> {
    let nobody = Value::Object(serde_json::Map::new());
    let before = before.unwrap_or(&nobody).as_object()?;
    let after = after.unwrap_or(&nobody).as_object()?;
    let principals: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes = principals
        .into_iter()
        .filter(|principal| before.get(*principal) != after.get(*principal));
    Some(
        changes
            .map(|principal| AclChange {
                principal: principal.clone(),
                before: before.get(principal).map(level),
                after: after.get(principal).map(level),
            })
            .collect(),
    )
}

/// One level, or several privileges separated by commas.
fn level(value: &Value) -> String {
    match value {
        Value::String(level) => level.clone(),
        Value::Array(levels) => levels.iter().map(level).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// `+ group:data CAN_RUN`, `- user:ana@example.com CAN_MANAGE`, `~ group:ops CAN_RUN -> CAN_MANAGE`.
impl fmt::Display for AclChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            principal,
            before,
            after,
        } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "~ {principal} {before} -> {after}"),
            (Some(before), None) => write!(f, "- {principal} {before}"),
            (None, Some(after)) => write!(f, "+ {principal} {after}"),
            (None, None) => write!(f, "  {principal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(before: Option<&Value>, after: Option<&Value>) -> String {
        let changes = acl_changes(before, after).unwrap();
        changes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_principal_whose_level_differs_is_named() {
        let before =
            json!({"user:ana@x": "CAN_READ", "group:data": "CAN_RUN", "group:same": "CAN_RUN"});
        let after = json!({"user:ana@x": "CAN_MANAGE", "service-principal:1-2": "IS_OWNER", "group:same": "CAN_RUN"});
        insta::assert_snapshot!(lines(Some(&before), Some(&after)), @"
        - group:data CAN_RUN
        + service-principal:1-2 IS_OWNER
        ~ user:ana@x CAN_READ -> CAN_MANAGE
        ");
    }

    #[test]
    fn missing_permissions_are_those_of_nobody() {
        let acl = json!({"group:data": ["SELECT", "MODIFY"]});
        insta::assert_snapshot!(lines(None, Some(&acl)), @"+ group:data SELECT, MODIFY");
        insta::assert_snapshot!(lines(Some(&acl), None), @"- group:data SELECT, MODIFY");
        assert_eq!(acl_changes(None, None), Some(Vec::new()));
    }

    #[test]
    fn something_else_is_no_list_of_permissions() {
        assert_eq!(acl_changes(Some(&json!([])), Some(&json!({}))), None);
    }
}
