//! The `logs/` directory of databrickslabs/migrate becomes a snapshot.
//!
//! - `layout`: what the older tool calls its files, and how its directory is told from any other. `files`: how they are
//!   opened. `lines`: how lines are read, whatever is in them.
//! - `listed`, `jobs`, `secrets`, `mounts`, `tree` with `artifacts` and `dbc`, `metastore` with `grants`, `mlflow` with `runs`: from its files to objects as the workspace listed them, of which
//!   the table of kinds makes bodies, as of what a backup reads. `access`: who may do what.
//! - `failures`: what the older tool could not read itself. `book`: where everything is noted.
//!
//! Invariant: every file ends as objects, as a gap, or as a remark that it holds nothing of the workspace; every line that
//! is not understood is named with its file and number.

mod access;
mod artifacts;
mod book;
mod dbc;
mod failures;
mod files;
mod grants;
mod jobs;
mod layout;
mod lines;
mod listed;
mod metastore;
mod mlflow;
mod mounts;
mod runs;
mod secrets;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{ImportError, chain};
use crate::api::{Host, RequestCounts};
use crate::backup::{BackupReport, Counts};
use crate::manifest::{Databases, Runs, Snapshot, Tree, TreeWriter};
use crate::report::{Event, Reporter};
use crate::store::{Store, Written};
use book::Book;
use failures::Failures;
use files::Export;
use layout::What;
use listed::Taker;

pub use layout::{Recognised, recognise};

/// How an export of the older tool is imported.
#[derive(Clone, Debug)]
pub struct LogsOptions {
    /// The directory with the files.
    pub directory: PathBuf,
    /// What the workspace is called where the export does not say which it was; the directory's path if there is nothing
    /// better.
    pub label: Option<String>,
    /// When the import was begun.
    pub time: DateTime<Utc>,
    /// The machine that the directory is on.
    pub hostname: String,
    /// Words to attach to the snapshot.
    pub tags: Vec<String>,
    /// Takes the values of secrets as well, and not only their names.
    pub secret_values: bool,
}

/// Whether an export of the older tool holds values of secrets, which only an encrypted store takes.
pub fn has_secret_values(directory: &Path) -> bool {
    secrets::has_values(&Export {
        root: directory.to_owned(),
    })
}

/// Makes a snapshot of an export of the older tool. `stop` is asked every now and then whether to go on.
pub fn import_logs(
    store: &Store,
    options: &LogsOptions,
    stop: &(dyn Fn() -> bool + Sync),
    reporter: &dyn Reporter,
) -> Result<BackupReport, ImportError> {
    let began = Instant::now();
    let failed = |source| ImportError::Directory {
        path: options.directory.clone(),
        source,
    };
    let root = options.directory.canonicalize().map_err(failed)?;
    let with_values = options.secret_values && has_secret_values(&root);
    if with_values && !store.is_encrypted() {
        return Err(ImportError::SecretsNeedKey);
    }
    let top = layout::top(&root).map_err(failed)?;
    let export = Export { root };
    reporter.report(Event::PhaseStarted {
        name: "reading the export",
    });
    let mut book = Book::new(store, stop, reporter)?;
    let taken = take(&mut book, &export, &top, with_values);
    reporter.report(Event::PhaseFinished);
    let has_metastore = match taken {
        Ok(has_metastore) => has_metastore,
        Err(error) => {
            // The blobs get into the index, where the next import finds them.
            book.writer.flush()?;
            return Err(error);
        }
    };
    let (host, name) = (
        workspace(&mut book, &export, options),
        export.root.display(),
    );
    finish(book, options.time, began, |head| {
        head.host = host;
        head.imported_from = Some(name.to_string());
        head.selection.secret_values = with_values;
        head.selection.metastore = has_metastore.then(Databases::default);
        let has = |kind: &str| head.selection.only.iter().any(|only| only == kind);
        let (mounts, runs) = (has("mount"), has("run"));
        head.selection.mounts = mounts;
        head.selection.runs = runs.then(Runs::default);
        head.tags.clone_from(&options.tags);
        head.hostname.clone_from(&options.hostname);
    })
}

/// Takes everything that the export has; says whether that is anything of the metastore.
fn take(
    book: &mut Book<'_>,
    export: &Export,
    top: &[layout::Top],
    with_values: bool,
) -> Result<bool, ImportError> {
    let mut aside = Vec::new();
    for entry in top {
        let name = entry.name.as_str();
        match entry.what {
            _ if entry.is.is_symlink() => {
                book.not_understood(name, "it is a symbolic link, which is not followed")?;
            }
            Some(What::Data) if entry.is.is_file() => {}
            Some(What::Folder) if entry.is.is_dir() => {}
            Some(What::Data) => book.not_understood(name, "it is no file")?,
            Some(What::Folder) => book.not_understood(name, "it is no directory")?,
            Some(What::Aside(why)) => aside.push(format!("{name} ({why})")),
            // The older tool makes files before it knows whether there is anything to write into them.
            Some(What::NotTaken(what)) if entry.is_empty => {
                aside.push(format!("{name} (no {what} in it)"));
            }
            Some(What::NotTaken(what)) => {
                book.not_understood(name, &format!("imports do not take {what}"))?;
            }
            None => {
                book.not_understood(name, "the older tool is not known to write such a file")?
            }
        }
    }
    if !aside.is_empty() {
        let words = format!("not part of a snapshot: {}", aside.join(", "));
        book.reporter.report(Event::Detail(&words));
    }
    let names: Vec<&str> = top.iter().map(|entry| entry.name.as_str()).collect();
    let mut failures = Failures::read(book, export, &names)?;
    let mut taker = Taker {
        book,
        export,
        failures: &mut failures,
    };
    taker.listed()?;
    taker.jobs()?;
    taker.tree()?;
    taker.secrets(with_values)?;
    taker.mounts()?;
    taker.mlflow()?;
    let has_metastore = taker.metastore()?;
    failures.conclude(book, export)?;
    book.conclude()?;
    Ok(has_metastore)
}

/// What the workspace is called: its address if the export has that, as a backup would write it.
fn workspace(book: &mut Book<'_>, export: &Export, options: &LogsOptions) -> String {
    let name = "source_info.txt";
    let mut text = String::new();
    let read = export.open(name).map(|file| {
        let read = file.map(|file| file.take(LONGEST_ADDRESS).read_to_string(&mut text));
        read.transpose()
    });
    match read {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(_))) => match Host::parse(text.trim()) {
            Ok(host) => return host.url().to_owned(),
            Err(error) => book.remark(&format!(
                "{name} is no address of a workspace: {}",
                chain(&error)
            )),
        },
        Ok(Err(error)) | Err(error) => {
            book.remark(&format!("{name} cannot be read: {}", chain(&error)));
        }
    }
    let label = options.label.clone();
    format!(
        "logs:{}",
        label.unwrap_or_else(|| export.root.display().to_string())
    )
}

const LONGEST_ADDRESS: u64 = 4 << 10;

/// Writes manifest and head, which `complete` knows more about, and commits.
fn finish(
    book: Book<'_>,
    time: DateTime<Utc>,
    began: Instant,
    complete: impl FnOnce(&mut Snapshot),
) -> Result<BackupReport, ImportError> {
    let (store, reporter) = (book.store, book.reporter);
    reporter.report(Event::PhaseStarted {
        name: "writing the manifest",
    });
    let mut tree = TreeWriter::new(&book.writer, None);
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for (_, record) in book.ledger.sorted() {
        let Some(entry) = record.entry() else {
            continue;
        };
        counts.entry(entry.key.kind.to_string()).or_default().new += 1;
        tree.push(&entry)?;
    }
    let root = tree.finish()?;
    book.writer.flush()?;
    let tree = Tree::open(store, &root)?;
    let mut head = Snapshot::of(&tree, time, "")?;
    head.selection.only = book.kinds.iter().cloned().collect();
    head.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    complete(&mut head);
    let stored = book.writer.written();
    let bytes = head.to_bytes();
    let id = book.writer.commit(&bytes, head.time)?;
    reporter.report(Event::PhaseFinished);
    Ok(BackupReport {
        id,
        snapshot: head,
        counts,
        requests: RequestCounts::default(),
        written: Written {
            stored_bytes: stored.stored_bytes + bytes.len() as u64,
            ..stored
        },
        duration: began.elapsed(),
    })
}
