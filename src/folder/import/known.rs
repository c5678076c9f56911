//! What the parent snapshot knows of the files that are found now.
//!
//! Invariant: an entry counts as known only if it is whole, was read from a file that was settled, and lies in the store.
//! Of every entry a few bytes are held: the hash of its key, its stamp and its place.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::NodeKind;
use crate::manifest::{Entry, ManifestError, Tree};
use crate::resource::ObjectKey;
use crate::store::Store;

/// For so many entries memory is taken in advance.
const MOST_EXPECTED: usize = 1 << 20;

/// A path that need not be put together to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    /// The folder, without a slash at its end.
    pub(super) folder: &'a str,
    pub(super) name: &'a str,
}

/// The entries of the parent.
pub(super) struct Known {
    keys: RandomState,
    places: HashMap<u64, Place, BuildHasherDefault<Plain>>,
    /// Which entries are as they were, in the order of the parent.
    kept: Vec<AtomicBool>,
    kept_count: AtomicU64,
    /// The entries from here on could not be read.
    pub(super) damage: Option<ManifestError>,
}

#[derive(Clone, Copy)]
struct Place {
    row: u32,
    /// Of a directory: 0.
    stamp: Option<u64>,
}

impl Known {
    pub(super) fn nothing() -> Self {
        Self {
            keys: RandomState::new(),
            places: HashMap::default(),
            kept: Vec::new(),
            kept_count: AtomicU64::new(0),
            damage: None,
        }
    }

    /// Reads the parent. With `full` no file counts as unchanged.
    pub(super) fn of(tree: &Tree, full: bool) -> Self {
        let mut known = Self::nothing();
        // The number may come from a damaged head: then it only costs growing.
        let expected = usize::try_from(tree.root().totals.entries).unwrap_or(0);
        known.places.reserve(expected.min(MOST_EXPECTED));
        known.kept.reserve(expected.min(MOST_EXPECTED));
        for (row, entry) in tree.iter().enumerate() {
            let (entry, row) = match (entry, u32::try_from(row)) {
                (Ok(entry), Ok(row)) => (entry, row),
                (Err(error), _) => {
                    known.damage = Some(error);
                    break;
                }
                // What comes after four thousand million entries is read again.
                (Ok(_), Err(_)) => break,
            };
            known.kept.push(AtomicBool::new(false));
            let Some(kind) = NodeKind::of(&entry.key) else {
                continue;
            };
            let stamp = match kind {
                NodeKind::Directory => (entry.gap.is_none() && !entry.carried_over).then_some(0),
                _ if full => None,
                _ => stamp(&entry, tree.store()),
            };
            let hash = known.hash(kind, &["", &entry.key.name]);
            known.places.insert(hash, Place { row, stamp });
        }
        known
    }

    /// Whether there is an entry, in whatever state.
    pub(super) fn has(&self, kind: NodeKind, path: Path<'_>) -> bool {
        self.find(kind, path).is_some()
    }

    /// Keeps the entry of a file that was not touched since, or of a directory (stamp 0); says whether there is one.
    pub(super) fn keep(&self, kind: NodeKind, path: Path<'_>, stamp: u64) -> bool {
        match self.find(kind, path) {
            Some(place) if place.stamp == Some(stamp) => {
                let kept = self.kept.get(place.row as usize);
                let is_new = kept.is_some_and(|kept| !kept.swap(true, Ordering::Relaxed));
                self.kept_count
                    .fetch_add(u64::from(is_new), Ordering::Relaxed);
                is_new
            }
            _ => false,
        }
    }

    /// Whether the entry at this place of the parent is kept.
    pub(super) fn is_kept(&self, row: usize) -> bool {
        let kept = self.kept.get(row);
        kept.is_some_and(|kept| kept.load(Ordering::Relaxed))
    }

    /// How many entries are kept.
    pub(super) fn kept(&self) -> u64 {
        self.kept_count.load(Ordering::Relaxed)
    }

    fn find(&self, kind: NodeKind, path: Path<'_>) -> Option<Place> {
        if self.places.is_empty() {
            return None;
        }
        let hash = self.hash(kind, &[path.folder, "/", path.name]);
        self.places.get(&hash).copied()
    }

    /// A number for a key. The numbers differ from run to run, so that nobody can make two keys agree; were two to agree
    /// by chance, the stamps would still tell them apart.
    fn hash(&self, kind: NodeKind, path: &[&str]) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u8(kind as u8);
        for part in path {
            hasher.write(part.as_bytes());
        }
        hasher.finish()
    }
}

/// The hash of what is a hash already.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not used for keys of 64 bits.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The stamp of an entry that may be kept.
fn stamp(entry: &Entry, store: &Store) -> Option<u64> {
    let is_whole = entry.gap.is_none() && !entry.carried_over && entry.other.is_empty();
    let content = entry.content.as_ref()?;
    entry.stamp.filter(|_| is_whole && content.is_stored(store))
}

impl NodeKind {
    fn of(key: &ObjectKey) -> Option<Self> {
        let all = [Self::Directory, Self::File, Self::Notebook];
        all.into_iter()
            .find(|kind| kind.name() == key.kind.as_str())
    }
}
