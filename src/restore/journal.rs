//! The journal of a restore: what it set out to make, and what came of it, so that a killed run is resumed without
//! making anything twice.
//!
//! One JSON object a line, only ever appended. What cannot be done twice is on disk before it is done and again as soon
//! as its id is known; for what is made by path, which doing twice does not double, the system may take its time.
//!
//! Invariant: a line that was cut off by a kill is as if it had never been written; any other damage is an error.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use super::plan::Memory;
use crate::resource::{KindName, ObjectKey};

/// Why a journal could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system failed.
    #[error("failed to {doing} the journal {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A line is none.
    #[error("line {line} of the journal {} is damaged", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is the journal of another restore.
    #[error("the journal {} belongs to the restore of another snapshot or into another workspace", .0.display())]
    Foreign(
        /// The journal.
        PathBuf,
    ),
}

/// Which restore a journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the form.
    pub journal: u32,
    /// The snapshot that is restored.
    pub snapshot: String,
    /// The workspace it is restored into.
    pub workspace: String,
}

impl Header {
    /// The header of the restore of a snapshot into a workspace.
    pub fn new(snapshot: impl Into<String>, workspace: impl Into<String>) -> Self {
        Self {
            journal: 1,
            snapshot: snapshot.into(),
            workspace: workspace.into(),
        }
    }
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Which restore this is.
    Header(Header),
    /// A run carries out the plan with this digest.
    Run { plan: String },
    /// What the target was like before is in this snapshot.
    Safety { snapshot: String },
    /// Something is about to be made.
    Begin {
        kind: String,
        handle: String,
        name: String,
        before: Vec<String>,
    },
    /// It was made.
    Made {
        kind: String,
        handle: String,
        name: String,
        id: String,
    },
    /// Something that was there is about to be changed.
    Change {
        kind: String,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Nothing remains to be done with it.
    Done { kind: String, handle: String },
    /// The run came to its end with nothing left to do.
    Finished,
}

/// What earlier runs of a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    objects: BTreeMap<(String, String), (String, Memory)>,
    /// The snapshots of what was there before, oldest first.
    pub safety: Vec<String>,
    /// What was there before and was changed, with the place of its snapshot in `safety`.
    pub changed: BTreeMap<ObjectKey, usize>,
}

impl Earlier {
    /// What is remembered of an object: a path in the target, or an id in the snapshot.
    pub fn get(&self, kind: &str, handle: &str) -> Option<&Memory> {
        let key = (kind.to_owned(), handle.to_owned());
        self.objects.get(&key).map(|(_, memory)| memory)
    }

    /// Everything that was made, as kind, name and id.
    pub fn made(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let objects = self.objects.iter();
        objects.filter_map(|((kind, _), (name, memory))| match memory {
            Memory::Made { id, .. } => Some((kind.as_str(), name.as_str(), id.as_str())),
            Memory::Begun { .. } => None,
        })
    }

    /// What was begun and not finished, as kind and handle.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (&str, &str)> {
        let objects = self.objects.iter();
        objects.filter_map(|((kind, handle), (_, memory))| {
            let is_done = matches!(memory, Memory::Made { is_done: true, .. });
            (!is_done).then_some((kind.as_str(), handle.as_str()))
        })
    }

    fn learn(&mut self, line: Line) {
        match line {
            Line::Header(_) | Line::Run { .. } => {}
            Line::Safety { snapshot } => self.safety.push(snapshot),
            Line::Begin {
                kind,
                handle,
                name,
                before,
            } => {
                let begun = (name, Memory::Begun { before });
                self.objects.insert((kind, handle), begun);
            }
            Line::Made {
                kind,
                handle,
                name,
                id,
            } => {
                let made = Memory::Made { id, is_done: false };
                self.objects.insert((kind, handle), (name, made));
            }
            Line::Change { kind, name, id } => {
                let key = ObjectKey {
                    kind: KindName::read(&kind),
                    name,
                    id,
                };
                // The first snapshot is the one from before the first change.
                let last = self.safety.len().saturating_sub(1);
                self.changed.entry(key).or_insert(last);
            }
            Line::Done { kind, handle } => {
                if let Some((_, Memory::Made { is_done, .. })) =
                    self.objects.get_mut(&(kind, handle))
                {
                    *is_done = true;
                }
            }
            Line::Finished => {
                for (_, memory) in self.objects.values_mut() {
                    if let Memory::Made { is_done, .. } = memory {
                        *is_done = true;
                    }
                }
            }
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of a restore, or begins one, and tells what earlier runs did.
    pub fn open(path: &Path, header: &Header) -> Result<(Self, Earlier), JournalError> {
        let io = |doing| io_error(doing, path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io("read"))?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let earlier = Self::parse(path, &text[..whole], header)?;
        file.set_len(whole as u64).map_err(io("cut"))?;
        file.seek(SeekFrom::End(0)).map_err(io("open"))?;
        let journal = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        };
        if whole == 0 {
            journal.write(&Line::Header(header.clone()), true)?;
            sync_folder(path).map_err(io("keep"))?;
        }
        Ok((journal, earlier))
    }

    /// What earlier runs did, without beginning a new one; none if there were none.
    pub fn look(path: &Path, header: &Header) -> Result<Option<Earlier>, JournalError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        Self::parse(path, &text[..whole], header).map(Some)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, line: &Line, is_durable: bool) -> Result<(), JournalError> {
        let mut bytes = serde_json::to_vec(line).expect("lines have text keys only");
        bytes.push(b'\n');
        // A panic elsewhere cannot have left half a line: it is written by one call.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&bytes)
            .map_err(io_error("write", &self.path))?;
        if is_durable {
            file.sync_data().map_err(io_error("keep", &self.path))?;
        }
        Ok(())
    }

    fn parse(path: &Path, text: &[u8], header: &Header) -> Result<Earlier, JournalError> {
        let mut earlier = Earlier::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let line = serde_json::from_slice(line).map_err(|source| JournalError::Damaged {
                path: path.to_owned(),
                line: index + 1,
                source,
            })?;
            if matches!(&line, Line::Header(found) if found != header) {
                return Err(JournalError::Foreign(path.to_owned()));
            }
            earlier.learn(line);
        }
        Ok(earlier)
    }
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> JournalError + use<'a> {
    move |source| JournalError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(handle: &str, id: &str) -> Line {
        Line::Made {
            kind: "job".into(),
            handle: handle.into(),
            name: "n".into(),
            id: id.into(),
        }
    }

    #[test]
    fn a_journal_remembers_and_a_torn_line_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("restores/x.jsonl");
        let header = Header::new("s", "w");
        let (journal, earlier) = Journal::open(&path, &header).unwrap();
        assert_eq!(earlier, Earlier::default());
        let begin = Line::Begin {
            kind: "job".into(),
            handle: "1".into(),
            name: "n".into(),
            before: vec!["7".into()],
        };
        journal.write(&begin, true).unwrap();
        journal.write(&made("2", "20"), true).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"made":{"kind":"job","hand"#).unwrap();

        let (journal, earlier) = Journal::open(&path, &header).unwrap();
        let begun = Memory::Begun {
            before: vec!["7".into()],
        };
        assert_eq!(earlier.get("job", "1"), Some(&begun));
        assert_eq!(earlier.made().collect::<Vec<_>>(), [("job", "n", "20")]);
        journal.write(&Line::Finished, false).unwrap();
        let (_, earlier) = Journal::open(&path, &header).unwrap();
        let done = Memory::Made {
            id: "20".into(),
            is_done: true,
        };
        assert_eq!(earlier.get("job", "2"), Some(&done));
    }

    #[test]
    fn the_journal_of_another_restore_and_a_damaged_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        drop(Journal::open(&path, &Header::new("s", "w")).unwrap());
        let other = Journal::open(&path, &Header::new("s", "v")).unwrap_err();
        assert!(matches!(other, JournalError::Foreign(_)));
        std::fs::write(&path, "{}\n").unwrap();
        let damaged = Journal::open(&path, &Header::new("s", "w")).unwrap_err();
        assert!(matches!(damaged, JournalError::Damaged { line: 1, .. }));
    }
}
