//! The file that remembers which jobs ran: lines of JSON, sealed beside an encrypted store, only ever added to until
//! everything runs again.
//!
//! Invariant: a line counts once it is whole and on the disk; a line that a kill cut off was never acted upon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{LineSeal, is_locked, sync_folder, whole_lines};

/// What a job said of one part being paused, word for word; none if it said nothing.
pub(super) type Said = Option<Value>;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// The first one.
    Header {
        /// The version of the file.
        format: u32,
        /// Of which workspace it speaks.
        workspace: String,
    },
    /// These parts of a job are about to be paused.
    Paused {
        job: String,
        name: String,
        said: BTreeMap<String, Said>,
    },
    /// The job is as it was, or nothing can make it so.
    Back { job: String },
}

const FORMAT: u32 = 1;

/// Why it could not be remembered or recalled.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Another run is at it.
    #[error("another run is pausing or unpausing the same workspace: {} is locked", .0.display())]
    Locked(PathBuf),
    /// The file is of another kind, workspace or store.
    #[error("{} does not say which jobs ran in this workspace: {what}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The disk does not give or take it.
    #[error("failed to {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A job that was paused.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) name: String,
    said: BTreeMap<String, Said>,
}

/// What is remembered, with the file to remember more in; the file is locked meanwhile.
pub(super) struct Memory {
    path: PathBuf,
    seal: LineSeal,
    workspace: String,
    jobs: BTreeMap<String, Remembered>,
    /// None when nothing is going to be written.
    open: Option<Mutex<Open>>,
}

struct Open {
    file: File,
    is_empty: bool,
    /// The jobs that are not as they were.
    left: BTreeSet<String>,
}

impl Memory {
    /// Recalls what there is. Unless nothing is going to be written, the file is made if it is missing, and locked.
    pub(super) fn open(
        path: &Path,
        seal: &LineSeal,
        workspace: &str,
        only_look: bool,
    ) -> Result<Self, MemoryError> {
        let io = |doing| io_error(doing, path);
        let mut memory = Self {
            path: path.to_owned(),
            seal: seal.clone(),
            workspace: workspace.to_owned(),
            jobs: BTreeMap::new(),
            open: None,
        };
        if only_look {
            match std::fs::read(path) {
                Ok(text) => drop(memory.recall(&text)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("read")(error)),
            }
            return Ok(memory);
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(io("open"))?;
        // Where there are no locks it goes on without.
        is_locked(file.try_lock()).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => MemoryError::Locked(path.to_owned()),
            _ => io("lock")(error),
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io("read"))?;
        let whole = memory.recall(&text)?;
        file.set_len(whole).map_err(io("cut"))?;
        file.seek(SeekFrom::End(0)).map_err(io("open"))?;
        let left = memory.jobs.keys().cloned().collect();
        memory.open = Some(Mutex::new(Open {
            file,
            is_empty: whole == 0,
            left,
        }));
        if whole == 0 {
            sync_folder(path).map_err(io("keep"))?;
        }
        Ok(memory)
    }

    /// The jobs that were paused and are not as they were, by id.
    pub(super) fn jobs(&self) -> impl Iterator<Item = (&String, &Remembered)> {
        self.jobs.iter()
    }

    /// What a job said before it was paused.
    pub(super) fn said(&self, job: &str) -> BTreeMap<String, Said> {
        let known = self.jobs.get(job);
        known.map(|job| job.said.clone()).unwrap_or_default()
    }

    /// Whether an earlier run paused the job.
    pub(super) fn knew(&self, job: &str) -> bool {
        self.jobs.contains_key(job)
    }

    /// Adds a line, for good when this returns. Once every job is as it was, the file is empty again.
    pub(super) fn write(&self, line: &Line) -> Result<(), MemoryError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let io = |doing| io_error(doing, &self.path);
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        if open.is_empty {
            let header = Line::Header {
                format: FORMAT,
                workspace: self.workspace.clone(),
            };
            bytes.extend(self.sealed(&header)?);
        }
        bytes.extend(self.sealed(line)?);
        open.file.write_all(&bytes).map_err(io("write"))?;
        open.file.sync_data().map_err(io("keep"))?;
        open.is_empty = false;
        match line {
            Line::Header { .. } => {}
            Line::Paused { job, .. } => drop(open.left.insert(job.clone())),
            Line::Back { job } => {
                open.left.remove(job);
                if open.left.is_empty() {
                    open.file.set_len(0).map_err(io("cut"))?;
                    open.file.rewind().map_err(io("cut"))?;
                    open.is_empty = true;
                }
            }
        }
        Ok(())
    }

    fn sealed(&self, line: &Line) -> Result<Vec<u8>, MemoryError> {
        let sealed = self.seal.line(line);
        sealed.map_err(io_error("seal a line of", &self.path))
    }

    /// Takes in what the file says; tells how far it reaches without a line that a kill cut off.
    fn recall(&mut self, text: &[u8]) -> Result<u64, MemoryError> {
        let bad = |what| MemoryError::Bad {
            path: self.path.clone(),
            what,
        };
        let whole = whole_lines(text);
        let lines = whole.split(|byte| *byte == b'\n');
        for (number, line) in lines.filter(|line| !line.is_empty()).enumerate() {
            let opened = self.seal.open(line);
            let opened = opened
                .ok_or_else(|| bad("a line is damaged, or was written beside another store"))?;
            let line = serde_json::from_slice(&opened);
            let line = line.map_err(|_| bad("a line is of a newer dbsnap"))?;
            match line {
                Line::Header {
                    format,
                    workspace: of,
                } => {
                    if format != FORMAT {
                        return Err(bad("it is of a newer dbsnap"));
                    }
                    if of != self.workspace {
                        return Err(bad("it is of another workspace"));
                    }
                }
                _ if number == 0 => return Err(bad("its beginning is missing")),
                Line::Paused { job, name, said } => {
                    let known = self.jobs.entry(job).or_default();
                    known.name = name;
                    known.said.extend(said);
                }
                Line::Back { job } => drop(self.jobs.remove(&job)),
            }
        }
        Ok(whole.len() as u64)
    }
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> MemoryError + use<'a> {
    move |source| MemoryError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(job: &str) -> Line {
        let said = [("schedule".to_owned(), Some(Value::from("UNPAUSED")))];
        Line::Paused {
            job: job.into(),
            name: "n".into(),
            said: said.into(),
        }
    }

    fn open(path: &Path) -> Result<Memory, MemoryError> {
        Memory::open(path, &LineSeal::default(), "w", false)
    }

    #[test]
    fn what_is_remembered_survives_and_a_torn_line_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("paused/w.jsonl");
        let memory = open(&path).unwrap();
        memory.write(&paused("1")).unwrap();
        memory.write(&paused("2")).unwrap();
        memory.write(&Line::Back { job: "1".into() }).unwrap();
        assert!(matches!(open(&path), Err(MemoryError::Locked(_))));
        drop(memory);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"paused":{"job":"3","#).unwrap();
        drop(file);
        let memory = open(&path).unwrap();
        assert_eq!(memory.jobs().map(|(id, _)| id).collect::<Vec<_>>(), ["2"]);
        memory.write(&Line::Back { job: "2".into() }).unwrap();
        drop(memory);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(open(&path).unwrap().jobs().count(), 0);
    }

    #[test]
    fn what_is_remembered_after_everything_ran_again_is_recalled_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        let memory = open(&path).unwrap();
        memory.write(&paused("1")).unwrap();
        memory.write(&Line::Back { job: "1".into() }).unwrap();
        memory.write(&paused("2")).unwrap();
        drop(memory);
        assert!(open(&path).unwrap().knew("2"));
    }

    #[test]
    fn the_file_of_another_workspace_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        open(&path).unwrap().write(&paused("1")).unwrap();
        let other = Memory::open(&path, &LineSeal::default(), "other", false);
        assert!(matches!(other, Err(MemoryError::Bad { .. })));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&path), Err(MemoryError::Bad { .. })));
    }
}
