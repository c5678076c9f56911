//! Index segments: sorted tables from blob to place.
//!
//! Invariant: an index is only a shortcut. Everything in it can be read from the packs' own directories, so a segment
//! that is damaged or lost costs time and nothing else.

use super::backend::Files;
use super::directory::Spot;
use super::error::{StoreError, corrupt};
use super::frame::array;
use super::id::{BlobId, BlobKind, FileId};
use super::layout::{SegmentName, segment_name};

/// The bytes of one entry.
pub(super) const ENTRY: usize = 52;

const MAGIC: &[u8; 8] = b"DBSNIDX1";
const FORMAT: u8 = 1;
const HEADER: usize = 64;
const SUPERSEDED: usize = 33;
const PACK: usize = 40;
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

/// The content of a segment, before it is written.
#[derive(Debug, Default)]
pub(super) struct SegmentData {
    pub(super) supersedes: Vec<SegmentName>,
    pub(super) packs: Vec<IndexedPack>,
    pub(super) entries: Vec<IndexEntry>,
}

impl SegmentData {
    /// Adds a pack with all its blobs.
    pub(super) fn add(&mut self, pack: IndexedPack, spots: impl Iterator<Item = (BlobId, Spot)>) {
        let slot = u32::try_from(self.packs.len()).expect("no store has four billion packs");
        self.packs.push(pack);
        self.entries.extend(spots.map(|(id, spot)| IndexEntry {
            id,
            pack: slot,
            spot,
        }));
    }

    /// The bytes of the segment. The order in which packs and blobs were added does not matter to readers.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        self.entries.sort_unstable();
        self.entries.dedup();
        let bits = fan_out_bits(self.entries.len());
        let mut bytes = Vec::with_capacity(
            HEADER + self.packs.len() * PACK + (4 << bits) + self.entries.len() * ENTRY,
        );
        bytes.extend(MAGIC);
        bytes.extend([FORMAT, bits, 0, 0]);
        for count in [self.supersedes.len(), self.packs.len(), self.entries.len()] {
            bytes.extend(
                u32::try_from(count)
                    .expect("no segment has four billion entries")
                    .to_le_bytes(),
            );
        }
        bytes.resize(HEADER, 0);
        for name in &self.supersedes {
            bytes.push(name.level);
            bytes.extend(name.id.as_bytes());
        }
        for pack in &self.packs {
            bytes.extend(pack.id.as_bytes());
            bytes.extend(pack.size.to_le_bytes());
            bytes.extend([pack.kind.code(), 0, 0, 0]);
        }
        for bucket in 0..1_u32 << bits {
            let end = self
                .entries
                .partition_point(|entry| bucket_of(&entry.id, bits) <= bucket as usize);
            bytes.extend((end as u32).to_le_bytes());
        }
        let check = tables_hash(&bytes);
        bytes[32..HEADER].copy_from_slice(&check);
        for entry in &self.entries {
            entry.write(&mut bytes);
        }
        bytes
    }

    /// Writes the segment and says how it is called.
    pub(super) fn publish(
        &mut self,
        files: &Files,
        level: u8,
    ) -> Result<(SegmentName, usize), StoreError> {
        let bytes = self.encode();
        let named = |id: &FileId| segment_name(&SegmentName { level, id: *id });
        let id = files.put_hashed(named, &bytes)?;
        Ok((SegmentName { level, id }, bytes.len()))
    }
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

struct Header {
    bits: u8,
    supersedes: usize,
    packs: usize,
    entries: usize,
    check: [u8; 32],
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Result<Self, String> {
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

    fn tables_len(&self) -> u64 {
        (HEADER + self.supersedes * SUPERSEDED + self.packs * PACK + (4 << self.bits)) as u64
    }

    fn file_len(&self) -> u64 {
        self.tables_len() + (self.entries * ENTRY) as u64
    }

    fn segment(&self, tables: &[u8], entries: Entries) -> Result<Segment, String> {
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
fn tables_hash(tables: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&tables[..32]).update(&tables[HEADER..]);
    *hasher.finalize().as_bytes()
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data(blobs: u32) -> SegmentData {
        let mut data = SegmentData::default();
        let pack = |id: &[u8]| IndexedPack {
            id: FileId::of(id),
            size: 1000,
            kind: BlobKind::Data,
        };
        let spot = |n| Spot {
            frame_offset: 32,
            frame_len: 50,
            blob_offset: n,
            blob_len: 1,
        };
        data.supersedes.push(SegmentName {
            level: 0,
            id: FileId::of(b"old"),
        });
        data.add(
            pack(b"one"),
            (0..blobs).map(|n| (BlobId::of(&n.to_le_bytes()), spot(n))),
        );
        data.add(
            pack(b"two"),
            (0..blobs / 2).map(|n| (BlobId::of(&n.to_le_bytes()), spot(n + 7))),
        );
        data
    }

    #[test]
    fn the_encoding_is_pinned() {
        let bytes = data(3).encode();
        assert_eq!(bytes.len(), 64 + 33 + 2 * 40 + 4 + 4 * 52);
        assert_eq!(
            bytes[..24],
            *b"DBSNIDX1\x01\0\0\0\x01\0\0\0\x02\0\0\0\x04\0\0\0"
        );
        let hash = FileId::of(&bytes).to_string();
        assert_eq!(
            hash,
            "f71d7e201c44ba67bbd6996af9062abdfc376587669c0bbc59a3d391454b8561"
        );
    }

    #[test]
    fn every_copy_of_a_blob_is_found_and_nothing_else() {
        for blobs in [0, 1, 16, 17, 500, 5000] {
            let segment = Segment::from_bytes(data(blobs).encode()).unwrap();
            assert_eq!(segment.len() as u32, blobs + blobs / 2);
            for n in 0..blobs {
                let found = segment.find(&BlobId::of(&n.to_le_bytes())).unwrap();
                let mut offsets: Vec<u32> =
                    found.iter().map(|entry| entry.spot.blob_offset).collect();
                offsets.sort_unstable();
                let both = [n, n + 7];
                assert_eq!(offsets, if n < blobs / 2 { &both[..] } else { &both[..1] });
            }
            assert_eq!(segment.find(&BlobId::of(b"another")).unwrap(), []);
        }
    }

    #[test]
    fn what_a_later_version_may_say_of_a_pack_is_refused() {
        let good = data(3).encode();
        for at in 64 + 33 + 37..64 + 33 + 40 {
            let mut newer = good.clone();
            newer[at] = 1;
            let tables = newer.len() - 4 * ENTRY;
            let check = tables_hash(&newer[..tables]);
            newer[32..64].copy_from_slice(&check);
            let refused = Segment::from_bytes(newer).unwrap_err();
            assert!(refused.contains("unknown flags"), "{refused}");
        }
    }

    #[test]
    fn a_changed_table_is_refused() {
        let good = data(40).encode();
        let tables = good.len() - 60 * ENTRY;
        for at in 0..tables {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(Segment::from_bytes(bad).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(tail in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
            let head: &[u8] = if magic { b"DBSNIDX1\x01" } else { b"" };
            prop_assert!(Segment::from_bytes([head, &tail].concat()).is_err());
        }
    }
}
