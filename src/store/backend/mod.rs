//! Where the files of a store are: the one seam between the store and what it is kept on.
//!
//! Invariant: everything the store does to its files is one of these few calls, and all of its ordering is that one call
//! has returned before the next is made. What `put` has returned is durable; a name shows a whole file or none.

mod disk;
#[cfg(test)]
mod fake_disk;
mod local;
#[cfg(test)]
mod memory;
mod retrying;
mod sealed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use chrono::{DateTime, Utc};

#[cfg(test)]
pub(super) use fake_disk::{Act, FakeDisk, Fault, Image, Lie, Moment};
pub(super) use local::Local;
#[cfg(test)]
pub(super) use memory::{Fate, Memory, Op};
pub(super) use retrying::Retrying;

use super::crypt::Crypt;
use super::error::{IoContext, StoreError, corrupt};
use super::id::FileId;
use sealed::Sealed;

/// What the names of unfinished files begin with. Readers never look at them.
pub(super) const TEMPORARY: &str = ".tmp-";

/// A piece of a file that is read at once where a whole one could be too much.
const PIECE: u64 = 4 << 20;

/// A flat collection of files with names like `packs/ab/abcd`, which are written once and never changed.
///
/// Needed of it is what local disks and object stores have: who reads or asks for a file after a call has returned sees what
/// it did. Listings may lag behind for a while, see "What a store asks of where it lies" in the format. What may pass when
/// asked again fails with an error of a kind that says so, such as `ResourceBusy` or `TimedOut`, and every call may be made
/// twice, as [`Retrying`] does.
pub(super) trait Backend: Send + Sync + fmt::Debug {
    /// Stores a file whose name is a hash of its content. One that is there with the same length is the same.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Stores a file unless there is one of that name, and says whether it did. Of two at once one wins. That is known for
    /// sure only if their bytes differ: who finds just what was to be stored has stored it, for all that can be known.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool>;

    /// How long a file is and when it was stored; `NotFound` if there is none.
    fn stat(&self, name: &str) -> io::Result<Stat>;

    /// Fills `buffer` from a place in a file; `UnexpectedEof` if it ends before.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// All files below a directory, in order of their names; unfinished ones as well. None if there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Vec<Listed>>;

    /// Removes a file; one that is gone already is fine.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Sees to it that the files stay that are seen in a directory now, and those stay away that are not, even if whoever
    /// wrote or removed them was killed before the call returned.
    fn settle(&self, dir: &str) -> io::Result<()>;

    /// The time by the clock that also dates the files.
    fn now(&self) -> io::Result<DateTime<Utc>>;

    /// Stores a file under a name made from the hash of what is stored, and says which hash that is.
    fn put_hashed(&self, name: &dyn Fn(&FileId) -> String, bytes: &[u8]) -> io::Result<FileId> {
        let id = FileId::of(bytes);
        self.put(&name(&id), bytes)?;
        Ok(id)
    }

    /// The name that the file has where it lies, if it is another.
    fn stored_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// How long a file is where it lies.
    fn stored_len(&self, name: &str) -> io::Result<u64> {
        Ok(self.stat(name)?.len)
    }

    /// Fills `buffer` with what lies at a place in a file.
    fn read_stored(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(name, offset, buffer)
    }

    /// The file, of which `bytes` is all that is stored.
    fn unsealed(&self, _name: &str, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(bytes)
    }
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
        Self::new(root, Retrying::new(Local::new(root), thread::sleep))
    }

    /// The same files, which are sealed.
    pub(super) fn sealed(self, crypt: Crypt) -> Self {
        Self {
            root: self.root,
            backend: Arc::new(Sealed::new(self.backend, crypt)),
        }
    }

    /// Where they are, as people know it.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file as people know it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(self.backend.stored_name(name))
    }

    /// See [`Backend::put`].
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.backend
            .put(name, bytes)
            .when("write", &self.path(name))
    }

    /// See [`Backend::put_hashed`].
    pub(super) fn put_hashed(
        &self,
        name: impl Fn(&FileId) -> String,
        bytes: &[u8],
    ) -> Result<FileId, StoreError> {
        self.backend.put_hashed(&name, bytes).or_else(|error| {
            let named = self.path(&name(&FileId::of(bytes)));
            Err(error).when("write", &named)
        })
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

    /// How long a file is where it lies, whatever is in it; none if there is none.
    pub(super) fn len_stored(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.backend.stored_len(name) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).when("look at", &self.path(name)),
        }
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
        match self.read_at(name, 0, usize::try_from(len).unwrap_or(usize::MAX)) {
            // Somebody has removed it since it was looked at.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            read => read.map(Some),
        }
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

    /// What is stored of a file, which is the file itself unless it is sealed; none if there is none.
    pub(super) fn read_stored(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let Some(len) = self.len_stored(name)? else {
            return Ok(None);
        };
        if len > limit {
            return Err(corrupt(&path, format!("{len} bytes are absurdly many")));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        match self.backend.read_stored(name, 0, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.when("read", &path).map(|()| Some(bytes)),
        }
    }

    /// Fills a buffer with the beginning of what is stored of a file.
    pub(super) fn fill_stored(&self, name: &str, buffer: &mut [u8]) -> Result<(), StoreError> {
        let read = self.backend.read_stored(name, 0, buffer);
        read.when("read", &self.path(name))
    }

    /// The file, of which `bytes` is all that is stored.
    pub(super) fn unsealed(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let text = self.backend.unsealed(name, bytes);
        text.when("open", &self.path(name))
    }

    /// The hash of what is stored of a file of any length, and how long that is.
    pub(super) fn hash(&self, name: &str) -> Result<(FileId, u64), StoreError> {
        let path = self.path(name);
        let mut hasher = blake3::Hasher::new();
        let len = self.backend.stored_len(name).when("look at", &path)?;
        let mut offset = 0;
        while offset < len {
            let mut piece = vec![0; PIECE.min(len - offset) as usize];
            let read = self.backend.read_stored(name, offset, &mut piece);
            read.when("read", &path)?;
            hasher.update(&piece);
            offset += piece.len() as u64;
        }
        Ok((FileId::from_bytes(*hasher.finalize().as_bytes()), len))
    }

    /// See [`Backend::list`].
    pub(super) fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        self.backend.list(dir).when("list", &self.path(dir))
    }

    /// See [`Backend::remove`].
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.backend.remove(name).when("remove", &self.path(name))
    }

    /// See [`Backend::settle`].
    pub(super) fn settle(&self, dir: &str) -> Result<(), StoreError> {
        self.backend.settle(dir).when("sync", &self.path(dir))
    }

    /// See [`Backend::now`].
    pub(super) fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        self.backend.now().when("write to", &self.root)
    }
}
