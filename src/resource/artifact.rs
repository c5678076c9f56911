//! What files of runs are called, and where their bytes are.
//!
//! Invariant: two slashes in a row are in no path of the workspace tree and no path of a file, so that a name falls apart
//! into run and file in one way only.

use super::kind::{Kind, Source};
use super::kinds::ALL;

/// What stands between the name of a run and the path of one of its files.
const BETWEEN: &str = "//";

/// The kind of files of runs.
pub fn artifact_kind() -> &'static Kind {
    let kind = ALL.iter().find(|kind| kind.is_artifact());
    kind.expect("files of runs are registered")
}

/// The name of a file of a run. Without a path it stands for all files of the run.
pub fn artifact_name(run: &str, path: &str) -> String {
    format!("{run}{BETWEEN}{path}")
}

/// The name of the run in the name of one of its files; another name is the run's itself.
pub fn run_of(name: &str) -> &str {
    name.split_once(BETWEEN).map_or(name, |(run, _)| run)
}

/// Where the files of a run are, by what the service says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactPlace {
    /// In storage that the tracking service keeps for itself, and to which it signs addresses.
    Tracking,
    /// In this folder of the DBFS.
    Dbfs(String),
    /// In storage that the workspace does not give out.
    Elsewhere,
}

impl ArtifactPlace {
    /// The place that an `artifact_uri` means.
    pub fn of(uri: &str) -> Self {
        let path = uri.strip_prefix("dbfs:").unwrap_or_default();
        let path = path.trim_end_matches('/');
        if path.starts_with("/databricks/mlflow-tracking/") {
            return Self::Tracking;
        }
        match path.starts_with('/') && !path.starts_with(BETWEEN) && !is_volume(path) {
            true => Self::Dbfs(path.to_owned()),
            false => Self::Elsewhere,
        }
    }
}

fn is_volume(path: &str) -> bool {
    path == "/Volumes" || path.starts_with("/Volumes/")
}

impl Kind {
    /// Whether objects of the kind are files of runs.
    pub const fn is_artifact(&self) -> bool {
        matches!(self.source, Source::Artifacts)
    }

    /// Whether the content of an object may be left out because it is too long.
    pub const fn may_be_left_out(&self) -> bool {
        self.is_dbfs_file() || self.is_artifact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_its_run() {
        let run = "/Shared/x/2026-08-01T00:00:00.000Z 0123";
        assert_eq!(run_of(&artifact_name(run, "model/a//b")), run);
        assert_eq!(run_of(&artifact_name(run, "")), run);
        assert_eq!(run_of(run), run);
    }

    #[test]
    fn only_what_the_workspace_gives_out_has_a_place() {
        let dbfs = |path: &str| ArtifactPlace::Dbfs(path.to_owned());
        for (uri, place) in [
            (
                "dbfs:/databricks/mlflow-tracking/1/2/artifacts",
                ArtifactPlace::Tracking,
            ),
            (
                "dbfs:/databricks/mlflow/1/2/artifacts/",
                dbfs("/databricks/mlflow/1/2/artifacts"),
            ),
            ("dbfs:/ml/1/2/artifacts", dbfs("/ml/1/2/artifacts")),
            (
                "dbfs:/Volumes/a/b/c/1/2/artifacts",
                ArtifactPlace::Elsewhere,
            ),
            ("dbfs://profile@databricks/ml/1", ArtifactPlace::Elsewhere),
            ("s3://bucket/1/2/artifacts", ArtifactPlace::Elsewhere),
            ("/dbfs/ml", ArtifactPlace::Elsewhere),
            ("", ArtifactPlace::Elsewhere),
        ] {
            assert_eq!(ArtifactPlace::of(uri), place, "{uri}");
        }
    }
}
