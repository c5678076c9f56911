//! What earlier snapshots and unfinished backups of the same workspace know.
//!
//! Invariant: an object counts as known only by an entry whose content is its own (no gap in it) and lies in the store.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::{BackupError, Task};
use crate::export::{Knowledge, Known, Sighting};
use crate::manifest::{self, Entry, Extent, Listed, ManifestError, Snapshot, Tree};
use crate::report::{Event, Reporter};
use crate::resource::{ALL, Kind, KindName, Node, ObjectKey, Source, canonical_bytes};
use crate::store::{BlobId, HeadName, Store};

/// A snapshot with its manifest.
pub(super) struct Parent {
    pub(super) name: HeadName,
    pub(super) snapshot: Snapshot,
    pub(super) tree: Tree,
}

/// All of it.
pub(super) struct Sources {
    pub(super) store: Store,
    /// The snapshot that the new one is built upon.
    pub(super) parent: Option<Parent>,
    /// Checkpoints of backups that did not come to their end, newest first.
    unfinished: Vec<Tree>,
    /// The names of those that are of no use any more once this backup is done.
    pub(super) pending: Vec<HeadName>,
    full: bool,
    /// Where there were mounts when a cluster last told of them.
    mounts: Option<Vec<String>>,
    moved: OnceLock<Ids>,
    reporter: Arc<dyn Reporter>,
    warned: AtomicBool,
}

impl Sources {
    /// Finds what there is. What cannot be read is said and left out: a damaged past is no reason not to back up.
    pub(super) fn open(task: &Task) -> Result<Self, BackupError> {
        let store = &task.store;
        let warn = |text: String| task.reporter.report(Event::Warning(&text));
        let listing = manifest::snapshots(store)?;
        let mut candidates: Vec<Listed> = listing.snapshots;
        // What another tool exported lacks what it does not know of.
        candidates.retain(|listed| {
            listed.snapshot.imported_from.is_none() && is_same_workspace(task, &listed.snapshot)
        });
        // One that set out to read as much as this one, if there is any; the newest of those.
        candidates.sort_by_key(|listed| {
            let (theirs, ours) = (&listed.snapshot.selection, &task.options.selection);
            let is_wide = theirs.includes(ours);
            // Without what is only read where that is asked for it is still worth more than one of a part.
            let is_wide_else = theirs.includes(&ours.by_itself());
            (is_wide, is_wide_else, listed.name.time, listed.name.id)
        });
        let mounts = match task.options.selection.dbfs {
            Some(_) => earlier_mounts(store, &candidates),
            None => None,
        };
        let mut parent = None;
        while let (None, Some(listed)) = (&parent, candidates.pop()) {
            match Tree::open(store, &listed.snapshot.root) {
                Ok(tree) => {
                    parent = Some(Parent {
                        name: listed.name,
                        snapshot: listed.snapshot,
                        tree,
                    });
                }
                Err(error) => warn(format!(
                    "snapshot {:.8} cannot be built upon: {error}",
                    listed.name.id
                )),
            }
        }
        let mut pending = manifest::pending(store)?.snapshots;
        pending.retain(|listed| is_same_workspace(task, &listed.snapshot));
        let trees = pending.iter().rev();
        let unfinished = trees.filter_map(|listed| Tree::open(store, &listed.snapshot.root).ok());
        Ok(Self {
            parent,
            unfinished: unfinished.collect(),
            pending: pending
                .iter()
                .filter(|listed| {
                    let theirs = listed.snapshot.selection.of_series();
                    task.options.selection.of_series().includes(&theirs)
                })
                .map(|listed| listed.name)
                .collect(),
            full: task.options.full,
            mounts,
            moved: OnceLock::new(),
            reporter: Arc::clone(&task.reporter),
            warned: AtomicBool::new(false),
            store: store.clone(),
        })
    }

    /// The parent's entry of an object.
    pub(super) fn parent_entry(&self, key: &ObjectKey) -> Option<Entry> {
        self.get(&self.parent.as_ref()?.tree, key)
    }

    /// An entry of an object that is as it is sighted now, wherever it was then.
    pub(super) fn unchanged(&self, sighting: &Sighting<'_>) -> Option<Entry> {
        let fits = |entry: &Entry| self.is_current(entry, sighting);
        let trees = self.unfinished.iter();
        let trees = trees.chain(self.parent.as_ref().map(|parent| &parent.tree));
        let mut by_key = trees.filter_map(|tree| self.get(tree, sighting.key));
        by_key.find(fits).or_else(|| {
            self.elsewhere(&sighting.key.kind, sighting.object_id)
                .filter(fits)
        })
    }

    /// The parent's entry of an object that had another name then.
    pub(super) fn elsewhere(&self, kind: &KindName, object_id: &str) -> Option<Entry> {
        let tree = &self.parent.as_ref()?.tree;
        let ids = self.moved.get_or_init(|| {
            Ids::of(tree).unwrap_or_else(|error| {
                self.warn(&error);
                Ids::default()
            })
        });
        let keys = ids.find(kind, object_id);
        keys.filter_map(|key| self.get(tree, &key))
            .find(|entry| entry.object_id.as_deref() == Some(object_id))
    }

    fn is_current(&self, entry: &Entry, sighting: &Sighting<'_>) -> bool {
        let is_whole = match &entry.gap {
            None => true,
            Some(gap) => gap.extent == Extent::Permissions,
        };
        let is_as_it_was = match sighting.body {
            Some(body) => {
                let digest = BlobId::of(&canonical_bytes(body));
                (entry.body.as_ref()).is_some_and(|known| known.digest() == digest)
            }
            None => {
                sighting.modified_at.is_some()
                    && entry.modified_at == sighting.modified_at
                    && entry.size == sighting.size
            }
        };
        is_whole
            && is_as_it_was
            && entry.object_id.as_deref() == Some(sighting.object_id)
            && entry.body.is_some()
            && entry.content.is_some()
            && self.is_stored(entry)
    }

    /// Whether body and content are there: what was lost from the store is read again.
    fn is_stored(&self, entry: &Entry) -> bool {
        let mut payloads = [&entry.body, &entry.content].into_iter().flatten();
        payloads.all(|payload| payload.is_stored(&self.store))
    }

    fn get(&self, tree: &Tree, key: &ObjectKey) -> Option<Entry> {
        tree.get(key).unwrap_or_else(|error| {
            self.warn(&error);
            None
        })
    }

    /// Says once that a part of the past cannot be read.
    pub(super) fn warn(&self, error: &ManifestError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            self.reporter.report(Event::Warning(&format!(
                "a part of an earlier snapshot cannot be read, and is read from the workspace instead: {error}"
            )));
        }
    }
}

impl Known for Sources {
    fn look_up(&self, sighting: &Sighting<'_>) -> Knowledge {
        let len = |entry: &Entry| entry.content.as_ref().map(|content| content.len());
        if !self.full
            && let Some(entry) = self.unchanged(sighting)
        {
            return Knowledge {
                is_unchanged: true,
                content_len: len(&entry),
            };
        }
        Knowledge {
            is_unchanged: false,
            content_len: self
                .parent_entry(sighting.key)
                .and_then(|entry| len(&entry)),
        }
    }

    fn has_any(&self, kind: &Kind) -> bool {
        let count = |parent: &Parent| {
            parent
                .snapshot
                .kinds
                .get(kind.name)
                .map(|totals| totals.entries)
        };
        self.parent
            .as_ref()
            .and_then(count)
            .is_some_and(|count| count > 0)
    }

    fn mounts(&self) -> Option<Vec<String>> {
        self.mounts.clone()
    }
}

/// Where there are mounts by the newest snapshot that knows all of them.
fn earlier_mounts(store: &Store, earlier: &[Listed]) -> Option<Vec<String>> {
    let kind = ALL.iter().find(|kind| kind.is_mount())?;
    let kind = KindName::known(kind.name);
    let knows = |listed: &&Listed| listed.snapshot.selection.covers_kind(&kind);
    let newest =
        (earlier.iter().filter(knows)).max_by_key(|listed| (listed.name.time, listed.name.id))?;
    let tree = Tree::open(store, &newest.snapshot.root).ok()?;
    let entries: Result<Vec<Entry>, _> = tree.kind(&kind).collect();
    let points = entries
        .ok()?
        .into_iter()
        .filter_map(|entry| entry.object_id);
    Some(points.collect())
}

fn is_same_workspace(task: &Task, snapshot: &Snapshot) -> bool {
    match (task.workspace.workspace_id, &snapshot.workspace_id) {
        (Some(id), Some(of)) => id.to_string() == *of,
        _ => task.workspace.host == snapshot.host,
    }
}

/// Where in a tree the objects with these ids are; only those whose content is worth finding again.
#[derive(Default)]
struct Ids {
    /// Hashes of kind and id, sorted, each with the place of the key.
    places: Vec<(u64, u32)>,
    keys: Vec<u8>,
}

impl Ids {
    fn of(tree: &Tree) -> Result<Self, ManifestError> {
        let mut ids = Self::default();
        let has_content = |kind: &&&Kind| {
            let nodes = [Node::Notebook, Node::File, Node::Dashboard];
            matches!(&kind.source, Source::Tree(node) if nodes.contains(node))
        };
        for kind in ALL.iter().filter(has_content) {
            for entry in tree.kind(&KindName::known(kind.name)) {
                let entry = entry?;
                let (Some(id), Ok(place)) = (&entry.object_id, u32::try_from(ids.keys.len()))
                else {
                    continue;
                };
                ids.places.push((hash(&entry.key.kind, id), place));
                let key = entry.key.to_bytes();
                let len = u32::try_from(key.len()).expect("keys are short");
                ids.keys.extend_from_slice(&len.to_le_bytes());
                ids.keys.extend_from_slice(&key);
            }
        }
        ids.places.sort_unstable();
        Ok(ids)
    }

    fn find(&self, kind: &KindName, object_id: &str) -> impl Iterator<Item = ObjectKey> {
        let hash = hash(kind, object_id);
        let first = self.places.partition_point(|(other, _)| *other < hash);
        let same = self.places[first..]
            .iter()
            .take_while(move |(other, _)| *other == hash);
        same.filter_map(|(_, place)| {
            let (len, rest) = self.keys[*place as usize..].split_first_chunk()?;
            ObjectKey::from_bytes(&rest[..u32::from_le_bytes(*len) as usize])
        })
    }
}

/// What an object's kind and id are remembered by where there are very many.
pub(super) fn hash(kind: &KindName, object_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, object_id).hash(&mut hasher);
    hasher.finish()
}
