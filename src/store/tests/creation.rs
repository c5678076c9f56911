//! Creating and opening, and whatever may lie at a path instead of a store.

use std::fs;
use std::sync::Barrier;
use std::thread;

use super::*;

#[test]
fn a_store_is_created_with_its_parents_and_opened_empty() {
    let dir = temp_dir();
    let path = dir.path().join("a/b/store");
    let store = Store::create(&path, at(0)).unwrap();
    let opened = Store::open(&path).unwrap();
    assert_eq!(
        (opened.id(), opened.id().len(), opened.path()),
        (store.id(), 32, path.as_path())
    );
    assert!(opened.heads().unwrap().is_empty() && opened.pending().unwrap().is_empty());
    assert!(opened.verify(&crate::report::Silent).unwrap().is_sound());
    assert!(matches!(
        opened.read(&BlobId::of(b"")),
        Err(StoreError::MissingBlob(_))
    ));
}

#[test]
fn an_empty_directory_becomes_a_store_and_anything_else_is_refused() {
    let dir = temp_dir();
    fs::write(dir.path().join(".tmp-left-by-a-kill"), "").unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::NoStore(_))
    ));
    Store::create(dir.path(), at(0)).unwrap();
    assert!(matches!(
        Store::create(dir.path(), at(0)),
        Err(StoreError::AlreadyExists(_))
    ));

    let other = temp_dir();
    let file = other.path().join("notes.txt");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(
        Store::create(other.path(), at(0)),
        Err(StoreError::NotEmpty(_))
    ));
    assert!(matches!(
        Store::open(other.path()),
        Err(StoreError::NotAStore(_))
    ));
    assert!(matches!(Store::open(&file), Err(StoreError::NotAStore(_))));
    assert!(matches!(
        Store::create(&file, at(0)),
        Err(StoreError::Io { .. })
    ));
    let missing = Store::open(&other.path().join("missing")).unwrap_err();
    assert!(matches!(missing, StoreError::NoStore(_)) && missing.hint().is_some());
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}

#[test]
fn of_many_who_create_one_store_one_succeeds_and_all_can_open_it() {
    let dir = temp_dir();
    let path = dir.path().join("store");
    let barrier = Barrier::new(8);
    let create = || {
        barrier.wait();
        match Store::create(&path, at(0)) {
            Ok(store) => (true, store.id().to_owned()),
            Err(StoreError::AlreadyExists(_)) => {
                (false, Store::open(&path).unwrap().id().to_owned())
            }
            Err(error) => panic!("{error}"),
        }
    };
    let results: Vec<(bool, String)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(results.iter().filter(|(created, _)| *created).count(), 1);
    assert!(results.iter().all(|(_, id)| *id == results[0].1));
}

#[test]
fn what_a_newer_version_wrote_is_refused_by_name() {
    let (_dir, store) = new_store();
    let path = store.path().join("dbsnap.json");
    let good = fs::read_to_string(&path).unwrap();
    // Without its checksum, so that these are other versions of the file and no damage.
    let good = good.replace("\"check\"", "\"unknown\"");
    let open = |from: &str, to: &str| {
        assert!(good.contains(from));
        fs::write(&path, good.replace(from, to)).unwrap();
        Store::open(store.path()).unwrap_err()
    };
    let newer = open("\"format\": 1", "\"format\": 7");
    assert!(
        matches!(newer, StoreError::NewerVersion { format: 7, .. }),
        "{newer}"
    );
    let sealed = open("none", "rot13");
    assert!(sealed.to_string().contains("`rot13`"), "{sealed}");
    let feature = open("\"read\": []", "\"read\": [\"mirrors\"]");
    assert!(feature.to_string().contains("`mirrors`"), "{feature}");
    assert!(matches!(
        open("\"store\"", "\"shop\""),
        StoreError::NotAStore(_)
    ));
    assert!(matches!(open("{", "["), StoreError::Corrupt { .. }));
    assert!(matches!(
        open("\"format\": 1", "\"format\": 0"),
        StoreError::Corrupt { .. }
    ));

    // Newer fields are fine, and what only writers must know does not keep anyone from reading.
    fs::write(
        &path,
        good.replace("\"write\": []", "\"write\": [\"mirrors\"], \"x\": 1"),
    )
    .unwrap();
    let store = Store::open(store.path()).unwrap();
    let refused = store.writer().map(drop).unwrap_err();
    assert!(matches!(
        refused,
        StoreError::UnknownFeature {
            purpose: Purpose::Writing,
            ..
        }
    ));
}

#[test]
fn a_configuration_that_was_changed_is_damaged_whatever_it_says_then() {
    let (_dir, store) = new_store();
    let path = store.path().join("dbsnap.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"format\": 1", "\"format\": 3"),
        ("none", "nond"),
        ("\"store\"", "\"stord\""),
        ("\"read\": []", "\"read\": [\"x\"]"),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let refused = Store::open(store.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains("was changed"), "{refused}");
    }

    // What nobody needs for reading keeps nobody from it, but a check tells of it.
    for (from, to) in [
        ("\"average\": 1", "\"average\": 3"),
        ("\"check\"", "\"chec\""),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let store = Store::open(store.path()).unwrap();
        let found = store.verify(&crate::report::Silent).unwrap();
        assert_eq!(found.problems.len(), 1, "{found:?}");
        assert_eq!(found.problems[0].file, "dbsnap.json");
        assert_eq!(store.damage(), found.problems);
    }
}

#[test]
fn a_configuration_cut_anywhere_is_an_error_and_no_panic() {
    let (_dir, store) = new_store();
    let path = store.path().join("dbsnap.json");
    let good = fs::read(&path).unwrap();
    for len in 0..good.len() - 1 {
        fs::write(&path, &good[..len]).unwrap();
        assert!(
            matches!(Store::open(store.path()), Err(StoreError::Corrupt { .. })),
            "{len}"
        );
    }
}
