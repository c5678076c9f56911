//! The store: bytes by content, and named heads. What [`FORMAT.md`](self#the-dbsnap-store-format-1) says, in code.
//!
//! Invariant: the store knows no JSON but its own configuration, no manifest and no workspace. A head is bytes to it,
//! and a snapshot exists exactly from the moment its head has its name.
#![doc = include_str!("FORMAT.md")]

mod config;
mod directory;
mod error;
mod files;
mod frame;
mod id;
mod index;
mod layout;
mod look;
mod merge;
mod pack;
mod pipeline;
mod reader;
mod scratch;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, TimeDelta, Utc};

pub use error::{Purpose, StoreError};
pub use id::{BlobId, BlobKind, FileId, ParseIdError, SnapshotId};
pub use layout::{HeadName, ParseHeadNameError};
pub use verify::{Problem, Verification};
pub use writer::{Writer, WriterOptions, Written};

use config::Config;
use error::{IoContext, corrupt};
use layout::{CONFIG, DIRECTORIES, PENDING, README, SNAPSHOTS};
use reader::{Locate, Reader};
use scratch::Layer;
use view::{Place, View};

/// No head is longer than this.
const MAX_HEAD: u64 = 64 << 20;
const README_TEXT: &str = "\
This directory is a dbsnap store, format 1: snapshots of Databricks workspaces.

Do not change or remove anything in here by hand. `dbsnap snapshots --store <this directory>` lists what it holds,
`dbsnap check --read-data` proves that it is whole. Without dbsnap at hand: every file in packs/ is named by the
BLAKE3 hash of its content (`b3sum` prints it), and FORMAT.md in the source of dbsnap (src/store/FORMAT.md) says how
to read them.
";

/// A directory that holds blobs and heads. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    root: PathBuf,
    config: Config,
    view: RwLock<View>,
    reader: Reader,
    reloaded: AtomicBool,
    /// What shows through where this store has nothing.
    layer: Option<Layer>,
}

impl Store {
    /// Creates a store in a missing or empty directory.
    ///
    /// When two do that at once, one of them gets [`StoreError::AlreadyExists`] and may open the other's.
    pub fn create(path: &Path, now: DateTime<Utc>) -> Result<Self, StoreError> {
        create_root(path)?;
        // In this order: who creates the store at the same time makes the configuration first of all.
        let empty = is_empty(path)?;
        if path.join(CONFIG).exists() {
            return Err(StoreError::AlreadyExists(path.to_owned()));
        }
        if !empty {
            return Err(StoreError::NotEmpty(path.to_owned()));
        }
        let mut id = [0; 16];
        random(&mut id, path)?;
        let config = Config::new(id, now);
        if !files::create_bytes(&path.join(CONFIG), &config.to_bytes())? {
            return Err(StoreError::AlreadyExists(path.to_owned()));
        }
        files::create_bytes(&path.join(README), README_TEXT.as_bytes())?;
        for dir in DIRECTORIES {
            files::make_dir(&path.join(dir))?;
        }
        Ok(Self::new(path, config, View::default()))
    }

    /// Opens a store that exists.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NoStore(path.to_owned()));
        }
        if !path.is_dir() {
            return Err(StoreError::NotAStore(path.to_owned()));
        }
        match Config::load(path)? {
            Some(config) => Ok(Self::new(path, config, View::load(path, true)?)),
            None if is_empty(path)? => Err(StoreError::NoStore(path.to_owned())),
            None => Err(StoreError::NotAStore(path.to_owned())),
        }
    }

    /// The random id that the store got when it was created.
    pub fn id(&self) -> &str {
        &self.0.config.id
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.0.root
    }

    /// Whether the store has the blob, in a pack that is there and has its full length, and in a frame that has not
    /// turned out to be damaged.
    pub fn contains(&self, id: &BlobId) -> bool {
        self.0
            .places(id)
            .is_ok_and(|places| places.iter().any(|place| place.intact))
            || self.below().is_some_and(|below| below.contains(id))
    }

    /// Reads a blob. What it returns hashes to `id`.
    pub fn read(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        if let Some(below) = self.below()
            && self.0.places(id)?.is_empty()
        {
            return below.read(id);
        }
        self.0.reader.read(&*self.0, id).or_else(|error| {
            // The place may have moved, or the index may be wrong: once, everything is read anew from the packs.
            if self.0.reloaded.swap(true, Ordering::Relaxed) {
                return Err(error);
            }
            // The lock is held while loading, so that a segment added meanwhile is not lost.
            let mut view = self.0.view.write().unwrap_or_else(PoisonError::into_inner);
            *view = View::load(&self.0.root, false)?;
            drop(view);
            self.0.reader.read(&*self.0, id)
        })
    }

    /// What of the index could not be read when the store was opened; it is made up for by the packs' directories.
    pub fn warnings(&self) -> Vec<String> {
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        view.damage().iter().map(ToString::to_string).collect()
    }

    /// Starts writing.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        self.writer_with(WriterOptions::default())
    }

    /// Starts writing with other than the usual options.
    pub fn writer_with(&self, options: WriterOptions) -> Result<Writer, StoreError> {
        self.0.config.writable(&self.0.root)?;
        Writer::start(self.clone(), options)
    }

    /// The heads of all snapshots, oldest first.
    pub fn heads(&self) -> Result<Vec<HeadName>, StoreError> {
        self.names(SNAPSHOTS)
    }

    /// Reads the head of a snapshot. What it returns hashes to the head's id.
    pub fn read_head(&self, head: &HeadName) -> Result<Vec<u8>, StoreError> {
        self.read_named(SNAPSHOTS, head)
    }

    /// When the store got the head, by the clock of what it lies on. The time in the name is only the writer's claim.
    pub fn committed_at(&self, head: &HeadName) -> Result<DateTime<Utc>, StoreError> {
        let path = self.0.root.join(SNAPSHOTS).join(head.to_string());
        match (std::fs::metadata(&path), self.below()) {
            (Ok(found), _) => found.modified().and_then(date).when("date", &path),
            (Err(error), below) if error.kind() == io::ErrorKind::NotFound => below.map_or_else(
                || Err(StoreError::MissingHead(*head)),
                |below| below.committed_at(head),
            ),
            (Err(error), _) => Err(error).when("look at", &path),
        }
    }

    /// Removes the head of a snapshot, for good when this returns; one that is gone already is fine. What only the
    /// snapshot needed stays. Of a scratch store nothing below it is removed.
    pub fn forget(&self, head: &HeadName) -> Result<(), StoreError> {
        self.0.config.writable(&self.0.root)?;
        let dir = self.0.root.join(SNAPSHOTS);
        files::remove(&dir.join(head.to_string()))?;
        // Before anything that only this head kept may go: a head that came back would lack it.
        files::sync_dir(&dir)
    }

    /// The heads of snapshots that were begun and never committed, oldest first.
    pub fn pending(&self) -> Result<Vec<HeadName>, StoreError> {
        self.names(PENDING)
    }

    /// Reads the head of a snapshot that was never committed.
    pub fn read_pending(&self, head: &HeadName) -> Result<Vec<u8>, StoreError> {
        self.read_named(PENDING, head)
    }

    /// Removes the head of a snapshot that was never committed; one that is gone already is fine.
    pub fn remove_pending(&self, head: &HeadName) -> Result<(), StoreError> {
        files::remove(&self.0.root.join(PENDING).join(head.to_string()))
    }

    fn new(path: &Path, config: Config, view: View) -> Self {
        Self(Arc::new(Inner {
            root: path.to_owned(),
            config,
            view: RwLock::new(view),
            reader: Reader::default(),
            reloaded: AtomicBool::new(false),
            layer: None,
        }))
    }

    fn read_named(&self, dir: &str, head: &HeadName) -> Result<Vec<u8>, StoreError> {
        let path = self.0.root.join(dir).join(head.to_string());
        let bytes = match (files::read_bounded(&path, MAX_HEAD)?, self.below()) {
            (Some(bytes), _) => bytes,
            (None, Some(below)) => return below.read_named(dir, head),
            (None, None) => return Err(StoreError::MissingHead(*head)),
        };
        if SnapshotId::of(&bytes) != head.id {
            return Err(corrupt(&path, "the content does not match the name"));
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.root).finish()
    }
}

impl Locate for Inner {
    fn root(&self) -> &Path {
        &self.root
    }

    fn places(&self, id: &BlobId) -> Result<Vec<Place>, StoreError> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut places = view.places(id).when("read the index of", &self.root)?;
        for place in &mut places {
            place.intact &= !self.reader.has_failed(place);
        }
        places.sort_by_key(|place| !place.intact);
        Ok(places)
    }
}

/// The directory of a new store is for its owner only; one that is there keeps its mode.
fn create_root(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    files::make_dir(path)?;
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .when("set the mode of", path)?;
    Ok(())
}

/// Whether nothing is in a directory but what a killed `create` or the making of a file system leaves there.
fn is_empty(path: &Path) -> Result<bool, StoreError> {
    let entries = layout::entries(path)?;
    let foreign = entries.iter().any(|entry| {
        let name = entry.file_name();
        name != "lost+found" && !name.to_string_lossy().starts_with(files::TEMPORARY)
    });
    Ok(!foreign)
}

fn random(bytes: &mut [u8], root: &Path) -> Result<(), StoreError> {
    getrandom::fill(bytes)
        .map_err(std::io::Error::other)
        .when("get random bytes for", root)
}

/// The time of a file; a file system can hold times that no calendar has.
fn date(time: SystemTime) -> io::Result<DateTime<Utc>> {
    let date = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => TimeDelta::from_std(after).ok(),
        Err(before) => TimeDelta::from_std(before.duration())
            .ok()
            .map(|time| -time),
    };
    date.and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since))
        .ok_or_else(|| io::Error::other("its time is beyond all calendars"))
}

/// Nothing that a mutex of the store guards is ever half changed, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
