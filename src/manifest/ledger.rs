//! The entries of a snapshot that is being made, in memory until they are sorted and written.
//!
//! An entry as a value takes some 500 bytes; a million of them would be half a gigabyte. Here an entry is a node of one row,
//! which is little more than its key and the id of its content, and one that is as the parent has it is its key alone.
//!
//! Invariant: what is taken out is what was put in.

use super::node::{Node, NodeBuilder, only_key};
use super::rows::push_entry;
use super::write::key_bytes;
use super::{Entry, ManifestError};
use crate::resource::ObjectKey;

/// Bytes per piece of memory; a longer record gets a piece of its own.
const PIECE: usize = 1 << 20;

/// What stands in a ledger under a key.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// The parent has the same entry.
    SameAsParent,
    /// The entry.
    Entry(Box<Entry>),
}

impl Record {
    /// The entry, unless it is as the parent has it.
    pub fn entry(self) -> Option<Entry> {
        match self {
            Self::SameAsParent => None,
            Self::Entry(entry) => Some(*entry),
        }
    }
}

/// Entries in the order of their arrival; sorted at the end.
#[derive(Debug, Default)]
pub struct Ledger {
    pieces: Vec<Vec<u8>>,
    /// Piece and place of every record. It ends where the next one begins.
    records: Vec<(u32, u32)>,
}

/// The first byte of a record, before its node.
const SAME: u8 = 0;
const OWN: u8 = 1;

impl Ledger {
    /// Notes an entry; gives back its number. Fails if no manifest can hold its key.
    pub fn push(&mut self, entry: &Entry) -> Result<u32, ManifestError> {
        let key = key_bytes(&entry.key)?;
        let mut node = NodeBuilder::new(0);
        push_entry(&mut node, &key, entry);
        Ok(self.add(OWN, &node.finish()))
    }

    /// Notes that an entry is as the parent has it. Fails if no manifest can hold its key.
    pub fn push_same(&mut self, key: &ObjectKey) -> Result<(), ManifestError> {
        let mut node = NodeBuilder::new(0);
        node.push(&key_bytes(key)?);
        self.add(SAME, &node.finish());
        Ok(())
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All records with their keys in bytes, sorted by these; of several under one key the last.
    pub fn sorted(&self) -> impl Iterator<Item = (&[u8], Record)> {
        let all = u32::try_from(self.records.len()).expect(FEW);
        self.sorted_of((0..all).collect())
    }

    /// The records with these numbers, sorted alike.
    pub fn sorted_of(&self, mut numbers: Vec<u32>) -> impl Iterator<Item = (&[u8], Record)> {
        numbers.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)).then(b.cmp(a)));
        numbers.dedup_by(|a, b| self.key(*a) == self.key(*b));
        numbers
            .into_iter()
            .map(|number| (self.key(number), self.record(number)))
    }

    fn add(&mut self, origin: u8, node: &[u8]) -> u32 {
        let len = 1 + node.len();
        let fits = |piece: &Vec<u8>| piece.len() + len <= piece.capacity();
        if !self.pieces.last().is_some_and(fits) {
            self.pieces.push(Vec::with_capacity(PIECE.max(len)));
        }
        let last = self.pieces.len() - 1;
        let piece = &mut self.pieces[last];
        let place = u32::try_from(piece.len()).expect("a piece is far shorter");
        piece.push(origin);
        piece.extend_from_slice(node);
        let number = u32::try_from(self.records.len()).expect(FEW);
        self.records.push((u32::try_from(last).expect(FEW), place));
        number
    }

    /// The origin and the node of a record.
    fn parts(&self, number: u32) -> (u8, &[u8]) {
        let number = number as usize;
        let (piece, place) = self.records[number];
        let bytes = &self.pieces[piece as usize];
        let end = match self.records.get(number + 1) {
            Some((next, end)) if *next == piece => *end as usize,
            _ => bytes.len(),
        };
        (bytes[place as usize], &bytes[place as usize + 1..end])
    }

    fn key(&self, number: u32) -> &[u8] {
        only_key(self.parts(number).1).expect(OWN_WORDS)
    }

    fn record(&self, number: u32) -> Record {
        let (origin, node) = self.parts(number);
        if origin == SAME {
            return Record::SameAsParent;
        }
        let node = Node::decode(node.to_vec()).expect(OWN_WORDS);
        Record::Entry(Box::new(node.entry(0).expect(OWN_WORDS)))
    }
}

const OWN_WORDS: &str = "nobody but the ledger wrote it";
const FEW: &str = "memory ends before the numbers do";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Extent, Gap, Payload};
    use crate::resource::KindName;
    use crate::store::BlobId;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(KindName::known("notebook"), name)
    }

    fn entries() -> Vec<Entry> {
        let id = |byte| BlobId::from_bytes([byte; 32]);
        let bare = Entry::new(key("/a"));
        let mut full = Entry::new(key("/b/ü"));
        full.object_id = Some("9007199254740993".into());
        full.modified_at = Some(-5);
        full.size = Some(u64::MAX);
        full.stamp = Some(7);
        full.body = Some(Payload::Inline(b"{}".to_vec()));
        full.content = Some(Payload::Blob { id: id(1), len: 9 });
        full.permissions = Some(Payload::Listed {
            id: id(2),
            len: 8,
            list: id(3),
        });
        full.gap = Some(Gap::new(Extent::Kind, "no"));
        full.carried_over = true;
        let mut chunked = Entry::new(key("/c"));
        chunked.content = Some(Payload::Chunked {
            id: id(4),
            len: 7,
            chunks: vec![id(5), id(6)],
        });
        let mut long = Entry::new(key("/d"));
        long.body = Some(Payload::Inline(vec![b'x'; PIECE + 1]));
        vec![bare, full, chunked, long]
    }

    #[test]
    fn entries_come_back_as_they_were_and_in_order() {
        let mut ledger = Ledger::default();
        for entry in entries().iter().rev() {
            ledger.push(entry).unwrap();
        }
        ledger.push_same(&key("/e")).unwrap();
        let mut expected: Vec<_> = entries()
            .into_iter()
            .map(Box::new)
            .map(Record::Entry)
            .collect();
        expected.push(Record::SameAsParent);
        let records: Vec<_> = ledger.sorted().map(|(_, record)| record).collect();
        assert_eq!(records, expected);
        let keys: Vec<_> = ledger.sorted().map(|(key, _)| key.to_vec()).collect();
        assert_eq!(keys.first(), Some(&key("/a").to_bytes()));
        assert_eq!(keys.last(), Some(&key("/e").to_bytes()));
    }

    #[test]
    fn of_two_records_under_one_key_the_later_counts() {
        let mut ledger = Ledger::default();
        ledger.push(&Entry::new(key("/a"))).unwrap();
        ledger.push_same(&key("/a")).unwrap();
        let records: Vec<_> = ledger.sorted().map(|(_, record)| record).collect();
        assert_eq!(records, [Record::SameAsParent]);
    }

    #[test]
    fn a_key_that_no_manifest_can_hold_is_refused() {
        let mut ledger = Ledger::default();
        let long = format!("/{}", "x".repeat(64 << 10));
        for name in ["/a\0b", &long] {
            let entry = Entry::new(key(name));
            assert!(ledger.push(&entry).is_err());
            assert!(ledger.push_same(&entry.key).is_err());
        }
        assert!(ledger.is_empty());
    }
}
