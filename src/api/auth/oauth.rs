//! OAuth for service principals: a client id and a secret become a token.
//!
//! Invariant: the secret goes to the token endpoint that the workspace itself names, and nowhere else.

use chrono::Utc;
use serde_json::Value;

use super::{AuthError, Authenticator, Credential, Strategy};
use crate::api::config::Attribute;

impl Authenticator {
    pub(super) async fn machine_to_machine(&self) -> Result<Credential, AuthError> {
        let strategy = Strategy::OauthM2m;
        let endpoint = self.token_endpoint(strategy).await?;
        let scopes = self
            .config
            .get(Attribute::Scopes)
            .unwrap_or("all-apis")
            .replace(',', " ");
        let scopes = scopes.split_whitespace().collect::<Vec<_>>().join(" ");
        let request = self
            .http
            .post(&endpoint)
            .basic_auth(
                self.value(Attribute::ClientId),
                Some(self.value(Attribute::ClientSecret)),
            )
            .form(&[
                ("grant_type", "client_credentials"),
                ("scope", scopes.as_str()),
            ]);
        let token = self.ask_for_token(strategy, request, &endpoint).await?;
        Ok(Credential::bearer(strategy, token, Utc::now()))
    }

    /// Asks the workspace where its tokens are made. Older ones do not say; there it is always the same place.
    async fn token_endpoint(&self, strategy: Strategy) -> Result<String, AuthError> {
        let host = self.config.host();
        let base = match self.config.get(Attribute::AccountId) {
            Some(account) if host.is_account_console() => format!("{host}/oidc/accounts/{account}"),
            _ => format!("{host}/oidc"),
        };
        let fallback = format!("{base}/v1/token");
        let document = match self.config.get(Attribute::DiscoveryUrl) {
            Some(url) => url.to_owned(),
            None => format!("{base}/.well-known/oauth-authorization-server"),
        };
        let (status, body) = self
            .ask(strategy, self.http.get(&document), &document)
            .await?;
        if status != 200 {
            return Ok(fallback);
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let Some(endpoint) = said.get("token_endpoint").and_then(Value::as_str) else {
            return Ok(fallback);
        };
        let secure = endpoint.starts_with("https://") || host.is_clear_text();
        if !secure {
            let why =
                format!("{document} names {endpoint}, to which no secret can be sent in safety");
            return Err(AuthError::Unusable { strategy, why });
        }
        Ok(endpoint.to_owned())
    }
}
