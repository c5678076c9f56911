//! Tokens, as the various endpoints and programs hand them out.
//!
//! Invariant: a token's lifetime is understood in every form that is known, and is short where it is not.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{AuthError, Authenticator, Credential, Lifetime, Strategy};
use crate::api::retry::retry_after;
use crate::api::secret::Secret;

/// How long a token is used whose end is unknown.
const UNKNOWN_LIFETIME: TimeDelta = TimeDelta::minutes(5);

pub(super) struct Token {
    pub(super) value: Secret,
    pub(super) until: DateTime<Utc>,
}

impl Token {
    /// Reads the answer of an OAuth endpoint (`access_token`, `expires_in`), of Entra (numbers as strings), of the
    /// `databricks` program (`expiry`) and of the `az` program (`accessToken`, `expires_on`, `expiresOn`).
    pub(super) fn read(answer: &Value, now: DateTime<Utc>) -> Result<Token, &'static str> {
        let text = |key: &str| {
            answer
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let value = text("access_token")
            .or_else(|| text("accessToken"))
            .ok_or("there is no access token in it")?;
        if value.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("the access token holds characters that no token has");
        }
        let number = |key: &str| match answer.get(key)? {
            Value::String(text) => text.trim().parse::<i64>().ok(),
            other => other.as_i64(),
        };
        let until = number("expires_in")
            .and_then(|seconds| now.checked_add_signed(TimeDelta::try_seconds(seconds)?))
            .or_else(|| DateTime::from_timestamp(number("expires_on")?, 0))
            .or_else(|| {
                DateTime::parse_from_rfc3339(text("expiry")?)
                    .ok()
                    .map(|at| at.to_utc())
            })
            .or_else(|| local_time(text("expiresOn")?));
        Ok(Token {
            value: Secret::new(value),
            until: until.unwrap_or(now + UNKNOWN_LIFETIME),
        })
    }
}

/// Older `az` programs print the end in the machine's own time zone and say nothing else.
fn local_time(text: &str) -> Option<DateTime<Utc>> {
    let at = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(at.and_local_timezone(chrono::Local).earliest()?.to_utc())
}

impl Credential {
    pub(super) fn bearer(strategy: Strategy, token: Token, now: DateTime<Utc>) -> Credential {
        Credential {
            strategy,
            authorization: Secret::new(format!("Bearer {}", token.value.expose())),
            headers: Vec::new(),
            lifetime: Some(Lifetime {
                from: now,
                until: token.until,
            }),
        }
    }

    /// The same with a further header from another token, so that it ends when the first of them does.
    pub(super) fn with_token(mut self, header: &'static str, token: Token) -> Credential {
        self.headers.push((header, token.value));
        if let Some(lifetime) = &mut self.lifetime {
            lifetime.until = lifetime.until.min(token.until);
        }
        self
    }
}

impl Authenticator {
    /// Asks for a token. Asking twice does no harm, so every passing failure is tried again.
    pub(super) async fn ask_for_token(
        &self,
        strategy: Strategy,
        request: reqwest::RequestBuilder,
        endpoint: &str,
    ) -> Result<Token, AuthError> {
        let (status, body) = self.ask(strategy, request, endpoint).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !(200..300).contains(&status) {
            let word = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
            let message = format!("{} {}", word("error"), word("error_description"));
            let message = message.trim().to_owned();
            return Err(AuthError::Refused {
                strategy,
                endpoint: endpoint.to_owned(),
                status,
                message,
            });
        }
        Token::read(&answer, Utc::now()).map_err(|why| AuthError::NoToken {
            strategy,
            origin: endpoint.to_owned(),
            why: why.to_owned(),
        })
    }

    /// Sends a request of the login and reads the answer, be it welcome or not.
    pub(super) async fn ask(
        &self,
        strategy: Strategy,
        request: reqwest::RequestBuilder,
        endpoint: &str,
    ) -> Result<(u16, Vec<u8>), AuthError> {
        let attempts = if self.retry.budget.is_some_and(|budget| budget.is_zero()) {
            1
        } else {
            4
        };
        let request = request.timeout(std::time::Duration::from_secs(60));
        let mut attempt = 1;
        loop {
            let again = request.try_clone();
            let outcome = match again {
                Some(request) => sent(request).await,
                None => return Err(unusable_request(strategy)),
            };
            let passing = match &outcome {
                Ok(answer) => answer.status == 429 || answer.status >= 500,
                Err(error) => !error.is_builder(),
            };
            if !passing || attempt == attempts {
                let unreachable = |source| AuthError::Unreachable {
                    strategy,
                    endpoint: endpoint.to_owned(),
                    source,
                };
                return outcome
                    .map(|answer| (answer.status, answer.body))
                    .map_err(unreachable);
            }
            let asked = outcome
                .ok()
                .and_then(|answer| answer.retry_after)
                .unwrap_or_default()
                .min(30);
            tokio::time::sleep(self.retry.second * asked.max(attempt)).await;
            attempt += 1;
        }
    }
}

struct Answer {
    status: u16,
    retry_after: Option<u32>,
    body: Vec<u8>,
}

async fn sent(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    // The address of a token request may hold a client id; errors name the endpoint anyway.
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    let header = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = header
        .and_then(|text| retry_after(text, Utc::now()))
        .map(|wait| wait.as_secs() as u32);
    let status = response.status().as_u16();
    let body = response
        .bytes()
        .await
        .map_err(reqwest::Error::without_url)?
        .to_vec();
    Ok(Answer {
        status,
        retry_after,
        body,
    })
}

fn unusable_request(strategy: Strategy) -> AuthError {
    AuthError::Unusable {
        strategy,
        why: "the request for a token cannot be repeated".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz;
    use serde_json::json;

    fn seconds(answer: Value) -> i64 {
        let now = "2024-01-01T00:00:00Z".parse().unwrap();
        (Token::read(&answer, now).unwrap().until - now).num_seconds()
    }

    #[test]
    fn the_end_of_a_token_is_read_in_every_form() {
        assert_eq!(
            seconds(json!({"access_token": "a", "expires_in": 3600})),
            3600
        );
        assert_eq!(
            seconds(json!({"access_token": "a", "expires_in": "3599", "expires_on": "1"})),
            3599
        );
        assert_eq!(
            seconds(json!({"access_token": "a", "expires_on": "1704067230"})),
            30
        );
        assert_eq!(
            seconds(json!({"access_token": "a", "expiry": "2024-01-01T02:00:00.000000+01:00"})),
            3600
        );
        assert_eq!(
            seconds(json!({"accessToken": "a", "expires_on": 1704067230, "expiresOn": "x"})),
            30
        );
        assert_eq!(
            seconds(json!({"access_token": "a", "expires_in": "soon"})),
            300
        );
        assert_eq!(
            seconds(json!({"access_token": "a", "expires_in": i64::MAX})),
            300
        );
    }

    #[test]
    fn what_holds_no_token_is_refused() {
        for answer in [
            json!({}),
            json!([]),
            json!({"access_token": ""}),
            json!({"access_token": "a\nHost: x"}),
        ] {
            assert!(Token::read(&answer, Utc::now()).is_err(), "{answer}");
        }
    }

    #[test]
    fn fuzzed_tokens_are_refused_or_can_be_sent() {
        let good = [
            r#"{"access_token":"abc","expires_in":"3600"}"#,
            r#"{"accessToken":"abc","expiresOn":"2026-03-09 07:05:04.123456","expires_on":1773039904}"#,
            r#"{"access_token":"abc","expiry":"2026-03-09T07:05:04.1+01:00"}"#,
        ];
        let good = good.map(|text| text.as_bytes().to_vec());
        let now = DateTime::from_timestamp(1_770_000_000, 0).unwrap();
        let fuzzed = fuzz("tokens", &good, |bytes| {
            let Ok(answer) = serde_json::from_slice(bytes) else {
                return false;
            };
            let Ok(token) = Token::read(&answer, now) else {
                return false;
            };
            let credential = Credential::bearer(Strategy::Pat, token, now);
            let header = credential.authorization.expose();
            assert!(reqwest::header::HeaderValue::from_str(header).is_ok());
            true
        });
        assert!(fuzzed.accepted > 0);
    }
}
