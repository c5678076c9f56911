//! Checks of damaged stores.

use std::path::{Path, PathBuf};

use chrono::DateTime;

use super::*;
use crate::manifest::{Entry, Payload, Snapshot, Tree, write_tree};
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::{BlobId, SnapshotId, WriterOptions};

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

    /// A snapshot of notebooks with these numbers; what several have is shared.
    fn commit(&self, minute: i64, numbers: std::ops::Range<u64>) -> SnapshotId {
        let writer = self.store.writer_with(WriterOptions::default()).unwrap();
        let entries = numbers.map(|number| {
            let name = format!("/Shared/n{number:05}");
            let key = ObjectKey::new(KindName::known("notebook"), name);
            let word = |at: u64| {
                BlobId::of(&[number.to_le_bytes(), at.to_le_bytes()].concat()).to_string()
            };
            let text: String = (0..10).map(word).collect();
            let mut entry = Entry::new(key);
            entry.content = Some(Payload::store(&writer, text.as_bytes(), None).unwrap());
            entry
        });
        let entries: Vec<_> = entries.collect();
        let root = write_tree(&writer, entries, None).unwrap();
        writer.flush().unwrap();
        let tree = Tree::open(&self.store, &root).unwrap();
        let time = DateTime::from_timestamp(minute * 60, 0).unwrap();
        let head = Snapshot::of(&tree, time, "https://x").unwrap();
        writer.commit(&head.to_bytes(), time).unwrap()
    }

    fn check(&self, read_data: bool) -> CheckReport {
        match read_data {
            true => self.read(Amount::All, 0),
            false => self.check_to(Depth::Manifests),
        }
    }

    /// Reads so much of the data on some day.
    fn read(&self, amount: Amount, day: i64) -> CheckReport {
        let now = DateTime::from_timestamp(day * 86_400, 0).unwrap();
        self.check_to(Depth::Data { amount, now })
    }

    fn check_to(&self, depth: Depth) -> CheckReport {
        let store = Store::open(self.store.path()).unwrap();
        run(&store, depth, &Silent).unwrap()
    }

    /// The packs, the largest last.
    fn packs(&self) -> Vec<PathBuf> {
        let packs = walkdir::WalkDir::new(self.dir.path().join("s/packs"));
        let packs = packs.into_iter().map(Result::unwrap);
        let mut packs: Vec<_> = packs
            .filter(|entry| entry.file_type().is_file())
            .map(walkdir::DirEntry::into_path)
            .collect();
        packs.sort_by_key(|pack| len(pack));
        packs
    }
}

fn len(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}

fn spoil(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_sound_store_is_found_sound_and_what_snapshots_share_is_looked_at_once() {
    let bench = Bench::new();
    bench.commit(1, 0..3_000);
    bench.commit(2, 0..3_001);
    for read_data in [false, true] {
        let report = bench.check(read_data);
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(report.snapshots, 2);
        assert_eq!(report.blobs, 3_001);
        assert!(
            (3_001..5_500).contains(&report.entries),
            "{}",
            report.entries
        );
    }
}

#[test]
fn a_pack_that_is_gone_is_told_by_the_objects_of_each_snapshot_that_lose_by_it() {
    let bench = Bench::new();
    let first = bench.commit(1, 0..10);
    let before = bench.packs();
    let second = bench.commit(2, 5..20);
    let new = bench
        .packs()
        .into_iter()
        .filter(|pack| !before.contains(pack));
    // The larger of the new ones holds the contents.
    std::fs::remove_file(new.max_by_key(|pack| len(pack)).unwrap()).unwrap();
    let report = bench.check(false);
    let Some(Problem::Snapshot {
        id, losses, count, ..
    }) = report.problems.first()
    else {
        panic!("{:?}", report.problems);
    };
    assert_eq!((*id, *count, report.problems.len()), (second, 10, 1));
    assert_ne!(first, second);
    assert_eq!(
        losses[0].to_string(),
        "the content of notebook /Shared/n00010 is lost"
    );
}

#[test]
fn a_changed_byte_shows_when_the_data_is_read() {
    let bench = Bench::new();
    let id = bench.commit(1, 0..10);
    let packs = bench.packs();
    spoil(packs.last().unwrap(), 60);
    assert!(bench.check(false).is_sound());
    let report = bench.check(true);
    let kinds: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    assert!(kinds[0].starts_with("packs/"), "{kinds:?}");
    assert_eq!(
        kinds.last().unwrap(),
        &format!("snapshot {id:.8} has 10 losses")
    );
}

#[test]
fn a_damaged_node_costs_its_own_entries_and_no_others() {
    let bench = Bench::new();
    let first = bench.commit(1, 0..3_000);
    let before = bench.packs();
    // Nodes that only this snapshot has lie in a pack of their own.
    let second = bench.commit(2, 0..3_001);
    let new = bench
        .packs()
        .into_iter()
        .filter(|pack| !before.contains(pack));
    for pack in new {
        std::fs::remove_file(pack).unwrap();
    }
    let report = bench.check(false);
    let [Problem::Snapshot { id, losses, .. }] = report.problems.as_slice() else {
        panic!("{:?}", report.problems);
    };
    assert_eq!(*id, second);
    assert!(matches!(losses[0], Loss::Entries { .. }));
    assert_ne!(first, second);
}

#[test]
fn a_head_that_cannot_be_read_is_told_by_its_name() {
    let bench = Bench::new();
    let id = bench.commit(1, 0..3);
    bench.commit(2, 0..4);
    let heads = std::fs::read_dir(bench.dir.path().join("s/snapshots")).unwrap();
    let head = heads
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(&id.to_string()));
    spoil(&head.unwrap(), 5);
    let report = bench.check(false);
    let [Problem::Head { head, .. }] = report.problems.as_slice() else {
        panic!("{:?}", report.problems);
    };
    assert!(head.contains(&id.to_string()));
    assert_eq!(report.snapshots, 1);
}

/// The files of the index.
fn segments(bench: &Bench) -> Vec<PathBuf> {
    let index = std::fs::read_dir(bench.dir.path().join("s/index")).unwrap();
    index.map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_damaged_segment_shows_without_reading_the_data_and_costs_no_snapshot_anything() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    spoil(&segments(&bench)[0], 70);
    for read_data in [false, true] {
        let report = bench.check(read_data);
        let [Problem::Store { file, .. }] = report.problems.as_slice() else {
            panic!("{:?}", report.problems);
        };
        assert!(file.starts_with("index/"), "{file}");
    }
    bench.store.repair_index(false, &Silent).unwrap();
    let report = bench.check(true);
    assert!(report.is_sound() && report.notes.is_empty(), "{report:?}");
}

#[test]
fn a_pack_that_is_gone_is_no_problem_unless_a_snapshot_lost_something_by_it() {
    let bench = Bench::new();
    let first = bench.commit(1, 0..10);
    let before = bench.packs();
    bench.commit(2, 5..20);
    for pack in bench.packs() {
        if !before.contains(&pack) {
            std::fs::remove_file(pack).unwrap();
        }
    }
    assert!(!bench.check(true).is_sound());
    let heads = bench.store.heads().unwrap();
    let second = heads.iter().find(|head| head.id != first).unwrap();
    bench.store.forget(second).unwrap();
    let report = bench.check(true);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    assert!(report.notes[0].ends_with("a prune mends that"));

    let options = crate::store::PruneOptions::default();
    crate::prune::run(&bench.store, options, false, &Silent).unwrap();
    assert_eq!(bench.check(true).notes, [""; 0], "a prune mends it");
}

#[test]
fn a_damaged_pack_that_was_repaired_is_only_a_problem_as_long_as_a_snapshot_lacks_something() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    let packs = bench.packs();
    let pack = packs.last().unwrap();
    spoil(pack, len(pack) as usize - 1);
    assert!(!bench.check(true).is_sound());
    let done = bench.store.repair_packs(false, &Silent).unwrap();
    assert_eq!((done.saved, done.lost.len()), (10, 0));
    let report = bench.check(true);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert!(!report.notes.is_empty());

    let bench = Bench::new();
    let id = bench.commit(1, 0..10);
    spoil(bench.packs().last().unwrap(), 60);
    let done = bench.store.repair_packs(false, &Silent).unwrap();
    assert_eq!((done.saved, done.lost.len()), (0, 10));
    let report = bench.check(true);
    let told: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
    let losses = format!("snapshot {id:.8} has 10 losses");
    assert!(told.contains(&losses), "{told:?}");
}

#[test]
fn a_little_every_day_reads_everything_and_then_begins_anew() {
    let bench = Bench::new();
    for minute in 0..3 {
        bench.commit(minute, 0..10 * (minute as u64 + 1));
    }
    let packs = bench.packs().len() as u64;
    for day in 1..=packs {
        let report = bench.read(Amount::Bytes(1), day as i64);
        let data = report.verification.unwrap();
        assert_eq!((data.packs, data.packs_there), (1, packs));
        assert_eq!(data.packs_never_read, packs - day);
        assert_eq!(data.read_since, DateTime::from_timestamp(86_400, 0));
        assert_eq!(report.problems, []);
        assert_eq!(report.notes, Vec::<String>::new());
    }
    // The one that was read on the first day is the next.
    let data = bench.read(Amount::Bytes(1), 100).verification.unwrap();
    assert_eq!(data.read_since, DateTime::from_timestamp(2 * 86_400, 0));
    let records = std::fs::read_dir(bench.dir.path().join("s/verified")).unwrap();
    assert_eq!(records.count(), 1);
}

#[test]
fn damage_is_found_within_one_round_and_told_of_every_day_from_then_on() {
    let bench = Bench::new();
    for minute in 0..3 {
        bench.commit(minute, 0..10 * (minute as u64 + 1));
    }
    let packs = bench.packs();
    bench.read(Amount::All, 1);
    spoil(&packs[2], 40);
    let days = 2..2 + packs.len() as i64;
    let reports: Vec<_> = days.map(|day| bench.read(Amount::Bytes(1), day)).collect();
    let found = reports
        .iter()
        .position(|report| !report.is_sound())
        .unwrap();
    assert!(reports[found..].iter().all(|report| !report.is_sound()));
    let last = reports.last().unwrap().verification.as_ref().unwrap();
    assert_eq!(last.packs_never_read, 1);
    // It did not keep the others from being read, of which the first comes a day later if the damaged one came first.
    let data = reports[0].verification.as_ref().unwrap();
    let first = if data.is_sound() { 2 } else { 3 };
    let first = DateTime::from_timestamp(first * 86_400, 0);
    assert_eq!(last.read_since, first);
}

#[test]
fn what_is_said_of_earlier_checks_may_be_lost_or_made_up_and_need_not_be_written() {
    let bench = Bench::new();
    bench.commit(0, 0..10);
    let folder = bench.dir.path().join("s/verified");
    std::fs::create_dir(&folder).unwrap();
    let name = |n: u8| format!("20260309T070504.000Z-{}", SnapshotId::of(&[n]));
    std::fs::write(folder.join(name(1)), b"{\"dbsnap\": 7").unwrap();
    let pack = bench.packs()[0].file_name().unwrap().to_owned();
    let from_the_future = format!(
        "{{\"dbsnap\":\"verified\",\"format\":1,\"packs\":{{{pack:?}:\"2999-01-01T00:00:00Z\"}}}}"
    );
    std::fs::write(folder.join(name(2)), from_the_future).unwrap();
    let data = bench.read(Amount::Bytes(1), 1).verification.unwrap();
    assert_eq!((data.packs, data.packs_never_read), (1, 1));

    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    let report = bench.read(Amount::All, 2);
    assert!(report.is_sound());
    let note = "which packs were read is not remembered: ";
    assert!(report.notes.iter().any(|found| found.starts_with(note)));
}

#[test]
fn the_structure_shows_packs_that_are_gone_or_cut_short_and_no_more() {
    let bench = Bench::new();
    bench.commit(0, 0..500);
    bench.commit(1, 0..600);
    let packs = bench.packs();
    let report = bench.check_to(Depth::Structure);
    assert_eq!(
        (report.snapshots, report.manifests, report.entries),
        (2, false, 0)
    );
    assert!(report.is_sound());
    spoil(&packs[0], 40);
    assert!(bench.check_to(Depth::Structure).is_sound());
    let file = std::fs::File::options()
        .write(true)
        .open(&packs[1])
        .unwrap();
    file.set_len(len(&packs[1]) - 1).unwrap();
    std::fs::remove_file(&packs[2]).unwrap();
    let report = bench.check_to(Depth::Structure);
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
}

#[test]
fn packs_without_any_snapshot_are_a_finding_until_they_are_condemned() {
    let bench = Bench::new();
    assert!(bench.check(false).is_sound(), "an empty store is whole");
    bench.commit(1, 0..10);
    let packs = bench.packs();
    for head in bench.store.heads().unwrap() {
        bench.store.forget(&head).unwrap();
    }
    let bytes = packs.iter().map(|pack| len(pack)).sum();
    let bare = Problem::NoSnapshot {
        packs: packs.len() as u64,
        bytes,
    };
    let now = DateTime::UNIX_EPOCH;
    let amount = Amount::All;
    for depth in [
        Depth::Structure,
        Depth::Manifests,
        Depth::Data { amount, now },
    ] {
        let report = bench.check_to(depth);
        assert_eq!(report.problems, std::slice::from_ref(&bare), "{depth:?}");
    }
    let options = crate::store::PruneOptions {
        grace: chrono::TimeDelta::zero(),
        without_snapshots: true,
        without_lost: true,
        ..crate::store::PruneOptions::default()
    };
    crate::prune::run(&bench.store, options, false, &Silent).unwrap();
    assert!(bench.check(false).is_sound(), "the rest is about to go");
}

#[test]
fn damage_that_was_found_before_shows_in_every_check_until_it_is_repaired() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    let pack = bench.packs().pop().unwrap();
    spoil(&pack, 60);
    for depth in [Depth::Structure, Depth::Manifests] {
        assert!(bench.check_to(depth).is_sound(), "nobody has read it yet");
    }
    bench.check(true);
    for depth in [Depth::Structure, Depth::Manifests] {
        let report = bench.check_to(depth);
        let [Problem::Store { file, what }] = report.problems.as_slice() else {
            panic!("{:?}", report.problems);
        };
        assert!(
            file.starts_with("packs/") && what.contains("earlier check"),
            "{what}"
        );
    }
    bench.store.repair_packs(false, &Silent).unwrap();
    assert!(bench.check_to(Depth::Structure).is_sound());
}

#[test]
fn a_store_without_an_index_is_told_of_until_it_has_one() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    std::fs::remove_dir_all(bench.dir.path().join("s/index")).unwrap();
    let now = DateTime::UNIX_EPOCH;
    let amount = Amount::All;
    for depth in [
        Depth::Structure,
        Depth::Manifests,
        Depth::Data { amount, now },
    ] {
        let report = bench.check_to(depth);
        assert!(report.is_sound(), "{:?}", report.problems);
        let is_told = |report: &CheckReport| {
            let mut notes = report.notes.iter();
            notes.any(|note| note.contains("there is no index"))
        };
        assert!(is_told(&report), "{:?}", report.notes);
    }
    bench.store.repair_index(false, &Silent).unwrap();
    assert_eq!(bench.check(true).notes, [""; 0]);
}

#[test]
fn of_a_gone_pack_nobody_says_that_it_is_needless_while_lists_are_lost() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    let [nodes, data] = &bench.packs()[..] else {
        panic!("a pack of nodes and one of contents");
    };
    std::fs::remove_file(data).unwrap();
    std::fs::remove_file(nodes).unwrap();
    let report = bench.check(true);
    assert_eq!(report.notes, [""; 0]);
    let name = data.file_name().unwrap().to_str().unwrap();
    let told = report.problems.iter().map(ToString::to_string);
    let told: Vec<_> = told.filter(|told| told.contains(name)).collect();
    assert_eq!(told.len(), 1, "{:?}", report.problems);
    assert!(told[0].contains("is not known"), "{told:?}");
}

#[test]
fn a_damaged_pack_is_not_noted_as_well() {
    let bench = Bench::new();
    bench.commit(1, 0..10);
    std::fs::remove_dir_all(bench.dir.path().join("s/index")).unwrap();
    let pack = bench.packs().pop().unwrap();
    spoil(&pack, 60);
    let name = pack.file_name().unwrap().to_str().unwrap();
    let report = bench.check(true);
    assert!(
        report.notes.iter().all(|note| !note.contains(name)),
        "{:?}",
        report.notes
    );
    assert!(report.tells_of(&format!("packs/{}/{name}", &name[..2])));
}
