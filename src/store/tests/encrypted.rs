//! A store that tells nobody what is in it, and is otherwise like any other.

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::damage::{files, fill, overwrite, survey};
use super::*;
use crate::report::Silent;
use crate::store::backend::{Fate, Memory, Op};
use crate::store::crypt::MasterKey;

/// What must not be found anywhere.
const CANARY: &str = "the canary sings at midnight";

fn identities() -> &'static [Identity; 2] {
    static IDENTITIES: OnceLock<[Identity; 2]> = OnceLock::new();
    IDENTITIES.get_or_init(|| [Identity::generate(), Identity::generate()])
}

/// What opens the stores here.
pub(super) fn secrets() -> Vec<Secret> {
    identities().iter().cloned().map(Secret::Identity).collect()
}

fn slot(identity: &Identity) -> NewSlot {
    NewSlot {
        label: "test".parse().unwrap(),
        lock: Lock::Recipient(identity.recipient()),
    }
}

pub(super) fn new_sealed_store() -> (TempDir, Store) {
    let dir = temp_dir();
    let slots: Vec<NewSlot> = identities().iter().map(slot).collect();
    let path = dir.path().join("store");
    let store = Store::create_encrypted(&path, at(0), &slots).unwrap();
    (dir, store)
}

pub(super) fn open(path: &Path) -> Store {
    Store::open_with(path, &secrets()).unwrap()
}

#[test]
fn an_encrypted_store_needs_one_of_its_keys() {
    let (_dir, store) = new_sealed_store();
    assert!(store.is_encrypted());
    let refused = |secrets: &[Secret]| Store::open_with(store.path(), secrets).unwrap_err();
    assert!(matches!(refused(&[]), StoreError::KeyNeeded(_)));
    let other = Secret::Identity(Identity::generate());
    assert!(matches!(
        refused(&[other]),
        StoreError::WrongKey { slots: 2, .. }
    ));
    for secret in secrets() {
        assert!(Store::open_with(store.path(), &[secret]).is_ok());
    }
    let third = Identity::generate();
    let added = store.add_slot(&slot(&third)).unwrap();
    assert_eq!(store.slots().unwrap().len(), 3);
    let third = [Secret::Identity(third)];
    assert_eq!(
        Store::open_with(store.path(), &third).unwrap().id(),
        store.id()
    );
    store.remove_slot(&added).unwrap();
    assert!(Store::open_with(store.path(), &third).is_err());
    assert!(open(store.path()).verify(&Silent).unwrap().notes.is_empty());

    let (_dir, plain) = new_store();
    assert!(!plain.is_encrypted() && plain.slots().unwrap().is_empty());
    let refused = plain.add_slot(&slot(&identities()[0])).unwrap_err();
    assert!(matches!(refused, StoreError::NotEncrypted(_)));
}

#[test]
fn a_store_that_nobody_could_open_is_not_created() {
    let dir = temp_dir();
    let refused = Store::create_encrypted(&dir.path().join("store"), at(0), &[]).unwrap_err();
    assert!(matches!(refused, StoreError::NoSlot(_)));
    assert!(Store::open(&dir.path().join("store")).is_err());
}

#[test]
fn everything_is_read_back_and_verified_as_in_any_other_store() {
    let (_dir, store) = new_sealed_store();
    let mut versions = vec![notebook(3, 200)];
    for n in 0..4 {
        let writer = store.writer().unwrap();
        let old = versions.last().unwrap().clone();
        let new = edited(&old, n);
        writer
            .put(BlobKind::Data, &new, Some(&BlobId::of(&old)))
            .unwrap();
        writer.put(BlobKind::Node, &notebook(n, 10), None).unwrap();
        writer
            .put(BlobKind::Data, &notebook(n, 3000), None)
            .unwrap();
        writer
            .commit(format!("head {n}").as_bytes(), at(n.into()))
            .unwrap();
        versions.push(new);
    }
    for store in [store.clone(), open(store.path())] {
        for (n, version) in versions[1..].iter().enumerate() {
            assert_eq!(store.read(&BlobId::of(version)).unwrap(), *version);
            let long = notebook(n as u32, 3000);
            assert_eq!(store.read(&BlobId::of(&long)).unwrap(), long);
            let head = store.heads().unwrap()[n];
            let text = format!("head {n}").into_bytes();
            assert_eq!((head.id, head.time), (SnapshotId::of(&text), at(n as i64)));
            assert_eq!(store.read_head(&head).unwrap(), text);
        }
        let found = store.verify(&Silent).unwrap();
        assert!(found.is_sound() && found.notes.is_empty(), "{found:?}");
        assert_eq!((found.heads, found.packs, found.segments), (4, 8, 4));
    }
}

#[test]
fn nothing_that_was_put_shows_anywhere() {
    let (_dir, store) = new_sealed_store();
    let writer = store.writer().unwrap();
    let mut needles = vec![CANARY.as_bytes().to_vec(), b"sandbox-host".to_vec()];
    for kind in [BlobKind::Data, BlobKind::Node] {
        let id = writer.put(kind, CANARY.as_bytes(), None).unwrap();
        needles.push(id.as_bytes().to_vec());
        needles.push(id.to_string().into_bytes());
    }
    let staged = b"{\"host\":\"sandbox-host\",\"unfinished\":true}";
    let intent = writer.stage_pending(staged, at(1)).unwrap();
    let id = writer
        .commit(b"{\"host\":\"sandbox-host\"}", at(2))
        .unwrap();
    let again = store.writer().unwrap();
    let left = again.stage_pending(staged, at(3)).unwrap();
    for id in [intent.id, left.id, id] {
        needles.push(id.as_bytes().to_vec());
        needles.push(id.to_string().into_bytes());
    }
    for magic in ["DBSNPACK", "DBSNEND1", "DBSNIDX1", "dbsnap\":\"key"] {
        needles.push(magic.into());
    }
    let all = files(&store);
    assert_eq!(all.len(), 2 + 2 + 2 + 1 + 1 + 1 + 1);
    for file in all {
        let name = file.to_str().unwrap().as_bytes();
        let bytes = fs::read(&file).unwrap();
        for needle in &needles {
            let shows = |hay: &[u8]| hay.windows(needle.len()).any(|part| part == needle);
            let what = String::from_utf8_lossy(needle);
            assert!(
                !shows(&bytes) && !shows(name),
                "{what} in {}",
                file.display()
            );
        }
    }
    assert_eq!(open(store.path()).heads().unwrap()[0].id, id);
}

#[test]
fn a_changed_byte_or_a_cut_anywhere_is_found_and_never_read() {
    let (_dir, store) = new_sealed_store();
    let blobs = fill(&store);
    for file in files(&store) {
        if file.ends_with("README.txt") || file.ends_with("dbsnap.json") {
            continue;
        }
        let good = fs::read(&file).unwrap();
        let is_found = |bad: &[u8], what: String| {
            overwrite(&file, bad);
            let what = format!("{what} of {}", file.display());
            let found = survey(&store, &blobs, &what).unwrap();
            assert!(!found.is_sound(), "not found: {what}");
            let named = store.path().join(&found.problems[0].file);
            assert!(found.problems.len() > 1 || named == file, "{found:?}");
        };
        // That every byte counts is tested where boxes are opened; here a few of each file do.
        for at in (0..good.len()).step_by(9) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            is_found(&bad, format!("byte {at}"));
        }
        let near_the_end = [good.len().saturating_sub(16), good.len() - 1];
        let cuts = [0, 1, 31, 32, 33, 48, good.len() / 2].into_iter();
        for len in cuts.chain(near_the_end).filter(|len| *len < good.len()) {
            is_found(&good[..len], format!("{len} bytes"));
        }
        is_found(&[&good[..], b"\n"].concat(), "one byte more".into());
        overwrite(&file, &good);
    }
    assert!(open(store.path()).verify(&Silent).unwrap().is_sound());
}

#[test]
fn of_a_damaged_pack_only_what_lies_there_is_lost() {
    let (_dir, store) = new_sealed_store();
    let mut noise = vec![0; 20 * (40 << 10)];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let writer = store.writer_with(WriterOptions::default()).unwrap();
    for blob in noise.chunks(600 << 10) {
        writer.put(BlobKind::Data, blob, None).unwrap();
    }
    writer.commit(b"{}", at(1)).unwrap();
    let (pack, _) = layout::list_packs(store.files()).unwrap()[0];
    let path = store.files().path(&layout::pack_name(&pack));
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    overwrite(&path, &bytes);
    let store = open(store.path());
    let found = store.verify(&Silent).unwrap();
    let lost: Vec<BlobId> = found
        .problems
        .iter()
        .flat_map(|problem| problem.blobs.clone())
        .collect();
    let blobs: Vec<BlobId> = noise.chunks(600 << 10).map(BlobId::of).collect();
    assert_eq!(lost, blobs[..1], "{found:?}");
    assert_eq!(found.blobs, blobs.len() as u64 - 1);
    assert!(matches!(
        store.read(&blobs[0]),
        Err(StoreError::Corrupt { .. })
    ));
    assert!(store.read(&blobs[1]).is_ok());
}

#[test]
fn files_passed_off_as_others_are_found() {
    let (_dir, store) = new_sealed_store();
    commit(&store, 1, &[notebook(1, 30)]);
    let writer = store.writer().unwrap();
    let staged = writer.stage_pending(b"never committed", at(2)).unwrap();
    drop(writer);
    let root = store.path().to_owned();
    let is_damaged = |store: &Store, head: &HeadName| {
        let error = store.read_head(head).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(!store.verify(&Silent).unwrap().is_sound());
    };

    // An intent is not a head, not even under its own name.
    let intent = store.files().path(&format!("pending/{staged}"));
    let as_head = store.files().path(&format!("snapshots/{staged}"));
    fs::copy(intent, &as_head).unwrap();
    is_damaged(&open(&root), &staged);
    fs::remove_file(as_head).unwrap();

    // An old head does not become a newer one.
    let old = store.heads().unwrap()[0];
    let stored = store.files().path(&format!("snapshots/{old}"));
    let name = stored.file_name().unwrap().to_str().unwrap();
    let newer = stored.with_file_name(name.replacen("2023", "2033", 1));
    fs::copy(&stored, &newer).unwrap();
    let reopened = open(&root);
    let [_, forged] = reopened.heads().unwrap()[..] else {
        panic!("there are two names");
    };
    assert_eq!((forged.id, forged.time > old.time), (old.id, true));
    is_damaged(&reopened, &forged);
    fs::remove_file(newer).unwrap();

    // What nobody sealed is nothing.
    let (_dir, plain) = new_store();
    commit(&plain, 5, &[notebook(5, 30), notebook(6, 30)]);
    for file in files(&plain) {
        let name = file.strip_prefix(plain.path()).unwrap();
        if name.parent() != Some(Path::new("")) {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::copy(&file, root.join(name)).unwrap();
        }
    }
    let reopened = open(&root);
    let foreign = reopened.heads().unwrap()[1];
    assert!(
        reopened
            .read_head(&foreign)
            .unwrap_err()
            .to_string()
            .contains("not sealed")
    );
    assert!(!reopened.contains(&BlobId::of(&notebook(5, 30))));
    assert!(reopened.contains(&BlobId::of(&notebook(1, 30))));
    let found = reopened.verify(&Silent).unwrap();
    assert_eq!(found.problems.len(), 3, "{found:?}");
}

#[test]
fn a_large_sealed_segment_is_read_at_positions() {
    let (_dir, store) = new_sealed_store();
    let writer = store.writer().unwrap();
    let ids: Vec<BlobId> = (0_u32..6000)
        .map(|n| writer.put(BlobKind::Data, &n.to_le_bytes(), None).unwrap())
        .collect();
    writer.commit(b"many", at(1)).unwrap();
    let store = open(store.path());
    let segment = layout::list::<layout::SegmentName>(store.files(), layout::INDEX).unwrap()[0];
    let name = layout::segment_name(&segment);
    assert!(store.files().len(&name).unwrap().unwrap() > 256 << 10);
    let some = || ids.iter().step_by(53);
    assert!(some().all(|id| store.contains(id)) && !store.contains(&BlobId::of(b"other")));
    assert!(store.verify(&Silent).unwrap().is_sound());

    // A box that is broken far behind the tables: what it lists is found in the packs.
    let path = store.files().path(&name);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    overwrite(&path, &bytes);
    let store = open(store.path());
    let last_listed = ids.iter().max().unwrap();
    for id in some().chain([last_listed]) {
        assert_eq!(BlobId::of(&store.read(id).unwrap()), *id);
    }
    assert_eq!(store.verify(&Silent).unwrap().problems.len(), 1);
}

#[test]
fn a_scratch_store_over_an_encrypted_one_is_sealed_too() {
    let (_dir, store) = new_sealed_store();
    commit(&store, 1, &[notebook(1, 30)]);
    let scratch = Store::scratch(&store, at(2)).unwrap();
    let id = commit(&scratch, 3, &[CANARY.as_bytes().to_vec()])[0];
    assert_eq!(scratch.read(&id).unwrap(), CANARY.as_bytes());
    assert!(scratch.contains(&BlobId::of(&notebook(1, 30))));
    for file in files(&scratch) {
        let bytes = fs::read(&file).unwrap();
        let canary = CANARY.as_bytes();
        assert!(!bytes.windows(canary.len()).any(|part| part == canary));
    }
    assert!(Store::scratch(&scratch, at(4)).unwrap().is_encrypted());
}

#[test]
fn creating_one_that_dies_at_any_write_leaves_none_or_an_empty_one() {
    let master = MasterKey::from_bytes(&[3; 32]);
    let slots: Vec<NewSlot> = identities().iter().map(slot).collect();
    for writes in 0..4 {
        let memory = Memory::new(at(0));
        let left = AtomicUsize::new(writes);
        let hook = move |op: Op<'_>| {
            let minus_one = |left: usize| left.checked_sub(1);
            match op.writes()
                && left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, minus_one)
                    .is_err()
            {
                true => Fate::Refused(std::io::ErrorKind::Other.into()),
                false => Fate::Done,
            }
        };
        let doomed = Files::new("memory", memory.hooked(Arc::new(hook)));
        assert!(Store::create_sealed(doomed, at(0), &master, &slots).is_err());
        let opened = Store::open_in(Files::new("memory", memory), &secrets());
        match writes {
            0 => assert!(opened.unwrap().is_none()),
            1 => assert!(matches!(opened, Err(StoreError::NoSlot(_)))),
            _ => assert!(opened.unwrap().is_some()),
        }
    }
}

#[test]
fn backups_and_prunes_are_as_safe_when_files_are_sealed() {
    crash::SEALED.set(true);
    crash::a_backup_that_dies_at_any_write_leaves_a_store_that_is_whole_and_goes_on();
    prune::what_no_snapshot_needs_is_condemned_and_after_the_grace_it_goes();
    prune::many_small_packs_become_one_and_every_version_is_still_read();
    prune::what_has_come_to_be_needed_again_is_rescued_from_a_condemned_pack();
    prune::a_damaged_pack_is_left_alone_and_named();
    power_cut::a_backup_loses_nothing_when_the_power_goes_at_any_step();
    power_cut::a_prune_loses_nothing_when_the_power_goes_at_any_step();
}

#[test]
fn every_small_file_that_is_damaged_shows_without_reading_the_data() {
    let (_dir, store) = new_sealed_store();
    let writer = store.writer().unwrap();
    writer.stage_pending(b"begun", at(2)).unwrap();
    let record = look::record(&look::Condemned {
        packs: Vec::new(),
        is_damage: false,
    });
    let name = HeadName::new(at(3), SnapshotId::of(&record));
    store
        .files()
        .put(&format!("condemned/{name}"), &record)
        .unwrap();
    for dir in ["restores", "paused"] {
        let line = store.line_seal().line(&1).unwrap();
        fs::create_dir(store.path().join(dir)).unwrap();
        fs::write(
            store.path().join(dir).join("x.jsonl"),
            [&line[..], b"cut"].concat(),
        )
        .unwrap();
    }
    let found = open(store.path()).verify_small().unwrap();
    assert_eq!((found.problems, found.notes), (vec![], vec![]));
    for dir in ["pending", "condemned", "keys", "restores", "paused"] {
        let mut all = fs::read_dir(store.path().join(dir)).unwrap();
        let file = all.next().unwrap().unwrap().path();
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[40] ^= 1;
        overwrite(&file, &bad);
        let found = open(store.path()).verify_small().unwrap();
        let told: Vec<_> = found.problems.iter().map(|problem| &problem.file).collect();
        let wanted = format!("{dir}/{}", file.file_name().unwrap().to_str().unwrap());
        assert_eq!(told, [&wanted]);
        overwrite(&file, &good);
    }
    fs::write(store.path().join("pending/what"), b"?").unwrap();
    let key = fs::read_dir(store.path().join("keys"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    fs::rename(key.path(), key.path().with_extension("old")).unwrap();
    let opened = open(store.path());
    let found = opened.verify_small().unwrap();
    assert_eq!(found.problems.len(), 1, "{found:?}");
    assert!(found.problems[0].what.contains("name of a key"));
    assert_eq!(found.notes, ["pending/what does not belong to the store"]);
    fs::remove_dir_all(store.path().join("keys")).unwrap();
    let found = opened.verify_small().unwrap();
    assert!(
        found.problems[0].what.contains("nobody can open"),
        "{found:?}"
    );
}

#[test]
fn a_pack_that_the_store_has_not_written_is_condemned_and_then_all_is_well() {
    let (_plain, plain) = new_store();
    commit(&plain, 1, &[notebook(7, 30)]);
    let (_other, other) = new_sealed_store();
    commit(&other, 1, &[notebook(8, 30)]);
    let packs = |store: &Store| layout::list_packs(store.files()).unwrap();
    let zeroes = vec![0; 99];
    let strangers = [
        fs::read(plain.path().join(layout::pack_name(&packs(&plain)[0].0))).unwrap(),
        fs::read(other.path().join(layout::pack_name(&packs(&other)[0].0))).unwrap(),
        zeroes,
        Vec::new(),
    ];
    // One of a format to come stays.
    let newer = b"DBSNSEAL\x02 and whatever comes".to_vec();
    for (number, bytes) in strangers.iter().chain([&newer]).enumerate() {
        let (_dir, store) = new_sealed_store();
        let ids = commit(&store, 1, &[notebook(1, 30)]);
        let id = FileId::of(bytes);
        let path = store.path().join(layout::pack_name(&id));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let opened = open(store.path());
        assert_eq!(opened.damage().len(), 1, "{number}");
        let done = opened.repair_packs(false, &Silent).unwrap();
        if number == strangers.len() {
            assert_eq!((done.foreign, done.damaged), (vec![], vec![]));
            continue;
        }
        assert_eq!((done.foreign, done.damaged), (vec![id], vec![]), "{number}");
        let opened = open(store.path());
        assert_eq!(opened.damage(), []);
        let index = opened.repair_index(false, &Silent).unwrap();
        assert_eq!((index.unreadable, index.carried), (vec![], vec![]));
        assert!(opened.verify(&Silent).unwrap().is_sound());
        let options = PruneOptions {
            grace: TimeDelta::zero(),
            ..PruneOptions::default()
        };
        let pruning = opened.prune(options).unwrap();
        let mut live = Live::default();
        live.add(ids[0], 0);
        let plan = pruning.plan(&live).unwrap();
        pruning.apply(&plan, &Silent).unwrap();
        assert!(!path.exists());
        assert_eq!(open(store.path()).read(&ids[0]).unwrap(), notebook(1, 30));
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let memory = Memory::new(at(0));
    let secret = |text: &str| {
        let text = zeroize::Zeroizing::new(text.to_owned());
        Passphrase::new(text).unwrap()
    };
    let slot = NewSlot {
        label: "password".parse().unwrap(),
        lock: Lock::Passphrase(secret("right"), WorkFactor::MINIMAL),
    };
    let files = || Files::new("memory", memory.clone());
    let master = MasterKey::from_bytes(&[5; 32]);
    Store::create_sealed(files(), at(0), &master, &[slot]).unwrap();
    // A slot is read to be tried.
    let reads = |text: &str| {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let hook = move |op: Op<'_>| {
            if matches!(op, Op::Read(name) if name.starts_with("keys/")) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Done
        };
        let watched = Files::new("memory", memory.hooked(Arc::new(hook)));
        let opened = Store::open_in(watched, &[Secret::Passphrase(secret(text))]);
        (opened.map(drop), reads.load(Ordering::SeqCst))
    };
    let (opened, right) = reads("right");
    assert!(opened.is_ok() && right > 0);
    let (refused, wrong) = reads("wrong");
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StoreError::WrongKey { .. }), "{refused}");
    assert_eq!(wrong, right);
}
