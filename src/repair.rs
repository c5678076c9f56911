//! Damaged snapshots made anew: what is left of them, with gaps where something is lost.
//!
//! Invariant: no head is changed. What is lost is a gap in the new snapshot and nothing else is, so that nobody takes it
//! for deleted. What was left of a snapshot goes only when all data was read and the snapshot itself lacks nothing: it has
//! everything then that its remains have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::check::Check;
use crate::manifest::{
    self, Entry, Extent, Gap, LOST, Listed, Listing, ManifestError, Root, Snapshot, Surveyed, Tree,
    TreeWriter, Unreadable, survey,
};
use crate::report::Reporter;
use crate::resource::{ALL, KindName, ObjectKey};
use crate::store::{
    BlobKind, ConfigRepair, HeadName, Secret, SnapshotId, Store, StoreError, Writer,
};

/// What a repair of snapshots has come to.
#[derive(Debug, Default)]
pub struct SnapshotRepair {
    /// Snapshots that lack nothing.
    pub sound: u64,
    /// Damaged snapshots, and what was made of them.
    pub repaired: Vec<Repaired>,
    /// Damaged snapshots that were repaired before, and as what.
    pub repaired_before: Vec<(HeadName, HeadName)>,
    /// Snapshots that were damaged and lack nothing any more, and what was made of them meanwhile, which is let go.
    pub healed: Vec<(HeadName, HeadName)>,
    /// Snapshots whose heads cannot be read: nothing is known of them.
    pub hopeless: Vec<Unreadable>,
}

/// A damaged snapshot.
#[derive(Debug)]
pub struct Repaired {
    /// The damaged one.
    pub name: HeadName,
    /// The new one; none if it is only said what would be done.
    pub new: Option<SnapshotId>,
    /// How many objects of the damaged one can still be told.
    pub objects: u64,
    /// How many of them lack something.
    pub lost: u64,
    /// Kinds of which a part of the list is lost: it is not known what else there was.
    pub unknown: Vec<KindName>,
}

/// Why the snapshots were not repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The system refused to read a file, and whether anything is lost shows only when it does.
    #[error("{file} cannot be read for now: {what}")]
    OutOfReach {
        /// The file.
        file: String,
        /// Why it cannot be read.
        what: String,
    },
    /// The store could not be looked at, or not be written to.
    #[error("failed to read or write the store")]
    Store(#[from] StoreError),
    /// The snapshots could not be listed, or the new one not be written.
    #[error("failed to write a repaired snapshot")]
    Manifest(#[from] ManifestError),
}

/// Makes the configuration of the store at `path` anew if it is gone or damaged. An encrypted store needs one of the
/// `secrets`; of any other the heads of snapshots tell the id.
pub fn config(
    path: &Path,
    secrets: &[Secret],
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<Option<ConfigRepair>, StoreError> {
    Store::repair_config(path, secrets, now, &store_told_by, dry_run)
}

/// The id of the store that a snapshot was taken into.
pub(crate) fn store_told_by(head: &[u8]) -> Option<String> {
    Snapshot::parse(head).ok().map(|head| head.store)
}

/// Reads everything, and writes a new snapshot for each one that lacks something, of all or of those that are `wanted`;
/// with `dry_run` only says what it would have.
pub fn snapshots(
    store: &Store,
    wanted: Option<&BTreeSet<HeadName>>,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<SnapshotRepair, RepairError> {
    let verification = store.verify(reporter)?;
    let mut problems = verification.problems.iter();
    if let Some(problem) = problems.find(|problem| problem.out_of_reach) {
        return Err(RepairError::OutOfReach {
            file: problem.file.clone(),
            what: problem.what.clone(),
        });
    }
    let mut repair = Repair {
        store,
        dry_run,
        listing: manifest::snapshots(store)?,
        check: Check::new(store, Some(&verification)),
        report: SnapshotRepair::default(),
    };
    let is_wanted = |name: &HeadName| wanted.is_none_or(|wanted| wanted.contains(name));
    let unreadable = std::mem::take(&mut repair.listing.unreadable).into_iter();
    repair.report.hopeless = unreadable.filter(|head| is_wanted(&head.name)).collect();
    for listed in repair.listing.snapshots.clone() {
        let is_gone = repair.report.healed.iter();
        let is_gone = is_gone
            .map(|(_, remains)| remains)
            .any(|gone| *gone == listed.name);
        if is_wanted(&listed.name) && !is_gone {
            repair.look_at(&listed)?;
        }
    }
    Ok(repair.report)
}

struct Repair<'a> {
    store: &'a Store,
    dry_run: bool,
    listing: Listing,
    check: Check<'a>,
    report: SnapshotRepair,
}

impl Repair<'_> {
    fn look_at(&mut self, listed: &Listed) -> Result<(), RepairError> {
        let name = listed.name;
        let tree = Tree::open(self.store, &listed.snapshot.root).ok();
        let damage = Damage::of(tree.as_ref(), &listed.snapshot, &mut self.check);
        let before = self.listing.repaired_as(&name.id).copied();
        match (damage.is_none(), before) {
            (true, before) => {
                self.report.sound += 1;
                if let Some(remains) = before {
                    if !self.dry_run {
                        self.store.forget(&remains)?;
                    }
                    self.report.healed.push((name, remains));
                }
            }
            (false, Some(new)) => self.report.repaired_before.push((name, new)),
            (false, None) => {
                let new = match self.dry_run {
                    true => None,
                    false => Some(self.write(listed, tree.as_ref(), &damage)?),
                };
                self.report.repaired.push(Repaired {
                    name,
                    new,
                    objects: damage.objects,
                    lost: damage.lost,
                    unknown: damage.unknown.into_iter().collect(),
                });
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        listed: &Listed,
        tree: Option<&Tree>,
        damage: &Damage,
    ) -> Result<SnapshotId, RepairError> {
        let (store, check) = (self.store, &mut self.check);
        let writer = store.writer()?;
        let mut anew = Anew {
            tree: TreeWriter::new(&writer, None),
            gaps: damage.gaps(),
        };
        let mut result = Ok(());
        let found = &mut |found: Surveyed| {
            if let (Surveyed::Entry(entry), Ok(())) = (found, &result) {
                let lost = check.lost_parts(&entry);
                let entry = entry.without(&lost);
                result = keep(store, &writer, &entry).and_then(|()| Ok(anew.push(entry)?));
            }
        };
        if let Some(tree) = tree {
            survey(tree, &mut |_| true, found);
        }
        result?;
        let root = anew.finish()?;
        writer.flush()?;
        let head = head(&Tree::open(store, &root)?, listed)?;
        Ok(writer.commit(&head.to_bytes(), head.time)?)
    }
}

/// What a snapshot lacks.
#[derive(Default)]
struct Damage {
    objects: u64,
    lost: u64,
    /// A part of the list is lost.
    is_torn: bool,
    /// Kinds of which that part may have had objects.
    unknown: BTreeSet<KindName>,
    /// Objects in that part of which is known that they were there.
    known: BTreeMap<ObjectKey, Gap>,
}

/// A part of a list that is lost: from a key on, and up to another.
type Part = (Option<ObjectKey>, Option<ObjectKey>);

impl Damage {
    fn of(tree: Option<&Tree>, head: &Snapshot, check: &mut Check<'_>) -> Self {
        let mut damage = Self::default();
        let mut gaps = 0;
        let mut parts: Vec<Part> = Vec::new();
        let found = &mut |found: Surveyed| match found {
            Surveyed::Entry(entry) => {
                damage.objects += 1;
                damage.lost += u64::from(!check.lost_parts(&entry).is_empty());
                gaps += u64::from(entry.gap.is_some());
            }
            Surveyed::Lost { first, end, .. } => {
                parts.push((first.map(|key| *key), end.map(|key| *key)));
            }
        };
        match tree {
            Some(tree) => survey(tree, &mut |_| true, found),
            None => parts.push((None, None)),
        }
        damage.is_torn = !parts.is_empty();
        for part in &parts {
            damage.add_part(part, head);
        }
        // Gaps that were in the lost parts hid other objects. The head names the first of them; if there were more,
        // anything may have been hidden.
        if damage.is_torn && gaps + damage.gaps_told_by(head) < head.gaps.count {
            let kinds = ALL.iter().map(|kind| KindName::known(kind.name));
            let selected = kinds.filter(|kind| head.selection.covers_kind(kind));
            damage.unknown.extend(selected);
        }
        damage
    }

    fn add_part(&mut self, part: &Part, head: &Snapshot) {
        let (first, end) = part;
        // Where the list ends within a kind, what is lost of that kind may be nothing; who can say?
        let kinds = head.kinds.keys().map(|kind| KindName::read(kind));
        self.unknown.extend(kinds.filter(|kind| {
            first.as_ref().is_none_or(|first| *kind >= first.kind)
                && end.as_ref().is_none_or(|end| *kind <= end.kind)
        }));
        let lost = || Gap::new(Extent::Object, format!("{LOST}: all but the name"));
        // A part of the list is named by its first object.
        if let Some(first) = first.as_ref().filter(|first| !first.is_whole_kind()) {
            self.known.entry(first.clone()).or_insert_with(lost);
        }
        for told in &head.gaps.first {
            let kind = KindName::read(&told.kind);
            let key = match &told.id {
                Some(id) => ObjectKey::with_id(kind, told.name.as_str(), id.as_str()),
                None => ObjectKey::new(kind, told.name.as_str()),
            };
            let bytes = key.to_bytes();
            let is_within = first.as_ref().is_none_or(|first| bytes >= first.to_bytes())
                && end.as_ref().is_none_or(|end| bytes < end.to_bytes());
            if is_within {
                let gap = lost().and(Gap::new(told.extent, told.reason.as_str()));
                self.known.insert(key, gap);
            }
        }
    }

    fn gaps_told_by(&self, head: &Snapshot) -> u64 {
        let is_known = |told: &&manifest::SpelledGap| {
            let same = |key: &ObjectKey| {
                (key.kind.as_str(), &key.name, &key.id)
                    == (told.kind.as_str(), &told.name, &told.id)
            };
            self.known.keys().any(same)
        };
        head.gaps.first.iter().filter(is_known).count() as u64
    }

    fn is_none(&self) -> bool {
        self.lost == 0 && !self.is_torn
    }

    /// The entries of the new snapshot that only say what is not known, the last first.
    fn gaps(&self) -> Vec<Entry> {
        let mut gaps = self.known.clone();
        for kind in &self.unknown {
            let reason = format!("{LOST}: a part of the list of objects");
            let gap = Gap::new(Extent::Kind, reason);
            let key = ObjectKey::whole_kind(kind.clone());
            gaps.entry(key).or_insert(gap);
        }
        let entries = gaps.into_iter().rev().map(|(key, gap)| {
            let mut entry = Entry::new(key);
            entry.gap = Some(gap);
            entry
        });
        entries.collect()
    }
}

/// The new tree, into which gaps are sorted.
struct Anew<'a> {
    tree: TreeWriter<'a>,
    /// Gaps to come, the last first.
    gaps: Vec<Entry>,
}

impl Anew<'_> {
    fn push(&mut self, entry: Entry) -> Result<(), ManifestError> {
        let bytes = entry.key.to_bytes();
        while let Some(gap) = self.gaps.pop_if(|gap| gap.key.to_bytes() <= bytes) {
            if gap.key != entry.key {
                self.tree.push(&gap)?;
            }
        }
        self.tree.push(&entry)
    }

    fn finish(mut self) -> Result<Root, ManifestError> {
        while let Some(gap) = self.gaps.pop() {
            self.tree.push(&gap)?;
        }
        self.tree.finish()
    }
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
/// Nothing in it hangs on when it is written, so that whoever writes it once more writes the same.
fn head(tree: &Tree, listed: &Listed) -> Result<Snapshot, ManifestError> {
    let old = &listed.snapshot;
    let time = old.time + TimeDelta::milliseconds(1);
    let mut head = Snapshot::of(tree, time, old.host.clone())?;
    head.workspace_id.clone_from(&old.workspace_id);
    head.cloud.clone_from(&old.cloud);
    head.complete = false;
    head.unfinished = old.unfinished;
    head.parent = old.parent;
    head.repairs = Some(listed.name.id);
    head.selection.clone_from(&old.selection);
    head.tags.clone_from(&old.tags);
    head.hostname.clone_from(&old.hostname);
    head.user.clone_from(&old.user);
    head.duration_ms = old.duration_ms;
    head.requests = old.requests;
    head.other.clone_from(&old.other);
    Ok(head)
}

#[cfg(test)]
mod tests;
