//! Registered models of the workspace, with their tags and permissions. (Those of Unity Catalog are other objects.)
//!
//! A model is known by its name, but to permissions by an id that is asked for by itself.

use serde_json::Value;

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Listing, Manner, Method, Naming, Paging,
    Rest, Restore, Rule, Source,
};

pub(super) static KIND: Kind = Kind {
    name: "registered-model",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/mlflow/registered-models/list",
            query: &[],
            items: "registered_models",
            paging: Paging::Token {
                size_parameter: "max_results",
                size: 1000,
            },
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "name",
        numeric: false,
    },
    naming: Naming {
        at: "name",
        unique: true,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "creation_timestamp",
                why: "made by the server",
            },
            Rule {
                at: "last_updated_timestamp",
                why: "made by the server",
            },
            Rule {
                at: "user_id",
                why: "made by the server",
            },
            Rule {
                at: "latest_versions",
                why: "a part of the versions",
            },
        ],
        unordered: &["tags"],
        ..Fields::PLAIN
    },
    permissions: Some("registered-models"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/mlflow/registered-models/create",
            envelope: Envelope::Plain,
        },
        created_id: None,
        update: Some(Call {
            method: Method::Patch,
            path: "/api/2.0/mlflow/registered-models/update",
            envelope: Envelope::Plain,
        }),
        extras: &[ExtraCall {
            field: "tags",
            call: Call {
                method: Method::Post,
                path: "/api/2.0/mlflow/registered-models/set-tag",
                envelope: Envelope::WithId("name"),
            },
            away: Some(Call {
                method: Method::Delete,
                path: "/api/2.0/mlflow/registered-models/delete-tag",
                envelope: Envelope::WithId("name"),
            }),
            manner: Manner::Elements { key: "key" },
        }],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: None,
};

fn prepare(mut body: Value) -> Value {
    super::shared::drop_if_empty(&mut body, "tags");
    if let Some(object) = body.as_object_mut()
        && object.get("description").is_some_and(|text| text == "")
    {
        object.remove("description");
    }
    body
}
