//! The directory of a pack: which blobs lie where in it.
//!
//! Invariant: frames lie one after the other without a hole, so that lengths alone say where everything is.

use super::frame::{Encoded, FrameHeader, MAX_RAW, MAX_STORED, codec};
use super::id::{BlobId, BlobKind};
use super::pack::HEADER;

/// What a pack holds, in the order in which it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) kind: BlobKind,
    pub(super) frames: Vec<FrameEntry>,
    /// The blobs of all frames with their lengths.
    pub(super) blobs: Vec<(BlobId, u32)>,
}

/// What the directory says of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameEntry {
    pub(super) stored_len: u32,
    pub(super) raw_len: u32,
    pub(super) codec: u8,
    pub(super) depth: u8,
    pub(super) blobs: u16,
    pub(super) base: Option<BlobId>,
}

/// Where a blob lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot {
    pub(super) frame_offset: u32,
    pub(super) frame_len: u32,
    /// Where the blob begins in the decoded frame.
    pub(super) blob_offset: u32,
    pub(super) blob_len: u32,
}

impl FrameEntry {
    /// Whether the frame says the same of itself.
    pub(super) fn agrees_with(&self, header: &FrameHeader) -> bool {
        let listed = (self.codec, self.depth, self.blobs, self.raw_len, self.base);
        listed
            == (
                header.codec,
                header.depth,
                header.blobs,
                header.raw_len,
                header.base,
            )
    }

    pub(super) fn of(frame: &Encoded) -> Self {
        Self {
            stored_len: u32::try_from(frame.bytes.len()).expect("MAX_STORED bounds it"),
            raw_len: frame.header.raw_len,
            codec: frame.header.codec,
            depth: frame.header.depth,
            blobs: frame.header.blobs,
            base: frame.header.base,
        }
    }
}

impl Directory {
    pub(super) fn new(kind: BlobKind) -> Self {
        Self {
            kind,
            frames: Vec::new(),
            blobs: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, frame: FrameEntry, blobs: &[(BlobId, u32)]) {
        self.frames.push(frame);
        self.blobs.extend(blobs);
    }

    /// The stored length of all frames together.
    pub(super) fn stored_len(&self) -> u64 {
        self.frames
            .iter()
            .map(|frame| u64::from(frame.stored_len))
            .sum()
    }

    /// Every frame with its offset and its blobs.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u32, &FrameEntry, &[(BlobId, u32)])> {
        let mut offset = HEADER;
        let mut first = 0;
        self.frames.iter().map(move |frame| {
            let (at, blobs) = (offset, &self.blobs[first..first + usize::from(frame.blobs)]);
            offset += frame.stored_len;
            first += usize::from(frame.blobs);
            (at, frame, blobs)
        })
    }

    /// Every blob with its place.
    pub(super) fn spots(&self) -> impl Iterator<Item = (BlobId, Spot)> {
        self.frames().flat_map(|(frame_offset, frame, blobs)| {
            let mut end = 0;
            blobs.iter().map(move |&(id, blob_len)| {
                let blob_offset = end;
                end += blob_len;
                let frame_len = frame.stored_len;
                (
                    id,
                    Spot {
                        frame_offset,
                        frame_len,
                        blob_offset,
                        blob_len,
                    },
                )
            })
        })
    }

    /// The columns, not compressed.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.blobs.len() * 34 + self.frames.len() * 12);
        for frame in &self.frames {
            varint(&mut raw, frame.stored_len);
        }
        for frame in &self.frames {
            varint(&mut raw, frame.raw_len);
        }
        raw.extend(self.frames.iter().map(|frame| frame.codec));
        raw.extend(self.frames.iter().map(|frame| frame.depth));
        for frame in &self.frames {
            varint(&mut raw, frame.blobs.into());
        }
        for (_, len) in &self.blobs {
            varint(&mut raw, *len);
        }
        for base in self.frames.iter().filter_map(|frame| frame.base) {
            raw.extend(base.as_bytes());
        }
        for (id, _) in &self.blobs {
            raw.extend(id.as_bytes());
        }
        raw
    }

    /// Reads the columns of `frames` frames and `blobs` blobs, all of which must add up.
    pub(super) fn decode(
        kind: BlobKind,
        raw: &[u8],
        frames: u32,
        blobs: u32,
    ) -> Result<Self, String> {
        let directory = Columns(raw).read(kind, frames as usize, blobs as usize)?;
        let counted: usize = directory
            .frames
            .iter()
            .map(|frame| usize::from(frame.blobs))
            .sum();
        if counted != directory.blobs.len() {
            return Err("the directory counts its blobs wrong".into());
        }
        if directory
            .frames
            .iter()
            .any(|frame| frame.raw_len > MAX_RAW || frame.stored_len > MAX_STORED)
        {
            return Err("the directory has a frame of absurd length".into());
        }
        if directory.frames.iter().any(|frame| frame.blobs == 0) {
            return Err("the directory has a frame without blobs".into());
        }
        if directory.stored_len() > u64::from(u32::MAX - HEADER) {
            return Err("the directory has frames beyond the longest pack".into());
        }
        for (_, frame, blobs) in directory.frames() {
            let total: u64 = blobs.iter().map(|(_, len)| u64::from(*len)).sum();
            if total != u64::from(frame.raw_len) {
                return Err("the blobs of a frame do not fill it".into());
            }
        }
        Ok(directory)
    }
}

/// Five columns of a byte at least.
const LEAST_FRAME: u64 = 5;
/// A length and an id.
const LEAST_BLOB: u64 = 33;

/// What is left to read of the columns.
struct Columns<'a>(&'a [u8]);

impl Columns<'_> {
    fn read(mut self, kind: BlobKind, frames: usize, blobs: usize) -> Result<Directory, String> {
        // What every frame and blob takes at least, so that absurd counts allocate nothing.
        let least = frames as u64 * LEAST_FRAME + blobs as u64 * LEAST_BLOB;
        if least > self.0.len() as u64 {
            return Err("the directory is shorter than its counts".into());
        }
        if frames > blobs {
            return Err("the directory has a frame without blobs".into());
        }
        let stored = self.varints(frames)?;
        let raw = self.varints(frames)?;
        let codecs = self.bytes(frames)?.to_vec();
        let depths = self.bytes(frames)?.to_vec();
        let counts = self.varints(frames)?;
        let lengths = self.varints(blobs)?;
        let mut entries = Vec::with_capacity(frames);
        for n in 0..frames {
            let base = (codecs[n] == codec::PATCH).then(|| self.id()).transpose()?;
            entries.push(FrameEntry {
                stored_len: stored[n],
                raw_len: raw[n],
                codec: codecs[n],
                depth: depths[n],
                blobs: u16::try_from(counts[n]).map_err(|_| "a frame has too many blobs")?,
                base,
            });
        }
        let mut ids = Vec::with_capacity(blobs);
        for len in lengths {
            ids.push((self.id()?, len));
        }
        if !self.0.is_empty() {
            return Err("the directory goes on after its end".into());
        }
        Ok(Directory {
            kind,
            frames: entries,
            blobs: ids,
        })
    }

    fn bytes(&mut self, len: usize) -> Result<&[u8], String> {
        let (head, rest) = self
            .0
            .split_at_checked(len)
            .ok_or("the directory ends too early")?;
        self.0 = rest;
        Ok(head)
    }

    fn id(&mut self) -> Result<BlobId, String> {
        let (id, rest) = self
            .0
            .split_first_chunk()
            .ok_or("the directory ends too early")?;
        self.0 = rest;
        Ok(BlobId::from_bytes(*id))
    }

    fn varints(&mut self, count: usize) -> Result<Vec<u32>, String> {
        (0..count).map(|_| self.varint()).collect()
    }

    fn varint(&mut self) -> Result<u32, String> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.bytes(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value)
                    .map_err(|_| "a number in the directory is too large".into());
            }
        }
        Err("a number in the directory is too long".into())
    }
}

/// Seven bits a byte, lowest first, the highest bit says that more follow.
fn varint(raw: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        raw.push(value as u8 | 0x80);
        value >>= 7;
    }
    raw.push(value as u8);
}

#[cfg(test)]
mod tests;
