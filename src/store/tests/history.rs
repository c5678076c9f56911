//! Snapshots that are lost with their heads: that it is told for as long as it is so, and never of what was forgotten.

use std::sync::atomic::Ordering;

use super::crash::{DEATHS, backup, files, mortal};
use super::prune::{NOW, prune};
use super::*;
use crate::store::backend::{Backend, Memory};
use crate::store::history::LostSnapshots;

const GIVEN_UP: PruneOptions = PruneOptions {
    without_snapshots: true,
    without_lost: true,
    ..NOW
};

fn open(memory: &Memory) -> Store {
    Store::open_in(files(memory), &[]).unwrap().unwrap()
}

fn lost(memory: &Memory) -> Option<LostSnapshots> {
    open(memory).lost_snapshots().unwrap()
}

/// A store with the snapshots 1 to 5.
fn with_snapshots() -> Memory {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    for n in 1..=5 {
        backup(&store, n).unwrap();
    }
    memory
}

/// Takes all heads away.
fn lose_heads(memory: &Memory) -> Vec<(String, Vec<u8>)> {
    let heads = files(memory).list(SNAPSHOTS).unwrap().into_iter();
    let heads = heads.map(|head| {
        let bytes = files(memory).read(&head.name, MAX_HEAD).unwrap().unwrap();
        memory.remove(&head.name).unwrap();
        (head.name, bytes)
    });
    heads.collect()
}

#[test]
fn an_intent_that_stays_behind_takes_no_mark_with_it() {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    backup(&store, 1).unwrap();
    // Its writer was killed, or may not delete: then others leave theirs as well.
    let keep_intents = || {
        for head in files(&memory).list(SNAPSHOTS).unwrap() {
            let bytes = files(&memory).read(&head.name, MAX_HEAD).unwrap().unwrap();
            let intent = format!("{PENDING}/{}", head.file_name());
            memory.put(&intent, &bytes).unwrap();
        }
    };
    keep_intents();
    for n in 2..=3 {
        backup(&open(&memory), n).unwrap();
        keep_intents();
    }
    lose_heads(&memory);
    let bare = lost(&memory);
    assert!(matches!(bare, Some(LostSnapshots::All { .. })), "{bare:?}");
    backup(&open(&memory), 4).unwrap();
    assert_eq!(lost(&memory), Some(LostSnapshots::Before(at(4))));
}

#[test]
fn lost_heads_are_told_of_after_new_snapshots_too_until_they_are_back() {
    let memory = with_snapshots();
    assert_eq!(lost(&memory), None);
    let heads = lose_heads(&memory);
    open(&memory).note_forgetting(&[]).unwrap();
    let bare = lost(&memory);
    assert!(
        matches!(bare, Some(LostSnapshots::All { packs, .. }) if packs > 0),
        "{bare:?}"
    );
    let packs = files(&memory).list(PACKS).unwrap().len();
    // A snapshot that says that it is older than the first new one was not there before either.
    for (n, first) in [(7, 7), (8, 7), (6, 6), (9, 6)] {
        backup(&open(&memory), n).unwrap();
        let told = Some(LostSnapshots::Before(at(first)));
        assert_eq!(lost(&memory), told, "{n}");
    }
    memory.pass(TimeDelta::days(40));
    for head in open(&memory).heads().unwrap().iter().take(3) {
        open(&memory).note_forgetting(&[*head]).unwrap();
        open(&memory).forget(head).unwrap();
        assert!(lost(&memory).is_some(), "what is forgotten is no answer");
    }
    let refused = prune(&open(&memory), NOW).unwrap_err();
    assert!(
        matches!(refused, StoreError::SnapshotsLost { .. }),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("--without-snapshots"));
    assert!(files(&memory).list(PACKS).unwrap().len() >= packs);

    for (name, bytes) in heads {
        memory.put(&name, &bytes).unwrap();
    }
    assert_eq!(lost(&memory), None);
    backup(&open(&memory), 10).unwrap();
    for head in open(&memory).heads().unwrap() {
        if head.time < at(10) {
            open(&memory).forget(&head).unwrap();
        }
    }
    assert_eq!(lost(&memory), None, "they were forgotten since");
    assert!(prune(&open(&memory), NOW).unwrap().0.condemned() > 0);
}

#[test]
fn lost_snapshots_that_are_given_up_are_told_of_no_more() {
    let memory = with_snapshots();
    lose_heads(&memory);
    backup(&open(&memory), 7).unwrap();
    // That there is a snapshot, or none, is not what this is about.
    let only_bare = PruneOptions {
        without_lost: false,
        ..GIVEN_UP
    };
    assert!(prune(&open(&memory), only_bare).is_err());
    assert!(lost(&memory).is_some());
    let (plan, _) = prune(&open(&memory), GIVEN_UP).unwrap();
    assert!(plan.condemned() > 0);
    assert_eq!(lost(&memory), None);
    prune(&open(&memory), NOW).unwrap();
    // The next loss is one all the same.
    lose_heads(&memory);
    assert!(lost(&memory).is_some());
    backup(&open(&memory), 8).unwrap();
    assert_eq!(lost(&memory), Some(LostSnapshots::Before(at(8))));
}

#[test]
fn what_was_forgotten_is_not_taken_for_lost() {
    let memory = with_snapshots();
    let heads = open(&memory).heads().unwrap();
    for head in &heads {
        open(&memory).note_forgetting(&[*head]).unwrap();
        open(&memory).forget(head).unwrap();
        if *head != heads[4] {
            assert_eq!(lost(&memory), None);
        }
    }
    backup(&open(&memory), 7).unwrap();
    assert_eq!(lost(&memory), None);
    assert!(prune(&open(&memory), NOW).unwrap().0.condemned() > 0);
    // A store that was emptied to the last byte begins anew as well.
    for head in open(&memory).heads().unwrap() {
        open(&memory).forget(&head).unwrap();
    }
    for _ in 0..2 {
        prune(&open(&memory), GIVEN_UP).unwrap();
    }
    backup(&open(&memory), 8).unwrap();
    assert_eq!(lost(&memory), None);
}

#[test]
fn a_first_backup_that_dies_at_any_write_has_lost_nothing() {
    let empty = Memory::new(at(0));
    Store::create_in(files(&empty), at(0)).unwrap();
    for number in 0.. {
        for death in DEATHS {
            let memory = empty.copy();
            let (doomed, writes) = mortal(&memory, number, death);
            let _ = backup(&open(&doomed), 1);
            if writes.load(Ordering::SeqCst) <= number {
                assert!(number > 5, "{number} writes");
                return;
            }
            memory.pass(TimeDelta::days(3));
            let case = format!("{death:?} at write {number}");
            backup(&open(&memory), 2).unwrap();
            assert_eq!(lost(&memory), None, "{case}");
            backup(&open(&memory), 3).unwrap();
            assert_eq!(lost(&memory), None, "{case}");
        }
    }
}
