//! Runs of experiments: parameters, tags and the last value of every metric, with its step and time. The history of a
//! metric is another call for every metric of every run: on request it is the run's content. The files that a run has
//! written are objects of their own.
//!
//! A run is called `<experiment>/<when it began> <id>`, so that its name tells whether a window of time has it. The id is
//! that of the run it was made from: a restored run says so in a tag, and so has the name of the first one, by which it is
//! recognised. Everything stands in the window by when it began, which never changes.
//!
//! Some tags name people, paths and other runs; they are lifted out of the list into fields of their own.

use serde_json::{Map, Value, json};

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Manner, Method, Missing, Naming, Principal,
    Reference, References, Rest, Restore, Rule, Source, Target, WhenMissing,
};
use crate::resource::nested::Logged;

pub(super) static KIND: Kind = Kind {
    name: "run",
    source: Source::Runs,
    id: IdField {
        at: "run_id",
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
                at: "name",
                why: "is the name",
            },
            Rule {
                at: "run_id",
                why: "made by the server; kept beside the body",
            },
            Rule {
                at: "run_uuid",
                why: "is the run_id",
            },
            Rule {
                at: "artifact_uri",
                why: "made by the server after the id",
            },
            Rule {
                at: "lifecycle_stage",
                why: "only active ones are kept",
            },
            Rule {
                at: "user_id",
                why: "made by the server",
            },
        ],
        unordered: &["params", "metrics", "tags"],
        references: &[References {
            under: &[""],
            fields: &[
                Reference {
                    at: "experiment_id",
                    to: Target::Id(&["experiment"]),
                },
                Reference {
                    at: "parent_run_id",
                    to: RUN,
                },
                Reference {
                    at: "root_run_id",
                    to: RUN,
                },
                Reference {
                    at: "user",
                    to: Target::Principal(Principal::Email),
                },
                Reference {
                    at: "source_name",
                    to: Target::Path,
                },
                Reference {
                    at: "notebook_path",
                    to: Target::Path,
                },
            ],
        }],
        missing: &[
            Missing {
                at: "parent_run_id",
                then: WhenMissing::LeaveOut,
            },
            Missing {
                at: "root_run_id",
                then: WhenMissing::LeaveOut,
            },
        ],
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Logged(&CALLS),
    prepare: Some(prepare),
    request: Some(request),
};

const RUN: Target = Target::Id(&["run"]);

static CALLS: Logged = Logged {
    rest: Rest {
        create: post("/api/2.0/mlflow/runs/create", Envelope::Plain),
        created_id: Some("run.info.run_id"),
        update: None,
        extras: &[
            apart("params"),
            apart("metrics"),
            apart("tags"),
            apart("status"),
            apart("end_time"),
            apart("run_name"),
            apart("inputs"),
        ],
        after_create: &[],
    },
    origin: ORIGIN,
    with_create: &["experiment_id", "start_time", "run_name"],
    // What the service takes at once.
    lists: &[("metrics", 1000), ("params", 100), ("tags", 100)],
    history: "metrics",
    log: post("/api/2.0/mlflow/runs/log-batch", Envelope::WithId("run_id")),
    inputs: post(
        "/api/2.0/mlflow/runs/log-inputs",
        Envelope::WithId("run_id"),
    ),
    end: post("/api/2.0/mlflow/runs/update", Envelope::WithId("run_id")),
    with_end: &["status", "end_time", "run_name"],
};

/// The tag in which a restored run says which run it was made from.
const ORIGIN: &str = "dbsnap.source_run_id";

/// Tags that name something, and the fields they become.
const LIFTED: [(&str, &str); 5] = [
    ("mlflow.parentRunId", "parent_run_id"),
    ("mlflow.rootRunId", "root_run_id"),
    ("mlflow.user", "user"),
    ("mlflow.source.name", "source_name"),
    ("mlflow.databricks.notebookPath", "notebook_path"),
];

/// What the service says again in a tag.
const RUN_NAME: &str = "mlflow.runName";

const fn post(path: &'static str, envelope: Envelope) -> Call {
    Call {
        method: Method::Post,
        path,
        envelope,
    }
}

const fn apart(field: &'static str) -> ExtraCall {
    ExtraCall {
        field,
        call: post("/api/2.0/mlflow/runs/log-batch", Envelope::WithId("run_id")),
        away: None,
        manner: Manner::Apart,
    }
}

/// A run as a search shows it becomes one level of fields.
fn prepare(mut body: Value) -> Value {
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    for part in ["info", "data"] {
        if let Some(Value::Object(fields)) = object.remove(part) {
            object.extend(fields);
        }
    }
    for rule in KIND.fields.dropped {
        object.remove(rule.at);
    }
    let mut lifted = Map::new();
    if let Some(tags) = object.get_mut("tags").and_then(Value::as_array_mut) {
        tags.retain(|tag| {
            let field = LIFTED.iter().find(|(key, _)| tag["key"] == *key);
            if let Some((_, field)) = field {
                lifted.insert((*field).to_owned(), tag["value"].clone());
            }
            field.is_none() && tag["key"] != RUN_NAME && tag["key"] != ORIGIN
        });
    }
    object.extend(lifted);
    object.retain(|_, value| {
        let is_empty = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        !is_empty && !value.is_null() && *value != ""
    });
    body
}

/// What was lifted out of the tags goes back. The service takes no metric without a time: one of which none is known, as
/// the older tool keeps it, was measured when the run began.
fn request(mut body: Value) -> Value {
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    let began = object.get("start_time").cloned().unwrap_or(json!(0));
    let metrics = object.get_mut("metrics").and_then(Value::as_array_mut);
    for metric in metrics
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        metric.entry("timestamp").or_insert_with(|| began.clone());
    }
    let mut tags = match object.remove("tags") {
        Some(Value::Array(tags)) => tags,
        _ => Vec::new(),
    };
    for (key, field) in LIFTED {
        if let Some(value) = object.remove(field) {
            tags.push(json!({"key": key, "value": value}));
        }
    }
    if !tags.is_empty() {
        object.insert("tags".to_owned(), Value::from(tags));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_of_which_no_time_is_known_is_sent_as_of_the_beginning() {
        let metrics =
            json!([{"key": "a", "value": 1}, {"key": "b", "value": 2, "timestamp": 9, "step": 3}]);
        let sent = request(json!({"start_time": 5, "metrics": metrics}));
        assert_eq!(
            sent["metrics"],
            json!([{"key": "a", "value": 1, "timestamp": 5}, {"key": "b", "value": 2, "timestamp": 9, "step": 3}])
        );
    }

    #[test]
    fn a_run_is_one_level_of_fields_and_tags_that_name_something_are_fields() {
        let tags = json!([{"key": "mlflow.runName", "value": "n"}, {"key": "mlflow.user", "value": "ana@x"},
            {"key": "z", "value": "1"}, {"key": "mlflow.parentRunId", "value": "p"}, {"key": ORIGIN, "value": "o"},
            {"key": "a", "value": "2"}]);
        let listed = json!({"name": "/x/2026", "info": {"run_id": "r", "run_uuid": "r", "experiment_id": "7", "user_id": "",
                "status": "FINISHED", "start_time": 1, "end_time": 2, "lifecycle_stage": "active", "artifact_uri": "dbfs:/7/r",
                "run_name": "n"},
            "data": {"params": [{"key": "p", "value": "1"}], "metrics": [], "tags": tags}, "inputs": {}});
        let body = KIND.canonical_body(listed);
        let own = [
            json!({"key": "a", "value": "2"}),
            json!({"key": "z", "value": "1"}),
        ];
        assert_eq!(
            body,
            json!({"experiment_id": "7", "status": "FINISHED", "start_time": 1, "end_time": 2, "run_name": "n",
                "params": [{"key": "p", "value": "1"}], "tags": own, "user": "ana@x", "parent_run_id": "p"})
        );
        assert_eq!(KIND.canonical_body(body.clone()), body);
        let sent = request(body);
        assert_eq!(sent["tags"].as_array().unwrap().len(), 4);
        assert!(
            sent["tags"]
                .as_array()
                .unwrap()
                .contains(&json!({"key": "mlflow.parentRunId", "value": "p"}))
        );
    }
}
