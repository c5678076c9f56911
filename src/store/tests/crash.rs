//! Dying at every single write: before it, in the middle of it, and right after it.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::report::Silent;
use crate::store::backend::{Fate, Files, Memory, Op};
use crate::store::crypt::MasterKey;

/// How a process dies at a write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Death {
    Before,
    Within,
    After,
}

pub(super) const DEATHS: [Death; 3] = [Death::Before, Death::Within, Death::After];

thread_local! {
    /// Whether what is written in this thread is sealed, with a key that the configuration does not tell of.
    pub(super) static SEALED: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn files(memory: &Memory) -> Files {
    sealed_if_asked(Files::new("memory", memory.clone()))
}

/// The same files, sealed if this thread does so.
pub(super) fn sealed_if_asked(files: Files) -> Files {
    if SEALED.get() {
        return files.sealed(Crypt::new(MasterKey::from_bytes(&[5; 32])));
    }
    files
}

/// The same files for somebody who dies at the write of this number: nothing that is tried afterwards is done.
pub(super) fn mortal(memory: &Memory, at: usize, death: Death) -> (Memory, Arc<AtomicUsize>) {
    let writes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&writes);
    let dead = || io::Error::other("dead");
    let hook = move |op: Op<'_>| {
        if !op.writes() {
            return match count.load(Ordering::SeqCst) > at {
                true => Fate::Refused(dead()),
                false => Fate::Done,
            };
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        match (number.cmp(&at), death) {
            (std::cmp::Ordering::Less, _) => Fate::Done,
            (std::cmp::Ordering::Equal, Death::Within) => Fate::Torn(dead()),
            (std::cmp::Ordering::Equal, Death::After) => Fate::Lost(dead()),
            _ => Fate::Refused(dead()),
        }
    };
    (memory.hooked(Arc::new(hook)), writes)
}

pub(super) fn version(n: u32) -> Vec<Vec<u8>> {
    (0..12)
        .map(|seed| match seed % 3 {
            0 => notebook(seed, 40),
            1 => edited(&notebook(seed, 200), n),
            _ => notebook(seed * 100 + n, 30),
        })
        .collect()
}

/// A backup: patches against the last one, a staged head on the way, a commit.
pub(super) fn backup(store: &Store, n: u32) -> Result<Vec<BlobId>, StoreError> {
    let bases: Vec<BlobId> = version(n.wrapping_sub(1))
        .iter()
        .map(|blob| BlobId::of(blob))
        .collect();
    let writer = store.writer()?;
    let mut ids = Vec::new();
    for (blob, base) in version(n).iter().zip(&bases) {
        ids.push(writer.put(BlobKind::Data, blob, Some(base))?);
        if ids.len() == 6 {
            writer.stage_pending(format!("half of {n}").as_bytes(), at(i64::from(n)))?;
        }
    }
    writer.commit(format!("{n} {ids:?}").as_bytes(), at(i64::from(n)))?;
    Ok(ids)
}

/// Everything that was committed is there and whole, and the next backup works.
pub(super) fn assert_well(memory: &Memory, case: &str) {
    assert_well_in(&files(memory), case);
}

/// The same wherever the files are.
pub(super) fn assert_well_in(files: &Files, case: &str) {
    let store = Store::open_in(files.clone(), &[]).unwrap().unwrap();
    let found = store.verify(&Silent).unwrap();
    assert_eq!(found.problems, [], "{case}");
    for head in store.heads().unwrap() {
        let text = String::from_utf8(store.read_head(&head).unwrap()).unwrap();
        let n = text.split(' ').next().unwrap().parse().unwrap();
        for blob in version(n) {
            let read = store.read(&BlobId::of(&blob));
            assert_eq!(read.ok(), Some(blob.into()), "{case}: snapshot {n}");
        }
    }
    backup(&store, 99).unwrap();
    let store = Store::open_in(files.clone(), &[]).unwrap().unwrap();
    assert_eq!(store.verify(&Silent).unwrap().problems, [], "{case}");
}

#[test]
pub(super) fn a_backup_that_dies_at_any_write_leaves_a_store_that_is_whole_and_goes_on() {
    let before = Memory::new(at(0));
    let store = Store::create_in(files(&before), at(0)).unwrap();
    backup(&store, 1).unwrap();
    drop(store);
    let mut number = 0;
    loop {
        for death in DEATHS {
            let memory = before.copy();
            let (doomed, writes) = mortal(&memory, number, death);
            let done = Store::open_in(files(&doomed), &[])
                .map(Option::unwrap)
                .and_then(|store| backup(&store, 2));
            if writes.load(Ordering::SeqCst) <= number {
                assert!(done.is_ok() && number > 5, "{number} writes");
                return;
            }
            let is_there = memory
                .names()
                .iter()
                .filter(|name| name.starts_with("snapshots/"))
                .count();
            // What is said to be done is done. What is not may be done: the answer of the last write may be lost.
            assert!(done.is_err() || is_there == 2, "{death:?} at {number}");
            assert_well(&memory, &format!("{death:?} at write {number}"));
        }
        number += 1;
    }
}

#[test]
fn creating_a_store_that_dies_at_any_write_can_be_done_again() {
    for number in 0..2 {
        for death in DEATHS {
            let memory = Memory::new(at(0));
            let (doomed, _) = mortal(&memory, number, death);
            let _ = Store::create_in(files(&doomed), at(0));
            if Store::open_in(files(&memory), &[]).unwrap().is_none() {
                Store::create_in(files(&memory), at(0)).unwrap();
            }
            let store = Store::open_in(files(&memory), &[]).unwrap().unwrap();
            backup(&store, 1).unwrap();
            assert_well(&memory, &format!("{death:?} at write {number}"));
        }
    }
}
