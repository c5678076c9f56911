//! Registered models of the workspace, with their tags, versions and permissions. (Those of Unity Catalog are other
//! objects.)
//!
//! A model is known by its name, but to permissions by an id that is asked for by itself. Its versions are a list of its
//! own: what the registry says of them, without the files they stand for. Nobody chooses the number of a version, and
//! files in the store of a workspace are read by this workspace only: that decides which versions a restore can make.

use serde_json::Value;

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Listing, Manner, Method, Naming, Paging,
    Reference, References, Rest, Restore, Rule, Source, Target,
};
use crate::resource::nested::{Inner, Versioned};

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
        inner: &[VERSIONS],
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
            Rule {
                at: "versions[*].name",
                why: "is the model's name",
            },
            Rule {
                at: "versions[*].creation_timestamp",
                why: "made by the server",
            },
            Rule {
                at: "versions[*].last_updated_timestamp",
                why: "made by the server",
            },
            Rule {
                at: "versions[*].user_id",
                why: "made by the server",
            },
            Rule {
                at: "versions[*].status",
                why: "changes by itself",
            },
            Rule {
                at: "versions[*].status_message",
                why: "changes by itself",
            },
        ],
        unordered: &["versions[*].tags", "tags"],
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "versions[*].run_id",
                to: Target::Id(&["run"]),
            }],
        }],
        ..Fields::PLAIN
    },
    permissions: Some("registered-models"),
    restore: Restore::Versioned(&CALLS),
    prepare: Some(prepare),
    request: None,
};

static CALLS: Versioned = Versioned {
    rest: Rest {
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
        extras: &[
            ExtraCall {
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
            },
            ExtraCall {
                field: "versions",
                call: CREATE_VERSION,
                away: None,
                manner: Manner::Apart,
            },
        ],
        after_create: &[],
    },
    list: "versions",
    number: "version",
    fixed: &["source", "run_id", "run_link"],
    files: "source",
    own_places: &[
        "dbfs:/databricks/mlflow-tracking/",
        "dbfs:/databricks/mlflow-registry/",
        "dbfs:/databricks/mlflow/",
    ],
    create: (CREATE_VERSION, "model_version"),
    update: (
        Call {
            method: Method::Patch,
            path: "/api/2.0/mlflow/model-versions/update",
            envelope: Envelope::WithId("name"),
        },
        "description",
    ),
    tags: (
        Call {
            method: Method::Post,
            path: "/api/2.0/mlflow/model-versions/set-tag",
            envelope: Envelope::WithId("name"),
        },
        Call {
            method: Method::Delete,
            path: "/api/2.0/mlflow/model-versions/delete-tag",
            envelope: Envelope::WithId("name"),
        },
    ),
    stage: (
        Call {
            method: Method::Post,
            path: "/api/2.0/mlflow/databricks/model-versions/transition-stage",
            envelope: Envelope::WithId("name"),
        },
        "current_stage",
        "stage",
    ),
};

const CREATE_VERSION: Call = Call {
    method: Method::Post,
    path: "/api/2.0/mlflow/model-versions/create",
    envelope: Envelope::WithId("name"),
};

/// Only one model at a time can be asked for its versions.
const VERSIONS: Inner = Inner {
    list: Listing {
        path: "/api/2.0/mlflow/model-versions/search",
        query: &[("filter", "name={quoted id}")],
        items: "model_versions",
        paging: Paging::Token {
            size_parameter: "max_results",
            size: 1000,
        },
    },
    field: "versions",
    without_feature: None,
    secrets: None,
};

/// What is empty says nothing. Versions stand in the order of their numbers.
fn prepare(mut body: Value) -> Value {
    drop_empty(&mut body);
    if let Some(versions) = body["versions"].as_array_mut() {
        versions.iter_mut().for_each(drop_empty);
        versions.sort_by_key(|version| {
            let number = version["version"].as_str().unwrap_or_default();
            number.parse::<u64>().unwrap_or(u64::MAX)
        });
    }
    super::shared::drop_if_empty(&mut body, "versions");
    body
}

fn drop_empty(object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|_, value| {
            let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
            *value != "" && !value.is_null() && !is_empty_list
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_empty_is_not_kept_and_versions_stand_by_their_numbers() {
        let version = |number: &str| {
            json!({"name": "m", "version": number, "creation_timestamp": 1, "last_updated_timestamp": 2, "user_id": "u",
                "current_stage": "None", "source": "s3://b", "status": "READY", "status_message": "", "run_link": "",
                "description": "", "tags": [], "aliases": []})
        };
        let listed = json!({"name": "m", "description": "", "tags": [], "user_id": "u", "creation_timestamp": 1,
            "last_updated_timestamp": 2, "latest_versions": [version("10")],
            "versions": [version("10"), version("9"), version("1")]});
        let kept =
            |number: &str| json!({"version": number, "current_stage": "None", "source": "s3://b"});
        assert_eq!(
            KIND.canonical_body(listed),
            json!({"name": "m", "versions": [kept("1"), kept("9"), kept("10")]})
        );
        assert_eq!(
            KIND.canonical_body(json!({"name": "m", "versions": []})),
            json!({"name": "m"})
        );
    }
}
