//! Which runs of experiments: the flag `--runs-since`.
//!
//! Invariant: no runs are read unless somebody said since when; a snapshot without them says so.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use dbsnap::manifest::{Runs, Selection, Snapshot};
use dbsnap::resource::{self, KindName};
use dbsnap::retention::Span;

use super::error::Failure;
use super::settings;

/// Adds to what is selected the runs that the flag or else the settings say.
pub(crate) fn select(
    selection: &mut Selection,
    given: Option<&str>,
    settings: &settings::Backup,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let since = given.or(settings.runs_since.as_deref());
    selection.runs = since.map(|since| window(since, now)).transpose()?;
    let by_time = |name: &&String| resource::kind(name).is_some_and(|kind| kind.is_by_time());
    match selection.only.iter().find(by_time) {
        Some(kind) if selection.runs.is_none() => Err(Failure::usage(format!(
            "the kind {kind} is selected by time"
        ))
        .hint("say since when with --runs-since 90d, or --runs-since all")),
        _ => Ok(()),
    }
}

/// `all`, how long ago, or a day.
fn window(text: &str, now: DateTime<Utc>) -> Result<Runs, Failure> {
    if text == "all" {
        return Ok(Runs::default());
    }
    let at = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let since = text
        .parse::<Span>()
        .map(|span| span.before(now))
        .or_else(|_| text.parse::<NaiveDate>().map(at))
        .or_else(|_| text.parse::<DateTime<Utc>>());
    since.map(|since| Runs { since: Some(since) }).map_err(|_| {
        Failure::usage(format!("--runs-since: `{text}` is no time"))
            .hint("write it like 90d, 6m, 2026-01-31, or all")
    })
}

/// Whether a snapshot has experiments and would have their runs if somebody had said since when.
pub(crate) fn are_missed(snapshot: &Snapshot) -> bool {
    let selection = &snapshot.selection;
    let whole = Selection {
        runs: Some(Runs::default()),
        ..selection.clone()
    };
    let has_experiments =
        (snapshot.kinds.iter()).any(|(name, totals)| name == "experiment" && totals.entries > 0);
    has_experiments && selection.runs.is_none() && whole.covers_kind(&KindName::known("run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(text: &str) -> Option<String> {
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        let runs = window(text, now).unwrap();
        runs.since.map(|since| since.to_rfc3339())
    }

    #[test]
    fn a_window_begins_some_time_ago_or_on_a_day_or_never() {
        assert_eq!(since("90d").unwrap(), "2025-12-31T12:00:00+00:00");
        assert_eq!(since("1m").unwrap(), "2026-02-28T12:00:00+00:00");
        assert_eq!(since("2026-01-31").unwrap(), "2026-01-31T00:00:00+00:00");
        assert_eq!(
            since("2026-01-31T06:00:00+01:00").unwrap(),
            "2026-01-31T05:00:00+00:00"
        );
        assert_eq!(since("all"), None);
    }

    #[test]
    fn what_is_no_time_is_refused_and_so_are_runs_without_one() {
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        for wrong in ["", "yesterday", "90", "31.01.2026"] {
            let refused = window(wrong, now).unwrap_err().render();
            assert!(refused.contains("90d"), "{refused}");
        }
        let mut selection = Selection {
            only: vec!["run".to_owned()],
            ..Selection::default()
        };
        let settings = settings::Backup::default();
        assert!(select(&mut selection, None, &settings, now).is_err());
        let settings = settings::Backup {
            runs_since: Some("2026-01-01".to_owned()),
            ..settings
        };
        select(&mut selection, None, &settings, now).unwrap();
        assert!(selection.runs.clone().unwrap().since.is_some());
        select(&mut selection, Some("all"), &settings, now).unwrap();
        assert_eq!(selection.runs, Some(Runs::default()));
    }
}
