//! What happens to a store whose files are changed, cut, lost or joined by others.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::report::Silent;
use crate::store::backend::{Backend, Fate, Memory, Op};

/// A small store with every kind of frame, and everything that was put into it.
fn small_store() -> (TempDir, Store, BTreeMap<BlobId, Vec<u8>>) {
    let (dir, store) = new_store();
    let blobs = fill(&store);
    (dir, store, blobs)
}

pub(super) fn fill(store: &Store) -> BTreeMap<BlobId, Vec<u8>> {
    let mut noise = vec![0; 40];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let base = digits();
    let version = edited(&base, 1);
    let mut blobs = BTreeMap::new();
    let mut put = |writer: &Writer, kind, bytes: &[u8], base: Option<&BlobId>| {
        let id = writer.put(kind, bytes, base).unwrap();
        blobs.insert(id, bytes.to_vec());
        id
    };
    let writer = store.writer().unwrap();
    let first = put(&writer, BlobKind::Data, &base, None);
    put(&writer, BlobKind::Data, b"", None);
    put(&writer, BlobKind::Node, &noise, None);
    writer.commit(b"{\"first\":1}", at(1)).unwrap();
    let writer = store.writer().unwrap();
    put(&writer, BlobKind::Data, &version, Some(&first));
    writer.stage_pending(b"{\"staged\":1}", at(2)).unwrap();
    drop(writer);
    blobs
}

pub(super) fn files(store: &Store) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(store.path()).sort_by_file_name();
    let files = walk
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.into_path()).collect()
}

/// Text that does not compress much, so that a patch on it pays although it is short.
fn digits() -> Vec<u8> {
    (0..8)
        .flat_map(|n| BlobId::of(&[n]).to_string().into_bytes())
        .collect()
}

/// Changes a file in place: some file systems sync a file that is emptied and filled again, which takes long.
pub(super) fn overwrite(file: &Path, bytes: &[u8]) {
    let mut open = fs::OpenOptions::new().write(true).open(file).unwrap();
    open.write_all(bytes).unwrap();
    open.set_len(bytes.len() as u64).unwrap();
}

/// Verifies and reads everything; fails on a panic and on wrong bytes, and says whether damage was found.
pub(super) fn survey(
    store: &Store,
    blobs: &BTreeMap<BlobId, Vec<u8>>,
    what: &str,
) -> Option<Verification> {
    let survey = || {
        let store = Store::open_with(store.path(), &encrypted::secrets()).ok()?;
        for (id, bytes) in blobs {
            if let Ok(read) = store.read(id) {
                assert_eq!(read, *bytes, "wrong bytes after {what}");
            }
        }
        for head in store.heads().unwrap() {
            if let Ok(read) = store.read_head(&head) {
                assert_eq!(read, b"{\"first\":1}");
            }
        }
        Some(store.verify(&Silent).unwrap())
    };
    catch_unwind(AssertUnwindSafe(survey)).unwrap_or_else(|_| panic!("{what}"))
}

#[test]
fn a_whole_store_has_no_problems_and_nothing_to_note() {
    let (_dir, store, blobs) = small_store();
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.notes, [""; 0]);
    assert_eq!(
        (found.packs, found.frames, found.heads, found.segments),
        (3, 3, 1, 2)
    );
    assert_eq!(found.blobs, blobs.len() as u64);
    assert_eq!(
        found.raw_bytes,
        blobs.values().map(|blob| blob.len() as u64).sum::<u64>()
    );
}

#[test]
fn a_changed_byte_anywhere_is_found_and_never_read() {
    let (_dir, store, blobs) = small_store();
    for file in files(&store) {
        let good = fs::read(&file).unwrap();
        // These two are text for people; a changed date in it is still a date.
        if file.ends_with("README.txt") || file.ends_with("dbsnap.json") {
            continue;
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            overwrite(&file, &bad);
            let what = format!("byte {at} of {}", file.display());
            let found = survey(&store, &blobs, &what);
            assert!(
                found.is_some_and(|found| !found.is_sound()),
                "not found: {what}"
            );
        }
        overwrite(&file, &good);
    }
    assert!(store.verify(&Silent).unwrap().is_sound());
}

#[test]
fn a_file_cut_anywhere_or_grown_is_found_and_never_read() {
    let (_dir, store, blobs) = small_store();
    for file in files(&store) {
        let good = fs::read(&file).unwrap();
        if file.ends_with("README.txt") || file.ends_with("dbsnap.json") {
            continue;
        }
        let grown = [good.as_slice(), b"\n"].concat();
        let near_an_end = |len: &usize| *len < 10 || len + 50 > good.len() || len.is_multiple_of(7);
        let cut = (0..good.len()).filter(near_an_end).map(|len| &good[..len]);
        for bad in cut.chain([grown.as_slice()]) {
            overwrite(&file, bad);
            let what = format!("{} with {} bytes", file.display(), bad.len());
            let found = survey(&store, &blobs, &what);
            assert!(
                found.is_some_and(|found| !found.is_sound()),
                "not found: {what}"
            );
        }
        overwrite(&file, &good);
    }
}

#[test]
fn without_any_index_everything_is_still_there() {
    let (_dir, store, blobs) = small_store();
    fs::remove_dir_all(store.path().join("index")).unwrap();
    let store = Store::open(store.path()).unwrap();
    for (id, bytes) in &blobs {
        assert_eq!(store.read(id).unwrap(), *bytes);
    }
    let found = store.verify(&Silent).unwrap();
    assert!(found.is_sound());
    assert_eq!(found.notes.len(), 3);
}

#[test]
fn a_damaged_pack_directory_is_made_up_for_by_the_index() {
    let (_dir, store, blobs) = small_store();
    for file in files(&store)
        .iter()
        .filter(|file| file.starts_with(store.path().join("packs")))
    {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let found = survey(&store, &blobs, "changed trailers").unwrap();
    assert_eq!(found.blobs, blobs.len() as u64);
    assert!(
        found
            .problems
            .iter()
            .all(|problem| problem.blobs.is_empty())
            && found.problems.len() == 6
    );
}

#[test]
fn a_lost_pack_is_named_with_its_blobs_and_written_again_by_the_next_backup() {
    let (_dir, store, blobs) = small_store();
    let (id, base) = blobs.iter().find(|(_, bytes)| **bytes == digits()).unwrap();
    let place = store.0.places(id).unwrap()[0];
    store
        .files()
        .remove(&layout::pack_name(&place.pack))
        .unwrap();

    let store = Store::open(store.path()).unwrap();
    let found = store.verify(&Silent).unwrap();
    assert_eq!((found.gone.len(), found.hanging.len()), (1, 1), "{found:?}");
    assert!(found.gone[0].blobs.contains(id) && found.is_sound());
    assert!(
        found.hanging[0].what.contains("not in the store"),
        "the patch on top of it is lost too: {found:?}"
    );
    // The pack of that patch is as it was written: nothing is to be repaired in it.
    store.verify_some(Amount::All, at(5), &Silent).unwrap();
    assert!(store.damage_found_before().unwrap().is_empty());
    // Nor is it of use without an index, which would tell of the pack that is gone.
    let patch = found.hanging[0].blobs[0];
    assert!(!store.contains(&patch));
    fs::rename(store.path().join("index"), store.path().join("moved")).unwrap();
    assert!(!Store::open(store.path()).unwrap().contains(&patch));
    fs::rename(store.path().join("moved"), store.path().join("index")).unwrap();
    assert!(matches!(store.read(id), Err(StoreError::MissingBlob(_))));
    let writer = store.writer().unwrap();
    writer.put(BlobKind::Data, base, None).unwrap();
    writer.commit(b"healed", at(9)).unwrap();
    assert_eq!(store.read(id).unwrap(), *base);
}

#[test]
fn leftovers_and_foreign_files_are_noted_and_passed_over() {
    let (_dir, store, blobs) = small_store();
    let id = FileId::of(b"foreign").to_string();
    let other = if id.starts_with("00") { "01" } else { "00" };
    fs::create_dir_all(store.path().join("packs").join(other)).unwrap();
    for name in [
        ".tmp-abc".into(),
        "packs/.tmp-abc".into(),
        format!("packs/{other}/{id}"),
        format!("index/0-{id}.bak"),
        "snapshots/notes.txt".into(),
        "Thumbs.db".into(),
    ] {
        fs::write(store.path().join(name), b"what is this").unwrap();
    }
    let found = survey(&store, &blobs, "foreign files").unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.notes.len(), 6, "{:?}", found.notes);
}

#[test]
fn a_file_under_the_name_of_another_is_found() {
    let (_dir, store, blobs) = small_store();
    let packs: Vec<PathBuf> = files(&store)
        .into_iter()
        .filter(|f| f.starts_with(store.path().join("packs")))
        .collect();
    let (one, other) = (fs::read(&packs[0]).unwrap(), fs::read(&packs[1]).unwrap());
    fs::write(&packs[0], other).unwrap();
    fs::write(&packs[1], one).unwrap();
    let found = survey(&store, &blobs, "swapped packs").unwrap();
    assert!(found.problems.len() >= 2);
}

#[test]
fn what_a_check_found_is_known_without_another_listing_of_the_packs() {
    let memory = Memory::new(at(0));
    let store = Store::create_in(Files::new("memory", memory.clone()), at(0)).unwrap();
    commit(&store, 1, &[notebook(1, 50)]);
    let (pack, _) = layout::list_packs(store.files()).unwrap()[0];
    let name = layout::pack_name(&pack);
    let mut bytes = store.files().read(&name, 1 << 20).unwrap().unwrap();
    bytes[40] ^= 1;
    memory.remove(&name).unwrap();
    memory.put(&name, &bytes).unwrap();
    store.verify_some(Amount::All, at(2), &Silent).unwrap();
    let listings = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&listings);
    let hook = move |op: Op<'_>| {
        if matches!(op, Op::List("packs")) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Fate::Done
    };
    let watched = Files::new("memory", memory.hooked(Arc::new(hook)));
    let store = Store::open_in(watched, &[]).unwrap().unwrap();
    let opening = listings.load(Ordering::SeqCst);
    assert!(opening > 0);
    assert_eq!(store.damage_found_before().unwrap()[0].file, name);
    assert_eq!(listings.load(Ordering::SeqCst), opening);
}

#[test]
fn garbage_among_records_of_readings_is_named_by_every_check() {
    let (_dir, store, _) = small_store();
    store.verify_some(Amount::All, at(9), &Silent).unwrap();
    let record = fs::read_dir(store.path().join("verified")).unwrap();
    let record = record.last().unwrap().unwrap().path();
    overwrite(&record, b"garbage");
    let record = record.file_name().unwrap().to_str().unwrap();
    for notes in [
        store.verify_small().unwrap().notes,
        store.verify(&Silent).unwrap().notes,
    ] {
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(record), "{notes:?}");
    }
}
