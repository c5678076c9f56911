//! Reading blobs back.
//!
//! Invariant: no bytes leave here that do not hash to the id that was asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::backend::Files;
use super::directory::Spot;
use super::error::{StoreError, corrupt};
use super::frame::{FrameError, FrameHeader, MAX_DEPTH, MAX_STORED};
use super::id::{BlobId, BlobKind, FileId};
use super::layout::pack_name;
use super::lock;
use super::view::Place;

/// How many bytes of decoded frames are kept.
const CACHE: usize = 8 << 20;

/// A decoded frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    raw: Bytes,
    /// What was found to be in it. A base is asked for by every patch on it, and hashed once.
    proven: Mutex<HashSet<(u32, u32, BlobId)>>,
}

/// A blob in its frame.
#[derive(Debug)]
pub(super) struct Found {
    frame: Arc<Frame>,
    spot: Spot,
}

impl Found {
    /// The header of the frame that it lies in.
    pub(super) fn header(&self) -> &FrameHeader {
        &self.frame.header
    }

    /// The bytes of the blob, which keep the frame's in memory and are no copy of them.
    fn into_bytes(self) -> Bytes {
        self.frame.raw.slice_ref(&self)
    }
}

impl Deref for Found {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let blob = self.frame.blob(&self.spot);
        blob.expect("nothing is found that does not lie within its frame")
    }
}

/// Decodes frames and remembers the last ones.
#[derive(Debug, Default)]
pub(super) struct Reader {
    cache: Mutex<Cache>,
    /// Frames that turned out to be damaged. What lies in them has to be written again.
    failed: Mutex<HashSet<Key>>,
}

/// Says where blobs lie; a reader asks it for the bases of patches too.
pub(super) trait Locate {
    fn files(&self) -> &Files;
    /// All places of a blob, those without known damage first.
    fn places(&self, id: &BlobId) -> Result<Vec<Place>, StoreError>;
    /// A place of a blob without known damage, if it has one; found with less reading than all of them.
    fn intact_place(&self, id: &BlobId) -> Result<Option<Place>, StoreError>;
}

impl Reader {
    /// Reads a blob from the first of its places that has it whole.
    pub(super) fn read(&self, at: &impl Locate, id: &BlobId) -> Result<Bytes, StoreError> {
        let found = self.read_below(at, id, MAX_DEPTH + 1)?;
        Ok(found.into_bytes())
    }

    /// Whether reading from the place has failed before because of damage.
    pub(super) fn has_failed(&self, place: &Place) -> bool {
        lock(&self.failed).contains(&(place.pack, place.spot.frame_offset))
    }

    /// Reads a blob whose frame must have less than `depth` below it.
    pub(super) fn read_below(
        &self,
        at: &impl Locate,
        id: &BlobId,
        depth: u8,
    ) -> Result<Found, StoreError> {
        if let Some(place) = at.intact_place(id)?
            && let Ok(found) = self.read_place(at, id, &place, depth)
        {
            return Ok(found);
        }
        let mut failure = None;
        for place in at.places(id)? {
            match self.read_place(at, id, &place, depth) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    if matches!(
                        error,
                        StoreError::Corrupt { .. } | StoreError::MissingBlob(_)
                    ) {
                        lock(&self.failed).insert((place.pack, place.spot.frame_offset));
                    }
                    failure = failure.or(Some(error));
                }
            }
        }
        Err(failure.unwrap_or(StoreError::MissingBlob(*id)))
    }

    /// Reads a blob from one place; frames of patches must have less than `depth` below them.
    pub(super) fn read_place(
        &self,
        at: &impl Locate,
        id: &BlobId,
        place: &Place,
        depth: u8,
    ) -> Result<Found, StoreError> {
        let frame = self.frame(at, id, place, depth)?;
        if !frame.holds(place.kind, id, &place.spot) {
            let what = format!("blob {id} is not what lies at its place");
            return Err(damaged(at, place, what));
        }
        let spot = place.spot;
        Ok(Found { frame, spot })
    }

    /// The decoded frame at a place of the blob `id`; it must have less than `depth` below it.
    fn frame(
        &self,
        at: &impl Locate,
        id: &BlobId,
        place: &Place,
        depth: u8,
    ) -> Result<Arc<Frame>, StoreError> {
        let key = (place.pack, place.spot.frame_offset);
        let cached = lock(&self.cache).get(&key);
        let frame = match cached {
            Some(frame) => frame,
            None => {
                let frame = Arc::new(self.fetch(at, id, place, depth)?);
                lock(&self.cache).insert(key, Arc::clone(&frame));
                frame
            }
        };
        if frame.header.depth >= depth {
            return Err(damaged(
                at,
                place,
                "the depth of a chain of patches does not fall".into(),
            ));
        }
        Ok(frame)
    }

    /// Decodes a frame; the bases that it needs are kept.
    fn fetch(
        &self,
        at: &impl Locate,
        id: &BlobId,
        place: &Place,
        depth: u8,
    ) -> Result<Frame, StoreError> {
        let name = pack_name(&place.pack);
        let path = at.files().path(&name);
        if place.spot.frame_len > MAX_STORED {
            return Err(corrupt(
                &path,
                format!("the frame of blob {id} has an absurd length"),
            ));
        }
        let (offset, len) = (place.spot.frame_offset, place.spot.frame_len);
        let stored = at.files().read_at(&name, offset.into(), len as usize)?;
        self.decode(at, id, (&path, &stored), depth)
    }

    /// Decodes a frame that was read from a pack; the bases that it needs are read and kept.
    pub(super) fn decode(
        &self,
        at: &impl Locate,
        id: &BlobId,
        (path, stored): (&Path, &[u8]),
        depth: u8,
    ) -> Result<Frame, StoreError> {
        let refuse = |error| match error {
            FrameError::UnknownCodec(codec) => StoreError::NewerCodec { blob: *id, codec },
            error => corrupt(path, format!("blob {id}: {error}")),
        };
        let (header, payload) = FrameHeader::parse(stored).map_err(refuse)?;
        if header.depth >= depth {
            return Err(corrupt(
                path,
                format!("blob {id}: the depth of a chain of patches does not fall"),
            ));
        }
        let base = header
            .base
            .map(|base| self.read_below(at, &base, header.depth))
            .transpose()?;
        let raw = header.decode(payload, base.as_deref()).map_err(refuse)?;
        let proven = Mutex::default();
        Ok(Frame {
            header,
            raw: raw.into(),
            proven,
        })
    }
}

fn damaged(at: &impl Locate, place: &Place, what: String) -> StoreError {
    corrupt(&at.files().path(&pack_name(&place.pack)), what)
}

type Key = (FileId, u32);

/// Decoded frames, the least recently used of which go when there are too many bytes.
#[derive(Debug, Default)]
struct Cache {
    frames: HashMap<Key, (Arc<Frame>, u64)>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

impl Cache {
    fn get(&mut self, key: &Key) -> Option<Arc<Frame>> {
        let (frame, used) = self.frames.get_mut(key)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, *key);
        Some(Arc::clone(frame))
    }

    fn insert(&mut self, key: Key, frame: Arc<Frame>) {
        self.uses += 1;
        self.bytes += frame.cost();
        if let Some((old, used)) = self.frames.insert(key, (frame, self.uses)) {
            self.bytes -= old.cost();
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.uses, key);
        while self.bytes > CACHE && self.by_use.len() > 1 {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            if let Some((frame, _)) = self.frames.remove(&oldest) {
                self.bytes -= frame.cost();
            }
        }
    }
}

impl Frame {
    /// The bytes at a place in the frame, if it is that long.
    pub(super) fn blob(&self, spot: &Spot) -> Option<&[u8]> {
        let start = spot.blob_offset as usize;
        self.raw
            .get(start..start.checked_add(spot.blob_len as usize)?)
    }

    /// Whether this very blob lies at a place in the frame.
    fn holds(&self, kind: BlobKind, id: &BlobId, spot: &Spot) -> bool {
        let claim = (spot.blob_offset, spot.blob_len, *id);
        if lock(&self.proven).contains(&claim) {
            return true;
        }
        let holds = self.blob(spot).is_some_and(|blob| kind.id_of(blob) == *id);
        if holds {
            lock(&self.proven).insert(claim);
        }
        holds
    }

    /// What it takes to keep the frame, roughly.
    fn cost(&self) -> usize {
        self.raw.len() + 256
    }
}
