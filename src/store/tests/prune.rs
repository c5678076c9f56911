//! What a prune frees, and what it leaves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::crash::{DEATHS, assert_well, backup, files, mortal, version};
use super::*;
use crate::report::Silent;
use crate::store::backend::{Backend, Fate, Memory, Op};

pub(super) const NOW: PruneOptions = PruneOptions {
    grace: TimeDelta::zero(),
    max_repack: u64::MAX,
    without_snapshots: false,
    without_lost: false,
    now: None,
};

/// What the heads of `backup` need.
fn live(pruning: &Pruning) -> Result<Live, StoreError> {
    let mut live = Live::default();
    for head in pruning.heads() {
        let text = String::from_utf8(pruning.store().read_head(head)?).unwrap();
        let n = text.split(' ').next().unwrap().parse().unwrap();
        for (group, blob) in version(n).iter().enumerate() {
            live.add(BlobId::of(blob), group as u64);
        }
    }
    Ok(live)
}

pub(super) fn prune(
    store: &Store,
    options: PruneOptions,
) -> Result<(PrunePlan, Pruned), StoreError> {
    let pruning = store.prune(options)?;
    let plan = pruning.plan(&live(&pruning)?)?;
    let done = pruning.apply(&plan, &Silent)?;
    Ok((plan, done))
}

fn open(memory: &Memory) -> Store {
    Store::open_in(files(memory), &[]).unwrap().unwrap()
}

fn packs_bytes(memory: &Memory) -> u64 {
    let packs = files(memory).list("packs").unwrap();
    packs.iter().map(|file| file.len).sum()
}

/// A store with the snapshots 1 to 30, of which all but every tenth are forgotten.
fn with_history() -> Memory {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    for n in 1..=30 {
        backup(&store, n).unwrap();
    }
    forget_most(&memory);
    memory
}

fn forget_most(memory: &Memory) {
    let store = open(memory);
    for (n, head) in store.heads().unwrap().into_iter().enumerate() {
        if (n + 1) % 10 != 0 {
            store.forget(&head).unwrap();
        }
    }
}

#[test]
pub(super) fn what_no_snapshot_needs_is_condemned_and_after_the_grace_it_goes() {
    let memory = with_history();
    let before = packs_bytes(&memory);
    let day = PruneOptions {
        grace: TimeDelta::days(1),
        ..NOW
    };
    let (young, _) = prune(&open(&memory), day).unwrap();
    assert!(young.is_empty() && young.left_bytes > 0, "{young:?}");

    memory.pass(TimeDelta::days(1));
    let (first, done) = prune(&open(&memory), day).unwrap();
    assert!(first.condemned() > 20 && first.swept() == 0, "{first:?}");
    assert_eq!(done.freed_bytes, 0);
    let (at_once, _) = prune(&open(&memory), day).unwrap();
    assert_eq!((at_once.swept(), at_once.condemned()), (0, 0));

    memory.pass(TimeDelta::days(1));
    let (second, done) = prune(&open(&memory), day).unwrap();
    assert_eq!(second.swept(), first.condemned());
    assert_eq!(done.freed_bytes, first.condemned_bytes);
    assert!(
        packs_bytes(&memory) < before / 2,
        "{} of {before}",
        packs_bytes(&memory)
    );
    assert_well(&memory, "after the prune");

    memory.pass(TimeDelta::days(1));
    prune(&open(&memory), day).unwrap();
    let (last, _) = prune(&open(&memory), day).unwrap();
    assert!(last.is_empty(), "{last:?}");
}

#[test]
fn on_a_full_disk_what_is_condemned_goes_and_makes_room_for_the_index() {
    let memory = with_history();
    let (first, _) = prune(&open(&memory), NOW).unwrap();
    assert!(first.condemned() > 0);
    // Only what one of the packs takes is missing.
    let watched = memory.clone();
    let all = memory.list("packs").unwrap().len();
    let full = move |op: Op<'_>| match op {
        Op::Put(_) | Op::Create(_) if watched.list("packs").unwrap().len() == all => {
            Fate::Refused(std::io::Error::from(std::io::ErrorKind::StorageFull))
        }
        _ => Fate::Done,
    };
    let none = PruneOptions {
        max_repack: 0,
        ..NOW
    };
    let (plan, _) = prune(&open(&memory.hooked(Arc::new(full))), none).unwrap();
    assert_eq!(plan.swept(), first.condemned());
    let gone = open(&memory).misfits();
    assert_eq!(gone, [], "the index names packs that are gone");
    assert_well(&memory, "after a prune on a full disk");
}

#[test]
fn a_pack_that_cannot_be_read_for_now_is_named_and_nothing_is_called_missing() {
    let memory = Memory::new(at(0));
    backup(&Store::create_in(files(&memory), at(0)).unwrap(), 1).unwrap();
    let hook = |op: Op<'_>| match op {
        Op::Read(name) if name.starts_with("packs/") => {
            Fate::Refused(std::io::Error::from(std::io::ErrorKind::TimedOut))
        }
        _ => Fate::Done,
    };
    let error = prune(&open(&memory.hooked(Arc::new(hook))), NOW).unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("cannot look at memory/packs/"), "{words}");
    prune(&open(&memory), NOW).unwrap();
    assert_well(&memory, "after a prune that failed");
}

#[test]
pub(super) fn many_small_packs_become_one_and_every_version_is_still_read() {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    for n in 1..=30 {
        backup(&store, n).unwrap();
    }
    let (plan, _) = prune(&store, NOW).unwrap();
    assert!(plan.repacked >= 30, "{plan:?}");
    prune(&store, NOW).unwrap();
    assert_eq!(files(&memory).list("packs").unwrap().len(), 1);
    assert_well(&memory, "after the prune");
}

#[test]
fn with_no_budget_nothing_is_copied() {
    let memory = with_history();
    let frugal = PruneOptions {
        max_repack: 0,
        ..NOW
    };
    let (plan, done) = prune(&open(&memory), frugal).unwrap();
    assert_eq!((plan.repacked, done.written_bytes), (0, 0));
    assert!(plan.condemned() > 0 && plan.left_bytes > 0);
}

#[test]
pub(super) fn what_has_come_to_be_needed_again_is_rescued_from_a_condemned_pack() {
    let memory = with_history();
    let forgotten = BlobId::of(&version(5)[2]);
    prune(&open(&memory), NOW).unwrap();
    // A writer that looked before the record was there, and whose intent comes only now.
    let head = format!("5 {forgotten}");
    let name = HeadName::new(at(99), SnapshotId::of(head.as_bytes()));
    files(&memory)
        .put(&format!("snapshots/{name}"), head.as_bytes())
        .unwrap();
    let (plan, _) = prune(&open(&memory), NOW).unwrap();
    assert!(plan.moved_bytes > 0);
    assert_well(&memory, "after the rescue");
}

#[test]
fn when_something_live_is_missing_nothing_is_deleted() {
    let memory = with_history();
    let store = open(&memory);
    let place = store.0.places(&BlobId::of(&version(10)[2])).unwrap()[0];
    store
        .files()
        .remove(&layout::pack_name(&place.pack))
        .unwrap();
    let before = memory.names();
    let error = prune(&open(&memory), NOW).unwrap_err();
    assert!(matches!(error, StoreError::MissingBlob(_)), "{error}");
    assert_eq!(memory.names(), before);
}

#[test]
pub(super) fn a_damaged_pack_is_left_alone_and_named() {
    let memory = with_history();
    let store = open(&memory);
    // Of a snapshot that is forgotten, so that nothing live is in it.
    let place = store.0.places(&BlobId::of(&version(5)[2])).unwrap()[0];
    let name = layout::pack_name(&place.pack);
    store.files().put(&name, b"DBSNPACK and no more").unwrap();
    let (plan, _) = prune(&open(&memory), NOW).unwrap();
    assert_eq!(plan.damaged, [place.pack]);
    prune(&open(&memory), NOW).unwrap();
    assert!(memory.names().contains(&name));
}

#[test]
fn what_dead_runs_left_goes_when_it_is_old_and_intents_when_they_are_abandoned() {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    backup(&store, 1).unwrap();
    let torn = memory.hooked(Arc::new(|op| match op {
        Op::Put(_) => Fate::Torn(std::io::ErrorKind::StorageFull.into()),
        _ => Fate::Done,
    }));
    assert!(backup(&open(&torn), 2).is_err());
    let writer = store.writer().unwrap();
    writer.stage_pending(b"1 begun", at(5)).unwrap();
    drop(writer);
    let count = |dir: &str| files(&memory).list(dir).unwrap().len();
    let day = PruneOptions {
        grace: TimeDelta::days(1),
        ..NOW
    };
    let unfinished = |memory: &Memory| {
        let names = memory.names();
        names.iter().filter(|name| name.contains(".tmp-")).count()
    };
    assert_eq!(unfinished(&memory), 1);
    prune(&store, day).unwrap();
    assert_eq!((unfinished(&memory), count("pending")), (1, 1));
    memory.pass(TimeDelta::days(1));
    prune(&store, day).unwrap();
    assert_eq!((unfinished(&memory), count("pending")), (0, 1));
    memory.pass(TimeDelta::days(29));
    prune(&store, day).unwrap();
    assert_eq!(count("pending"), 0);
    assert_well(&memory, "after the leftovers went");
}

#[test]
pub(super) fn a_prune_that_dies_at_any_write_loses_nothing_and_the_next_one_completes() {
    let once = with_history();
    // The second of these finds packs to delete as well as packs to condemn.
    prune(
        &open(&once),
        PruneOptions {
            max_repack: 0,
            ..NOW
        },
    )
    .unwrap();
    let mut number = 0;
    loop {
        for death in DEATHS {
            let memory = once.copy();
            let (doomed, writes) = mortal(&memory, number, death);
            let done = prune(&open(&doomed), NOW);
            if writes.load(Ordering::SeqCst) <= number {
                assert!(done.is_ok() && number > 20, "{number} writes");
                return;
            }
            let case = format!("{death:?} at write {number}");
            assert_well(&memory.copy(), &case);
            for _ in 0..3 {
                prune(&open(&memory), NOW).unwrap();
            }
            let (plan, _) = prune(&open(&memory), NOW).unwrap();
            assert!(plan.is_empty(), "{case}: {plan:?}");
            assert_well(&memory, &case);
        }
        number += 1;
    }
}

#[test]
fn a_commit_that_slept_for_days_is_given_up() {
    let memory = Memory::new(at(0));
    Store::create_in(files(&memory), at(0)).unwrap();
    let clock = memory.clone();
    let sleepy = memory.hooked(Arc::new(move |op| {
        if matches!(op, Op::List("condemned")) {
            clock.pass(TimeDelta::days(2));
        }
        Fate::Done
    }));
    let error = backup(&open(&sleepy), 1).unwrap_err();
    assert!(matches!(error, StoreError::Overdue), "{error}");
    assert!(open(&memory).heads().unwrap().is_empty());
    backup(&open(&memory), 1).unwrap();
}

#[test]
fn a_store_that_has_lost_all_its_heads_loses_nothing_more_unless_that_is_meant() {
    let memory = with_history();
    // What was condemned while there were heads stays as well.
    let (first, _) = prune(&open(&memory), NOW).unwrap();
    assert!(first.condemned() > 0);
    let heads: Vec<_> = files(&memory).list(SNAPSHOTS).unwrap();
    let kept: Vec<_> = heads
        .iter()
        .map(|file| {
            (
                file.name.clone(),
                files(&memory).read(&file.name, 9_999).unwrap(),
            )
        })
        .collect();
    for head in &heads {
        memory.remove(&head.name).unwrap();
    }
    let before = memory.names();
    for _ in 0..2 {
        let error = prune(&open(&memory), NOW).unwrap_err();
        assert!(matches!(error, StoreError::NoSnapshots { .. }), "{error}");
        assert!(error.hint().unwrap().contains("--without-snapshots"));
    }
    assert_eq!(memory.names(), before);
    for (name, bytes) in kept {
        memory.put(&name, &bytes.unwrap()).unwrap();
    }
    assert_well(&memory, "with its heads back");

    for head in open(&memory).heads().unwrap() {
        open(&memory).forget(&head).unwrap();
    }
    let meant = PruneOptions {
        without_snapshots: true,
        without_lost: true,
        ..NOW
    };
    for _ in 0..2 {
        prune(&open(&memory), meant).unwrap();
    }
    assert_eq!(packs_bytes(&memory), 0);
    let (last, _) = prune(&open(&memory), NOW).unwrap();
    assert!(last.is_empty(), "nothing is left that could go: {last:?}");
}

#[test]
fn an_intent_that_an_earlier_run_left_is_made_anew_so_that_it_protects_a_commit() {
    let memory = Memory::new(at(0));
    let store = Store::create_in(files(&memory), at(0)).unwrap();
    let stage = |head: &[u8]| {
        let writer = store.writer().unwrap();
        writer.stage_pending(head, at(1)).unwrap();
    };
    let age = || {
        let listed = files(&memory).list("pending").unwrap();
        assert_eq!(listed.len(), 1);
        files(&memory).now().unwrap() - listed[0].modified
    };
    stage(b"1 begun");
    memory.pass(TimeDelta::hours(23));
    stage(b"1 begun");
    assert_eq!(
        age(),
        TimeDelta::hours(23),
        "somebody may be about to commit by it"
    );
    memory.pass(TimeDelta::days(31));
    stage(b"1 begun");
    assert_eq!(age(), TimeDelta::zero());
    let pruning = store.prune(NOW).unwrap();
    assert_eq!(pruning.intents().len(), 1, "it is not taken for abandoned");
}

#[test]
fn what_would_be_pruned_can_be_said_of_a_store_that_cannot_be_written_to() {
    let memory = with_history();
    let kind = std::io::ErrorKind::ReadOnlyFilesystem;
    let hook = move |op: Op<'_>| match op {
        Op::Read(_) | Op::List(_) => Fate::Done,
        _ => Fate::Refused(std::io::Error::from(kind)),
    };
    let mounted = memory.hooked(Arc::new(hook));
    let refused = open(&mounted).prune(NOW).map(drop).unwrap_err();
    assert!(refused.hint().unwrap().contains("read-only"), "{refused}");
    let day = PruneOptions {
        grace: TimeDelta::days(1),
        now: Some(at(0) + TimeDelta::days(2)),
        ..NOW
    };
    let pruning = open(&mounted).prune(day).unwrap();
    let plan = pruning.plan(&live(&pruning).unwrap()).unwrap();
    memory.pass(TimeDelta::days(2));
    let (real, _) = prune(&open(&memory.copy()), PruneOptions { now: None, ..day }).unwrap();
    assert_eq!(plan.condemned(), real.condemned());
    assert!(plan.condemned() > 0);
    let before = memory.names();
    assert!(pruning.apply(&plan, &Silent).is_err());
    assert_eq!(memory.names(), before);
}
