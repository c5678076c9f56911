//! Directories survive being written and read, and what is no directory is refused.

use super::*;
use proptest::prelude::*;

fn directory(frames: &[(u8, u32, Vec<u32>)]) -> Directory {
    let mut directory = Directory::new(BlobKind::Data);
    for (n, (codec, stored_len, lengths)) in frames.iter().enumerate() {
        let id = |m: usize| BlobId::of(&[n as u8, m as u8]);
        let blobs: Vec<_> = lengths
            .iter()
            .enumerate()
            .map(|(m, len)| (id(m), *len))
            .collect();
        let frame = FrameEntry {
            stored_len: *stored_len,
            raw_len: lengths.iter().sum(),
            codec: *codec,
            depth: codec / 2,
            blobs: lengths.len() as u16,
            base: (*codec == codec::PATCH).then(|| BlobId::of(b"base")),
        };
        directory.push(frame, &blobs);
    }
    directory
}

fn decode(directory: &Directory, raw: &[u8]) -> Result<Directory, String> {
    let counts = (directory.frames.len() as u32, directory.blobs.len() as u32);
    Directory::decode(directory.kind, raw, counts.0, counts.1)
}

#[test]
fn the_encoding_is_pinned() {
    let directory = directory(&[
        (1, 300, vec![5, 0, 1000]),
        (2, 60, vec![70_000]),
        (0, 20, vec![4]),
    ]);
    let raw = directory.encode();
    let columns = raw.len() - (1 + 5) * 32;
    assert_eq!(
        raw[..columns],
        [
            [0xac, 2, 60, 20].as_slice(),
            &[0xed, 7, 0xf0, 0xa2, 4, 4],
            &[1, 2, 0],
            &[0, 1, 0],
            &[3, 1, 1],
            &[5, 0, 0xe8, 7, 0xf0, 0xa2, 4, 4],
        ]
        .concat()
    );
    assert_eq!(raw[columns..columns + 32], *BlobId::of(b"base").as_bytes());
    assert_eq!(raw[raw.len() - 32..], *BlobId::of(&[2, 0]).as_bytes());
}

#[test]
fn blobs_lie_one_after_the_other() {
    let directory = directory(&[(1, 300, vec![5, 7]), (0, 20, vec![4])]);
    let spots: Vec<_> = directory.spots().map(|(_, spot)| spot).collect();
    let spot = |frame_offset, frame_len, blob_offset, blob_len| Spot {
        frame_offset,
        frame_len,
        blob_offset,
        blob_len,
    };
    assert_eq!(
        spots,
        [
            spot(32, 300, 0, 5),
            spot(32, 300, 5, 7),
            spot(332, 20, 0, 4)
        ]
    );
}

#[test]
fn counts_that_the_directory_is_too_short_for_are_refused_before_anything_is_read() {
    let zeros = vec![0; 38 * 100];
    let refused =
        |frames, blobs| Directory::decode(BlobKind::Data, &zeros, frames, blobs).unwrap_err();
    assert!(refused(100, 101).contains("shorter than its counts"));
    assert!(refused(101, 100).contains("shorter than its counts"));
    assert!(refused(101, 0).contains("without blobs"));
    assert!(refused(u32::MAX, u32::MAX).contains("shorter than its counts"));
    // As many as there is room for are read.
    assert!(refused(100, 100).contains("wrong"), "{}", refused(100, 100));
}

#[test]
fn numbers_that_do_not_add_up_are_refused() {
    let good = directory(&[(1, 300, vec![5, 7])]);
    let raw = good.encode();
    assert!(Directory::decode(BlobKind::Data, &raw, 1, 1).is_err());
    assert!(Directory::decode(BlobKind::Data, &raw, 2, 2).is_err());
    assert!(Directory::decode(BlobKind::Data, &raw, u32::MAX, u32::MAX).is_err());
    for wrong in [
        FrameEntry {
            raw_len: 13,
            ..good.frames[0]
        },
        FrameEntry {
            stored_len: MAX_STORED + 1,
            ..good.frames[0]
        },
        FrameEntry {
            blobs: 1,
            ..good.frames[0]
        },
    ] {
        let bad = Directory {
            frames: vec![wrong],
            ..good.clone()
        };
        assert!(decode(&good, &bad.encode()).is_err(), "{wrong:?}");
    }
    let absurd = directory(&[(1, 300, vec![MAX_RAW, 1])]);
    assert!(decode(&absurd, &absurd.encode()).is_err());
    let empty = directory(&[(1, 300, vec![])]);
    assert!(decode(&empty, &empty.encode()).is_err());
}

proptest! {
    #[test]
    fn any_directory_survives(
        frames in prop::collection::vec((0_u8..5, 1_u32..40_000, prop::collection::vec(0_u32..9_000, 1..9)), 0..20),
    ) {
        let directory = directory(&frames);
        prop_assert_eq!(decode(&directory, &directory.encode()), Ok(directory));
    }

    #[test]
    fn garbage_is_refused_without_a_panic(raw in prop::collection::vec(any::<u8>(), 0..200), frames: u8, blobs: u8) {
        let _ = Directory::decode(BlobKind::Data, &raw, frames.into(), blobs.into());
    }
}
