//! Verifying packs: whole files, frames and blobs.
//!
//! Invariant: memory is bounded by a pack per thread, whatever the size of the store.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Problem, Verification};
use crate::report::{Event, Reporter};
use crate::store::directory::{Directory, FrameEntry, Spot};
use crate::store::error::{StoreError, corrupt};
use crate::store::frame::{MAX_DEPTH, MAX_STORED};
use crate::store::id::{BlobId, BlobKind, FileId};
use crate::store::layout::pack_name;
use crate::store::reader::Frame;
use crate::store::{Store, lock, look, pack};

/// No pack is longer than this.
const MAX_PACK: u64 = 256 << 20;

/// Checks these packs, several at once, and says which of them are good.
pub(super) fn check(
    store: &Store,
    packs: &[(FileId, u64)],
    report: &dyn Reporter,
    found: &mut Verification,
) -> Vec<(FileId, Option<bool>)> {
    report.report(Event::PhaseStarted {
        name: "verify packs",
    });
    report.report(Event::Expected {
        more: packs.len() as u64,
    });
    let indexed = indexed_packs(store);
    // One that is damaged was told of with the heads.
    let condemned = look::condemned(store.files()).unwrap_or_default();
    let results = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((id, size)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let is_condemned = condemned.contains(id);
            let mut checked = check_pack(store, id, indexed.contains(id));
            if !checked.problems.is_empty() && is_gone(store, id) {
                // Somebody has swept it meanwhile. Whether anybody needs it shows without it.
                checked = Verification::default();
            }
            if is_condemned {
                // It was given up, and it goes.
                checked.gone.append(&mut checked.problems);
                checked.hanging.clear();
            }
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
    let mut read = Vec::with_capacity(packs.len());
    for ((id, checked), (_, size)) in results.into_iter().zip(packs) {
        read.push((id, checked.is_good_pack()));
        found.absorb(checked, *size);
    }
    report.report(Event::PhaseFinished);
    read
}

fn is_gone(store: &Store, id: &FileId) -> bool {
    matches!(store.files().len_stored(&pack_name(id)), Ok(None))
}

fn indexed_packs(store: &Store) -> HashSet<FileId> {
    let view = store.0.view.read().unwrap_or_else(PoisonError::into_inner);
    let stored = view.segments().filter(|(name, _)| name.is_some());
    stored
        .flat_map(|(_, segment)| segment.packs.iter().map(|pack| pack.id))
        .collect()
}

impl Verification {
    /// Whether the bytes of the one pack that was checked are as they were written; none if they could not be had. What
    /// hangs on something that is lost elsewhere is no damage of the pack.
    fn is_good_pack(&self) -> Option<bool> {
        let mut told = self.problems.iter().chain(&self.gone);
        if self.problems.is_empty() && self.gone.is_empty() {
            return Some(true);
        }
        told.any(|problem| !problem.out_of_reach).then_some(false)
    }

    fn absorb(&mut self, pack: Self, size: u64) {
        self.packs += 1;
        self.stored_bytes += size;
        self.frames += pack.frames;
        self.blobs += pack.blobs;
        self.raw_bytes += pack.raw_bytes;
        self.problems.extend(pack.problems);
        self.gone.extend(pack.gone);
        self.hanging.extend(pack.hanging);
        self.notes.extend(pack.notes);
    }
}

fn check_pack(store: &Store, id: &FileId, indexed: bool) -> Verification {
    let mut found = Verification::default();
    let name = pack_name(id);
    let path = store.files().path(&name);
    let mut failures = Vec::new();
    let bytes = read(store, id, &mut failures);
    let pack = Pack {
        store,
        id,
        path: &path,
        bytes: bytes.as_deref(),
    };
    match pack.directory() {
        Ok(directory) => pack.check_frames(&directory, &mut found),
        Err(error) => {
            // What could not be read at all needs no second complaint.
            if pack.bytes.is_some_and(|bytes| !bytes.is_empty()) {
                failures.push(error);
            }
            pack.check_indexed(id, &mut found);
        }
    }
    for error in failures {
        found.problem(store.path(), &path, Vec::new(), &error);
    }
    // What is damaged is not called odd as well.
    if !indexed && found.problems.is_empty() {
        found.notes.push(format!(
            "{name} is not in the index; it is read through its own directory"
        ));
    }
    found
}

/// The whole pack, if it can be had as a whole. A seal that is broken somewhere leaves the rest readable in parts.
fn read(store: &Store, id: &FileId, failures: &mut Vec<StoreError>) -> Option<Vec<u8>> {
    let name = pack_name(id);
    let mut try_to = || {
        let gone = || corrupt(&store.files().path(&name), "the pack is gone");
        let stored = store.files().read_stored(&name, MAX_PACK)?;
        let stored = stored.ok_or_else(gone)?;
        if FileId::of(&stored) != *id {
            let what = "the content does not match the name";
            failures.push(corrupt(&store.files().path(&name), what));
        }
        store.files().unsealed(&name, stored)
    };
    match try_to() {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if failures.is_empty() {
                failures.push(error);
            }
            None
        }
    }
}

struct Pack<'a> {
    store: &'a Store,
    id: &'a FileId,
    path: &'a Path,
    /// All of it, if it could be read as a whole.
    bytes: Option<&'a [u8]>,
}

impl Pack<'_> {
    fn directory(&self) -> Result<Directory, StoreError> {
        match self.bytes {
            Some(bytes) => pack::parse_directory(bytes, self.path),
            None => Ok(pack::read_directory(self.store.files(), self.id)?.0),
        }
    }

    /// Decodes every frame and hashes every blob.
    fn check_frames(&self, directory: &Directory, found: &mut Verification) {
        let mut spots = directory.spots();
        for (_, frame, blobs) in directory.frames() {
            let spots: Vec<(BlobId, Spot)> = spots.by_ref().take(blobs.len()).collect();
            self.check_frame(directory.kind, &spots, Some(frame), found);
        }
    }

    /// Without its directory a pack is still readable through the index.
    fn check_indexed(&self, id: &FileId, found: &mut Verification) {
        let mut frames: BTreeMap<u32, Vec<(BlobId, Spot)>> = BTreeMap::new();
        let mut kind = BlobKind::Data;
        let view = self.store.0.view.read();
        let view = view.unwrap_or_else(PoisonError::into_inner);
        for (_, segment) in view.segments() {
            let Some(slot) = segment.packs.iter().position(|indexed| indexed.id == *id) else {
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
            self.check_frame(kind, &spots, None, found);
        }
    }

    /// Decodes a frame, and compares it with what the directory says of it.
    fn check_frame(
        &self,
        kind: BlobKind,
        spots: &[(BlobId, Spot)],
        listed: Option<&FrameEntry>,
        found: &mut Verification,
    ) {
        let root = self.store.path();
        let ids = || spots.iter().map(|(id, _)| *id).collect();
        let Some((first, spot)) = spots.first() else {
            let empty = corrupt(self.path, "a frame has no blobs");
            return found.problem(root, self.path, Vec::new(), &empty);
        };
        let frame = match self.decode(first, spot) {
            Ok(frame) => frame,
            Err(error) if self.is_of_another(&error) => {
                return self.note_hanging(ids(), &error, found);
            }
            Err(error) => return found.problem(root, self.path, ids(), &error),
        };
        if listed.is_some_and(|listed| !listed.agrees_with(&frame.header)) {
            let what = "the header of a frame is not what the directory says";
            let differs = corrupt(self.path, what);
            return found.problem(root, self.path, ids(), &differs);
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
            let wrong = corrupt(self.path, "a frame has other blobs than it should");
            found.problem(root, self.path, lost, &wrong);
        }
    }

    /// Whether what is wrong is not in this pack, but in what a patch in it is a patch on.
    fn is_of_another(&self, error: &StoreError) -> bool {
        match error {
            StoreError::MissingBlob(_) => true,
            StoreError::Corrupt { file, .. } | StoreError::Io { path: file, .. } => {
                file != self.path
            }
            _ => false,
        }
    }

    /// Of a pack the first such patch is told, with the blobs of all.
    fn note_hanging(&self, blobs: Vec<BlobId>, error: &StoreError, found: &mut Verification) {
        match found.hanging.last_mut() {
            Some(told) => told.blobs.extend(blobs),
            None => {
                let mut told = Problem::new(self.store.path(), self.path, blobs, error);
                told.what = format!("a patch in it cannot be read: {}", told.what);
                found.hanging.push(told);
            }
        }
    }

    fn decode(&self, id: &BlobId, spot: &Spot) -> Result<Frame, StoreError> {
        let files = self.store.files();
        let (offset, len) = (spot.frame_offset as usize, spot.frame_len as usize);
        let stored = match self.bytes {
            Some(bytes) => {
                let stored = bytes.get(offset..offset.saturating_add(len));
                let short = || corrupt(self.path, "the pack ends before its frames");
                Cow::Borrowed(stored.ok_or_else(short)?)
            }
            None if spot.frame_len > MAX_STORED => {
                return Err(corrupt(self.path, "a frame has an absurd length"));
            }
            None => Cow::Owned(files.read_at(&pack_name(self.id), offset as u64, len)?),
        };
        let reader = &self.store.0.reader;
        reader.decode(&*self.store.0, id, (self.path, &stored), MAX_DEPTH + 1)
    }
}
