//! Mending a damaged store: what could be read before can be read afterwards, wherever it dies.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::Ordering;

use super::crash::{DEATHS, assert_well, backup, files, mortal, version};
use super::*;
use crate::report::{Event, Reporter, Silent};
use crate::store::backend::Memory;

fn open(memory: &Memory) -> Store {
    Store::open_in(files(memory), &[]).unwrap().unwrap()
}

/// A store with three snapshots, of which the first lies in one segment and the others in two more.
fn three() -> Memory {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    for n in 1..=3 {
        backup(&store, n).unwrap();
    }
    memory
}

fn segments(memory: &Memory) -> Vec<String> {
    let names = memory.names().into_iter();
    names.filter(|name| name.starts_with("index/")).collect()
}

#[test]
fn a_damaged_record_of_condemned_packs_stops_writers_until_a_repair_removes_it() {
    for sealed in [false, true] {
        super::crash::SEALED.set(sealed);
        let memory = three();
        let record = look::record(&look::Condemned {
            packs: vec![FileId::of(b"some pack")],
            is_damage: false,
        });
        let name = HeadName::new(at(5), SnapshotId::of(&record));
        let path = format!("condemned/{name}");
        files(&memory).put(&path, &record).unwrap();
        let names = memory.names().into_iter();
        let mut stored = names.filter(|name| name.starts_with("condemned/"));
        let stored = stored.next_back().unwrap();
        spoil(&memory, &stored, 3);
        let refused = backup(&open(&memory), 4).unwrap_err();
        assert!(
            refused.hint().unwrap().contains("repair packs"),
            "{refused}"
        );
        let would = open(&memory).repair_packs(true, &Silent).unwrap();
        assert_eq!(would.records, [name]);
        assert!(backup(&open(&memory), 4).is_err());
        let done = open(&memory).repair_packs(false, &Silent).unwrap();
        assert_eq!((done.records, done.damaged), (vec![name], vec![]));
        assert_well(&memory, "the record is gone");
    }
    super::crash::SEALED.set(false);
}

/// Changes a byte of a file.
fn spoil(memory: &Memory, name: &str, from_end: usize) {
    let files = Files::new("memory", memory.clone());
    let mut bytes = files.read(name, 1 << 30).unwrap().unwrap();
    let at = bytes.len() - 1 - from_end;
    bytes[at] ^= 0x10;
    files.remove(name).unwrap();
    files.put(name, &bytes).unwrap();
}

fn assert_mended(memory: &Memory, case: &str) {
    let store = open(memory);
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound() && store.warnings().is_empty(), "{case}");
    assert_eq!(found.notes, [""; 0], "{case}");
    assert_well(memory, case);
}

#[test]
fn an_index_of_which_anything_is_lost_or_damaged_is_whole_again() {
    let whole = three();
    for name in segments(&whole) {
        for is_lost in [true, false] {
            let memory = whole.copy();
            match is_lost {
                true => files(&memory).remove(&name).unwrap(),
                false => spoil(&memory, &name, 5),
            }
            let before = memory.names();
            let planned = open(&memory).repair_index(true, &Silent).unwrap();
            assert_eq!(memory.names(), before, "a dry run writes nothing");
            let done = open(&memory).repair_index(false, &Silent).unwrap();
            assert_eq!(planned, done);
            assert_eq!(done.removed.len(), usize::from(!is_lost), "{done:?}");
            assert_mended(&memory, &name);
        }
    }
}

#[test]
fn repairs_can_follow_each_other_and_prunes_remove_what_they_leave() {
    let memory = three();
    for n in 4..8 {
        let store = open(&memory);
        let done = store.repair_index_by(10, false, &Silent).unwrap();
        assert!(done.segments > 1, "{done:?}");
        assert_mended(&memory, "again");
        backup(&open(&memory), n).unwrap();
    }
    open(&memory).repair_index(false, &Silent).unwrap();
    let now = PruneOptions {
        grace: TimeDelta::zero(),
        max_repack: 0,
        ..PruneOptions::default()
    };
    let pruning = open(&memory).prune(now).unwrap();
    pruning.apply(&PrunePlan::default(), &Silent).unwrap();
    assert_eq!(segments(&memory).len(), 1);
    assert_mended(&memory, "after the prune");
}

#[test]
fn a_segment_that_is_published_meanwhile_stays() {
    let memory = three();
    let store = open(&memory);
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, b"meanwhile", None).unwrap();
    let before = segments(&memory);
    writer.flush().unwrap();
    let new: Vec<String> = segments(&memory)
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    let bytes = files(&memory).read(&new[0], 1 << 20).unwrap().unwrap();
    files(&memory).remove(&new[0]).unwrap();
    open(&memory).repair_index(false, &Silent).unwrap();
    files(&memory).put(&new[0], &bytes).unwrap();
    assert!(open(&memory).contains(&BlobId::of(b"meanwhile")));
    assert_mended(&memory, "with a late segment");
}

#[test]
fn a_pack_without_a_directory_is_still_read_through_what_the_index_said() {
    let (_dir, store) = new_store();
    let blobs: BTreeMap<BlobId, Vec<u8>> = damage::fill(&store);
    for file in damage::files(&store) {
        if file.starts_with(store.path().join("packs")) {
            let mut bytes = fs::read(&file).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            damage::overwrite(&file, &bytes);
        }
    }
    let store = Store::open(store.path()).unwrap();
    for most in [2_000_000, 1] {
        let done = store.repair_index_by(most, false, &Silent).unwrap();
        assert_eq!((done.carried.len(), done.unreadable.len()), (3, 0));
        let store = Store::open(store.path()).unwrap();
        for (id, bytes) in &blobs {
            assert_eq!(store.read(id).unwrap(), *bytes);
        }
    }
}

#[test]
fn a_repair_that_dies_at_any_write_loses_nothing_and_can_be_done_again() {
    let before = three();
    spoil(&before, &segments(&before)[1], 5);
    for most in [2_000_000, 10] {
        let repair = |memory: &Memory| {
            Store::open_in(files(memory), &[])
                .map(Option::unwrap)
                .and_then(|store| store.repair_index_by(most, false, &Silent))
        };
        let mut number = 0;
        'deaths: loop {
            for death in DEATHS {
                let memory = before.copy();
                let (doomed, writes) = mortal(&memory, number, death);
                let done = repair(&doomed);
                if writes.load(Ordering::SeqCst) <= number {
                    assert!(done.is_ok() && number >= 2, "{number} writes");
                    break 'deaths;
                }
                let case = format!("{death:?} at write {number}");
                repair(&memory).unwrap();
                assert!(open(&memory).verify(&Silent).unwrap().is_sound(), "{case}");
                assert_well(&memory, &case);
            }
            number += 1;
        }
    }
}

/// The blobs of the three snapshots that can be read.
fn readable(memory: &Memory) -> Vec<BlobId> {
    let store = open(memory);
    let blobs = (1..=3).flat_map(version).map(|blob| BlobId::of(&blob));
    blobs.filter(|id| store.read(id).is_ok()).collect()
}

fn largest_pack(memory: &Memory) -> String {
    let packs = files(memory).list("packs").unwrap();
    packs.into_iter().max_by_key(|pack| pack.len).unwrap().name
}

/// A byte of a frame is changed, the directory is, or the pack is cut in the middle of its frames.
fn damaged_packs() -> Vec<(Memory, FileId)> {
    let whole = three();
    let name = largest_pack(&whole);
    let id: FileId = name.rsplit('/').next().unwrap().parse().unwrap();
    let bytes = files(&whole).read(&name, 1 << 30).unwrap().unwrap();
    let cut = bytes[..bytes.len() / 2].to_vec();
    let [mut frame, mut trailer] = [bytes.clone(), bytes.clone()];
    frame[100] ^= 1;
    trailer[bytes.len() - 1] ^= 1;
    let damage = |bad: Vec<u8>| {
        let memory = whole.copy();
        files(&memory).remove(&name).unwrap();
        files(&memory).put(&name, &bad).unwrap();
        (memory, id)
    };
    [frame, trailer, cut].map(damage).into()
}

#[test]
fn what_can_be_read_in_a_damaged_pack_is_copied_and_the_rest_is_named() {
    for (number, (memory, id)) in damaged_packs().into_iter().enumerate() {
        let before = (memory.names(), readable(&memory));
        let planned = open(&memory).repair_packs(true, &Silent).unwrap();
        assert_eq!(memory.names(), before.0, "a dry run writes nothing");
        let done = open(&memory).repair_packs(false, &Silent).unwrap();
        assert_eq!(planned, done);
        assert_eq!(done.damaged, [id]);
        // The trailer is nothing that anybody needs while there is an index.
        assert_eq!(done.lost.is_empty(), number == 1, "{done:?}");
        let again = open(&memory).repair_packs(false, &Silent).unwrap();
        assert_eq!(again.damaged, [], "{again:?}");
        // As a prune does when the record is old.
        files(&memory).remove(&layout::pack_name(&id)).unwrap();
        assert_eq!(readable(&memory), before.1);
        let found = open(&memory).verify(&Silent).unwrap();
        let told = |blob| done.lost.contains(blob);
        assert!(found.gone.iter().all(|gone| gone.blobs.iter().any(told)) || number == 1);
    }
}

#[test]
fn a_repair_of_packs_that_dies_at_any_write_loses_nothing_and_can_be_done_again() {
    let (before, id) = damaged_packs().remove(1);
    let all = readable(&before);
    let repair = |memory: &Memory| {
        Store::open_in(files(memory), &[])
            .map(Option::unwrap)
            .and_then(|store| store.repair_packs(false, &Silent))
    };
    for number in 0.. {
        for death in DEATHS {
            let memory = before.copy();
            let (doomed, writes) = mortal(&memory, number, death);
            let done = repair(&doomed);
            if writes.load(Ordering::SeqCst) <= number {
                assert!(done.is_ok() && number >= 3, "{number} writes");
                return;
            }
            let case = format!("{death:?} at write {number}");
            assert_eq!(readable(&memory), all, "{case}");
            repair(&memory).unwrap();
            let condemned = look::condemned(&files(&memory)).unwrap();
            assert!(condemned.contains(&id), "{case}");
            files(&memory).remove(&layout::pack_name(&id)).unwrap();
            assert_eq!(readable(&memory), all, "{case}");
        }
    }
}

#[test]
fn a_damaged_intent_stops_prunes_and_goes_when_nobody_can_commit_by_it_any_more() {
    for sealed in [false, true] {
        super::crash::SEALED.set(sealed);
        let memory = three();
        let writer = open(&memory).writer().unwrap();
        let name = writer.stage_pending(b"3 begun", at(9)).unwrap();
        drop(writer);
        let mut stored = memory.names().into_iter();
        let stored = stored.rfind(|name| name.starts_with("pending/")).unwrap();
        spoil(&memory, &stored, 3);
        let now = PruneOptions {
            grace: TimeDelta::zero(),
            ..PruneOptions::default()
        };
        let stuck = open(&memory).prune(now).map(drop).unwrap_err();
        assert!(stuck.hint().unwrap().contains("repair pending"), "{stuck}");
        let free = at(0) + TimeDelta::days(2);
        memory.pass(TimeDelta::days(2) - TimeDelta::seconds(1));
        let early = open(&memory).repair_pending(false).unwrap();
        assert_eq!((early.removed, early.waiting), (vec![], vec![(name, free)]));
        assert!(memory.names().contains(&stored));
        memory.pass(TimeDelta::seconds(1));
        let before = memory.names();
        let would = open(&memory).repair_pending(true).unwrap();
        assert_eq!((would.removed, would.waiting), (vec![], vec![(name, free)]));
        assert_eq!(memory.names(), before);
        let done = open(&memory).repair_pending(false).unwrap();
        assert_eq!((done.removed, done.waiting), (vec![name], vec![]));
        assert!(open(&memory).prune(now).is_ok());
        assert_well(&memory, "the intent is gone");
    }
    super::crash::SEALED.set(false);
}

/// Removes a pack between the listing of packs and the reading of their directories.
struct Sweeping<'a>(&'a Memory, &'a str);

impl Reporter for Sweeping<'_> {
    fn report(&self, event: Event<'_>) {
        if matches!(event, Event::PhaseStarted { .. }) {
            files(self.0).remove(self.1).unwrap();
        }
    }
}

#[test]
fn a_pack_that_a_prune_sweeps_beside_a_repair_of_the_index_is_not_called_damaged() {
    let memory = three();
    let mut names = memory.names().into_iter();
    let pack = names.find(|name| name.starts_with("packs/")).unwrap();
    let sweeping = Sweeping(&memory, &pack);
    let done = open(&memory).repair_index(false, &sweeping).unwrap();
    assert_eq!((done.carried, done.unreadable), (vec![], vec![]));
}
