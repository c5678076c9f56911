//! Whether snapshots are gone that nobody forgot, remembered beside the heads.
//!
//! A store whose heads were lost looks just like one that never had any, and with the next snapshot like one that has only
//! that. So whoever commits the first snapshot leaves a file of its name in `begun`, and whoever then finds no head at
//! all leaves one in `lost`.
//!
//! Invariant: a name says everything, so that a damaged file says it too. A commit never answers for what was lost: only
//! heads that somebody brought back do, or a prune that is told to go on without them.

use chrono::{DateTime, Utc};

use super::backend::Files;
use super::error::StoreError;
use super::layout::{self, BEGUN, HeadName, LOST, PENDING, SNAPSHOTS};
use super::{PruneOptions, SnapshotId, Store, look};

/// What is in each of those files.
pub(super) const MARK: &[u8] = b"dbsnap\n";

/// Snapshots that are gone although nobody forgot them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostSnapshots {
    /// There is none at all, only data.
    All {
        /// How many packs there are, those left out that are about to be deleted.
        packs: u64,
        /// Their size.
        bytes: u64,
    },
    /// Those from before this moment, at which a snapshot came into a store that had none left.
    Before(DateTime<Utc>),
}

impl Store {
    /// What was lost of the snapshots, as far as anything tells.
    pub fn lost_snapshots(&self) -> Result<Option<LostSnapshots>, StoreError> {
        let heads = self.heads()?;
        if !heads.is_empty() {
            return Ok(lost_before(self.files(), &heads)?.map(LostSnapshots::Before));
        }
        let had_snapshots = begun(self.files())? != Begun::Never;
        let (packs, bytes) = self.kept_packs()?;
        let is_lost = packs > 0 && (had_snapshots || !self.is_young()?);
        Ok(is_lost.then_some(LostSnapshots::All { packs, bytes }))
    }

    /// Whether all packs came within a day or so of the store itself, as a first backup leaves them that was killed.
    fn is_young(&self) -> Result<bool, StoreError> {
        let mut newest = None;
        for (id, _) in layout::list_packs(self.files())? {
            newest = newest.max(self.files().modified(&layout::pack_name(&id))?);
        }
        let created = self.0.config.created().zip(newest);
        Ok(created.is_some_and(|(created, newest)| {
            (newest - created).abs() < PruneOptions::default().grace
        }))
    }

    /// How many packs there are, and their size, without those that a prune is about to delete.
    pub fn kept_packs(&self) -> Result<(u64, u64), StoreError> {
        // A record that cannot be read condemns nothing.
        let condemned = look::condemned(self.files()).unwrap_or_default();
        let mut packs = layout::list_packs(self.files())?;
        packs.retain(|(id, _)| !condemned.contains(id));
        let bytes = packs.iter().map(|(_, bytes)| bytes).sum();
        Ok((packs.len() as u64, bytes))
    }

    /// Takes note that these snapshots are about to be forgotten: if they are all there are, nobody takes them for lost.
    pub fn note_forgetting(&self, going: &[HeadName]) -> Result<(), StoreError> {
        let heads = self.heads()?;
        let all_go = heads.iter().all(|head| going.contains(head));
        match all_go && !heads.is_empty() {
            true => remove_all(self.files(), BEGUN),
            false => Ok(()),
        }
    }
}

/// Writes down what the store is like into which a snapshot is about to be committed, whose intent is there.
pub(super) fn note_commit(files: &Files, name: &HeadName) -> Result<(), StoreError> {
    // The heads first: who forgets the last one empties `begun` before.
    let heads: Vec<HeadName> = layout::list(files, SNAPSHOTS)?;
    match heads.first() {
        // The intent of the first one may stay behind, and would take its mark away with the heads.
        Some(head) if !is_certain(files, name)? => put(files, BEGUN, &settled(head))?,
        Some(_) => {}
        None => match begun(files)? {
            Begun::Never => put(files, BEGUN, name)?,
            Begun::Gone => put(files, LOST, name)?,
            Begun::There => {}
        },
    }
    match lost_before(files, &heads)? {
        // A snapshot that says that it is older was not there before either.
        Some(lost) if name.time < lost => put(files, LOST, name),
        // What was brought back may be forgotten one day.
        None if !heads.is_empty() => remove_all(files, LOST),
        Some(_) | None => Ok(()),
    }
}

/// Forgets about what was lost, once it is given up; and that there ever was a snapshot, if there is none.
pub(super) fn give_up(files: &Files) -> Result<(), StoreError> {
    remove_all(files, LOST)?;
    match layout::list::<HeadName>(files, SNAPSHOTS)?.is_empty() {
        true => remove_all(files, BEGUN),
        false => Ok(()),
    }
}

/// The time before which snapshots were lost and not brought back.
pub(super) fn lost_before(
    files: &Files,
    heads: &[HeadName],
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest = heads.iter().map(|head| head.time).min();
    let lost: Vec<HeadName> = layout::list(files, LOST)?;
    let lost = lost.into_iter().map(|lost| lost.time);
    let is_answered = |lost: &DateTime<Utc>| oldest.is_some_and(|oldest| oldest < *lost);
    Ok(lost.filter(|lost| !is_answered(lost)).max())
}

/// Whether there has been a first snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Nothing says so, or only who was killed right before.
    Never,
    /// There was one.
    Gone,
    /// There was one, which is there still.
    There,
}

/// A name like that of a head, but which no intent ever has: what it marks was committed.
fn settled(head: &HeadName) -> HeadName {
    HeadName {
        time: head.time,
        id: SnapshotId::of(head.id.as_bytes()),
    }
}

/// Whether a mark is there that nobody takes for one of a writer that died before it committed; `own` is that of a writer
/// that is about to take its intent away.
fn is_certain(files: &Files, own: &HeadName) -> Result<bool, StoreError> {
    for name in layout::list::<HeadName>(files, BEGUN)? {
        if name == *own || files.len_stored(&format!("{PENDING}/{name}"))?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn begun(files: &Files) -> Result<Begun, StoreError> {
    let mut begun = Begun::Never;
    for name in layout::list::<HeadName>(files, BEGUN)? {
        // In this order, since an intent becomes a head. A listing could lag behind.
        let is_pending = files.len_stored(&format!("{PENDING}/{name}"))?.is_some();
        if files.len_stored(&format!("{SNAPSHOTS}/{name}"))?.is_some() {
            return Ok(Begun::There);
        }
        if !is_pending {
            begun = Begun::Gone;
        }
    }
    Ok(begun)
}

fn put(files: &Files, dir: &str, name: &HeadName) -> Result<(), StoreError> {
    files.put(&format!("{dir}/{name}"), MARK)
}

fn remove_all(files: &Files, dir: &str) -> Result<(), StoreError> {
    let names = layout::list::<HeadName>(files, dir)?;
    let mut names = names.iter();
    names.try_for_each(|name| files.remove(&format!("{dir}/{name}")))
}
