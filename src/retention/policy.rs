//! What somebody wants to keep.
//!
//! Invariant: a policy only says what stays. One that says nothing is refused, and never means "forget everything".

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::Span;

/// The tag of snapshots that no policy forgets. It is given when the snapshot is taken: heads are never changed.
pub const KEEP_TAG: &str = "keep";

/// How long safety snapshots are kept unless somebody says otherwise.
pub const SAFETY_WITHIN: Span = Span::days(30);

/// What is kept. Every rule adds to what the others keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of how many of the newest periods one snapshot is kept. A missing rule and a 0 are the same.
    pub counts: BTreeMap<Period, u32>,
    /// Everything is kept that is not older than this, counted back from the newest snapshot of the workspace.
    pub within: Option<Span>,
    /// The same for the safety snapshots of restores, which the other periods pass over.
    pub safety_within: Span,
    /// Everything with one of these tags is kept.
    pub tags: Vec<String>,
    /// Everything whose id begins with one of these is kept. Such a hold is not a rule: it says nothing of the rest.
    pub ids: Vec<String>,
}

/// A policy that has no rule says nothing about what may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule says what to keep")]
pub struct NoRules;

/// A stretch of time of which one snapshot is kept. In UTC; weeks begin on Monday, as in ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// Every snapshot is a period of its own.
    Snapshot,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week of the ISO calendar.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            within: None,
            safety_within: SAFETY_WITHIN,
            tags: Vec::new(),
            ids: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether anything says what to keep.
    pub fn has_rules(&self) -> bool {
        self.counts.values().any(|count| *count > 0)
            || self.within.is_some_and(|span| !span.is_zero())
            || !self.tags.is_empty()
    }
}

impl Period {
    /// The period that a time lies in, as it is told to people; nothing for snapshots.
    pub(super) fn of(self, time: DateTime<Utc>) -> String {
        let day = time.date_naive();
        match self {
            Self::Snapshot => String::new(),
            Self::Hour => format!("{day} {:02}h", time.hour()),
            Self::Day => day.to_string(),
            Self::Week => {
                let week = day.iso_week();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => format!("{}-{:02}", day.year(), day.month()),
            Self::Year => day.year().to_string(),
        }
    }
}

/// Prints the word for what is kept by it.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshot => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_of_a_day_may_belong_to_another_year() {
        for (time, week) in [
            ("2024-12-29T23:59:59Z", "2024-W52"),
            ("2024-12-30T00:00:00Z", "2025-W01"),
            ("2021-01-03T12:00:00Z", "2020-W53"),
        ] {
            assert_eq!(Period::Week.of(time.parse().unwrap()), week);
        }
    }

    #[test]
    fn holds_and_zeros_are_no_rules() {
        let mut policy = Policy {
            ids: vec!["3f2a".into()],
            within: Some(Span::default()),
            counts: BTreeMap::from([(Period::Day, 0)]),
            ..Policy::default()
        };
        assert!(!policy.has_rules());
        policy.counts.insert(Period::Week, 1);
        assert!(policy.has_rules());
    }
}
