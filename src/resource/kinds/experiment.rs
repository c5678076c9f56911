//! Experiments, which lie in the workspace tree, with their tags and permissions.
//!
//! The experiment of a notebook has the notebook's path, and comes to be when the notebook logs its first run: nothing else
//! makes one. Such a one is kept like the others, and of one that is there already the tags are restored. Its permissions
//! are the notebook's.
//!
//! What an experiment keeps its files in is part of the body only where somebody chose it: by itself it is a place named
//! after the id.

use serde_json::Value;

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Listing, Manner, Method, Naming, Node,
    Paging, Reference, References, Rest, Restore, Rule, Source, Target,
};

pub(super) static KIND: Kind = Kind {
    name: "experiment",
    source: Source::Placed {
        node: Node::Experiment,
        list: Listing {
            path: "/api/2.0/mlflow/experiments/list",
            query: &[("view_type", "ACTIVE_ONLY")],
            items: "experiments",
            paging: Paging::Token {
                size_parameter: "max_results",
                size: 1000,
            },
        },
    },
    id: IdField {
        at: "experiment_id",
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
                at: "experiment_id",
                why: "made by the server; kept beside the body",
            },
            Rule {
                at: "lifecycle_stage",
                why: "only active ones are kept",
            },
            Rule {
                at: "creation_time",
                why: "made by the server",
            },
            Rule {
                at: "last_update_time",
                why: "changes with every run",
            },
        ],
        unordered: &["tags"],
        // The path is sent on creation, so it stays in the body.
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "name",
                to: Target::Path,
            }],
        }],
        elsewhere: Some(Rule {
            at: "of_notebook",
            why: "the experiment of a notebook comes to be when the notebook logs its first run, and no call makes one; its tags are restored once it is there",
        }),
        ..Fields::PLAIN
    },
    permissions: Some("experiments"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/mlflow/experiments/create",
            envelope: Envelope::Plain,
        },
        created_id: Some("experiment_id"),
        update: None,
        extras: &[ExtraCall {
            field: "tags",
            call: Call {
                method: Method::Post,
                path: "/api/2.0/mlflow/experiments/set-experiment-tag",
                envelope: Envelope::WithId("experiment_id"),
            },
            away: None,
            manner: Manner::Elements { key: "key" },
        }],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: None,
};

/// What the service says in tags, and nobody else may.
const OF_SERVICE: [&str; 4] = [
    "mlflow.ownerId",
    "mlflow.ownerEmail",
    "mlflow.experimentType",
    "mlflow.experiment.sourceName",
];

/// Where files are if nobody chooses a place.
const USUAL: [&str; 2] = [
    "dbfs:/databricks/mlflow-tracking/",
    "dbfs:/databricks/mlflow/",
];

fn prepare(mut body: Value) -> Value {
    let is_of_notebook = is_of_notebook(&body);
    if let Some(tags) = body["tags"].as_array_mut() {
        tags.retain(|tag| !OF_SERVICE.iter().any(|key| tag["key"] == *key));
    }
    super::shared::drop_if_empty(&mut body, "tags");
    if let Some(object) = body.as_object_mut() {
        if is_of_notebook {
            object.insert("of_notebook".to_owned(), Value::Bool(true));
        }
        let is_usual = |place: &Value| {
            let place = place.as_str().unwrap_or_default();
            USUAL.iter().any(|usual| place.starts_with(usual))
        };
        if object.get("artifact_location").is_some_and(is_usual) {
            object.remove("artifact_location");
        }
    }
    body
}

fn is_of_notebook(body: &Value) -> bool {
    let tags = body["tags"].as_array().into_iter().flatten();
    let mut said = tags.map(|tag| (&tag["key"], &tag["value"]));
    body["of_notebook"] == true
        || said.any(|(key, value)| {
            (key == "mlflow.experimentType" && value == "NOTEBOOK")
                || (key == "mlflow.experiment.sourceType" && value == "REPO_NOTEBOOK")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(tags: Value, place: &str) -> Value {
        json!({"experiment_id": "7", "name": "/Shared/x", "artifact_location": place, "lifecycle_stage": "active",
            "creation_time": 1, "last_update_time": 2, "tags": tags})
    }

    #[test]
    fn what_the_service_says_in_tags_and_a_place_named_after_the_id_are_not_kept() {
        let tags = json!([{"key": "team", "value": "b"}, {"key": "mlflow.ownerId", "value": "1"},
            {"key": "mlflow.experimentType", "value": "MLFLOW_EXPERIMENT"}, {"key": "mlflow.note.content", "value": "n"}]);
        let body = KIND.canonical_body(listed(tags, "dbfs:/databricks/mlflow-tracking/7"));
        assert_eq!(
            body,
            json!({"name": "/Shared/x", "tags": [{"key": "mlflow.note.content", "value": "n"}, {"key": "team", "value": "b"}]})
        );
        let owned = json!([{"key": "mlflow.ownerId", "value": "1"}]);
        assert_eq!(
            KIND.canonical_body(listed(owned, "s3://b/7")),
            json!({"name": "/Shared/x", "artifact_location": "s3://b/7"})
        );
    }

    #[test]
    fn an_experiment_of_a_notebook_is_told_from_others_wherever_the_notebook_lies() {
        for tag in [
            json!({"key": "mlflow.experimentType", "value": "NOTEBOOK"}),
            json!({"key": "mlflow.experiment.sourceType", "value": "REPO_NOTEBOOK"}),
        ] {
            let body =
                KIND.canonical_body(listed(json!([tag]), "dbfs:/databricks/mlflow-tracking/7"));
            assert_eq!(body["of_notebook"], true);
            assert_eq!(KIND.canonical_body(body.clone()), body);
        }
    }
}
