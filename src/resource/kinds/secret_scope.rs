//! Secret scopes, with the names of their keys and who may do what with them.
//!
//! The values are the content of a scope: read only when that is asked for, and kept only in encrypted stores. When a value
//! was last set is part of the body, although it is a time: the service changes it only when somebody sets the value, so
//! that it makes no unchanged workspace differ, and it is all that tells of a change where values are not read. In another
//! workspace the same value was set at another time, so there it is left out of every comparison. What is not seen in it:
//! that a value was set anew to what it was.
//!
//! Nothing shows a value or a plain hash of one: the content has a salt that only the store's key gives, so that every hash
//! of it is a keyed fingerprint (see `manifest::SecretContent`).
//!
//! A scope of a key vault is kept by reference: its keys are told, its values are in the vault and stay there.

use serde_json::{Value, json};

use crate::resource::kind::{
    Call, Envelope, ExtraCall, Fields, IdField, Kind, Listing, Manner, Method, Missing, Naming,
    Paging, Principal, Reference, References, Rest, Restore, Rule, Source, Target, WhenMissing,
};
use crate::resource::nested::{Inner, SecretValues, Secrets};

pub(super) static KIND: Kind = Kind {
    name: "secret-scope",
    source: Source::Listed {
        list: Listing {
            path: "/api/2.0/secrets/scopes/list",
            query: &[],
            items: "scopes",
            paging: Paging::Whole,
        },
        detail: None,
        extras: &[],
        keep: None,
        inner: &[KEYS, ACCESS],
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
        dropped: &[Rule {
            at: "is_databricks_managed",
            why: "made by the server",
        }],
        unordered: &["keys", "acls"],
        references: &[References {
            under: &[""],
            fields: &[Reference {
                at: "acls[*].principal",
                to: Target::Principal(Principal::Any),
            }],
        }],
        missing: &[Missing {
            at: "acls[*].principal",
            then: WhenMissing::LeaveOutElement,
        }],
        markers: &[Rule {
            at: "keys[*].last_updated_timestamp",
            why: "tells that a value was set, and is another one where it was set again",
        }],
        ..Fields::PLAIN
    },
    permissions: None,
    restore: Restore::Secrets(&CALLS),
    prepare: None,
    request: Some(request),
};

static CALLS: Secrets = Secrets {
    rest: Rest {
        create: post("/api/2.0/secrets/scopes/create", Envelope::Plain),
        created_id: None,
        update: None,
        extras: &[
            ExtraCall {
                field: "keys",
                call: PUT,
                away: None,
                manner: Manner::Whole,
            },
            ExtraCall {
                field: "acls",
                call: GRANT,
                away: None,
                manner: Manner::Whole,
            },
        ],
        after_create: &[],
    },
    create_body,
    elements: "keys",
    put: (PUT, "key", "bytes_value"),
    access: "acls",
    principal: "principal",
    manager: ("permission", "MANAGE"),
    grant: GRANT,
    revoke: post("/api/2.0/secrets/acls/delete", Envelope::WithId("scope")),
};

const KEYS: Inner = Inner {
    list: Listing {
        path: "/api/2.0/secrets/list",
        query: &[("scope", "{id}")],
        items: "secrets",
        paging: Paging::Whole,
    },
    field: "keys",
    without_feature: None,
    secrets: Some(SecretValues {
        path: "/api/2.0/secrets/get",
        query: &[("scope", "{id}"), ("key", "{element}")],
        element: "key",
        value: "value",
        are_here: |scope| !is_in_vault(scope),
    }),
};

const ACCESS: Inner = Inner {
    list: Listing {
        path: "/api/2.0/secrets/acls/list",
        query: &[("scope", "{id}")],
        items: "items",
        paging: Paging::Whole,
    },
    field: "acls",
    // On the standard tier there are no access lists: everybody manages every scope.
    without_feature: Some(|| json!([{"principal": EVERYBODY, "permission": "MANAGE"}])),
    secrets: None,
};

const PUT: Call = post("/api/2.0/secrets/put", Envelope::WithId("scope"));
const GRANT: Call = post("/api/2.0/secrets/acls/put", Envelope::WithId("scope"));

/// The group of all users of a workspace.
const EVERYBODY: &str = "users";

const fn post(path: &'static str, envelope: Envelope) -> Call {
    Call {
        method: Method::Post,
        path,
        envelope,
    }
}

fn is_in_vault(scope: &Value) -> bool {
    scope["backend_type"] == json!("AZURE_KEYVAULT")
}

/// What can be told to the API. When a value was set cannot, and what a vault holds is not ours to write.
fn request(mut body: Value) -> Value {
    KIND.without_markers(&mut body);
    if is_in_vault(&body)
        && let Some(object) = body.as_object_mut()
    {
        object.remove("keys");
    }
    body
}

/// Where there are no access lists, scopes are made only for everybody; elsewhere this is only allowed.
fn create_body(body: &Value) -> Value {
    let mut sent = json!({"scope": body["name"]});
    if is_in_vault(body) {
        sent["scope_backend_type"] = body["backend_type"].clone();
        sent["backend_azure_keyvault"] = body["keyvault_metadata"].clone();
    }
    let everybody = json!({"principal": EVERYBODY, "permission": "MANAGE"});
    if body["acls"]
        .as_array()
        .is_some_and(|acls| acls.contains(&everybody))
    {
        sent["initial_manage_principal"] = json!(EVERYBODY);
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_for_everybody_is_made_for_everybody_and_others_for_whoever_makes_them() {
        let body = |principal: &str| json!({"name": "s", "acls": [{"principal": principal, "permission": "MANAGE"}]});
        assert_eq!(
            create_body(&body("users")),
            json!({"scope": "s", "initial_manage_principal": "users"})
        );
        assert_eq!(create_body(&body("ana@x")), json!({"scope": "s"}));
        assert_eq!(create_body(&json!({"name": "s"})), json!({"scope": "s"}));
    }

    #[test]
    fn a_scope_of_a_vault_is_a_reference_and_its_keys_are_not_ours() {
        let vault = json!({"resource_id": "/v", "dns_name": "https://v"});
        let body = json!({"name": "kv", "backend_type": "AZURE_KEYVAULT", "keyvault_metadata": vault,
            "keys": [{"key": "a", "last_updated_timestamp": 1}]});
        assert_eq!(
            create_body(&body),
            json!({"scope": "kv", "scope_backend_type": "AZURE_KEYVAULT", "backend_azure_keyvault": vault})
        );
        assert_eq!(
            request(body),
            json!({"name": "kv", "backend_type": "AZURE_KEYVAULT", "keyvault_metadata": vault})
        );
    }

    #[test]
    fn when_a_value_was_set_is_kept_and_never_sent() {
        let listed = json!({"name": "s", "backend_type": "DATABRICKS", "is_databricks_managed": true,
            "keys": [{"key": "b", "last_updated_timestamp": 2}, {"key": "a", "last_updated_timestamp": 3}]});
        let body = KIND.canonical_body(listed);
        assert_eq!(
            body["keys"],
            json!([{"key": "a", "last_updated_timestamp": 3}, {"key": "b", "last_updated_timestamp": 2}])
        );
        assert_eq!(request(body)["keys"], json!([{"key": "a"}, {"key": "b"}]));
    }
}
