//! Users, by SCIM.

use serde_json::Value;

use super::shared::{drop_if_empty, drop_indirect, with_scim_schema};
use crate::resource::kind::{
    Call, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Principal, Reference,
    References, Rest, Restore, Rule, Source, Target,
};

pub(super) static KIND: Kind = Kind {
    name: "user",
    source: Source::Listed {
        // `groups` is a view of the groups' members and makes the list slow in large workspaces.
        list: Listing {
            path: "/api/2.0/preview/scim/v2/Users",
            query: &[("excludedAttributes", "groups")],
            items: "Resources",
            paging: Paging::Scim { size: 100 },
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "id",
        numeric: false,
    },
    naming: Naming {
        at: "userName",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "id",
                why: "made by the server",
            },
            Rule {
                at: "meta",
                why: "made by the server",
            },
            Rule {
                at: "schemas",
                why: "the same for every user",
            },
            Rule {
                at: "groups",
                why: "a view of the groups' members",
            },
        ],
        unordered: &["entitlements", "roles", "emails"],
        references: &[References {
            under: &[""],
            fields: &[
                Reference {
                    at: "userName",
                    to: Target::Principal(Principal::User),
                },
                Reference {
                    at: "emails[*].value",
                    to: Target::Principal(Principal::Email),
                },
            ],
        }],
        principal: Some((Principal::User, "userName")),
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/preview/scim/v2/Users",
            envelope: Envelope::Plain,
        },
        created_id: Some("id"),
        update: Some(Call {
            method: Method::Put,
            path: "/api/2.0/preview/scim/v2/Users/{id}",
            envelope: Envelope::Plain,
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: Some(|body| with_scim_schema(body, "User")),
};

fn prepare(mut body: Value) -> Value {
    drop_indirect(&mut body, "roles");
    drop_if_empty(&mut body, "entitlements");
    drop_if_empty(&mut body, "emails");
    body
}
