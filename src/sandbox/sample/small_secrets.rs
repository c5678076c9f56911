//! The secrets of the small workspace: what its clusters refer to, a scope of a vault, and one for everybody.

use serde_json::json;

use super::Builder;
use super::small::ROBOT;
use crate::sandbox::state::Secret;

/// Fills in the scopes.
pub(super) fn fill(builder: &mut Builder<'_>) {
    builder.act_as("ana@example.com");
    scope(builder, "etl");
    put(builder, "etl", "api-token", "not-a-real-token");
    put(builder, "etl", "hms-password", "not a real pässword");
    permit(builder, "etl", "data-eng", "READ");
    permit(builder, "etl", ROBOT, "WRITE");

    builder.act_as("admin@example.com");
    scope(builder, "docker");
    put(builder, "docker", "user", "puller");
    put(builder, "docker", "pass", "not-a-real-registry-password");
    permit(builder, "docker", "Ops & Platform (24/7)", "MANAGE");
    scope(builder, "nothing.yet");

    let shared = json!({"scope": "shared@team", "initial_manage_principal": "users"});
    builder.post("/api/2.0/secrets/scopes/create", shared);
    let certificate =
        json!({"scope": "shared@team", "key": "cert.der", "bytes_value": "MIIBCgKCAQEA/w=="});
    builder.post("/api/2.0/secrets/put", certificate);

    let vault = json!({
        "scope": "vault", "scope_backend_type": "AZURE_KEYVAULT",
        "backend_azure_keyvault": {
            "resource_id": "/subscriptions/s/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v",
            "dns_name": "https://v.vault.azure.net/",
        },
    });
    builder.post("/api/2.0/secrets/scopes/create", vault);
    // What is in a vault comes to be there without this API.
    let updated = builder.state.clock.now();
    if let Some(scope) = builder.state.secrets.get_mut("vault") {
        let secret = Secret {
            value: "kept in the vault".into(),
            updated,
        };
        scope.secrets.insert("signing-key".to_owned(), secret);
    }
}

fn scope(builder: &mut Builder<'_>, name: &str) {
    builder.post("/api/2.0/secrets/scopes/create", json!({"scope": name}));
}

fn put(builder: &mut Builder<'_>, scope: &str, key: &str, value: &str) {
    let body = json!({"scope": scope, "key": key, "string_value": value});
    builder.post("/api/2.0/secrets/put", body);
}

fn permit(builder: &mut Builder<'_>, scope: &str, principal: &str, permission: &str) {
    let body = json!({"scope": scope, "principal": principal, "permission": permission});
    builder.post("/api/2.0/secrets/acls/put", body);
}
