//! The store: bytes by content, and named heads. What [`FORMAT.md`](self#the-dbsnap-store-format-1) says, in code.
//!
//! Invariant: the store knows no JSON but its own configuration, no manifest and no workspace. A head is bytes to it,
//! and a snapshot exists exactly from the moment its head has its name.
#![doc = include_str!("FORMAT.md")]

mod backend;
mod config;
mod crypt;
mod directory;
mod encrypted;
mod error;
mod frame;
mod history;
mod id;
mod index;
mod keys;
mod layout;
mod lines;
mod look;
mod merge;
mod orphans;
mod pack;
mod pipeline;
mod prune;
mod reader;
mod repair;
mod scratch;
mod sizes;
#[cfg(test)]
mod tests;
mod traces;
mod verify;
mod view;
mod writer;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};

pub use error::{Purpose, StoreError};
pub use history::LostSnapshots;
pub use id::{BlobId, BlobKind, FileId, ParseIdError, SnapshotId};
pub use keys::{
    Identity, KeyError, Label, Lock, NewSlot, Passphrase, Recipient, Secret, Slot, SlotKind,
    SlotName, WorkFactor,
};
pub use layout::{HeadName, ParseHeadNameError};
pub use lines::{LineSeal, is_locked, sync_folder, whole_lines};
pub use prune::{Live, PruneOptions, PrunePlan, Pruned, Pruning};
pub use repair::{ConfigRepair, IndexRepair, PackRepair, PendingRepair};
pub use sizes::{BlobSize, StoreSizes};
pub use verify::{Amount, ParseAmountError, Problem, Verification};
pub use writer::{Writer, WriterOptions, Written};

use backend::{Files, Local};
use config::{Config, Encryption};
use crypt::Crypt;
use error::{IoContext, corrupt};
use keys::Ring;
use layout::{CONFIG, INDEX, PACKS, PENDING, README, SNAPSHOTS};
use reader::{Locate, Reader};
use scratch::Layer;
use view::{Place, View};

/// No head is longer than this.
const MAX_HEAD: u64 = 64 << 20;
/// So often a reader looks where a blob lies by now, before it takes it for lost.
const RELOADS: usize = 5;
const README_TEXT: &str = "\
This directory is a dbsnap store, format 1: snapshots of Databricks workspaces.

Do not change or remove anything in here by hand. `dbsnap snapshots --store <this directory>` lists what it holds,
`dbsnap check --read-data` proves that it is whole. Without dbsnap at hand: every file in packs/ is named by the
BLAKE3 hash of its content (`b3sum` prints it), and FORMAT.md in the source of dbsnap (src/store/FORMAT.md) says how
to read them.
";
/// All texts that there have been.
const READMES: [&str; 2] = [README_TEXT, encrypted::README_TEXT];

/// A directory that holds blobs and heads. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    files: Files,
    config: Config,
    /// What the files are sealed with, if they are.
    crypt: Option<Crypt>,
    view: RwLock<View>,
    reader: Reader,
    reloaded: AtomicBool,
    /// The configuration was found good enough to write by.
    is_writable: OnceLock<()>,
    /// What shows through where this store has nothing.
    layer: Option<Layer>,
}

impl Store {
    /// Creates a store in a missing or empty directory.
    ///
    /// When two do that at once, one of them gets [`StoreError::AlreadyExists`] and may open the other's.
    pub fn create(path: &Path, now: DateTime<Utc>) -> Result<Self, StoreError> {
        Self::create_in(empty_directory(path)?, now)
    }

    fn create_in(files: Files, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let config = create_config(&files, now, Encryption::None)?;
        files.create(README, README_TEXT.as_bytes())?;
        Ok(Self::new(files, config, None, View::default()))
    }

    /// Opens a store that exists. One that is encrypted needs [`Store::open_with`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, &[])
    }

    /// Opens a store that exists, with one of these secrets if it is encrypted.
    pub fn open_with(path: &Path, secrets: &[Secret]) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NoStore(path.to_owned()));
        }
        if !path.is_dir() {
            return Err(StoreError::NotAStore(path.to_owned()));
        }
        match Self::open_in(Files::local(path), secrets)? {
            Some(store) => Ok(store),
            None if Local::is_empty(path)? => Err(StoreError::NoStore(path.to_owned())),
            None => Err(StoreError::NotAStore(path.to_owned())),
        }
    }

    /// The same store, as it is now and not as this one remembers it; of a scratch store only what was written to it.
    pub fn reopened(&self) -> Result<Self, StoreError> {
        let files = self.files().clone();
        let config = Config::load(&files)?;
        let config = config.ok_or_else(|| StoreError::NoStore(self.path().to_owned()))?;
        let view = View::load(&files, true)?;
        Ok(Self::new(files, config, self.0.crypt.clone(), view))
    }

    /// Opens a store; none if there is no configuration.
    fn open_in(files: Files, secrets: &[Secret]) -> Result<Option<Self>, StoreError> {
        let Some(config) = Config::load(&files)? else {
            return Ok(None);
        };
        let (files, crypt) = match config.is_encrypted() {
            true => {
                let ring = Ring {
                    files: &files,
                    store: &config.id,
                };
                let opened = ring.open_or_tell(secrets);
                let opened = opened.map_err(|(error, other)| match error {
                    // The right key opens nothing of a store with another id.
                    StoreError::WrongKey { .. } => {
                        let damage = config.damage(&files);
                        let strange = || config.of_store(&files, other.as_deref()?);
                        damage.or_else(strange).unwrap_or(error)
                    }
                    StoreError::NoSlot(_) => match config.fault(&files) {
                        Ok(Some(fault)) => fault,
                        Ok(None) | Err(_) => error,
                    },
                    error => error,
                });
                let crypt = Crypt::new(opened?);
                (files.sealed(crypt.clone()), Some(crypt))
            }
            false => match traces::plain(&files)? {
                Some(trace) => return Err(traces::denied(&files, &trace)),
                None => (files, None),
            },
        };
        let view = View::load(&files, true)?;
        Ok(Some(Self::new(files, config, crypt, view)))
    }

    /// The random id that the store got when it was created.
    pub fn id(&self) -> &str {
        &self.0.config.id
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        self.0.files.root()
    }

    fn files(&self) -> &Files {
        &self.0.files
    }

    /// Refuses to write by a configuration that cannot be relied on; it is looked at once.
    fn require_writable(&self) -> Result<(), StoreError> {
        if self.0.is_writable.get().is_none() {
            self.0.config.writable(self.files())?;
            if self.is_encrypted() && !traces::opens_any(self.files())? {
                return Err(StoreError::OpensNothing(self.path().to_owned()));
            }
            let _ = self.0.is_writable.set(());
        }
        Ok(())
    }

    /// Whether the store has the blob, in a pack that is there, has its full length and was not given up as damaged, and
    /// in a frame that has not turned out to be damaged and does not hang on one that is gone.
    pub fn contains(&self, id: &BlobId) -> bool {
        self.0.usable(id, |_| true).is_ok_and(|pack| pack.is_some())
            || self.below().is_some_and(|below| below.contains(id))
    }

    /// Reads a blob. What it returns hashes to `id`, and is part of what was decoded with it rather than a copy.
    pub fn read(&self, id: &BlobId) -> Result<Bytes, StoreError> {
        if let Some(below) = self.below()
            && self.0.places(id)?.is_empty()
        {
            return below.read(id);
        }
        let mut read = self.0.reader.read(&*self.0, id);
        for _ in 0..RELOADS {
            // A prune may have moved it, or a backup written it, since the view was loaded.
            if read.is_ok() || !self.is_outdated()? {
                break;
            }
            let mut view = self.0.view.write().unwrap_or_else(PoisonError::into_inner);
            *view = View::load(self.files(), true)?;
            drop(view);
            read = self.0.reader.read(&*self.0, id);
        }
        read.or_else(|error| {
            // The index may be wrong: once, everything is read anew from the packs.
            if self.0.reloaded.swap(true, Ordering::Relaxed) {
                return Err(error);
            }
            // The lock is held while loading, so that a segment added meanwhile is not lost.
            let mut view = self.0.view.write().unwrap_or_else(PoisonError::into_inner);
            *view = View::load(self.files(), false)?;
            drop(view);
            self.0.reader.read(&*self.0, id)
        })
    }

    /// The names of all heads, segments and packs that there are now: as long as they stay the same, nobody has written,
    /// forgotten or pruned anything.
    pub fn names_now(&self) -> Result<HashSet<String>, StoreError> {
        let mut names = HashSet::new();
        for dir in [SNAPSHOTS, INDEX, PACKS] {
            let listed = self.files().list(dir)?.into_iter();
            names.extend(listed.map(|file| file.name));
        }
        Ok(names)
    }

    /// Whether there are other packs now than when the view was loaded.
    fn is_outdated(&self) -> Result<bool, StoreError> {
        let packs = layout::list_packs(self.files())?;
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        let known: HashSet<FileId> = view.existing_packs().collect();
        Ok(packs.len() != known.len() || !packs.iter().all(|(id, _)| known.contains(id)))
    }

    /// Files of the index, and directories of packs that are in none, which could not be read when the store was opened.
    pub fn damage(&self) -> Vec<Problem> {
        verify::damage(self)
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
        self.require_writable()?;
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
        match (
            self.files().modified(&format!("{SNAPSHOTS}/{head}"))?,
            self.below(),
        ) {
            (Some(time), _) => Ok(time),
            (None, Some(below)) => below.committed_at(head),
            (None, None) => Err(StoreError::MissingHead(*head)),
        }
    }

    /// Whether the snapshot is there now.
    pub fn has_head(&self, head: &HeadName) -> Result<bool, StoreError> {
        let found = self.files().len_stored(&format!("{SNAPSHOTS}/{head}"))?;
        match self.below() {
            Some(below) if found.is_none() => below.has_head(head),
            _ => Ok(found.is_some()),
        }
    }

    /// Removes the head of a snapshot, for good when this returns; one that is gone already is fine. What only the
    /// snapshot needed stays. Of a scratch store nothing below it is removed.
    pub fn forget(&self, head: &HeadName) -> Result<(), StoreError> {
        self.require_writable()?;
        self.files().remove(&format!("{SNAPSHOTS}/{head}"))
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
        self.files().remove(&format!("{PENDING}/{head}"))
    }

    fn new(files: Files, config: Config, crypt: Option<Crypt>, view: View) -> Self {
        Self(Arc::new(Inner {
            files,
            config,
            crypt,
            view: RwLock::new(view),
            reader: Reader::default(),
            reloaded: AtomicBool::new(false),
            is_writable: OnceLock::new(),
            layer: None,
        }))
    }

    fn read_named(&self, dir: &str, head: &HeadName) -> Result<Vec<u8>, StoreError> {
        let file = format!("{dir}/{head}");
        let bytes = match (self.files().read(&file, MAX_HEAD)?, self.below()) {
            (Some(bytes), _) => bytes,
            (None, Some(below)) => return below.read_named(dir, head),
            (None, None) => return Err(StoreError::MissingHead(*head)),
        };
        if SnapshotId::of(&bytes) != head.id {
            return Err(corrupt(
                &self.files().path(&file),
                "the content does not match the name",
            ));
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.0.files.root()).finish()
    }
}

impl Inner {
    /// A pack that has the blob whole, as far as is known, and that will do.
    fn usable(
        &self,
        id: &BlobId,
        mut will_do: impl FnMut(&FileId) -> bool,
    ) -> Result<Option<FileId>, StoreError> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.find(id, |place| {
            let is_orphan = || {
                let orphans = view.orphans(&self.files);
                orphans.contains(&(place.pack, place.spot.frame_offset))
            };
            let is_whole = self.is_intact(&place) && !is_orphan();
            (is_whole && will_do(&place.pack)).then_some(place.pack)
        })
    }

    /// Whether nothing is known that would keep a place from being read.
    fn is_intact(&self, place: &Place) -> bool {
        place.intact && !self.reader.has_failed(place)
    }
}

impl Locate for Inner {
    fn files(&self) -> &Files {
        &self.files
    }

    fn places(&self, id: &BlobId) -> Result<Vec<Place>, StoreError> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut places = view.places(id)?;
        for place in &mut places {
            place.intact = self.is_intact(place);
        }
        places.sort_by_key(|place| !place.intact);
        Ok(places)
    }

    fn intact_place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.find(id, |place| self.is_intact(&place).then_some(place))
    }
}

/// A missing or empty directory, where a store can be created.
fn empty_directory(path: &Path) -> Result<Files, StoreError> {
    Local::make_root(path)?;
    // In this order: who creates the store at the same time makes the configuration first of all.
    let empty = Local::is_empty(path)?;
    if path.join(CONFIG).exists() {
        return Err(StoreError::AlreadyExists(path.to_owned()));
    }
    if !empty {
        return Err(StoreError::NotEmpty(path.to_owned()));
    }
    Ok(Files::local(path))
}

/// Makes the configuration, which is what makes a store.
fn create_config(
    files: &Files,
    now: DateTime<Utc>,
    encryption: Encryption,
) -> Result<Config, StoreError> {
    let mut id = [0; 16];
    random(&mut id, files.root())?;
    let config = Config::new(id, now, encryption);
    if !files.create(CONFIG, &config.to_bytes())? {
        return Err(StoreError::AlreadyExists(files.root().to_owned()));
    }
    Ok(config)
}

fn random(bytes: &mut [u8], root: &Path) -> Result<(), StoreError> {
    getrandom::fill(bytes)
        .map_err(std::io::Error::other)
        .when("get random bytes for", root)
}

/// Nothing that a mutex of the store guards is ever half changed, so a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
