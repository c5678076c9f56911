//! The look before a commit: is everything still there that the new snapshot relies on?
//!
//! Invariant: condemned packs are read before existing packs. A sweeper removes a pack before the record that condemns
//! it, so one of the two readings shows it.

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::backend::Files;
use super::error::{StoreError, corrupt};
use super::frame::MAX_DEPTH;
use super::id::{BlobKind, FileId, SnapshotId};
use super::layout::{self, CONDEMNED, HeadName};
use super::pack;
use super::pipeline::Shared;
use super::view::Place;
use super::{Store, lock};

pub(super) const MAX_RECORD: u64 = 256 << 20;

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Everything is there and stays.
    Clear,
    /// These packs are condemned, and still there: what they hold must be written anew.
    Condemned(Vec<FileId>),
}

/// The stored form of a record of condemned packs.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    dbsnap: String,
    format: u64,
    packs: Vec<String>,
    /// The packs are damaged, and what can be read in them has a copy elsewhere.
    #[serde(default, skip_serializing_if = "is_false")]
    damaged: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What a record says.
pub(super) struct Condemned {
    pub(super) packs: Vec<FileId>,
    /// They were condemned because they are damaged: what can be read in them has a copy elsewhere.
    pub(super) is_damage: bool,
}

/// The packs that some prune is about to delete.
pub(super) fn condemned(files: &Files) -> Result<HashSet<FileId>, StoreError> {
    let records = records(files)?.into_iter();
    Ok(records.flat_map(|record| record.packs).collect())
}

/// Records that are damaged themselves. Nobody sweeps by one, and nobody dares to write beside one.
pub(super) fn damaged_records(files: &Files) -> Result<Vec<HeadName>, StoreError> {
    let mut damaged = Vec::new();
    for name in layout::list::<HeadName>(files, CONDEMNED)? {
        match files.read(&format!("{CONDEMNED}/{name}"), MAX_RECORD) {
            Ok(Some(bytes)) if SnapshotId::of(&bytes) != name.id => damaged.push(name),
            Err(error) if error.is_damage() => damaged.push(name),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(damaged)
}

/// Those of them that are damaged.
pub(super) fn given_up(files: &Files) -> Result<HashSet<FileId>, StoreError> {
    let records = records(files)?.into_iter();
    let damaged = records.filter(|record| record.is_damage);
    Ok(damaged.flat_map(|record| record.packs).collect())
}

fn records(files: &Files) -> Result<Vec<Condemned>, StoreError> {
    let mut records = Vec::new();
    for name in layout::list::<HeadName>(files, CONDEMNED)? {
        let file = format!("{CONDEMNED}/{name}");
        // A record that is gone has been swept: then its packs are gone as well.
        if let Some(bytes) = files.read(&file, MAX_RECORD)? {
            let record = parse_record(&name, &bytes);
            records.push(record.map_err(|what| corrupt(&files.path(&file), what))?);
        }
    }
    Ok(records)
}

/// The bytes of a record.
pub(super) fn record(condemned: &Condemned) -> Vec<u8> {
    let record = Record {
        dbsnap: "condemned".into(),
        format: 1,
        packs: condemned.packs.iter().map(ToString::to_string).collect(),
        damaged: condemned.is_damage,
    };
    serde_json::to_vec(&record).expect("texts and numbers are JSON")
}

pub(super) fn parse_record(name: &HeadName, bytes: &[u8]) -> Result<Condemned, String> {
    if SnapshotId::of(bytes) != name.id {
        return Err("the content does not match the name".into());
    }
    let record: Record = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.dbsnap != "condemned" || record.format != 1 {
        return Err("this is not a record of condemned packs of format 1".into());
    }
    let packs = record
        .packs
        .iter()
        .map(|pack| pack.parse::<FileId>().map_err(|error| error.to_string()));
    Ok(Condemned {
        packs: packs.collect::<Result<_, _>>()?,
        is_damage: record.damaged,
    })
}

/// Looks whether the packs and parents that a writer relies on are there.
pub(super) fn look(
    store: &Store,
    shared: &Shared,
    parents: &[HeadName],
) -> Result<Look, StoreError> {
    settle_unindexed(store)?;
    let condemned = condemned(store.files())?;
    let mut existing: HashSet<FileId> = layout::list_packs(store.files())?
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    for parent in parents {
        if !store.has_head(parent)? {
            return Err(StoreError::ParentForgotten(*parent));
        }
    }
    let known: Vec<FileId> = {
        let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
        view.existing_packs().collect()
    };
    for pack in &known {
        if !existing.contains(pack) && layout::unlisted_pack(store.files(), pack)?.is_some() {
            existing.insert(*pack);
        }
    }
    let safe = |pack: &FileId| existing.contains(pack) && !condemned.contains(pack);
    // Almost always nobody prunes, and then it does not matter which packs are relied on.
    if known.iter().all(safe) {
        return Ok(Look::Clear);
    }
    let relied = lock(&shared.relied).clone();
    let unsafe_packs: Vec<FileId> = closure(store, relied, safe)?
        .into_iter()
        .filter(|pack| !safe(pack))
        .collect();
    if let Some(gone) = unsafe_packs.iter().find(|pack| !existing.contains(pack)) {
        return Err(StoreError::PackPruned(*gone));
    }
    Ok(if unsafe_packs.is_empty() {
        Look::Clear
    } else {
        Look::Condemned(unsafe_packs)
    })
}

/// Sees to it that the packs stay that no segment names: whoever wrote them may have been killed before they were durable.
/// Those that a segment names were durable before it was written.
pub(super) fn settle_unindexed(store: &Store) -> Result<(), StoreError> {
    let unindexed: Vec<FileId> = {
        let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
        view.unindexed_packs().collect()
    };
    settle_packs(store.files(), unindexed.into_iter())
}

/// The same for any packs.
pub(super) fn settle_packs(
    files: &Files,
    packs: impl Iterator<Item = FileId>,
) -> Result<(), StoreError> {
    let dirs: BTreeSet<String> = packs.map(|pack| layout::pack_dir(&pack)).collect();
    dirs.iter().try_for_each(|dir| files.settle(dir))
}

/// Hands over every blob of a pack, read from that very pack.
pub(super) fn for_each_blob(
    store: &Store,
    pack: &FileId,
    mut each: impl FnMut(BlobKind, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (directory, _) = pack::read_directory(store.files(), pack)?;
    for (id, spot) in directory.spots() {
        let place = Place {
            pack: *pack,
            kind: directory.kind,
            spot,
            intact: true,
        };
        let bytes = store
            .0
            .reader
            .read_place(&*store.0, &id, &place, MAX_DEPTH + 1)?;
        each(directory.kind, bytes.to_vec())?;
    }
    Ok(())
}

/// The packs and those that the bases of their patches lie in, safe ones where there is a choice.
fn closure(
    store: &Store,
    relied: HashSet<FileId>,
    safe: impl Fn(&FileId) -> bool,
) -> Result<HashSet<FileId>, StoreError> {
    let mut to_visit: Vec<FileId> = relied.into_iter().collect();
    let mut visited: HashSet<FileId> = to_visit.iter().copied().collect();
    while let Some(pack) = to_visit.pop() {
        // What is in an unsafe pack is written anew, without patches.
        if !safe(&pack) {
            continue;
        }
        let (directory, _) = pack::read_directory(store.files(), &pack)?;
        for base in directory.frames.iter().filter_map(|frame| frame.base) {
            let best = match store.0.usable(&base, &safe)? {
                None => store.0.usable(&base, |_| true)?,
                found => found,
            };
            // A patch whose base was lost before cannot be read, so nobody relies on it.
            if let Some(pack) = best
                && visited.insert(pack)
            {
                to_visit.push(pack);
            }
        }
    }
    Ok(visited)
}
