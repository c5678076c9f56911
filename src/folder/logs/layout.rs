//! Where the older tool puts what, and how its directory is told from any other.
//!
//! Invariant: every name at the top of an export is in the table or unknown, and what is unknown is named.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::lines::{Lines, object};

/// What a file or directory at the top of an export is to an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Objects, in a file.
    Data,
    /// Objects, in a directory.
    Folder,
    /// Nothing of the workspace; why.
    Aside(&'static str),
    /// Objects of a kind that imports do not take; what it is called.
    NotTaken(&'static str),
}

const PRODUCT: &str = "made by an import into another workspace";
const RUN: &str = "how the older tool's run went";

/// The names the older tool uses. A star stands for any text.
const NAMES: &[(&str, What)] = &[
    ("source_info.txt", What::Data),
    ("users.log", What::Data),
    ("groups", What::Folder),
    ("instance_profiles.log", What::Data),
    ("instance_pools.log", What::Data),
    ("cluster_policies.log", What::Data),
    ("acl_cluster_policies.log", What::Data),
    ("clusters.log", What::Data),
    ("skipped_clusters.log", What::Data),
    ("acl_clusters.log", What::Data),
    ("attached_cluster_libs.log", What::Data),
    ("jobs.log", What::Data),
    ("acl_jobs.log", What::Data),
    ("user_workspace.log", What::Data),
    ("user_dirs.log", What::Data),
    ("libraries.log", What::Data),
    ("repos.log", What::Data),
    ("acl_notebooks.log", What::Data),
    ("acl_directories.log", What::Data),
    ("acl_repos.log", What::Data),
    ("artifacts", What::Folder),
    ("user_exports", What::Folder),
    ("secret_scopes", What::Folder),
    ("secret_scopes_acls.log", What::Data),
    ("database_details.log", What::Data),
    ("metastore", What::Folder),
    ("metastore_views", What::Folder),
    ("table_acls", What::Folder),
    ("app_logs", What::Folder),
    ("checkpoint", What::Folder),
    ("failed_*.log", What::Data),
    ("single_user.log", What::Aside("one of the users")),
    ("success_metastore.log", What::Data),
    ("lib_details.log", What::Data),
    ("dbfs_mounts.log", What::Data),
    ("mlflow_experiments.log", What::Data),
    ("mlflow_experiments_acls.log", What::Data),
    ("mlflow_runs.db", What::Data),
    ("mlflow_runs.db-journal", What::Data),
    (
        "ml_run_artifacts",
        What::NotTaken("artifacts of MLflow runs"),
    ),
    ("mlflow_*_id_map.log", What::Aside(PRODUCT)),
    ("user_name_to_user_id.log", What::Aside(PRODUCT)),
    ("cluster_ids_to_change_creator.log", What::Aside(PRODUCT)),
    ("original_creator_user_ids.log", What::Aside(PRODUCT)),
    ("job_id_map.log", What::Aside(PRODUCT)),
    ("repair_tables.log", What::Aside(PRODUCT)),
    ("notebook_changes.log", What::Aside(PRODUCT)),
    ("success_ws_import.log", What::Aside(PRODUCT)),
    ("tmp_ddl.txt", What::Aside("a scratch file")),
    ("pipeline_steps.log", What::Aside(RUN)),
    ("validation.log", What::Aside(RUN)),
];

/// What a name at the top is; none if the older tool does not use it.
pub(super) fn what(name: &str) -> Option<What> {
    let fits = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => pattern == name,
    };
    let known = NAMES.iter().find(|(pattern, _)| fits(pattern));
    known.map(|(_, what)| *what)
}

/// Files of which one line tells that the older tool wrote them: the fields that such a line has.
const EVIDENCE: &[(&str, &[&str])] = &[
    ("users.log", &["userName"]),
    ("instance_profiles.log", &["instance_profile_arn"]),
    ("instance_pools.log", &["instance_pool_id"]),
    ("cluster_policies.log", &["policy_id"]),
    ("clusters.log", &["cluster_id", "cluster_name"]),
    ("jobs.log", &["job_id", "settings"]),
    ("user_workspace.log", &["path", "object_id"]),
    ("user_dirs.log", &["path", "object_id"]),
    ("acl_notebooks.log", &["access_control_list"]),
    ("database_details.log", &["Location"]),
    ("secret_scopes_acls.log", &["scope_name"]),
    ("dbfs_mounts.log", &["source"]),
    ("mlflow_experiments.log", &["experiment_id", "name"]),
];

/// The longest first line that is looked at.
const LONGEST_EVIDENCE: u64 = 1 << 20;

/// What a directory turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// A directory of notebooks and files.
    Plain,
    /// There are such exports in it, by these names, and other things as well.
    Around(Vec<String>),
    /// An export of the older tool.
    Export(PathBuf),
    /// The base directory of several such exports, by these names.
    Several(Vec<String>),
    /// There is something of an export, and more that is not.
    Unclear {
        /// What looks like an export.
        like: String,
        /// How many names there the older tool does not use.
        strange: usize,
    },
}

/// Finds out whether a directory is what the older tool writes: its files, or one directory of them.
pub fn recognise(directory: &Path) -> io::Result<Recognised> {
    let found = Found::look(directory)?;
    if let Some(like) = found.evidence {
        return Ok(match found.strange > found.known {
            true => Recognised::Unclear {
                like,
                strange: found.strange,
            },
            false => Recognised::Export(directory.to_owned()),
        });
    }
    let mut sessions = Vec::new();
    for name in &found.directories {
        let below = Found::look(&directory.join(name));
        let is_session = |found: Found| found.evidence.is_some() && found.strange <= found.known;
        if below.is_ok_and(is_session) {
            sessions.push(name.clone());
        }
    }
    sessions.sort_unstable();
    let others = found.known + found.strange - sessions.len();
    Ok(match (sessions.as_slice(), others) {
        ([], _) => Recognised::Plain,
        ([one], 0) => Recognised::Export(directory.join(one)),
        (_, 0) => Recognised::Several(sessions),
        _ => Recognised::Around(sessions),
    })
}

/// What is at the top of a directory.
#[derive(Default)]
struct Found {
    known: usize,
    strange: usize,
    evidence: Option<String>,
    directories: Vec<String>,
}

impl Found {
    fn look(directory: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            match what(name) {
                Some(_) => found.known += 1,
                None => found.strange += 1,
            }
            if entry.file_type()?.is_dir() {
                found.directories.push(name.to_owned());
            }
        }
        let of = |(name, fields): &&(&str, &[&str])| has_line(&directory.join(name), fields);
        found.evidence = EVIDENCE.iter().find(of).map(|(name, _)| (*name).to_owned());
        Ok(found)
    }
}

/// Whether the first line of a file is an object with these fields.
fn has_line(path: &Path, fields: &[&str]) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let first = || {
        let file = File::open(path).ok()?.take(LONGEST_EVIDENCE);
        object(&Lines::new("", file).next()?.text.ok()?).ok()
    };
    is_file && first().is_some_and(|line| fields.iter().all(|field| !line[*field].is_null()))
}

/// A name at the top of an export.
pub(super) struct Top {
    pub(super) name: String,
    pub(super) is: FileType,
    pub(super) what: Option<What>,
    /// A file without content.
    pub(super) is_empty: bool,
}

/// Everything at the top, in order of names.
pub(super) fn top(directory: &Path) -> io::Result<Vec<Top>> {
    let mut top = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let metadata = entry.metadata();
        top.push(Top {
            is_empty: metadata.is_ok_and(|of| of.is_file() && of.len() == 0),
            is: entry.file_type()?,
            what: name.to_str().and_then(what),
            name: name.to_string_lossy().into_owned(),
        });
    }
    top.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(top)
}
