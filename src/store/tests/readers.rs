//! Readers beside a prune: what is forgotten and deleted while they read is no damage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::check::{self, Depth};
use crate::manifest::{Entry, Payload, Snapshot, Tree, write_tree};
use crate::prune;
use crate::report::Silent;
use crate::resource::{KindName, ObjectKey};
use crate::store::backend::{Fate, Memory, Op};

const NOW: PruneOptions = PruneOptions {
    grace: TimeDelta::zero(),
    max_repack: u64::MAX,
    without_snapshots: true,
    without_lost: true,
    now: None,
};

fn open(memory: &Memory) -> Store {
    let files = Files::new("memory", memory.clone());
    Store::open_in(files, &[]).unwrap().unwrap()
}

/// A snapshot of notebooks with these numbers.
fn snapshot(store: &Store, minute: i64, numbers: std::ops::Range<u32>) -> HeadName {
    let writer = store.writer().unwrap();
    let entries = numbers.map(|number| {
        let key = ObjectKey::new(KindName::known("notebook"), format!("/n{number:03}"));
        let mut entry = Entry::new(key);
        let text = notebook(number + 1, 60);
        entry.content = Some(Payload::store(&writer, &text, None).unwrap());
        entry
    });
    let entries: Vec<_> = entries.collect();
    let root = write_tree(&writer, entries, None).unwrap();
    writer.flush().unwrap();
    let tree = Tree::open(store, &root).unwrap();
    let head = Snapshot::of(&tree, at(minute * 60), "https://x").unwrap();
    let id = writer.commit(&head.to_bytes(), head.time).unwrap();
    HeadName {
        time: head.time,
        id,
    }
}

/// Two snapshots that share some contents, the older of which is forgotten but not pruned: its packs are partly needed.
fn history() -> (Memory, HeadName, HeadName) {
    let memory = Memory::new(at(0));
    let files = Files::new("memory", memory.clone());
    let store = Store::create_in(files, at(0)).unwrap();
    let old = snapshot(&store, 1, 0..20);
    let new = snapshot(&store, 2, 15..40);
    (memory, old, new)
}

/// Forgets the older snapshot, and prunes so often that everything is gone that can go.
fn forget_and_prune(memory: &Memory, old: &HeadName) {
    open(memory).forget(old).unwrap();
    for _ in 0..3 {
        prune::run(&open(memory), NOW, false, &Silent).unwrap();
    }
}

/// Does something at each point of an action in turn, from before the first access to files to after the last.
fn at_each_access(act: impl Fn(&Memory, usize)) {
    for moment in 0.. {
        let (memory, old, _) = history();
        let calls = Arc::new(AtomicUsize::new(0));
        let (count, beside) = (Arc::clone(&calls), memory.clone());
        let hook = move |_: Op<'_>| {
            if count.fetch_add(1, Ordering::Relaxed) == moment {
                forget_and_prune(&beside, &old);
            }
            Fate::Done
        };
        act(&memory.hooked(Arc::new(hook)), moment);
        if calls.load(Ordering::Relaxed) <= moment {
            assert!(moment > 10, "nothing was tried");
            return;
        }
    }
}

#[test]
fn a_check_beside_a_prune_finds_no_damage() {
    let now = at(9);
    let amount = Amount::All;
    for depth in [
        Depth::Structure,
        Depth::Manifests,
        Depth::Data { amount, now },
    ] {
        at_each_access(|memory, moment| {
            let report = check::run(&open(memory), depth, &Silent).unwrap();
            assert_eq!(report.problems, [], "{depth:?}, access {moment}");
        });
    }
}

#[test]
fn a_prune_beside_another_one_fails_at_no_point() {
    at_each_access(|memory, moment| {
        let done = prune::run(&open(memory), NOW, false, &Silent);
        assert!(done.is_ok(), "access {moment}: {done:?}");
        let report = check::run(&open(memory), Depth::Manifests, &Silent).unwrap();
        assert_eq!(report.problems, [], "access {moment}");
    });
}

#[test]
fn listing_snapshots_beside_a_forget_calls_none_unreadable() {
    at_each_access(|memory, moment| {
        let store = open(memory);
        let listing = crate::manifest::snapshots(&store).unwrap();
        assert_eq!(listing.unreadable.len(), 0, "access {moment}");
        let survey = crate::forget::survey(&store, |_| false).unwrap();
        assert_eq!(survey.unreadable.len(), 0, "access {moment}");
    });
}

#[test]
fn what_a_reader_needs_is_found_wherever_prunes_have_moved_it() {
    let (memory, old, new) = history();
    let reader = open(&memory);
    let root = Snapshot::parse(&reader.read_head(&new).unwrap())
        .unwrap()
        .root;
    forget_and_prune(&memory, &old);
    assert!(reader.read(&root.node).is_ok());
    // Once more, by one and the same reader.
    for minute in 3..6 {
        let writer = open(&memory);
        let more = snapshot(&writer, minute, 30..60 + minute as u32);
        let head = Snapshot::parse(&reader.read_head(&more).unwrap()).unwrap();
        assert!(reader.read(&head.root.node).is_ok(), "{minute}");
    }
    let missing = reader.read(&BlobId::of(b"never"));
    assert!(matches!(missing, Err(StoreError::MissingBlob(_))));
}
