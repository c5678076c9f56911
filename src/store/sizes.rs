//! What blobs take in a store.
//!
//! Invariant: the shares of the blobs of a frame add up to its stored length, give or take a byte for each.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use super::Store;
use super::error::StoreError;
use super::id::BlobId;
use super::index::Segment;
use super::layout::{self, INDEX, SNAPSHOTS};

/// What a store takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSizes {
    /// How many packs there are.
    pub packs: u64,
    /// Their length.
    pub pack_bytes: u64,
    /// The length of the index.
    pub index_bytes: u64,
    /// The length of all heads of snapshots.
    pub head_bytes: u64,
}

/// What a copy of a blob takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobSize {
    /// The blob.
    pub id: BlobId,
    /// Its length.
    pub raw_bytes: u64,
    /// Its share of the frame that it lies in, by length. A patch has a frame of its own.
    pub stored_bytes: u64,
}

impl Store {
    /// The lengths of the files of the store.
    pub fn sizes(&self) -> Result<StoreSizes, StoreError> {
        let packs = layout::list_packs(self.files())?;
        let length = |dir| -> Result<u64, StoreError> {
            let files = self.files().list(dir)?;
            let files = files.iter().filter(|file| !file.is_unfinished());
            Ok(files.map(|file| file.len).sum())
        };
        Ok(StoreSizes {
            packs: packs.len() as u64,
            pack_bytes: packs.iter().map(|(_, len)| len).sum(),
            index_bytes: length(INDEX)?,
            head_bytes: length(SNAPSHOTS)?,
        })
    }

    /// Tells every copy of every blob in packs that are there, in no order.
    pub fn blob_sizes(&self, each: &mut dyn FnMut(BlobSize)) -> Result<(), StoreError> {
        let view = self.0.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut told = HashSet::new();
        for (_, segment) in view.segments() {
            // What several segments say of a pack is the same.
            let packs = segment.packs.iter();
            let new: Vec<bool> = packs
                .map(|pack| view.exists(&pack.id) && told.insert(pack.id))
                .collect();
            tell(segment, &new, each)?;
        }
        Ok(())
    }
}

fn tell(
    segment: &Segment,
    packs: &[bool],
    each: &mut dyn FnMut(BlobSize),
) -> Result<(), StoreError> {
    let is_new = |pack: u32| packs.get(pack as usize) == Some(&true);
    let mut frames: HashMap<(u32, u32), u64> = HashMap::new();
    segment.for_each(|entry| {
        if is_new(entry.pack) {
            let frame = (entry.pack, entry.spot.frame_offset);
            *frames.entry(frame).or_default() += u64::from(entry.spot.blob_len);
        }
    })?;
    segment.for_each(|entry| {
        if let Some(raw) = frames.get(&(entry.pack, entry.spot.frame_offset)) {
            let (len, frame) = (u64::from(entry.spot.blob_len), entry.spot.frame_len.into());
            each(BlobSize {
                id: entry.id,
                raw_bytes: len,
                stored_bytes: share(len, *raw, frame),
            });
        }
    })
}

/// What of a frame falls to a blob in it.
fn share(blob: u64, all: u64, frame: u64) -> u64 {
    match all {
        // An empty blob in a frame of its own.
        0 => frame,
        all => frame * blob / all,
    }
}
