//! Segments find what was put into them, and what is no segment is refused.

use super::header::tables_hash;
use super::*;
use proptest::prelude::*;

fn data(blobs: u32) -> SegmentData {
    let mut data = SegmentData::default();
    let pack = |id: &[u8]| IndexedPack {
        id: FileId::of(id),
        size: 1000,
        kind: BlobKind::Data,
    };
    let spot = |n| Spot {
        frame_offset: 32,
        frame_len: 50,
        blob_offset: n,
        blob_len: 1,
    };
    data.supersedes.push(SegmentName {
        level: 0,
        id: FileId::of(b"old"),
    });
    data.add(
        pack(b"one"),
        (0..blobs).map(|n| (BlobId::of(&n.to_le_bytes()), spot(n))),
    );
    data.add(
        pack(b"two"),
        (0..blobs / 2).map(|n| (BlobId::of(&n.to_le_bytes()), spot(n + 7))),
    );
    data
}

#[test]
fn the_encoding_is_pinned() {
    let bytes = data(3).encode();
    assert_eq!(bytes.len(), 64 + 33 + 2 * 40 + 4 + 4 * 52);
    assert_eq!(
        bytes[..24],
        *b"DBSNIDX1\x01\0\0\0\x01\0\0\0\x02\0\0\0\x04\0\0\0"
    );
    let hash = FileId::of(&bytes).to_string();
    assert_eq!(
        hash,
        "f71d7e201c44ba67bbd6996af9062abdfc376587669c0bbc59a3d391454b8561"
    );
}

#[test]
fn every_copy_of_a_blob_is_found_and_nothing_else() {
    for blobs in [0, 1, 16, 17, 500, 5000] {
        let segment = Segment::from_bytes(data(blobs).encode()).unwrap();
        assert_eq!(segment.len() as u32, blobs + blobs / 2);
        for n in 0..blobs {
            let found = segment.find(&BlobId::of(&n.to_le_bytes())).unwrap();
            let mut offsets: Vec<u32> = found.iter().map(|entry| entry.spot.blob_offset).collect();
            offsets.sort_unstable();
            let both = [n, n + 7];
            assert_eq!(offsets, if n < blobs / 2 { &both[..] } else { &both[..1] });
        }
        assert_eq!(segment.find(&BlobId::of(b"another")).unwrap(), []);
    }
}

#[test]
fn what_a_later_version_may_say_of_a_pack_is_refused() {
    let good = data(3).encode();
    for at in 64 + 33 + 37..64 + 33 + 40 {
        let mut newer = good.clone();
        newer[at] = 1;
        let tables = newer.len() - 4 * ENTRY;
        let check = tables_hash(&newer[..tables]);
        newer[32..64].copy_from_slice(&check);
        let refused = Segment::from_bytes(newer).unwrap_err();
        assert!(refused.contains("unknown flags"), "{refused}");
    }
}

#[test]
fn a_changed_table_is_refused() {
    let good = data(40).encode();
    let tables = good.len() - 60 * ENTRY;
    for at in 0..tables {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(Segment::from_bytes(bad).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(tail in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let head: &[u8] = if magic { b"DBSNIDX1\x01" } else { b"" };
        prop_assert!(Segment::from_bytes([head, &tail].concat()).is_err());
    }
}
