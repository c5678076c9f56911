//! How many requests a second.
//!
//! Invariant: pure; the clock is an argument, and whoever takes out of turn is told how long to wait for it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::family::Family;

/// A rate, and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: f64,
}

/// The rates a client keeps: the documented ones, changed where the user says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    off: bool,
    total: Option<Rate>,
    changed: BTreeMap<Family, Option<Rate>>,
}

/// Why a setting is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// The part before `=` names nothing.
    #[error("there are no requests called `{name}`; there are {known}")]
    UnknownFamily {
        /// What was given.
        name: String,
        /// What would have been understood.
        known: String,
    },
    /// The part after `=` is no rate.
    #[error("`{value}` is not a rate like `30/s`, `200/min` or `off`")]
    NotARate {
        /// What was given.
        value: String,
    },
}

impl Rate {
    /// So many a second, half a second's worth at once.
    pub fn per_second(count: u32) -> Rate {
        Rate::of(f64::from(count))
    }

    /// So many a minute, half a second's worth at once.
    pub fn per_minute(count: u32) -> Rate {
        Rate::of(f64::from(count) / 60.0)
    }

    /// The same rate with so many at once.
    pub fn with_burst(self, burst: u32) -> Rate {
        Rate {
            burst: f64::from(burst.max(1)),
            ..self
        }
    }

    fn of(per_second: f64) -> Rate {
        Rate {
            per_second,
            burst: (per_second / 2.0).max(1.0),
        }
    }
}

impl Rates {
    /// No rate is kept at all; only the number of requests at once is limited.
    pub fn off() -> Rates {
        Rates {
            off: true,
            ..Rates::default()
        }
    }

    /// These rates with the total held to one more.
    pub fn with_total(mut self, rate: Rate) -> Rates {
        self.total = Some(rate);
        self
    }

    /// What `other` says, and these where it says nothing.
    pub fn changed_by(mut self, other: &Rates) -> Rates {
        self.off |= other.off;
        self.total = other.total.or(self.total);
        self.changed
            .extend(other.changed.iter().map(|(family, rate)| (*family, *rate)));
        self
    }

    pub(super) fn of(&self, family: Family) -> Option<Rate> {
        match self.changed.get(&family) {
            Some(rate) => *rate,
            None if self.off => None,
            None => family.documented_rate(),
        }
    }

    pub(super) fn total(&self) -> Option<Rate> {
        self.total
    }
}

impl FromStr for Rates {
    type Err = RatesError;

    /// Reads `off`, `total=30/s`, `permissions-get=200/s`, `scim-get=100/min,export=off`.
    fn from_str(text: &str) -> Result<Rates, RatesError> {
        let mut rates = Rates::default();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let Some((name, value)) = item.split_once('=') else {
                if item != "off" {
                    return Err(RatesError::NotARate {
                        value: item.to_owned(),
                    });
                }
                rates.off = true;
                continue;
            };
            let rate = rate_of(value.trim())?;
            match name.trim() {
                "total" => rates.total = rate,
                name => {
                    let family = Family::ALL.into_iter().find(|family| family.name() == name);
                    rates
                        .changed
                        .insert(family.ok_or_else(|| unknown(name))?, rate);
                }
            }
        }
        Ok(rates)
    }
}

fn rate_of(value: &str) -> Result<Option<Rate>, RatesError> {
    if value == "off" {
        return Ok(None);
    }
    let not_a_rate = || RatesError::NotARate {
        value: value.to_owned(),
    };
    let (count, unit) = value.split_once('/').unwrap_or((value, "s"));
    let count: f64 = count.trim().parse().map_err(|_| not_a_rate())?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        _ => return Err(not_a_rate()),
    };
    // Less than one in a quarter of an hour is a typing error, and so is a rate nothing could reach.
    if !(0.001..=1e6).contains(&(count / seconds)) {
        return Err(not_a_rate());
    }
    Ok(Some(Rate::of(count / seconds)))
}

fn unknown(name: &str) -> RatesError {
    let known = Family::ALL.map(Family::name).join(", ");
    RatesError::UnknownFamily {
        name: name.to_owned(),
        known: format!("{known} and total"),
    }
}

/// A token bucket that lends: it goes below zero and tells the borrower how long to wait.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: f64,
    updated: Instant,
    paused_until: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            rate,
            level: rate.burst,
            updated: now,
            paused_until: None,
        }
    }

    /// Takes one and tells how long to wait before using it.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.updated).as_secs_f64();
        self.level = (self.level + since * self.rate.per_second).min(self.rate.burst) - 1.0;
        self.updated = self.updated.max(now);
        let for_rate = Duration::from_secs_f64((-self.level).max(0.0) / self.rate.per_second);
        let for_pause = self
            .paused_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        for_rate.max(for_pause)
    }

    pub(super) fn pause_until(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_keeps_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::per_second(10).with_burst(3), now);
        let waits: Vec<u128> = (0..6).map(|_| bucket.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        assert_eq!(bucket.take(now + Duration::from_millis(400)).as_millis(), 0);
        let later = now + Duration::from_secs(60);
        let waits: Vec<u128> = (0..4).map(|_| bucket.take(later).as_millis()).collect();
        assert_eq!(
            waits,
            [0, 0, 0, 100],
            "an idle bucket never holds more than its burst"
        );
    }

    #[test]
    fn reading_users_may_burst_and_averages_255_a_minute() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Family::ScimGet.documented_rate().unwrap(), now);
        let waits: Vec<f64> = (0..60 + 255)
            .map(|_| bucket.take(now).as_secs_f64())
            .collect();
        assert_eq!(waits[59], 0.0);
        assert!((waits[60 + 254] - 60.0).abs() < 0.01);
    }

    #[test]
    fn a_paused_bucket_waits_for_the_end_of_the_pause() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::per_second(10), now);
        bucket.pause_until(now + Duration::from_secs(5));
        bucket.pause_until(now + Duration::from_secs(2));
        assert_eq!(bucket.take(now).as_secs(), 5);
        assert_eq!(bucket.take(now + Duration::from_secs(6)), Duration::ZERO);
    }

    #[test]
    fn settings_change_single_rates() {
        let rates: Rates = "permissions-get=200/s, scim-get=90/min,export=off,total=30"
            .parse()
            .unwrap();
        assert_eq!(
            rates.of(Family::PermissionsGet),
            Some(Rate::per_second(200))
        );
        assert_eq!(rates.of(Family::ScimGet), Some(Rate::per_minute(90)));
        assert_eq!(rates.of(Family::Export), None);
        assert_eq!(rates.of(Family::Import), Family::Import.documented_rate());
        assert_eq!(rates.total(), Some(Rate::per_second(30)));

        let rates: Rates = "off,import=5/s".parse().unwrap();
        assert_eq!(rates.of(Family::Import), Some(Rate::per_second(5)));
        assert_eq!(rates.of(Family::Export), None);
        assert_eq!(Rates::default().changed_by(&rates), rates);
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_names_that_are() {
        for text in [
            "fast",
            "export=",
            "export=0/s",
            "export=-1/s",
            "export=1/h",
            "export=NaN",
            "total=1e9/s",
        ] {
            assert!(
                matches!(text.parse::<Rates>(), Err(RatesError::NotARate { .. })),
                "{text}"
            );
        }
        let error = "exports=1/s".parse::<Rates>().unwrap_err().to_string();
        assert!(
            error.contains("`exports`") && error.contains("permissions-get"),
            "{error}"
        );
    }
}
