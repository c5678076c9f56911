//! A directory of notebooks and files becomes a snapshot.
//!
//! One thread walks (`walk`) and keeps what the parent snapshot has already (`known`, by `stamp`); others read what is left
//! (`read`); this one stores it in the order of the walk (`record`) and writes the manifest (`finish`).
//!
//! Invariant: the same directory gives the same entries, whatever an earlier import knew of it.

mod finish;
mod known;
mod read;
mod record;
mod stamp;
#[cfg(test)]
mod tests;
mod walk;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::chain;
use crate::backup::BackupReport;
use crate::manifest::{self, ManifestError, Selection, Snapshot, Tree};
use crate::report::{Event, Reporter};
use crate::store::{HeadName, Store, StoreError};
use known::Known;
use record::Recorder;
use walk::{Abandoned, Ticket, Walk, Work};

/// More threads than these only wait for each other.
const MOST_READERS: usize = 8;
/// So often an import begins when others take away what it rests on.
const TRIES: usize = 5;

/// How a directory is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The directory.
    pub directory: PathBuf,
    /// What tells it apart from other directories; its path if there is nothing better.
    pub label: Option<String>,
    /// The folder of the snapshot that the directory becomes.
    pub at: String,
    /// When the import was begun.
    pub time: DateTime<Utc>,
    /// The machine that the directory is on.
    pub hostname: String,
    /// Reads every file, even if it looks untouched.
    pub full: bool,
    /// Words to attach to the snapshot.
    pub tags: Vec<String>,
}

impl ImportOptions {
    /// An import of a directory as the whole tree, begun at `time`.
    pub fn new(directory: impl Into<PathBuf>, time: DateTime<Utc>) -> Self {
        Self {
            directory: directory.into(),
            label: None,
            at: "/".to_owned(),
            time,
            hostname: String::new(),
            full: false,
            tags: Vec::new(),
        }
    }

    /// Whether there is such a directory and can be such a place, before a store is made for them.
    pub fn check(&self) -> Result<(), ImportError> {
        place(&self.at)?;
        let failed = |source| ImportError::Directory {
            path: self.directory.clone(),
            source,
        };
        // What is no directory, or may not be listed, is refused with the reason of the system.
        std::fs::read_dir(&self.directory).map_err(failed)?;
        Ok(())
    }
}

/// Why there is no new snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The directory itself cannot be read.
    #[error("failed to read {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The directory is part of the store.
    #[error("{} is part of the store", _0.display())]
    InStore(PathBuf),
    /// Nothing can be at this place of a snapshot.
    #[error("`{0}` is not a path like /Shared/project")]
    NotAPath(String),
    /// Values of secrets, and a store that everybody can read.
    #[error("values of secrets are kept in encrypted stores only")]
    SecretsNeedKey,
    /// Somebody asked it to stop.
    #[error("the import was interrupted; what was stored is not stored again by the next one")]
    Interrupted,
    /// An entry of the parent was read at first and cannot be read at last.
    #[error("the parent snapshot became unreadable while the import ran; run it again")]
    ParentLost,
    /// The store does not take or give something.
    #[error("failed to use the store")]
    Store(#[from] StoreError),
    /// The manifest cannot be written or read.
    #[error("failed to write the manifest")]
    Manifest(#[from] ManifestError),
}

impl ImportError {
    /// Whether somebody took away what it rested on, which does not stand in its way the next time.
    fn is_overtaken(&self) -> bool {
        let mut next: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = next {
            match error.downcast_ref() {
                Some(StoreError::ParentForgotten(_) | StoreError::PackPruned(_)) => return true,
                // What was being written was taken for left behind by somebody who died.
                Some(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return true;
                }
                _ => {}
            }
            next = error.source();
        }
        matches!(self, Self::ParentLost)
    }
}

/// The kinds that a directory is made of, in the order of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum NodeKind {
    Directory,
    File,
    Notebook,
}

impl NodeKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Notebook => "notebook",
        }
    }
}

/// An earlier import of the same directory.
struct Parent {
    name: HeadName,
    tree: Tree,
}

/// Makes a snapshot of a directory. `stop` is asked every now and then whether to go on.
///
/// What it rests on may be forgotten or pruned while it runs. Then it begins anew, with what is there by then.
pub fn import(
    store: &Store,
    options: &ImportOptions,
    stop: &(dyn Fn() -> bool + Sync),
    reporter: &dyn Reporter,
) -> Result<BackupReport, ImportError> {
    let mut store = store.clone();
    let mut tries = 1;
    loop {
        match attempt(&store, options, stop, reporter) {
            Err(error) if tries < TRIES && error.is_overtaken() => {
                tries += 1;
                store = store.reopened()?;
                reporter.report(Event::Warning(&format!(
                    "{}: the directory is read once more",
                    chain(&error)
                )));
            }
            result => return result,
        }
    }
}

/// Imports by one view of the store.
fn attempt(
    store: &Store,
    options: &ImportOptions,
    stop: &(dyn Fn() -> bool + Sync),
    reporter: &dyn Reporter,
) -> Result<BackupReport, ImportError> {
    let began = Instant::now();
    options.check()?;
    let at = place(&options.at)?;
    let (directory, own_store) = locate(options, store)?;
    let label = match &options.label {
        Some(label) => label.clone(),
        None => directory.display().to_string(),
    };
    let selection = selection(&at);
    let host = format!("dir:{label}");
    let parent = parent(store, &host, &selection, reporter)?;
    let known = match &parent {
        Some(parent) => Known::of(&parent.tree, options.full),
        None => Known::nothing(),
    };
    if let Some(error) = &known.damage {
        reporter.report(Event::Warning(&format!(
            "a part of the parent snapshot cannot be read, and is read from the directory instead: {}",
            chain(error)
        )));
    }
    reporter.report(Event::PhaseStarted {
        name: "reading the directory",
    });
    let mut recorder = Recorder::new(store, options, parent.as_ref(), &known, reporter)?;
    let walked = read(&mut recorder, (directory, &at), own_store, stop);
    reporter.report(Event::PhaseFinished);
    if !walked? {
        // The blobs get into the index, where the next import finds them.
        recorder.writer.flush()?;
        return Err(ImportError::Interrupted);
    }
    finish::finish(recorder, |tree| {
        let mut head = Snapshot::of(tree, options.time, host)?;
        head.parent = parent.as_ref().map(|parent| parent.name.id);
        head.selection = selection;
        head.tags.clone_from(&options.tags);
        head.hostname.clone_from(&options.hostname);
        head.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(head)
    })
    .map(|report| BackupReport {
        duration: began.elapsed(),
        ..report
    })
}

/// Walks, reads and records; says whether it came to the end.
fn read(
    recorder: &mut Recorder<'_>,
    (directory, at): (PathBuf, &str),
    store: Option<PathBuf>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<bool, ImportError> {
    let readers = thread::available_parallelism().map_or(1, |n| n.get().min(MOST_READERS));
    let (work, to_do) = sync_channel::<Work>(readers);
    let (tickets, in_order) = sync_channel::<Ticket>(2 * readers);
    let walk = Walk {
        known: recorder.known,
        reporter: recorder.reporter,
        store,
        stop,
        work,
        tickets,
        batch: Vec::new(),
        batch_bytes: 0,
    };
    let to_do = Mutex::new(to_do);
    thread::scope(|scope| {
        let walker = scope.spawn(|| walk.run(directory, at));
        for _ in 0..readers {
            scope.spawn(|| read::read_all(&to_do));
        }
        let all = record_all(recorder, in_order, stop)?;
        match walker.join() {
            Ok(walked) => Ok(all && !matches!(walked, Err(Abandoned))),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Records what was read, in the order in which it was found, and says whether that was all. Whatever ends it earlier
/// ends the walk too.
fn record_all(
    recorder: &mut Recorder<'_>,
    tickets: Receiver<Ticket>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<bool, ImportError> {
    for ticket in tickets {
        if stop() {
            return Ok(false);
        }
        // A reader that panicked says so itself.
        for item in ticket.recv().unwrap_or_default() {
            recorder.record(item)?;
        }
    }
    Ok(true)
}

/// The directory, and the store if that may lie in it.
fn locate(
    options: &ImportOptions,
    store: &Store,
) -> Result<(PathBuf, Option<PathBuf>), ImportError> {
    let failed = |source| ImportError::Directory {
        path: options.directory.clone(),
        source,
    };
    let directory = options.directory.canonicalize().map_err(failed)?;
    let store = store.path().canonicalize().ok();
    if store
        .as_ref()
        .is_some_and(|store| directory.starts_with(store))
    {
        return Err(ImportError::InStore(directory));
    }
    Ok((directory, store))
}

/// The place in the snapshot, without a slash at its end.
fn place(at: &str) -> Result<String, ImportError> {
    let trimmed = at.trim_end_matches('/');
    let Some(rest) = at.strip_prefix('/') else {
        return Err(ImportError::NotAPath(at.to_owned()));
    };
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\0', '*']);
    let names = rest.trim_end_matches('/');
    if names.is_empty() || names.split('/').all(is_name) {
        let place = if trimmed.is_empty() { "/" } else { trimmed };
        return Ok(place.to_owned());
    }
    Err(ImportError::NotAPath(at.to_owned()))
}

/// What an import looks at: no people, no jobs, and nothing beside its place.
fn selection(at: &str) -> Selection {
    let kinds = [NodeKind::Directory, NodeKind::File, NodeKind::Notebook];
    Selection {
        only: kinds.iter().map(|kind| kind.name().to_owned()).collect(),
        include: if at == "/" {
            Vec::new()
        } else {
            vec![at.to_owned()]
        },
        ..Selection::default()
    }
}

/// The newest snapshot of the same directory in the same place.
fn parent(
    store: &Store,
    host: &str,
    selection: &Selection,
    reporter: &dyn Reporter,
) -> Result<Option<Parent>, ImportError> {
    let mut listed = manifest::snapshots(store)?.snapshots;
    listed.retain(|listed| listed.snapshot.host == host && listed.snapshot.selection == *selection);
    while let Some(listed) = listed.pop() {
        match Tree::open(store, &listed.snapshot.root) {
            Ok(tree) => {
                return Ok(Some(Parent {
                    name: listed.name,
                    tree,
                }));
            }
            Err(error) => reporter.report(Event::Warning(&format!(
                "snapshot {:.8} cannot be built upon: {}",
                listed.name.id,
                chain(&error)
            ))),
        }
    }
    Ok(None)
}
