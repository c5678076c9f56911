//! Freeing what nothing refers to, beside running backups, without locks.
//!
//! Invariant: every decision starts from one view, read in the order records, intents, heads, packs. A pack goes only if
//! an earlier run condemned it, and no copy in a condemned pack counts as one. So a backup that looks before it commits
//! either sees the record or was seen here; see "How a snapshot is written" in the format.

mod apply;
mod plan;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

pub use apply::Pruned;
pub use plan::PrunePlan;

use super::backend::Listed;
use super::directory::Directory;
use super::error::{StoreError, corrupt};
use super::layout::{
    self, BEGUN, CONDEMNED, INDEX, KEYS, LOST, PACKS, PENDING, SNAPSHOTS, pack_name,
};
use super::{BlobId, FileId, HeadName, MAX_HEAD, Store, history, lock, look, pack};

/// An intent this old is not going to become a snapshot any more.
const ABANDONED: TimeDelta = TimeDelta::days(30);

/// How a prune goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// What is younger is left alone, by the store's own clock. Safety does not depend on it; it spares running backups
    /// from writing things anew, and lets long restores of forgotten snapshots finish.
    pub grace: TimeDelta,
    /// At most so many bytes are copied out of packs that are sparse or small.
    pub max_repack: u64,
    /// Packs may go although there is no snapshot at all. Else that is taken for a store that has lost its heads.
    pub without_snapshots: bool,
    /// Packs may go although snapshots were lost that may have needed them: they are given up.
    pub without_lost: bool,
    /// The time to go by where the store cannot be asked for its own, because nothing can be written to it: for who only
    /// wants to know what would be done.
    pub now: Option<DateTime<Utc>>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            grace: TimeDelta::hours(24),
            max_repack: u64::MAX,
            without_snapshots: false,
            without_lost: false,
            now: None,
        }
    }
}

/// The blobs that snapshots need.
#[derive(Debug, Default)]
pub struct Live {
    blobs: HashMap<BlobId, Lively>,
    groups: HashMap<u64, u32>,
}

impl Live {
    /// Adds a blob, and says whether it is new. Blobs of one `group`, versions of the same thing, are kept together when
    /// they are moved.
    pub fn add(&mut self, blob: BlobId, group: u64) -> bool {
        self.insert(blob, group, true)
    }

    /// Adds a blob that an intent refers to, unless a snapshot does. It is kept if it is there. It need not be: a writer that
    /// died before it looked may have relied on what was going.
    pub fn wish(&mut self, blob: BlobId, group: u64) -> bool {
        self.insert(blob, group, false)
    }

    fn insert(&mut self, blob: BlobId, group: u64, is_needed: bool) -> bool {
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = *self.groups.entry(group).or_insert(next);
        match self.blobs.entry(blob) {
            Entry::Occupied(mut known) => {
                let is_new = is_needed && !known.get().is_needed;
                known.get_mut().is_needed |= is_needed;
                is_new
            }
            Entry::Vacant(free) => {
                free.insert(Lively { group, is_needed });
                true
            }
        }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Lively {
    group: u32,
    is_needed: bool,
}

/// What a prune sees of a store.
pub struct Pruning {
    store: Store,
    options: PruneOptions,
    now: DateTime<Utc>,
    /// That is another clock's time.
    is_guessed: bool,
    records: Vec<Record>,
    intents: Vec<(HeadName, Vec<u8>)>,
    heads: Vec<HeadName>,
    /// Since when snapshots are gone that nobody forgot.
    lost: Option<DateTime<Utc>>,
    packs: Vec<KnownPack>,
    /// Why the directory of some pack could not be read, other than that it is damaged.
    unread: Mutex<Option<StoreError>>,
    /// Files that are of no more use: unfinished ones, and intents that were abandoned.
    leftovers: Vec<String>,
}

/// A record of packs that were condemned.
struct Record {
    file: String,
    packs: Vec<FileId>,
    is_old: bool,
}

/// A pack that is there.
struct KnownPack {
    id: FileId,
    size: u64,
    is_young: bool,
    is_condemned: bool,
    /// None if it is damaged, or was given up as such: then it is left alone, and nothing counts as being in it.
    directory: Option<Directory>,
    /// Where patches begin whose bases are gone: nothing counts as being in those either.
    orphans: HashSet<u32>,
}

impl Store {
    /// Takes a view of the store to prune it by.
    pub fn prune(&self, options: PruneOptions) -> Result<Pruning, StoreError> {
        self.require_writable()?;
        let (now, is_guessed) = self.time_to_prune_by(options.now)?;
        let is_old = |file: &Listed| file.modified <= now - options.grace;
        let mut leftovers = Vec::new();
        // The order of these four matters.
        let records = self.records(is_old)?;
        let intents = self.intents(now, &mut leftovers)?;
        let heads = layout::list::<HeadName>(self.files(), SNAPSHOTS)?;
        let lost = history::lost_before(self.files(), &heads)?;
        let listed = self.files().list(PACKS)?;
        // Whatever is read through the index from here on has the places as they are now.
        let store = self.reopened()?;

        let condemned: HashSet<FileId> = records.iter().flat_map(|r| r.packs.clone()).collect();
        let mut packs = Vec::new();
        let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut unread = None;
        let mut orphans: HashMap<FileId, HashSet<u32>> = HashMap::new();
        for (pack, offset) in view.orphans(store.files()) {
            orphans.entry(*pack).or_default().insert(*offset);
        }
        for file in &listed {
            let is_pack = |id: &FileId| pack_name(id) == file.name;
            let Some(id) = file.file_name().parse().ok().filter(is_pack) else {
                continue;
            };
            let directory = match pack::read_directory(store.files(), &id) {
                Ok((directory, _)) => Some(directory).filter(|_| !view.is_given_up(&id)),
                Err(error) if error.is_damage() => None,
                Err(error) => {
                    unread.get_or_insert(error);
                    None
                }
            };
            packs.push(KnownPack {
                id,
                size: file.len,
                is_young: !is_old(file),
                is_condemned: condemned.contains(&id),
                directory,
                orphans: orphans.remove(&id).unwrap_or_default(),
            });
        }
        drop(view);
        for dir in [
            "", PACKS, INDEX, SNAPSHOTS, PENDING, CONDEMNED, KEYS, BEGUN, LOST,
        ] {
            let listed = store.files().list(dir)?;
            let unfinished = listed.iter().filter(|file| file.is_unfinished());
            let here = unfinished.filter(|file| !dir.is_empty() || !file.name.contains('/'));
            leftovers.extend(
                here.filter(|file| is_old(file))
                    .map(|file| file.name.clone()),
            );
        }
        Ok(Pruning {
            store,
            options,
            now,
            is_guessed,
            records,
            intents,
            heads,
            lost,
            packs,
            unread: Mutex::new(unread),
            leftovers,
        })
    }

    /// The store's own time, or else this one, and whether it is.
    fn time_to_prune_by(
        &self,
        instead: Option<DateTime<Utc>>,
    ) -> Result<(DateTime<Utc>, bool), StoreError> {
        match (self.files().now(), instead) {
            (Err(StoreError::Io { source, .. }), Some(now)) if is_unwritable(&source) => {
                Ok((now, true))
            }
            (now, _) => Ok((now?, false)),
        }
    }

    fn records(&self, is_old: impl Fn(&Listed) -> bool) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for file in self.files().list(CONDEMNED)? {
            let Ok(name) = file.file_name().parse::<HeadName>() else {
                continue;
            };
            // One that is gone has been swept by somebody else, with its packs.
            let Some(bytes) = self.files().read(&file.name, look::MAX_RECORD)? else {
                continue;
            };
            let path = self.files().path(&file.name);
            records.push(Record {
                packs: look::parse_record(&name, &bytes)
                    .map_err(|what| corrupt(&path, what))?
                    .packs,
                is_old: is_old(&file),
                file: file.name,
            });
        }
        Ok(records)
    }

    /// The intents, read before the heads are listed: one that is gone has become a head by then, or was given up.
    fn intents(
        &self,
        now: DateTime<Utc>,
        leftovers: &mut Vec<String>,
    ) -> Result<Vec<(HeadName, Vec<u8>)>, StoreError> {
        let mut intents = Vec::new();
        for file in self.files().list(PENDING)? {
            let Ok(name) = file.file_name().parse::<HeadName>() else {
                continue;
            };
            if file.modified <= now - ABANDONED {
                leftovers.push(file.name);
                continue;
            }
            if let Some(bytes) = self.files().read(&file.name, MAX_HEAD)? {
                if super::SnapshotId::of(&bytes) != name.id {
                    let what = "the content does not match the name";
                    return Err(corrupt(&self.files().path(&file.name), what));
                }
                intents.push((name, bytes));
            }
        }
        Ok(intents)
    }
}

fn is_unwritable(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
    ];
    kinds.contains(&error.kind())
}

impl Pruning {
    /// The store as it was when the view was taken.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The heads of all snapshots: what they need is live. One that is forgotten meanwhile may be passed over.
    pub fn heads(&self) -> &[HeadName] {
        &self.heads
    }

    /// The heads of snapshots that are being made, with their bytes: what they refer to is a wish.
    pub fn intents(&self) -> &[(HeadName, Vec<u8>)] {
        &self.intents
    }

    /// Whether a head or a pack has gone since the view was taken.
    pub fn is_outdated(&self) -> Result<bool, StoreError> {
        let heads: HashSet<HeadName> = layout::list(self.store.files(), SNAPSHOTS)?
            .into_iter()
            .collect();
        let packs = layout::list_packs(self.store.files())?.into_iter();
        let packs: HashSet<FileId> = packs.map(|(id, _)| id).collect();
        let heads_stay = self.heads.iter().all(|head| heads.contains(head));
        let packs_stay = self.packs.iter().all(|pack| packs.contains(&pack.id));
        Ok(!heads_stay || !packs_stay)
    }

    /// Decides what goes, what moves and what stays. Nothing is changed yet.
    ///
    /// Fails if something live is not in the store: then it is no time to delete anything. Nor is it if there is no
    /// snapshot or some were lost, unless that is meant.
    pub fn plan(&self, live: &Live) -> Result<PrunePlan, StoreError> {
        let plan = plan::plan(self, live).map_err(|error| match error {
            // What could not be looked at is not missing.
            StoreError::MissingBlob(_) => lock(&self.unread).take().unwrap_or(error),
            error => error,
        })?;
        let going = plan.condemned_bytes + plan.swept_bytes;
        if self.heads.is_empty() && going > 0 && !self.options.without_snapshots {
            return Err(StoreError::NoSnapshots {
                path: self.store.path().to_owned(),
                packs: plan.packs,
            });
        }
        match self
            .lost
            .filter(|_| going > 0 && !self.options.without_lost)
        {
            Some(before) => Err(StoreError::SnapshotsLost {
                path: self.store.path().to_owned(),
                before,
            }),
            None => Ok(plan),
        }
    }
}
