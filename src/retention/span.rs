//! How long ago: `30d`, `1y6m`.
//!
//! Invariant: a month is a month of the calendar, whatever its length; nothing is rounded to days.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde::Deserialize;

/// The units, largest first. `m` is a month: retention knows no minutes.
const UNITS: [char; 5] = ['y', 'm', 'w', 'd', 'h'];

/// A time span in years, months, weeks, days and hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span([u32; 5]);

/// The text is no time span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time span such as 30d, 12h or 1y6m (y years, m months, w weeks, d days, h hours)"
)]
pub struct ParseSpanError(String);

impl Span {
    /// So many days.
    pub const fn days(days: u32) -> Self {
        Self([0, 0, 0, days, 0])
    }

    /// Whether it is no time at all.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 5]
    }

    /// The time that lies this long before `end`; the beginning of all time, if it would lie before that.
    pub fn before(&self, end: DateTime<Utc>) -> DateTime<Utc> {
        let [years, months, weeks, days, hours] = self.0;
        let months = years.saturating_mul(12).saturating_add(months);
        let days = i64::from(weeks) * 7 + i64::from(days);
        let rest = TimeDelta::try_days(days)
            .and_then(|days| days.checked_add(&TimeDelta::hours(hours.into())));
        end.checked_sub_months(Months::new(months))
            .zip(rest)
            .and_then(|(start, rest)| start.checked_sub_signed(rest))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

/// Prints what can be parsed.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0d");
        }
        let parts = self.0.iter().zip(UNITS).filter(|(number, _)| **number > 0);
        parts
            .into_iter()
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        parse(text).ok_or_else(|| ParseSpanError(text.to_owned()))
    }
}

impl TryFrom<String> for Span {
    type Error = ParseSpanError;

    fn try_from(text: String) -> Result<Self, ParseSpanError> {
        text.parse()
    }
}

/// Every unit at most once, the larger before the smaller.
fn parse(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let mut units = UNITS.iter().enumerate();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[end..].chars().next()?;
        let (place, _) = units.find(|(_, known)| **known == unit)?;
        span.0[place] = rest[..end].parse().ok()?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn spans_are_counted_on_the_calendar() {
        for (span, end, start) in [
            ("30d", "2024-03-01T12:00:00Z", "2024-01-31T12:00:00Z"),
            ("1m", "2024-03-31T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("1y6m", "2024-03-31T00:00:00Z", "2022-09-30T00:00:00Z"),
            ("1w2d3h", "2024-01-10T03:00:00Z", "2024-01-01T00:00:00Z"),
            ("0d", "2024-01-10T03:00:00Z", "2024-01-10T03:00:00Z"),
        ] {
            let parsed: Span = span.parse().unwrap();
            assert_eq!(parsed.before(time(end)), time(start), "{span}");
            assert_eq!(parsed.to_string(), span);
        }
    }

    #[test]
    fn a_span_longer_than_time_reaches_back_to_its_beginning() {
        for span in ["4294967295y", "4294967295w", "400000y"] {
            let start = span.parse::<Span>().unwrap().before(DateTime::UNIX_EPOCH);
            assert_eq!(start, DateTime::<Utc>::MIN_UTC, "{span}");
        }
    }

    #[test]
    fn text_that_is_no_span_is_refused() {
        for text in [
            "",
            "30",
            "d",
            "30 d",
            "30D",
            "-1d",
            "1d1d",
            "1d1y",
            "4294967296d",
            "1s",
            "1é",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
