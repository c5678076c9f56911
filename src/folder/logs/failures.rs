//! What the older tool says it could not read.
//!
//! Invariant: every line that records a failure of an export ends as a gap: of the object that it names, else of the kind.

use std::collections::HashMap;

use serde_json::Value;

use super::ImportError;
use super::book::{Book, unread};
use super::files::{Export, list};
use super::lines::{Line, Lines, Spot, failure, object};
use crate::manifest::Extent;
use crate::resource::{KindName, ObjectKey, kind};

/// What the files of failures are about: the older tool's word, our kind, and how much is unknown.
const ABOUT: &[(&str, &str, Extent)] = &[
    ("users", "user", Extent::Object),
    ("groups", "group", Extent::Object),
    ("instance_profiles", "instance-profile", Extent::Object),
    ("instance_pools", "instance-pool", Extent::Object),
    ("clusters", "cluster", Extent::Object),
    ("jobs", "job", Extent::Object),
    ("acl_jobs", "job", Extent::Permissions),
    ("notebooks", "notebook", Extent::Object),
    ("notebook_paths", "directory", Extent::Object),
    ("workspace_item_log", "directory", Extent::Object),
    ("directories", "directory", Extent::Object),
    ("repos", "git-folder", Extent::Object),
    ("acl_notebooks", "notebook", Extent::Permissions),
    ("acl_directories", "directory", Extent::Permissions),
    ("acl_repos", "git-folder", Extent::Permissions),
    ("secrets", "secret-scope", Extent::Object),
    ("metastore", "table", Extent::Object),
    ("metastore_acl", "table", Extent::Permissions),
    ("mlflow_experiments", "experiment", Extent::Object),
    (
        "mlflow_experiments_permissions",
        "experiment",
        Extent::Permissions,
    ),
    ("mlflow_runs", "run", Extent::Object),
];

/// Files about imports into another workspace, which say nothing of this one.
const OF_IMPORTS: &[&str] = &["ws_import", "repair_tables"];

/// The tasks of an export as the older tool's checkpoint names them, and the kinds they are about.
const TASKS: &[(&str, &[&str])] = &[
    ("export_instance_profiles", &["instance-profile"]),
    ("export_users", &["user"]),
    ("export_groups", &["group"]),
    (
        "export_workspace_items_log",
        &["directory", "notebook", "git-folder"],
    ),
    ("export_notebooks", &["notebook"]),
    ("export_secrets", &["secret-scope"]),
    ("export_clusters", &["cluster", "cluster-policy"]),
    ("export_instance_pools", &["instance-pool"]),
    ("export_jobs", &["job"]),
    ("export_metastore", &["database", "table", "view"]),
];

/// Fields of a failure that may name its object.
const NAMES: &[&str] = &[
    "path",
    "table",
    "cluster_name",
    "job_name",
    "userName",
    "displayName",
    "scope_name",
];

/// The failures of an export.
#[derive(Default)]
pub(super) struct Failures {
    /// By kind and name: how much is unknown, why, and whether somebody made use of it.
    named: HashMap<(&'static str, String), Vec<Failure>>,
    /// Jobs that the older tool read and then left out, with the reason.
    pub(super) jobs: Vec<(Value, String, Spot)>,
    /// The tasks that were done, if that was written down.
    done: Option<Vec<&'static str>>,
}

struct Failure {
    extent: Extent,
    reason: String,
    is_used: bool,
}

impl Failures {
    /// Reads all files of failures, and what the checkpoint says of tasks.
    pub(super) fn read(
        book: &mut Book<'_>,
        export: &Export,
        top: &[&str],
    ) -> Result<Self, ImportError> {
        let mut failures = Self::default();
        if export.has_directory("app_logs") {
            let (files, directories) = list(book, export, "app_logs")?;
            for name in files.iter().filter(|name| *name != "wm_logs.log") {
                failures.file(book, export, &format!("app_logs/{name}"), name)?;
            }
            for name in directories {
                book.not_understood(&format!("app_logs/{name}"), STRANGE)?;
            }
        }
        for name in top.iter().filter(|name| name.starts_with("failed_")) {
            failures.file(book, export, name, name)?;
        }
        failures.done = done(export);
        Ok(failures)
    }

    fn file(
        &mut self,
        book: &mut Book<'_>,
        export: &Export,
        path: &str,
        name: &str,
    ) -> Result<(), ImportError> {
        let inner = name
            .strip_prefix("failed_")
            .and_then(|name| name.strip_suffix(".log"));
        let Some(inner) = inner else {
            return book.not_understood(path, STRANGE);
        };
        if inner.starts_with("import_") || OF_IMPORTS.contains(&inner) {
            return Ok(());
        }
        let word = inner.strip_prefix("export_").unwrap_or(inner);
        let about = ABOUT.iter().find(|(of, ..)| *of == word);
        let Some((_, kind, extent)) = about else {
            let is_empty = matches!(export.open(path), Ok(Some(file)) if file.metadata().is_ok_and(|of| of.len() == 0));
            return match is_empty {
                true => Ok(()),
                false => {
                    book.not_understood(path, "it tells of failures with what is not imported")
                }
            };
        };
        let Some(lines) = export.lines(book, path, kind) else {
            return Ok(());
        };
        for line in lines {
            match self.line(kind, *extent, &line) {
                Some(reason) => book.lost(kind, format!("{}: {reason}", line.spot)),
                None => book.covers(kind),
            }
        }
        Ok(())
    }

    /// Takes a line; gives it back as a reason if it does not name its object.
    fn line(&mut self, kind: &'static str, extent: Extent, line: &Line) -> Option<String> {
        let text = match &line.text {
            Ok(text) => text,
            Err(reason) => return Some(reason.clone()),
        };
        let Ok(value) = object(text) else {
            return Some(text.trim().to_owned());
        };
        // What else is in it may be secret.
        let reason = failure(&value).unwrap_or_else(|| "a failure without words".to_owned());
        if kind == "job" {
            if let Some(job) = value["json"].as_str().and_then(|text| object(text).ok()) {
                self.jobs.push((job, reason, line.spot.clone()));
                return None;
            }
            // The same failure is told once more beside the job itself.
            return (extent == Extent::Object).then_some(reason);
        }
        let name = NAMES.iter().find_map(|field| value[*field].as_str());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Some(reason);
        };
        let of_object = self.named.entry((kind, name.to_owned())).or_default();
        of_object.push(Failure {
            extent,
            reason,
            is_used: false,
        });
        None
    }

    /// Why the object could not be read, if that is told.
    pub(super) fn object(&mut self, kind: &'static str, name: &str) -> Option<String> {
        self.take(kind, name, Extent::Object)
    }

    /// Why its permissions could not be read.
    pub(super) fn permissions(&mut self, kind: &'static str, name: &str) -> Option<String> {
        self.take(kind, name, Extent::Permissions)
    }

    fn take(&mut self, kind: &'static str, name: &str, extent: Extent) -> Option<String> {
        if self.named.is_empty() {
            return None;
        }
        let of_object = self.named.get_mut(&(kind, name.to_owned()))?;
        let of_part = of_object
            .iter_mut()
            .filter(|failure| failure.extent == extent);
        let reasons = of_part.map(|failure| {
            failure.is_used = true;
            failure.reason.as_str()
        });
        let reasons: Vec<&str> = reasons.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Notes the failures with objects that nothing else tells of, and the kinds that were not read to their end.
    pub(super) fn conclude(self, book: &mut Book<'_>) -> Result<(), ImportError> {
        for (task, kinds) in TASKS {
            let is_done = self.done.as_ref().is_none_or(|done| done.contains(task));
            for kind in kinds.iter().filter(|_| !is_done) {
                if book.kinds.contains(*kind) {
                    let reason =
                        format!("{CHECKPOINT} does not have {task} among the tasks that were done");
                    book.lost(kind, reason);
                }
            }
        }
        let mut left: Vec<_> = self.named.into_iter().collect();
        left.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for ((name_of_kind, name), failures) in left {
            for failure in failures.into_iter().filter(|failure| !failure.is_used) {
                let is_unique = kind(name_of_kind).is_some_and(|kind| kind.naming.unique);
                let key = ObjectKey::new(KindName::known(name_of_kind), &name);
                if is_unique && !book.has(&key) {
                    let entry = unread(key, Extent::Object, failure.reason.clone());
                    book.note(entry, &"a file of failures")?;
                } else {
                    book.lost(name_of_kind, format!("{name}: {}", failure.reason));
                }
            }
        }
        Ok(())
    }
}

const CHECKPOINT: &str = "checkpoint/export_tasks.log";
const STRANGE: &str = "the older tool is not known to write such a file";

/// The tasks that the checkpoint of a run has as done; none where no run kept track of its tasks.
fn done(export: &Export) -> Option<Vec<&'static str>> {
    let file = export.open(CHECKPOINT).ok()??;
    let mut done = Vec::new();
    for line in Lines::new(CHECKPOINT, file) {
        let text = line.text.unwrap_or_default();
        let known = TASKS.iter().find(|(task, _)| *task == text.trim());
        done.extend(known.map(|(task, _)| *task));
    }
    Some(done)
}
