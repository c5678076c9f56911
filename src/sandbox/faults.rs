//! How a sandbox misbehaves on request: fixed rules first, dice second.
//!
//! Invariant: the dice depend on the seed, the request and how often it was made, never on what happens beside it, so
//! a run with many requests in flight meets the same faults as a serial one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::state::mix;

/// The share of requests that fail in each way, and the rules that always apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The seed of the dice.
    pub seed: u64,
    /// Share answered 429, with the `Retry-After` variants in turn.
    pub throttled: f64,
    /// Share answered 500 `INTERNAL_ERROR`.
    pub internal: f64,
    /// Share of identity requests answered 500 with a throttling message in the body.
    pub identity_overload: f64,
    /// Share answered 503 with a page of HTML.
    pub unavailable: f64,
    /// Share whose connection breaks in the middle of the answer.
    pub broken: f64,
    /// Share of writes that are applied and never answered.
    pub lost_answers: f64,
    /// After so many faults of the dice in a row, the same request is let through.
    pub in_a_row: u32,
    /// How many reads after a write still see what was there before (permissions, users and groups).
    pub stale_reads: u32,
    /// Share of tables of the Hive metastore that cannot be described.
    pub tables: f64,
    /// Applied before the dice, in order; the first that matches decides.
    pub rules: Vec<Rule>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            seed: 1,
            throttled: 0.0,
            internal: 0.0,
            identity_overload: 0.0,
            unavailable: 0.0,
            broken: 0.0,
            lost_answers: 0.0,
            in_a_row: 3,
            stale_reads: 0,
            tables: 0.0,
            rules: Vec::new(),
        }
    }
}

/// One fixed fault: which requests it meets and what happens to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    method: Option<String>,
    endpoint: String,
    target: Option<String>,
    times: Option<u32>,
    effect: Effect,
}

impl Rule {
    /// A rule for every request whose URL path starts with `endpoint`.
    pub fn new(endpoint: impl Into<String>, effect: Effect) -> Rule {
        Rule {
            method: None,
            endpoint: endpoint.into(),
            target: None,
            times: None,
            effect,
        }
    }

    /// Only for this HTTP method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Rule {
        self.method = Some(method.into());
        self
    }

    /// Only when some parameter (query, or a field of the JSON body) is `target` or a path below it.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Rule {
        self.target = Some(target.into());
        self
    }

    /// Only so many times, then never again.
    #[must_use]
    pub fn times(mut self, times: u32) -> Rule {
        self.times = Some(times);
        self
    }

    fn matches(&self, seen: &Seen<'_>) -> bool {
        self.times != Some(0)
            && self
                .method
                .as_deref()
                .is_none_or(|method| method == seen.method)
            && seen.path.starts_with(&self.endpoint)
            && self.target.as_deref().is_none_or(|target| {
                seen.targets
                    .iter()
                    .any(|value| is_at_or_below(value, target))
            })
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Refused with a status and a standard error body.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// `error_code` of the body.
        code: String,
        /// `message` of the body.
        message: String,
    },
    /// 429 with this `Retry-After`.
    Throttle(RetryAfter),
    /// 500 in the identity API's error shape, with the throttling code only in its text.
    IdentityOverload,
    /// 503 with a page of HTML.
    Unavailable,
    /// 200 with the HTML of a login page, as an expired session answers.
    LoginPage,
    /// 200 with a JSON body cut short.
    InvalidJson,
    /// 401, as when a token has just expired.
    Unauthenticated,
    /// Half of the answer, then the connection breaks.
    Break,
    /// The request is carried out, the connection closes without an answer.
    LoseAnswer,
    /// The answer comes late.
    Delay(Duration),
    /// Half of the answer, and after this time the rest.
    Pause(Duration),
}

impl Effect {
    /// A plain 403, as an object outside one's rights answers.
    pub fn forbidden() -> Effect {
        Effect::Refuse {
            status: 403,
            code: "PERMISSION_DENIED".into(),
            message: "You do not have permission to view this object.".into(),
        }
    }
}

/// The ways a `Retry-After` header comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// No header at all.
    Absent,
    /// Whole seconds.
    Seconds(u32),
    /// An HTTP date a second from now.
    Date,
    /// Something that is neither.
    Garbage,
}

const VARIANTS: [RetryAfter; 5] = [
    RetryAfter::Seconds(0),
    RetryAfter::Absent,
    RetryAfter::Garbage,
    RetryAfter::Date,
    RetryAfter::Seconds(1),
];

/// What the rules look at.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) targets: &'a [String],
    pub(crate) is_identity: bool,
}

/// The faults in force and the memory the dice need.
#[derive(Default)]
pub(crate) struct Mischief {
    pub(crate) faults: Faults,
    attempts: HashMap<u64, Attempts>,
}

#[derive(Default)]
struct Attempts {
    made: u64,
    in_a_row: u32,
}

impl Mischief {
    pub(crate) fn new(faults: Faults) -> Mischief {
        Mischief {
            faults,
            attempts: HashMap::new(),
        }
    }

    /// Whether anything can happen at all; when not, nothing about requests needs to be looked at.
    pub(crate) fn is_quiet(&self) -> bool {
        self.faults.rules.is_empty() && self.chances().iter().all(|(share, _)| *share <= 0.0)
    }

    /// What happens to this request, if anything.
    pub(crate) fn decide(&mut self, seen: &Seen<'_>) -> Option<Effect> {
        if let Some(rule) = self.faults.rules.iter_mut().find(|rule| rule.matches(seen)) {
            rule.times = rule.times.map(|left| left - 1);
            return Some(rule.effect.clone());
        }
        self.roll(seen)
    }

    fn roll(&mut self, seen: &Seen<'_>) -> Option<Effect> {
        let chances = self.chances();
        if chances.iter().all(|(share, _)| *share <= 0.0) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (seen.method, seen.path, seen.query).hash(&mut hasher);
        let request = hasher.finish();
        let attempts = self.attempts.entry(request).or_default();
        attempts.made += 1;
        let number = mix(self.faults.seed ^ request.wrapping_add(attempts.made));
        let chance = (number >> 11) as f64 / (1u64 << 53) as f64;
        let effect = pick(&chances, chance, number, seen)
            .filter(|_| attempts.in_a_row < self.faults.in_a_row);
        attempts.in_a_row = if effect.is_some() {
            attempts.in_a_row + 1
        } else {
            0
        };
        effect
    }

    fn chances(&self) -> [(f64, Kind); 6] {
        let faults = &self.faults;
        [
            (faults.throttled, Kind::Throttled),
            (faults.internal, Kind::Internal),
            (faults.identity_overload, Kind::IdentityOverload),
            (faults.unavailable, Kind::Unavailable),
            (faults.broken, Kind::Broken),
            (faults.lost_answers, Kind::LostAnswer),
        ]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Throttled,
    Internal,
    IdentityOverload,
    Unavailable,
    Broken,
    LostAnswer,
}

fn pick(chances: &[(f64, Kind)], chance: f64, number: u64, seen: &Seen<'_>) -> Option<Effect> {
    let mut below = 0.0;
    let (_, kind) = chances.iter().find(|(share, kind)| {
        let applies = match kind {
            Kind::IdentityOverload => seen.is_identity,
            Kind::LostAnswer => seen.method != "GET",
            _ => true,
        };
        below += if applies { *share } else { 0.0 };
        applies && chance < below
    })?;
    Some(match kind {
        Kind::Throttled => Effect::Throttle(VARIANTS[(number % VARIANTS.len() as u64) as usize]),
        Kind::Internal => Effect::Refuse {
            status: 500,
            code: "INTERNAL_ERROR".into(),
            message: "An internal error occurred.".into(),
        },
        Kind::IdentityOverload => Effect::IdentityOverload,
        Kind::Unavailable => Effect::Unavailable,
        Kind::Broken => Effect::Break,
        Kind::LostAnswer => Effect::LoseAnswer,
    })
}

fn is_at_or_below(value: &str, target: &str) -> bool {
    value
        .strip_prefix(target)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || target.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(path: &'a str, targets: &'a [String]) -> Seen<'a> {
        Seen {
            method: "GET",
            path,
            query: "",
            targets,
            is_identity: false,
        }
    }

    #[test]
    fn the_dice_fall_the_same_way_whatever_happens_beside_them() {
        let faults = Faults {
            throttled: 0.5,
            ..Faults::default()
        };
        let mut alone = Mischief::new(faults.clone());
        let mut beside = Mischief::new(faults);
        let first: Vec<_> = (0..20).map(|_| alone.decide(&seen("/a", &[]))).collect();
        let second: Vec<_> = (0..20)
            .map(|_| {
                beside.decide(&seen("/b", &[]));
                beside.decide(&seen("/a", &[]))
            })
            .collect();
        assert_eq!(first, second);
        assert!(first.iter().any(Option::is_some) && first.iter().any(Option::is_none));
    }

    #[test]
    fn the_same_request_is_let_through_after_enough_faults_in_a_row() {
        let mut mischief = Mischief::new(Faults {
            internal: 1.0,
            in_a_row: 2,
            ..Faults::default()
        });
        let fell: Vec<bool> = (0..6)
            .map(|_| mischief.decide(&seen("/a", &[])).is_some())
            .collect();
        assert_eq!(fell, [true, true, false, true, true, false]);
    }

    #[test]
    fn a_rule_for_a_folder_meets_what_is_below_it_and_not_its_namesakes() {
        let rule = Rule::new("/api/2.0/workspace/", Effect::forbidden()).target("/Users/eve");
        let mut mischief = Mischief::new(Faults {
            rules: vec![rule],
            ..Faults::default()
        });
        let mut met = |target: &str| {
            mischief
                .decide(&seen("/api/2.0/workspace/list", &[target.to_string()]))
                .is_some()
        };
        assert!(met("/Users/eve") && met("/Users/eve/a"));
        assert!(!met("/Users/evelyn"));
    }

    #[test]
    fn a_counted_rule_stops_after_its_last_time() {
        let rule = Rule::new("/a", Effect::Unauthenticated).times(1);
        let mut mischief = Mischief::new(Faults {
            rules: vec![rule],
            ..Faults::default()
        });
        assert_eq!(
            mischief.decide(&seen("/a", &[])),
            Some(Effect::Unauthenticated)
        );
        assert_eq!(mischief.decide(&seen("/a", &[])), None);
    }
}
