//! Answers on their way out: the real ones, and those given in their place.
//!
//! Invariant: every answer, whatever it is, carries the workspace's number and an id of its own.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::call::Refusal;
use super::faults::{Effect, RetryAfter};

/// An answer before it becomes a response.
pub(crate) struct Page {
    pub(crate) status: u16,
    content_type: &'static str,
    body: Bytes,
    headers: Vec<(&'static str, String)>,
    sending: Sending,
}

/// How the body of an answer goes over the line.
pub(crate) enum Sending {
    /// At once.
    Whole,
    /// Only the first half, then the connection breaks.
    Broken,
    /// In two halves, so much time apart.
    Paused(Duration),
}

impl Page {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Page {
        Page {
            status,
            content_type,
            body: body.into(),
            headers: Vec::new(),
            sending: Sending::Whole,
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Page {
        Page::new(status, "application/json", body.to_string())
    }

    pub(crate) fn refusal(refusal: &Refusal) -> Page {
        Page::json(refusal.status, &refusal.body())
    }

    /// A 429.
    pub(crate) fn throttled(retry_after: Option<String>, message: &str) -> Page {
        let refusal = Refusal::new(429, "REQUEST_LIMIT_EXCEEDED", message);
        let header = retry_after.map(|time| ("retry-after", time));
        Page::refusal(&refusal).with(header.into_iter().collect())
    }

    /// The same with these headers.
    pub(crate) fn with(self, headers: Vec<(&'static str, String)>) -> Page {
        Page { headers, ..self }
    }

    /// The same, sent in this way.
    pub(crate) fn sent(self, sending: Sending) -> Page {
        Page { sending, ..self }
    }

    /// The response, with the headers every answer of the service has.
    pub(crate) fn into_response(self, workspace_id: u64, number: u64) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        headers.insert("x-databricks-org-id", HeaderValue::from(workspace_id));
        let request_id = format!("00000000-0000-4000-8000-{number:012x}");
        let texts = [("x-request-id", request_id)]
            .into_iter()
            .chain(self.headers);
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        let body = match self.sending {
            Sending::Whole => Body::from(self.body),
            // The pause makes the server send the half before it sees the error, as a connection that dies on the way
            // would.
            Sending::Broken => in_halves(self.body, Duration::from_millis(2), |_| {
                Err(std::io::ErrorKind::ConnectionReset.into())
            }),
            Sending::Paused(time) => in_halves(self.body, time, Ok),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self
            .status
            .try_into()
            .expect("handlers and faults use real status codes");
        *response.headers_mut() = headers;
        response
    }
}

/// The answer given in place of the real one.
pub(crate) fn instead(effect: &Effect) -> Page {
    match effect {
        Effect::Refuse {
            status,
            code,
            message,
        } => Page::refusal(&Refusal::new(*status, code, message)),
        Effect::Throttle(retry_after) => {
            let header = match retry_after {
                RetryAfter::Absent => None,
                RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
                RetryAfter::Garbage => Some("soon".to_string()),
                RetryAfter::Date => Some(http_date(Duration::from_secs(1))),
            };
            Page::throttled(header, "Too many requests. Please try again later.")
        }
        Effect::IdentityOverload => Page::refusal(&Refusal::identity(
            500,
            "",
            "Request failed with REQUEST_LIMIT_EXCEEDED: rate limit exceeded, please retry.",
        )),
        Effect::Unavailable => Page::new(
            503,
            "text/html",
            "<html><head><title>503 Service Unavailable</title></head><body><pre>upstream connect error</pre></body></html>",
        ),
        Effect::LoginPage => Page::new(
            200,
            "text/html;charset=utf-8",
            "<!doctype html><html><head><title>Databricks - Sign In</title></head><body><div id=\"login-page\"></div></body></html>",
        ),
        Effect::InvalidJson => {
            Page::new(200, "application/json", "{\"objects\": [{\"path\": \"/Sha")
        }
        Effect::Unauthenticated => Page::refusal(&Refusal::new(
            401,
            "UNAUTHENTICATED",
            "The access token has expired.",
        )),
        Effect::Break | Effect::LoseAnswer | Effect::Delay(_) | Effect::Pause(_) => Page::refusal(
            &Refusal::new(500, "INTERNAL_ERROR", "This fault needs the real answer."),
        ),
    }
}

fn http_date(ahead: Duration) -> String {
    (chrono::Utc::now() + ahead)
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// The first half of a body, a pause, and what is made of the second half.
fn in_halves(body: Bytes, pause: Duration, rest: fn(Bytes) -> std::io::Result<Bytes>) -> Body {
    let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
    let second = async move {
        tokio::time::sleep(pause).await;
        rest(second)
    };
    Body::from_stream(stream::once(async { Ok(first) }).chain(stream::once(second)))
}
