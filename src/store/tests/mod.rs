//! What the parts of the store promise together.

mod configuration;
mod crash;
mod creation;
mod damage;
#[cfg(unix)]
mod disk_faults;
mod encrypted;
mod flaky;
mod fuzz;
mod golden;
mod heal;
mod histories;
mod history;
mod hostile;
mod matrix;
mod object_store;
mod power_cut;
mod prune;
mod readers;
mod repair;
mod safety;
mod schedule;

use std::collections::HashMap;
use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A moment of the test's own clock.
pub(super) fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + second)
}

/// A directory in memory where there is such a thing: a store syncs a lot, and disks take their time for it.
pub(super) fn temp_dir() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

pub(super) fn new_store() -> (TempDir, Store) {
    let dir = temp_dir();
    let store = Store::create(&dir.path().join("store"), at(0)).unwrap();
    (dir, store)
}

pub(super) fn notebook(seed: u32, lines: u32) -> Vec<u8> {
    let line = |n: u32| {
        format!(
            "df_{n} = spark.read.table('main.sales_{}')\n",
            n.wrapping_mul(seed) % 9973
        )
    };
    (0..lines).flat_map(|n| line(n).into_bytes()).collect()
}

/// The same notebook with one more line.
pub(super) fn edited(notebook: &[u8], n: u32) -> Vec<u8> {
    [notebook, format!("print({n})\n").as_bytes()].concat()
}

/// Commits these blobs with a head that is their ids.
pub(super) fn commit(store: &Store, second: i64, blobs: &[Vec<u8>]) -> Vec<BlobId> {
    let writer = store.writer().unwrap();
    let ids: Vec<BlobId> = blobs
        .iter()
        .map(|blob| writer.put(BlobKind::Data, blob, None).unwrap())
        .collect();
    writer
        .commit(format!("{ids:?}").as_bytes(), at(second))
        .unwrap();
    ids
}

#[test]
fn what_was_put_is_read_back_here_and_after_opening_again() {
    let (_dir, store) = new_store();
    let blobs: Vec<Vec<u8>> = (0..50).map(|n| notebook(n, n * 7)).collect();
    let ids = commit(&store, 1, &blobs);
    for store in [store.clone(), Store::open(store.path()).unwrap()] {
        for (id, blob) in ids.iter().zip(&blobs) {
            assert!(store.contains(id));
            assert_eq!(store.read(id).unwrap(), *blob);
        }
    }
}

#[test]
fn nodes_and_data_with_the_same_bytes_are_different_blobs() {
    let (_dir, store) = new_store();
    let writer = store.writer().unwrap();
    let data = writer.put(BlobKind::Data, b"same", None).unwrap();
    let node = writer.put(BlobKind::Node, b"same", None).unwrap();
    writer.commit(b"{}", at(1)).unwrap();
    assert_ne!(data, node);
    assert_eq!(store.read(&data).unwrap(), store.read(&node).unwrap());
}

#[test]
fn a_chain_of_versions_stays_shallow_and_small() {
    let (_dir, store) = new_store();
    let mut version = notebook(3, 200);
    let mut id = None;
    let mut versions = HashMap::new();
    for n in 0..30 {
        let writer = store.writer().unwrap();
        let new = writer.put(BlobKind::Data, &version, id.as_ref()).unwrap();
        writer.commit(format!("{n}").as_bytes(), at(n)).unwrap();
        versions.insert(new, version.clone());
        id = Some(new);
        version = edited(&version, n as u32);
    }
    for (id, version) in &versions {
        let found = store.0.reader.read_below(&*store.0, id, 9).unwrap();
        assert_eq!(*found, **version);
        assert!(found.header().depth <= 8);
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(24))]
    #[test]
    fn any_sequence_of_blobs_and_bases_is_read_back(
        blobs in prop::collection::vec((prop::collection::vec(0_u8..4, 0..3000), any::<prop::sample::Index>(), 0_u8..4), 1..40),
    ) {
        let (_dir, store) = new_store();
        let mut model: Vec<(BlobId, Vec<u8>)> = Vec::new();
        for (n, runs) in blobs.chunks(7).enumerate() {
            let writer = store.writer().unwrap();
            for (fresh, base, how) in runs {
                let base = (!model.is_empty()).then(|| model[base.index(model.len())].clone());
                let bytes = match (&base, how) {
                    (Some((_, old)), 0) => [old.as_slice(), &fresh[..fresh.len().min(20)]].concat(),
                    (Some((_, old)), 1) => old.clone(),
                    _ => fresh.clone(),
                };
                let kind = if *how == 3 { BlobKind::Node } else { BlobKind::Data };
                let id = writer.put(kind, &bytes, base.as_ref().map(|(id, _)| id)).unwrap();
                model.push((id, bytes));
            }
            writer.commit(&n.to_le_bytes(), at(n as i64)).unwrap();
        }
        for store in [store.clone(), Store::open(store.path()).unwrap()] {
            for (id, bytes) in &model {
                prop_assert_eq!(&store.read(id).unwrap(), bytes);
            }
        }
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_blobs_that_the_next_one_finds() {
    let (_dir, store) = new_store();
    let writer = store.writer().unwrap();
    let id = writer.put(BlobKind::Data, &notebook(1, 500), None).unwrap();
    let staged = writer.stage_pending(b"unfinished", at(5)).unwrap();
    let lost = writer.put(BlobKind::Data, b"in no pack yet", None).unwrap();
    drop(writer);
    for name in layout::list::<layout::SegmentName>(store.files(), layout::INDEX).unwrap() {
        store.files().remove(&layout::segment_name(&name)).unwrap();
    }

    let store = Store::open(store.path()).unwrap();
    assert_eq!(store.pending().unwrap(), [staged]);
    assert_eq!(store.read_pending(&staged).unwrap(), b"unfinished");
    assert!(store.heads().unwrap().is_empty() && !store.contains(&lost));
    let writer = store.writer().unwrap();
    assert_eq!(
        writer.put(BlobKind::Data, &notebook(1, 500), None).unwrap(),
        id
    );
    assert_eq!(writer.written(), Written::default());
    store.remove_pending(&staged).unwrap();
    assert!(store.pending().unwrap().is_empty());
}

#[test]
fn versions_are_stored_as_differences_and_a_new_chain_begins_at_the_root() {
    let (_dir, store) = new_store();
    let mut ids = Vec::new();
    for n in 0..11 {
        let writer = store.writer().unwrap();
        let version = edited(&notebook(3, 200), n);
        ids.push(writer.put(BlobKind::Data, &version, ids.last()).unwrap());
        writer.commit(&n.to_le_bytes(), at(n.into())).unwrap();
    }
    let frame = |id| {
        let found = store.0.reader.read_below(&*store.0, id, 65).unwrap();
        *found.header()
    };
    let depths: Vec<u8> = ids.iter().map(|id| frame(id).depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2]);
    assert_eq!(frame(&ids[9]).base, Some(ids[0]));
}

#[test]
fn a_base_that_does_not_help_is_not_used() {
    let (_dir, store) = new_store();
    let old = commit(&store, 1, &[notebook(3, 200)])[0];
    let writer = store.writer().unwrap();
    let missing = BlobId::of(b"missing");
    let other = writer
        .put(BlobKind::Data, "äöü ".repeat(99).as_bytes(), Some(&old))
        .unwrap();
    let none = writer
        .put(BlobKind::Data, b"something", Some(&missing))
        .unwrap();
    writer.commit(b"2", at(2)).unwrap();
    for id in [other, none] {
        let found = store.0.reader.read_below(&*store.0, &id, 65).unwrap();
        assert_eq!(found.header().base, None);
    }
}

#[test]
fn what_is_there_is_not_stored_again() {
    let (_dir, store) = new_store();
    let blobs: Vec<Vec<u8>> = (0..20).map(|n| notebook(n, 40)).collect();
    commit(&store, 1, &blobs);
    let writer = store.writer().unwrap();
    for blob in &blobs {
        writer.put(BlobKind::Data, blob, None).unwrap();
    }
    assert_eq!(writer.written(), Written::default());
    for _ in 0..2 {
        writer.put(BlobKind::Data, b"new", None).unwrap();
    }
    assert_eq!((writer.written().blobs, writer.written().raw_bytes), (1, 3));
}

#[test]
fn written_counts_every_byte_in_the_store() {
    let (_dir, store) = new_store();
    let before = size_of_files(&store);
    let writer = store.writer().unwrap();
    for n in 0..30 {
        writer.put(BlobKind::Data, &notebook(n, 90), None).unwrap();
        writer.put(BlobKind::Node, &notebook(n, 10), None).unwrap();
    }
    writer.stage_pending(b"a head", at(1)).unwrap();
    assert_eq!(
        writer.written().stored_bytes,
        size_of_files(&store) - before
    );
}

fn size_of_files(store: &Store) -> u64 {
    let files = walkdir::WalkDir::new(store.path())
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap());
    files
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

#[test]
fn heads_are_listed_by_time_and_read_back() {
    let (_dir, store) = new_store();
    for second in [30, 10, 20] {
        store
            .writer()
            .unwrap()
            .commit(&second.to_string().into_bytes(), at(second))
            .unwrap();
    }
    let heads = store.heads().unwrap();
    let texts: Vec<Vec<u8>> = heads
        .iter()
        .map(|head| store.read_head(head).unwrap())
        .collect();
    assert_eq!(texts, [b"10", b"20", b"30"]);
    assert_eq!(heads[0].time, at(10));
    let other = HeadName {
        time: at(99),
        id: heads[0].id,
    };
    assert!(matches!(store.read_head(&other), Err(StoreError::MissingHead(name)) if name == other));
}

#[test]
fn committing_the_same_again_changes_nothing() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 9)]);
    let (size, heads) = (size_of_files(&store), store.heads().unwrap());
    commit(&store, 1, &[notebook(1, 9)]);
    assert_eq!(
        (size_of_files(&store), store.heads().unwrap()),
        (size, heads)
    );
    assert!(store.pending().unwrap().is_empty());
}

#[test]
fn blobs_of_every_size_are_read_back() {
    let (_dir, store) = new_store();
    let lengths = [0, 1, (512 << 10) - 1, 512 << 10, (512 << 10) + 1, 5 << 20];
    let long = notebook(1, 130_000);
    let blobs = lengths.map(|len| long[..len].to_vec());
    let ids = commit(&store, 1, &blobs);
    for (id, blob) in ids.iter().zip(&blobs) {
        assert!(store.read(id).unwrap() == *blob, "{} bytes", blob.len());
    }
    let writer = store.writer().unwrap();
    let too_long = writer.put(BlobKind::Data, &vec![0; (64 << 20) + 1], None);
    assert!(matches!(too_long, Err(StoreError::BlobTooLarge { .. })));
}

#[test]
fn many_backups_leave_few_segments_and_lose_nothing() {
    let (_dir, store) = new_store();
    let mut ids = Vec::new();
    for n in 0..66 {
        ids.extend(commit(&store, n, &[n.to_string().into_bytes()]));
    }
    let reopened = Store::open(store.path()).unwrap();
    for store in [&store, &reopened] {
        let segments = store.0.view.read().unwrap().segments().count();
        assert_eq!(segments, 3, "64 merged to one, and two since");
        let files = layout::list::<layout::SegmentName>(store.files(), layout::INDEX).unwrap();
        assert_eq!(files.len(), 3, "what was merged is gone");
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(store.read(id).unwrap(), n.to_string().into_bytes());
        }
    }
    assert!(store.verify(&crate::report::Silent).unwrap().is_sound());
}

#[test]
fn a_large_segment_is_read_at_positions() {
    let (_dir, store) = new_store();
    let writer = store.writer().unwrap();
    let ids: Vec<BlobId> = (0_u32..6000)
        .map(|n| writer.put(BlobKind::Data, &n.to_le_bytes(), None).unwrap())
        .collect();
    writer.commit(b"many", at(1)).unwrap();
    let name = layout::list::<layout::SegmentName>(store.files(), layout::INDEX).unwrap()[0];
    let path = store.files().path(&layout::segment_name(&name));
    assert!(fs::metadata(&path).unwrap().len() > 256 << 10);
    let store = Store::open(store.path()).unwrap();
    assert!(ids.iter().all(|id| store.contains(id)) && !store.contains(&BlobId::of(b"other")));
    assert!(store.verify(&crate::report::Silent).unwrap().is_sound());

    // Damage that the quick look at opening does not see: an entry that points elsewhere.
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 52;
    let victim = BlobId::from_bytes(bytes[last..last + 32].try_into().unwrap());
    bytes[last + 36] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let store = Store::open(store.path()).unwrap();
    assert_eq!(BlobId::of(&store.read(&victim).unwrap()), victim);
    assert_eq!(
        store.verify(&crate::report::Silent).unwrap().problems.len(),
        1
    );
}
