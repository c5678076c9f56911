//! Jobs (API 2.2).

use serde_json::Value;

use super::shared::{CLUSTER_REFERENCES, LIBRARY_PATHS};
use crate::resource::kind::{
    Call, Detail, Envelope, Fields, IdField, Kind, Linked, Listing, Method, Missing, Naming,
    Paging, Principal, Quiet, QuietValue, Reference, References, Rest, Restore, Rule, Source,
    Target, WhenMissing,
};

pub(super) static KIND: Kind = Kind {
    name: "job",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.2/jobs/list",
            query: &[("expand_tasks", "true")],
            items: "jobs",
            paging: Paging::Token {
                size_parameter: "limit",
                size: 100,
            },
        },
        // An item of the list carries at most 100 tasks and says when there are more.
        detail: Some(Detail {
            path: "/api/2.2/jobs/get?job_id={id}",
            only_when: Some("has_more"),
            paged_inside: true,
        }),
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "job_id",
        numeric: true,
    },
    naming: Naming {
        at: "settings.name",
        unique: false,
        built_in: &[],
    },
    body: "settings",
    fields: Fields {
        dropped: &[
            Rule {
                at: "format",
                why: "always MULTI_TASK, ignored when sent",
            },
            Rule {
                at: "deployment.version_id",
                why: "rewritten by every bundle deployment",
            },
        ],
        unordered: &[
            "tasks[*].depends_on",
            "tasks",
            "job_clusters",
            "environments",
        ],
        references: &[
            References {
                under: &["tasks[*]", "tasks[*].for_each_task.task"],
                fields: TASK_REFERENCES,
            },
            References {
                under: &["tasks[*]", "tasks[*].for_each_task.task"],
                fields: LIBRARY_PATHS,
            },
            References {
                under: NEW_CLUSTERS,
                fields: CLUSTER_REFERENCES,
            },
            References {
                under: &["", "tasks[*]", "tasks[*].for_each_task.task"],
                fields: NOTIFICATIONS,
            },
            References {
                under: &[""],
                fields: &[
                    Reference {
                        at: "run_as.user_name",
                        to: Target::Principal(Principal::User),
                    },
                    Reference {
                        at: "run_as.service_principal_name",
                        to: Target::Principal(Principal::ServicePrincipal),
                    },
                    Reference {
                        at: "run_as.group_name",
                        to: Target::Principal(Principal::Group),
                    },
                    Reference {
                        at: "parent_path",
                        to: Target::Path,
                    },
                    Reference {
                        at: "environments[*].spec.dependencies[*]",
                        to: Target::Path,
                    },
                    Reference {
                        at: "environments[*].spec.base_environment",
                        to: Target::Path,
                    },
                    Reference {
                        at: "deployment.metadata_file_path",
                        to: Target::Path,
                    },
                ],
            },
        ],
        quiet: &[
            Quiet {
                at: "schedule.pause_status",
                value: PAUSED,
            },
            Quiet {
                at: "trigger.pause_status",
                value: PAUSED,
            },
            Quiet {
                at: "continuous.pause_status",
                value: PAUSED,
            },
        ],
        missing: &[
            Missing {
                at: "existing_cluster_id",
                then: WhenMissing::NewCluster("new_cluster"),
            },
            // A task that runs a job cannot be without the job.
            Missing {
                at: "run_job_task.job_id",
                then: WhenMissing::LeaveOutElement,
            },
            Missing {
                at: "single_user_name",
                then: WhenMissing::Caller,
            },
        ],
        linked: &[Linked {
            list: "tasks",
            key: "task_key",
            links: "depends_on",
        }],
        ..Fields::PLAIN
    },
    permissions: Some("jobs"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.2/jobs/create",
            envelope: Envelope::Plain,
        },
        created_id: Some("job_id"),
        update: Some(Call {
            method: Method::Post,
            path: "/api/2.2/jobs/reset",
            envelope: Envelope::Wrapped {
                id: "job_id",
                body: "new_settings",
            },
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: None,
};

const PAUSED: QuietValue = QuietValue::Text("PAUSED");

const NEW_CLUSTERS: &[&str] = &[
    "job_clusters[*].new_cluster",
    "tasks[*].new_cluster",
    "tasks[*].for_each_task.task.new_cluster",
];

const TASK_REFERENCES: &[Reference] = &[
    Reference {
        at: "existing_cluster_id",
        to: Target::Id(&["cluster"]),
    },
    Reference {
        at: "run_job_task.job_id",
        to: Target::Id(&["job"]),
    },
    Reference {
        at: "notebook_task.notebook_path",
        to: Target::Path,
    },
    Reference {
        at: "spark_python_task.python_file",
        to: Target::Path,
    },
    Reference {
        at: "sql_task.file.path",
        to: Target::Path,
    },
    Reference {
        at: "dbt_task.project_directory",
        to: Target::Path,
    },
    Reference {
        at: "dbt_task.profiles_directory",
        to: Target::Path,
    },
    Reference {
        at: "alert_task.workspace_path",
        to: Target::Path,
    },
    Reference {
        at: "sql_task.dashboard.subscriptions[*].user_name",
        to: Target::Principal(Principal::User),
    },
    Reference {
        at: "sql_task.alert.subscriptions[*].user_name",
        to: Target::Principal(Principal::User),
    },
    Reference {
        at: "dashboard_task.subscription.subscribers[*].user_name",
        to: Target::Principal(Principal::User),
    },
    Reference {
        at: "alert_task.subscribers[*].user_name",
        to: Target::Principal(Principal::User),
    },
];

const NOTIFICATIONS: &[Reference] = &[Reference {
    at: "email_notifications.*[*]",
    to: Target::Principal(Principal::Email),
}];

/// Servers fill in empty notification objects, or do not.
fn prepare(mut body: Value) -> Value {
    drop_empty_objects(&mut body);
    for task in body["tasks"].as_array_mut().into_iter().flatten() {
        drop_empty_objects(task);
    }
    if let Some(object) = body.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    body
}

fn drop_empty_objects(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        for field in [
            "email_notifications",
            "webhook_notifications",
            "notification_settings",
        ] {
            if object
                .get(field)
                .and_then(Value::as_object)
                .is_some_and(serde_json::Map::is_empty)
            {
                object.remove(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_found_in_tasks_loops_and_job_clusters() {
        let mut body = json!({
            "job_clusters": [{"new_cluster": {"policy_id": "P"}}],
            "tasks": [
                {"existing_cluster_id": "C", "email_notifications": {"on_failure": ["ana@example.com"]}},
                {"for_each_task": {"task": {"notebook_task": {"notebook_path": "/Users/ana/x"}}}},
                {"run_job_task": {"job_id": 9007199254740993_i64}}],
            "run_as": {"user_name": "ana@example.com"}});
        let mut seen = Vec::new();
        KIND.visit_references(&mut body, &mut |reference, value| {
            seen.push((reference.at, value.to_string()))
        });
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                ("email_notifications.*[*]", "\"ana@example.com\"".to_owned()),
                ("existing_cluster_id", "\"C\"".to_owned()),
                ("notebook_task.notebook_path", "\"/Users/ana/x\"".to_owned()),
                ("policy_id", "\"P\"".to_owned()),
                ("run_as.user_name", "\"ana@example.com\"".to_owned()),
                ("run_job_task.job_id", "9007199254740993".to_owned()),
            ]
        );
    }

    #[test]
    fn a_quietened_job_is_paused_wherever_it_could_start() {
        // What is not said to be paused runs as well.
        let mut body = json!({"schedule": {"pause_status": "UNPAUSED"}, "continuous": {}});
        KIND.quieten(&mut body);
        assert_eq!(
            body,
            json!({"schedule": {"pause_status": "PAUSED"}, "continuous": {"pause_status": "PAUSED"}})
        );
    }
}
