//! What is on a disk, what may be lost of it, and what is left then.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::Stat;
use super::super::disk::Found;

/// What is on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Image {
    pub(super) names: BTreeMap<PathBuf, Entry>,
    pub(super) contents: BTreeMap<FileNumber, Arc<Vec<u8>>>,
}

pub(super) type FileNumber = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Dir,
    File(FileNumber),
}

/// The smallest thing that can be lost.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A name has come, or gone.
    Name(PathBuf, Option<Entry>),
    /// Bytes were written at a place in a file.
    Bytes(FileNumber, usize, Arc<[u8]>),
}

/// A disk at one moment: what is sure to stay, and what is not, in the order in which it was done.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Moment {
    pub(super) durable: Image,
    pub(super) pending: Vec<Change>,
}

impl Image {
    /// What lies in all files together.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// All files.
    pub(in crate::store) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.iter().filter_map(|(path, entry)| match entry {
            Entry::Dir => None,
            Entry::File(number) => Some((path.as_path(), self.content(*number))),
        })
    }

    /// A hash of all names and what is behind them.
    pub(in crate::store) fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (path, bytes) in self.files() {
            hasher.update(blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes());
            hasher.update(blake3::hash(bytes).as_bytes());
        }
        let dirs = self.names.iter().filter(|(_, entry)| **entry == Entry::Dir);
        for (path, _) in dirs {
            hasher.update(blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes());
        }
        hasher.finalize()
    }

    pub(super) fn content(&self, number: FileNumber) -> &[u8] {
        self.contents.get(&number).map_or(&[], |bytes| bytes)
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Name(path, None) => {
                self.names.remove(path);
            }
            Change::Name(path, Some(entry)) => {
                self.names.insert(path.clone(), *entry);
            }
            Change::Bytes(number, offset, bytes) => {
                let content = Arc::make_mut(self.contents.entry(*number).or_default());
                let end = offset + bytes.len();
                if content.len() < end {
                    // A hole, where something before was lost, reads as zeros.
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// Without what lies in directories that are not there, and without files that have no name.
    pub(super) fn reachable(&self) -> Self {
        let is_dir = |path: &Path| self.names.get(path) == Some(&Entry::Dir);
        let names = self.names.iter();
        let names = names.filter(|(path, _)| path.ancestors().skip(1).all(is_dir));
        let names: BTreeMap<PathBuf, Entry> = names.map(|(p, e)| (p.clone(), *e)).collect();
        let mut contents = BTreeMap::new();
        for entry in names.values() {
            if let Entry::File(number) = entry {
                let content = self.contents.get(number).cloned().unwrap_or_default();
                contents.insert(*number, content);
            }
        }
        Self { names, contents }
    }

    pub(super) fn found(&self, path: &Path, modified: DateTime<Utc>) -> io::Result<Found> {
        match self.names.get(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Entry::Dir) => Ok(Found::Dir),
            Some(Entry::File(number)) => Ok(Found::File(Stat {
                len: self.content(*number).len() as u64,
                modified,
            })),
        }
    }

    /// There is no file or directory below a file.
    pub(super) fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            Some(Entry::Dir) => Ok(()),
        }
    }
}

impl Moment {
    /// How many things may be lost if the power goes now.
    pub(in crate::store) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What is on the disk after the power has gone, if of what may be lost this stays.
    pub(in crate::store) fn survivor(&self, stays: impl Fn(usize) -> bool) -> Image {
        let mut image = self.durable.clone();
        for (number, change) in self.pending.iter().enumerate() {
            if stays(number) {
                image.apply(change);
            }
        }
        image.reachable()
    }
}
