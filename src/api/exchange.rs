//! One call: attempts, answers, and the waits between them.
//!
//! Invariant: a place in the limiter is held from the first byte sent to the last byte read, and never while waiting.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::auth::Credential;
use super::client::{Client, Shared};
use super::error::{ApiError, ErrorKind, Phase, RequestLine, problem_of};
use super::limiter::Outcome;
use super::retry::{Patience, Repeat};

/// A call as it was asked for.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Body,
    pub(super) repeat: Repeat,
}

/// What goes with a request.
#[derive(Clone)]
pub(super) enum Body {
    None,
    Json(Bytes),
    Bytes(Bytes),
}

/// Makes of a welcome answer what the caller wants of it.
type Reader<T> = fn(&RequestLine, &HeaderMap, Bytes) -> Result<T, ApiError>;

impl Client {
    /// A call that is answered with JSON; nothing at all is `null`.
    pub(super) async fn exchange(&self, call: Call<'_>) -> Result<(HeaderMap, Value), ApiError> {
        self.exchange_for(call, self.shared.longest_answer, json_of)
            .await
    }

    /// A call that is answered with bytes.
    pub(super) async fn exchange_bytes(
        &self,
        call: Call<'_>,
        longest: u64,
    ) -> Result<Bytes, ApiError> {
        Ok(self.exchange_for(call, longest, bytes_of).await?.1)
    }

    /// The answer is read as a part of the attempt, so that a broken one is worth another.
    async fn exchange_for<T>(
        &self,
        call: Call<'_>,
        longest: u64,
        reader: Reader<T>,
    ) -> Result<(HeaderMap, T), ApiError> {
        let shared = &*self.shared;
        let mut patience = Patience::new(shared.retry);
        let mut attempts = 0;
        let mut spent = Duration::ZERO;
        let mut may_be_applied = false;
        let mut renewed = false;
        loop {
            attempts += 1;
            let credential =
                shared
                    .authenticator
                    .credential()
                    .await
                    .map_err(|source| ApiError::Auth {
                        request: Box::new(call.line()),
                        source,
                    })?;
            let error = match shared
                .attempt(&call, &credential, longest, reader, &mut spent)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error.with_history(attempts, may_be_applied),
            };
            may_be_applied |= error.this_attempt_may_be_applied();
            // A token may end in the middle of a run, before its time: once, a new one is worth trying.
            let expired = error.kind() == ErrorKind::Unauthenticated && !renewed;
            if expired && shared.authenticator.reject(&credential).await {
                renewed = true;
            } else {
                let reached = shared.reached.load(Relaxed);
                match patience.next(&error, call.repeat, reached, spent, jitter()) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(error),
                }
            }
            shared.counters.repeats.fetch_add(1, Relaxed);
        }
    }
}

impl Call<'_> {
    fn line(&self) -> RequestLine {
        RequestLine::new(&self.method, self.path, self.query)
    }
}

impl Shared {
    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        credential: &Credential,
        longest: u64,
        reader: Reader<T>,
        spent: &mut Duration,
    ) -> Result<(HeaderMap, T), ApiError> {
        let permit = self.limiter.enter(&call.method, call.path).await;
        self.counters.sent(permit.family(), call.body.len());
        let result = async {
            let request = call.line();
            let (status, headers, body) =
                self.converse(&request, call, credential, longest).await?;
            if !status.is_success() {
                return Err(ApiError::Refused(Box::new(problem_of(
                    request, status, &headers, &body,
                ))));
            }
            let value = reader(&request, &headers, body)?;
            Ok((headers, value))
        }
        .await;
        *spent += permit.held_for();
        permit.finish(self.outcome_of(result.as_ref().err()));
        result
    }

    fn outcome_of(&self, error: Option<&ApiError>) -> Outcome {
        let refused = match error {
            None => return Outcome::Answered,
            Some(ApiError::Refused(refused)) => refused,
            Some(_) => return Outcome::Unknown,
        };
        let second = self.retry.second;
        let pause = refused
            .retry_after
            .map(|wait| second.mul_f64(wait.as_secs_f64().min(60.0)));
        if refused.kind == ErrorKind::Throttled {
            self.counters.throttled.fetch_add(1, Relaxed);
            Outcome::Throttled(pause)
        } else if refused.status == StatusCode::SERVICE_UNAVAILABLE {
            Outcome::Throttled(pause)
        } else {
            Outcome::Answered
        }
    }

    async fn converse(
        &self,
        request: &RequestLine,
        call: &Call<'_>,
        credential: &Credential,
        longest: u64,
    ) -> Result<(StatusCode, HeaderMap, Bytes), ApiError> {
        let sending = self.request(call, credential).send();
        // Sending counts as silence, too: allow for a slow line (16 KiB/s) by the length of what is sent.
        let patience = self.inactivity_timeout + Duration::from_secs(call.body.len() as u64 >> 14);
        let mut response = match tokio::time::timeout(patience, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let phase = if error.is_connect() {
                    Phase::Connecting
                } else {
                    Phase::Waiting
                };
                return Err(broken(request, phase, error));
            }
            Err(_) => return Err(silent(request, Phase::Waiting, patience)),
        };
        self.reached.store(true, Relaxed);
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let limit = if status.is_success() {
            longest
        } else {
            self.longest_answer
        };
        let body = self.read(request, &mut response, limit).await?;
        Ok((status, headers, body))
    }

    fn request(&self, call: &Call<'_>, credential: &Credential) -> reqwest::RequestBuilder {
        let mut url = format!("{}{}", self.config.host(), call.path);
        if !call.query.is_empty() {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(call.query);
            url.push(if call.path.contains('?') { '&' } else { '?' });
            // A space as `%20` means a space everywhere; as `+` it does so only to form decoders.
            url.push_str(&query.finish().replace('+', "%20"));
        }
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .header(
                reqwest::header::USER_AGENT,
                format!("{} auth/{}", self.user_agent, credential.strategy),
            )
            .header(
                reqwest::header::AUTHORIZATION,
                hidden(credential.authorization.expose()),
            );
        for (name, value) in &credential.headers {
            request = request.header(*name, hidden(value.expose()));
        }
        if let Some(id) = self.routed_to() {
            // The first is the name today, the second what older builds know.
            request = request
                .header("X-Databricks-Workspace-Id", &id)
                .header("X-Databricks-Org-Id", &id);
        }
        match &call.body {
            Body::None => request,
            Body::Json(bytes) => request
                .header(CONTENT_TYPE, "application/json")
                .body(bytes.clone()),
            Body::Bytes(bytes) => request
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(bytes.clone()),
        }
    }

    /// The workspace id to route by, if somebody gave one: a host may serve several workspaces.
    fn routed_to(&self) -> Option<String> {
        let given = self
            .config
            .get(super::config::Attribute::WorkspaceId)
            .map(str::to_owned);
        given.or_else(|| self.config.host().workspace_hint().map(|id| id.to_string()))
    }

    pub(super) async fn read(
        &self,
        request: &RequestLine,
        response: &mut reqwest::Response,
        limit: u64,
    ) -> Result<Bytes, ApiError> {
        let mut body = BytesMut::new();
        loop {
            let chunk = match tokio::time::timeout(self.inactivity_timeout, response.chunk()).await
            {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => return Err(broken(request, Phase::Reading, error)),
                Err(_) => {
                    return Err(silent(request, Phase::Reading, self.inactivity_timeout));
                }
            };
            let Some(chunk) = chunk else {
                return Ok(body.freeze());
            };
            self.counters
                .bytes_received
                .fetch_add(chunk.len() as u64, Relaxed);
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(ApiError::TooLong {
                    request: Box::new(request.clone()),
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::None => 0,
            Body::Json(bytes) | Body::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Marked as sensitive, a header does not show in the HTTP library's own debug output. Tokens are checked when they
/// are read; a token from the settings may hold anything, and then the service says what it thinks of none.
fn hidden(value: &str) -> reqwest::header::HeaderValue {
    let mut header = reqwest::header::HeaderValue::from_str(value)
        .unwrap_or_else(|_| reqwest::header::HeaderValue::from_static("unusable"));
    header.set_sensitive(true);
    header
}

fn json_of(request: &RequestLine, headers: &HeaderMap, body: Bytes) -> Result<Value, ApiError> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') => return Err(invalid(request, "a web page instead of JSON")),
        Some(_) if is_html(headers) => return Err(invalid(request, "a web page instead of JSON")),
        Some(_) => {}
        None => return Ok(Value::Null),
    }
    serde_json::from_slice(&body).map_err(|source| ApiError::InvalidAnswer {
        request: Box::new(request.clone()),
        what: "something that is not JSON".to_owned(),
        source: Some(source),
    })
}

/// Files may well be web pages; a login page is told by what the service never does with a file: it has no file name,
/// and asks for a login.
fn bytes_of(request: &RequestLine, headers: &HeaderMap, body: Bytes) -> Result<Bytes, ApiError> {
    let start = String::from_utf8_lossy(&body[..body.len().min(8192)]).to_ascii_lowercase();
    let asks = [
        "login.html",
        "sign in</title>",
        "<title>databricks - sign in",
    ]
    .iter()
    .any(|mark| start.contains(mark));
    if asks && is_html(headers) && !headers.contains_key(CONTENT_DISPOSITION) {
        return Err(invalid(request, "a web page instead of a file"));
    }
    Ok(body)
}

fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

pub(super) fn invalid(request: &RequestLine, what: impl Into<String>) -> ApiError {
    ApiError::InvalidAnswer {
        request: Box::new(request.clone()),
        what: what.into(),
        source: None,
    }
}

pub(super) fn broken(request: &RequestLine, phase: Phase, error: reqwest::Error) -> ApiError {
    // The address holds the query as it was sent, secrets included.
    ApiError::Transport {
        request: Box::new(request.clone()),
        phase,
        source: Box::new(error.without_url()),
    }
}

pub(super) fn silent(request: &RequestLine, phase: Phase, patience: Duration) -> ApiError {
    let source = format!("nothing came for {} s", patience.as_secs()).into();
    ApiError::Transport {
        request: Box::new(request.clone()),
        phase,
        source,
    }
}

/// Between 0 and 1. Without randomness clients merely meet again.
pub(super) fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
