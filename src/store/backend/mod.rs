//! Where the files of a store are: the one seam between the store and what it is kept on.
//!
//! Invariant: everything the store does to its files is one of these few calls, and all of its ordering is that one call
//! has returned before the next is made. What `put` has returned is durable; a name shows a whole file or none.

mod local;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub(super) use local::Local;
#[cfg(test)]
pub(super) use memory::{Fate, Memory, Op};

use super::error::{IoContext, StoreError, corrupt};

/// What the names of unfinished files begin with. Readers never look at them.
pub(super) const TEMPORARY: &str = ".tmp-";

/// A piece of a file that is read at once where a whole one could be too much.
const PIECE: u64 = 4 << 20;

/// A flat collection of files with names like `packs/ab/abcd`, which are written once and never changed.
///
/// Needed of it is what local disks and object stores have: who lists or reads after a call has returned sees what it did.
pub(super) trait Backend: Send + Sync + fmt::Debug {
    /// Stores a file whose name is a hash of its content. One that is there with the same length is the same.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Stores a file unless there is one of that name, and says whether it did. Of two at once one wins.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool>;

    /// How long a file is and when it was stored; `NotFound` if there is none.
    fn stat(&self, name: &str) -> io::Result<Stat>;

    /// Fills `buffer` from a place in a file; `UnexpectedEof` if it ends before.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// All files below a directory, in order of their names; unfinished ones as well. None if there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<Listed>>;

    /// Removes a file; one that is gone already is fine.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The time by the clock that also dates the files.
    fn now(&self) -> io::Result<DateTime<Utc>>;
}

/// What a backend knows of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its length in bytes.
    pub(super) len: u64,
    /// When it was stored, by the backend's clock.
    pub(super) modified: DateTime<Utc>,
}

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    /// Its whole name, from the root of the store.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) len: u64,
    /// When it was stored, by the backend's clock.
    pub(super) modified: DateTime<Utc>,
}

impl Listed {
    /// The part of the name after the last slash.
    pub(super) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Whether a run is writing it, or was killed while it did.
    pub(super) fn is_unfinished(&self) -> bool {
        self.file_name().starts_with(TEMPORARY)
    }
}

/// The files of one store. What goes wrong is said with the path that people know the file by.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: PathBuf,
    backend: Arc<dyn Backend>,
}

impl Files {
    pub(super) fn new(root: impl Into<PathBuf>, backend: impl Backend + 'static) -> Self {
        Self {
            root: root.into(),
            backend: Arc::new(backend),
        }
    }

    /// The files below a directory of this machine.
    pub(super) fn local(root: &Path) -> Self {
        Self::new(root, Local::new(root))
    }

    /// Where they are, as people know it.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file as people know it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// See [`Backend::put`].
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.backend
            .put(name, bytes)
            .when("write", &self.path(name))
    }

    /// See [`Backend::create`].
    pub(super) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        self.backend
            .create(name, bytes)
            .when("create", &self.path(name))
    }

    /// How long a file is; none if there is none.
    pub(super) fn len(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.stat(name)?.map(|stat| stat.len))
    }

    /// When a file was stored, by the backend's clock; none if there is none.
    pub(super) fn modified(&self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.stat(name)?.map(|stat| stat.modified))
    }

    fn stat(&self, name: &str) -> Result<Option<Stat>, StoreError> {
        match self.backend.stat(name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).when("look at", &self.path(name)),
        }
    }

    /// A whole file of at most `limit` bytes; none if there is none.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(len) = self.len(name)? else {
            return Ok(None);
        };
        if len > limit {
            let what = format!("{len} bytes are absurdly many");
            return Err(corrupt(&self.path(name), what));
        }
        self.read_at(name, 0, usize::try_from(len).unwrap_or(usize::MAX))
            .map(Some)
    }

    /// A part of a file that is there.
    pub(super) fn read_at(
        &self,
        name: &str,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        self.backend
            .read_at(name, offset, &mut bytes)
            .when("read", &self.path(name))?;
        Ok(bytes)
    }

    /// The same into a buffer.
    pub(super) fn fill(
        &self,
        name: &str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        self.backend
            .read_at(name, offset, buffer)
            .when("read", &self.path(name))
    }

    /// A file of any length, a piece at a time; says how long it is.
    pub(super) fn for_each_piece(
        &self,
        name: &str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<u64, StoreError> {
        let stat = self.backend.stat(name);
        let len = stat.when("look at", &self.path(name))?.len;
        let mut offset = 0;
        while offset < len {
            let piece = PIECE.min(len - offset);
            each(&self.read_at(name, offset, piece as usize)?);
            offset += piece;
        }
        Ok(len)
    }

    /// See [`Backend::list`].
    pub(super) fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        self.backend.list(dir).when("list", &self.path(dir))
    }

    /// See [`Backend::remove`].
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.backend.remove(name).when("remove", &self.path(name))
    }

    /// See [`Backend::now`].
    pub(super) fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        self.backend.now().when("ask for the time of", &self.root)
    }
}
