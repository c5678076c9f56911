//! The entries of a running backup, in memory until they are sorted and written.
//!
//! An entry as a value takes some 500 bytes; a million of them would be half a gigabyte. Here an entry is its key and a few
//! dozen bytes, and one that is as the parent has it is its key alone.
//!
//! Invariant: what is taken out is what was put in.

use crate::manifest::{Attributes, Entry, Extent, Gap, Payload};
use crate::resource::ObjectKey;
use crate::store::BlobId;

/// Bytes per piece of memory; a longer record gets a piece of its own.
const PIECE: usize = 1 << 20;

/// What stands in a ledger under a key.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    /// The parent has the same entry.
    SameAsParent,
    /// The entry.
    Entry(Box<Entry>),
}

/// Entries in the order of their arrival; sorted at the end.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pieces: Vec<Vec<u8>>,
    /// Piece and place of every record.
    records: Vec<(u32, u32)>,
}

impl Ledger {
    /// Notes an entry; gives back its number.
    pub(super) fn push(&mut self, entry: &Entry) -> usize {
        let mut bytes = Bytes::default();
        bytes.sized(&entry.key.to_bytes());
        bytes.0.push(1);
        bytes.entry(entry);
        self.add(&bytes.0)
    }

    /// Notes that an entry is as the parent has it.
    pub(super) fn push_same(&mut self, key: &ObjectKey) {
        let mut bytes = Bytes::default();
        bytes.sized(&key.to_bytes());
        bytes.0.push(0);
        self.add(&bytes.0);
    }

    /// All records sorted by key; of several under one key the last.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (&[u8], Record)> {
        self.sorted_of((0..self.records.len()).collect())
    }

    /// These records, sorted alike.
    pub(super) fn sorted_of(
        &self,
        mut numbers: Vec<usize>,
    ) -> impl Iterator<Item = (&[u8], Record)> {
        numbers.sort_by(|a, b| self.key(*a).cmp(self.key(*b)).then(b.cmp(a)));
        numbers.dedup_by(|a, b| self.key(*a) == self.key(*b));
        numbers
            .into_iter()
            .map(|number| (self.key(number), self.record(number)))
    }

    fn add(&mut self, record: &[u8]) -> usize {
        let fits = |piece: &Vec<u8>| piece.len() + record.len() <= piece.capacity();
        if !self.pieces.last().is_some_and(fits) {
            self.pieces
                .push(Vec::with_capacity(PIECE.max(record.len())));
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let place = u32::try_from(piece.len()).expect("a piece is far shorter");
        piece.extend_from_slice(record);
        let number = u32::try_from(number).expect("memory ends before the numbers do");
        self.records.push((number, place));
        self.records.len() - 1
    }

    fn reader(&self, number: usize) -> Reader<'_> {
        let (piece, place) = self.records[number];
        Reader(&self.pieces[piece as usize][place as usize..])
    }

    fn key(&self, number: usize) -> &[u8] {
        self.reader(number).sized()
    }

    fn record(&self, number: usize) -> Record {
        let mut reader = self.reader(number);
        let key = ObjectKey::from_bytes(reader.sized()).expect("the ledger wrote this key");
        match reader.byte() {
            0 => Record::SameAsParent,
            _ => Record::Entry(Box::new(reader.entry(key))),
        }
    }
}

const HAS_ID: u8 = 1;
const HAS_TIME: u8 = 2;
const HAS_SIZE: u8 = 4;
const HAS_BODY: u8 = 8;
const HAS_CONTENT: u8 = 16;
const HAS_PERMISSIONS: u8 = 32;
const HAS_GAP: u8 = 64;
const IS_CARRIED_OVER: u8 = 128;

const EXTENTS: [Extent; 5] = [
    Extent::Object,
    Extent::Content,
    Extent::Permissions,
    Extent::Subtree,
    Extent::Kind,
];

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn sized(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("names and reasons are short");
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn id(&mut self, id: &BlobId) {
        self.0.extend_from_slice(id.as_bytes());
    }

    fn entry(&mut self, entry: &Entry) {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        self.0.push(
            flag(entry.object_id.is_some(), HAS_ID)
                | flag(entry.modified_at.is_some(), HAS_TIME)
                | flag(entry.size.is_some(), HAS_SIZE)
                | flag(entry.body.is_some(), HAS_BODY)
                | flag(entry.content.is_some(), HAS_CONTENT)
                | flag(entry.permissions.is_some(), HAS_PERMISSIONS)
                | flag(entry.gap.is_some(), HAS_GAP)
                | flag(entry.carried_over, IS_CARRIED_OVER),
        );
        if let Some(id) = &entry.object_id {
            self.sized(id.as_bytes());
        }
        if let Some(time) = entry.modified_at {
            self.number(time.cast_unsigned());
        }
        if let Some(size) = entry.size {
            self.number(size);
        }
        let payloads = [&entry.body, &entry.content, &entry.permissions];
        for payload in payloads.into_iter().flatten() {
            self.payload(payload);
        }
        if let Some(gap) = &entry.gap {
            let extent = EXTENTS.iter().position(|extent| *extent == gap.extent);
            self.0.push(
                extent
                    .and_then(|extent| u8::try_from(extent).ok())
                    .unwrap_or(0),
            );
            self.sized(gap.reason.as_bytes());
        }
    }

    fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Inline(bytes) => {
                self.0.push(0);
                self.sized(bytes);
            }
            Payload::Blob { id, len } => {
                self.0.push(1);
                self.id(id);
                self.number(*len);
            }
            Payload::Chunked { id, len, chunks } => {
                self.0.push(2);
                self.id(id);
                self.number(*len);
                self.number(chunks.len() as u64);
                chunks.iter().for_each(|chunk| self.id(chunk));
            }
            Payload::Listed { id, len, list } => {
                self.0.push(3);
                self.id(id);
                self.number(*len);
                self.id(list);
            }
        }
    }
}

/// Reads what [`Bytes`] wrote; nothing else ever lies in a ledger.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        *self.take(N).first_chunk().expect("so many were taken")
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn sized(&mut self) -> &'a [u8] {
        let len = u32::from_le_bytes(self.array());
        self.take(len as usize)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.sized()).into_owned()
    }

    fn id(&mut self) -> BlobId {
        BlobId::from_bytes(self.array())
    }

    fn entry(&mut self, key: ObjectKey) -> Entry {
        let flags = self.byte();
        let has = |flag| flags & flag != 0;
        Entry {
            key,
            object_id: has(HAS_ID).then(|| self.text()),
            modified_at: has(HAS_TIME).then(|| self.number().cast_signed()),
            size: has(HAS_SIZE).then(|| self.number()),
            stamp: None,
            body: has(HAS_BODY).then(|| self.payload()),
            content: has(HAS_CONTENT).then(|| self.payload()),
            permissions: has(HAS_PERMISSIONS).then(|| self.payload()),
            gap: has(HAS_GAP).then(|| {
                let extent = EXTENTS[usize::from(self.byte()) % EXTENTS.len()];
                Gap {
                    extent,
                    reason: self.text(),
                }
            }),
            carried_over: has(IS_CARRIED_OVER),
            other: Attributes::default(),
        }
    }

    fn payload(&mut self) -> Payload {
        match self.byte() {
            0 => Payload::Inline(self.sized().to_vec()),
            1 => Payload::Blob {
                id: self.id(),
                len: self.number(),
            },
            2 => {
                let (id, len) = (self.id(), self.number());
                let chunks = (0..self.number()).map(|_| self.id()).collect();
                Payload::Chunked { id, len, chunks }
            }
            _ => Payload::Listed {
                id: self.id(),
                len: self.number(),
                list: self.id(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::KindName;

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
        vec![bare, full, chunked]
    }

    #[test]
    fn entries_come_back_as_they_were_and_in_order() {
        let mut ledger = Ledger::default();
        for entry in entries().iter().rev() {
            ledger.push(entry);
        }
        ledger.push_same(&key("/d"));
        let mut expected: Vec<_> = entries()
            .into_iter()
            .map(Box::new)
            .map(Record::Entry)
            .collect();
        expected.push(Record::SameAsParent);
        let records: Vec<_> = ledger.sorted().map(|(_, record)| record).collect();
        assert_eq!(records, expected);
    }

    #[test]
    fn of_two_records_under_one_key_the_later_counts() {
        let mut ledger = Ledger::default();
        ledger.push(&Entry::new(key("/a")));
        ledger.push_same(&key("/a"));
        let records: Vec<_> = ledger.sorted().map(|(_, record)| record).collect();
        assert_eq!(records, [Record::SameAsParent]);
    }
}
