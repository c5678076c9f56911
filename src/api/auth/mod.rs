//! Who asks: from settings to the headers of a request.
//!
//! Invariant: however many requests wait, one of them fetches a token and the others use it.

mod azure;
mod command;
mod error;
mod oauth;
mod strategy;
mod token;

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

pub use error::AuthError;
pub use strategy::Strategy;

use super::config::{Attribute, Config};
use super::retry::RetryPolicy;
use super::secret::Secret;

/// What is put into the headers of a request.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) strategy: Strategy,
    /// The value of `Authorization`.
    pub(super) authorization: Secret,
    /// Further headers that the strategy needs.
    pub(super) headers: Vec<(&'static str, Secret)>,
    /// When it was had and when it ends; none if it never does.
    lifetime: Option<Lifetime>,
}

#[derive(Clone, Copy, Debug)]
struct Lifetime {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// Gives every request its credential.
#[derive(Debug)]
pub(super) struct Authenticator {
    config: Config,
    http: reqwest::Client,
    retry: RetryPolicy,
    login: LoginEndpoints,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    credential: Option<Arc<Credential>>,
    /// The strategy that has worked. It stays: an identity must not change in the middle of a run.
    settled: Option<Strategy>,
    /// The last failure to get one, and when that was known.
    failure: Option<(Instant, Arc<AuthError>)>,
}

/// Where logins of clouds are, for whoever runs against something else than the real ones.
#[derive(Clone, Debug, Default)]
pub struct LoginEndpoints {
    /// Instead of `https://login.microsoftonline.com`.
    pub azure_login: Option<String>,
    /// Instead of the address of the Azure machine identity service.
    pub azure_identity: Option<String>,
}

impl Authenticator {
    pub(super) fn new(
        config: Config,
        http: reqwest::Client,
        retry: RetryPolicy,
        login: LoginEndpoints,
    ) -> Authenticator {
        Authenticator {
            config,
            http,
            retry,
            login,
            held: Mutex::new(Held::default()),
        }
    }

    /// The credential for a request: the one at hand, or a new one shortly before that ends.
    pub(super) async fn credential(&self) -> Result<Arc<Credential>, Arc<AuthError>> {
        let arrived = Instant::now();
        let mut held = self.held.lock().await;
        let now = Utc::now();
        if let Some(credential) = held
            .credential
            .as_ref()
            .filter(|credential| credential.is_fresh(now))
        {
            return Ok(Arc::clone(credential));
        }
        // Whoever waited for somebody else's failure need not fail on their own, one after the other.
        if let Some((_, error)) = held.failure.as_ref().filter(|(at, _)| *at > arrived) {
            return Err(Arc::clone(error));
        }
        match self.acquire(held.settled).await {
            Ok(credential) => {
                let credential = Arc::new(credential);
                *held = Held {
                    credential: Some(Arc::clone(&credential)),
                    settled: Some(credential.strategy),
                    failure: None,
                };
                Ok(credential)
            }
            Err(error) => {
                // The login service may be down while the old token still holds for a moment.
                if let Some(credential) = held
                    .credential
                    .as_ref()
                    .filter(|credential| credential.is_valid(now))
                {
                    return Ok(Arc::clone(credential));
                }
                let error = Arc::new(error);
                held.failure = Some((Instant::now(), Arc::clone(&error)));
                Err(error)
            }
        }
    }

    /// Forgets a credential that the service did not accept. Tells whether a better one may be had.
    pub(super) async fn reject(&self, rejected: &Arc<Credential>) -> bool {
        if rejected.lifetime.is_none() {
            return false;
        }
        let mut held = self.held.lock().await;
        if held
            .credential
            .as_ref()
            .is_some_and(|credential| Arc::ptr_eq(credential, rejected))
        {
            held.credential = None;
        }
        true
    }

    /// Goes through the strategies until one works.
    async fn acquire(&self, settled: Option<Strategy>) -> Result<Credential, AuthError> {
        let only = settled.map(|strategy| [strategy]);
        let candidates = only
            .as_ref()
            .map_or(self.config.strategies(), |only| only.as_slice());
        if let [strategy] = candidates {
            return self
                .acquire_by(*strategy)
                .await
                .map_err(|error| self.explained(*strategy, error));
        }
        let mut tried = Vec::new();
        for strategy in candidates {
            match self.acquire_by(*strategy).await {
                Ok(credential) => return Ok(credential),
                Err(error) => tried.push((*strategy, error)),
            }
        }
        Err(AuthError::NoCredentials { tried })
    }

    /// A strategy that nobody asked for failed for want of any credentials.
    fn explained(&self, strategy: Strategy, error: AuthError) -> AuthError {
        let asked = self.config.get(Attribute::AuthType).is_some() || !strategy.needs().is_empty();
        if asked {
            error
        } else {
            AuthError::NoCredentials {
                tried: vec![(strategy, error)],
            }
        }
    }

    async fn acquire_by(&self, strategy: Strategy) -> Result<Credential, AuthError> {
        match strategy {
            Strategy::Pat => Ok(self.personal_token()),
            Strategy::Basic => Ok(self.password()),
            Strategy::OauthM2m => self.machine_to_machine().await,
            Strategy::DatabricksCli => self.databricks_command().await,
            Strategy::AzureClientSecret => self.azure_client_secret().await,
            Strategy::AzureMsi => self.azure_identity().await,
            Strategy::AzureCli => self.azure_command().await,
        }
    }

    fn personal_token(&self) -> Credential {
        Credential {
            strategy: Strategy::Pat,
            authorization: Secret::new(format!("Bearer {}", self.value(Attribute::Token))),
            headers: Vec::new(),
            lifetime: None,
        }
    }

    fn password(&self) -> Credential {
        use base64::Engine as _;
        let both = format!(
            "{}:{}",
            self.value(Attribute::Username),
            self.value(Attribute::Password)
        );
        let encoded = base64::engine::general_purpose::STANDARD.encode(both);
        Credential {
            strategy: Strategy::Basic,
            authorization: Secret::new(format!("Basic {encoded}")),
            headers: Vec::new(),
            lifetime: None,
        }
    }

    /// A setting that the strategy needs, so that it is there.
    fn value(&self, attribute: Attribute) -> &str {
        self.config.get(attribute).unwrap_or_default()
    }
}

impl Credential {
    /// Worth using for a request that may take a while.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        let Some(lifetime) = self.lifetime else {
            return true;
        };
        // A minute before its end, but tokens that live for seconds only are used for most of them.
        let margin = ((lifetime.until - lifetime.from) / 5).min(chrono::TimeDelta::seconds(60));
        now < lifetime.until - margin
    }

    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.lifetime.is_none_or(|lifetime| now < lifetime.until)
    }
}

#[cfg(test)]
mod tests;
