//! All-purpose clusters, with whether they are pinned and which libraries they load.

use serde_json::{Value, json};

use super::shared::{CLUSTER_REFERENCES, LIBRARY_PATHS};
use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Joined, Kind, Listing, Manner, Method, Missing,
    Naming, Paging, References, Rest, Restore, Rule, Source, WhenMissing,
};

pub(super) static KIND: Kind = Kind {
    name: "cluster",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.1/clusters/list",
            query: &[],
            items: "clusters",
            paging: Paging::Token {
                size_parameter: "page_size",
                size: 100,
            },
        },
        detail: None,
        extras: &[PINNED, LIBRARIES],
        keep: Some(is_all_purpose),
        inner: &[],
    },
    id: IdField {
        at: "cluster_id",
        numeric: false,
    },
    naming: Naming {
        at: "cluster_name",
        unique: false,
        built_in: &[],
    },
    body: "",
    fields: Fields {
        dropped: &[
            Rule {
                at: "cluster_id",
                why: SERVER,
            },
            Rule {
                at: "cluster_source",
                why: SERVER,
            },
            Rule {
                at: "creator_user_name",
                why: SERVER,
            },
            Rule {
                at: "default_tags",
                why: SERVER,
            },
            Rule {
                at: "spec",
                why: "the request that made the cluster, not what it is",
            },
            Rule {
                at: "pinned_by_user_name",
                why: SERVER,
            },
            Rule {
                at: "effective_spark_version",
                why: SERVER,
            },
            Rule {
                at: "init_scripts_safe_mode",
                why: SERVER,
            },
            Rule {
                at: "state",
                why: VOLATILE,
            },
            Rule {
                at: "state_message",
                why: VOLATILE,
            },
            Rule {
                at: "start_time",
                why: VOLATILE,
            },
            Rule {
                at: "terminated_time",
                why: VOLATILE,
            },
            Rule {
                at: "last_state_loss_time",
                why: VOLATILE,
            },
            Rule {
                at: "last_restarted_time",
                why: VOLATILE,
            },
            Rule {
                at: "last_activity_time",
                why: VOLATILE,
            },
            Rule {
                at: "termination_reason",
                why: VOLATILE,
            },
            Rule {
                at: "driver",
                why: VOLATILE,
            },
            Rule {
                at: "executors",
                why: VOLATILE,
            },
            Rule {
                at: "spark_context_id",
                why: VOLATILE,
            },
            Rule {
                at: "jdbc_port",
                why: VOLATILE,
            },
            Rule {
                at: "cluster_cores",
                why: VOLATILE,
            },
            Rule {
                at: "cluster_memory_mb",
                why: VOLATILE,
            },
            Rule {
                at: "cluster_log_status",
                why: VOLATILE,
            },
        ],
        references: &[
            References {
                under: &[""],
                fields: CLUSTER_REFERENCES,
            },
            References {
                under: &[""],
                fields: LIBRARY_PATHS,
            },
        ],
        missing: &[Missing {
            at: "single_user_name",
            then: WhenMissing::Caller,
        }],
        ..Fields::PLAIN
    },
    permissions: Some("clusters"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.1/clusters/create",
            envelope: Envelope::Plain,
        },
        created_id: Some("cluster_id"),
        update: Some(Call {
            method: Method::Post,
            path: "/api/2.1/clusters/edit",
            envelope: Envelope::WithId("cluster_id"),
        }),
        extras: &[
            ExtraCall {
                field: "libraries",
                call: Call {
                    method: Method::Post,
                    path: "/api/2.0/libraries/install",
                    envelope: Envelope::WithId("cluster_id"),
                },
                // On a running cluster they go when it restarts.
                away: Some(Call {
                    method: Method::Post,
                    path: "/api/2.0/libraries/uninstall",
                    envelope: Envelope::WithId("cluster_id"),
                }),
                manner: Manner::Whole,
            },
            ExtraCall {
                field: "pinned",
                call: Call {
                    method: Method::Post,
                    path: "/api/2.1/clusters/pin",
                    envelope: Envelope::IdOnly("cluster_id"),
                },
                away: Some(Call {
                    method: Method::Post,
                    path: "/api/2.1/clusters/unpin",
                    envelope: Envelope::IdOnly("cluster_id"),
                }),
                manner: Manner::Whole,
            },
        ],
        // There is no way to create a cluster that does not start. `delete` terminates; the configuration stays.
        after_create: &[Call {
            method: Method::Post,
            path: "/api/2.1/clusters/delete",
            envelope: Envelope::IdOnly("cluster_id"),
        }],
    }),
    prepare: Some(prepare),
    request: Some(request),
};

const SERVER: &str = "made by the server";
const VOLATILE: &str = "changes by itself";

/// Being pinned is no field of a cluster: it is asked for by a filter.
const PINNED: Joined = Joined {
    list: Listing {
        path: "/api/2.1/clusters/list",
        query: &[("filter_by.is_pinned", "true")],
        items: "clusters",
        paging: Paging::Token {
            size_parameter: "page_size",
            size: 100,
        },
    },
    id: "cluster_id",
    field: "pinned",
    value: |_| Some(json!(true)),
};

const LIBRARIES: Joined = Joined {
    list: Listing {
        path: "/api/2.0/libraries/all-cluster-statuses",
        query: &[],
        items: "statuses",
        paging: Paging::Whole,
    },
    id: "cluster_id",
    field: "libraries",
    value: libraries,
};

/// The tag of clusters that dbsnap launches to read or make a metastore: its name and value.
pub const LAUNCHED_TAG: (&str, &str) = ("dbsnap", "metastore");

/// Jobs, pipelines and warehouses have clusters of their own, which come and go with them, and so has dbsnap.
fn is_all_purpose(item: &Value) -> bool {
    let is_launched = item["custom_tags"][LAUNCHED_TAG.0] == LAUNCHED_TAG.1;
    !is_launched && matches!(item["cluster_source"].as_str(), None | Some("UI" | "API"))
}

/// What is installed by the cluster's own wish: not what leaves at the next restart, not what is installed everywhere.
fn libraries(status: &Value) -> Option<Value> {
    let wanted = |library: &&Value| {
        library["status"] != json!("UNINSTALL_ON_RESTART")
            && library["is_library_for_all_clusters"] != json!(true)
    };
    let statuses = status["library_statuses"].as_array()?.iter().filter(wanted);
    let mut libraries: Vec<_> = statuses.map(|library| library["library"].clone()).collect();
    libraries.sort_by_cached_key(Value::to_string);
    (!libraries.is_empty()).then(|| Value::from(libraries))
}

/// The number of workers of an autoscaling cluster is whatever it scaled to.
fn prepare(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut()
        && object.contains_key("autoscale")
    {
        object.remove("num_workers");
    }
    body
}

/// A cluster from a pool takes its machines' type and disks from the pool, and the API refuses to be told them as well.
fn request(mut body: Value) -> Value {
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    if object.contains_key("instance_pool_id") {
        for field in [
            "node_type_id",
            "driver_node_type_id",
            "enable_elastic_disk",
            "azure_attributes",
            "gcp_attributes",
        ] {
            object.remove(field);
        }
        if let Some(Value::Object(aws)) = object.get_mut("aws_attributes") {
            aws.retain(|field, _| field == "instance_profile_arn");
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_on_their_way_out_or_installed_everywhere_are_not_the_clusters() {
        let status = json!({"cluster_id": "c", "library_statuses": [
            {"library": {"pypi": {"package": "b"}}, "status": "INSTALLED"},
            {"library": {"jar": "dbfs:/a.jar"}, "status": "PENDING"},
            {"library": {"pypi": {"package": "gone"}}, "status": "UNINSTALL_ON_RESTART"},
            {"library": {"pypi": {"package": "all"}}, "status": "INSTALLED", "is_library_for_all_clusters": true}]});
        assert_eq!(
            libraries(&status),
            Some(json!([{"jar": "dbfs:/a.jar"}, {"pypi": {"package": "b"}}]))
        );
        assert_eq!(libraries(&json!({"cluster_id": "c"})), None);
    }

    #[test]
    fn a_cluster_is_reduced_to_what_its_owner_chose() {
        let listed = json!({"cluster_id": "c", "cluster_name": "etl", "state": "RUNNING", "num_workers": 7,
            "autoscale": {"min_workers": 1, "max_workers": 9}, "spark_context_id": 9007199254740993_i64});
        assert_eq!(
            KIND.canonical_body(listed),
            json!({"cluster_name": "etl", "autoscale": {"min_workers": 1, "max_workers": 9}})
        );
    }

    #[test]
    fn clusters_of_jobs_are_not_all_purpose() {
        assert!(is_all_purpose(&json!({"cluster_source": "UI"})));
        assert!(!is_all_purpose(&json!({"cluster_source": "JOB"})));
    }
}
