//! The journal of a restore: what it set out to make, and what came of it, so that a killed run is resumed without
//! making anything twice.
//!
//! One JSON object a line, only ever appended. What cannot be done twice is on disk before it is done and again as soon
//! as its id is known; for what is made by path, which doing twice does not double, the system may take its time.
//!
//! Invariant: a line that was cut off by a kill is as if it had never been written; any other damage is an error.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::file::{Claim, Journal};
pub use super::plan::Memory;
use crate::resource::{KindName, ObjectKey};
use crate::store::LineSeal;

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
    /// A line does not open.
    #[error("line {line} of the journal {} is damaged, or was written beside another store", path.display())]
    Sealed {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It is the journal of another restore.
    #[error("the journal {} belongs to the restore of another snapshot or into another workspace", .0.display())]
    Foreign(
        /// The journal.
        PathBuf,
    ),
    /// Another restore holds it.
    #[error("another restore holds the journal {}", .0.display())]
    Locked(
        /// The journal.
        PathBuf,
    ),
    /// It was not there when the target was read, and is now.
    #[error("another restore has begun the journal {} since the target was read", .0.display())]
    Overtaken(
        /// The journal.
        PathBuf,
    ),
}

impl JournalError {
    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locked(_) | Self::Overtaken(_) => Some(
                "wait until the other one has ended, then run this again; the lock ends with its process, so that \
                 one that was killed leaves none behind",
            ),
            Self::Io { .. } => Some("--journal puts the journal elsewhere"),
            Self::Foreign(_) => Some("a journal is of one restore only: name another file"),
            Self::Damaged { .. } | Self::Sealed { .. } => Some(
                "move it away, and run this again: what earlier runs made is found by its name; only --undo no longer \
                 knows what they changed, and a restore of the snapshot with the tag `before-restore` takes its place",
            ),
        }
    }
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
    /// What the target was like before is in this snapshot; nowhere, if somebody did without.
    Safety { snapshot: Option<String> },
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
    /// The snapshots of what was there before, oldest first; none for a run that did without.
    pub safety: Vec<Option<String>>,
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

    /// What was changed without a snapshot of what it was before.
    pub fn beyond_undo(&self) -> impl Iterator<Item = &ObjectKey> {
        let is_kept = |at: &usize| self.safety.get(*at).is_some_and(Option::is_some);
        let changed = self.changed.iter().filter(move |(_, at)| !is_kept(at));
        changed.map(|(key, _)| key)
    }

    /// What was begun and not finished, as kind and handle.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = (&str, &str)> {
        let objects = self.objects.iter();
        objects.filter_map(|((kind, handle), (_, memory))| {
            let is_done = matches!(memory, Memory::Made { is_done: true, .. });
            (!is_done).then_some((kind.as_str(), handle.as_str()))
        })
    }

    /// Reads whole lines.
    fn parse(
        path: &Path,
        text: &[u8],
        header: &Header,
        seal: &LineSeal,
    ) -> Result<Self, JournalError> {
        let mut earlier = Self::default();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let opened = seal.open(line).ok_or_else(|| JournalError::Sealed {
                path: path.to_owned(),
                line: index + 1,
            })?;
            let line = serde_json::from_slice(&opened).map_err(|source| JournalError::Damaged {
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
