//! Configurations that lie about the store: by damage, on purpose, or because they are of another one.

use super::damage::files;
use super::encrypted::{new_sealed_store, open, secrets};
use super::*;
use crate::report::Silent;

/// Makes the configuration deny that the store is encrypted, with a checksum that fits if it is done on `purpose`.
fn deny_encryption(store: &Store, purpose: bool) {
    let path = store.path().join("dbsnap.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"encryption\": \"xchacha20poly1305\""));
    let text = text.replace("xchacha20poly1305", "none");
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let check = config["check"].as_str().unwrap();
    let blank = text.replace(check, &"0".repeat(64));
    let anew = blank.replace(&"0".repeat(64), &BlobId::of(blank.as_bytes()).to_string());
    fs::write(&path, if purpose { anew } else { text }).unwrap();
}

/// Every way to write that there is.
fn write_anything(store: &Store) -> Vec<StoreError> {
    let head = HeadName::new(at(1), SnapshotId::of(b"any"));
    let refused = [
        store.writer().map(drop),
        store.forget(&head),
        store.prune(PruneOptions::default()).map(drop),
        store.repair_index(false, &Silent).map(drop),
        store.repair_packs(false, &Silent).map(drop),
    ];
    refused.into_iter().map(Result::unwrap_err).collect()
}

fn is_of_config(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { file, .. } if file.ends_with("dbsnap.json"))
        && error
            .hint()
            .is_some_and(|hint| hint.contains("repair config"))
}

#[test]
fn a_sealed_store_does_not_pass_for_a_plain_one_whatever_else_of_it_is_lost() {
    for purpose in [false, true] {
        for lost in [&[][..], &["keys"], &["snapshots"]] {
            let (_dir, store) = new_sealed_store();
            commit(&store, 1, &[notebook(1, 30)]);
            deny_encryption(&store, purpose);
            for lost in lost {
                fs::remove_dir_all(store.path().join(lost)).unwrap();
            }
            let refused = Store::open(store.path()).unwrap_err();
            assert!(is_of_config(&refused), "{lost:?}: {refused}");
        }
    }
}

#[test]
fn nothing_is_written_in_plain_while_anything_is_sealed() {
    for left in ["snapshots", "pending", "index", "packs", "condemned"] {
        let (_dir, store) = new_sealed_store();
        commit(&store, 1, &[notebook(1, 30)]);
        let writer = store.writer().unwrap();
        writer.stage_pending(b"begun", at(2)).unwrap();
        store
            .files()
            .put(
                &format!("condemned/{}", HeadName::new(at(3), SnapshotId::of(b"r"))),
                b"r",
            )
            .unwrap();
        deny_encryption(&store, true);
        for gone in [
            "keys",
            "snapshots",
            "pending",
            "index",
            "packs",
            "condemned",
        ] {
            if gone != left {
                fs::remove_dir_all(store.path().join(gone)).unwrap();
            }
        }
        // A newer head that is not sealed, so that the store opens.
        let decoy = HeadName::new(at(99), SnapshotId::of(b"decoy"));
        fs::create_dir_all(store.path().join("snapshots")).unwrap();
        fs::write(store.path().join(format!("snapshots/{decoy}")), b"decoy").unwrap();
        let before = files(&store);
        let bare = Store::open(store.path()).unwrap();
        for refused in write_anything(&bare) {
            assert!(is_of_config(&refused), "{left}: {refused}");
        }
        let found = bare.verify_some(Amount::All, at(5), &Silent).unwrap();
        assert!(
            found
                .problems
                .iter()
                .any(|problem| problem.file == "dbsnap.json")
        );
        assert_eq!(bare.damage()[0].file, "dbsnap.json");
        assert_eq!(files(&store), before, "{left}: something was written");
    }
}

#[test]
fn nothing_is_written_by_a_configuration_that_was_changed() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 30)]);
    let path = store.path().join("dbsnap.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("262144", "262145")).unwrap();
    let changed = Store::open(store.path()).unwrap();
    assert!(changed.contains(&BlobId::of(&notebook(1, 30))));
    for refused in write_anything(&changed) {
        assert!(is_of_config(&refused), "{refused}");
    }
}

#[test]
fn a_configuration_that_denies_the_encryption_is_repaired_with_a_key() {
    let (_dir, store) = new_sealed_store();
    commit(&store, 1, &[notebook(1, 30)]);
    let good = fs::read(store.path().join("dbsnap.json")).unwrap();
    deny_encryption(&store, true);
    let repair =
        |secrets: &[Secret]| Store::repair_config(store.path(), secrets, at(0), &|_| None, false);
    assert!(matches!(repair(&[]), Err(StoreError::KeyNeeded(_))));
    let done = repair(&secrets()).unwrap().unwrap();
    assert!(done.is_encrypted && done.was.unwrap().contains("not encrypted"));
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(store.path().join("dbsnap.json")).unwrap()).unwrap();
    let was: serde_json::Value = serde_json::from_slice(&good).unwrap();
    assert_eq!(
        (&config["encryption"], &config["id"]),
        (&was["encryption"], &was["id"])
    );
    assert!(open(store.path()).contains(&BlobId::of(&notebook(1, 30))));
}

#[test]
fn keys_of_another_store_make_no_encrypted_one_of_a_plain_one() {
    let (_dir, store) = new_store();
    commit(&store, 1, &[notebook(1, 30)]);
    let (_other_dir, other) = new_sealed_store();
    let to = store.path().join("keys");
    let repair = || Store::repair_config(store.path(), &secrets(), at(0), &|_| None, false);
    let config = store.path().join("dbsnap.json");
    let good = fs::read(&config).unwrap();
    bring(&other, &store, &["keys"]);
    assert!(Store::open(store.path()).is_err());
    assert!(matches!(repair(), Err(StoreError::ForeignSlots(path)) if path == to));
    assert_eq!(fs::read(&config).unwrap(), good);
    fs::remove_file(&config).unwrap();
    assert!(matches!(repair(), Err(StoreError::ForeignSlots(_))));
    assert!(!config.exists());

    // As the hint has it: without them the store is as it was.
    fs::remove_dir_all(&to).unwrap();
    assert!(!repair().unwrap().unwrap().is_encrypted);
    let store = Store::open(store.path()).unwrap();
    assert!(store.contains(&BlobId::of(&notebook(1, 30))));
}

fn store(plain: bool) -> (TempDir, Store) {
    match plain {
        true => new_store(),
        false => new_sealed_store(),
    }
}

/// Puts files of one store into another.
fn bring(from: &Store, to: &Store, names: &[&str]) {
    for name in names {
        let (from, to) = (from.path().join(name), to.path().join(name));
        if from.is_file() {
            fs::copy(from, to).unwrap();
            continue;
        }
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn nothing_is_written_with_the_configuration_and_keys_of_another_store() {
    for plain in [false, true] {
        let (_dir, store) = store(plain);
        commit(&store, 1, &[notebook(1, 30)]);
        let (_other_dir, other) = new_sealed_store();
        let (_own_dir, own) = new_sealed_store();
        if !plain {
            bring(&store, &own, &["dbsnap.json", "keys"]);
        }
        bring(&other, &store, &["dbsnap.json", "keys"]);
        let before = files(&store);
        let strange = open(store.path());
        for refused in write_anything(&strange) {
            assert!(matches!(refused, StoreError::OpensNothing(_)), "{refused}");
        }
        assert_eq!(files(&store), before, "something was written");
        if !plain {
            bring(&own, &store, &["dbsnap.json", "keys"]);
            assert!(open(store.path()).contains(&BlobId::of(&notebook(1, 30))));
        }
    }
}

#[test]
fn the_configuration_of_another_store_alone_is_told_of_and_repaired() {
    for plain in [false, true] {
        let (_dir, store) = store(plain);
        commit(&store, 1, &[notebook(1, 30)]);
        let (_other_dir, other) = new_sealed_store();
        bring(&other, &store, &["dbsnap.json"]);
        let refused = Store::open_with(store.path(), &secrets()).unwrap_err();
        assert!(is_of_config(&refused), "{refused}");
        let id = |_: &[u8]| Some(store.id().to_owned());
        let done = Store::repair_config(store.path(), &secrets(), at(0), &id, false);
        assert_eq!(done.unwrap().unwrap().id, store.id());
        let opened = Store::open_with(store.path(), &secrets()).unwrap();
        assert!(opened.contains(&BlobId::of(&notebook(1, 30))));
    }
}
