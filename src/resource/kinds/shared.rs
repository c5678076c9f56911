//! What several kinds have in common: SCIM, and the cluster specification that jobs contain as well.

use serde_json::{Value, json};

use crate::resource::kind::{Principal, Reference, Target};

/// The fields of a cluster specification that name other objects, wherever one occurs.
pub(super) const CLUSTER_REFERENCES: &[Reference] = &[
    Reference {
        at: "instance_pool_id",
        to: Target::Id(&["instance-pool"]),
    },
    Reference {
        at: "driver_instance_pool_id",
        to: Target::Id(&["instance-pool"]),
    },
    Reference {
        at: "policy_id",
        to: Target::Id(&["cluster-policy"]),
    },
    Reference {
        at: "single_user_name",
        to: Target::Principal(Principal::Any),
    },
    Reference {
        at: "init_scripts[*].workspace.destination",
        to: Target::Path,
    },
];

/// The files that libraries are installed from, wherever a list of libraries occurs.
pub(super) const LIBRARY_PATHS: &[Reference] = &[
    Reference {
        at: "libraries[*].jar",
        to: Target::Path,
    },
    Reference {
        at: "libraries[*].whl",
        to: Target::Path,
    },
    Reference {
        at: "libraries[*].egg",
        to: Target::Path,
    },
    Reference {
        at: "libraries[*].requirements",
        to: Target::Path,
    },
];

/// Adds the schema URN that SCIM wants in every request.
pub(super) fn with_scim_schema(mut body: Value, resource: &str) -> Value {
    body["schemas"] = json!([format!("urn:ietf:params:scim:schemas:core:2.0:{resource}")]);
    body
}

/// SCIM mixes what was granted with what follows from a group; only the former can be written back.
pub(super) fn drop_indirect(body: &mut Value, list: &str) {
    if let Some(elements) = body[list].as_array_mut() {
        elements.retain(|element| element["type"] != json!("indirect"));
        for element in elements {
            if let Some(object) = element.as_object_mut() {
                object.remove("type");
            }
        }
    }
    drop_if_empty(body, list);
}

/// The API leaves out empty lists or sends them, as it likes.
pub(super) fn drop_if_empty(body: &mut Value, field: &str) {
    if (body[field].as_array().is_some_and(Vec::is_empty) || body[field].is_null())
        && let Some(object) = body.as_object_mut()
    {
        object.remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indirect_grants_and_empty_lists_disappear() {
        let mut body = json!({"roles": [{"value": "a", "type": "direct"}, {"value": "b", "type": "indirect"}], "x": []});
        drop_indirect(&mut body, "roles");
        drop_indirect(&mut body, "groups");
        drop_if_empty(&mut body, "x");
        assert_eq!(body, json!({"roles": [{"value": "a"}]}));
    }
}
