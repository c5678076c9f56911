//! Groups, by SCIM, with their members.

use serde_json::{Value, json};

use super::shared::{drop_if_empty, drop_indirect, with_scim_schema};
use crate::resource::kind::{
    Call, Detail, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Principal,
    Reference, References, Rest, Restore, Rule, Source, Target,
};

pub(super) static KIND: Kind = Kind {
    name: "group",
    source: Source::Listed {
        // Listing groups with their members times out in large workspaces: names first, then each.
        list: Listing {
            path: "/api/2.0/preview/scim/v2/Groups",
            query: &[("attributes", "id,displayName,meta")],
            items: "Resources",
            paging: Paging::Scim { size: 100 },
        },
        detail: Some(Detail {
            path: "/api/2.0/preview/scim/v2/Groups/{id}",
            only_when: None,
            paged_inside: false,
        }),
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "id",
        numeric: false,
    },
    naming: Naming {
        at: "displayName",
        unique: true,
        built_in: &["admins", "users"],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "id",
                why: "made by the server",
            },
            Rule {
                at: "schemas",
                why: "the same for every group",
            },
            Rule {
                at: "groups",
                why: "a view of the parents' members",
            },
            Rule {
                at: "members[*].display",
                why: "follows from the member",
            },
        ],
        unordered: &["members", "entitlements", "roles"],
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "members[*].value",
                to: Target::Id(&["user", "group", "service-principal"]),
            }],
        }],
        principal: Some((Principal::Group, "displayName")),
        elsewhere: Some(Rule {
            at: "account_group",
            why: "a group of the account: it is assigned to the workspace in the account console",
        }),
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/preview/scim/v2/Groups",
            envelope: Envelope::Plain,
        },
        created_id: Some("id"),
        update: Some(Call {
            method: Method::Put,
            path: "/api/2.0/preview/scim/v2/Groups/{id}",
            envelope: Envelope::Plain,
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: Some(request),
};

/// Keeps of `meta` only whether the group belongs to the account, and of a member only who it is.
fn prepare(mut body: Value) -> Value {
    let is_account_group = body["meta"]["resourceType"] == json!("Group");
    if let Some(object) = body.as_object_mut() {
        object.remove("meta");
        // Everybody is a member of `users`, without anyone's doing.
        if object.get("displayName") == Some(&json!("users")) {
            object.remove("members");
        }
    }
    if is_account_group {
        body["account_group"] = json!(true);
    }
    for member in body["members"].as_array_mut().into_iter().flatten() {
        // `$ref` is `Users/<id>`: the id again, and the member's kind, which follows from the id.
        if let Some(object) = member.as_object_mut() {
            object.remove("$ref");
            object.remove("type");
        }
    }
    drop_if_empty(&mut body, "members");
    drop_if_empty(&mut body, "entitlements");
    drop_indirect(&mut body, "roles");
    body
}

fn request(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.remove("account_group");
    }
    with_scim_schema(body, "Group")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_keeps_who_its_members_are_and_nothing_the_server_made() {
        let listed = json!({"id": "7", "displayName": "data", "meta": {"resourceType": "WorkspaceGroup"}, "groups": [],
            "members": [{"value": "9", "display": "Ben", "$ref": "Users/9"}, {"value": "10", "$ref": "Groups/10"}]});
        assert_eq!(
            KIND.canonical_body(listed),
            json!({"displayName": "data", "members": [{"value": "10"}, {"value": "9"}]})
        );
    }

    #[test]
    fn the_group_of_everybody_keeps_no_members_and_an_account_group_is_marked() {
        let users = json!({"displayName": "users", "members": [{"value": "1"}], "meta": {"resourceType": "Group"}});
        assert_eq!(
            KIND.canonical_body(users),
            json!({"displayName": "users", "account_group": true})
        );
    }
}
