//! Throttling as the real service does it: a token bucket per family of endpoints and a limit on requests in flight.

use std::collections::HashMap;
use std::time::Instant;

/// Whether and how a sandbox throttles.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum RateLimits {
    /// Never.
    #[default]
    Off,
    /// With the rates the service documents, and at most 20 requests in flight.
    Documented,
    /// With these rates.
    Custom {
        /// The rates of the families that have one.
        rates: Vec<Rate>,
        /// The most requests in flight at once.
        in_flight: Option<usize>,
    },
}

/// So many requests of a family per second, with as many at once as `burst`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Which endpoints share the bucket.
    pub family: Family,
    /// Tokens added per second.
    pub per_second: f64,
    /// The size of the bucket.
    pub burst: f64,
}

/// Endpoints that share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// `workspace/export` and raw reads of files.
    Export,
    /// `workspace/import` and raw writes of files.
    Import,
    /// Reading permissions.
    PermissionsRead,
    /// Writing permissions.
    PermissionsWrite,
    /// Creating jobs.
    JobsCreate,
    /// Reading users, groups and service principals.
    IdentityRead,
    /// Writing users, groups and service principals.
    IdentityWrite,
    /// Everything else.
    Other,
}

/// The buckets of a running sandbox.
pub(crate) struct Buckets {
    rates: HashMap<Family, Bucket>,
    pub(crate) in_flight: Option<usize>,
}

struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl Buckets {
    pub(crate) fn new(limits: &RateLimits, now: Instant) -> Buckets {
        let (rates, in_flight) = match limits {
            RateLimits::Off => (Vec::new(), None),
            RateLimits::Documented => (documented(), Some(20)),
            RateLimits::Custom { rates, in_flight } => (rates.clone(), *in_flight),
        };
        let rates = rates.into_iter().map(|rate| {
            let Rate {
                family,
                per_second,
                burst,
            } = rate;
            (
                family,
                Bucket {
                    per_second,
                    burst,
                    tokens: burst,
                    filled: now,
                },
            )
        });
        Buckets {
            rates: rates.collect(),
            in_flight,
        }
    }

    /// Takes a token, or says how many seconds to wait for one.
    pub(crate) fn take(&mut self, family: Family, now: Instant) -> Result<(), u32> {
        let Some(bucket) = self.rates.get_mut(&family) else {
            return Ok(());
        };
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * bucket.per_second).min(bucket.burst);
        bucket.filled = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - bucket.tokens) / bucket.per_second).ceil();
        Err(wait.clamp(1.0, 60.0) as u32)
    }
}

/// The published or observed rates, each with a burst of about a second (ten seconds for the slow identity ones).
fn documented() -> Vec<Rate> {
    let rate = |family, per_second: f64, burst| Rate {
        family,
        per_second,
        burst,
    };
    vec![
        rate(Family::Export, 60.0, 60.0),
        rate(Family::Import, 30.0, 30.0),
        rate(Family::PermissionsRead, 100.0, 100.0),
        rate(Family::PermissionsWrite, 30.0, 30.0),
        rate(Family::JobsCreate, 20.0, 20.0),
        rate(Family::IdentityRead, 255.0 / 60.0, 42.0),
        rate(Family::IdentityWrite, 35.0 / 60.0, 10.0),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let start = Instant::now();
        let rates = vec![Rate {
            family: Family::Export,
            per_second: 2.0,
            burst: 2.0,
        }];
        let mut buckets = Buckets::new(
            &RateLimits::Custom {
                rates,
                in_flight: None,
            },
            start,
        );
        assert_eq!(buckets.take(Family::Export, start), Ok(()));
        assert_eq!(buckets.take(Family::Export, start), Ok(()));
        assert_eq!(buckets.take(Family::Export, start), Err(1));
        assert_eq!(buckets.take(Family::Other, start), Ok(()));
        assert_eq!(
            buckets.take(Family::Export, start + Duration::from_millis(500)),
            Ok(())
        );
    }
}
