//! What the older tool says it could not read.
//!
//! Invariant: every line that records a failure of an export ends as a gap: of the object that it names, else of the kind.
//! There may be one for every object: of a line no more is held than a hash of what it names, and where it stands.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};

use serde_json::Value;

use super::ImportError;
use super::book::{Book, short, unread};
use super::files::{Export, list, open};
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
    /// The place in `failures` of the last failure with an object, by the hash of its kind and name.
    named: HashMap<[u8; 16], u32>,
    failures: Vec<Failure>,
    /// The files in which they are.
    files: Vec<Source>,
    /// Jobs that the older tool read and then left out, with the reason.
    pub(super) jobs: Vec<(Value, String, Spot)>,
    /// The tasks that were done, if that was written down.
    done: Option<Vec<&'static str>>,
}

/// A line that names its object.
struct Failure {
    file: u32,
    /// The failure with the same object that was met before.
    before: Option<u32>,
    begin: u64,
    is_used: bool,
}

/// A file of failures.
struct Source {
    path: String,
    file: Option<File>,
    kind: &'static str,
    extent: Extent,
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
        self.files.push(Source {
            path: path.to_owned(),
            file: open(&export.root, path).ok().flatten(),
            kind,
            extent: *extent,
        });
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
        let value = match told(line) {
            Ok((Some(name), ..)) if kind != "job" => {
                self.name(kind, &name, line.begin);
                return None;
            }
            Ok((_, value)) => value,
            Err(reason) => return Some(reason),
        };
        let reason = reason(&value);
        if kind == "job" {
            if let Some(job) = value["json"].as_str().and_then(|text| object(text).ok()) {
                self.jobs.push((job, reason, line.spot.clone()));
                return None;
            }
            // The same failure is told once more beside the job itself.
            return (extent == Extent::Object).then_some(reason);
        }
        Some(reason)
    }

    fn name(&mut self, kind: &str, name: &str, begin: u64) {
        let number = u32::try_from(self.failures.len()).expect(FEW);
        let before = self.named.insert(key(kind, name), number);
        self.failures.push(Failure {
            file: u32::try_from(self.files.len() - 1).expect(FEW),
            before,
            begin,
            is_used: false,
        });
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
        let mut next = self.named.get(&key(kind, name)).copied();
        let mut reasons = Vec::new();
        while let Some(number) = next {
            let failure = &mut self.failures[number as usize];
            next = failure.before;
            let source = &mut self.files[failure.file as usize];
            if source.extent == extent {
                failure.is_used = true;
                reasons.push(source.reason(failure.begin));
            }
        }
        reasons.reverse();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Notes the failures with objects that nothing else tells of, and the kinds that were not read to their end.
    pub(super) fn conclude(
        mut self,
        book: &mut Book<'_>,
        export: &Export,
    ) -> Result<(), ImportError> {
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
        // Whatever of one object was not told is told with it, in the order of the files.
        self.named = HashMap::new();
        let mut failures = self.failures.into_iter().peekable();
        for (number, source) in (0..).zip(&self.files) {
            let of_file = std::iter::from_fn(|| failures.next_if(|one| one.file == number));
            let mut unused = of_file
                .filter(|one| !one.is_used)
                .map(|one| one.begin)
                .peekable();
            if unused.peek().is_none() {
                continue;
            }
            let Some(lines) = export.lines(book, &source.path, source.kind) else {
                continue;
            };
            for line in lines {
                if unused.next_if_eq(&line.begin).is_none() {
                    continue;
                }
                let (name, value) = told(&line).unwrap_or_default();
                let name = name.unwrap_or_default();
                leave(book, source.kind, &name, reason(&value))?;
            }
            // One that has changed meanwhile has lost its words, not that there was a failure.
            for _ in unused {
                book.lost(source.kind, format!("{}: {GONE}", source.path));
            }
        }
        Ok(())
    }
}

impl Source {
    /// The words of the line that begins there.
    fn reason(&mut self, begin: u64) -> String {
        let line = self.file.as_mut().and_then(|file| {
            file.seek(SeekFrom::Start(begin)).ok()?;
            Lines::new(self.path.as_str(), file).next()
        });
        let value = line.and_then(|line| told(&line).ok());
        value.map_or_else(|| GONE.to_owned(), |(_, value)| reason(&value))
    }
}

/// Notes a failure with an object that nothing else tells of.
fn leave(
    book: &mut Book<'_>,
    name_of_kind: &'static str,
    name: &str,
    reason: String,
) -> Result<(), ImportError> {
    let is_unique = kind(name_of_kind).is_some_and(|kind| kind.naming.unique);
    let key = ObjectKey::new(KindName::known(name_of_kind), name);
    if is_unique && !name.is_empty() && !book.has(&key) {
        return book.note(unread(key, Extent::Object, reason), &"a file of failures");
    }
    book.lost(name_of_kind, format!("{name}: {reason}"));
    Ok(())
}

/// What a line says, with the object that it names; the line itself if that is not to be told.
fn told(line: &Line) -> Result<(Option<String>, Value), String> {
    let text = line.text.as_ref().map_err(Clone::clone)?;
    let value = object(text).map_err(|_| text.trim().to_owned())?;
    let of_job = value["json"].is_string();
    let name = NAMES.iter().find_map(|field| value[*field].as_str());
    let name = name.filter(|name| !name.is_empty() && !of_job);
    Ok((name.map(str::to_owned), value))
}

/// Why it failed; what else is in it may be secret.
fn reason(value: &Value) -> String {
    failure(value).unwrap_or_else(|| "a failure without words".to_owned())
}

/// What an object is known by.
fn key(kind: &str, name: &str) -> [u8; 16] {
    short(format!("{kind}\0{name}").as_bytes())
}

const GONE: &str = "a failure whose words have changed while they were read";
const FEW: &str = "memory ends before the numbers do";

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
