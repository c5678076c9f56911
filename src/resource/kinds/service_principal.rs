//! Service principals, by SCIM.
//!
//! Display names are not unique. The application id is made by the server, except where the caller brings one from Entra:
//! it is kept, because permissions and `run_as` name service principals by it.

use serde_json::Value;

use super::shared::{drop_if_empty, drop_indirect, with_scim_schema};
use crate::resource::kind::{
    Call, Envelope, Fields, IdField, Kind, Listing, Method, Naming, Paging, Principal, Reference,
    References, Rest, Restore, Rule, Source, Target,
};

pub(super) static KIND: Kind = Kind {
    name: "service-principal",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/preview/scim/v2/ServicePrincipals",
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
        at: "displayName",
        unique: false,
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
                why: "the same for every service principal",
            },
            Rule {
                at: "groups",
                why: "a view of the groups' members",
            },
        ],
        unordered: &["entitlements", "roles"],
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "applicationId",
                to: Target::Principal(Principal::ServicePrincipal),
            }],
        }],
        principal: Some((Principal::ServicePrincipal, "applicationId")),
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/preview/scim/v2/ServicePrincipals",
            envelope: Envelope::Plain,
        },
        created_id: Some("id"),
        update: Some(Call {
            method: Method::Put,
            path: "/api/2.0/preview/scim/v2/ServicePrincipals/{id}",
            envelope: Envelope::Plain,
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: Some(|body| with_scim_schema(body, "ServicePrincipal")),
};

fn prepare(mut body: Value) -> Value {
    drop_indirect(&mut body, "roles");
    drop_if_empty(&mut body, "entitlements");
    body
}
