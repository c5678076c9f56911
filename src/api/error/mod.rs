//! What can go wrong between a request and its answer.
//!
//! Invariant: no error holds or shows a secret; query values that may be one are masked when the error is built.

mod body;
mod kind;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};

pub use kind::ErrorKind;

use super::auth::AuthError;

pub(super) use body::problem_of;

/// Why a call to the workspace did not bring what it was made for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The service answered, and the answer is an error.
    #[error("{0}")]
    Refused(Box<Refused>),
    /// No whole answer arrived.
    #[error("{request} got no answer: {phase}")]
    Transport {
        /// What was asked for.
        request: Box<RequestLine>,
        /// How far it came.
        phase: Phase,
        /// What broke.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer arrived that is not what the API promises: a web page, broken JSON, pages that go in circles.
    #[error("{request} was answered with {what}")]
    InvalidAnswer {
        /// What was asked for.
        request: Box<RequestLine>,
        /// What came instead.
        what: String,
        /// The parser's complaint, if it was one.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The answer is longer than the caller takes.
    #[error("{request} was answered with more than {limit} bytes")]
    TooLong {
        /// What was asked for.
        request: Box<RequestLine>,
        /// The most that would have been taken.
        limit: u64,
    },
    /// No credentials could be had for the request.
    #[error("failed to authenticate for {request}")]
    Auth {
        /// What was to be asked for.
        request: Box<RequestLine>,
        /// Why there are no credentials.
        #[source]
        source: Arc<AuthError>,
    },
    /// The client itself could not be set up.
    #[error("failed to set up the HTTP client")]
    Setup(#[source] reqwest::Error),
}

/// Which request an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query with what may be secret masked; empty if there was none.
    pub query: String,
    /// How often it was sent.
    pub attempts: u32,
    /// An earlier attempt may have been applied although its answer was lost.
    pub earlier_may_be_applied: bool,
}

/// An error the service itself answered with.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What was asked for.
    pub request: RequestLine,
    /// The HTTP status.
    pub status: StatusCode,
    /// The code, such as `RESOURCE_DOES_NOT_EXIST`; made from the status where the answer had none.
    pub error_code: String,
    /// The service's own words.
    pub message: String,
    /// The id to quote to the service's support.
    pub request_id: Option<String>,
    /// How long the service asked to wait.
    pub retry_after: Option<Duration>,
    /// The `details` of the answer, as they came (a fresh `etag` may be among them).
    pub details: Vec<serde_json::Value>,
    /// What kind of refusal it is.
    pub kind: ErrorKind,
}

/// How far a request came before it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection: the service has seen nothing of it.
    Connecting,
    /// Sent, at least in part, and nothing came back.
    Waiting,
    /// The answer broke off.
    Reading,
}

impl ApiError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ApiError::Refused(refused) => refused.kind,
            ApiError::Transport { .. } => ErrorKind::Transport,
            ApiError::InvalidAnswer { .. } => ErrorKind::InvalidAnswer,
            ApiError::TooLong { .. } => ErrorKind::TooLarge,
            ApiError::Auth { .. } => ErrorKind::Unauthenticated,
            ApiError::Setup(_) => ErrorKind::Setup,
        }
    }

    /// The request it speaks of; none if no request was ever made.
    pub fn request(&self) -> Option<&RequestLine> {
        match self {
            ApiError::Refused(refused) => Some(&refused.request),
            ApiError::Transport { request, .. }
            | ApiError::InvalidAnswer { request, .. }
            | ApiError::TooLong { request, .. }
            | ApiError::Auth { request, .. } => Some(request),
            ApiError::Setup(_) => None,
        }
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.refused().map(|refused| refused.status.as_u16())
    }

    /// The service's error code; empty if it did not answer with an error.
    pub fn error_code(&self) -> &str {
        self.refused().map_or("", |refused| &refused.error_code)
    }

    /// The service's own words; empty if it did not answer with an error.
    pub fn message(&self) -> &str {
        self.refused().map_or("", |refused| &refused.message)
    }

    /// The service's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.refused()
            .and_then(|refused| refused.request_id.as_deref())
    }

    /// The `metadata.etag` that the settings API encloses in its refusals.
    pub fn fresh_etag(&self) -> Option<&str> {
        self.refused()?
            .details
            .iter()
            .find_map(|detail| detail.pointer("/metadata/etag")?.as_str())
    }

    /// Whether the request was a write that may have been applied although this error came back for it: look before
    /// doing it again.
    pub fn answer_may_be_lost(&self) -> bool {
        let Some(request) = self.request() else {
            return false;
        };
        if request.method == Method::GET || request.method == Method::HEAD {
            return false;
        }
        request.earlier_may_be_applied || self.this_attempt_may_be_applied()
    }

    pub(super) fn this_attempt_may_be_applied(&self) -> bool {
        match self {
            // 501 is the one 5xx that says the request was understood and not done.
            ApiError::Refused(refused) => {
                refused.status.is_server_error() && refused.kind.is_outage()
            }
            ApiError::Transport { phase, .. } => *phase != Phase::Connecting,
            ApiError::InvalidAnswer { .. } | ApiError::TooLong { .. } => true,
            ApiError::Auth { .. } | ApiError::Setup(_) => false,
        }
    }

    pub(super) fn with_history(mut self, attempts: u32, earlier_may_be_applied: bool) -> ApiError {
        let request = match &mut self {
            ApiError::Refused(refused) => &mut refused.request,
            ApiError::Transport { request, .. }
            | ApiError::InvalidAnswer { request, .. }
            | ApiError::TooLong { request, .. }
            | ApiError::Auth { request, .. } => request.as_mut(),
            ApiError::Setup(_) => return self,
        };
        request.attempts = attempts;
        request.earlier_may_be_applied = earlier_may_be_applied;
        self
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            ApiError::Auth { source, .. } => source.hint(),
            ApiError::InvalidAnswer { what, .. } if what.contains("a web page") => Some(
                "a login page instead of data: check that the host is a workspace (not an account console or a proxy); \
                 a host that serves several workspaces needs the workspace id (`workspace_id` in the profile or \
                 DATABRICKS_WORKSPACE_ID)"
                    .to_owned(),
            ),
            ApiError::Transport { phase: Phase::Connecting, .. } => Some(
                "check the host, the network and the HTTPS_PROXY and NO_PROXY variables".to_owned(),
            ),
            ApiError::Refused(refused) => refused.hint(),
            _ => None,
        }
    }

    fn refused(&self) -> Option<&Refused> {
        match self {
            ApiError::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

impl Refused {
    fn hint(&self) -> Option<String> {
        let text = match self.kind {
            ErrorKind::Unauthenticated => {
                "the token may have expired, been revoked, or belong to another workspace: make a new one or log in again"
            }
            ErrorKind::PermissionDenied if self.error_code == body::PRIVATE_LINK => {
                "the workspace takes requests only through its private link: run from inside that network"
            }
            ErrorKind::PermissionDenied if self.message.contains("IP access list") => {
                "this machine's address is blocked by the workspace's IP access lists"
            }
            ErrorKind::PermissionDenied => {
                "the identity in use lacks the right; workspace administrators have it"
            }
            ErrorKind::Throttled => {
                "the workspace is busy with other clients: try later, or lower the rates"
            }
            ErrorKind::FeatureDisabled => {
                "the workspace does not have this feature, or an administrator turned it off"
            }
            ErrorKind::Unavailable => "the service is not available at present: try again later",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was answered with {} {}",
            self.request,
            self.status.as_u16(),
            self.error_code
        )?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.trim_end_matches('.'))?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl RequestLine {
    pub(super) fn new(method: &Method, path: &str, query: &[(&str, &str)]) -> RequestLine {
        let mut shown = String::new();
        for (key, value) in query {
            let masked = if may_be_secret(key) { "***" } else { *value };
            let separator = if shown.is_empty() { "" } else { "&" };
            shown.push_str(&format!("{separator}{key}={masked}"));
        }
        RequestLine {
            method: method.clone(),
            path: path.to_owned(),
            query: shown,
            attempts: 1,
            earlier_may_be_applied: false,
        }
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        if self.attempts > 1 {
            write!(f, " ({} attempts)", self.attempts)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connecting => "no connection",
            Phase::Waiting => "the connection broke before any answer",
            Phase::Reading => "the answer broke off",
        })
    }
}

/// Page tokens are masked as well: they are long, mean nothing, and some carry signed state.
fn may_be_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["token", "secret", "password", "signature", "credential"]
        .iter()
        .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, status: u16, body: &str) -> ApiError {
        let request = RequestLine::new(
            &method,
            "/api/2.0/thing",
            &[("path", "/a"), ("page_token", "abc")],
        );
        let status = StatusCode::from_u16(status).unwrap();
        ApiError::Refused(Box::new(problem_of(
            request,
            status,
            &reqwest::header::HeaderMap::new(),
            body.as_bytes(),
        )))
    }

    #[test]
    fn messages_name_the_request_the_answer_and_the_request_id_but_no_secret() {
        let body = r#"{"error_code":"PERMISSION_DENIED","message":"No.","details":[
            {"@type":"type.googleapis.com/google.rpc.RequestInfo","request_id":"r-1"}]}"#;
        assert_eq!(
            refused(Method::GET, 403, body).to_string(),
            "GET /api/2.0/thing?path=/a&page_token=*** was answered with 403 PERMISSION_DENIED: No (request id r-1)"
        );
    }

    #[test]
    fn only_writes_with_an_unclear_end_may_be_applied() {
        assert!(refused(Method::POST, 500, "").answer_may_be_lost());
        assert!(refused(Method::POST, 504, "").answer_may_be_lost());
        assert!(!refused(Method::POST, 501, "").answer_may_be_lost());
        assert!(!refused(Method::POST, 400, "").answer_may_be_lost());
        assert!(!refused(Method::POST, 429, "").answer_may_be_lost());
        assert!(!refused(Method::GET, 500, "").answer_may_be_lost());
        assert!(
            refused(Method::POST, 409, "")
                .with_history(2, true)
                .answer_may_be_lost()
        );
    }

    #[test]
    fn a_stale_etag_is_answered_with_the_fresh_one() {
        let body = r#"{"error_code":"RESOURCE_CONFLICT","message":"stale",
            "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","metadata":{"etag":"new=="}}]}"#;
        assert_eq!(
            refused(Method::PATCH, 409, body).fresh_etag(),
            Some("new==")
        );
    }
}
