//! Host metadata and the client-credentials flow, the endpoints that need no token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::sandbox::call::{Answer, Call, Refusal, Reply};
use crate::sandbox::routes::{Route, route};
use crate::sandbox::state::State;

pub(super) static ROUTES: &[Route] = &[
    route("GET", ".well-known/databricks-config", host_metadata).versions(&[]),
    route(
        "GET",
        "oidc/.well-known/oauth-authorization-server",
        discovery,
    )
    .versions(&[]),
    route("POST", "oidc/v1/token", token).versions(&[]),
];

fn host_metadata(state: &mut State, call: &Call) -> Answer {
    Reply::json(json!({
        "oidc_endpoint": format!("{}/oidc", call.base_url),
        "workspace_id": state.workspace_id.to_string(),
        "cloud": "AWS",
        "host_type": "workspace",
    }))
}

fn discovery(_: &mut State, call: &Call) -> Answer {
    let issuer = format!("{}/oidc", call.base_url);
    Reply::json(json!({
        "authorization_endpoint": format!("{issuer}/v1/authorize"),
        "token_endpoint": format!("{issuer}/v1/token"),
        "issuer": issuer,
        "scopes_supported": ["all-apis", "offline_access", "openid"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
    }))
}

fn token(state: &mut State, call: &Call) -> Answer {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body)
        .into_owned()
        .collect();
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    };
    if field("grant_type") != "client_credentials" {
        return Err(Refusal::oauth(
            400,
            "unsupported_grant_type",
            "Only client_credentials is supported",
        ));
    }
    let (id, secret) = basic(&call.authorization).unwrap_or_else(|| {
        (
            field("client_id").to_string(),
            field("client_secret").to_string(),
        )
    });
    let issued = state.sessions.issue(&id, &secret);
    let (token, expires_in) = issued
        .ok_or_else(|| Refusal::oauth(401, "invalid_client", "Client authentication failed"))?;
    Reply::json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "scope": "all-apis",
        "expires_in": expires_in,
    }))
}

/// The client id and secret of a Basic header, which the flow percent-encodes first.
fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(
        STANDARD
            .decode(authorization.strip_prefix("Basic ")?)
            .ok()?,
    )
    .ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    Some((decode(id), decode(secret)))
}
