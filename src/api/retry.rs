//! What is tried again, and when.
//!
//! Invariant: a write whose answer may be lost is sent a second time only if the caller said that it is safe.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::error::{ApiError, ErrorKind, Phase};

/// Whether a request may be sent again after its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Doing it twice is like doing it once: reads, `mkdirs`, a permissions PUT, an import with overwrite.
    Safe,
    /// Doing it twice may make two of it: it is repeated only if the service surely has not done it.
    Unsafe,
}

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest that the attempts at one call and the waits between them may take together; `None` is for ever.
    /// Time spent queueing behind other calls does not count.
    pub budget: Option<Duration>,
    /// The length of one "second" of waiting: tests and sandboxes shrink it.
    pub second: Duration,
    /// The longest wait between two attempts that nobody asked for, in `second`s.
    pub longest: u32,
    /// How often an internal error (500) is asked about again. Some objects answer so for ever, and each would cost
    /// the whole budget.
    pub internal_errors: u32,
    /// How often a host that never answered is tried again: a mistyped name is not worth minutes.
    pub unreachable: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            budget: Some(Duration::from_secs(300)),
            second: Duration::from_secs(1),
            longest: 10,
            internal_errors: 4,
            unreachable: 2,
        }
    }
}

impl RetryPolicy {
    /// Nothing is tried again.
    pub fn none() -> RetryPolicy {
        RetryPolicy {
            budget: Some(Duration::ZERO),
            ..RetryPolicy::default()
        }
    }

    /// The same decisions with waits of milliseconds, for a server on this machine.
    pub fn quick() -> RetryPolicy {
        RetryPolicy {
            budget: Some(Duration::from_secs(5)),
            second: Duration::from_millis(1),
            ..RetryPolicy::default()
        }
    }
}

/// The patience left for one call.
#[derive(Debug)]
pub(super) struct Patience {
    policy: RetryPolicy,
    waited: Duration,
    failures: u32,
    internal_errors: u32,
    unreachable: u32,
}

impl Patience {
    pub(super) fn new(policy: RetryPolicy) -> Patience {
        Patience {
            policy,
            waited: Duration::ZERO,
            failures: 0,
            internal_errors: 0,
            unreachable: 0,
        }
    }

    /// How long to wait before the next attempt; `None` to give up. `reached` says whether this host ever answered,
    /// `spent` how long the attempts took so far; `jitter` is between 0 and 1.
    pub(super) fn next(
        &mut self,
        error: &ApiError,
        repeat: Repeat,
        reached: bool,
        spent: Duration,
        jitter: f64,
    ) -> Option<Duration> {
        match worth_repeating(error, repeat) {
            Worth::No => return None,
            Worth::FewTimes if self.internal_errors >= self.policy.internal_errors => return None,
            Worth::FewTimes => self.internal_errors += 1,
            Worth::OnceReached if !reached && self.unreachable >= self.policy.unreachable => {
                return None;
            }
            Worth::OnceReached => self.unreachable += 1,
            Worth::Yes => {}
        }
        self.failures += 1;
        let asked = match error {
            ApiError::Refused(refused) => refused.retry_after,
            _ => None,
        };
        let wait = match asked {
            // Somebody who asks for 0 seconds still gets a moment, or the loop would spin.
            Some(asked) => {
                scaled(asked, self.policy.second) + self.policy.second.mul_f64(0.05 + 0.05 * jitter)
            }
            None => {
                let seconds =
                    f64::from(self.failures.min(self.policy.longest)) + 0.05 + 0.7 * jitter;
                self.policy.second.mul_f64(seconds)
            }
        };
        if self
            .policy
            .budget
            .is_some_and(|budget| spent + self.waited + wait > budget)
        {
            return None;
        }
        self.waited += wait;
        Some(wait)
    }
}

enum Worth {
    No,
    FewTimes,
    OnceReached,
    Yes,
}

fn worth_repeating(error: &ApiError, repeat: Repeat) -> Worth {
    match error {
        ApiError::Transport {
            phase: Phase::Connecting,
            source,
            ..
        } => {
            if is_certificate_problem(source.as_ref()) {
                Worth::No
            } else {
                Worth::OnceReached
            }
        }
        ApiError::Transport { .. }
        | ApiError::InvalidAnswer {
            source: Some(_), ..
        } => match repeat {
            Repeat::Safe => Worth::Yes,
            Repeat::Unsafe => Worth::No,
        },
        ApiError::Refused(refused) => {
            let status = refused.status.as_u16();
            if refused.kind == ErrorKind::Throttled || status == 429 || status == 503 {
                Worth::Yes
            } else if says_nothing_was_done(&refused.message) {
                Worth::FewTimes
            } else if repeat == Repeat::Unsafe {
                Worth::No
            } else if refused.kind == ErrorKind::Unavailable || matches!(status, 502 | 504) {
                Worth::Yes
            } else if refused.kind == ErrorKind::Internal || says_try_again(&refused.message) {
                Worth::FewTimes
            } else {
                Worth::No
            }
        }
        _ => Worth::No,
    }
}

/// The back end that should have run the request was not there to do it.
fn says_nothing_was_done(message: &str) -> bool {
    const MARKS: [&str; 5] = [
        "UnknownWorkerEnvironmentException",
        "does not have any associated worker environments",
        "There is no worker environment with id",
        "Unknown worker environment",
        "ClusterNotReadyException",
    ];
    let worker = message
        .find("worker env ")
        .is_some_and(|at| message[at..].contains(" not found"));
    worker || MARKS.iter().any(|mark| message.contains(mark))
}

/// The request ended in the middle; what it did until then is unknown.
fn says_try_again(message: &str) -> bool {
    const MARKS: [&str; 4] = [
        "Timed out after ",
        "deadline exceeded",
        "Unexpected error",
        "Please try again later or try a faster operation.",
    ];
    MARKS.iter().any(|mark| message.contains(mark))
}

/// A certificate does not become valid by waiting. The TLS library's own type is out of reach; its words are not.
fn is_certificate_problem(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error
            .to_string()
            .to_ascii_lowercase()
            .contains("certificate")
    })
}

/// The value of a Retry-After header: whole seconds or an HTTP date. Anything else says nothing.
pub(super) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let formats = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let date = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())?
        .and_utc();
    Some((date - now).to_std().unwrap_or(Duration::ZERO))
}

fn scaled(asked: Duration, second: Duration) -> Duration {
    second.mul_f64(asked.as_secs_f64().min(1e6))
}

#[cfg(test)]
mod tests {
    use super::super::error::{RequestLine, problem_of};
    use super::*;
    use reqwest::header::HeaderMap;
    use reqwest::{Method, StatusCode};

    fn refused(status: u16, body: &str) -> ApiError {
        let request = RequestLine::new(&Method::POST, "/api/2.0/x", &[]);
        let status = StatusCode::from_u16(status).unwrap();
        ApiError::Refused(Box::new(problem_of(
            request,
            status,
            &HeaderMap::new(),
            body.as_bytes(),
        )))
    }

    fn broken(phase: Phase, why: &str) -> ApiError {
        let request = Box::new(RequestLine::new(&Method::POST, "/api/2.0/x", &[]));
        ApiError::Transport {
            request,
            phase,
            source: why.into(),
        }
    }

    fn tries(error: &ApiError, repeat: Repeat, reached: bool) -> u32 {
        let mut patience = Patience::new(RetryPolicy {
            budget: None,
            ..RetryPolicy::default()
        });
        let waits =
            (0..50).map_while(|_| patience.next(error, repeat, reached, Duration::ZERO, 0.5));
        waits.count() as u32
    }

    #[test]
    fn reads_are_patient_and_writes_repeat_only_what_was_not_done() {
        const FOR_EVER: u32 = 50;
        let worker = "UnknownWorkerEnvironmentException: none";
        for (error, safe, once) in [
            (refused(429, ""), FOR_EVER, FOR_EVER),
            (refused(503, "<html>"), FOR_EVER, FOR_EVER),
            (
                refused(500, r#"{"message":"REQUEST_LIMIT_EXCEEDED"}"#),
                FOR_EVER,
                FOR_EVER,
            ),
            (refused(502, ""), FOR_EVER, 0),
            (refused(504, ""), FOR_EVER, 0),
            (refused(500, ""), 4, 0),
            (refused(400, worker), 4, 4),
            (refused(400, "Timed out after 60 s"), 4, 0),
            (refused(400, ""), 0, 0),
            (refused(501, ""), 0, 0),
            (refused(404, ""), 0, 0),
            (broken(Phase::Waiting, "reset"), FOR_EVER, 0),
            (broken(Phase::Reading, "reset"), FOR_EVER, 0),
            (broken(Phase::Connecting, "refused"), FOR_EVER, FOR_EVER),
            (
                broken(Phase::Connecting, "invalid peer certificate: expired"),
                0,
                0,
            ),
        ] {
            assert_eq!(tries(&error, Repeat::Safe, true), safe, "{error}");
            assert_eq!(tries(&error, Repeat::Unsafe, true), once, "{error}");
        }
    }

    #[test]
    fn a_host_that_never_answered_is_given_up_early() {
        assert_eq!(
            tries(&broken(Phase::Connecting, "refused"), Repeat::Safe, false),
            2
        );
    }

    #[test]
    fn waits_grow_to_a_limit_and_end_with_the_budget() {
        let waits = |spent: u64| {
            let mut patience = Patience::new(RetryPolicy::default());
            let spent = Duration::from_secs(spent);
            let next = || patience.next(&refused(503, ""), Repeat::Safe, true, spent, 0.0);
            std::iter::from_fn(next).collect::<Vec<Duration>>()
        };
        let seconds: Vec<u64> = waits(0).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]);
        let total = waits(0).iter().sum::<Duration>();
        assert!((285..=300).contains(&total.as_secs()), "{total:?}");
        assert_eq!(
            waits(296).len(),
            2,
            "long attempts use the budget up as well"
        );
    }

    #[test]
    fn a_wait_that_the_service_asked_for_is_kept_and_not_begun_beyond_the_budget() {
        let asking = |seconds: &str| {
            let headers =
                HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, seconds.parse().unwrap())]);
            let request = RequestLine::new(&Method::GET, "/x", &[]);
            ApiError::Refused(Box::new(problem_of(
                request,
                StatusCode::TOO_MANY_REQUESTS,
                &headers,
                b"",
            )))
        };
        let wait = |seconds| {
            let mut patience = Patience::new(RetryPolicy::default());
            patience.next(&asking(seconds), Repeat::Unsafe, true, Duration::ZERO, 1.0)
        };
        assert_eq!(wait("30"), Some(Duration::from_millis(30_100)));
        assert_eq!(wait("0"), Some(Duration::from_millis(100)));
        assert_eq!(wait("garbage"), Some(Duration::from_millis(1750)));
        assert_eq!(wait("3000"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2024-01-01T00:00:00Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds(" 7 "), Some(7));
        assert_eq!(seconds("Mon, 01 Jan 2024 00:00:09 GMT"), Some(9));
        assert_eq!(seconds("Monday, 01-Jan-24 00:00:09 GMT"), Some(9));
        assert_eq!(seconds("Mon Jan  1 00:00:09 2024"), Some(9));
        assert_eq!(seconds("Sun, 31 Dec 2023 00:00:00 GMT"), Some(0));
        for garbage in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(seconds(garbage), None, "{garbage}");
        }
    }
}
