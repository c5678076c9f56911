//! Verifying packs: whole files, frames and blobs.
//!
//! Invariant: memory is bounded by a frame and its base per thread, whatever the size of the store.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Verification, check_hash};
use crate::report::{Event, Reporter};
use crate::store::directory::{Directory, FrameEntry, Spot};
use crate::store::error::{StoreError, corrupt};
use crate::store::frame::MAX_DEPTH;
use crate::store::id::{BlobId, BlobKind, FileId};
use crate::store::layout::{self, pack_path};
use crate::store::view::Place;
use crate::store::{Store, lock, pack};

/// Checks every pack, several at once.
pub(super) fn check(
    store: &Store,
    report: &dyn Reporter,
    found: &mut Verification,
) -> Result<(), StoreError> {
    let packs = layout::list_packs(store.path())?;
    report.report(Event::PhaseStarted {
        name: "verify packs",
    });
    report.report(Event::Expected {
        more: packs.len() as u64,
    });
    let indexed = indexed_packs(store);
    let results = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((id, size)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let checked = check_pack(store, id, indexed.contains(id));
            lock(&results).push((*id, checked));
            report.report(Event::Done {
                count: 1,
                bytes: *size,
            });
        }
    };
    let helpers = thread::available_parallelism().map_or(0, |n| n.get() - 1);
    thread::scope(|scope| {
        for _ in 0..helpers.min(packs.len() / 4) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    // The threads are not in step; what they have found is told in order all the same.
    results.sort_by_key(|(id, _)| *id);
    for ((_, checked), (_, size)) in results.into_iter().zip(&packs) {
        found.absorb(checked, *size);
    }
    report.report(Event::PhaseFinished);
    Ok(())
}

fn indexed_packs(store: &Store) -> HashSet<FileId> {
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    let stored = view.segments().filter(|(name, _)| name.is_some());
    stored
        .flat_map(|(_, segment)| segment.packs.iter().map(|pack| pack.id))
        .collect()
}

impl Verification {
    fn absorb(&mut self, pack: Self, size: u64) {
        self.packs += 1;
        self.stored_bytes += size;
        self.frames += pack.frames;
        self.blobs += pack.blobs;
        self.raw_bytes += pack.raw_bytes;
        self.problems.extend(pack.problems);
        self.notes.extend(pack.notes);
    }
}

fn check_pack(store: &Store, id: &FileId, indexed: bool) -> Verification {
    let mut found = Verification::default();
    let root = store.path();
    let path = pack_path(root, id);
    let mut failures = Vec::new();
    failures.extend(check_hash(&path, id).err());
    match pack::read_directory(&path) {
        Ok((directory, _)) => check_frames(store, id, &directory, &mut found),
        Err(error) => {
            failures.push(error);
            check_indexed(store, id, &mut found);
        }
    }
    for error in failures {
        found.problem(root, &path, Vec::new(), &error);
    }
    if !indexed {
        let file = layout::relative(root, &path);
        found.notes.push(format!(
            "{file} is not in the index; it is read through its own directory"
        ));
    }
    found
}

/// Decodes every frame of a pack and hashes every blob.
fn check_frames(store: &Store, pack: &FileId, directory: &Directory, found: &mut Verification) {
    let mut spots = directory.spots();
    for (_, frame, blobs) in directory.frames() {
        let spots: Vec<(BlobId, Spot)> = spots.by_ref().take(blobs.len()).collect();
        check_frame(store, (*pack, directory.kind), &spots, Some(frame), found);
    }
}

/// Without its directory a pack is still readable through the index.
fn check_indexed(store: &Store, pack: &FileId, found: &mut Verification) {
    let mut frames: BTreeMap<u32, Vec<(BlobId, Spot)>> = BTreeMap::new();
    let mut kind = BlobKind::Data;
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    for (_, segment) in view.segments() {
        let Some(slot) = segment.packs.iter().position(|indexed| indexed.id == *pack) else {
            continue;
        };
        kind = segment.packs[slot].kind;
        // A segment that cannot be read is named with the index.
        let _ = segment.for_each(|entry| {
            if entry.pack as usize == slot {
                frames
                    .entry(entry.spot.frame_offset)
                    .or_default()
                    .push((entry.id, entry.spot));
            }
        });
    }
    drop(view);
    for mut spots in frames.into_values() {
        spots.sort_by_key(|(_, spot)| spot.blob_offset);
        spots.dedup();
        check_frame(store, (*pack, kind), &spots, None, found);
    }
}

/// Decodes a frame, and compares it with what the directory says of it.
fn check_frame(
    store: &Store,
    (pack, kind): (FileId, BlobKind),
    spots: &[(BlobId, Spot)],
    listed: Option<&FrameEntry>,
    found: &mut Verification,
) {
    let path = pack_path(store.path(), &pack);
    let ids = || spots.iter().map(|(id, _)| *id).collect();
    let Some(&(first, spot)) = spots.first() else {
        let empty = corrupt(&path, "a frame has no blobs");
        return found.problem(store.path(), &path, Vec::new(), &empty);
    };
    let place = Place {
        pack,
        kind,
        spot,
        intact: true,
    };
    let frame = match store
        .0
        .reader
        .decode(&*store.0, &first, &place, MAX_DEPTH + 1)
    {
        Ok(frame) => frame,
        Err(error) => return found.problem(store.path(), &path, ids(), &error),
    };
    if listed.is_some_and(|listed| !listed.agrees_with(&frame.header)) {
        let differs = corrupt(
            &path,
            "the header of a frame is not what the directory says",
        );
        return found.problem(store.path(), &path, ids(), &differs);
    }
    found.frames += 1;
    let mut lost = Vec::new();
    for (id, spot) in spots {
        match frame.blob(spot).filter(|blob| kind.id_of(blob) == *id) {
            Some(blob) => {
                found.blobs += 1;
                found.raw_bytes += blob.len() as u64;
            }
            None => lost.push(*id),
        }
    }
    if !lost.is_empty() {
        let wrong = corrupt(&path, "a frame has other blobs than it should");
        found.problem(store.path(), &path, lost, &wrong);
    }
}
