//! Writers beside writers, prunes, full disks and kills.

use std::fs;
use std::thread;

use super::*;
use crate::report::Silent;

#[test]
fn two_writers_at_once_both_commit_and_lose_nothing() {
    let (_dir, store) = new_store();
    let write = |first: u32| {
        let store = Store::open(store.path()).unwrap();
        let writer = store.writer().unwrap();
        let ids: Vec<BlobId> = (first..first + 60)
            .map(|n| writer.put(BlobKind::Data, &notebook(n, 50), None).unwrap())
            .collect();
        writer
            .commit(&first.to_le_bytes(), at(first.into()))
            .unwrap();
        ids
    };
    let ids: Vec<BlobId> = thread::scope(|scope| {
        let threads = [0, 30].map(|first| scope.spawn(move || write(first)));
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let store = Store::open(store.path()).unwrap();
    assert_eq!(store.heads().unwrap().len(), 2);
    for (n, id) in (0..60).chain(30..90).zip(&ids) {
        assert_eq!(store.read(id).unwrap(), notebook(n, 50));
    }
    assert!(store.verify(&Silent).unwrap().is_sound());
}

#[test]
fn one_writer_serves_several_threads() {
    let (_dir, store) = new_store();
    let writer = store.writer().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..80).for_each(|n| {
                    assert!(writer.put(BlobKind::Data, &notebook(n, 30), None).is_ok())
                })
            });
        }
    });
    assert_eq!(writer.written().blobs, 80);
    writer.commit(b"head", at(1)).unwrap();
    assert_eq!(store.verify(&Silent).unwrap().blobs, 80);
}

/// Publishes a record as a prune does.
fn condemn(store: &Store, packs: &[FileId]) {
    let packs: Vec<String> = packs.iter().map(ToString::to_string).collect();
    let record =
        serde_json::json!({"dbsnap": "condemned", "format": 1, "packs": packs}).to_string();
    let name = HeadName::new(at(500), SnapshotId::of(record.as_bytes()));
    store
        .files()
        .put(&format!("condemned/{name}"), record.as_bytes())
        .unwrap();
}

fn pack_of(store: &Store, id: &BlobId) -> FileId {
    store.0.places(id).unwrap()[0].pack
}

fn sweep(store: &Store, packs: &[FileId]) {
    for pack in packs {
        store.files().remove(&layout::pack_name(pack)).unwrap();
    }
    fs::remove_dir_all(store.path().join("index")).unwrap();
}

#[test]
fn what_a_prune_condemns_meanwhile_is_written_anew_before_the_commit() {
    let (_dir, store) = new_store();
    let root = commit(&store, 1, &[notebook(1, 200)])[0];
    let writer = store.writer().unwrap();
    let reused = writer.put(BlobKind::Data, &notebook(1, 200), None).unwrap();
    let patched = writer
        .put(BlobKind::Data, &edited(&notebook(1, 200), 7), Some(&root))
        .unwrap();
    assert_eq!(reused, root);
    let condemned = pack_of(&store, &root);
    condemn(&store, &[condemned]);
    writer.commit(b"second", at(2)).unwrap();

    sweep(&store, &[condemned]);
    let store = Store::open(store.path()).unwrap();
    assert_eq!(store.read(&reused).unwrap(), notebook(1, 200));
    assert_eq!(store.read(&patched).unwrap(), edited(&notebook(1, 200), 7));
    assert!(store.verify(&Silent).unwrap().is_sound());
}

#[test]
fn the_bases_below_a_reused_patch_are_looked_after_too() {
    let (_dir, store) = new_store();
    let root = commit(&store, 1, &[notebook(1, 200)])[0];
    let writer = store.writer().unwrap();
    let version = edited(&notebook(1, 200), 7);
    let patched = writer.put(BlobKind::Data, &version, Some(&root)).unwrap();
    writer.commit(b"second", at(2)).unwrap();

    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, &version, None).unwrap();
    let condemned = pack_of(&store, &root);
    condemn(&store, &[condemned]);
    writer.commit(b"third", at(3)).unwrap();
    sweep(&store, &[condemned]);
    assert_eq!(
        Store::open(store.path()).unwrap().read(&patched).unwrap(),
        version
    );
}

#[test]
fn a_condemned_pack_that_nobody_relies_on_is_none_of_our_business() {
    let (_dir, store) = new_store();
    let old = commit(&store, 1, &[notebook(1, 200)])[0];
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, b"new", None).unwrap();
    condemn(&store, &[pack_of(&store, &old)]);
    let packs = layout::list_packs(store.files()).unwrap().len();
    writer.commit(b"second", at(2)).unwrap();
    assert_eq!(layout::list_packs(store.files()).unwrap().len(), packs + 1);
}

#[test]
fn a_pack_condemned_before_is_not_relied_on_at_all() {
    let (_dir, store) = new_store();
    let old = commit(&store, 1, &[notebook(1, 200)])[0];
    condemn(&store, &[pack_of(&store, &old)]);
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, &notebook(1, 200), None).unwrap();
    assert_eq!(writer.written().blobs, 1);
}

#[test]
fn a_pack_that_was_pruned_away_meanwhile_fails_the_commit_before_there_is_a_head() {
    let (_dir, store) = new_store();
    let old = commit(&store, 1, &[notebook(1, 200)])[0];
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, &notebook(1, 200), None).unwrap();
    sweep(&store, &[pack_of(&store, &old)]);
    assert!(matches!(
        writer.commit(b"second", at(2)),
        Err(StoreError::PackPruned(_))
    ));
    assert_eq!(store.heads().unwrap().len(), 1);
}

#[test]
fn a_parent_that_was_forgotten_meanwhile_fails_the_commit() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 20)]);
    let parent = store.heads().unwrap()[0];
    let writer = store.writer().unwrap();
    writer.rely_on(parent);
    store.forget(&parent).unwrap();
    let error = writer.commit(b"second", at(2)).unwrap_err();
    assert!(matches!(error, StoreError::ParentForgotten(name) if name == parent));
    assert!(store.heads().unwrap().is_empty());
}

#[test]
fn forgetting_a_snapshot_removes_its_head_and_nothing_else() {
    let (_dir, store) = new_store();
    let ids = commit(&store, 1, &[notebook(1, 20)]);
    commit(&store, 2, &[notebook(2, 20)]);
    let [first, second] = store.heads().unwrap()[..] else {
        panic!("two were committed");
    };
    store.forget(&first).unwrap();
    store.forget(&first).unwrap();
    assert_eq!(store.heads().unwrap(), [second]);
    assert!(matches!(
        store.committed_at(&first),
        Err(StoreError::MissingHead(name)) if name == first
    ));
    let store = Store::open(store.path()).unwrap();
    assert!(store.contains(&ids[0]) && store.verify(&Silent).unwrap().is_sound());
}

#[test]
fn a_head_is_dated_by_the_file_system_whatever_its_name_says() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 20)]);
    let head = store.heads().unwrap()[0];
    let path = store.path().join("snapshots").join(head.to_string());
    for seconds in [77, -77] {
        let time = at(1) + TimeDelta::seconds(seconds);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time.into()).unwrap();
        assert_eq!(store.committed_at(&head).unwrap(), time);
    }
    let scratch = Store::scratch(&store, at(5)).unwrap();
    assert_eq!(scratch.committed_at(&head).unwrap(), at(1 - 77));
    scratch.forget(&head).unwrap();
    assert_eq!(
        store.heads().unwrap(),
        [head],
        "what is below is left alone"
    );
}

#[test]
fn a_disk_that_takes_nothing_is_an_error_with_a_cause_and_no_snapshot() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 20)]);
    // As good as a full disk, and it works for root as well: packs can no longer be made.
    fs::rename(store.path().join("packs"), store.path().join("elsewhere")).unwrap();
    fs::write(store.path().join("packs"), "in the way").unwrap();
    let writer = store.writer().unwrap();
    let mut result = Ok(BlobId::of(b""));
    for n in 0..200 {
        result = result.and_then(|_| writer.put(BlobKind::Data, &notebook(n, 900), None));
    }
    let error = result
        .and_then(|_| writer.commit(b"2", at(2)).map(|_| BlobId::of(b"")))
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Io { path, .. } if path.starts_with(store.path().join("packs"))),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());

    fs::remove_file(store.path().join("packs")).unwrap();
    fs::rename(store.path().join("elsewhere"), store.path().join("packs")).unwrap();
    assert_eq!(store.heads().unwrap().len(), 1);
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound() && found.notes.is_empty(), "{found:?}");
}

#[test]
fn a_blob_that_turns_out_damaged_is_written_again_by_the_next_put() {
    let (_dir, store) = new_store();
    let id = commit(&store, 1, &[notebook(1, 200)])[0];
    let path = store
        .files()
        .path(&layout::pack_name(&pack_of(&store, &id)));
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(store.read(&id), Err(StoreError::Corrupt { .. })));
    assert!(!store.contains(&id));
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, &notebook(1, 200), None).unwrap();
    writer.commit(b"2", at(2)).unwrap();
    assert!(store.contains(&id));
    assert_eq!(store.read(&id).unwrap(), notebook(1, 200));
}
