//! Copies of small histories: whole ones, ones that are stopped, and ones of damaged stores.

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;

use chrono::DateTime;

use super::*;
use crate::manifest::{Entry, Payload, write_tree};
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::SnapshotId;

struct Bench {
    dir: tempfile::TempDir,
    from: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = Store::create(&dir.path().join("from"), DateTime::UNIX_EPOCH).unwrap();
        Self { dir, from }
    }

    /// Three snapshots that build upon each other.
    fn history() -> Self {
        let bench = Self::new();
        let first = bench.commit(1, 0..300, None);
        let second = bench.commit(2, 0..320, Some(first));
        bench.commit(3, 5..320, Some(second));
        bench
    }

    /// A snapshot of notebooks with these numbers.
    fn commit(&self, minute: i64, numbers: Range<u64>, parent: Option<SnapshotId>) -> SnapshotId {
        let writer = self.from.writer().unwrap();
        let entries = numbers.map(|number| {
            let name = format!("/Shared/n{number:05}");
            let mut entry = Entry::new(ObjectKey::new(KindName::known("notebook"), name));
            let word = |at: u64| {
                BlobId::of(&[number.to_le_bytes(), at.to_le_bytes()].concat()).to_string()
            };
            let text: String = (0..10).map(word).collect();
            entry.content = Some(Payload::store(&writer, text.as_bytes(), None).unwrap());
            entry
        });
        let entries: Vec<_> = entries.collect();
        let root = write_tree(&writer, entries, None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.from, &root).unwrap();
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        let mut head = Snapshot::of(&tree, time, "https://x").unwrap();
        head.parent = parent;
        writer.commit(&head.to_bytes(), time).unwrap()
    }

    fn target(&self, name: &str) -> Store {
        Store::create(&self.dir.path().join(name), DateTime::UNIX_EPOCH).unwrap()
    }

    fn copy(&self, to: &Store) -> CopyReport {
        run(
            &self.from,
            to,
            &self.from.heads().unwrap(),
            &|| false,
            &Silent,
        )
        .unwrap()
    }

    fn files(&self, name: &str) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.dir.path().join(name)).sort_by_file_name();
        let files = files.into_iter().map(Result::unwrap);
        let files = files.filter(|entry| entry.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect()
    }
}

/// Everything that the store has is whole, by another look at its files.
fn assert_well(store: &Store) {
    let store = Store::open(store.path()).unwrap();
    assert_eq!(store.verify(&Silent).unwrap().problems, []);
    for name in store.heads().unwrap() {
        let head = manifest::read(&store, &name).unwrap();
        let tree = Tree::open(&store, &head.root).unwrap();
        mark(&tree, &mut |marked| {
            store.read(&marked.blob).is_ok() || panic!("{marked:?}")
        })
        .unwrap();
    }
}

#[test]
fn a_copy_has_the_ids_and_the_bytes_of_the_original_and_a_second_one_writes_nothing() {
    let bench = Bench::history();
    let to = bench.target("to");
    assert_eq!(bench.copy(&to).copied.len(), 3);
    assert_well(&to);
    let heads = bench.from.heads().unwrap();
    assert_eq!(to.heads().unwrap(), heads);
    for name in &heads {
        let [there, here] = [&to, &bench.from].map(|store| store.read_head(name).unwrap());
        assert_eq!(there, here);
    }
    assert_eq!(to.pending().unwrap(), []);
    let files = bench.files("to");
    let again = bench.copy(&to);
    assert_eq!((again.copied.len(), again.present), (0, heads));
    assert_eq!(again.written, Written::default());
    assert_eq!(bench.files("to"), files);
}

#[test]
fn a_later_copy_adds_only_what_is_new() {
    let bench = Bench::history();
    let to = bench.target("to");
    let heads = bench.from.heads().unwrap();
    run(&bench.from, &to, &heads[..2], &|| false, &Silent).unwrap();
    let to = Store::open(to.path()).unwrap();
    let report = run(&bench.from, &to, &heads, &|| false, &Silent).unwrap();
    assert_eq!(report.copied, heads[2..]);
    assert!((1..20).contains(&report.written.blobs), "{report:?}");
    assert_well(&to);
}

#[test]
fn a_copy_that_ends_at_any_blob_leaves_whole_snapshots_and_the_next_one_goes_on() {
    let bench = Bench::history();
    for last in [0, 1, 150, 299, 301, 310, 321, 330] {
        let to = bench.target(&format!("to-{last}"));
        let looks = Cell::new(0);
        let stop = || looks.replace(looks.get() + 1) >= last;
        let heads = bench.from.heads().unwrap();
        let stopped = run(&bench.from, &to, &heads, &stop, &Silent);
        assert!(matches!(stopped, Err(CopyError::Interrupted)), "{last}");
        assert_well(&to);
        bench.copy(&to);
        assert_well(&to);
        assert_eq!(to.heads().unwrap(), heads);
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_named_and_the_others_are_copied() {
    let bench = Bench::new();
    bench.commit(1, 0..10, None);
    let before = bench.files("from/packs");
    let damaged = bench.commit(2, 0..20, None);
    for file in bench.files("from/packs") {
        if !before.contains(&file) {
            std::fs::remove_file(file).unwrap();
        }
    }
    bench.commit(3, 3..8, None);
    let bench = Bench {
        from: Store::open(bench.from.path()).unwrap(),
        dir: bench.dir,
    };
    let to = bench.target("to");
    let report = bench.copy(&to);
    let failed: Vec<_> = report.failed.iter().map(|failed| failed.name.id).collect();
    assert_eq!(failed, [damaged]);
    assert_eq!(report.copied.len(), 2);
    assert_eq!(to.heads().unwrap(), report.copied);
    assert_well(&to);
}
