//! Packs that no writer of ours has made.

use super::frame::{Encoded, Encoder, encode_patch};
use super::pack::PackBuilder;
use std::fs;

use super::*;
use crate::report::Silent;

/// Adds a pack of these frames of one blob each, and opens the store anew.
fn with_pack(store: &Store, frames: &[(Encoded, &[u8])]) -> Store {
    let mut pack = PackBuilder::new(BlobKind::Data, [7; 16]);
    for (frame, blob) in frames {
        pack.push(frame, &[(BlobId::of(blob), blob.len() as u32)]);
    }
    pack.finish(store.files()).unwrap();
    Store::open(store.path()).unwrap()
}

fn solid(blob: &[u8]) -> Encoded {
    Encoder::new().unwrap().encode(3, blob, 1).unwrap()
}

fn patch(blob: &[u8], base: &[u8], depth: u8) -> Encoded {
    encode_patch(3, blob, (BlobId::of(base), base), depth).unwrap()
}

#[test]
fn patches_in_a_circle_are_refused() {
    let (_dir, store) = new_store();
    for depths in [(1, 1), (1, 2), (2, 1), (64, 64)] {
        let frames = [
            (patch(b"one", b"two", depths.0), &b"one"[..]),
            (patch(b"two", b"one", depths.1), b"two"),
        ];
        let store = with_pack(&store, &frames);
        for blob in [b"one", b"two"] {
            assert!(matches!(
                store.read(&BlobId::of(blob)),
                Err(StoreError::Corrupt { .. })
            ));
        }
        assert!(!store.verify(&Silent).unwrap().is_sound());
    }
}

#[test]
fn a_chain_may_be_64_deep_and_no_deeper() {
    let (_dir, store) = new_store();
    let blobs: Vec<Vec<u8>> = (0..=65).map(|n| vec![n; 10]).collect();
    let mut frames = vec![(solid(&blobs[0]), blobs[0].as_slice())];
    for depth in 1..=65 {
        frames.push((
            patch(&blobs[depth], &blobs[depth - 1], depth as u8),
            &blobs[depth],
        ));
    }
    let store = with_pack(&store, &frames);
    assert_eq!(store.read(&BlobId::of(&blobs[64])).unwrap(), blobs[64]);
    let deeper = store.read(&BlobId::of(&blobs[65])).unwrap_err();
    assert!(deeper.to_string().contains("absurd depth 65"), "{deeper}");
}

#[test]
fn a_base_is_taken_from_a_copy_that_is_shallow_enough() {
    let (_dir, store) = new_store();
    let base: &[u8] = b"the base";
    // One copy of the base is itself deeper than the patch on it; the other is not.
    let deep = with_pack(
        &store,
        &[(solid(b"zero"), b"zero"), (patch(base, b"zero", 3), base)],
    );
    let frames = [(patch(b"the base!", base, 2), &b"the base!"[..])];
    let unreadable = with_pack(&deep, &frames);
    assert!(unreadable.read(&BlobId::of(b"the base!")).is_err());
    let readable = with_pack(&unreadable, &[(solid(base), base)]);
    assert_eq!(
        readable.read(&BlobId::of(b"the base!")).unwrap(),
        b"the base!"[..]
    );
    assert!(readable.verify(&Silent).unwrap().is_sound());
}

#[test]
fn an_unknown_codec_names_the_blob_and_spares_the_others() {
    let (_dir, store) = new_store();
    let mut newer = solid(b"newer");
    newer.header.codec = 9;
    newer.bytes[0] = 9;
    let store = with_pack(&store, &[(newer, b"newer"), (solid(b"older"), b"older")]);
    let id = BlobId::of(b"newer");
    let error = store.read(&id).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerCodec { blob, codec: 9 } if blob == id),
        "{error}"
    );
    assert_eq!(store.read(&BlobId::of(b"older")).unwrap(), b"older"[..]);
    let found = store.verify(&Silent).unwrap();
    assert_eq!((found.blobs, found.problems.len()), (1, 1));
    assert_eq!(found.problems[0].blobs, [id]);
    assert!(found.problems[0].what.contains("needs a newer dbsnap"));
}

#[test]
fn a_directory_that_lies_about_a_blob_yields_no_wrong_bytes() {
    let (_dir, store) = new_store();
    let store = with_pack(&store, &[(solid(b"what is there"), b"what is meant")]);
    assert!(matches!(
        store.read(&BlobId::of(b"what is meant")),
        Err(StoreError::Corrupt { .. })
    ));
    assert!(matches!(
        store.read(&BlobId::of(b"what is there")),
        Err(StoreError::MissingBlob(_))
    ));
    assert!(!store.verify(&Silent).unwrap().is_sound());
}

#[test]
fn a_directory_that_lies_about_a_frame_is_found() {
    let (_dir, store) = new_store();
    let blob = notebook(1, 50);
    let mut frame = solid(&blob);
    frame.header.codec = super::frame::codec::RAW;
    let store = with_pack(&store, &[(frame, &blob)]);
    assert_eq!(store.read(&BlobId::of(&blob)).unwrap(), blob);
    let found = store.verify(&Silent).unwrap();
    assert!(
        found.problems[0]
            .what
            .contains("not what the directory says"),
        "{found:?}"
    );
}

#[test]
fn an_index_that_disagrees_with_a_directory_is_found_and_read_around() {
    let (_dir, store) = new_store();
    let id = commit(&store, 1, &[notebook(1, 50)])[0];
    let place = store.0.places(&id).unwrap()[0];
    fs::remove_dir_all(store.path().join("index")).unwrap();
    let mut data = super::index::SegmentData::default();
    let size = fs::metadata(store.files().path(&layout::pack_name(&place.pack)))
        .unwrap()
        .len() as u32;
    let pack = super::index::IndexedPack {
        id: place.pack,
        size,
        kind: BlobKind::Data,
    };
    let wrong = super::directory::Spot {
        blob_offset: 1,
        ..place.spot
    };
    data.add(pack, std::iter::once((id, wrong)));
    data.publish(store.files(), 0).unwrap();

    let store = Store::open(store.path()).unwrap();
    assert_eq!(store.read(&id).unwrap(), notebook(1, 50));
    let found = store.verify(&Silent).unwrap();
    assert_eq!(found.problems.len(), 1);
    assert!(
        found.problems[0].what.contains("does not agree"),
        "{found:?}"
    );
}
