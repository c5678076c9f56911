//! Damaged snapshots, and what is made of them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use chrono::DateTime;

use super::*;
use crate::check::{self, Depth};
use crate::diff::{Options, Side, Summary, compare};
use crate::manifest::testing::{copy_without, leaf_with};
use crate::manifest::{Payload, Selection, changes, write_tree};
use crate::report::Silent;
use crate::store::BlobId;

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
        let entries = entries.collect();
        self.commit_entries(minute, writer, entries)
    }

    /// A snapshot of these entries, whose contents the writer has.
    fn commit_entries(&self, minute: i64, writer: Writer, entries: Vec<Entry>) -> SnapshotId {
        let root = write_tree(&writer, entries, None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.store, &root).unwrap();
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        let mut head = Snapshot::of(&tree, time, "https://x").unwrap();
        head.tags = vec!["kept".into()];
        writer.commit(&head.to_bytes(), time).unwrap()
    }

    /// The same store without the leaf of the last snapshot that has this object.
    fn without_leaf(&self, kind: &'static str, name: &str) -> Self {
        let tree = self.tree(self.listed().last().unwrap());
        let key = ObjectKey::new(KindName::known(kind), name);
        self.without(leaf_with(&tree, &key))
    }

    fn without(&self, node: BlobId) -> Self {
        let copy = Self::new();
        copy_without(&self.store, &copy.store, &[node]);
        copy
    }

    fn packs(&self) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.dir.path().join("s/packs"));
        let files = files.into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect()
    }

    fn repair(&self, dry_run: bool) -> SnapshotRepair {
        let store = Store::open(self.store.path()).unwrap();
        snapshots(&store, None, dry_run, &Silent).unwrap()
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
    let (before, repaired) = again.repaired_before[0];
    assert_eq!((before.id, repaired.id), (damaged, new));
    assert_eq!(bench.listed().len(), 2);

    bench.store.forget(&before).unwrap();
    let store = Store::open(bench.store.path()).unwrap();
    let checked = check::run(&store, Depth::Manifests, &Silent).unwrap();
    let of_snapshots =
        |problem: &&check::Problem| matches!(problem, check::Problem::Snapshot { .. });
    assert_eq!(checked.problems.iter().find(of_snapshots), None);
    assert_eq!(bench.listed()[0].name.id, new);
}

/// What a diff tells from a snapshot of one store to one of another.
fn compared(before: &Tree, after: &Tree) -> Summary {
    let selection = Selection::default();
    let side = |tree| Side {
        tree,
        selection: &selection,
        workspace: "1",
        normalise: None,
    };
    let each = &mut |_| ControlFlow::Continue(());
    compare(&side(before), &side(after), &Options::default(), each).unwrap()
}

fn gap_of(tree: &Tree, key: &ObjectKey) -> Option<Gap> {
    tree.get(key).unwrap()?.gap
}

fn all_of(kind: &'static str) -> ObjectKey {
    ObjectKey::whole_kind(KindName::known(kind))
}

#[test]
fn where_a_part_of_the_list_is_lost_its_kind_is_unknown_and_nothing_counts_as_deleted() {
    let whole = Bench::new();
    whole.commit(0, 0..1_500);
    let damaged = whole.without_leaf("notebook", "/Shared/n00700");
    let report = damaged.repair(false);
    let [repaired] = report.repaired.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(repaired.unknown, [KindName::known("notebook")]);
    assert!((2_000..3_000).contains(&repaired.objects), "{repaired:?}");
    assert_eq!(repaired.lost, 0);

    let anew = damaged.tree(damaged.listed().last().unwrap());
    let gap = gap_of(&anew, &all_of("notebook")).unwrap();
    assert_eq!(gap.extent, Extent::Kind);
    assert_eq!(gap_of(&anew, &all_of("file")), None);
    let before = whole.tree(&whole.listed()[0]);
    let there = compared(&before, &anew);
    assert!(!there.has_differences() && there.unknown > 2, "{there:?}");
    let back = compared(&anew, &before);
    assert!(!back.has_differences() && back.unknown > 2, "{back:?}");
    // The name of the first object of the lost part is known.
    let names = anew.uncertain().map(Result::unwrap);
    let names = names.filter(|entry| entry.gap.as_ref().unwrap().extent == Extent::Object);
    assert_eq!(names.count(), 1);
    assert_eq!(damaged.repair(false).repaired.len(), 0);
}

/// Folders, those of which `gap` says so with a gap, and a notebook below each that has none.
fn folders(gap: impl Fn(u64) -> Option<Gap>) -> Vec<Entry> {
    let path = |number: u64| format!("/d/{number:05}");
    let entry = |kind, name| Entry::new(ObjectKey::new(KindName::known(kind), name));
    let folders = (0..900).map(|number| Entry {
        gap: gap(number),
        ..entry("directory", path(number))
    });
    let is_listed = |number: &u64| gap(*number).is_none_or(|gap| gap.extent != Extent::Subtree);
    let notebooks = (0..900).filter(is_listed);
    let notebooks = notebooks.map(|number| entry("notebook", format!("{}/n", path(number))));
    let folders: Vec<Entry> = folders.collect();
    folders.into_iter().chain(notebooks).collect()
}

#[test]
fn what_a_lost_gap_hid_stays_hidden() {
    let whole = Bench::new();
    let unlisted = |number| (number == 400).then(|| Gap::new(Extent::Subtree, "403"));
    let write = |minute, entries| {
        let writer = whole.store.writer().unwrap();
        whole.commit_entries(minute, writer, entries)
    };
    write(0, folders(|_| None));
    write(1, folders(unlisted));
    let before = whole.tree(&whole.listed()[0]);
    let key = ObjectKey::new(KindName::known("directory"), "/d/00400");
    let damaged = whole.without_leaf("directory", "/d/00400");
    damaged.repair(false);
    let anew = damaged.tree(damaged.listed().last().unwrap());
    let gap = gap_of(&anew, &key).unwrap();
    assert_eq!(gap.extent, Extent::Subtree);
    assert!(gap.reason.ends_with("; 403"), "{}", gap.reason);
    assert_eq!(gap_of(&anew, &all_of("notebook")), None);
    let told = compared(&before, &anew);
    assert!(!told.has_differences(), "{told:?}");
}

#[test]
fn lost_gaps_that_the_head_does_not_name_may_have_hidden_anything() {
    let whole = Bench::new();
    let refused = |_| Some(Gap::new(Extent::Permissions, "403"));
    let writer = whole.store.writer().unwrap();
    whole.commit_entries(0, writer, folders(refused));
    let damaged = whole.without_leaf("directory", "/d/00800");
    damaged.repair(false);
    let anew = damaged.tree(damaged.listed().last().unwrap());
    for kind in ["directory", "notebook", "file", "job"] {
        assert!(gap_of(&anew, &all_of(kind)).is_some(), "{kind}");
    }
}

#[test]
fn of_a_list_that_is_lost_as_a_whole_only_the_kinds_are_left() {
    let whole = Bench::new();
    whole.commit(0, 0..20);
    let root = whole.listed()[0].snapshot.root.node;
    let damaged = whole.without(root);
    let report = damaged.repair(false);
    assert_eq!((report.repaired.len(), report.hopeless.len()), (1, 0));
    let anew = damaged.tree(damaged.listed().last().unwrap());
    let keys: Vec<ObjectKey> = anew.iter().map(|entry| entry.unwrap().key).collect();
    assert_eq!(keys, [all_of("file"), all_of("notebook")]);
    let told = compared(&whole.tree(&whole.listed()[0]), &anew);
    assert!(!told.has_differences(), "{told:?}");
}

#[test]
fn only_the_wanted_ones_are_repaired_and_one_that_is_whole_again_takes_its_place_again() {
    let bench = Bench::new();
    let ids = [bench.commit(0, 0..10), bench.commit(1, 10..20)];
    let packs: Vec<PathBuf> = bench.packs().into_iter().filter(is_data).collect();
    let bytes = |pack: &PathBuf| (pack.clone(), std::fs::read(pack).unwrap());
    let saved: Vec<_> = packs.iter().map(bytes).collect();
    packs
        .iter()
        .for_each(|pack| std::fs::remove_file(pack).unwrap());
    let second = BTreeSet::from([bench.listed()[1].name]);
    let store = Store::open(bench.store.path()).unwrap();
    let report = snapshots(&store, Some(&second), false, &Silent).unwrap();
    let [repaired] = report.repaired.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(repaired.name.id, ids[1]);

    for (pack, bytes) in saved {
        std::fs::write(pack, bytes).unwrap();
    }
    let store = Store::open(bench.store.path()).unwrap();
    let checked = check::run(&store, Depth::Manifests, &Silent).unwrap();
    assert!(checked.is_sound() && checked.notes[0].contains("repair snapshots"));
    let would = bench.repair(true);
    assert_eq!((would.healed.len(), bench.listed().len()), (1, 3));
    let report = bench.repair(false);
    assert_eq!((report.sound, report.repaired.len()), (2, 0));
    let [(whole, new)] = report.healed.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!((whole.id, Some(new.id)), (ids[1], repaired.new));
    let store = Store::open(bench.store.path()).unwrap();
    let checked = check::run(&store, Depth::Manifests, &Silent).unwrap();
    assert!(
        checked.is_sound() && checked.notes.is_empty(),
        "{checked:?}"
    );
    let left: Vec<SnapshotId> = bench.listed().iter().map(|listed| listed.name.id).collect();
    assert_eq!(left, ids, "`latest` and dates mean the whole ones");
    let survey = crate::forget::survey(&store, |_| false).unwrap();
    assert!(survey.candidates.iter().all(|snapshot| snapshot.complete));
}
