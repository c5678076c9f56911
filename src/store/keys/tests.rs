//! Slots come and go, and somebody can always open the store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use zeroize::Zeroizing;

use super::*;
use crate::store::StoreError;
use crate::store::backend::{Fate, Files, Memory, Op};
use crate::store::crypt::MasterKey;
use crate::testing::fuzz;

const STORE: &str = "5b0c0a7f4a1d4f0c9a0f3a2b1c4d5e6f";

fn files() -> Files {
    Files::new("/s", Memory::new(DateTime::UNIX_EPOCH))
}

fn ring(files: &Files) -> Ring<'_> {
    Ring {
        files,
        store: STORE,
    }
}

fn master() -> MasterKey {
    MasterKey::from_bytes(&[9; 32])
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn typed(text: &str) -> Secret {
    Secret::Passphrase(passphrase(text))
}

fn for_passphrase(text: &str) -> NewSlot {
    NewSlot {
        label: "password".parse().unwrap(),
        lock: Lock::Passphrase(passphrase(text), WorkFactor::MINIMAL),
    }
}

fn for_identity(identity: &Identity) -> NewSlot {
    NewSlot {
        label: "recovery".parse().unwrap(),
        lock: Lock::Recipient(identity.recipient()),
    }
}

#[test]
fn every_kind_of_secret_opens_its_own_slot() {
    let files = files();
    let (mine, strange) = (Identity::generate(), Identity::generate());
    ring(&files).add(&master(), &for_passphrase("a b")).unwrap();
    ring(&files).add(&master(), &for_passphrase("c")).unwrap();
    ring(&files).add(&master(), &for_identity(&mine)).unwrap();
    let open = |secrets: &[Secret]| ring(&files).open(secrets);

    for secret in [typed("a b"), typed("c"), Secret::Identity(mine)] {
        assert_eq!(open(std::slice::from_ref(&secret)).unwrap(), master());
        let among_others = [typed("wrong"), Secret::Identity(strange.clone()), secret];
        assert_eq!(open(&among_others).unwrap(), master());
    }
    for wrong in [typed("a b "), typed("A B"), Secret::Identity(strange)] {
        let error = open(&[wrong]).unwrap_err();
        let expected = "no key that was given opens the store at /s";
        assert_eq!(error.to_string(), expected);
    }
    assert!(matches!(open(&[]), Err(StoreError::KeyNeeded(_))));
}

#[test]
fn the_list_says_what_opens_a_slot_and_nothing_more() {
    let files = files();
    let identity = Identity::generate();
    let password = ring(&files).add(&master(), &for_passphrase("a")).unwrap();
    let recovery = ring(&files)
        .add(&master(), &for_identity(&identity))
        .unwrap();
    files.put("keys/notes.txt", b"not a slot").unwrap();
    let slot = |name: &SlotName, kind| Slot {
        name: name.clone(),
        kind,
    };
    assert_eq!(
        ring(&files).list().unwrap(),
        [
            slot(&password, SlotKind::Passphrase),
            slot(&recovery, SlotKind::Recipient)
        ]
    );
    let name = recovery.to_string();
    assert!(name.starts_with("recovery-") && name.ends_with(".age"));
    assert_eq!(name.parse(), Ok(recovery));
    let stored = files.read(&format!("keys/{name}"), 9999).unwrap().unwrap();
    let visible = String::from_utf8_lossy(&stored);
    assert!(visible.starts_with("age-encryption.org/v1\n-> X25519 "));
    assert!(!visible.contains(STORE) && !visible.contains(&identity.recipient().to_string()));
}

#[test]
fn the_last_whole_slot_stays_though_there_is_a_damaged_one() {
    let files = files();
    let damaged = ring(&files).add(&master(), &for_passphrase("a")).unwrap();
    let whole = ring(&files).add(&master(), &for_passphrase("b")).unwrap();
    let path = format!("keys/{damaged}");
    files.remove(&path).unwrap();
    files.put(&path, b"nothing that opens").unwrap();
    let refused = ring(&files).remove(&whole).unwrap_err();
    assert!(matches!(refused, StoreError::LastSlot(_)));
    assert!(ring(&files).open(&[typed("b")]).is_ok());
    ring(&files).remove(&damaged).unwrap();
    assert!(ring(&files).open(&[typed("b")]).is_ok());
}

#[test]
fn the_last_slot_stays() {
    let files = files();
    let first = ring(&files).add(&master(), &for_passphrase("a")).unwrap();
    let refused = ring(&files).remove(&first).unwrap_err();
    assert!(matches!(refused, StoreError::LastSlot(_)));
    let second = ring(&files).add(&master(), &for_passphrase("b")).unwrap();
    ring(&files).remove(&first).unwrap();
    assert!(matches!(
        ring(&files).remove(&first),
        Err(StoreError::MissingSlot(name)) if *name == first
    ));
    assert!(matches!(
        ring(&files).open(&[typed("a")]),
        Err(StoreError::WrongKey {
            slots: 1,
            damaged: 0,
            ..
        })
    ));
    assert!(ring(&files).open(&[typed("b")]).is_ok());
    assert!(ring(&files).remove(&second).is_err());
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one_only() {
    let files = files();
    let old = ring(&files).add(&master(), &for_passphrase("old")).unwrap();
    let other = ring(&files)
        .add(&master(), &for_passphrase("other"))
        .unwrap();
    let change = |old: &str, new: &str| {
        ring(&files).change(&passphrase(old), &passphrase(new), WorkFactor::MINIMAL)
    };
    assert!(matches!(
        change("ald", "new"),
        Err(StoreError::WrongKey { .. })
    ));
    let new = change("old", "new").unwrap();
    assert_eq!(new.label, old.label);
    let mut names: Vec<SlotName> = ring(&files)
        .list()
        .unwrap()
        .into_iter()
        .map(|slot| slot.name)
        .collect();
    let mut expected = vec![other, new];
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(ring(&files).open(&[typed("new")]).unwrap(), master());
    assert!(ring(&files).open(&[typed("old")]).is_err());
    // The same once more is a change as well, and leaves one slot for it.
    change("new", "new").unwrap();
    assert_eq!(ring(&files).list().unwrap().len(), 2);
}

#[test]
fn a_change_that_stops_at_any_write_leaves_a_password_that_works() {
    let memory = Memory::new(DateTime::UNIX_EPOCH);
    for writes in 0.. {
        let memory = memory.copy();
        let files = Files::new("/s", memory.clone());
        ring(&files).add(&master(), &for_passphrase("old")).unwrap();
        let left = AtomicUsize::new(writes);
        let hook = move |op: Op<'_>| {
            let stopped = op.writes() && left.load(Ordering::Relaxed) == 0;
            if op.writes() && !stopped {
                left.fetch_sub(1, Ordering::Relaxed);
            }
            if stopped {
                Fate::Refused(std::io::ErrorKind::Other.into())
            } else {
                Fate::Done
            }
        };
        let killed = Files::new("/s", memory.hooked(Arc::new(hook)));
        let (old, new) = (passphrase("old"), passphrase("new"));
        let changed = ring(&killed).change(&old, &new, WorkFactor::MINIMAL);
        let opens = |text: &str| ring(&files).open(&[typed(text)]).is_ok();
        match changed {
            Ok(_) => {
                assert_eq!((writes, opens("old"), opens("new")), (2, false, true));
                break;
            }
            Err(_) => assert_eq!((opens("old"), opens("new")), (true, writes == 1)),
        }
    }
}

#[test]
fn a_slot_of_another_store_does_not_fit() {
    let files = files();
    let other = Ring {
        files: &files,
        store: "00000000000000000000000000000000",
    };
    other.add(&master(), &for_passphrase("a")).unwrap();
    assert!(matches!(
        ring(&files).open(&[typed("a")]),
        Err(StoreError::WrongKey { damaged: 0, .. })
    ));
    let (_, told) = ring(&files).open_or_tell(&[typed("a")]).unwrap_err();
    assert_eq!(told.as_deref(), Some("00000000000000000000000000000000"));
    let (_, told) = ring(&files).open_or_tell(&[typed("b")]).unwrap_err();
    assert_eq!(told, None);
}

#[test]
fn a_slot_changed_or_cut_anywhere_does_not_open_and_is_counted() {
    let identity = Secret::Identity(Identity::generate());
    let Secret::Identity(mine) = &identity else {
        unreachable!("it was made in the line above")
    };
    let plain = files();
    let name = ring(&plain).add(&master(), &for_identity(mine)).unwrap();
    let name = format!("keys/{name}");
    let good = plain.read(&name, 9999).unwrap().unwrap();
    let try_with = |bytes: &[u8]| {
        let files = files();
        files.put(&name, bytes).unwrap();
        ring(&files).list().unwrap();
        ring(&files).open(std::slice::from_ref(&identity))
    };
    assert!(try_with(&good).is_ok());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        for bytes in [&changed, &good[..at]] {
            let error = try_with(bytes).unwrap_err();
            assert!(
                matches!(
                    error,
                    StoreError::WrongKey {
                        slots: 1,
                        damaged: 1,
                        ..
                    }
                ),
                "byte {at}: {error}"
            );
        }
    }
}

#[test]
fn a_slot_that_asks_for_absurd_work_is_not_tried() {
    let slot = for_passphrase("a").lock(STORE, &master());
    let text = String::from_utf8_lossy(&slot).into_owned();
    let line = text.lines().nth(1).unwrap();
    assert!(line.ends_with(" 1"), "{line}");
    let start = slot.windows(line.len()).position(|w| w == line.as_bytes());
    let end = start.unwrap() + line.len();
    let greedy = [&slot[..end - 1], b"40", &slot[end..]].concat();
    assert_eq!(super::slot::open(&greedy, &typed("a"), STORE), None);
    assert_eq!(super::slot::open(&slot, &typed("a"), STORE), Some(master()));
}

#[test]
fn a_store_that_lost_all_slots_says_so() {
    let error = ring(&files()).open(&[typed("a")]).unwrap_err();
    assert!(matches!(&error, StoreError::NoSlot(path) if path == Path::new("/s")));
    assert!(error.hint().is_some_and(|hint| hint.contains("copy")));
}

#[test]
fn labels_are_short_and_plain() {
    for good in ["a", "ana.souza", "ci_2-x", &"x".repeat(32)] {
        assert_eq!(good.parse::<Label>().unwrap().to_string(), good);
    }
    for bad in ["", ".a", "A", "a b", "a/b", "é", &"x".repeat(33)] {
        assert_eq!(bad.parse::<Label>(), Err(KeyError::NotALabel), "{bad}");
    }
}

#[test]
fn fuzzed_slots_are_refused_or_hold_the_key_of_the_store() {
    let identity = Identity::generate();
    let slots = [for_identity(&identity), for_passphrase("a b")];
    let good = slots.map(|slot| slot.lock(STORE, &master()));
    let secret = Secret::Identity(identity);
    let fuzzed = fuzz("key slots", &good, |slot| {
        let kind = slot::kind(slot);
        // What a passphrase opens may ask for a gibibyte, so that only the header of it is looked at.
        if kind == SlotKind::Recipient
            && let Some(key) = slot::open(slot, &secret, STORE)
        {
            assert!(key == master());
        }
        kind != SlotKind::Unreadable
    });
    assert!(fuzzed.accepted > 0);
    let good = [slot::text(STORE, &master()).as_bytes().to_vec()];
    let fuzzed = fuzz("texts of key slots", &good, |text| {
        slot::parse(text).is_some_and(|(_, key)| key.expose().len() == 32)
    });
    assert!(fuzzed.accepted > 0);
}
