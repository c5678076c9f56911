//! The tree of a snapshot as files, and everything else of it as JSON.
//!
//! - `workspace/`: folders, notebooks (with the extension of their language and format) and files, as
//!   `databricks workspace import-dir` takes them.
//! - `objects/KIND/NAME.json`: the bodies of all other objects.
//! - `permissions.jsonl`: one line for each object of which the permissions are known.
//! - `gaps.json`: what the snapshot does not have (`gaps`), and what the store could not give (`damaged`).
//! - `names.json`: the objects whose file could not be called as they are.
//! - `snapshot.json`: the head of the snapshot.
//!
//! `plan` decides what becomes of every entry, `names` finds places, `work` reads from the store with several threads, `sink` writes.
//!
//! Invariant: an export is complete or says what is missing from it, in itself and in its report.

mod names;
mod plan;
mod sink;
mod work;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::chain;
use crate::manifest::{Snapshot, Tree};
use crate::report::{Event, Reporter};
use crate::resource::ObjectKey;
use plan::{Planner, Ticket};
use sink::Sink;
use work::{Done, Stuck, What, Work};

/// More threads than these only wait for each other.
const MOST_WORKERS: usize = 8;

/// Where an export goes.
pub enum Target {
    /// Into a directory that is empty or not there yet.
    Directory(PathBuf),
    /// Into a tar archive.
    Tar(Box<dyn Write + Send>),
}

/// What is exported, and how.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Only what lies at or below these paths; everything if there are none.
    pub paths: Vec<String>,
    /// Only names that every system can hold.
    pub portable: bool,
}

/// What an export has done.
#[derive(Clone, Debug, Default)]
pub struct ExportReport {
    /// Directories of the tree.
    pub directories: u64,
    /// Notebooks and files.
    pub files: u64,
    /// How long they are.
    pub bytes: u64,
    /// Bodies of other objects.
    pub objects: u64,
    /// Objects whose file is not called as they are.
    pub renamed: u64,
    /// Gaps of the snapshot.
    pub gaps: u64,
    /// What the store could not give.
    pub damaged: Vec<Damage>,
}

impl ExportReport {
    /// Whether everything that was asked for is there.
    pub fn is_complete(&self) -> bool {
        self.gaps == 0 && self.damaged.is_empty()
    }
}

/// A part of an object that the store could not give.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The object.
    pub key: ObjectKey,
    /// Which part of it.
    pub part: &'static str,
    /// Why not.
    pub reason: String,
}

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Something is in the directory.
    #[error("{} is not empty", _0.display())]
    NotEmpty(PathBuf),
    /// Something cannot be written.
    #[error("failed to write {place}")]
    Write {
        /// What.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// Somebody asked it to stop.
    #[error("the export was interrupted")]
    Interrupted,
}

/// Writes a snapshot out. `stop` is asked every now and then whether to go on.
pub fn export(
    (snapshot, tree): (&Snapshot, &Tree),
    target: Target,
    options: &ExportOptions,
    stop: &(dyn Fn() -> bool + Sync),
    reporter: &dyn Reporter,
) -> Result<ExportReport, ExportError> {
    let sink = match target {
        Target::Directory(path) => Sink::Directory(prepare(path)?),
        Target::Tar(target) => Sink::tar(target, snapshot.time),
    };
    let planner = Planner::new(options);
    let spool = tempfile::tempfile().map_err(|error| stuck("permissions.jsonl", error))?;
    let mut writer = Writer {
        sink,
        tree,
        reporter,
        permissions: BufWriter::new(spool),
        report: ExportReport::default(),
    };
    reporter.report(Event::PhaseStarted {
        name: "writing the snapshot out",
    });
    reporter.report(Event::Expected {
        more: tree.root().totals.entries,
    });
    let made = writer.sink.make_directory("workspace");
    let run = made
        .map_err(|error| stuck("workspace", error))
        .and_then(|()| writer.run(planner, stop));
    let end = run.and_then(|planner| writer.end(planner, snapshot));
    reporter.report(Event::PhaseFinished);
    end
}

/// Makes sure that the directory is there and empty.
fn prepare(path: PathBuf) -> Result<PathBuf, ExportError> {
    let failed = |error| stuck(&path.display().to_string(), error);
    std::fs::create_dir_all(&path).map_err(failed)?;
    let mut entries = std::fs::read_dir(&path).map_err(failed)?;
    if entries.next().is_some() {
        return Err(ExportError::NotEmpty(path));
    }
    Ok(path)
}

/// Writes what is done, in order.
struct Writer<'a> {
    sink: Sink,
    tree: &'a Tree,
    reporter: &'a dyn Reporter,
    permissions: BufWriter<std::fs::File>,
    report: ExportReport,
}

impl Writer<'_> {
    fn run<'p>(
        &mut self,
        planner: Planner<'p>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Planner<'p>, ExportError> {
        let workers = thread::available_parallelism().map_or(1, |n| n.get().min(MOST_WORKERS));
        let (work, to_do) = sync_channel::<Work>(workers);
        let (tickets, in_order) = sync_channel::<Ticket>(2 * workers);
        let to_do = Mutex::new(to_do);
        let failed: Mutex<Option<Stuck>> = Mutex::new(None);
        let tree = self.tree;
        let directory = self.sink.directory().map(ToOwned::to_owned);
        let planner = thread::scope(|scope| {
            let planning = scope.spawn(move || planner.run(tree, (&work, &tickets), stop));
            for _ in 0..workers {
                scope.spawn(|| work::work(&to_do, tree.store(), directory.as_deref(), &failed));
            }
            // After a failure nobody takes tickets any more: the planner ends, and the workers with it.
            self.write_all(in_order, stop)?;
            match planning.join() {
                Ok(planner) => Ok(planner),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        match failed {
            Some((place, error)) => Err(stuck(&place, error)),
            None if stop() => Err(ExportError::Interrupted),
            None => Ok(planner),
        }
    }

    fn write_all(
        &mut self,
        tickets: Receiver<Ticket>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), ExportError> {
        for ticket in tickets {
            // A worker that failed has said so; nothing more can come.
            let Ok(batch) = ticket.recv() else { break };
            if stop() {
                break;
            }
            let (count, mut bytes) = (batch.len() as u64, 0);
            for done in batch {
                bytes += done.written.unwrap_or(0);
                let place = done.job.place.clone().unwrap_or_default();
                self.write(done).map_err(|error| stuck(&place, error))?;
            }
            self.reporter.report(Event::Done { count, bytes });
        }
        Ok(())
    }

    fn write(&mut self, done: Done) -> io::Result<()> {
        let Done {
            job,
            bytes,
            written,
            permissions,
            damage,
        } = done;
        let report = &mut self.report;
        if let Some(len) = written {
            report.files += 1;
            report.bytes += len;
        }
        report.damaged.extend(damage);
        if let Some(line) = permissions {
            self.permissions.write_all(&line)?;
        }
        let Some(place) = &job.place else {
            return Ok(());
        };
        match (&job.what, bytes) {
            (What::Directory, _) => {
                report.directories += 1;
                // The root is there already.
                if place != "workspace" {
                    self.sink.make_directory(place)?;
                }
            }
            (What::Content(payload), bytes) => {
                report.files += 1;
                report.bytes += payload.len();
                let (store, time) = (self.tree.store(), job.modified_at);
                match bytes {
                    Some(bytes) => self.sink.file(place, &bytes, time)?,
                    None => self.sink.long_file(place, payload, store, time)?,
                }
            }
            (What::Body(_), Some(bytes)) => {
                report.objects += 1;
                self.sink.file(place, &bytes, None)?;
            }
            (What::Body(_), None) | (What::Nothing, _) => {}
        }
        Ok(())
    }

    /// Writes what is known at the end only.
    fn end(
        mut self,
        planner: Planner<'_>,
        snapshot: &Snapshot,
    ) -> Result<ExportReport, ExportError> {
        self.report.damaged.extend(planner.lost);
        self.report.gaps = planner.gaps.len() as u64;
        let changed = planner.names.into_changed();
        self.report.renamed = changed.len() as u64;
        let damaged = self.report.damaged.iter().map(|damage| {
            let mut told = naming(&damage.key);
            told["part"] = json!(damage.part);
            told["reason"] = json!(damage.reason);
            told
        });
        let gaps = json!({"gaps": planner.gaps, "damaged": damaged.collect::<Vec<_>>()});
        let head = snapshot.to_bytes();
        let texts = [
            ("gaps.json", format!("{gaps:#}\n").into_bytes()),
            (
                "names.json",
                format!("{:#}\n", Value::Object(changed)).into_bytes(),
            ),
            ("snapshot.json", head),
        ];
        for (place, bytes) in texts {
            let written = self.sink.file(place, &bytes, None);
            written.map_err(|error| stuck(place, error))?;
        }
        let place = "permissions.jsonl";
        let spool = self.permissions.into_inner();
        spool
            .map_err(io::IntoInnerError::into_error)
            .and_then(|spool| self.sink.spooled(place, spool))
            .map_err(|error| stuck(place, error))?;
        self.sink
            .finish()
            .map_err(|error| stuck("the archive", error))?;
        Ok(self.report)
    }
}

/// What an object is called, as JSON.
fn naming(key: &ObjectKey) -> Value {
    let mut told = json!({"kind": key.kind.as_str(), "name": key.name});
    if let Some(id) = &key.id {
        told["id"] = json!(id);
    }
    told
}

fn stuck(place: &str, source: io::Error) -> ExportError {
    ExportError::Write {
        place: place.to_owned(),
        source,
    }
}
