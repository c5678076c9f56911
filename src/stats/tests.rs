//! What is counted, and for whom.

use chrono::DateTime;

use super::*;
use crate::manifest::{Payload, Snapshot, write_tree};
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::WriterOptions;

struct Bench {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("s"), DateTime::UNIX_EPOCH).unwrap();
        Self { _dir: dir, store }
    }

    /// A snapshot of notebooks with these numbers, each of 1,280 bytes that have nothing in common.
    fn commit(&self, minute: i64, numbers: impl Iterator<Item = u64>) {
        let writer = self.store.writer_with(WriterOptions::default()).unwrap();
        let entries = numbers.map(|number| {
            let name = format!("/Users/u{}/n{number:05}", number % 2);
            let mut entry = Entry::new(ObjectKey::new(KindName::known("notebook"), name));
            let word =
                |at: u64| *BlobId::of(&[number, at].map(u64::to_le_bytes).concat()).as_bytes();
            let content: Vec<u8> = (0..40).flat_map(word).collect();
            entry.content = Some(Payload::store(&writer, &content, None).unwrap());
            entry
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let root = write_tree(&writer, entries, None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.store, &root).unwrap();
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        let head = Snapshot::of(&tree, time, "https://x").unwrap();
        writer.commit(&head.to_bytes(), time).unwrap();
    }

    fn stats(&self) -> StoreStats {
        let store = Store::open(self.store.path()).unwrap();
        of_store(&store, &Silent).unwrap()
    }
}

/// Notebooks beside what little their list takes.
fn notebooks(bytes: u64) -> u64 {
    (bytes + 640) / 1280
}

#[test]
fn what_snapshots_share_counts_as_added_by_the_first_and_as_own_of_none() {
    let bench = Bench::new();
    bench.commit(0, 0..100);
    bench.commit(1, 50..150);
    bench.commit(2, 100..170);
    let stats = bench.stats();
    let added: Vec<u64> = stats
        .snapshots
        .iter()
        .map(|s| notebooks(s.added_bytes))
        .collect();
    let own: Vec<u64> = stats
        .snapshots
        .iter()
        .map(|s| notebooks(s.own_bytes))
        .collect();
    // The lists of 100 names and ids take about as much as three or four notebooks.
    let near = |found: &[u64], wanted: [u64; 3]| {
        found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| (wanted..wanted + 5).contains(found))
    };
    assert!(near(&added, [100, 50, 20]), "{added:?}");
    assert!(near(&own, [50, 0, 20]), "{own:?}");
    assert_eq!(stats.unneeded_bytes, 0);
    assert!(stats.blob_bytes <= stats.sizes.pack_bytes);
}

#[test]
fn what_a_forgotten_snapshot_alone_needed_is_needed_by_nobody() {
    let bench = Bench::new();
    bench.commit(0, 0..100);
    bench.commit(1, 50..150);
    let before = bench.stats();
    let own = before.snapshots[0].own_bytes;
    bench
        .store
        .forget(&before.snapshots[0].listed.name)
        .unwrap();
    let after = bench.stats();
    assert_eq!(after.unneeded_bytes, own);
    assert_eq!(after.blob_bytes, before.blob_bytes);
    assert_eq!(after.snapshots[0].own_bytes, after.blob_bytes - own);
}

#[test]
fn the_parts_of_a_snapshot_are_all_of_its_contents_and_what_they_share_counts_once() {
    let bench = Bench::new();
    bench.commit(0, 0..101);
    let store = Store::open(bench.store.path()).unwrap();
    let listing = manifest::snapshots(&store).unwrap();
    let tree = Tree::open(&store, &listing.snapshots[0].snapshot.root).unwrap();
    let home = |entry: &Entry| entry.key.name[..9].to_owned();
    let parts = of_snapshot(&tree, &home).unwrap();
    let objects: Vec<(&str, u64, u64)> = parts
        .iter()
        .map(|(name, part)| (name.as_str(), part.objects, notebooks(part.stored_bytes)))
        .collect();
    assert_eq!(objects, [("/Users/u0", 51, 51), ("/Users/u1", 50, 50)]);
    assert_eq!(parts["/Users/u0"].raw_bytes, 51 * 1280);
    let all = of_snapshot(&tree, &|_| String::new()).unwrap();
    let sum: u64 = parts.values().map(|part| part.stored_bytes).sum();
    assert_eq!(all[""].stored_bytes, sum);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_named_and_the_others_are_counted() {
    let bench = Bench::new();
    bench.commit(0, 0..100);
    let packs = walkdir::WalkDir::new(bench.store.path().join("packs"));
    let packs = packs.into_iter().map(Result::unwrap);
    let first: Vec<_> = packs.filter(|file| file.file_type().is_file()).collect();
    bench.commit(1, 200..300);
    for file in first {
        std::fs::remove_file(file.path()).unwrap();
    }
    let stats = bench.stats();
    assert_eq!(stats.unreadable.len(), 1);
    assert_eq!(
        notebooks(stats.snapshots[0].own_bytes).clamp(100, 104),
        notebooks(stats.snapshots[0].own_bytes)
    );
}
