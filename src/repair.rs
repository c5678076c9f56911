//! Damaged snapshots made anew: what is left of them, with gaps where something is lost.
//!
//! Invariant: no head is changed. What is lost is a gap in the new snapshot and nothing else is, so that nobody takes it
//! for deleted.

use std::collections::{BTreeSet, HashSet};

use chrono::TimeDelta;
use thiserror::Error;

use crate::check::Check;
use crate::manifest::{
    self, Entry, Extent, Gap, Listed, ManifestError, Snapshot, Surveyed, Tree, TreeWriter,
    Unreadable, survey,
};
use crate::report::Reporter;
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobKind, HeadName, SnapshotId, Store, StoreError, Writer};

/// What a repair of snapshots has come to.
#[derive(Debug, Default)]
pub struct SnapshotRepair {
    /// Snapshots that lack nothing.
    pub sound: u64,
    /// Damaged snapshots, and what was made of them.
    pub repaired: Vec<Repaired>,
    /// Damaged snapshots that were repaired before.
    pub repaired_before: Vec<HeadName>,
    /// Snapshots of which nothing can be read.
    pub hopeless: Vec<Unreadable>,
}

/// A damaged snapshot.
#[derive(Debug)]
pub struct Repaired {
    /// The damaged one.
    pub name: HeadName,
    /// The new one; none if it is only said what would be done.
    pub new: Option<SnapshotId>,
    /// How many objects the new one has.
    pub objects: u64,
    /// How many of them lack something.
    pub lost: u64,
    /// Kinds of which a part of the list is lost: it is not known what else there was.
    pub unknown: Vec<KindName>,
}

/// Why the snapshots were not repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The store could not be looked at, or not be written to.
    #[error("failed to read or write the store")]
    Store(#[from] StoreError),
    /// The snapshots could not be listed, or the new one not be written.
    #[error("failed to write a repaired snapshot")]
    Manifest(#[from] ManifestError),
}

/// Reads everything, and writes a new snapshot for each one that lacks something; with `dry_run` only says what it would
/// have.
pub fn snapshots(
    store: &Store,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<SnapshotRepair, RepairError> {
    let verification = store.verify(reporter)?;
    let mut check = Check::new(store, Some(&verification));
    let listing = manifest::snapshots(store)?;
    let of_repaired = listing.snapshots.iter();
    let repaired: HashSet<SnapshotId> = of_repaired
        .filter_map(|listed| listed.snapshot.repairs)
        .collect();
    let mut report = SnapshotRepair {
        hopeless: listing.unreadable,
        ..SnapshotRepair::default()
    };
    for listed in listing.snapshots {
        let name = listed.name;
        let tree = match Tree::open(store, &listed.snapshot.root) {
            Ok(tree) => tree,
            Err(error) => {
                report.hopeless.push(Unreadable { name, error });
                continue;
            }
        };
        let damage = Damage::of(&tree, &listed.snapshot, &mut check);
        if damage.is_none() {
            report.sound += 1;
        } else if repaired.contains(&name.id) {
            report.repaired_before.push(name);
        } else {
            let anew = match dry_run {
                true => None,
                false => Some(write(store, &listed, &tree, &damage, &mut check)?),
            };
            report.repaired.push(Repaired {
                name,
                new: anew,
                objects: damage.objects,
                lost: damage.lost,
                unknown: damage.unknown.into_iter().collect(),
            });
        }
    }
    Ok(report)
}

/// What a snapshot lacks.
#[derive(Default)]
struct Damage {
    objects: u64,
    lost: u64,
    unknown: BTreeSet<KindName>,
}

impl Damage {
    fn of(tree: &Tree, head: &Snapshot, check: &mut Check<'_>) -> Self {
        let mut damage = Self::default();
        survey(tree, &mut |_| true, &mut |found| match found {
            Surveyed::Entry(entry) => {
                damage.objects += 1;
                damage.lost += u64::from(!check.lost_parts(&entry).is_empty());
            }
            Surveyed::Lost { first, end, .. } => {
                // Where the list ends within a kind, what is lost of that kind may be nothing; who can say?
                let kinds = head.kinds.keys().map(|kind| KindName::read(kind));
                let begins = first.map(|key| key.kind);
                let ends = end.map(|key| key.kind);
                damage.unknown.extend(kinds.filter(|kind| {
                    begins.as_ref().is_none_or(|first| kind >= first)
                        && ends.as_ref().is_none_or(|end| kind <= end)
                }));
            }
        });
        damage
    }

    fn is_none(&self) -> bool {
        self.lost == 0 && self.unknown.is_empty()
    }
}

fn write(
    store: &Store,
    listed: &Listed,
    tree: &Tree,
    damage: &Damage,
    check: &mut Check<'_>,
) -> Result<SnapshotId, RepairError> {
    let writer = store.writer()?;
    let mut anew = Anew {
        tree: TreeWriter::new(&writer, None),
        unknown: damage.unknown.iter().rev().map(unknown_kind).collect(),
    };
    let mut result = Ok(());
    survey(tree, &mut |_| true, &mut |found| {
        if let (Surveyed::Entry(entry), Ok(())) = (found, &result) {
            let lost = check.lost_parts(&entry);
            let entry = mended(*entry, &lost);
            result = keep(store, &writer, &entry).and_then(|()| Ok(anew.push(entry)?));
        }
    });
    result?;
    let root = anew.finish()?;
    writer.flush()?;
    let head = head(&Tree::open(store, &root)?, listed)?;
    Ok(writer.commit(&head.to_bytes(), head.time)?)
}

/// The new tree, into which gaps of kinds are sorted.
struct Anew<'a> {
    tree: TreeWriter<'a>,
    /// Gaps to come, the last first.
    unknown: Vec<Entry>,
}

impl Anew<'_> {
    fn push(&mut self, entry: Entry) -> Result<(), ManifestError> {
        while let Some(gap) = self.unknown.pop_if(|gap| gap.key <= entry.key) {
            if gap.key != entry.key {
                self.tree.push(&gap)?;
            }
        }
        self.tree.push(&entry)
    }

    fn finish(mut self) -> Result<manifest::Root, ManifestError> {
        while let Some(gap) = self.unknown.pop() {
            self.tree.push(&gap)?;
        }
        self.tree.finish()
    }
}

fn unknown_kind(kind: &KindName) -> Entry {
    let mut entry = Entry::new(ObjectKey::whole_kind(kind.clone()));
    let reason = "a part of the list of objects was lost in the store";
    entry.gap = Some(Gap::new(Extent::Kind, reason));
    entry
}

/// The entry without what is lost of it.
fn mended(mut entry: Entry, lost: &[&'static str]) -> Entry {
    for part in lost {
        match *part {
            "content" => entry.content = None,
            "permissions" => entry.permissions = None,
            _ => entry.body = None,
        }
    }
    let extent = match lost {
        [] => return entry,
        ["content"] => Extent::Content,
        ["permissions"] => Extent::Permissions,
        _ => Extent::Object,
    };
    let words = format!("lost in the store: {}", lost.join(" and "));
    entry.gap = Some(match entry.gap.take() {
        None => Gap::new(extent, words),
        Some(gap) => {
            let wider = match gap.extent {
                Extent::Subtree | Extent::Kind => gap.extent,
                before if before == extent => extent,
                _ => Extent::Object,
            };
            Gap::new(wider, format!("{words}; {}", gap.reason))
        }
    });
    // What has a gap is read again, however untouched it looks.
    entry.stamp = None;
    entry
}

/// Makes sure that what the entry refers to stays.
fn keep(store: &Store, writer: &Writer, entry: &Entry) -> Result<(), RepairError> {
    for payload in entry.payloads() {
        for blob in payload.blobs(store)? {
            if !writer.reuse(&blob)? {
                writer.put(BlobKind::Data, &store.read(&blob)?, None)?;
            }
        }
    }
    Ok(())
}

/// The head of the new snapshot. It comes right after the damaged one, so that `latest` and dates find it in its place.
fn head(tree: &Tree, listed: &Listed) -> Result<Snapshot, ManifestError> {
    let old = &listed.snapshot;
    let time = old.time + TimeDelta::milliseconds(1);
    let mut head = Snapshot::of(tree, time, old.host.clone())?;
    head.workspace_id.clone_from(&old.workspace_id);
    head.cloud.clone_from(&old.cloud);
    head.complete = false;
    head.unfinished = old.unfinished;
    head.parent = Some(listed.name.id);
    head.repairs = Some(listed.name.id);
    head.selection.clone_from(&old.selection);
    head.tags.clone_from(&old.tags);
    head.hostname.clone_from(&old.hostname);
    head.user.clone_from(&old.user);
    head.other.clone_from(&old.other);
    Ok(head)
}

#[cfg(test)]
mod tests;
