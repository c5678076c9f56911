//! A file that is gone: a check tells exactly what is lost by it, repairs make the rest whole, and whoever comes with what
//! is lost heals it.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::{Bench, Losses, SNAPSHOTS, benches, check_data, commit, open, said, workspace};
use super::for_each_at_once;
use crate::check::{self, CheckReport, Depth, Loss, Problem};
use crate::manifest::{Entry, LOST, Tree, mark, snapshots};
use crate::report::Silent;
use crate::resource::ObjectKey;
use crate::store::backend::{Files, Memory};
use crate::store::repair::config;
use crate::store::tests::{at, encrypted};
use crate::store::{BlobId, SnapshotId, Store, StoreError};
use crate::{manifest, repair};

/// What a check says that each snapshot has lost, and which was repaired.
fn told(bench: &Bench, report: &CheckReport) -> BTreeMap<SnapshotId, Losses> {
    let mut all = BTreeMap::new();
    for problem in &report.problems {
        let Problem::Snapshot {
            id, losses, count, ..
        } = problem
        else {
            continue;
        };
        assert_eq!(losses.len() as u64, *count);
        let mut told = Losses::default();
        for loss in losses {
            match loss {
                Loss::Object { .. } => drop(told.parts.insert(loss.to_string())),
                Loss::Entries { first, end, .. } => {
                    let keys = bench.keys(id).into_iter();
                    told.keys
                        .extend(keys.filter(|key| is_within(key, first.as_ref(), end.as_ref())));
                }
            }
        }
        all.insert(*id, told);
    }
    all
}

fn is_within(key: &ObjectKey, first: Option<&ObjectKey>, end: Option<&ObjectKey>) -> bool {
    first.is_none_or(|first| first <= key) && end.is_none_or(|end| key < end)
}

/// What is lost if a file is gone and these blobs were stored anew.
fn lost(bench: &Bench, file: &str, anew: &BTreeSet<BlobId>) -> BTreeMap<SnapshotId, Losses> {
    let readable = bench.readable(file, anew);
    let heads = bench.heads.iter().map(|head| head.id);
    let losses = heads.map(|id| (id, bench.losses(&id, &readable)));
    losses
        .filter(|(_, losses)| *losses != Losses::default())
        .collect()
}

fn without(bench: &Bench, dir: &str, work: impl Fn(&str, &Memory) + Sync) {
    let files = bench.files().into_iter();
    let files: Vec<String> = files.filter(|file| file.starts_with(dir)).collect();
    assert!(!files.is_empty());
    for_each_at_once(&files, |file| work(file, &bench.with(&[(file, None)])));
}

#[test]
fn without_any_one_pack_a_check_tells_exactly_what_each_snapshot_lacks() {
    for bench in benches() {
        without(bench, "packs/", |file, memory| {
            let wanted = lost(bench, file, &BTreeSet::new());
            let store = open(memory).unwrap();
            let quick = check::run(&store, Depth::Manifests, &Silent).unwrap();
            assert_eq!(told(bench, &quick), wanted, "without {file}");
            let whole = check_data(&open(memory).unwrap());
            assert_eq!(told(bench, &whole), wanted, "without {file}");
            assert!(
                said(&whole).iter().any(|said| said.contains(file)),
                "{file}"
            );
        });
        // Some of them hold what is needed.
        let packs = bench
            .files()
            .into_iter()
            .filter(|file| file.starts_with("packs/"));
        let needed = packs.filter(|pack| !lost(bench, pack, &BTreeSet::new()).is_empty());
        assert!(needed.count() >= 8);
    }
}

#[test]
fn without_any_one_pack_repairs_make_the_rest_whole_and_say_what_is_lost() {
    for bench in benches() {
        without(bench, "packs/", |file, memory| {
            let wanted = lost(bench, file, &BTreeSet::new());
            let store = open(memory).unwrap();
            store.repair_index(false, &Silent).unwrap();
            store.repair_packs(false, &Silent).unwrap();
            let done = repair::snapshots(&store, None, false, &Silent).unwrap();
            assert_eq!(done.repaired.len(), wanted.len(), "without {file}");
            assert_eq!(done.sound as usize, bench.heads.len() - wanted.len());

            let store = open(memory).unwrap();
            let report = check_data(&store);
            assert_eq!(
                told(bench, &report),
                wanted,
                "only the damaged ones lack something"
            );
            for repaired in &done.repaired {
                let lost = &wanted[&repaired.name.id];
                let new = entries(&store, &repaired.new.unwrap());
                assert_is_the_rest(&bench.entries[&repaired.name.id], &new, lost);
            }
        });
    }
}

/// The repaired snapshot has everything that is not lost, as it was, and of the rest a gap.
fn assert_is_the_rest(old: &[Entry], new: &BTreeMap<ObjectKey, Entry>, lost: &Losses) {
    for entry in old {
        let now = new.get(&entry.key);
        if lost.keys.contains(&entry.key) {
            let is_known = |now: &Entry| now.gap.is_none();
            assert!(!now.is_some_and(is_known), "{} was lost", entry.key);
            continue;
        }
        let now = now.unwrap();
        let parts = entry.parts().map(|(part, _)| part);
        let gone: Vec<_> = parts
            .filter(|part| {
                lost.parts
                    .contains(&format!("the {part} of {} is lost", entry.key))
            })
            .collect();
        assert_eq!(*now, entry.clone().without(&gone));
        let says_so = now
            .gap
            .as_ref()
            .is_some_and(|gap| gap.reason.starts_with(LOST));
        assert_eq!(says_so, !gone.is_empty(), "{}", entry.key);
    }
    // Where a part of the list is gone, the kinds that were in it are said to be unknown.
    for key in &lost.keys {
        let whole_kind = ObjectKey::whole_kind(key.kind.clone());
        assert!(
            new.contains_key(&whole_kind) || new.contains_key(key),
            "{key}"
        );
    }
}

fn entries(store: &Store, id: &SnapshotId) -> BTreeMap<ObjectKey, Entry> {
    let listing = snapshots(store).unwrap().snapshots;
    let listed = listing.iter().find(|listed| listed.name.id == *id).unwrap();
    let tree = Tree::open(store, &listed.snapshot.root).unwrap();
    let entries = tree.iter().map(Result::unwrap);
    entries.map(|entry| (entry.key.clone(), entry)).collect()
}

#[test]
fn what_is_lost_with_any_one_pack_and_is_still_in_the_workspace_is_whole_after_the_next_backup() {
    for bench in benches() {
        without(bench, "packs/", |file, memory| {
            let store = open(memory).unwrap();
            let writer = store.writer().unwrap();
            let root = workspace(&writer, SNAPSHOTS - 1, None);
            commit(&store, writer, &root, SNAPSHOTS + 1);

            let store = open(memory).unwrap();
            let tree = Tree::open(&store, &root).unwrap();
            let mut anew = BTreeSet::new();
            let mut add = |marked: manifest::Marked| anew.insert(marked.blob);
            mark(&tree, &mut add).unwrap();
            let wanted = lost(bench, file, &anew);
            let report = check_data(&store);
            assert_eq!(told(bench, &report), wanted, "without {file}");
            assert!(!wanted.contains_key(&bench.heads.last().unwrap().id));
        });
    }
}

#[test]
fn without_any_other_one_file_no_snapshot_lacks_anything() {
    for bench in benches() {
        for dir in [
            "index/",
            "pending/",
            "condemned/",
            "verified/",
            "README.txt",
            "keys/",
        ] {
            if dir == "keys/" && !open(&bench.memory).unwrap().is_encrypted() {
                continue;
            }
            without(bench, dir, |file, memory| {
                let store = open(memory).unwrap();
                for (id, bytes) in &bench.blobs {
                    assert_eq!(store.read(id).unwrap(), *bytes, "without {file}");
                }
                let report = check_data(&store);
                assert_eq!(report.problems, [], "without {file}");
                assert_eq!(report.snapshots, u64::from(SNAPSHOTS));
                store.repair_index(false, &Silent).unwrap();
                let store = open(memory).unwrap();
                let about_packs = |said: &String| said.contains("packs/");
                let report = check_data(&store);
                assert!(
                    !said(&report).iter().any(about_packs),
                    "the index is whole again"
                );
            });
        }
    }
}

#[test]
fn without_its_index_a_store_says_so_and_without_a_head_the_others_are_as_they_were() {
    for bench in benches() {
        let files = bench.files();
        let named = |dir: &str| {
            let named = files.iter().filter(|file| file.starts_with(dir));
            named.map(String::as_str).collect::<Vec<_>>()
        };
        let gone: Vec<_> = named("index/")
            .into_iter()
            .map(|file| (file, None))
            .collect();
        let said = said(&check_data(&open(&bench.with(&gone)).unwrap()));
        for pack in named("packs/") {
            let note = format!("{pack} is not in the index; it is read through its own directory");
            assert!(said.contains(&note), "{said:?}");
        }
        without(bench, "snapshots/", |file, memory| {
            let report = check_data(&open(memory).unwrap());
            assert_eq!(report.problems, [], "without {file}");
            assert_eq!(report.snapshots, u64::from(SNAPSHOTS) - 1);
        });
    }
}

#[test]
fn a_configuration_that_is_gone_or_damaged_anywhere_is_made_anew_and_nothing_is_lost() {
    for bench in benches() {
        let whole = bench.bytes("dbsnap.json");
        let mut damaged: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(b"{}".to_vec())];
        for at in (0..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            damaged.push(Some(bytes));
        }
        for_each_at_once(&damaged, |bytes| {
            let memory = bench.with(&[("dbsnap.json", bytes.as_deref()), ("README.txt", None)]);
            let files = Files::new("memory", memory.clone());
            let repaired = |dry_run| {
                let (secrets, told) = (encrypted::secrets(), repair::store_told_by);
                config::repair(&files, &secrets, at(5_000), &told, dry_run).unwrap()
            };
            let (planned, before) = (repaired(true), memory.names());
            assert_eq!(memory.names(), before, "a dry run writes nothing");
            let done = repaired(false).unwrap();
            assert_eq!(planned, Some(done.clone()));
            assert_eq!(
                (done.is_new_id, done.was.is_some()),
                (false, bytes.is_some())
            );
            assert_eq!(repaired(false), None, "nothing is left to do");
            let store = open(&memory).unwrap();
            assert_eq!(store.id(), open(&bench.memory).unwrap().id());
            assert_eq!(said(&check_data(&store)), [""; 0]);
            assert_eq!(store.heads().unwrap(), bench.heads);
        });
    }
}

#[test]
fn what_is_no_damage_is_not_repaired_and_a_key_is_needed_where_there_are_some() {
    for bench in benches() {
        let told = repair::store_told_by;
        let attempt = |bytes: Option<&[u8]>| {
            let files = Files::new("memory", bench.with(&[("dbsnap.json", bytes)]));
            config::repair(&files, &[], at(5_000), &told, false)
        };
        let whole = bench.bytes("dbsnap.json");
        assert_eq!(attempt(Some(&whole)).unwrap(), None);
        let foreign = attempt(Some(br#"{"dbsnap":"something else","format":1}"#)).unwrap_err();
        assert!(matches!(foreign, StoreError::NotAStore(_)), "{foreign}");
        let newer = attempt(Some(br#"{"dbsnap":"store","format":2}"#)).unwrap_err();
        assert!(matches!(newer, StoreError::NewerVersion { .. }), "{newer}");
        let is_encrypted = open(&bench.memory).unwrap().is_encrypted();
        let without_key = attempt(None);
        assert_eq!(
            matches!(without_key, Err(StoreError::KeyNeeded(_))),
            is_encrypted
        );
        // Without any slot it is still no plain store.
        let slots: Vec<String> = bench.files();
        let slots = slots.iter().filter(|file| file.starts_with("keys/"));
        let gone = slots
            .map(|file| (file.as_str(), None))
            .chain([("dbsnap.json", None)]);
        let files = Files::new("memory", bench.with(&gone.collect::<Vec<_>>()));
        let without_slots = config::repair(&files, &encrypted::secrets(), at(5_000), &told, false);
        assert_eq!(
            matches!(without_slots, Err(StoreError::NoSlot(_))),
            is_encrypted
        );
    }
}
