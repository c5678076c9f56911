//! Damaged snapshots, and what is made of them.

use std::path::PathBuf;

use chrono::DateTime;

use super::*;
use crate::check::{self, Depth};
use crate::manifest::{Payload, changes, write_tree};
use crate::report::Silent;

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("s"), DateTime::UNIX_EPOCH).unwrap();
        Self { dir, store }
    }

    /// A snapshot of files and notebooks with these numbers.
    fn commit(&self, minute: i64, numbers: std::ops::Range<u64>) -> SnapshotId {
        let writer = self.store.writer().unwrap();
        let of_kind = |kind: &'static str| {
            let numbers = numbers.clone();
            numbers.map(move |number| (kind, number))
        };
        let entries = of_kind("file")
            .chain(of_kind("notebook"))
            .map(|(kind, number)| {
                let name = format!("/Shared/n{number:05}");
                let word =
                    |at: u64| BlobId::of(&[number, at].map(u64::to_le_bytes).concat()).to_string();
                let text: String = (0..10).map(word).collect::<String>() + kind;
                let mut entry = Entry::new(ObjectKey::new(KindName::known(kind), name));
                entry.body = Some(Payload::Inline(b"{}".to_vec()));
                entry.stamp = Some(number);
                entry.content = Some(Payload::store(&writer, text.as_bytes(), None).unwrap());
                entry
            });
        let root = write_tree(&writer, entries.collect::<Vec<_>>(), None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.store, &root).unwrap();
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        let mut head = Snapshot::of(&tree, time, "https://x").unwrap();
        head.tags = vec!["kept".into()];
        writer.commit(&head.to_bytes(), time).unwrap()
    }

    fn packs(&self) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.dir.path().join("s/packs"));
        let files = files.into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect()
    }

    fn repair(&self, dry_run: bool) -> SnapshotRepair {
        let store = Store::open(self.store.path()).unwrap();
        snapshots(&store, dry_run, &Silent).unwrap()
    }

    fn listed(&self) -> Vec<Listed> {
        let store = Store::open(self.store.path()).unwrap();
        manifest::snapshots(&store).unwrap().snapshots
    }

    fn tree(&self, listed: &Listed) -> Tree {
        let store = Store::open(self.store.path()).unwrap();
        Tree::open(&store, &listed.snapshot.root).unwrap()
    }
}

use crate::store::BlobId;

/// Changes a byte near the end of what the kind of pack holds, so that the file keeps its length.
fn spoil(pack: &PathBuf) {
    let mut bytes = std::fs::read(pack).unwrap();
    bytes[60] ^= 1;
    std::fs::write(pack, bytes).unwrap();
}

fn is_data(pack: &PathBuf) -> bool {
    std::fs::read(pack).unwrap()[9] == 1
}

#[test]
fn lost_contents_become_gaps_and_everything_else_stays_as_it_was() {
    let bench = Bench::new();
    let whole = bench.commit(0, 0..20);
    let first = bench.packs();
    let damaged = bench.commit(1, 0..30);
    let second = bench
        .packs()
        .into_iter()
        .find(|pack| is_data(pack) && !first.contains(pack));
    spoil(&second.unwrap());

    let said = bench.repair(true);
    assert_eq!(bench.listed().len(), 2, "a dry run writes nothing");
    let report = bench.repair(false);
    assert_eq!((report.sound, report.repaired.len()), (1, 1));
    assert_eq!((said.sound, said.repaired.len()), (1, 1));
    let repaired = &report.repaired[0];
    assert_eq!(
        (repaired.name.id, repaired.objects, repaired.lost),
        (damaged, 60, 20)
    );

    let listed = bench.listed();
    let ids: Vec<SnapshotId> = listed.iter().map(|listed| listed.name.id).collect();
    assert_eq!(
        ids,
        [whole, damaged, repaired.new.unwrap()],
        "it comes right after the damaged one"
    );
    let head = &listed[2].snapshot;
    assert_eq!((head.repairs, head.complete), (Some(damaged), false));
    assert_eq!(
        (head.gaps.count, &head.tags),
        (20, &listed[1].snapshot.tags)
    );

    let anew = bench.tree(&listed[2]);
    for pair in changes(&bench.tree(&listed[1]), &anew) {
        let (Some(before), Some(after)) = pair.unwrap() else {
            panic!("nothing is added or removed");
        };
        let gap = after.gap.unwrap();
        assert_eq!((gap.extent, after.content), (Extent::Content, None));
        assert_eq!((before.body, after.stamp), (after.body, None));
    }
    for entry in anew
        .iter()
        .map(Result::unwrap)
        .filter(|entry| entry.gap.is_none())
    {
        entry.content.unwrap().read(anew.store()).unwrap();
    }
}

#[test]
fn a_second_repair_does_nothing_and_the_repaired_snapshot_lacks_nothing() {
    let bench = Bench::new();
    let damaged = bench.commit(0, 0..20);
    let data = bench.packs().into_iter().find(is_data);
    std::fs::remove_file(data.unwrap()).unwrap();
    let new = bench.repair(false).repaired[0].new.unwrap();
    let again = bench.repair(false);
    assert_eq!((again.sound, again.repaired.len()), (1, 0));
    assert_eq!(again.repaired_before[0].id, damaged);
    assert_eq!(bench.listed().len(), 2);

    bench.store.forget(&again.repaired_before[0]).unwrap();
    let store = Store::open(bench.store.path()).unwrap();
    let checked = check::run(&store, Depth::Manifests, &Silent).unwrap();
    let of_snapshots =
        |problem: &&check::Problem| matches!(problem, check::Problem::Snapshot { .. });
    assert_eq!(checked.problems.iter().find(of_snapshots), None);
    assert_eq!(bench.listed()[0].name.id, new);
}

#[test]
fn where_a_part_of_the_list_is_lost_its_kinds_are_unknown_and_nothing_counts_as_deleted() {
    let bench = Bench::new();
    bench.commit(0, 0..1500);
    let first = bench.packs();
    bench.commit(1, 0..1510);
    let listed = bench.listed();
    let second = bench
        .packs()
        .into_iter()
        .find(|pack| !is_data(pack) && !first.contains(pack));
    // One frame of the nodes, which are those that changed: at the end of both kinds.
    let second = second.unwrap();
    spoil(&second);
    let report = bench.repair(false);
    match (report.repaired.as_slice(), report.hopeless.as_slice()) {
        ([repaired], []) => {
            assert!(!repaired.unknown.is_empty());
            let anew = bench.tree(bench.listed().last().unwrap());
            for kind in &repaired.unknown {
                let gap = anew
                    .get(&ObjectKey::whole_kind(kind.clone()))
                    .unwrap()
                    .unwrap();
                assert_eq!(gap.gap.unwrap().extent, Extent::Kind);
            }
        }
        // The root was in that frame.
        ([], [hopeless]) => assert_eq!(hopeless.name.id, listed[1].name.id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_part_gone_beside_an_older_gap_is_told_with_it() {
    let mut entry = Entry::new(ObjectKey::new(KindName::known("job"), "nightly"));
    entry.body = Some(Payload::Inline(b"{}".to_vec()));
    entry.gap = Some(Gap::new(Extent::Permissions, "403"));
    let entry = mended(entry, &["body"]);
    let gap = entry.gap.unwrap();
    assert_eq!(gap.extent, Extent::Object);
    assert_eq!(gap.reason, "lost in the store: body; 403");
    assert_eq!(entry.body, None);
}
