//! Index segments: sorted tables from blob to place.
//!
//! Invariant: an index is only a shortcut. Everything in it can be read from the packs' own directories, so a segment
//! that is damaged or lost costs time and nothing else.

mod data;
mod header;

pub(super) use data::SegmentData;

use super::backend::Files;
use super::directory::Spot;
use super::error::{StoreError, corrupt};
use super::frame::array;
use super::id::{BlobId, BlobKind, FileId};
use super::layout::{SegmentName, segment_name};
use header::{HEADER, Header};

/// The bytes of one entry.
pub(super) const ENTRY: usize = 52;

const MAX_FAN_OUT_BITS: u8 = 16;
/// A fan-out bucket holds about this many entries.
const BUCKET: usize = 16;
/// Segments up to this size are held in memory; larger ones are read at positions.
const IN_MEMORY: u64 = 256 << 10;
const MAX_TABLES: u64 = 1 << 30;

/// A pack as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexedPack {
    pub(super) id: FileId,
    pub(super) size: u32,
    pub(super) kind: BlobKind,
}

/// Where a blob lies: in which pack of the segment's table, and where in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IndexEntry {
    pub(super) id: BlobId,
    pub(super) pack: u32,
    pub(super) spot: Spot,
}

/// A segment open for look-ups.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) supersedes: Vec<SegmentName>,
    pub(super) packs: Vec<IndexedPack>,
    fan_out: Vec<u32>,
    bits: u8,
    entries: Entries,
}

#[derive(Debug)]
enum Entries {
    Memory(Vec<u8>),
    Stored {
        files: Files,
        name: String,
        start: u64,
    },
}

impl Segment {
    /// Opens a stored segment. Its tables are checked here; a small one wholly, a large one when it is verified.
    pub(super) fn open(files: &Files, name: &SegmentName) -> Result<Self, StoreError> {
        let file = segment_name(name);
        let path = files.path(&file);
        let size = files.len(&file)?;
        let size = size.ok_or_else(|| corrupt(&path, "the segment is gone"))?;
        if size <= IN_MEMORY {
            let stored = files.read_stored(&file, 2 * IN_MEMORY)?;
            let stored = stored.ok_or_else(|| corrupt(&path, "the segment is gone"))?;
            if FileId::of(&stored) != name.id {
                return Err(corrupt(&path, "the content does not match the name"));
            }
            let bytes = files.unsealed(&file, stored)?;
            return Self::from_bytes(bytes).map_err(|what| corrupt(&path, what));
        }
        let mut header = [0; HEADER];
        files.fill(&file, 0, &mut header)?;
        let header = Header::parse(&header).map_err(|what| corrupt(&path, what))?;
        if header.file_len() != size || header.tables_len() > MAX_TABLES {
            return Err(corrupt(
                &path,
                "the segment has another length than its counts",
            ));
        }
        let start = header.tables_len();
        let tables = files.read_at(&file, 0, start as usize)?;
        let entries = Entries::Stored {
            files: files.clone(),
            name: file,
            start,
        };
        header
            .segment(&tables, entries)
            .map_err(|what| corrupt(&path, what))
    }

    /// Takes a whole segment from memory.
    pub(super) fn from_bytes(mut bytes: Vec<u8>) -> Result<Self, String> {
        let header = Header::parse(bytes.first_chunk().ok_or("the segment ends too early")?)?;
        if header.file_len() != bytes.len() as u64 {
            return Err("the segment has another length than its counts".into());
        }
        let entries = bytes.split_off(header.tables_len() as usize);
        header.segment(&bytes, Entries::Memory(entries))
    }

    /// All places of a blob in this segment.
    pub(super) fn find(&self, id: &BlobId) -> Result<Vec<IndexEntry>, StoreError> {
        let bucket = bucket_of(id, self.bits);
        let first = bucket
            .checked_sub(1)
            .map_or(0, |before| self.fan_out[before]);
        let range = first as usize..self.fan_out[bucket] as usize;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut buffer = Vec::new();
        let bytes = self.entries.slice(range, &mut buffer)?;
        let found = bytes
            .chunks_exact(ENTRY)
            .filter(|entry| entry[..32] == *id.as_bytes());
        Ok(found.map(IndexEntry::read).collect())
    }

    /// Whether it needs its file no more.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.entries, Entries::Memory(_))
    }

    pub(super) fn len(&self) -> usize {
        self.fan_out.last().map_or(0, |&end| end as usize)
    }

    /// All entries, a piece at a time.
    pub(super) fn for_each(&self, mut each: impl FnMut(IndexEntry)) -> Result<(), StoreError> {
        const PIECE: usize = 4096;
        let mut buffer = Vec::new();
        for first in (0..self.len()).step_by(PIECE) {
            let range = first..(first + PIECE).min(self.len());
            let bytes = self.entries.slice(range, &mut buffer)?;
            bytes
                .chunks_exact(ENTRY)
                .map(IndexEntry::read)
                .for_each(&mut each);
        }
        Ok(())
    }
}

impl Entries {
    fn slice<'a>(
        &'a self,
        range: std::ops::Range<usize>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], StoreError> {
        match self {
            Self::Memory(bytes) => Ok(&bytes[range.start * ENTRY..range.end * ENTRY]),
            Self::Stored { files, name, start } => {
                buffer.resize(range.len() * ENTRY, 0);
                files.fill(name, start + (range.start * ENTRY) as u64, buffer)?;
                Ok(buffer)
            }
        }
    }
}

impl IndexEntry {
    fn write(&self, bytes: &mut Vec<u8>) {
        let Spot {
            frame_offset,
            frame_len,
            blob_offset,
            blob_len,
        } = self.spot;
        bytes.extend(self.id.as_bytes());
        for number in [self.pack, frame_offset, frame_len, blob_offset, blob_len] {
            bytes.extend(number.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
        Self {
            id: BlobId::from_bytes(array(&bytes[..32])),
            pack: number(32),
            spot: Spot {
                frame_offset: number(36),
                frame_len: number(40),
                blob_offset: number(44),
                blob_len: number(48),
            },
        }
    }
}

fn fan_out_bits(entries: usize) -> u8 {
    (0..MAX_FAN_OUT_BITS)
        .find(|bits| entries >> bits <= BUCKET)
        .unwrap_or(MAX_FAN_OUT_BITS)
}

/// The first bits of an id.
fn bucket_of(id: &BlobId, bits: u8) -> usize {
    let [first, second, ..] = *id.as_bytes();
    usize::from(u16::from_be_bytes([first, second])) >> (16 - bits)
}

#[cfg(test)]
mod tests;
