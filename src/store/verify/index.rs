//! Verifying the index against the packs.
//!
//! Invariant: an entry is right exactly if the directory of its pack says the same.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

use super::{Problem, Verification, check_hash};
use crate::report::{Event, Reporter};
use crate::store::Store;
use crate::store::directory::{Directory, Spot};
use crate::store::error::{StoreError, corrupt};
use crate::store::id::{BlobId, FileId};
use crate::store::index::{IndexEntry, Segment};
use crate::store::layout::{self, INDEX, SegmentName, pack_name, segment_name};
use crate::store::pack;

/// Checks every segment; a segment is no more than a shortcut, so damage loses no blob.
pub(super) fn check(
    store: &Store,
    report: &dyn Reporter,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let names = layout::list::<SegmentName>(store.files(), INDEX)?;
    report.report(Event::PhaseStarted {
        name: "verify the index",
    });
    report.report(Event::Expected {
        more: names.len() as u64,
    });
    let superseded = superseded(store);
    let mut missing: BTreeMap<FileId, Vec<BlobId>> = BTreeMap::new();
    for name in &names {
        let path = store.files().path(&segment_name(name));
        match check_segment(store, name, &mut missing) {
            Ok(bytes) => {
                found.segments += 1;
                found.stored_bytes += bytes;
                report.report(Event::Done { count: 1, bytes });
            }
            // Somebody merged it meanwhile.
            Err(_) if store.files().len_stored(&segment_name(name))?.is_none() => {}
            Err(_) if superseded.contains(name) => found.notes.push(format!(
                "{} is damaged, but it is not read any more: a prune removes it",
                segment_name(name)
            )),
            Err(error) => found.problem(store.path(), &path, Vec::new(), &error),
        }
    }
    for (pack, mut blobs) in missing {
        blobs.sort();
        blobs.dedup();
        let path = store.files().path(&pack_name(&pack));
        let error = corrupt(&path, "the index names this pack, but it is gone");
        found
            .gone
            .push(Problem::new(store.path(), &path, blobs, &error));
    }
    report.report(Event::PhaseFinished);
    Ok(())
}

/// Checks a segment against its name, and every entry against the directory of the pack it points into.
fn check_segment(
    store: &Store,
    name: &SegmentName,
    missing: &mut BTreeMap<FileId, Vec<BlobId>>,
) -> Result<u64, StoreError> {
    let file = segment_name(name);
    let path = store.files().path(&file);
    let bytes = check_hash(store.files(), &file, &name.id)?;
    let segment = Segment::open(store.files(), name)?;
    let mut entries = Vec::with_capacity(segment.len());
    segment.for_each(|entry| entries.push(entry))?;
    if !entries.is_sorted_by_key(|entry| entry.id) {
        return Err(corrupt(&path, "the entries are not sorted"));
    }
    entries.sort_unstable_by_key(|entry| entry.pack);
    let current = is_current(store, name);
    for entries in entries.chunk_by(|a, b| a.pack == b.pack) {
        let pack = segment.packs.get(entries[0].pack as usize);
        let pack = pack.ok_or_else(|| corrupt(&path, "an entry names no pack"))?;
        if store.files().len(&pack_name(&pack.id))?.is_none() {
            // A superseded segment may name what is gone; nobody reads it any more.
            let gone = missing.entry(pack.id).or_default();
            gone.extend(entries.iter().filter(|_| current).map(|entry| entry.id));
            continue;
        }
        // Packs that cannot be read are named when the packs are checked.
        if let Ok((directory, _)) = pack::read_directory(store.files(), &pack.id)
            && !same_places(entries, &directory)
        {
            return Err(corrupt(
                &path,
                format!("it does not agree with the directory of pack {}", pack.id),
            ));
        }
    }
    missing.retain(|_, blobs| !blobs.is_empty());
    Ok(bytes)
}

fn superseded(store: &Store) -> HashSet<SegmentName> {
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    let segments = view.segments();
    segments
        .flat_map(|(_, segment)| segment.supersedes.iter().copied())
        .collect()
}

fn is_current(store: &Store, name: &SegmentName) -> bool {
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    view.segments().any(|(current, _)| current == Some(name))
}

fn same_places(entries: &[IndexEntry], directory: &Directory) -> bool {
    let mut indexed: Vec<(BlobId, Spot)> =
        entries.iter().map(|entry| (entry.id, entry.spot)).collect();
    let mut listed: Vec<(BlobId, Spot)> = directory.spots().collect();
    indexed.sort_unstable();
    listed.sort_unstable();
    indexed == listed
}
