//! Who a bearer token belongs to.
//!
//! Invariant: a token is never shown, only compared.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::sandbox::call::Refusal;
use crate::sandbox::options::{OAuthClient, Token};

/// The tokens in use.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) administrator: i64,
    tokens: HashMap<String, Session>,
    client: Option<(OAuthClient, i64)>,
    issued: u64,
}

struct Session {
    principal: i64,
    ends: Option<Instant>,
}

impl Sessions {
    pub(crate) fn new(administrator: i64, token: &Token) -> Sessions {
        let session = Session {
            principal: administrator,
            ends: None,
        };
        let tokens = HashMap::from([(token.reveal().to_string(), session)]);
        Sessions {
            administrator,
            tokens,
            client: None,
            issued: 0,
        }
    }

    /// Accepts a machine client that acts as `principal`.
    pub(crate) fn set_client(&mut self, client: &OAuthClient, principal: i64) {
        self.client = Some((client.clone(), principal));
    }

    /// Gives a principal a token that does not expire.
    pub(crate) fn add(&mut self, token: &Token, principal: i64) {
        self.tokens.insert(
            token.reveal().to_string(),
            Session {
                principal,
                ends: None,
            },
        );
    }

    /// The principal behind an `Authorization` header. No credential and an expired one are 401, a wrong one is 403.
    pub(crate) fn who(&self, authorization: &str) -> Result<i64, Refusal> {
        let Some(token) = authorization.strip_prefix("Bearer ") else {
            let message = "Credential was not sent or was of an unsupported type for this API.";
            return Err(Refusal::new(401, "UNAUTHENTICATED", message));
        };
        let Some(session) = self.tokens.get(token) else {
            return Err(Refusal::new(
                403,
                "PERMISSION_DENIED",
                "Invalid access token.",
            ));
        };
        match session.ends {
            Some(ends) if ends <= Instant::now() => Err(Refusal::new(
                401,
                "UNAUTHENTICATED",
                "The access token has expired.",
            )),
            _ => Ok(session.principal),
        }
    }

    /// A new token for a client that proves itself, and its life in seconds.
    pub(crate) fn issue(&mut self, id: &str, secret: &str) -> Option<(String, u64)> {
        let (client, principal) = self.client.as_ref()?;
        if client.id != id || client.secret.reveal() != secret {
            return None;
        }
        self.issued += 1;
        let token = format!(
            "eyJzYW5kYm94IjoiMSJ9.{:08}.{:016x}",
            self.issued,
            super::mix(self.issued)
        );
        let ends = Instant::now() + Duration::from_secs(client.expires_in);
        self.tokens.insert(
            token.clone(),
            Session {
                principal: *principal,
                ends: Some(ends),
            },
        );
        Some((token, client.expires_in))
    }

    /// Ends every token that was issued.
    pub(crate) fn expire_issued(&mut self) {
        for session in self.tokens.values_mut() {
            session.ends = session.ends.map(|_| Instant::now());
        }
    }
}
