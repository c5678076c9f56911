//! Where the bytes of a store are: what each snapshot brought, what only it needs, and what a snapshot is made of.
//!
//! Invariant: every blob is counted once, and a node that snapshots share is read once for each of two passes: memory is
//! 32 bytes a blob, whatever the number of snapshots.

use std::collections::{BTreeMap, HashMap, HashSet};

use thiserror::Error;

use crate::manifest::{self, Entry, Listed, ManifestError, Tree, Unreadable, mark};
use crate::report::{Event, Reporter};
use crate::store::{BlobId, Store, StoreError, StoreSizes};

/// Where the bytes of a store are.
#[derive(Debug)]
pub struct StoreStats {
    /// The files.
    pub sizes: StoreSizes,
    /// How many blobs there are.
    pub blobs: u64,
    /// The length of all of them.
    pub raw_bytes: u64,
    /// What of the packs is blobs; the rest says where they lie.
    pub blob_bytes: u64,
    /// What of that no snapshot needs. A prune frees it, but for bases of patches, and what it is too young for.
    pub unneeded_bytes: u64,
    /// What the snapshots have to do with it, oldest first.
    pub snapshots: Vec<SnapshotStats>,
    /// Snapshots of which something cannot be read, so that they are left out.
    pub unreadable: Vec<Unreadable>,
}

/// What a snapshot has to do with the bytes of a store.
#[derive(Debug)]
pub struct SnapshotStats {
    /// The snapshot.
    pub listed: Listed,
    /// What no older snapshot needs.
    pub added_bytes: u64,
    /// What no other snapshot needs: about what forgetting it frees.
    pub own_bytes: u64,
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartStats {
    /// How many objects it has.
    pub objects: u64,
    /// Their length: bodies, contents and permissions.
    pub raw_bytes: u64,
    /// What they take in the store, beside the list of objects, in which short ones lie.
    pub stored_bytes: u64,
}

/// Why there are no figures.
#[derive(Debug, Error)]
pub enum StatsError {
    /// The store could not be looked at.
    #[error("failed to look at the store")]
    Store(#[from] StoreError),
    /// The snapshots could not be listed, or the one in question not be read.
    #[error("failed to read the snapshots")]
    Manifest(#[from] ManifestError),
}

/// Counts everything in a store.
pub fn of_store(store: &Store, reporter: &dyn Reporter) -> Result<StoreStats, StatsError> {
    let mut blobs = Blobs::of(store)?;
    let listing = manifest::snapshots(store)?;
    let mut unreadable = listing.unreadable;
    let name = "walking the snapshots";
    reporter.report(Event::PhaseStarted { name });
    let more = 2 * listing.snapshots.len() as u64;
    reporter.report(Event::Expected { more });
    let mut readable = Vec::new();
    let mut seen = HashSet::new();
    for (number, listed) in (0..).zip(listing.snapshots) {
        let first = |use_: &mut Use| use_.first = use_.first.min(number);
        match blobs.walk(store, &listed, &mut seen, &first) {
            Ok(()) => readable.push((number, listed)),
            Err(error) => {
                let name = listed.name;
                unreadable.push(Unreadable { name, error });
            }
        }
        reporter.report(Event::Done { count: 1, bytes: 0 });
    }
    seen.clear();
    for (number, listed) in readable.iter().rev() {
        // What could be read a moment ago can be read now, or is left to `check`.
        let last = |use_: &mut Use| use_.last = use_.last.max(*number);
        blobs.walk(store, listed, &mut seen, &last)?;
        reporter.report(Event::Done { count: 1, bytes: 0 });
    }
    reporter.report(Event::PhaseFinished);
    let snapshots = blobs.by_snapshot(readable);
    Ok(StoreStats {
        sizes: store.sizes()?,
        blobs: blobs.uses.len() as u64,
        raw_bytes: blobs.raw_bytes,
        blob_bytes: blobs.uses.values().map(|use_| use_.bytes).sum(),
        unneeded_bytes: blobs.unneeded_bytes(),
        snapshots,
        unreadable,
    })
}

/// What a snapshot is made of, by what `part` calls its objects. What several objects share counts for the first.
pub fn of_snapshot(
    tree: &Tree,
    part: &dyn Fn(&Entry) -> String,
) -> Result<BTreeMap<String, PartStats>, StatsError> {
    let blobs = Blobs::of(tree.store())?;
    let mut counted = HashSet::new();
    let mut parts: BTreeMap<String, PartStats> = BTreeMap::new();
    for entry in tree.iter() {
        let entry = entry?;
        let stats = parts.entry(part(&entry)).or_default();
        stats.objects += 1;
        stats.raw_bytes += entry.bytes();
        for payload in entry.payloads() {
            for blob in payload.blobs(tree.store())? {
                if counted.insert(key(&blob)) {
                    stats.stored_bytes += blobs.bytes(&blob);
                }
            }
        }
    }
    Ok(parts)
}

/// What is known of all blobs. Their ids are hashes: the beginning of one tells it from the others.
#[derive(Default)]
struct Blobs {
    uses: HashMap<u64, Use>,
    raw_bytes: u64,
}

/// What a blob takes, and the numbers of the first and the last snapshot that needs it.
struct Use {
    bytes: u64,
    first: u32,
    last: u32,
}

fn key(blob: &BlobId) -> u64 {
    let (key, _) = blob
        .as_bytes()
        .split_first_chunk()
        .expect("an id has 32 bytes");
    u64::from_le_bytes(*key)
}

impl Blobs {
    fn of(store: &Store) -> Result<Self, StoreError> {
        let mut blobs = Self::default();
        store.blob_sizes(&mut |size| {
            let unused = Use {
                bytes: 0,
                first: u32::MAX,
                last: 0,
            };
            let use_ = blobs.uses.entry(key(&size.id)).or_insert(unused);
            if use_.bytes == 0 {
                blobs.raw_bytes += size.raw_bytes;
            }
            use_.bytes += size.stored_bytes;
        })?;
        Ok(blobs)
    }

    fn bytes(&self, blob: &BlobId) -> u64 {
        self.uses.get(&key(blob)).map_or(0, |use_| use_.bytes)
    }

    /// Marks everything that a snapshot needs, but for what lies below nodes that were seen before.
    fn walk(
        &mut self,
        store: &Store,
        listed: &Listed,
        seen: &mut HashSet<u64>,
        mark_: &dyn Fn(&mut Use),
    ) -> Result<(), ManifestError> {
        let tree = Tree::open(store, &listed.snapshot.root)?;
        mark(&tree, &mut |marked| {
            let blob = key(&marked.blob);
            let is_new = !marked.is_node || seen.insert(blob);
            if is_new && let Some(use_) = self.uses.get_mut(&blob) {
                mark_(use_);
            }
            is_new
        })
    }

    fn by_snapshot(&self, listed: Vec<(u32, Listed)>) -> Vec<SnapshotStats> {
        let mut added: HashMap<u32, u64> = HashMap::new();
        let mut own: HashMap<u32, u64> = HashMap::new();
        for use_ in self.uses.values().filter(|use_| use_.first != u32::MAX) {
            *added.entry(use_.first).or_default() += use_.bytes;
            if use_.first == use_.last {
                *own.entry(use_.first).or_default() += use_.bytes;
            }
        }
        let of = |of: &HashMap<u32, u64>, number: &u32| of.get(number).copied().unwrap_or_default();
        let stats = listed.into_iter().map(|(number, listed)| SnapshotStats {
            listed,
            added_bytes: of(&added, &number),
            own_bytes: of(&own, &number),
        });
        stats.collect()
    }

    fn unneeded_bytes(&self) -> u64 {
        let unneeded = self.uses.values().filter(|use_| use_.first == u32::MAX);
        unneeded.map(|use_| use_.bytes).sum()
    }
}

#[cfg(test)]
mod tests;
