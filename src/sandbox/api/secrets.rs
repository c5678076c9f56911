//! Secret scopes, their keys and values, and their access lists.
//!
//! A scope belongs to whoever makes it, or to everybody if it is made so. Values come back as base64, however they came in.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::call::{Answer, Call, Fields, Object, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::{Kind, Secret, SecretScope, State};

pub(super) static ROUTES: &[Route] = &[
    route("GET", "secrets/scopes/list", list_scopes),
    route("POST", "secrets/scopes/create", create_scope),
    route("POST", "secrets/scopes/delete", delete_scope),
    route("GET", "secrets/list", list),
    route("GET", "secrets/get", get),
    route("POST", "secrets/put", put),
    route("POST", "secrets/delete", delete),
    route("GET", "secrets/acls/list", list_acls),
    route("GET", "secrets/acls/get", get_acl),
    route("POST", "secrets/acls/put", put_acl),
    route("POST", "secrets/acls/delete", delete_acl),
];

const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 128 << 10;
const MOST_SECRETS: usize = 1000;
const LEVELS: [&str; 3] = ["READ", "WRITE", "MANAGE"];

fn list_scopes(state: &mut State, _: &Call) -> Answer {
    let show = |(name, scope): (&String, &SecretScope)| match &scope.vault {
        Some(vault) => {
            json!({"name": name, "backend_type": "AZURE_KEYVAULT", "keyvault_metadata": vault})
        }
        None => json!({"name": name, "backend_type": "DATABRICKS"}),
    };
    Reply::list("scopes", state.secrets.iter().map(show).collect())
}

fn create_scope(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = body.required_text("scope")?;
    check_name("Scope name", name)?;
    if state.secrets.contains_key(name) {
        return Err(Refusal::exists(format!("Scope {name} already exists!")));
    }
    let vault = match body.text("scope_backend_type") {
        None | Some("DATABRICKS") => None,
        Some("AZURE_KEYVAULT") => Some(vault(&body)?),
        Some(other) => {
            return Err(Refusal::invalid(format!(
                "Unknown scope backend type {other}"
            )));
        }
    };
    let manager = match body.text("initial_manage_principal") {
        None | Some("") => state.name_of(call.caller),
        Some("users") => "users".to_owned(),
        Some(_) => {
            return Err(Refusal::invalid(
                "The only supported value for initial_manage_principal is 'users'",
            ));
        }
    };
    let scope = SecretScope {
        vault,
        acls: [(manager, "MANAGE")].into(),
        ..SecretScope::default()
    };
    state.secrets.insert(name.to_owned(), scope);
    Reply::done()
}

fn vault(body: &Object) -> Result<Object, Refusal> {
    let vault = body
        .get("backend_azure_keyvault")
        .and_then(Value::as_object);
    let vault = vault.ok_or_else(|| {
        Refusal::invalid("Scope with Azure KeyVault must have backend_azure_keyvault specified")
    })?;
    vault.required_text("resource_id")?;
    vault.required_text("dns_name")?;
    Ok(vault.clone())
}

fn delete_scope(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let name = body.required_text("scope")?;
    scope(state, name)?;
    state.secrets.remove(name);
    Reply::done()
}

fn list(state: &mut State, call: &Call) -> Answer {
    let scope = scope(state, call.required("scope")?)?;
    let show = |(key, secret): (&String, &Secret)| json!({"key": key, "last_updated_timestamp": secret.updated});
    Reply::list("secrets", scope.secrets.iter().map(show).collect())
}

fn get(state: &mut State, call: &Call) -> Answer {
    let (name, key) = (call.required("scope")?, call.required("key")?);
    let scope = scope(state, name)?;
    let secret = scope.secrets.get(key).ok_or_else(|| no_secret(name, key))?;
    if scope.vault.is_some() {
        let message = "Secrets of an Azure Key Vault scope are read by clusters only";
        return Err(Refusal::new(400, "BAD_REQUEST", message));
    }
    Reply::json(json!({"key": key, "value": STANDARD.encode(&secret.value)}))
}

fn put(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, key) = (body.required_text("scope")?, body.required_text("key")?);
    check_name("Key", key)?;
    let value = match (body.text("string_value"), body.text("bytes_value")) {
        (Some(text), None) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(encoded)) => STANDARD
            .decode(encoded)
            .map(Bytes::from)
            .map_err(|_| Refusal::invalid("bytes_value is not valid base64"))?,
        _ => {
            return Err(Refusal::invalid(
                "Exactly one of string_value and bytes_value must be specified",
            ));
        }
    };
    if value.len() > LONGEST_VALUE {
        return Err(Refusal::invalid("The value is larger than 128 KB"));
    }
    let updated = state.clock.now();
    let scope = scope(state, name)?;
    if scope.vault.is_some() {
        let message = format!("Cannot write secrets to Azure KeyVault-backed scope {name}");
        return Err(Refusal::new(400, "BAD_REQUEST", message));
    }
    if scope.secrets.len() >= MOST_SECRETS && !scope.secrets.contains_key(key) {
        let message = format!("Scope {name} has {MOST_SECRETS} secrets, which is the limit");
        return Err(Refusal::new(400, "RESOURCE_LIMIT_EXCEEDED", message));
    }
    let secret = Secret { value, updated };
    scope.secrets.insert(key.to_owned(), secret);
    Reply::done()
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, key) = (body.required_text("scope")?, body.required_text("key")?);
    let removed = scope(state, name)?.secrets.remove(key);
    removed.map_or_else(|| Err(no_secret(name, key)), |_| Reply::done())
}

fn list_acls(state: &mut State, call: &Call) -> Answer {
    let scope = scope(state, call.required("scope")?)?;
    let show = |(principal, permission): (&String, &&str)| json!({"principal": principal, "permission": permission});
    Reply::list("items", scope.acls.iter().map(show).collect())
}

fn get_acl(state: &mut State, call: &Call) -> Answer {
    let principal = call.required("principal")?;
    let scope = scope(state, call.required("scope")?)?;
    match scope.acls.get(principal) {
        Some(permission) => Reply::json(json!({"principal": principal, "permission": permission})),
        None => Err(no_acl(principal)),
    }
}

fn put_acl(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, principal) = (
        body.required_text("scope")?,
        body.required_text("principal")?,
    );
    let wanted = body.required_text("permission")?;
    let level = LEVELS.into_iter().find(|level| *level == wanted);
    let level = level.ok_or_else(|| Refusal::invalid(format!("Unknown permission {wanted}")))?;
    let kinds = [Kind::User, Kind::ServicePrincipal, Kind::Group];
    let is_known = |kind: &Kind| state.directory.find(*kind, principal).is_some();
    if !kinds.iter().any(is_known) {
        return Err(Refusal::not_found(format!(
            "Principal {principal} does not exist"
        )));
    }
    scope(state, name)?.acls.insert(principal.to_owned(), level);
    Reply::done()
}

fn delete_acl(state: &mut State, call: &Call) -> Answer {
    let body = call.object()?;
    let (name, principal) = (
        body.required_text("scope")?,
        body.required_text("principal")?,
    );
    let removed = scope(state, name)?.acls.remove(principal);
    removed.map_or_else(|| Err(no_acl(principal)), |_| Reply::done())
}

fn scope<'a>(state: &'a mut State, name: &str) -> Result<&'a mut SecretScope, Refusal> {
    let missing = || Refusal::not_found(format!("Scope {name} does not exist!"));
    state.secrets.get_mut(name).ok_or_else(missing)
}

fn no_secret(scope: &str, key: &str) -> Refusal {
    Refusal::not_found(format!(
        "Secret does not exist with scope: {scope} and key: {key}"
    ))
}

fn no_acl(principal: &str) -> Refusal {
    Refusal::not_found(format!("No ACL for {principal} in this scope"))
}

fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.len() <= LONGEST_NAME && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{what} must consist of at most 128 letters, digits, dashes, underscores, periods and @"
    )))
}
