//! What goes into a segment, and its bytes.

use super::header::{self, FORMAT, HEADER, MAGIC, PACK};
use super::{ENTRY, IndexEntry, IndexedPack, bucket_of, fan_out_bits};
use crate::store::backend::Files;
use crate::store::directory::Spot;
use crate::store::error::StoreError;
use crate::store::id::{BlobId, FileId};
use crate::store::layout::{SegmentName, segment_name};

/// The content of a segment, before it is written.
#[derive(Debug, Default)]
pub(in crate::store) struct SegmentData {
    pub(in crate::store) supersedes: Vec<SegmentName>,
    pub(in crate::store) packs: Vec<IndexedPack>,
    pub(in crate::store) entries: Vec<IndexEntry>,
}

impl SegmentData {
    /// Adds a pack with all its blobs.
    pub(in crate::store) fn add(
        &mut self,
        pack: IndexedPack,
        spots: impl Iterator<Item = (BlobId, Spot)>,
    ) {
        let slot = u32::try_from(self.packs.len()).expect("no store has four billion packs");
        self.packs.push(pack);
        self.entries.extend(spots.map(|(id, spot)| IndexEntry {
            id,
            pack: slot,
            spot,
        }));
    }

    /// The bytes of the segment. The order in which packs and blobs were added does not matter to readers.
    pub(in crate::store) fn encode(&mut self) -> Vec<u8> {
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
        let check = header::tables_hash(&bytes);
        bytes[32..HEADER].copy_from_slice(&check);
        for entry in &self.entries {
            entry.write(&mut bytes);
        }
        bytes
    }

    /// Writes the segment and says how it is called.
    pub(in crate::store) fn publish(
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
