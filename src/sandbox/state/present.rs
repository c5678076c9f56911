//! A principal as the identity API shows it.
//!
//! Invariant: what was not asked for is not computed, because members and memberships are what makes listings slow.

use serde_json::{Value, json};

use super::directory::{Directory, Kind, Principal};
use crate::sandbox::call::{Call, Fields, Object};

/// The attributes asked for.
pub(crate) struct Want {
    only: Option<Vec<String>>,
    but: Vec<String>,
}

impl Want {
    /// Everything.
    pub(crate) fn all() -> Want {
        Want {
            only: None,
            but: Vec::new(),
        }
    }

    /// As `attributes` and `excludedAttributes` of the query say.
    pub(crate) fn of(call: &Call) -> Want {
        let split = |text: &str| {
            text.split(',')
                .map(|name| head(name.trim()).to_lowercase())
                .collect()
        };
        Want {
            only: call.query("attributes").map(split),
            but: call
                .query("excludedAttributes")
                .map(split)
                .unwrap_or_default(),
        }
    }

    fn wants(&self, attribute: &str) -> bool {
        let is_in = |names: &[String]| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(attribute))
        };
        self.only.as_deref().is_none_or(is_in) && !is_in(&self.but)
    }
}

/// The attribute of a path such as `name.givenName`.
fn head(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

impl Directory {
    /// The JSON of a principal.
    pub(crate) fn present(&self, principal: &Principal, want: &Want) -> Value {
        let mut shown = Object::new();
        let mut show = |name: &str, value: &dyn Fn() -> Value| {
            if !want.wants(name) {
                return;
            }
            let value = value();
            if value.as_array().is_none_or(|items| !items.is_empty()) {
                shown.insert(name.to_string(), value);
            }
        };
        for (name, value) in &principal.body {
            if name != "roles" {
                show(name, &|| value.clone());
            }
        }
        show("roles", &|| self.roles_of(principal));
        show("groups", &|| self.show_groups(principal));
        if principal.kind == Kind::Group {
            show("members", &|| self.show_members(principal));
            let kind = if principal.is_account_group {
                "Group"
            } else {
                "WorkspaceGroup"
            };
            show("meta", &|| json!({"resourceType": kind}));
        }
        // The id comes whatever was asked for; the schemas only when nothing was.
        shown.insert("id".into(), json!(principal.id.to_string()));
        if want.only.is_none() {
            shown.insert("schemas".into(), schemas(principal.kind));
        }
        Value::Object(shown)
    }

    fn show_groups(&self, principal: &Principal) -> Value {
        let groups = self
            .groups_of(principal.id)
            .into_iter()
            .filter_map(|(id, is_direct)| {
                let group = self.get(id)?;
                let kind = if is_direct { "direct" } else { "indirect" };
                Some(json!({
                    "display": group.display_name(),
                    "value": id.to_string(),
                    "type": kind,
                    "$ref": format!("Groups/{id}"),
                }))
            });
        groups.collect()
    }

    fn show_members(&self, group: &Principal) -> Value {
        let members = group.members.iter().filter_map(|id| {
            let member = self.get(*id)?;
            Some(json!({
                "display": member.display_name(),
                "value": id.to_string(),
                "$ref": format!("{}/{id}", member.kind.collection()),
            }))
        });
        members.collect()
    }

    /// Direct roles, and those of the groups above, which are marked indirect.
    fn roles_of(&self, principal: &Principal) -> Value {
        let mut roles: Vec<Value> = Vec::new();
        let mut add = |of: &Principal, kind: &str| {
            for role in of.body.items("roles") {
                if !roles.iter().any(|known| known["value"] == role["value"]) {
                    roles.push(json!({"value": role["value"], "type": kind}));
                }
            }
        };
        add(principal, "direct");
        for (group, _) in self.groups_of(principal.id) {
            if let Some(group) = self.get(group) {
                add(group, "indirect");
            }
        }
        Value::Array(roles)
    }
}

fn schemas(kind: Kind) -> Value {
    match kind {
        Kind::User => json!([
            kind.schema(),
            "urn:ietf:params:scim:schemas:extension:workspace:2.0:User"
        ]),
        _ => json!([kind.schema()]),
    }
}
