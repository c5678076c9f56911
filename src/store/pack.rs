//! Packs: files of frames, each with a directory of its own.
//!
//! Invariant: a pack is complete without the index. Its name is the hash of all its bytes, and a random nonce makes
//! sure that a name that was deleted once is never written again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::directory::{Directory, FrameEntry};
use super::error::{IoContext, StoreError, corrupt};
use super::files::{self, read_exact_at};
use super::frame::{self, Encoded, array};
use super::id::{BlobId, BlobKind, FileId};
use super::layout::{PACKS, pack_path};

/// A pack is closed when it has grown to this size.
pub(super) const TARGET: u32 = 32 << 20;
/// A pack is closed when it has this many blobs, so that directories stay small.
pub(super) const TARGET_BLOBS: usize = 1 << 18;
/// The length of the header, and so the offset of the first frame.
pub(super) const HEADER: u32 = 32;

const TRAILER: usize = 48;
const MAGIC: &[u8; 8] = b"DBSNPACK";
const END: &[u8; 8] = b"DBSNEND1";
const FORMAT: u8 = 1;
const MAX_DIRECTORY: u32 = 64 << 20;
const DIRECTORY_LEVEL: i32 = 3;

/// Sixteen random bytes that make a pack unique.
pub(super) type Nonce = [u8; 16];

/// A pack that is being written, frame by frame, to a temporary file. Dropping it removes the file.
pub(super) struct PackBuilder {
    file: BufWriter<NamedTempFile>,
    hasher: blake3::Hasher,
    size: u32,
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
    pub(super) fn new(root: &Path, kind: BlobKind, nonce: Nonce) -> Result<Self, StoreError> {
        let file = files::temporary_in(&root.join(PACKS))?;
        let mut builder = Self {
            file: BufWriter::with_capacity(1 << 17, file),
            hasher: blake3::Hasher::new(),
            size: 0,
            directory: Directory::new(kind),
        };
        builder.write(&header(kind, nonce))?;
        Ok(builder)
    }

    /// Appends a frame with the blobs in it.
    pub(super) fn push(
        &mut self,
        frame: &Encoded,
        blobs: &[(BlobId, u32)],
    ) -> Result<(), StoreError> {
        self.write(&frame.bytes)?;
        self.directory.push(FrameEntry::of(frame), blobs);
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.size >= TARGET || self.directory.blobs.len() >= TARGET_BLOBS
    }

    /// Writes directory and trailer, and gives the pack its name.
    pub(super) fn finish(mut self, root: &Path) -> Result<FinishedPack, StoreError> {
        let tail = tail(&self.directory);
        self.write(&tail)?;
        let id = FileId::from_bytes(*self.hasher.finalize().as_bytes());
        let path = pack_path(root, &id);
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        files::publish(file.when("write", &path)?, &path)?;
        Ok(FinishedPack {
            id,
            size: self.size,
            directory: self.directory,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.size += u32::try_from(bytes.len()).expect("a frame or directory is far below 4 GiB");
        let path = self.file.get_ref().path().to_owned();
        self.file.write_all(bytes).when("write", &path)
    }
}

/// Reads the directory of the pack at `path`, and how long the pack is; the frames are not looked at.
pub(super) fn read_directory(path: &Path) -> Result<(Directory, u32), StoreError> {
    let file = File::open(path).when("open", path)?;
    let size = file.metadata().when("look at", path)?.len();
    let size = u32::try_from(size).map_err(|_| corrupt(path, "a pack is never that long"))?;
    let body = size
        .checked_sub(HEADER + TRAILER as u32)
        .ok_or_else(|| corrupt(path, "a pack is never that short"))?;
    let mut header = [0; HEADER as usize];
    read_exact_at(&file, &mut header, 0).when("read", path)?;
    let mut trailer = [0; TRAILER];
    read_exact_at(&file, &mut trailer, u64::from(HEADER + body)).when("read", path)?;

    let kind = parse_header(&header).map_err(|what| corrupt(path, what))?;
    let trailer = Trailer::parse(&trailer).map_err(|what| corrupt(path, what))?;
    let frames_len = body
        .checked_sub(trailer.stored_len)
        .ok_or_else(|| corrupt(path, "the directory is longer than the pack"))?;
    let mut stored = vec![0; trailer.stored_len as usize];
    read_exact_at(&file, &mut stored, u64::from(HEADER + frames_len)).when("read", path)?;
    let directory = trailer.directory(kind, &stored, frames_len);
    Ok((directory.map_err(|what| corrupt(path, what))?, size))
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
        let mut builder =
            PackBuilder::new(dir.path(), BlobKind::Node, *b"a nonce of 16 B.").unwrap();
        let blob = b"\x01\x02\x03";
        let frame = Encoder::new(3).unwrap().encode(blob, 1).unwrap();
        let id = BlobKind::Node.id_of(blob);
        builder.push(&frame, &[(id, 3)]).unwrap();
        let pack = builder.finish(dir.path()).unwrap();

        let path = pack_path(dir.path(), &pack.id);
        let bytes = std::fs::read(&path).unwrap();
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
        assert_eq!(read_directory(&path).unwrap(), (pack.directory, pack.size));
    }

    #[test]
    fn a_pack_that_is_not_finished_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = PackBuilder::new(dir.path(), BlobKind::Data, [0; 16]).unwrap();
        let frame = Encoder::new(3).unwrap().encode(b"abc", 1).unwrap();
        builder.push(&frame, &[(BlobId::of(b"abc"), 3)]).unwrap();
        drop(builder);
        assert_eq!(
            std::fs::read_dir(dir.path().join(PACKS)).unwrap().count(),
            0
        );
    }
}
