//! What dbsnap can do with a kind, as its table says it.
//!
//! Invariant: everything here follows from the table that export, diff and restore are driven by; nothing is claimed apart.

use super::kind::{Kind, Node, Restore, Source};

/// What dbsnap can do with the objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// Whether they are read into snapshots.
    pub backed_up: Degree,
    /// Whether it is told what changed in them.
    pub diffed: Degree,
    /// Whether they are made again.
    pub restored: Degree,
    /// Whether who may do what with them is kept as well.
    pub permissions: bool,
    /// Why something of this is not or only in part.
    pub why_not: Option<&'static str>,
}

/// How much of something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degree {
    /// All of it.
    Yes,
    /// Some of it.
    InPart,
    /// Nothing.
    No,
}

impl Degree {
    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::InPart => "in part",
            Self::No => "no",
        }
    }
}

/// What is true of all kinds with secret values.
const VALUES: &str =
    "values only with --secret-values, into an encrypted store; others are set by hand";

/// What is true of runs.
const RUNS: &str =
    "only with --runs-since; of each metric the last value, and the others with --metric-history";

/// What is true of files of runs.
const ARTIFACTS: &str = "only with --artifacts; files of experiments that keep them in a bucket or volume of their own, which the workspace does not give out, are gaps";

/// What is true of all kinds with versions.
const VERSIONS: &str = "versions only where they get the number they had, and where the target can read their files, which no snapshot has";

/// What is true of mounts.
const CREDENTIALS: &str =
    "made where an instance profile or service account is enough; others are mounted by hand";

impl Kind {
    /// What dbsnap can do with objects of this kind.
    pub const fn support(&self) -> Support {
        // Of a node without content only that it is there is known, and so only that is compared.
        let read = match self.source {
            Source::Tree(Node::Opaque) | Source::Runs | Source::Artifacts => Degree::InPart,
            _ => Degree::Yes,
        };
        let (restored, why_not) = match (&self.restore, &self.source, &self.fields.elsewhere) {
            (Restore::RecordOnly { why }, ..) => (Degree::No, Some(*why)),
            (Restore::Secrets(_), ..) => (Degree::InPart, Some(VALUES)),
            (Restore::Logged(_), ..) => (Degree::InPart, Some(RUNS)),
            (Restore::Artifact, ..) => (Degree::InPart, Some(ARTIFACTS)),
            (Restore::Versioned(_), ..) => (Degree::InPart, Some(VERSIONS)),
            (_, Source::Placed { .. }, Some(rule)) => (Degree::InPart, Some(rule.why)),
            (Restore::Mount, ..) => (Degree::InPart, Some(CREDENTIALS)),
            _ => (Degree::Yes, None),
        };
        let has_access_list = matches!(self.restore, Restore::Secrets(_));
        Support {
            backed_up: read,
            diffed: read,
            restored,
            permissions: self.permissions.is_some()
                || has_access_list
                || matches!(self.source, Source::Metastore(_)),
            why_not,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{ALL, kind};

    #[test]
    fn what_is_not_done_has_a_reason_and_what_is_done_has_none() {
        for kind in ALL {
            let support = kind.support();
            let all = [support.backed_up, support.diffed, support.restored];
            let is_whole = all.iter().all(|degree| *degree == Degree::Yes);
            assert_eq!(support.why_not.is_none(), is_whole, "{}", kind.name);
        }
    }

    #[test]
    fn a_node_without_content_is_read_in_part_and_a_job_wholly() {
        let opaque = kind("workspace-object").unwrap().support();
        assert_eq!(
            (opaque.backed_up, opaque.restored),
            (Degree::InPart, Degree::No)
        );
        let job = kind("job").unwrap().support();
        assert!(job.permissions);
        assert_eq!((job.backed_up, job.restored), (Degree::Yes, Degree::Yes));
    }
}
