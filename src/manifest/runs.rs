//! Which runs of experiments a selection has: those that began in a window of time.
//!
//! Invariant: the name of a run says when it began, so that nothing but the name is needed to tell.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::resource::run_of;

/// A window of time without an end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runs {
    /// Only those that began at this time or later; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Of each metric all values it ever had, and not only the last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub metric_history: bool,
    /// The files they have written as well; none of them where that was not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Artifacts>,
}

/// Which files of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifacts {
    /// Of longer ones only that they are there; none: all whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_file_size: Option<u64>,
}

impl Artifacts {
    fn includes(&self, other: &Self) -> bool {
        match (self.max_file_size, other.max_file_size) {
            (None, _) => true,
            (Some(own), Some(of)) => own >= of,
            (Some(_), None) => false,
        }
    }
}

impl Runs {
    /// All runs with all that they measured and all their files.
    pub fn all() -> Self {
        Self {
            since: None,
            metric_history: true,
            artifacts: Some(Artifacts::default()),
        }
    }

    /// What a run is called that belongs to an experiment, began at a time in milliseconds since 1970, and has this id.
    pub fn name(experiment: &str, began: i64, id: &str) -> String {
        let began = DateTime::from_timestamp_millis(began).unwrap_or_default();
        let began = began.to_rfc3339_opts(SecondsFormat::Millis, true);
        format!("{experiment}/{began} {id}")
    }

    /// The id in the name of a run.
    pub fn id_in(name: &str) -> Option<&str> {
        Some(name.rsplit_once('/')?.1.split_once(' ')?.1)
    }

    /// Whether a run of this name is selected, or a file of it. Of a name that tells no time it is taken to be.
    pub fn covers(&self, name: &str) -> bool {
        let began = || {
            let (began, _) = run_of(name).rsplit_once('/')?.1.split_once(' ')?;
            DateTime::parse_from_rfc3339(began).ok()
        };
        match (self.since, began()) {
            (Some(since), Some(began)) => began >= since,
            _ => true,
        }
    }

    /// Whether everything that `other` selects is selected.
    pub fn includes(&self, other: &Self) -> bool {
        let artifacts = match (&self.artifacts, &other.artifacts) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(of)) => own.includes(of),
        };
        let window = match (self.since, other.since) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(of)) => own <= of,
        };
        let history = self.metric_history || !other.metric_history;
        artifacts && window && history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_run_tells_whether_a_window_has_it() {
        let name = Runs::name("/Shared/a b/x", 1_785_542_400_123, "0123abcd");
        assert_eq!(name, "/Shared/a b/x/2026-08-01T00:00:00.123Z 0123abcd");
        assert_eq!(Runs::id_in(&name), Some("0123abcd"));
        let since = |time: &str| Runs {
            since: Some(time.parse().unwrap()),
            ..Runs::default()
        };
        assert!(since("2026-08-01T00:00:00.123Z").covers(&name));
        assert!(!since("2026-08-01T00:00:00.124Z").covers(&name));
        assert!(Runs::default().covers(&name));
        let file = crate::resource::artifact_name(&name, "plots/roc.png");
        assert!(since("2026-08-01T00:00:00.123Z").covers(&file));
        assert!(!since("2026-08-01T00:00:00.124Z").covers(&file));
        assert!(since("2026-08-01T00:00:00Z").covers("/Shared/what is no run"));
    }

    #[test]
    fn a_window_has_everything_of_one_that_begins_later() {
        let since = |day: u32| Runs {
            since: Some(format!("2026-08-{day:02}T00:00:00Z").parse().unwrap()),
            ..Runs::default()
        };
        assert!(since(1).includes(&since(2)) && since(1).includes(&since(1)));
        assert!(!since(2).includes(&since(1)));
        assert!(Runs::default().includes(&since(1)) && !since(1).includes(&Runs::default()));
    }

    #[test]
    fn runs_with_longer_files_or_histories_have_those_with_shorter_ones_or_none() {
        let files = |max_file_size| Runs {
            since: None,
            artifacts: Some(Artifacts { max_file_size }),
            ..Runs::default()
        };
        assert!(files(None).includes(&files(Some(2))) && !files(Some(2)).includes(&files(None)));
        assert!(
            files(Some(2)).includes(&files(Some(1))) && !files(Some(1)).includes(&files(Some(2)))
        );
        assert!(files(Some(1)).includes(&Runs::default()));
        assert!(!Runs::default().includes(&files(Some(1))));
        let history = Runs {
            metric_history: true,
            ..Runs::default()
        };
        assert!(history.includes(&Runs::default()) && !Runs::default().includes(&history));
    }
}
