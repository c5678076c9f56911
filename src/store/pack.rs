//! Packs: files of frames, each with a directory of its own.
//!
//! Invariant: a pack is complete without the index. Its name is the hash of all its bytes, and a random nonce makes
//! sure that a name that was deleted once is never written again.

use std::path::Path;

use super::backend::Files;
use super::directory::{Directory, FrameEntry};
use super::error::{StoreError, corrupt};
use super::frame::{self, Encoded, array};
use super::id::{BlobId, BlobKind, FileId};
use super::layout::pack_name;

/// A pack is closed when it has grown to this size.
pub(super) const TARGET: usize = 16 << 20;
/// How far the last frame and the directory of most packs reach beyond that.
const SLACK: usize = 2 << 20;
/// A pack is closed when it has this many blobs, so that directories stay small.
pub(super) const TARGET_BLOBS: usize = 1 << 17;
/// The length of the header, and so the offset of the first frame.
pub(super) const HEADER: u32 = 32;

const TRAILER: usize = 48;
pub(super) const MAGIC: &[u8; 8] = b"DBSNPACK";
const END: &[u8; 8] = b"DBSNEND1";
const FORMAT: u8 = 1;
/// Read, a directory takes about four times as much memory, even if next to nothing is stored of it.
const MAX_DIRECTORY: u32 = 16 << 20;
const DIRECTORY_LEVEL: i32 = 3;

/// Sixteen random bytes that make a pack unique.
pub(super) type Nonce = [u8; 16];

/// A pack that is being made, frame by frame, in memory: it has no name before it is whole.
pub(super) struct PackBuilder {
    bytes: Vec<u8>,
    directory: Directory,
}

/// A pack that has got its name.
#[derive(Debug)]
pub(super) struct FinishedPack {
    pub(super) id: FileId,
    pub(super) size: u32,
    pub(super) directory: Directory,
}

impl PackBuilder {
    pub(super) fn new(kind: BlobKind, nonce: Nonce) -> Self {
        // Memory that is not written to costs nothing, while growing beyond the target would double it.
        let mut bytes = Vec::with_capacity(TARGET + SLACK);
        bytes.extend_from_slice(&header(kind, nonce));
        Self {
            bytes,
            directory: Directory::new(kind),
        }
    }

    /// Appends a frame with the blobs in it.
    pub(super) fn push(&mut self, frame: &Encoded, blobs: &[(BlobId, u32)]) {
        self.bytes.extend_from_slice(&frame.bytes);
        self.directory.push(FrameEntry::of(frame), blobs);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET || self.directory.blobs.len() >= TARGET_BLOBS
    }

    /// Adds directory and trailer, and stores the pack under its name.
    pub(super) fn finish(mut self, files: &Files) -> Result<FinishedPack, StoreError> {
        self.bytes.extend(tail(&self.directory));
        let id = files.put_hashed(pack_name, &self.bytes)?;
        let size = u32::try_from(self.bytes.len());
        Ok(FinishedPack {
            id,
            size: size.expect("a frame and a directory are far below 4 GiB"),
            directory: self.directory,
        })
    }
}

/// Reads the directory of a pack, and how long the pack is; the frames are not looked at.
pub(super) fn read_directory(files: &Files, id: &FileId) -> Result<(Directory, u32), StoreError> {
    let name = pack_name(id);
    let path = files.path(&name);
    let size = files.len(&name)?;
    let size = size.ok_or_else(|| corrupt(&path, "the pack is gone"))?;
    let read = |offset: u32, len: u32| files.read_at(&name, offset.into(), len as usize);
    let (directory, size) = parse(size, read, &|what| corrupt(&path, what))?;
    Ok((directory, size))
}

/// The directory of a pack that is in memory as a whole.
pub(super) fn parse_directory(bytes: &[u8], path: &Path) -> Result<Directory, StoreError> {
    let read = |offset: u32, len: u32| {
        let part = &bytes[offset as usize..][..len as usize];
        Ok(part.to_vec())
    };
    let refuse = |what: String| corrupt(path, what);
    Ok(parse(bytes.len() as u64, read, &refuse)?.0)
}

/// Reads header, trailer and directory, each from a place that lies within the pack.
fn parse(
    size: u64,
    read: impl Fn(u32, u32) -> Result<Vec<u8>, StoreError>,
    refuse: &dyn Fn(String) -> StoreError,
) -> Result<(Directory, u32), StoreError> {
    let size = u32::try_from(size).map_err(|_| refuse("a pack is never that long".into()))?;
    let body = size
        .checked_sub(HEADER + TRAILER as u32)
        .ok_or_else(|| refuse("a pack is never that short".into()))?;
    let kind = parse_header(&array(&read(0, HEADER)?)).map_err(refuse)?;
    let trailer = read(HEADER + body, TRAILER as u32)?;
    let trailer = Trailer::parse(&array(&trailer)).map_err(|what| refuse(what.into()))?;
    let frames_len = body
        .checked_sub(trailer.stored_len)
        .ok_or_else(|| refuse("the directory is longer than the pack".into()))?;
    let stored = read(HEADER + frames_len, trailer.stored_len)?;
    let directory = trailer.directory(kind, &stored, frames_len);
    Ok((directory.map_err(refuse)?, size))
}

struct Trailer {
    stored_len: u32,
    raw_len: u32,
    frames: u32,
    blobs: u32,
    check: [u8; 16],
}

impl Trailer {
    fn parse(bytes: &[u8; TRAILER]) -> Result<Self, &'static str> {
        if &bytes[40..] != END || bytes[32..40] != [0; 8] {
            return Err("the trailer is not that of a pack");
        }
        let number = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
        let trailer = Self {
            stored_len: number(0),
            raw_len: number(4),
            frames: number(8),
            blobs: number(12),
            check: array(&bytes[16..32]),
        };
        if trailer.raw_len > MAX_DIRECTORY || trailer.stored_len > MAX_DIRECTORY {
            return Err("the directory has an absurd length");
        }
        Ok(trailer)
    }

    fn directory(
        &self,
        kind: BlobKind,
        stored: &[u8],
        frames_len: u32,
    ) -> Result<Directory, String> {
        if short_hash(stored) != self.check {
            return Err("the checksum of the directory does not match".into());
        }
        let raw = frame::decompress(stored, self.raw_len as usize, None)
            .map_err(|error| error.to_string())?;
        if raw.len() != self.raw_len as usize {
            return Err("the directory has another length than the trailer says".into());
        }
        let directory = Directory::decode(kind, &raw, self.frames, self.blobs)?;
        if directory.stored_len() != u64::from(frames_len) {
            return Err("the frames of the directory do not fill the pack".into());
        }
        Ok(directory)
    }
}

fn header(kind: BlobKind, nonce: Nonce) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8] = FORMAT;
    header[9] = kind.code();
    header[16..].copy_from_slice(&nonce);
    header
}

fn parse_header(header: &[u8; HEADER as usize]) -> Result<BlobKind, String> {
    if &header[..8] != MAGIC {
        return Err("the header is not that of a pack".into());
    }
    if header[8] != FORMAT {
        return Err(format!("the pack has the unknown format {}", header[8]));
    }
    if header[10..16] != [0; 6] {
        return Err("the pack has unknown flags".into());
    }
    BlobKind::from_code(header[9])
        .ok_or_else(|| format!("the pack has the unknown kind {}", header[9]))
}

/// Directory and trailer, as stored.
fn tail(directory: &Directory) -> Vec<u8> {
    let raw = directory.encode();
    let mut tail = zstd::bulk::compress(&raw, DIRECTORY_LEVEL).expect("zstd compresses any bytes");
    let check = short_hash(&tail);
    let numbers = [
        tail.len(),
        raw.len(),
        directory.frames.len(),
        directory.blobs.len(),
    ];
    for number in numbers {
        tail.extend(
            u32::try_from(number)
                .expect("TARGET_BLOBS bounds it")
                .to_le_bytes(),
        );
    }
    tail.extend(check);
    tail.extend([0; 8]);
    tail.extend(END);
    tail
}

fn short_hash(bytes: &[u8]) -> [u8; 16] {
    array(&blake3::hash(bytes).as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::frame::Encoder;

    #[test]
    fn the_layout_of_a_pack_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = PackBuilder::new(BlobKind::Node, *b"a nonce of 16 B.");
        let blob = b"\x01\x02\x03";
        let frame = Encoder::new().unwrap().encode(3, blob, 1).unwrap();
        let id = BlobKind::Node.id_of(blob);
        builder.push(&frame, &[(id, 3)]);
        let files = Files::local(dir.path());
        let pack = builder.finish(&files).unwrap();

        let bytes = std::fs::read(dir.path().join(pack_name(&pack.id))).unwrap();
        assert_eq!(FileId::of(&bytes), pack.id);
        assert_eq!(
            bytes[..32],
            *b"DBSNPACK\x01\x02\0\0\0\0\0\0a nonce of 16 B."
        );
        assert_eq!(bytes[32..40], [0, 0, 1, 0, 3, 0, 0, 0]);
        assert_eq!(
            bytes[40..48],
            xxhash_rust::xxh3::xxh3_64(blob).to_le_bytes()
        );
        assert_eq!(bytes[48..51], *blob);
        let trailer = &bytes[bytes.len() - 48..];
        let stored = &bytes[51..bytes.len() - 48];
        assert_eq!(trailer[..4], (stored.len() as u32).to_le_bytes());
        assert_eq!(trailer[4..16], [38, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(trailer[16..32], blake3::hash(stored).as_bytes()[..16]);
        assert_eq!(trailer[32..], *b"\0\0\0\0\0\0\0\0DBSNEND1");
        let raw = zstd::bulk::decompress(stored, 100).unwrap();
        assert_eq!(
            raw,
            [&[19, 3, 0, 0, 1, 3], id.as_bytes().as_slice()].concat()
        );
        assert_eq!(
            read_directory(&files, &pack.id).unwrap(),
            (pack.directory, pack.size)
        );
    }
}
