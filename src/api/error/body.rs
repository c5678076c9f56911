//! The many shapes of an error answer.
//!
//! Invariant: any bytes at all give a code and a message; nothing here fails.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::kind::classify;
use super::{Refused, RequestLine};
use crate::api::retry::retry_after;

/// The code given to a refusal by a workspace behind a private link.
pub(super) const PRIVATE_LINK: &str = "PRIVATE_LINK_VALIDATION_ERROR";

/// A proxy may answer with megabytes; a message is for people.
const LONGEST_MESSAGE: usize = 2000;

/// Reads an error answer.
pub(in crate::api) fn problem_of(
    request: RequestLine,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Refused {
    let text = String::from_utf8_lossy(body);
    let said = said_by(status, headers, text.trim());
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let request_id = said
        .details
        .iter()
        .find_map(|detail| Some(detail.get("request_id")?.as_str()?.to_owned()));
    let kind = classify(&request, status, &said.code, &said.message);
    Refused {
        request,
        status,
        request_id: request_id
            .or_else(|| header("x-request-id"))
            .filter(|id| !id.is_empty()),
        retry_after: header(RETRY_AFTER.as_str())
            .and_then(|text| retry_after(&text, chrono::Utc::now()))
            .or_else(|| said.details.iter().find_map(retry_delay)),
        error_code: said.code,
        message: shortened(&said.message),
        details: said.details,
        kind,
    }
}

struct Said {
    code: String,
    message: String,
    details: Vec<Value>,
}

impl Said {
    fn new(code: impl Into<String>, message: impl Into<String>) -> Said {
        Said {
            code: code.into(),
            message: message.into(),
            details: Vec::new(),
        }
    }
}

fn said_by(status: StatusCode, headers: &HeaderMap, text: &str) -> Said {
    if let Some(said) = redirection(headers, status) {
        return said;
    }
    if text.is_empty() {
        return Said::new(code_of(status), "");
    }
    if let Ok(Value::Object(body)) = serde_json::from_str(text) {
        return json(status, &body, text);
    }
    if text.starts_with('<') {
        return Said::new(code_of(status), html_text(text));
    }
    match text.split_once(": ") {
        Some((code, message)) if is_code(code) => Said::new(code, message),
        _ => Said::new("UNKNOWN", text),
    }
}

/// Redirections are not followed: a write would arrive as a read, and what they lead to is a login page.
fn redirection(headers: &HeaderMap, status: StatusCode) -> Option<Said> {
    if !status.is_redirection() {
        return None;
    }
    let target = headers
        .get(reqwest::header::LOCATION)
        .map_or("", |target| target.to_str().unwrap_or(""));
    if target.contains("error=private-link-validation-error") {
        return Some(Said::new(
            PRIVATE_LINK,
            "the workspace is behind a private link",
        ));
    }
    let target = target.split(['?', '#']).next().unwrap_or_default();
    Some(Said::new(
        "REDIRECTED",
        format!("redirected to {target} instead of answered"),
    ))
}

fn json(status: StatusCode, body: &serde_json::Map<String, Value>, text: &str) -> Said {
    let string = |key: &str| body.get(key).map(plain).filter(|text| !text.is_empty());
    let is_scim = body
        .get("schemas")
        .is_some_and(|schemas| schemas.to_string().contains("scim:api:messages"));
    if is_scim || (body.contains_key("detail") && body.contains_key("status")) {
        // `detail` "null" is how an internal error shows itself there.
        let detail = string("detail")
            .filter(|detail| detail != "null")
            .unwrap_or_else(|| "internal error".to_owned());
        let status = string("status").unwrap_or_else(|| status.as_u16().to_string());
        let message = match string("scimType").filter(|kind| kind != "null") {
            Some(kind) => format!("{kind} {detail}"),
            None => detail,
        };
        return Said::new(format!("SCIM_{status}"), message);
    }
    let details = body
        .get("details")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    match (string("error_code"), string("message")) {
        (None, None) => match (string("error"), string("error_description")) {
            (Some(error), Some(description)) => {
                Said::new(code_of(status), format!("{error}: {description}"))
            }
            (Some(error), None) => Said::new(code_of(status), error),
            (None, _) => Said::new("UNKNOWN", text),
        },
        (code, message) => {
            let code = code.unwrap_or_else(|| code_of(status));
            Said {
                code,
                message: message.unwrap_or_default(),
                details,
            }
        }
    }
}

/// The text of `<pre>`, else of `<title>`, else that it was a page.
fn html_text(page: &str) -> String {
    let between = |tag: &str| {
        let lower = page.to_ascii_lowercase();
        let open = lower.find(&format!("<{tag}"))?;
        let start = open + lower[open..].find('>')? + 1;
        let end = start + lower[start..].find(&format!("</{tag}"))?;
        let text = page[start..end].trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    between("pre")
        .or_else(|| between("title"))
        .unwrap_or_else(|| "a web page without a message".to_owned())
}

/// `Not Found` becomes `NOT_FOUND`.
fn code_of(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => reason
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect(),
        None => status.as_u16().to_string(),
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// Codes are strings by contract and numbers by habit of some proxies.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `RetryInfo` says `"retry_delay": "3s"` or an object with seconds.
fn retry_delay(detail: &Value) -> Option<Duration> {
    let delay = detail.get("retry_delay")?;
    let seconds = match delay {
        Value::String(text) => text.strip_suffix('s')?.parse().ok()?,
        other => other.get("seconds")?.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{} …", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorKind;
    use super::*;
    use crate::testing::fuzz;
    use proptest::prelude::*;
    use reqwest::Method;

    fn read(status: u16, body: &[u8]) -> Refused {
        let request = RequestLine::new(&Method::GET, "/api/2.0/x", &[]);
        problem_of(
            request,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body,
        )
    }

    #[test]
    fn every_shape_gives_code_and_message() {
        let scim = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"taken","status":"409",
            "scimType":"uniqueness"}"#;
        let scim_null = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"null","status":500}"#;
        for (status, body, code, message) in [
            (404, "", "NOT_FOUND", ""),
            (
                404,
                r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no /a"}"#,
                "RESOURCE_DOES_NOT_EXIST",
                "no /a",
            ),
            (429, r#"{"error_code":429,"message":"slow"}"#, "429", "slow"),
            (
                400,
                r#"{"message":"only words"}"#,
                "BAD_REQUEST",
                "only words",
            ),
            (
                500,
                r#"{"error":"ContextNotFound: x"}"#,
                "INTERNAL_SERVER_ERROR",
                "ContextNotFound: x",
            ),
            (
                401,
                r#"{"error":"invalid_client","error_description":"no"}"#,
                "UNAUTHORIZED",
                "invalid_client: no",
            ),
            (409, scim, "SCIM_409", "uniqueness taken"),
            (500, scim_null, "SCIM_500", "internal error"),
            (
                400,
                "MALFORMED_REQUEST: bad vpc",
                "MALFORMED_REQUEST",
                "bad vpc",
            ),
            (
                503,
                "<html><body><PRE>\n worker gone </pre></body>",
                "SERVICE_UNAVAILABLE",
                "worker gone",
            ),
            (
                502,
                "<html><title>Bad Gateway</title>",
                "BAD_GATEWAY",
                "Bad Gateway",
            ),
            (502, "<html>", "BAD_GATEWAY", "a web page without a message"),
            (500, "upstream: broken", "UNKNOWN", "upstream: broken"),
            (500, "[1]", "UNKNOWN", "[1]"),
            (500, r#"{"strange":1}"#, "UNKNOWN", r#"{"strange":1}"#),
        ] {
            let problem = read(status, body.as_bytes());
            assert_eq!(
                (problem.error_code.as_str(), problem.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn details_that_are_no_list_are_ignored_and_a_retry_delay_is_used() {
        assert!(
            read(400, br#"{"error_code":"X","message":"","details":"none"}"#)
                .details
                .is_empty()
        );
        let body = br#"{"error_code":"X","details":[{"retry_delay":"3s"}]}"#;
        assert_eq!(read(429, body).retry_after, Some(Duration::from_secs(3)));
        let body = br#"{"error_code":"X","details":[{"retry_delay":"-3s"},{"retry_delay":{"seconds":2}}]}"#;
        assert_eq!(read(429, body).retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_private_link_and_other_redirections_are_told_apart() {
        let read = |target: &str| {
            let headers =
                HeaderMap::from_iter([(reqwest::header::LOCATION, target.parse().unwrap())]);
            problem_of(
                RequestLine::new(&Method::GET, "/x", &[]),
                StatusCode::FOUND,
                &headers,
                b"",
            )
        };
        let private = read("https://h/login.html?error=private-link-validation-error:1");
        assert_eq!(
            (private.error_code.as_str(), private.kind),
            (PRIVATE_LINK, ErrorKind::PermissionDenied)
        );
        let login = read("/login.html?next=secret");
        assert_eq!(
            login.message,
            "redirected to /login.html instead of answered"
        );
    }

    #[test]
    fn a_long_page_is_cut() {
        assert!(
            read(500, "é".repeat(9000).as_bytes())
                .message
                .chars()
                .count()
                < LONGEST_MESSAGE + 5
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(status in 300u16..600, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(status, &body);
        }

        #[test]
        fn any_json_is_read(
            status in 300u16..600,
            key in "error_code|message|details|detail|status|schemas|error|scimType",
            value in r#"null|1|-1e300|"x"|""|\[\]|\[\{"retry_delay":"1e999s"\}\]|\[\{"retry_delay":\{"seconds":1e300\}\}\]|\{\}"#,
        ) {
            read(status, format!("{{\"{key}\":{value}}}").as_bytes());
        }

        #[test]
        fn any_page_is_read(body in "<(pre|title|PRE)?[<>/a-zé ]{0,30}</?(pre|title)?>?") {
            read(502, body.as_bytes());
        }
    }

    #[test]
    fn fuzzed_error_answers_give_a_code_and_a_message_of_bounded_length() {
        let good = [
            r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no","details":[{"@type":"x","request_id":"r","retry_delay":"3s"}]}"#,
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"no","status":"404","scimType":"null"}"#,
            r#"{"error":"invalid_client","error_description":"no","details":[{"retry_delay":{"seconds":3}}]}"#,
            "<html><head><title>502</title></head><pre class=x>bad gateway</pre></html>",
            "PERMISSION_DENIED: no",
        ];
        let good = good.map(|text| text.as_bytes().to_vec());
        fuzz("error answers", &good, |body| {
            for status in [302, 400, 404, 429, 503, 999] {
                let refused = read(status, body);
                assert!(refused.message.chars().count() <= LONGEST_MESSAGE + 2);
                let shown = refused.to_string();
                assert!(!shown.is_empty());
            }
            true
        });
    }
}
