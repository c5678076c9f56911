//! The beginning of a segment: its counts, and the tables that follow.
//!
//! Invariant: a segment whose counts, flags or checksum do not fit is refused before anything in it is believed.

use super::{ENTRY, Entries, IndexedPack, MAX_FAN_OUT_BITS, Segment};
use crate::store::frame::array;
use crate::store::id::{BlobKind, FileId};
use crate::store::layout::SegmentName;

pub(super) const MAGIC: &[u8; 8] = b"DBSNIDX1";
pub(super) const FORMAT: u8 = 1;
pub(super) const HEADER: usize = 64;
const SUPERSEDED: usize = 33;
pub(super) const PACK: usize = 40;

pub(super) struct Header {
    bits: u8,
    supersedes: usize,
    packs: usize,
    entries: usize,
    check: [u8; 32],
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Result<Self, String> {
        if &bytes[..8] != MAGIC {
            return Err("the header is not that of an index segment".into());
        }
        if bytes[8] != FORMAT {
            return Err(format!("the segment has the unknown format {}", bytes[8]));
        }
        if bytes[10..12] != [0; 2] || bytes[24..32] != [0; 8] || bytes[9] > MAX_FAN_OUT_BITS {
            return Err("the segment has unknown flags".into());
        }
        let count = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4])) as usize;
        Ok(Self {
            bits: bytes[9],
            supersedes: count(12),
            packs: count(16),
            entries: count(20),
            check: array(&bytes[32..]),
        })
    }

    pub(super) fn tables_len(&self) -> u64 {
        (HEADER + self.supersedes * SUPERSEDED + self.packs * PACK + (4 << self.bits)) as u64
    }

    pub(super) fn file_len(&self) -> u64 {
        self.tables_len() + (self.entries * ENTRY) as u64
    }

    pub(super) fn segment(&self, tables: &[u8], entries: Entries) -> Result<Segment, String> {
        if tables_hash(tables) != self.check {
            return Err("the checksum of the tables does not match".into());
        }
        let (superseded, rest) = tables[HEADER..].split_at(self.supersedes * SUPERSEDED);
        let (packs, fan_out) = rest.split_at(self.packs * PACK);
        let fan_out: Vec<u32> = fan_out
            .chunks_exact(4)
            .map(|end| u32::from_le_bytes(array(end)))
            .collect();
        if !fan_out.is_sorted()
            || fan_out
                .last()
                .is_none_or(|&end| end as usize != self.entries)
        {
            return Err("the fan-out table is not one".into());
        }
        let supersedes = superseded.chunks_exact(SUPERSEDED).map(|name| SegmentName {
            level: name[0],
            id: FileId::from_bytes(array(&name[1..])),
        });
        Ok(Segment {
            supersedes: supersedes.collect(),
            packs: packs
                .chunks_exact(PACK)
                .map(read_pack)
                .collect::<Result<_, _>>()?,
            fan_out,
            bits: self.bits,
            entries,
        })
    }
}

fn read_pack(bytes: &[u8]) -> Result<IndexedPack, String> {
    let kind = BlobKind::from_code(bytes[36])
        .ok_or_else(|| format!("a pack has the unknown kind {}", bytes[36]))?;
    if bytes[37..] != [0; 3] {
        return Err("a pack has unknown flags".into());
    }
    Ok(IndexedPack {
        id: FileId::from_bytes(array(&bytes[..32])),
        size: u32::from_le_bytes(array(&bytes[32..36])),
        kind,
    })
}

/// The hash of everything before the entries, but for the place where it is kept itself.
pub(super) fn tables_hash(tables: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&tables[..32]).update(&tables[HEADER..]);
    *hasher.finalize().as_bytes()
}
