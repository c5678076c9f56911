//! Which runs of experiments, and how much of them: the flags `--runs-since`, `--metric-history`,
//! `--artifacts` and `--artifacts-max-file-size`.
//!
//! Invariant: no runs are read unless somebody said since when, and no files of them unless somebody asked for them; a
//! snapshot without them says so.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use dbsnap::manifest::{Artifacts, Runs, Selection, Snapshot};
use dbsnap::resource::{self, Kind, KindName, artifact_kind};
use dbsnap::retention::Span;

use super::error::Failure;
use super::quantity;
use super::settings;

/// Flags of commands that read runs.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Selection")]
pub(crate) struct RunsArgs {
    /// Include the runs of experiments that began since: an age (90d, 6m), a day (2026-01-31), or `all`
    #[arg(long, value_name = "TIME", alias = "start-date")]
    runs_since: Option<String>,

    /// With these runs all values of their metrics, and not only the last ones: one call for each metric of each run
    #[arg(long)]
    metric_history: bool,

    /// With these runs the files they have written (models, plots, tables)
    #[arg(long)]
    artifacts: bool,

    /// Of files of runs that are longer, keep only that they are there (`100M`, `2G`) [default: no limit]
    #[arg(long, value_name = "SIZE")]
    artifacts_max_file_size: Option<String>,
}

impl RunsArgs {
    /// Adds to what is selected the runs, and their files, that the flags or else the settings say.
    pub(crate) fn select(
        &self,
        settings: &settings::Backup,
        selection: &mut Selection,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        let since = self.runs_since.as_ref().or(settings.runs_since.as_ref());
        selection.runs = since.map(|since| window(since, now)).transpose()?;
        let artifacts = self.artifacts(settings)?;
        let history = self.metric_history || settings.metric_history.unwrap_or_default();
        let named = |fits: fn(&Kind) -> bool| {
            let fits = |name: &&String| resource::kind(name).is_some_and(fits);
            selection.only.iter().find(fits)
        };
        let Some(runs) = &mut selection.runs else {
            let hint = "say since when with --runs-since 90d, or --runs-since all";
            let why = match (named(Kind::is_by_time), artifacts) {
                (Some(kind), _) => format!("the kind {kind} is selected by time"),
                (None, Some(_)) => {
                    "--artifacts is about files of runs that are selected by time".to_owned()
                }
                (None, None) if self.metric_history => {
                    "--metric-history is about runs that are selected by time".to_owned()
                }
                (None, None) => return Ok(()),
            };
            return Err(Failure::usage(why).hint(hint));
        };
        if let (Some(kind), None) = (named(Kind::is_artifact), &artifacts) {
            return Err(
                Failure::usage(format!("the kind {kind} is read only on request"))
                    .hint("ask for files of runs with --artifacts"),
            );
        }
        runs.metric_history = history;
        runs.artifacts = artifacts;
        let is_left_out = selection.artifacts().is_some()
            && !selection.covers_kind(&KindName::known(artifact_kind().name));
        match (is_left_out, &mut selection.runs) {
            (true, _) if self.artifacts => Err(Failure::usage(
                "--artifacts asks for files that --only or --skip leave out",
            )
            .hint("name the kind run-artifacts too, or leave --artifacts out")),
            (true, Some(runs)) => {
                // The settings are about the usual run, and this is one of a part.
                runs.artifacts = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn artifacts(&self, settings: &settings::Backup) -> Result<Option<Artifacts>, Failure> {
        if !self.artifacts && !settings.artifacts.unwrap_or_default() {
            return match self.artifacts_max_file_size {
                Some(_) => Err(Failure::usage(
                    "--artifacts-max-file-size goes with --artifacts",
                )),
                None => Ok(None),
            };
        }
        let longest = self.artifacts_max_file_size.as_ref();
        let longest = longest.or(settings.artifacts_max_file_size.as_ref());
        let bytes = |text: &String| {
            let failed = |why| Failure::usage(format!("--artifacts-max-file-size: {why}"));
            quantity::bytes(text).map_err(failed)
        };
        let max_file_size = longest.map(bytes).transpose()?;
        Ok(Some(Artifacts { max_file_size }))
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
    since
        .map(|since| Runs {
            since: Some(since),
            ..Runs::default()
        })
        .map_err(|_| {
            Failure::usage(format!("--runs-since: `{text}` is no time"))
                .hint("write it like 90d, 6m, 2026-01-31, or all")
        })
}

/// Whether a snapshot has runs and would have their files if somebody had asked for them.
pub(crate) fn lack_files(snapshot: &Snapshot) -> bool {
    let whole = Selection {
        runs: Some(Runs::all()),
        ..snapshot.selection.clone()
    };
    let has_runs =
        (snapshot.kinds.iter()).any(|(name, totals)| name == "run" && totals.entries > 0);
    let kind = KindName::known(artifact_kind().name);
    has_runs && snapshot.selection.artifacts().is_none() && whole.covers_kind(&kind)
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

    fn select(
        args: &RunsArgs,
        only: &[&str],
        settings: settings::Backup,
    ) -> Result<Option<Runs>, String> {
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        let mut selection = Selection {
            only: only.iter().map(ToString::to_string).collect(),
            ..Selection::default()
        };
        let selected = args.select(&settings, &mut selection, now);
        selected.map_err(|failure| failure.render())?;
        Ok(selection.runs)
    }

    fn args(since: Option<&str>, artifacts: bool, longest: Option<&str>) -> RunsArgs {
        RunsArgs {
            runs_since: since.map(str::to_owned),
            artifacts,
            artifacts_max_file_size: longest.map(str::to_owned),
            metric_history: false,
        }
    }

    #[test]
    fn what_is_no_time_is_refused_and_so_are_runs_without_one() {
        let now = "2026-03-31T12:00:00Z".parse().unwrap();
        for wrong in ["", "yesterday", "90", "31.01.2026"] {
            let refused = window(wrong, now).unwrap_err().render();
            assert!(refused.contains("90d"), "{refused}");
        }
        let none = args(None, false, None);
        assert!(select(&none, &["run"], settings::Backup::default()).is_err());
        let settings = settings::Backup {
            runs_since: Some("2026-01-01".to_owned()),
            ..settings::Backup::default()
        };
        let runs = select(&none, &["run"], settings.clone()).unwrap();
        assert!(runs.unwrap().since.is_some());
        let all = args(Some("all"), false, None);
        assert_eq!(select(&all, &["run"], settings), Ok(Some(Runs::default())));
    }

    #[test]
    fn files_of_runs_come_with_runs_and_a_flag_outranks_the_settings() {
        let set = || settings::Backup {
            runs_since: Some("all".to_owned()),
            artifacts: Some(true),
            artifacts_max_file_size: Some("1M".to_owned()),
            ..settings::Backup::default()
        };
        let longest = |runs: Option<Runs>| runs.unwrap().artifacts.map(|files| files.max_file_size);
        let none = args(None, false, None);
        assert_eq!(
            longest(select(&none, &[], set()).unwrap()),
            Some(Some(1 << 20))
        );
        let flag = args(None, true, Some("2G"));
        assert_eq!(
            longest(select(&flag, &[], set()).unwrap()),
            Some(Some(2 << 30))
        );
        assert_eq!(longest(select(&none, &["run"], set()).unwrap()), None);
        let plain = settings::Backup::default;
        assert_eq!(
            longest(select(&args(Some("all"), true, None), &[], plain()).unwrap()),
            Some(None)
        );
    }

    #[test]
    fn files_that_cannot_be_meant_are_refused_with_what_to_do() {
        let refused = |args: &RunsArgs, only: &[&str]| {
            select(args, only, settings::Backup::default()).unwrap_err()
        };
        assert!(refused(&args(None, true, None), &[]).contains("--runs-since 90d"));
        let history = RunsArgs {
            metric_history: true,
            ..RunsArgs::default()
        };
        assert!(refused(&history, &[]).contains("--runs-since 90d"));
        let size = args(Some("all"), false, Some("1M"));
        assert!(refused(&size, &[]).contains("goes with --artifacts"));
        assert!(refused(&args(Some("all"), true, Some("big")), &[]).contains("`big` is no size"));
        let without = args(Some("all"), false, None);
        assert!(refused(&without, &["run-artifact"]).contains("with --artifacts"));
        assert!(refused(&args(Some("all"), true, None), &["run"]).contains("leave out"));
    }
}
