//! Every decoder of the store, given thousands of inputs that are good almost everywhere.
//!
//! Where a checksum would keep changed bytes from going far, the input is what it is made over.

use std::path::Path;

use super::*;
use crate::store::backend::Files;
use crate::store::config::Config;
use crate::store::crypt::{Class, MasterKey};
use crate::store::directory::Directory;
use crate::store::frame::{Encoder, FrameHeader, MAX_RAW, encode_patch};
use crate::store::index::{Segment, SegmentData};
use crate::store::layout::SegmentName;
use crate::store::reader::Locate;
use crate::testing::fuzz;

/// The files below a directory of the plain golden store.
fn golden(dir: &str) -> Vec<Vec<u8>> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/format-1");
    let files = walkdir::WalkDir::new(store.join(dir))
        .sort_by_file_name()
        .into_iter();
    let files = files
        .map(Result::unwrap)
        .filter(|file| file.file_type().is_file());
    files.map(|file| fs::read(file.path()).unwrap()).collect()
}

fn base() -> Vec<u8> {
    notebook(7, 60)
}

/// A frame of every codec.
fn frames() -> Vec<Vec<u8>> {
    let (base, new) = (base(), edited(&base(), 1));
    let mut encoder = Encoder::new().unwrap();
    let solid = encoder.encode(3, &[new.as_slice(), &base].concat(), 2);
    let raw = encoder.encode(3, b"\x01\x02\x03", 1);
    let patch = encode_patch(3, &new, (BlobId::of(&base), &base), 1);
    [solid, raw, patch].map(|frame| frame.unwrap().bytes).into()
}

#[test]
fn fuzzed_frames_are_refused_or_decode_to_the_length_that_they_say() {
    let base = base();
    let decode = |frame: &[u8]| {
        let Ok((header, payload)) = FrameHeader::parse(frame) else {
            return false;
        };
        assert_eq!(
            header.stored(payload),
            frame,
            "the form of a header is the only one"
        );
        let Ok(raw) = header.decode(payload, Some(&base)) else {
            return false;
        };
        assert!(raw.len() == header.raw_len as usize && header.raw_len <= MAX_RAW);
        true
    };
    fuzz("frames", &frames(), decode);
    let with_checksum = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        let start = if frame.first() == Some(&2) { 48 } else { 16 };
        if frame.len() >= start {
            let check = xxhash_rust::xxh3::xxh3_64(&frame[start..]);
            frame[8..16].copy_from_slice(&check.to_le_bytes());
        }
        decode(&frame)
    };
    let fuzzed = fuzz("frames with right checksums", &frames(), with_checksum);
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_directories_are_refused_or_add_up_and_are_read_the_same_again() {
    // Two counts, and then the columns.
    let of = |directory: &Directory| {
        let counts = [directory.frames.len(), directory.blobs.len()];
        let counts = counts.map(|count| (count as u32).to_le_bytes());
        [counts.concat(), directory.encode()].concat()
    };
    let packs = golden("packs").into_iter();
    let directories = packs.map(|pack| pack::parse_directory(&pack, Path::new("x")).unwrap());
    let good: Vec<Vec<u8>> = directories.map(|directory| of(&directory)).collect();
    let fuzzed = fuzz("directories", &good, |input| {
        let Some(([frames, blobs], raw)) = two_numbers(input) else {
            return false;
        };
        let Ok(directory) = Directory::decode(BlobKind::Data, raw, frames, blobs) else {
            return false;
        };
        assert_eq!(
            (directory.frames.len(), directory.blobs.len()),
            (frames as usize, blobs as usize)
        );
        for (_, frame, blobs) in directory.frames() {
            let lengths: u64 = blobs.iter().map(|(_, len)| u64::from(*len)).sum();
            assert_eq!(lengths, u64::from(frame.raw_len));
        }
        let end = u64::from(pack::HEADER) + directory.stored_len();
        for (_, spot) in directory.spots() {
            assert!(u64::from(spot.frame_offset) + u64::from(spot.frame_len) <= end);
            assert!(u64::from(spot.blob_offset) + u64::from(spot.blob_len) <= MAX_RAW.into());
        }
        let again = directory.encode();
        assert!(
            again.len() <= raw.len(),
            "numbers may be longer than they need be, and nothing else"
        );
        assert_eq!(
            Directory::decode(BlobKind::Data, &again, frames, blobs),
            Ok(directory)
        );
        true
    });
    assert!(fuzzed.accepted > 0);
}

fn two_numbers(input: &[u8]) -> Option<([u32; 2], &[u8])> {
    let (counts, rest) = input.split_first_chunk::<8>()?;
    let number = |at: usize| u32::from_le_bytes(counts[at..at + 4].try_into().unwrap());
    Some(([number(0), number(4)], rest))
}

#[test]
fn fuzzed_packs_are_refused_or_have_a_directory_that_fills_them() {
    let decode = |pack: &[u8]| match pack::parse_directory(pack, Path::new("x")) {
        Ok(directory) => {
            assert!(directory.stored_len() < pack.len() as u64);
            true
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
            false
        }
    };
    fuzz("packs", &golden("packs"), decode);
    // The checksum of the directory is made right, as far as there is one to tell.
    let fuzzed = fuzz("packs with right checksums", &golden("packs"), |pack| {
        let mut pack = pack.to_vec();
        if let Some((frames, trailer)) = pack.split_last_chunk_mut::<48>() {
            let len = u32::from_le_bytes(*trailer.first_chunk().unwrap()) as usize;
            if let Some(start) = frames.len().checked_sub(len) {
                let hash = *blake3::hash(&frames[start..]).as_bytes();
                trailer[16..32].copy_from_slice(&hash[..16]);
            }
        }
        decode(&pack)
    });
    assert!(fuzzed.accepted > 0);
}

/// Everything that a segment says, as data.
fn content_of(segment: &Segment) -> SegmentData {
    let mut data = SegmentData {
        supersedes: segment.supersedes.clone(),
        packs: segment.packs.clone(),
        entries: Vec::new(),
    };
    segment.for_each(|entry| data.entries.push(entry)).unwrap();
    data
}

#[test]
fn fuzzed_segments_are_refused_or_say_the_same_when_written_again() {
    let decode = |bytes: &[u8]| {
        let Ok(segment) = Segment::from_bytes(bytes.to_vec()) else {
            return false;
        };
        let mut data = content_of(&segment);
        for entry in &data.entries {
            segment.find(&entry.id).unwrap();
        }
        let entries = data.entries.clone();
        let is_as_written = entries.is_sorted_by(|a, b| a < b);
        let again = data.encode();
        let same = Segment::from_bytes(again.clone()).unwrap();
        for entry in &entries {
            assert!(same.find(&entry.id).unwrap().contains(entry));
        }
        // A writer is free in the width of the fan-out, and in nothing else.
        assert!(!is_as_written || again[9] != bytes[9] || again == bytes);
        true
    };
    fuzz("segments", &golden("index"), decode);
    let fuzzed = fuzz("segments with right checksums", &golden("index"), |bytes| {
        decode(&with_tables_hash(bytes).unwrap_or_else(|| bytes.to_vec()))
    });
    assert!(fuzzed.accepted > 0);
}

fn with_tables_hash(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let bits = bytes.get(9).filter(|bits| **bits <= 16)?;
    let tables = 64 + number(12)? * 33 + number(16)? * 40 + (4 << bits);
    let (start, tables) = (bytes.get(..32)?, bytes.get(64..tables)?);
    let mut hasher = blake3::Hasher::new();
    hasher.update(start).update(tables);
    let mut bytes = bytes.to_vec();
    bytes[32..64].copy_from_slice(hasher.finalize().as_bytes());
    Some(bytes)
}

#[test]
fn fuzzed_records_are_refused_or_name_packs() {
    let good = golden("condemned");
    assert!(!good.is_empty());
    let damaged = look::record(&look::Condemned {
        packs: vec![FileId::of(b"a"), FileId::of(b"b")],
        is_damage: true,
    });
    let good = [good, vec![damaged]].concat();
    let fuzzed = fuzz("records", &good, |bytes| {
        let name = HeadName::new(at(1), SnapshotId::of(bytes));
        let Ok(condemned) = look::parse_record(&name, bytes) else {
            return false;
        };
        let again = look::record(&condemned);
        let name = HeadName::new(at(1), SnapshotId::of(&again));
        let same = look::parse_record(&name, &again).unwrap();
        assert_eq!(
            (same.packs, same.is_damage),
            (condemned.packs, condemned.is_damage)
        );
        true
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_configurations_are_refused_by_their_name_or_written_the_same_again() {
    let good = [Encryption::None, Encryption::XChaCha20Poly1305];
    let good = good.map(|encryption| Config::new([0xab; 16], at(5), encryption).to_bytes());
    let unchecked = String::from_utf8(good[0].clone())
        .unwrap()
        .replace("\"check\"", "\"other\"");
    let good = [good.to_vec(), vec![unchecked.into_bytes()]].concat();
    let root = Path::new("the store");
    let fuzzed = fuzz("configurations", &good, |bytes| {
        match Config::parse(bytes, root) {
            Ok(config) => {
                let files = Files::new("memory", crate::store::backend::Memory::new(at(0)));
                let again = Config::parse(&config.to_bytes(), root).unwrap();
                assert!(again.damage(&files).is_none());
                let is_intact = config.damage(&files).is_none();
                // Whitespace and what is unknown is all that may be different, and the hash is over those as well.
                assert!(!is_intact || again.id == config.id);
                true
            }
            Err(error) => {
                assert!(error.to_string().contains("the store"), "{error}");
                false
            }
        }
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_names_are_refused_or_the_only_ones_of_what_they_name() {
    let id = FileId::of(b"x");
    let good = [
        format!("20260309T070504.000Z-{}", SnapshotId::of(b"x")),
        format!("17-{id}"),
        id.to_string(),
        format!("a.label-{id}.age"),
    ];
    let good = good.map(String::into_bytes);
    let fuzzed = fuzz("names", &good, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let names = [
            text.parse::<HeadName>().ok().map(|name| name.to_string()),
            text.parse::<SegmentName>()
                .ok()
                .map(|name| name.to_string()),
            text.parse::<FileId>().ok().map(|id| id.to_string()),
            text.parse::<SlotName>().ok().map(|name| name.to_string()),
        ];
        let names: Vec<String> = names.into_iter().flatten().collect();
        assert!(names.iter().all(|name| *name == text), "{names:?}");
        !names.is_empty()
    });
    assert!(fuzzed.accepted > 0);
}

#[test]
fn fuzzed_sealed_files_are_refused_or_open_to_what_was_sealed() {
    let crypt = Crypt::new(MasterKey::from_bytes(&[5; 32]));
    let texts = [Vec::new(), notebook(1, 3), notebook(2, 400)];
    let sealed = |text: &Vec<u8>| crypt.seal(Class::Head, "name", text).unwrap();
    let good: Vec<Vec<u8>> = texts.iter().map(sealed).collect();
    fuzz("sealed files", &good, |file| {
        let Ok(text) = crypt.open(Class::Head, "name", file) else {
            return false;
        };
        let sealed = good.iter().position(|good| good == file);
        assert_eq!(text, texts[sealed.expect("nobody else has the key")]);
        true
    });
}

#[test]
fn a_file_that_claims_to_be_much_longer_than_it_is_makes_nobody_allocate_that() {
    let (_dir, store) = new_store();
    let id = commit(&store, 1, &[notebook(1, 50)])[0];
    let place = store.0.places(&id).unwrap()[0];
    let pack = fs::read(store.files().path(&layout::pack_name(&place.pack))).unwrap();
    let segment = golden("index").remove(0);
    let refuses = |what: &str| {
        assert!(
            what.contains("absurd") || what.contains("short") || what.contains("than"),
            "{what}"
        )
    };
    for number in [u32::MAX, u32::MAX / 2, 1 << 30] {
        // The lengths of the directory, and its counts.
        for at in [48, 44, 40, 36] {
            let mut pack = pack.clone();
            let at = pack.len() - at;
            pack[at..at + 4].copy_from_slice(&number.to_le_bytes());
            let error = pack::parse_directory(&pack, Path::new("x")).unwrap_err();
            refuses(&error.to_string());
        }
        for at in [12, 16, 20] {
            let mut segment = segment.clone();
            segment[at..at + 4].copy_from_slice(&number.to_le_bytes());
            refuses(&Segment::from_bytes(segment).unwrap_err());
        }
        let mut frame = frames().remove(0);
        frame[4..8].copy_from_slice(&number.to_le_bytes());
        refuses(&FrameHeader::parse(&frame).unwrap_err().to_string());
    }
}
