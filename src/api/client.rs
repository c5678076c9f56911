//! The client: one per workspace, shared by everything that speaks to it.
//!
//! Invariant: every request of a client to its workspace goes through the same gate and the same authenticator.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::auth::{Authenticator, LoginEndpoints};
use super::config::{Attribute, Config};
use super::counts::{Counters, RequestCounts};
use super::error::ApiError;
use super::exchange::{Body, Call};
use super::host::Host;
use super::limiter::{Limiter, Rate, Rates};
use super::retry::{Repeat, RetryPolicy};

/// How to speak to a workspace.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Which workspace, and as whom.
    pub config: Config,
    /// Takes any certificate. For test set-ups only.
    pub skip_tls_verification: bool,
    /// How many requests a second.
    pub rates: Rates,
    /// How many requests at once, at most.
    pub max_concurrency: usize,
    /// How patient to be with failures.
    pub retry: RetryPolicy,
    /// Further `name/value` words for the User-Agent header.
    pub user_agent_extra: Vec<(String, String)>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the service may be silent.
    pub inactivity_timeout: Duration,
    /// The longest JSON answer that is taken, in bytes.
    pub longest_answer: u64,
    /// Where logins of clouds are.
    pub login: LoginEndpoints,
}

impl ClientOptions {
    /// The defaults, changed by what the configuration says of timeouts, rates and certificates.
    pub fn new(config: Config) -> ClientOptions {
        let seconds = |attribute| config.number(attribute);
        let retry = match seconds(Attribute::RetryTimeoutSeconds) {
            // The official tools take a negative number for "for ever".
            Some(seconds) if seconds < 0 => RetryPolicy {
                budget: None,
                ..RetryPolicy::default()
            },
            Some(seconds) if seconds > 0 => RetryPolicy {
                budget: Some(Duration::from_secs(seconds.unsigned_abs())),
                ..RetryPolicy::default()
            },
            _ => RetryPolicy::default(),
        };
        let silence = seconds(Attribute::HttpTimeoutSeconds)
            .filter(|seconds| *seconds > 0)
            .unwrap_or(60);
        let rates = match seconds(Attribute::RateLimit).and_then(|rate| u32::try_from(rate).ok()) {
            Some(rate) if rate > 0 => Rates::default().with_total(Rate::per_second(rate)),
            _ => Rates::default(),
        };
        ClientOptions {
            skip_tls_verification: config.is_true(Attribute::SkipVerify),
            rates,
            max_concurrency: 32,
            retry,
            user_agent_extra: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            inactivity_timeout: Duration::from_secs(silence.unsigned_abs()),
            longest_answer: 512 << 20,
            login: LoginEndpoints::default(),
            config,
        }
    }
}

/// Speaks to one workspace. Cheap to clone; clones share connections, credentials, rates and counts.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) http: reqwest::Client,
    pub(super) authenticator: Authenticator,
    pub(super) limiter: Limiter,
    pub(super) counters: Counters,
    pub(super) retry: RetryPolicy,
    pub(super) inactivity_timeout: Duration,
    pub(super) longest_answer: u64,
    pub(super) user_agent: String,
    /// Whether the host ever answered: a host that never did is likely mistyped.
    pub(super) reached: AtomicBool,
    /// Asks for what is behind signed addresses, whose bytes are taken as they are stored.
    pub(super) storage: reqwest::Client,
    pub(super) storage_permits: Semaphore,
    /// Whether any storage ever answered.
    pub(super) reached_storage: AtomicBool,
}

impl Client {
    /// Sets the client up. Nothing is sent yet, and no credential is fetched.
    pub fn new(options: ClientOptions) -> Result<Client, ApiError> {
        let http = http_client(&options).gzip(true).build();
        let http = http.map_err(ApiError::Setup)?;
        let storage = http_client(&options).gzip(false).build();
        Ok(Client {
            shared: Arc::new(Shared {
                authenticator: Authenticator::new(
                    options.config.clone(),
                    http.clone(),
                    options.retry,
                    options.login.clone(),
                ),
                limiter: Limiter::new(&options.rates, options.max_concurrency),
                counters: Counters::default(),
                retry: options.retry,
                inactivity_timeout: options.inactivity_timeout,
                longest_answer: options.longest_answer,
                user_agent: user_agent(&options.user_agent_extra),
                reached: AtomicBool::new(false),
                storage: storage.map_err(ApiError::Setup)?,
                storage_permits: Semaphore::new(options.max_concurrency.max(1)),
                reached_storage: AtomicBool::new(false),
                config: options.config,
                http,
            }),
        })
    }

    /// Reads JSON. The path begins with a slash and is encoded already (see [`encode`](super::encode)); the query is
    /// not.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        self.send(Method::GET, path, query, None, Repeat::Safe)
            .await
    }

    /// Sends JSON, or nothing, and reads JSON; an empty answer is `null`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Value, ApiError> {
        let body = body.map_or(Body::None, |value| {
            Body::Json(Bytes::from(value.to_string()))
        });
        Ok(self
            .exchange(Call {
                method,
                path,
                query,
                body,
                repeat,
            })
            .await?
            .1)
    }

    /// Sends a JSON body with POST.
    pub async fn post(&self, path: &str, body: &Value, repeat: Repeat) -> Result<Value, ApiError> {
        self.send(Method::POST, path, &[], Some(body), repeat).await
    }

    /// Replaces something, which is safe to repeat.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.send(Method::PUT, path, &[], Some(body), Repeat::Safe)
            .await
    }

    /// Changes something.
    pub async fn patch(&self, path: &str, body: &Value, repeat: Repeat) -> Result<Value, ApiError> {
        self.send(Method::PATCH, path, &[], Some(body), repeat)
            .await
    }

    /// Deletes something. It is not repeated after a lost answer, for the second answer would be "not found".
    pub async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        self.send(Method::DELETE, path, query, None, Repeat::Unsafe)
            .await
    }

    /// Reads bytes as they are; more than `longest` of them are an error of the kind
    /// [`TooLarge`](super::ErrorKind::TooLarge).
    pub async fn download(
        &self,
        path: &str,
        query: &[(&str, &str)],
        longest: u64,
    ) -> Result<Bytes, ApiError> {
        let call = Call {
            method: Method::GET,
            path,
            query,
            body: Body::None,
            repeat: Repeat::Safe,
        };
        self.exchange_bytes(call, longest).await
    }

    /// Sends bytes as they are and reads JSON.
    pub async fn upload(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        bytes: Bytes,
        repeat: Repeat,
    ) -> Result<Value, ApiError> {
        Ok(self
            .exchange(Call {
                method,
                path,
                query,
                body: Body::Bytes(bytes),
                repeat,
            })
            .await?
            .1)
    }

    /// The address of the workspace.
    pub fn host(&self) -> &Host {
        self.shared.config.host()
    }

    /// The settings the client was made with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What has been asked of the service so far.
    pub fn requests_made(&self) -> RequestCounts {
        self.shared.counters.read()
    }

    /// How many requests may be under way at present; it follows how the service answers.
    pub fn concurrency(&self) -> usize {
        self.shared.limiter.concurrency()
    }
}

fn http_client(options: &ClientOptions) -> reqwest::ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(options.connect_timeout)
        .danger_accept_invalid_certs(options.skip_tls_verification)
        // Followed, a redirected write would arrive as a read, and a redirected read would end on a login page.
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(options.max_concurrency);
    if options.config.host().is_loopback() {
        builder = builder.no_proxy();
    }
    builder
}

/// Everything but `auth/<strategy>`, which is known only once a strategy has worked.
fn user_agent(extra: &[(String, String)]) -> String {
    let mut text = format!(
        "dbsnap/{} os/{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS
    );
    let word = |text: &str| -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
        text.chars()
            .map(|c| if fits(c) { c } else { '-' })
            .collect()
    };
    for (name, value) in extra {
        text.push_str(&format!(" {}/{}", word(name), word(value)));
    }
    text
}
