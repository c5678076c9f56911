//! Cluster policies. Their definition is JSON inside a string, with ids of pools inside that.

use serde_json::Value;

use super::shared::LIBRARY_PATHS;
use crate::resource::field::FieldPath;
use crate::resource::kind::{
    Call, Envelope, Fields, IdField, Kind, Listing, Method, Missing, Naming, Paging, Principal,
    Reference, References, Rest, Restore, Rule, Source, Target, WhenMissing,
};

pub(super) static KIND: Kind = Kind {
    name: "cluster-policy",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/policies/clusters/list",
            query: &[],
            items: "policies",
            paging: Paging::Whole,
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[],
    },
    id: IdField {
        at: "policy_id",
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
                at: "policy_id",
                why: "made by the server",
            },
            Rule {
                at: "creator_user_name",
                why: "made by the server",
            },
            Rule {
                at: "created_at_timestamp",
                why: "made by the server",
            },
            Rule {
                at: "is_default",
                why: "made by the server",
            },
        ],
        references: &[
            References {
                under: &[
                    "definition<json>",
                    "policy_family_definition_overrides<json>",
                ],
                fields: &[
                    Reference {
                        at: "instance_pool_id.value",
                        to: POOL,
                    },
                    Reference {
                        at: "instance_pool_id.values[*]",
                        to: POOL,
                    },
                    Reference {
                        at: "instance_pool_id.defaultValue",
                        to: POOL,
                    },
                    Reference {
                        at: "driver_instance_pool_id.value",
                        to: POOL,
                    },
                    Reference {
                        at: "driver_instance_pool_id.values[*]",
                        to: POOL,
                    },
                    Reference {
                        at: "driver_instance_pool_id.defaultValue",
                        to: POOL,
                    },
                    Reference {
                        at: "single_user_name.value",
                        to: Target::Principal(Principal::Any),
                    },
                    Reference {
                        at: "single_user_name.defaultValue",
                        to: Target::Principal(Principal::Any),
                    },
                ],
            },
            References {
                under: &[""],
                fields: LIBRARY_PATHS,
            },
        ],
        missing: KEPT,
        ..Fields::PLAIN
    },
    permissions: Some("cluster-policies"),
    restore: Restore::Rest(Rest {
        create: Call {
            method: Method::Post,
            path: "/api/2.0/policies/clusters/create",
            envelope: Envelope::Plain,
        },
        created_id: Some("policy_id"),
        update: Some(Call {
            method: Method::Post,
            path: "/api/2.0/policies/clusters/edit",
            envelope: Envelope::WithId("policy_id"),
        }),
        extras: &[],
        after_create: &[],
    }),
    prepare: Some(prepare),
    request: None,
};

/// A rule that names nothing allows nothing; without its value it would allow everything.
const KEPT: &[Missing] = &[
    kept("instance_pool_id.value"),
    kept("instance_pool_id.values[*]"),
    kept("instance_pool_id.defaultValue"),
    kept("driver_instance_pool_id.value"),
    kept("driver_instance_pool_id.values[*]"),
    kept("driver_instance_pool_id.defaultValue"),
    kept("single_user_name.value"),
    kept("single_user_name.defaultValue"),
];

const fn kept(at: FieldPath) -> Missing {
    Missing {
        at,
        then: WhenMissing::Keep,
    }
}

const POOL: Target = Target::Id(&["instance-pool"]);

/// The definition of a policy made from a family is the family's expansion: the API refuses to be sent both. White space
/// and the order of keys within a definition mean nothing.
fn prepare(mut body: Value) -> Value {
    let has_family = body["policy_family_id"]
        .as_str()
        .is_some_and(|family| !family.is_empty());
    if let Some(object) = body.as_object_mut() {
        object.retain(|_, value| !value.is_null());
        if has_family {
            object.remove("definition");
        }
        for field in ["definition", "policy_family_definition_overrides"] {
            if let Some(Value::String(text)) = object.get_mut(field)
                && let Ok(parsed) = serde_json::from_str::<Value>(text)
            {
                *text = parsed.to_string();
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_family_policy_keeps_its_overrides_and_not_the_expansion() {
        let listed = json!({"policy_id": "0012345678901234", "name": "p", "policy_family_id": "personal-vm",
            "definition": "{}", "policy_family_definition_overrides": "{ \"b\": 1,\n \"a\": 2 }", "is_default": true});
        assert_eq!(
            KIND.canonical_body(listed),
            json!({"name": "p", "policy_family_id": "personal-vm", "policy_family_definition_overrides": "{\"a\":2,\"b\":1}"})
        );
    }

    #[test]
    fn files_that_a_policys_libraries_come_from_are_references() {
        let mut body = json!({"libraries": [{"whl": "/Workspace/Users/ana@x/a.whl"}, {"pypi": {"package": "p"}}]});
        let mut found = Vec::new();
        KIND.visit_references(&mut body, &mut |reference, _| found.push(reference.at));
        assert_eq!(found, ["libraries[*].whl"]);
    }

    #[test]
    fn pool_ids_inside_the_definition_are_references() {
        let mut body = json!({"definition": "{\"instance_pool_id\":{\"type\":\"allowlist\",\"values\":[\"p1\",\"p2\"]}}"});
        KIND.visit_references(&mut body, &mut |_, value| {
            *value = json!(format!("new-{}", value.as_str().unwrap()))
        });
        assert_eq!(
            body["definition"],
            json!(
                "{\"instance_pool_id\":{\"type\":\"allowlist\",\"values\":[\"new-p1\",\"new-p2\"]}}"
            )
        );
    }
}
